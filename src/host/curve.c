/* SPDX-License-Identifier: Apache-2.0 */
/* The measured costs of a version's runs: see curve.h. */
#include "host/curve.h"

enum { EXPLORE_RUNS = 3, RUNS_MAX = 1000000 };
#define OUTLIER 4
#define CHEAPER 0.97 /* differences below this are noise */
#define PAYS 0.8     /* a row must cost this part of a single one to be worth waiting for others */

static int class_of(int64_t rows) {
    int k = 0;
    while (k + 1 < CURVE_CLASSES && ((int64_t)2 << k) <= rows)
        k++;
    return k;
}

static bool known(const struct curve_side *s, int k) { return s->runs[k] >= EXPLORE_RUNS; }

/* One run that lost its core for a while says little: it weighs as a run of a few times the usual
 * cost, so that only runs that stay dear change the picture. */
void curve_learn(struct curve *c, int64_t rows, int cores, uint64_t ns) {
    struct curve_side *s = cores > 1 ? &c->team : &c->one;
    int k = class_of(rows);
    double per_row = (double)ns * (cores > 1 ? cores : 1) / (double)(rows > 0 ? rows : 1);
    if (known(s, k) && per_row > OUTLIER * s->row_ns[k])
        per_row = OUTLIER * s->row_ns[k];
    s->row_ns[k] = s->runs[k] < 1 ? per_row : s->row_ns[k] * 0.9 + per_row * 0.1;
    if (s->runs[k] < RUNS_MAX)
        s->runs[k]++;
}

double curve_single(const struct curve *c) {
    return known(&c->one, 0) ? c->one.row_ns[0] : known(&c->team, 0) ? c->team.row_ns[0] : 0;
}

static double least(const struct curve_side *s, double best) {
    for (int k = 0; k < CURVE_CLASSES; k++)
        if (s->runs[k] && (best == 0 || s->row_ns[k] < best))
            best = s->row_ns[k];
    return best;
}

double curve_row(const struct curve *c) { return least(&c->team, least(&c->one, 0)); }

/* Runs far larger than any that was measured cost less per row than those did: guessing from single
 * rows would refuse a large batch that takes milliseconds. So rows count up to the largest class
 * measured, which is a lower bound. */
static double counted(const struct curve *c, int64_t rows) {
    int64_t most = 1;
    for (int k = 0; k < CURVE_CLASSES; k++)
        if (c->one.runs[k] || c->team.runs[k])
            most = (int64_t)2 << k;
    return (double)(rows < most ? rows : most);
}

double curve_run(const struct curve *c, int64_t rows) { return curve_row(c) * counted(c, rows); }

double curve_soonest(const struct curve *c, int64_t rows, int cores) {
    double one = least(&c->one, 0), team = least(&c->team, 0) / (cores > 1 ? cores : 1);
    double row = one == 0 || (team > 0 && team < one) ? team : one;
    return row * counted(c, rows);
}

/* Looks through one side for something cheaper than *cost; true: a class of it is to be explored,
 * in *to. */
static bool look(const struct curve_side *s, int top, double most_ns, int cores, double *cost,
                 struct curve_choice *to) {
    for (int k = 0; k <= top; k++) {
        int64_t rows = (int64_t)1 << k;
        if (!known(s, k)) {
            *to = (struct curve_choice){.rows = rows, .cores = cores};
            return true;
        }
        bool in_time = s->row_ns[k] * (double)rows <= most_ns * cores;
        if (in_time && (*cost == 0 || s->row_ns[k] < *cost * CHEAPER)) {
            *cost = s->row_ns[k];
            *to = (struct curve_choice){.rows = rows, .cores = cores > 1 ? cores : 0};
        }
    }
    return false;
}

struct curve_choice curve_choose(const struct curve *c, int64_t rows, double most_ns, bool free,
                                 int cores) {
    struct curve_choice to = {.rows = 1};
    double cost = 0;
    int top = class_of(rows);
    if (!look(&c->one, top, most_ns, 1, &cost, &to) && free && cores > 1)
        (void)look(&c->team, top, most_ns, cores, &cost, &to);
    return to;
}

double curve_saving(const struct curve *c, int64_t limit, int64_t *rows) {
    const struct curve_side *s = &c->one;
    int best = 0, top = class_of(limit);
    for (int k = 1; k <= top && known(s, k); k++)
        if (s->row_ns[k] < s->row_ns[best] * CHEAPER)
            best = k;
    *rows = (int64_t)1 << best;
    return known(s, 0) && s->row_ns[best] <= s->row_ns[0] * PAYS ? s->row_ns[0] - s->row_ns[best]
                                                                 : 0;
}
