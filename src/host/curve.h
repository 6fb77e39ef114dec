/* SPDX-License-Identifier: Apache-2.0 */
/* What runs of a version cost, as measured while it serves: by how many rows are joined, on one
 * core and on several. Costs are core time, ns of every core a run held, so that those of one core
 * and of a team compare: under load the cheapest way to compute a row is the one that answers most.
 * Guarded by its owner's lock (queue_lock). */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

enum { CURVE_CLASSES = 8 }; /* runs of 1, 2, 4, ... 128 rows */

struct curve_side {
    double row_ns[CURVE_CLASSES]; /* core time of a row in a run of this class */
    unsigned runs[CURVE_CLASSES]; /* seen so far */
};

struct curve {
    struct curve_side one, team;
};

void curve_learn(struct curve *c, int64_t rows, int cores, uint64_t ns);

/* Of a run of one row; 0: not measured often enough. */
double curve_single(const struct curve *c);
/* Of a row at best; 0: not known. */
double curve_row(const struct curve *c);
/* Of a run of so many rows, at least, as far as is known; and how long it takes on so many cores.
 */
double curve_run(const struct curve *c, int64_t rows);
double curve_soonest(const struct curve *c, int64_t rows, int cores);

/* What to do with so many rows that could be joined. */
struct curve_choice {
    int64_t rows; /* how many to join: a power of two */
    int cores;    /* on how many; 0: any number will do */
};
/* The cheapest per row of what takes no longer than most_ns; what was not measured often enough
 * goes first. free: nothing else is running, so that a team of `cores` may be chosen. */
struct curve_choice curve_choose(const struct curve *c, int64_t rows, double most_ns, bool free,
                                 int cores);
/* The most that a row saves by being joined with others on one core, when at most `limit` are:
 * *rows, and ns. 0: joining does not pay, or is not known to. */
double curve_saving(const struct curve *c, int64_t limit, int64_t *rows);
