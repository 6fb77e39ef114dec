/* SPDX-License-Identifier: Apache-2.0 */
/* State of one reading of an ONNX model: shared by onnx*.c, nobody else's.
 *
 * Names. A scope maps the names visible in one graph to values. A subgraph's scope looks outward
 * through `up` and makes a capture in every graph between; a function body has a scope without `up`
 * that writes into its caller's graph. */
#pragma once

#include "base/pb.h"
#include "format/format.h"
#include "format/onnx_ops.h"
#include "format/onnx_tensor.h"
#include "graph/model.h"

enum {
    ONNX_DEPTH_MAX = 16,      /* subgraphs inside each other */
    ONNX_CALLS_MAX = 32,      /* functions inside each other */
    ONNX_NODES_MAX = 1 << 20, /* after functions are written out */
};

struct onnx_opset {
    struct str domain;
    int64_t version;
};

struct onnx_opsets {
    const struct onnx_opset *list;
    size_t n;
};

struct onnx_function {
    struct str name, domain, overload;
    struct span message; /* FunctionProto */
    struct onnx_opsets opsets;
    bool active; /* being written out: a call from inside is a recursion */
};

struct onnx_reader {
    struct span file;
    struct arena *a;
    struct model *m;
    struct onnx_ops ops;
    struct map functions; /* to struct onnx_function */
    struct map files;     /* external location to file index + 1, as a pointer */
    int room_files;
    int64_t ir_version;
    int n_nodes; /* made so far, in all graphs */
    int n_calls; /* functions written out so far: makes names unique */
};

/* Attributes of the call whose body is being written out. */
struct onnx_env {
    const struct attr *attrs;
    int n;
};

struct onnx_scope {
    struct onnx_scope *up; /* NULL: the main graph, or a function body */
    struct graph *g;
    struct map names; /* to id + 2, as a pointer: an absent argument (VALUE_NONE) is a name too */
    const struct onnx_opsets *opsets;
    const struct onnx_env *env; /* NULL outside of functions */
    struct str prefix;          /* of names made in a function body */
    int depth, calls;
};

/* NodeProto, its lists only counted. */
struct onnx_node {
    struct span message;
    struct str name, op_type, domain, overload;
    int n_in, n_out, n_attrs;
    int opset;
};

/* ValueInfoProto */
struct onnx_type {
    struct str name;
    enum dtype dtype; /* DT_NONE: none given, or none of ours */
    bool ranked;
    bool too_deep; /* more than SHAPE_MAX dims: unranked */
    struct shape shape;
    struct str dim_names[SHAPE_MAX];
};

/* onnx_type.c */
MUST_USE enum code onnx_type_parse(struct span message, struct onnx_type *out, struct err *e);

/* onnx_scope.c: names. declare: FORMAT when the name is taken. resolve: NULL-named, outer and
 * captured values alike; found = false when there is none. */
MUST_USE enum code onnx_scope_declare(struct onnx_reader *r, struct onnx_scope *s, struct str name,
                                      value_id *out, struct err *e);
MUST_USE enum code onnx_scope_bind(struct onnx_scope *s, struct str name, value_id id,
                                   struct err *e);
bool onnx_scope_has(const struct onnx_scope *s, struct str name, value_id *out);
MUST_USE enum code onnx_scope_resolve(struct onnx_reader *r, struct onnx_scope *s, struct str name,
                                      value_id *out, bool *found, struct err *e);

/* onnx_constant.c: TensorProto and SparseTensorProto to constants; file ranges stay ranges. */
MUST_USE enum code onnx_constant_read(struct onnx_reader *r, struct span message, struct str *name,
                                      struct tensor *out, struct origin *at, struct err *e);
MUST_USE enum code onnx_constant_read_sparse(struct onnx_reader *r, struct span message,
                                             struct str *name, struct tensor *out, struct err *e);
/* The value a Constant node stands for. */
MUST_USE enum code onnx_constant_of_node(struct onnx_reader *r, struct onnx_scope *s,
                                         const struct onnx_node *n, struct tensor **out,
                                         struct origin *at, struct err *e);

/* onnx_attr.c: reads all attributes of a message (field number `field`), resolving references into
 * s->env. */
MUST_USE enum code onnx_attr_read_all(struct onnx_reader *r, struct onnx_scope *s,
                                      struct span message, uint32_t field, struct attr **out,
                                      int *n, struct err *e);

/* onnx_node.c */
MUST_USE enum code onnx_node_parse(const struct onnx_scope *s, struct span message,
                                   struct onnx_node *out, struct err *e);
MUST_USE enum code onnx_node_read(struct onnx_reader *r, struct onnx_scope *s, struct span message,
                                  struct err *e);
/* Field 1 or 2 of a node, one name after the other. */
MUST_USE enum code onnx_node_names(struct span message, uint32_t field, struct str *names,
                                   struct err *e);
/* An Identity from one value to another. */
MUST_USE enum code onnx_node_identity(struct onnx_reader *r, struct onnx_scope *s, value_id from,
                                      value_id to, struct err *e);

/* onnx_function.c */
MUST_USE enum code onnx_function_index(struct onnx_reader *r, struct span message, struct err *e);
struct onnx_function *onnx_function_find(const struct onnx_reader *r, const struct onnx_node *n);
MUST_USE enum code onnx_function_write_out(struct onnx_reader *r, struct onnx_scope *s,
                                           const struct onnx_node *call, struct onnx_function *f,
                                           struct err *e);

/* onnx_graph.c: fills s->g from a GraphProto. */
MUST_USE enum code onnx_graph_read(struct onnx_reader *r, struct onnx_scope *s, struct span message,
                                   struct err *e);
/* Declares the outputs of the nodes in `field` of a message, then reads them. */
MUST_USE enum code onnx_graph_declare_nodes(struct onnx_reader *r, struct onnx_scope *s,
                                            struct span message, uint32_t field, struct err *e);
MUST_USE enum code onnx_graph_read_nodes(struct onnx_reader *r, struct onnx_scope *s,
                                         struct span message, uint32_t field, struct err *e);

/* onnx.c */
MUST_USE enum code onnx_opsets_read(struct onnx_reader *r, struct span message, uint32_t field,
                                    struct onnx_opsets *out, struct err *e);
/* Version of a domain here; 0: not imported. */
int64_t onnx_opsets_find(const struct onnx_opsets *o, struct str domain);
