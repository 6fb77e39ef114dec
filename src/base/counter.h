/* SPDX-License-Identifier: Apache-2.0 */
/* Counters, gauges and histograms: the cells. Registered once with a name, help and label values;
 * updated without locks (per-thread striped cells), summed by the reader (watch/expose.c), which is
 * the only one to print them.
 *
 * Prometheus data model 0.0.4: counters only grow, histogram buckets are cumulative when printed.
 */
#pragma once

#include "base/err.h"
#include "base/str.h"

enum counter_kind { COUNTER_TOTAL, COUNTER_GAUGE, COUNTER_HISTOGRAM };
enum { COUNTER_LABELS = 4, COUNTER_BUCKETS = 20 };

struct counter_family {      /* static const in the file that owns the metric */
    const char *name, *help; /* slipway_requests_total */
    enum counter_kind kind;
    int64_t unit; /* GAUGE: cells count in parts of 1, so many a whole; 0: wholes */
    int n_labels;
    const char *labels[COUNTER_LABELS];
    int n_buckets;                   /* histogram only */
    double buckets[COUNTER_BUCKETS]; /* upper bounds, ascending, without +Inf */
};

struct counter; /* one labelled series; lives until each counter_get was followed by a
                   counter_drop: two owners may count in one */

/* Finds or creates the series of these label values (copied). NULL when out of memory: callers pass
 * it on, every update function ignores NULL. Takes a lock: call at load time, keep the pointer. */
struct counter *counter_get(const struct counter_family *f, const struct str *label_values);
void counter_drop(struct counter *c); /* the last one: the series is not in the next reading */

void counter_add(struct counter *c, uint64_t n);     /* TOTAL */
void counter_set(struct counter *c, int64_t v);      /* GAUGE */
void counter_move(struct counter *c, int64_t delta); /* GAUGE, up or down */
void counter_observe(struct counter *c, double v);   /* HISTOGRAM */
/* sum of the cells (TOTAL), the value (GAUGE) */
uint64_t counter_total(const struct counter *c);

/* Calls fn for every live series, grouped by family, families in order of first use. values:
 * TOTAL/GAUGE in [0]; HISTOGRAM n_buckets + 1 non-cumulative counts, then *sum. */
typedef void counter_visit_fn(void *ctx, const struct counter_family *f,
                              const struct str *label_values, const int64_t *values, double sum);
void counter_visit(counter_visit_fn *fn, void *ctx);
