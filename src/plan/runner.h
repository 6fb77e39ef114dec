/* SPDX-License-Identifier: Apache-2.0 */
/* A runner: what one run of a plan writes into: tensor headers, pointer lists, prepared state of
 * late steps, its slab for the moment. Pooled by its plan; owned by one thread from runner_take to
 * runner_give. */
#pragma once

#include "plan/area.h"
#include "plan/plan.h"

struct late { /* a late step's state of the last run, used again when the shapes are the same */
    struct arena arena;
    void *state;
    size_t scratch_bytes;
    const char *kernel;
    double flops;
    int n;                 /* operands remembered; -1: nothing prepared */
    struct plan_key *seen; /* (n_in + n_out) */
};

struct runner {
    struct runner *next;
    struct plan *plan;
    struct arena arena;
    struct tensor *values;    /* (n_values) */
    const struct tensor **in; /* (plan->n_in) operands of all steps */
    struct tensor **out;      /* (plan->n_out) */
    struct tensor *outputs;   /* (n_outputs) handed to the caller */
    struct tensor *captured;  /* room for the inputs of the largest body */
    struct late *late;        /* (n_steps) when the plan has late steps */
    struct slab *slab;        /* borrowed while running */
    void *bound;              /* slab address the values point into */
    struct area area;         /* of an outermost run */
};
MUST_USE enum code runner_take(struct plan *p, struct runner **out, struct err *e);
void runner_give(struct runner *r);
struct runner *runner_next(const struct runner *r);
void runner_free(struct runner *r);
