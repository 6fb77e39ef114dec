/* SPDX-License-Identifier: Apache-2.0 */
/* The executor: steps through a plan. */
#pragma once

#include "plan/runner.h"

struct run_terms {        /* of one outermost run, shared by the bodies it runs */
    const bool *cancel;   /* may be NULL */
    uint64_t deadline_ns; /* 0: none */
    uint64_t seed;
    uint64_t bodies; /* run so far */
    struct area *area;
    struct area_meter *meter;
    struct session_trace *trace; /* may be NULL */
};

/* Runs r's plan. inputs: (n_inputs), borrowed for the call. r->outputs is filled; valid until the
 * runner is given back and terms->area reset. */
MUST_USE enum code run_plan(struct runner *r, const struct tensor *inputs, struct run_terms *terms,
                            struct err *e);
/* CANCELLED or TIMEOUT when the run should stop. */
MUST_USE enum code run_check(const struct run_terms *t, struct err *e);
