/* SPDX-License-Identifier: Apache-2.0 */
/* What an operator is: the interface between plan (which calls) and op/ (which implements). It
 * lives here, below both.
 *
 * Life of a node in a plan: infer (shapes and types, again whenever an input shape is new) ->
 * prepare (once per plan: pack weights, create primitives, ask scratch) -> run (per predict;
 * allocates nothing) -> release.
 *
 * Data-dependent shapes: infer may be called with in[i].data == NULL. An operator that needs the
 * data to know a shape (Reshape's shape, NonZero, Slice's starts, ...) then sets out[i].known =
 * false (dtype still set). The executor calls infer again at run time with all data present; then
 * `known` must come out true, unless the operator has OP_DYNAMIC: its run() makes its outputs
 * itself with op_output (If, Loop, Scan, sequences, strings whose bytes it creates). */
#pragma once

#include "graph/model.h"

enum op_flag {
    OP_PURE =
        1
        << 0, /* same inputs, same outputs: may be folded when all inputs are constant, or merged */
    OP_INPLACE = 1 << 1, /* output 0 may share memory with input 0 when type and size are equal */
    OP_ELEMENTWISE = 1 << 2, /* output element depends on same-position elements only; works in any
                                layout provided that all operands of full shape share it; other
                                operands must then be scalars or per-channel */
    OP_NHWC = 1 << 3,        /* spatial: takes input 0 in NHWC and makes output 0 NHWC */
    OP_NHWC_ALL = 1 << 4,    /* beside OP_NHWC: every input of 3 or more dims, and every output
                                (Concat,    Split) */
    OP_NHWC_WINS = 1 << 5,   /* faster in NHWC: the layout pass starts chains here (Conv, pools) */
    OP_DYNAMIC = 1 << 6,     /* run() allocates its outputs */
    OP_POST = 1 << 7,        /* honours node->post */
    OP_VIEW = 1 << 8, /* output 0 is input 0's bytes under another shape (Reshape, Flatten, Squeeze,
                         Identity): never run when the executor can alias; needs PLAIN */
    OP_RANDOM = 1 << 9,
    OP_TEAM = 1 << 10, /* its work shows in no shape (steps, products inside, forests), or is
                          weighed by itself: it is offered every thread and decides */
};

struct op_value {     /* what is known of an input or output while planning */
    enum dtype dtype; /* DT_NONE: absent */
    bool known;       /* shape is complete */
    struct shape shape;
    enum layout layout;        /* prepare only; PLAIN during infer */
    const struct tensor *data; /* known constant (or at run time any) data, PLAIN; NULL otherwise */
};

struct op_infer {
    const struct graph *graph;
    const struct node *node;
    const struct op_value *in; /* (node->n_in) */
    struct op_value *out;  /* (node->n_out): set dtype, known, shape; absent outputs are ignored */
    struct arena *scratch; /* reset after the call */
};

/* Packed weights, made once per session and shared by all its plans. get() answers memory of
 * `bytes` (64-byte aligned, living as long as the session) for a constant (by its data pointer)
 * under a packing (a hash of what is done to it); *filled tells whether somebody has written it
 * already: then it may be memory that cannot be written; else the caller does, and a prepare that
 * fails is taken not to have. find() answers a lasting form that is written, or NULL. lasting:
 * constant, its shape, packing and CPU tell all bytes of the form, in any process: it may be kept
 * for the next start. NULL: the limit is reached (report NOMEM). Calls come from one prepare at a
 * time. */
struct op_packs {
    void *(*get)(struct op_packs *p, const void *constant, uint64_t packing, size_t bytes,
                 bool lasting, bool *filled);
    const void *(*find)(struct op_packs *p, const void *constant, uint64_t packing, size_t bytes);
};

/* Packed weights: memory that a run of a node reads, whatever its inputs are. */
struct op_weights {
    const void *p;
    size_t bytes;
};

struct op_prepare {
    const struct graph *graph;
    const struct node *node;
    const struct op_value *in, *out;
    struct arena *arena;    /* lives as long as the plan */
    struct op_packs *packs; /* NULL: pack into the arena */
    int threads;            /* team size run() will have */
    bool brief;             /* there will be few runs: compiling a kernel has to pay at once */
    int way;                /* the way to do it that a trial found fastest, counted from 1; 0, or
                               one that this node has not: the operator's own rule decides */
    void *state;            /* out: handed to run and release; NULL if none */
    size_t scratch_bytes; /* out: 64-byte aligned memory run() will find in call->scratch; contents
                             undefined */
    const char *kernel;   /* out: what will run, for `show --plan`: static text, e.g. "dnnl
                             brgconv:avx512_core" */
    double flops;         /* out: MAY; 2 per multiply-add */
    struct op_weights weights; /* out: MAY; packed */
    int took, n_ways; /* out: MAY; ways of this operator are 1 to n_ways, this is made for took */
};

struct op_call {
    const struct graph *graph;
    const struct node *node;
    void *state;
    const struct tensor *const *in; /* (n_in); NULL entry: absent */
    struct tensor *const
        *out; /* (n_out); NULL entry: nobody wants it. shape and data set, unless OP_DYNAMIC */
    void *scratch;
    int threads;
    struct op_weights ahead; /* those of the next step that has any: may be fetched meanwhile */
    struct op_host *host;
};

/* What the executor offers to a running operator. */
struct op_host {
    /* Memory that lives until the run ends, 64-byte aligned, counted against the run's limit. */
    void *(*alloc)(struct op_host *h, size_t bytes);
    /* Runs a subgraph of this node: inputs (borrowed) in graph->inputs order; outputs[i] filled,
     * living until the run ends. */
    enum code (*run_graph)(struct op_host *h, const struct op_call *call, const struct graph *g,
                           const struct tensor *const *inputs, struct tensor *outputs,
                           struct err *e);
    /* CANCELLED or TIMEOUT when the run should stop; loops ask once per iteration. */
    enum code (*check)(struct op_host *h, struct err *e);
    uint64_t (*random)(struct op_host *h); /* seeded per run */
    /* Memory of iterations (MAY be NULL: all lives until the run ends). Between enter and leave,
     * alloc and run_graph take memory that the next enter empties; keep moves n values (no
     * sequences) where they stay until the keep after the next. Whoever opened one closes it; open
     * answers NULL when there is no memory. */
    void *(*pocket_open)(struct op_host *h);
    void (*pocket_enter)(void *pocket);
    void (*pocket_leave)(void *pocket);
    enum code (*pocket_keep)(void *pocket, struct tensor *values, int n, struct err *e);
    void (*pocket_close)(void *pocket);
    uint64_t loop_limit; /* iterations of one loop or scan; 0: what the operator finds sane */
};

struct op {
    const char *name; /* our name: "conv", "add"; formats map their vocabulary to it */
    unsigned flags;
    enum code (*infer)(struct op_infer *c, struct err *e);     /* MUST */
    enum code (*prepare)(struct op_prepare *c, struct err *e); /* MAY */
    enum code (*run)(const struct op_call *c, struct err *e);  /* MUST */
    void (*release)(void *state); /* MAY: what prepare took outside the arena */
};

/* For OP_DYNAMIC operators: gives output i a shape and memory. */
MUST_USE enum code op_output(const struct op_call *c, int i, enum dtype dtype,
                             const struct shape *shape, struct err *e);
