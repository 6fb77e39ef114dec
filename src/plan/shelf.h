/* SPDX-License-Identifier: Apache-2.0 */
/* A shelf of plans of one model (or of one body of a model), by input shapes; the least recently
 * used goes first.
 *
 * One lock guards list and counts; it is not held while a plan is made or run. Two runs that need
 * the same new plan make it once: the second waits. A plan in use is never dropped, so the shelf
 * may exceed its limit by the number of runs. */
#pragma once

#include "plan/plan.h"

struct shelf {
    struct shop *shop;                    /* borrowed */
    const struct model *model;            /* borrowed: passes of PASS_OPEN done */
    const struct tensor *const *defaults; /* (inputs) of inputs not given; or NULL */
    pthread_mutex_t lock;
    pthread_cond_t made;
    struct plan *plans; /* most recently used first */
    size_t n, limit;
};
void shelf_init(struct shelf *s, struct shop *shop, const struct model *m, size_t limit);
void shelf_deinit(struct shelf *s);
MUST_USE enum code shelf_take(struct shelf *s, const struct plan_ask *ask, struct plan **out,
                              struct err *e);
void shelf_give(struct shelf *s, struct plan *p);
