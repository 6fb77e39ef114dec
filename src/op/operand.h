/* SPDX-License-Identifier: Apache-2.0 */
/* What nearly every operator's infer and run begin with: is the operand there, of which type, what
 * integers does it hold; and one way to say that a node is wrong. Nothing here knows a particular
 * operator.
 *
 * A node of a hostile model may have any number of inputs and outputs, of any type: infer checks
 * them once (operand_need), so that run may rely on it. */
#pragma once

#include "graph/op.h"

/* struct op_infer, op_prepare and op_call all name their node the same way. */
struct operand_at {
    const struct graph *graph;
    const struct node *node;
};
#define OPERAND_AT(c) (&(const struct operand_at){(c)->graph, (c)->node})

/* return operand_fail(c, e, INVALID, "axis %d of input 'x' ..."); the text is preceded by the
 * node's label. */
#define operand_fail(c, e, NAME, ...)                                                              \
    err_never_ok(operand_fail_at(OPERAND_AT(c), (e), ERR_##NAME,                                   \
                                 __FILE__ ":" OPERAND_LINE(__LINE__), __VA_ARGS__))
#define OPERAND_LINE(x) OPERAND_TEXT(x)
#define OPERAND_TEXT(x) #x
enum code operand_fail_at(const struct operand_at *at, struct err *e, enum code code,
                          const char *where, const char *format, ...) PRINTF_LIKE(5, 6);

/* --- infer --- */

/* The first n inputs are there and at least one output is named. */
MUST_USE enum code operand_need(const struct op_infer *c, int n, struct err *e);
static inline bool operand_given(const struct op_infer *c, int i) {
    return i < c->node->n_in && c->in[i].dtype != DT_NONE;
}
/* All given inputs have known shapes. */
bool operand_known(const struct op_infer *c);
/* Data of input i, or NULL: absent or not known yet. */
static inline const struct tensor *operand_data(const struct op_infer *c, int i) {
    return operand_given(c, i) ? c->in[i].data : NULL;
}
/* Output i gets this type and shape; LIMIT when the shape is too large to exist, INVALID when a dim
 * is negative. */
MUST_USE enum code operand_out(struct op_infer *c, int i, enum dtype dtype,
                               const struct shape *shape, struct err *e);
/* Output i has this type and a shape that only data will tell. */
void operand_out_later(struct op_infer *c, int i, enum dtype dtype);
/* Output 0 is like input 0: an infer function by itself. */
MUST_USE enum code operand_infer_same(struct op_infer *c, struct err *e);

/* --- both --- */

struct operand_ints { /* a short list: axes, a shape, starts, pads / 2 */
    int n;
    int64_t v[2 * SHAPE_MAX];
};
/* The integers of a tensor of rank 0 or 1 with at most 16 elements; `what` names it in the message.
 */
MUST_USE enum code operand_ints(const struct operand_at *at, const struct tensor *t,
                                const char *what, struct operand_ints *out, struct err *e);
/* The same of an attribute; out->n = 0 and *present = false when there is none. */
MUST_USE enum code operand_attr_ints(const struct operand_at *at, const char *name,
                                     struct operand_ints *out, bool *present, struct err *e);
/* A list attribute of exactly n entries in [least, most], or `otherwise` for all without it. */
MUST_USE enum code operand_attr_each(const struct operand_at *at, const char *name, int n,
                                     int64_t otherwise, int64_t least, int64_t most, int64_t *out,
                                     struct err *e);
/* A single integer or number of a one-element tensor. */
MUST_USE enum code operand_int(const struct operand_at *at, const struct tensor *t,
                               const char *what, int64_t *out, struct err *e);
MUST_USE enum code operand_number(const struct operand_at *at, const struct tensor *t,
                                  const char *what, double *out, struct err *e);
/* axis in [-rank, rank) to [0, rank), else INVALID. */
MUST_USE enum code operand_axis(const struct operand_at *at, int64_t axis, int rank, int *out,
                                struct err *e);
/* Every axis of a list normalised in place; twice the same is INVALID. */
MUST_USE enum code operand_axes(const struct operand_at *at, struct operand_ints *axes, int rank,
                                struct err *e);

/* Attributes name element types by ONNX's numbers (TensorProto.DataType); DT_NONE: none of ours. */
enum dtype operand_dtype(int64_t number);

/* --- prepare --- */

static inline bool operand_takes(const struct op_prepare *c, int i) {
    return i < c->node->n_in && c->in[i].dtype != DT_NONE;
}

/* --- run --- */

static inline const struct tensor *operand_in(const struct op_call *c, int i) {
    return i < c->node->n_in ? c->in[i] : NULL;
}
static inline struct tensor *operand_to(const struct op_call *c, int i) {
    return i < c->node->n_out ? c->out[i] : NULL;
}
/* Memory of the run's host until the run ends (OP_DYNAMIC operators); zeroed. LIMIT when there is
 * none. */
MUST_USE enum code operand_alloc(const struct op_call *c, size_t count, size_t bytes, void **out,
                                 struct err *e);
/* OP_DYNAMIC operators: *to becomes a copy of *from that lives until the run ends. The items of a
 * sequence already do, or are the caller's: they are shared. */
MUST_USE enum code operand_keep(const struct op_call *c, const struct tensor *from,
                                struct tensor *to, struct err *e);
/* Element `index` of a float, integer or bool tensor becomes v: rounded to the type for floats,
 * truncated and wrapped for integers, 0 or 1 for bool. */
void operand_put(const struct tensor *to, size_t index, double v);
