/* SPDX-License-Identifier: Apache-2.0 */
/* A session: a model ready to run. Passes have been applied once; plans are made and cached per
 * input shapes and team size; each run borrows a runner (one slab of memory whose layout the plan
 * computed) from the plan's pool.
 *
 * 1. Immutable after session_open but for the cache, which one lock guards; runs never hold it
 * while computing.
 * 2. A run whose plan and runner exist allocates nothing (tests count), unless the graph has
 * OP_DYNAMIC operators.
 * 3. Outputs are PLAIN tensors in the runner's memory, valid until session_end.
 * 4. Weights: constants are used in place from the map; packed copies are made once per session and
 * shared by all its plans (the key is the constant and the packing), then by all runners. */
#pragma once

#include "graph/keeper.h"
#include "graph/op.h"
#include "plan/choice.h"

#include <stdatomic.h>

struct session; /* opaque */

/* What products of constants are computed in; see plan/narrow.c. */
enum precision { PRECISION_F32, PRECISION_BF16 };

struct session_options {
    size_t memory_bytes; /* limit of one run's slab plus dynamic memory; 0: 8 GiB */
    size_t plans;        /* cached plans, least recently used dropped; 0: 16 */
    uint64_t loop_limit; /* iterations of one Loop/Scan; 0: 1,000,000; of all in a run: 64 times */
    unsigned passes_off; /* bit mask of pass indexes (pass_index), for tests; 0: all on */
    bool profile;        /* keep per-node times */
    bool brief; /* one answer is wanted, soon: kernels that are compiled first (oneDNN's) only
                   where a single run makes up for it */
    enum precision precision;
    struct keeper *keeper;        /* of packed weights, outlives the session; NULL: none */
    const struct choice *choices; /* of a trial, in the order of their nodes; outlive the session */
    size_t n_choices;
    int way; /* for a trial: every node goes this way if it has it; CHOICE_RULE; 0: by choices */
};

/* model is borrowed and must outlive the session (its constants' bytes too). Applies passes to a
 * copy of its own. */
MUST_USE enum code session_open(const struct model *m, const struct session_options *o,
                                struct session **out, struct err *e);
void session_close(struct session *s); /* no run may be in flight */

struct session_io {
    struct str name;
    enum dtype dtype;
    struct shape shape; /* -1: free */
    struct str dim_names[SHAPE_MAX];
    bool optional; /* an input with a default (overridable initializer) */
    int64_t rows; /* of the shortest constant table that an input picks rows of (Gather); 0: none */
};
size_t session_inputs(const struct session *s, const struct session_io **out);
size_t session_outputs(const struct session *s, const struct session_io **out);

struct session_run {
    struct tensor
        *outputs; /* (session_outputs), in order; an output that was not wanted has dtype DT_NONE */
    void *runner; /* private */
    uint64_t compute_ns;
    size_t memory_bytes; /* most that slabs and late steps of this run held at once */
};

/* A step of a run that was traced; a step of a body lies within that of its If, Loop or Scan. */
struct session_event {
    uint64_t plan; /* plan and step: those of the session_step it is a call of */
    int step;
    uint64_t began_ns, ns; /* monotonic */
};
struct session_trace { /* the caller's; runs add to it */
    struct session_event *events;
    size_t n, room, lost; /* lost: came when there was no room */
};

struct session_ask {
    const struct tensor *inputs; /* (session_inputs) in order, PLAIN, 64-byte aligned preferred;
                                    dtype DT_NONE: use the default */
    const bool *want;            /* (session_outputs) or NULL: all */
    int threads;                 /* team size granted by the caller, >= 1 */
    uint64_t deadline_ns;        /* monotonic, 0: none */
    const bool *cancel;          /* read between nodes; may be NULL */
    uint64_t seed;               /* of random operators */
    struct session_trace *trace; /* MAY: filled by a session with a profile */
};
/* INVALID names the input and says what was expected and what came, before anything runs. On OK
 * session_end must follow. */
MUST_USE enum code session_begin(struct session *s, const struct session_ask *ask,
                                 struct session_run *run, struct err *e);
void session_end(struct session *s, struct session_run *run);

/* The batch dimension: true when every input and output has a free first dim and rows are
 * independent (checked by the plan's shape inference at two batch sizes, no operator that mixes
 * along dim 0), so the host may join requests. */
bool session_batches(struct session *s);
/* What a run costs is told by how many rows it has, as far as runs so far show: inputs are numbers
 * whose dims but the first are fixed, nothing loops or branches, and no shape depends on data. */
bool session_steady(struct session *s);

/* Explains (show --plan, bench --profile): one row per step of the plan of these input shapes.
 * Behind an If, Loop or Scan come the steps of its bodies, as far as they have been planned, which
 * happens when they first run. */
struct session_step {
    struct str node, op, kernel, shapes, layout; /* shapes: "1x64x56x56 -> 1x64x56x56" */
    uint64_t plan;                               /* with step: names the row */
    int step, depth, threads;                    /* depth: bodies it is within */
    bool late;           /* only data tells its shapes: these are those of the last run */
    enum dtype computes; /* of its first operand: what the multiplications are of */
    double flops;        /* 0: not counted */
    double bytes;        /* operands read and results written, each once */
    uint64_t choice;     /* of a node that has several ways: its name, else 0; */
    int way, n_ways;     /* the way it goes, of 1 to n_ways, */
    bool tried;          /* as a trial chose */
    uint64_t calls, total_ns, min_ns; /* profile only */
};
MUST_USE enum code session_explain(struct session *s, const struct session_ask *ask,
                                   struct arena *a, struct session_step **out, size_t *n,
                                   struct err *e);

/* What a run of these shapes will need, as its plan knows before it starts. */
struct session_needs {
    size_t slab_bytes; /* results and scratch of steps whose shapes are known, placed by lifetime */
    size_t live_bytes; /* most of them alive at once: no placing could do with less */
    int late;          /* steps whose memory only data tells, bodies among them: 0 means that
                          session_run.memory_bytes will be slab_bytes */
};
MUST_USE enum code session_predict(struct session *s, const struct session_ask *ask,
                                   struct session_needs *out, struct err *e);

struct session_memory {
    size_t constant_bytes; /* mapped, as in the file */
    size_t packed_bytes;   /* copies made for kernels */
    size_t slab_bytes;     /* of all runners alive */
    size_t plans, runners;
};
void session_memory(struct session *s, struct session_memory *out);

/* How many packed forms the keeper did not have when they were wanted, and giving it all of them,
 * one after the other, until *stop. Runs may be in flight. */
size_t session_unkept(struct session *s);
MUST_USE enum code session_keep(struct session *s, const atomic_bool *stop, struct err *e);

/* Passes in order, by name, for tests and help. */
size_t pass_count(void);
const char *pass_name(size_t index);
