/* SPDX-License-Identifier: Apache-2.0 */
/* A model as data: graphs of nodes over values. No file, no kernel, no thread.
 *
 * 1. Everything lives in model->arena; strings and constant data may be borrowed from mapped files
 * that outlive the model.
 * 2. Values and nodes are named by index. A value is made by at most one of: graph input, constant,
 * node output, capture.
 * 3. nodes[] is in an order in which every input precedes its use (graph_verify checks, graph_sort
 * makes).
 * 4. A subgraph (If/Loop/Scan body) has values of its own; what it takes from outside is a value
 * with `capture` set to the parent graph's value.
 * 5. Passes never change a published model: they edit a copy (graph_copy shares strings,
 * attributes and constants). */
#pragma once

#include "base/buf.h"
#include "base/map.h"
#include "tensor/tensor.h"

typedef int32_t value_id;
typedef int32_t node_id;
#define VALUE_NONE ((value_id)-1) /* an absent optional input or output */
#define NODE_NONE ((node_id)-1)

struct op; /* graph/op.h */
struct graph;

/* Where a constant's bytes lie in the original files; file < 0: inline (decoded, or made by a
 * pass). */
struct origin {
    int file;
    uint64_t offset, length;
};

/* What a constant that a pass made was made of, and how: a digest. Zeros: not told. */
struct provenance {
    uint64_t a, b;
};

struct value {
    struct str name;
    enum dtype dtype;                /* DT_NONE: not declared */
    bool ranked;                     /* shape.rank is meaningful */
    struct shape shape;              /* -1: free dim */
    struct str dim_names[SHAPE_MAX]; /* "batch", or .n == 0 */
    struct tensor
        *constant;        /* initializer or folded; NULL otherwise. data is never written through */
    struct origin origin; /* of the constant */
    struct provenance made; /* of a constant that a pass made */
    value_id capture;       /* in graph->parent, or VALUE_NONE */
    node_id producer;       /* NODE_NONE: input, constant or capture */
    enum layout layout;     /* PLAIN but in a plan, where the layout pass may choose NHWC */
};

enum attr_kind {
    ATTR_NONE,
    ATTR_INT,
    ATTR_FLOAT,
    ATTR_STR,
    ATTR_INTS,
    ATTR_FLOATS,
    ATTR_STRS,
    ATTR_TENSOR,
    ATTR_TENSORS,
    ATTR_GRAPH,
    ATTR_GRAPHS
};

struct attr {
    struct str name;
    enum attr_kind kind;
    size_t n; /* of the array kinds */
    union {
        int64_t i;
        float f;
        struct str s;
        const int64_t *ints;
        const float *floats;
        const struct str *strs;
        const struct tensor *tensor;
        const struct tensor *tensors;
        struct graph *graph;
        struct graph **graphs;
    };
    struct origin origin; /* of ATTR_TENSOR; of a list that came by wire its place there, file -1 */
};

/* Work fused behind a node by plan passes, applied in order to output 0. */
enum post_kind {
    POST_NONE,
    POST_RELU,
    POST_CLIP,
    POST_LEAKY_RELU,
    POST_ELU,
    POST_SIGMOID,
    POST_TANH,
    POST_HARD_SIGMOID,
    POST_HARD_SWISH,
    POST_SILU,
    POST_GELU_ERF,
    POST_GELU_TANH,
    POST_ADD,
    POST_MUL
};
struct post {
    enum post_kind kind;
    float alpha, beta; /* CLIP: low, high; LEAKY_RELU, ELU: alpha; HARD_SIGMOID: alpha*x + beta */
    int input; /* ADD, MUL: which node input is the other operand (same shape, or scalar, or per
                  channel) */
};
enum { POST_MAX = 6 };

struct node {
    struct str name; /* may be empty; error messages then use the op and the first output */
    struct str op_type, domain; /* as in the file */
    struct str op_name;         /* ours: "conv"; what the wire carries */
    const struct op *op;        /* of op_name; set by op_resolve (op/op_list.h) */
    int opset;                  /* version of its domain in the file: decides semantics */
    value_id *in, *out;         /* borrowed from the arena */
    int n_in, n_out;
    struct attr *attrs;
    int n_attrs;
    struct post post[POST_MAX];
    int n_post;
};

