/* SPDX-License-Identifier: Apache-2.0 */
/* A plan: a graph for one set of input shapes and one team size, with every node prepared and every
 * buffer placed.
 *
 * 1. Immutable once built, but for the pool of runners (lock) and the times of its steps (atomic).
 * 2. A step is *late* when only data tells a shape it needs: its infer, memory and prepare happen
 * during the run, and so for everything behind it.
 * 3. A value's root owns its bytes: views and results computed in place have the root of what they
 * share. */
#pragma once

#include "graph/op.h"
#include "plan/packs.h"
#include "plan/session.h"
#include "plan/slabs.h"

#include <stdatomic.h>

struct nested;
struct runner;

/* What all plans of a session share. */
struct shop {
    struct session_options o;
    struct packs packs;
    struct slabs slabs;
    pthread_mutex_t build; /* one plan is made at a time; never taken by a run whose plan exists */
};

enum place_kind { PLACE_NONE, PLACE_CONSTANT, PLACE_INPUT, PLACE_SLAB, PLACE_LATE };

struct place { /* of a value */
    enum place_kind kind;
    value_id root;
    size_t offset; /* SLAB: of the root, in the slab */
    int input;     /* INPUT: which one the root is */
};

struct step { /* one per node, in order */
    const struct node *node;
    void *state;
    const char *kernel;
    double flops;
    size_t scratch_bytes;
    struct op_weights weights, ahead; /* ahead: those of the next step that has any */
    int threads;
    uint64_t choice;         /* of an operator that has several ways: choice_node, */
    int took, n_ways;        /* as op_prepare says, */
    bool tried;              /* because a trial chose so */
    int first_in, first_out; /* in the runner's lists of pointers */
    bool late, alias;        /* alias: nothing to do, output 0 is input 0's bytes */
    _Atomic uint64_t calls, total_ns, min_ns; /* profile */
};

/* What a run is made for: a plan fits an ask when types, shapes, wants and threads agree. */
struct plan_ask {
    const struct tensor *inputs; /* (graph inputs) dtype DT_NONE: the default */
    const bool *want;            /* (graph outputs) or NULL */
    int threads;
};

struct plan_key {
    enum dtype dtype;
    struct shape shape;
};

struct plan_copy { /* an output that is a view of an input: copied, for it must outlive the ask's
                      memory */
    int output;
    size_t offset, bytes;
};

struct plan {
    struct plan *next; /* shelf */
    uint64_t serial;   /* of all plans of the process */
    int users;         /* shelf: runs that hold it, guarded by the shelf's lock */
    bool ready;        /* shelf: built */

    struct arena arena;
    struct shop *shop;
    struct plan_key *inputs; /* (n_inputs) */
    bool *want;              /* (n_outputs) */
    int n_inputs, n_outputs, threads;

    struct graph *graph;
    struct place *places; /* (graph->n_values) */
    struct step *steps;
    int n_steps, n_in, n_out; /* n_in, n_out: pointers over all steps */
    bool has_late;
    value_id *in_slab,
        *in_inputs; /* values whose address changes with the slab, and with the ask */
    int n_in_slab, n_in_inputs;
    struct plan_copy *copies;
    int n_copies;
    size_t scratch_offset;         /* in the slab: of every step's */
    size_t slab_bytes, live_bytes; /* live: most alive at one step, padding included */
    struct nested *nested;         /* list: bodies of this graph's nodes */

    pthread_mutex_t lock;
    struct runner *idle;
    size_t n_runners;
};

/* A plan that only knows what it is for; NULL: out of memory. */
struct plan *plan_new(struct shop *shop, const struct plan_ask *ask, int n_inputs, int n_outputs);
bool plan_fits(const struct plan *p, const struct plan_ask *ask);
/* Passes, prepare, placing, from the session's model. inputs with defaults were dealt with by the
 * caller. */
MUST_USE enum code plan_build(struct plan *p, const struct model *m,
                              const struct tensor *const *defaults, struct err *e);
void plan_free(struct plan *p); /* no runner may be out */
