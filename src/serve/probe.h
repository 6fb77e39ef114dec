/* SPDX-License-Identifier: Apache-2.0 */
/* Which requests leave their times in the log, as a line "trace": Triton's trace settings, for all
 * models and for single ones. Off, it costs one load a request. */
#pragma once

#include "base/err.h"
#include "base/str.h"

#include <pthread.h>
#include <stdatomic.h>

enum { PROBE_MODELS = 64, PROBE_NAME = 128 };

struct probe {
    bool on;
    uint64_t rate; /* one of so many requests; from 1 */
    int64_t count; /* how many are still to come; -1: no end */
};

struct probes {
    atomic_bool any; /* some probe is on */
    pthread_mutex_t lock;
    struct probe_row {
        char model[PROBE_NAME + 1]; /* "": all others */
        struct probe probe;
        uint64_t seen;
    } rows[PROBE_MODELS + 1];
    size_t n; /* from 1: the first row is everybody's */
};

void probes_init(struct probes *all);
void probes_deinit(struct probes *all);
void probe_default(struct probe *p);
/* model.n == 0: what holds for those without settings of their own. */
void probe_of(struct probes *all, struct str model, struct probe *out);
/* LIMIT: more than PROBE_MODELS models with settings of their own. */
MUST_USE enum code probe_put(struct probes *all, struct str model, const struct probe *p,
                             struct err *e);
/* This request of the model is one: it counts. Any thread. */
bool probe_hit(struct probes *all, struct str model);