struct graph {
    struct model *model;
    struct graph *parent; /* NULL: the main graph */
    struct str name;
    struct value *values;
    int n_values, room_values;
    struct node *nodes;
    int n_nodes, room_nodes;
    value_id *inputs, *outputs;
    int n_inputs, n_outputs;
};

struct model_file {  /* a file of the package that constants refer to */
    struct str name; /* relative: "model.onnx", "weights.bin" */
    uint64_t size;
};

struct model_meta {
    struct str key, value;
};

struct model {
    struct arena *arena; /* borrowed */
    struct graph *main;
    struct str format, producer; /* "onnx", "pytorch 2.1" */
    int opset;                   /* of the default domain */
    int ir_version;
    struct model_file *files;
    int n_files;
    struct model_meta *meta;
    int n_meta;
    struct attr *facts; /* of a language model: sizes, tokenizer, template (llm/facts.h names them);
                           numbers, text, and lists of them */
    int n_facts;
};

/* --- build (graph.c): NULL/-1 results mean the arena is full: the caller reports with arena_fail
 * --- */
struct model *model_new(struct arena *a);
struct graph *graph_new(struct model *m, struct graph *parent);
value_id graph_add_value(struct graph *g,
                         struct str name); /* other fields unset: DT_NONE, no constant */
struct node *graph_add_node(
    struct graph *g, int n_in, int n_out,
    int n_attrs); /* ids preset to VALUE_NONE; pointer valid until the next add */
value_id graph_find(const struct graph *g, struct str name); /* linear; importers keep a map */
struct model *graph_copy(
    const struct model *m,
    struct arena *a); /* deep but for strings, lists in attributes, constants' data and origin
                         bytes, which are m's; NULL: arena full */

/* --- read (node.c, attr.c) --- */
const struct attr *attr_find(const struct node *n, const char *name);
int64_t attr_int(const struct node *n, const char *name, int64_t otherwise);
float attr_float(const struct node *n, const char *name, float otherwise);
struct str attr_str(const struct node *n, const char *name, const char *otherwise);
bool attr_ints(const struct node *n, const char *name, const int64_t **out,
               size_t *count); /* false: absent */
struct graph *attr_graph(const struct node *n, const char *name);
/* NULL when absent. A language model is one with the fact "arch": its graph has constants by name
 * and no nodes. */
const struct attr *model_fact(const struct model *m, const char *name);
bool model_is_language(const struct model *m);
/* "node 'conv1' (Conv)" for messages. */
struct str node_label(const struct graph *g, const struct node *n, char text[160]);
/* Number of nodes in the graph and all its subgraphs. */
int graph_total_nodes(const struct graph *g);
uint64_t model_parameters(
    const struct model *m); /* elements of all constants that came from files */

/* --- check (verify.c) --- indexes in range, single producer, order or cycle (named), captures
 * sound, outputs made, sizes of constants equal to their shapes. Every model from outside passes
 * here before anything else touches it. */
MUST_USE enum code graph_verify(const struct model *m, struct err *e);
/* Reorders nodes topologically; FORMAT naming a node of the cycle. */
MUST_USE enum code graph_sort(struct graph *g, struct err *e);

/* --- wire (wire.c): our own compact form, for the import child's pipe and the store's "graph" part
 * --- versioned, bounds-checked; constants with a file origin travel as (file, offset, length),
 * inline ones as bytes. resolve() supplies the former when reading: borrowed bytes that outlive the
 * model. */
MUST_USE enum code wire_put(const struct model *m, struct buf *out, struct err *e);
typedef enum code wire_resolve_fn(void *ctx, int file, uint64_t offset, uint64_t length,
                                  struct span *out, struct err *e);
MUST_USE enum code wire_take(struct span bytes, struct arena *a, wire_resolve_fn *resolve,
                             void *ctx, struct model **out, struct err *e);
/* Only the table of files, for whoever must open them before resolve() can answer. */
MUST_USE enum code wire_take_files(struct span bytes, struct arena *a, struct model_file **files,
                                   int *n, struct err *e);
