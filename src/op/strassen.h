/* SPDX-License-Identifier: Apache-2.0 */
/* C = A * B with constant B by seven products of half its sides in the place of eight: Strassen's
 * algorithm in Winograd's form, one step of it. A is (entries, rows, k): row i of an entry meets
 * row i + rows / 2 of the same entry in sums, and no other, so that what an entry gives does not
 * depend on its neighbours. Sums that would cost a row its accuracy are not made: rows whose
 * lengths are far apart, or not finite, are multiplied as usual. B packed takes 7/4 of its size. */
#pragma once

#include "op/panel.h"

struct strassen {
    size_t entries, rows, n, k;
    size_t tiles, per_entry; /* of pairs of rows */
    size_t held;             /* tiles whose sums are held at a time */
    bool share;              /* the team holds them together, and divides columns */
    int team;
};

/* false: sides that do not halve into whole panels, or products too small to gain. */
bool strassen_plan(struct strassen *p, size_t entries, size_t rows, size_t n, size_t k,
                   int threads);
size_t strassen_floats(const struct strassen *p);                        /* packed B */
void strassen_pack(const struct strassen *p, const float *b, float *to); /* b: (k, n) */
size_t strassen_scratch(const struct strassen *p);                       /* bytes */

struct strassen_run {
    const float *a, *packed;
    const float *bias; /* (n) or NULL */
    float *c;
    void *scratch;
    panel_done_fn *done; /* or NULL */
    const void *context;
};
void strassen_run(const struct strassen *p, const struct strassen_run *r);
