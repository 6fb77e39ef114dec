/* SPDX-License-Identifier: Apache-2.0 */
/* Sequences and optionals: sequence_empty, _construct, _at, _insert, _erase, _length, _map,
 * split_to_sequence, concat_from_sequence, optional, optional_get_element, optional_has_element.
 *
 * 1. A sequence is a DT_SEQUENCE tensor; its items are tensors whose data lives until the run ends
 *    (or is the caller's), so sequences share items and nothing here copies one twice.
 * 2. An optional that holds something is that thing; one that does not is a sequence marked absent.
 * 3. Positions come from data: each is checked. */
#include "op/operand.h"
#include "op/stride.h"

/* Outputs of unknown type: only the data tells. */
static enum code infer_later(struct op_infer *c, struct err *e) {
    TRY(operand_need(c, 0, e));
    for (int i = 0; i < c->node->n_out; i++)
        operand_out_later(c, i, DT_NONE);
    return OK;
}

static enum code infer_sequence(struct op_infer *c, struct err *e) {
    TRY(operand_need(c, 0, e));
    operand_out_later(c, 0, DT_SEQUENCE);
    return OK;
}

static enum code sequence_in(const struct op_call *c, int i, const struct sequence **out,
                             struct err *e) {
    const struct tensor *t = operand_in(c, i);
    if (!t || t->dtype != DT_SEQUENCE || !t->data)
        return operand_fail(c, e, INVALID, "input %d is not a sequence", i);
    *out = t->data;
    if ((*out)->absent)
        return operand_fail(c, e, INVALID, "input %d is an optional without a value", i);
    return OK;
}

static enum code tensor_in(const struct op_call *c, int i, const struct tensor **out,
                           struct err *e) {
    *out = operand_in(c, i);
    if (!*out || (*out)->dtype == DT_SEQUENCE)
        return operand_fail(c, e, INVALID, "input %d is not a tensor", i);
    return OK;
}

/* Output i becomes a sequence of n items, to be filled. */
static enum code sequence_out(const struct op_call *c, int i, size_t n, struct sequence **out,
                              struct err *e) {
    void *memory, *items;
    TRY(operand_alloc(c, 1, sizeof(struct sequence), &memory, e));
    TRY(operand_alloc(c, n, sizeof(struct tensor), &items, e));
    *out = memory;
    **out = (struct sequence){.n = n, .items = items};
    struct tensor *to = operand_to(c, i);
    if (to)
        *to = (struct tensor){.dtype = DT_SEQUENCE, .data = memory};
    return OK;
}

/* Position input i names in [0, n], with n allowed only when `end`; absent: the last. */
static enum code position_in(const struct op_call *c, int i, size_t n, bool end, size_t *out,
                             struct err *e) {
    const struct tensor *t = operand_in(c, i);
    int64_t at = end ? (int64_t)n : (int64_t)n - 1, limit = (int64_t)n - (end ? 0 : 1);
    if (t) {
        TRY(operand_int(OPERAND_AT(c), t, "the position", &at, e));
        at += at < 0 ? (int64_t)n : 0;
    }
    if (at < 0 || at > limit)
        return operand_fail(c, e, INVALID, "position %lld of a sequence of %zu",
                            (long long)(t ? tensor_i64(t, 0) : at), n);
    *out = (size_t)at;
    return OK;
}

/* --- simple ones --- */

static enum code run_sequence_empty(const struct op_call *c, struct err *e) {
    struct sequence *s;
    return sequence_out(c, 0, 0, &s, e);
}

static enum code run_sequence_construct(const struct op_call *c, struct err *e) {
    struct sequence *s;
    const struct tensor *t;
    TRY(sequence_out(c, 0, (size_t)c->node->n_in, &s, e));
    for (int i = 0; i < c->node->n_in; i++) {
        TRY(tensor_in(c, i, &t, e));
        TRY(operand_keep(c, t, &s->items[i], e));
    }
    return OK;
}

static enum code run_sequence_at(const struct op_call *c, struct err *e) {
    const struct sequence *s;
    size_t at;
    TRY(sequence_in(c, 0, &s, e));
    TRY(position_in(c, 1, s->n, false, &at, e));
    if (c->out[0])
        *c->out[0] = s->items[at];
    return OK;
}

static enum code run_sequence_insert(const struct op_call *c, struct err *e) {
    const struct sequence *s;
    const struct tensor *t;
    struct sequence *to;
    size_t at;
    TRY(sequence_in(c, 0, &s, e));
    TRY(tensor_in(c, 1, &t, e));
    TRY(position_in(c, 2, s->n, true, &at, e));
    if (s->n && s->items[0].dtype != t->dtype)
        return operand_fail(c, e, INVALID, "a %s tensor into a sequence of %s",
                            dtype_name(t->dtype), dtype_name(s->items[0].dtype));
    TRY(sequence_out(c, 0, s->n + 1, &to, e));
    for (size_t k = 0; k < s->n; k++)
        to->items[k < at ? k : k + 1] = s->items[k];
    return operand_keep(c, t, &to->items[at], e);
}

static enum code run_sequence_erase(const struct op_call *c, struct err *e) {
    const struct sequence *s;
    struct sequence *to;
    size_t at;
    TRY(sequence_in(c, 0, &s, e));
    TRY(position_in(c, 1, s->n, false, &at, e));
    TRY(sequence_out(c, 0, s->n - 1, &to, e));
    for (size_t k = 0; k < to->n; k++)
        to->items[k] = s->items[k < at ? k : k + 1];
    return OK;
}

static enum code infer_sequence_length(struct op_infer *c, struct err *e) {
    TRY(operand_need(c, 1, e));
    return operand_out(c, 0, DT_I64, &(struct shape){.rank = 0}, e);
}

static enum code run_sequence_length(const struct op_call *c, struct err *e) {
    const struct sequence *s;
    TRY(sequence_in(c, 0, &s, e));
    *(int64_t *)c->out[0]->data = (int64_t)s->n;
    return OK;
}

/* --- split_to_sequence --- */

/* How the axis is cut: sizes from data, one size for all, or (absent) single positions. */
struct cut {
    const struct tensor *sizes; /* a list; NULL: all of `each` */
    int64_t each;
    size_t parts;
};

static enum code cut_axis(const struct op_call *c, int64_t dim, struct cut *out, struct err *e) {
    const struct tensor *t = operand_in(c, 1);
    *out = (struct cut){.each = 1};
    if (t && t->shape.rank == 0)
        TRY(operand_int(OPERAND_AT(c), t, "split", &out->each, e));
    if (out->each < 1)
        return operand_fail(c, e, INVALID, "split is %lld", (long long)out->each);
    out->parts = (size_t)(dim ? (dim - 1) / out->each + 1 : 0);
    if (!t || t->shape.rank == 0)
        return OK;
    if (t->shape.rank != 1 || !dtype_is_integer(t->dtype))
        return operand_fail(c, e, INVALID, "split must be a list of integers");
    int64_t left = dim;
    for (size_t k = 0; k < tensor_count(t); k++) {
        int64_t n = tensor_i64(t, k);
        if (n < 0 || n > left)
            return operand_fail(c, e, INVALID, "size %zu of the split is %lld", k, (long long)n);
        left -= n;
    }
    if (left)
        return operand_fail(c, e, INVALID, "the split leaves %lld of %lld positions",
                            (long long)left, (long long)dim);
    out->sizes = t;
    out->parts = tensor_count(t);
    return OK;
}

/* Positions [start, start + n) of an axis, dense. */
static enum code cut_piece(const struct op_call *c, const struct tensor *in, int axis,
                           int64_t start, int64_t n, struct tensor *out, struct err *e) {
    struct stride copy = {.rank = 0};
    int64_t strides[SHAPE_MAX];
    size_t bytes = dtype_size(in->dtype);
    shape_strides(&in->shape, strides);
    *out = *in;
    out->shape.dims[axis] = n;
    TRY(operand_alloc(c, tensor_count(out), bytes, &out->data, e));
    for (int d = 0; d < in->shape.rank; d++)
        stride_push(&copy, out->shape.dims[d], 0, strides[d]);
    stride_dense(&copy);
    if (tensor_count(out))
        stride_copy(&copy, out->data,
                    (const char *)in->data + (size_t)(start * strides[axis]) * bytes, bytes,
                    c->threads);
    return OK;
}

static enum code run_split_to_sequence(const struct op_call *c, struct err *e) {
    const struct tensor *in;
    struct sequence *to;
    struct cut cut;
    int axis;
    TRY(tensor_in(c, 0, &in, e));
    TRY(operand_axis(OPERAND_AT(c), attr_int(c->node, "axis", 0), in->shape.rank, &axis, e));
    int64_t dim = in->shape.dims[axis], start = 0;
    TRY(cut_axis(c, dim, &cut, e));
    TRY(sequence_out(c, 0, cut.parts, &to, e));
    bool drop = !operand_in(c, 1) && attr_int(c->node, "keepdims", 1) == 0;
    for (size_t k = 0; k < cut.parts; k++) {
        int64_t n = cut.sizes ? tensor_i64(cut.sizes, k) : cut.each;
        struct tensor *t = &to->items[k];
        TRY(cut_piece(c, in, axis, start, n < dim - start ? n : dim - start, t, e));
        start += t->shape.dims[axis];
        if (drop) {
            t->shape.rank--;
            for (int d = axis; d < t->shape.rank; d++)
                t->shape.dims[d] = t->shape.dims[d + 1];
        }
    }
    return OK;
}

/* --- concat_from_sequence --- */

/* The whole's shape; every item must fit it. */
static enum code join_shape(const struct op_call *c, const struct sequence *s, bool stack, int axis,
                            struct shape *out, struct err *e) {
    char text[2][SHAPE_TEXT];
    const struct shape *first = &s->items[0].shape;
    int64_t total = 0;
    for (size_t k = 0; k < s->n; k++) {
        const struct tensor *t = &s->items[k];
        bool fits = t->dtype == s->items[0].dtype && t->shape.rank == first->rank;
        for (int d = 0; fits && d < first->rank; d++)
            fits = (!stack && d == axis) || t->shape.dims[d] == first->dims[d];
        if (!fits)
            return operand_fail(c, e, INVALID, "item %zu (%s %s) does not join item 0 (%s %s)", k,
                                dtype_name(t->dtype), shape_print(&t->shape, text[0]),
                                dtype_name(s->items[0].dtype), shape_print(first, text[1]));
        total += stack ? 1 : t->shape.dims[axis];
    }
    *out = *first;
    if (stack) {
        for (int d = out->rank++; d > axis; d--)
            out->dims[d] = out->dims[d - 1];
    }
    out->dims[axis] = total;
    return OK;
}

static enum code run_concat_from_sequence(const struct op_call *c, struct err *e) {
    const struct sequence *s;
    bool stack = attr_int(c->node, "new_axis", 0) != 0;
    struct shape shape;
    int axis;
    TRY(sequence_in(c, 0, &s, e));
    if (s->n == 0 || s->items[0].dtype == DT_SEQUENCE || s->items[0].shape.rank >= SHAPE_MAX)
        return operand_fail(c, e, INVALID, "nothing to join in a sequence of %zu", s->n);
    TRY(operand_axis(OPERAND_AT(c), attr_int(c->node, "axis", 0),
                     s->items[0].shape.rank + (stack ? 1 : 0), &axis, e));
    TRY(join_shape(c, s, stack, axis, &shape, e));
    TRY(op_output(c, 0, s->items[0].dtype, &shape, e));
    size_t outer = 1, bytes = dtype_size(s->items[0].dtype), at = 0;
    for (int d = 0; d < axis; d++)
        outer *= (size_t)shape.dims[d];
    size_t row = c->out[0] && outer ? tensor_bytes(c->out[0]) / outer : 0;
    for (size_t k = 0; k < s->n && row; k++) {
        const struct tensor *t = &s->items[k];
        size_t run = tensor_count(t) / outer * bytes;
        for (size_t o = 0; o < outer && run; o++)
            memcpy((char *)c->out[0]->data + o * row + at, (const char *)t->data + o * run, run);
        at += run;
    }
    return OK;
}

/* --- sequence_map: a body over the items of one or more sequences --- */

static enum code map_items(const struct op_call *c, size_t n, const struct graph *body,
                           const struct tensor **in, struct sequence **to, struct err *e) {
    void *memory;
    TRY(operand_alloc(c, (size_t)body->n_outputs, sizeof(struct tensor), &memory, e));
    struct tensor *results = memory;
    for (size_t k = 0; k < n; k++) {
        TRY(c->host->check(c->host, e));
        for (int i = 0; i < c->node->n_in; i++) {
            const struct sequence *s = c->in[i]->data;
            in[i] = c->in[i]->dtype == DT_SEQUENCE ? &s->items[k] : c->in[i];
        }
        TRY(c->host->run_graph(c->host, c, body, in, results, e));
        for (int i = 0; i < body->n_outputs; i++)
            to[i]->items[k] = results[i];
    }
    return OK;
}

static enum code run_sequence_map(const struct op_call *c, struct err *e) {
    const struct graph *body = attr_graph(c->node, "body");
    const struct sequence *first, *other;
    void *in, *to;
    if (!body || body->n_inputs != c->node->n_in || body->n_outputs != c->node->n_out)
        return operand_fail(c, e, FORMAT,
                            "the body does not have the inputs and outputs of the node");
    TRY(sequence_in(c, 0, &first, e));
    for (int i = 1; i < c->node->n_in; i++) {
        if (!c->in[i])
            return operand_fail(c, e, INVALID, "input %d is missing", i);
        if (c->in[i]->dtype != DT_SEQUENCE)
            continue;
        TRY(sequence_in(c, i, &other, e));
        if (other->n != first->n)
            return operand_fail(c, e, INVALID, "input %d has %zu items, input 0 has %zu", i,
                                other->n, first->n);
    }
    TRY(operand_alloc(c, (size_t)c->node->n_in, sizeof(struct tensor *), &in, e));
    TRY(operand_alloc(c, (size_t)c->node->n_out, sizeof(struct sequence *), &to, e));
    for (int i = 0; i < c->node->n_out; i++)
        TRY(sequence_out(c, i, first->n, (struct sequence **)to + i, e));
    return map_items(c, first->n, body, in, to, e);
}

/* --- optionals --- */

static bool is_absent(const struct tensor *t) {
    return !t || (t->dtype == DT_SEQUENCE && t->data && ((const struct sequence *)t->data)->absent);
}

static enum code run_optional(const struct op_call *c, struct err *e) {
    const struct tensor *in = operand_in(c, 0);
    struct sequence *s;
    if (in)
        return c->out[0] ? operand_keep(c, in, c->out[0], e) : OK;
    TRY(sequence_out(c, 0, 0, &s, e));
    s->absent = true;
    return OK;
}

static enum code run_optional_get_element(const struct op_call *c, struct err *e) {
    const struct tensor *in = operand_in(c, 0);
    if (is_absent(in))
        return operand_fail(c, e, INVALID, "the optional has no value");
    return c->out[0] ? operand_keep(c, in, c->out[0], e) : OK;
}

static enum code infer_optional_has_element(struct op_infer *c, struct err *e) {
    TRY(operand_need(c, 0, e));
    return operand_out(c, 0, DT_BOOL, &(struct shape){.rank = 0}, e);
}

static enum code run_optional_has_element(const struct op_call *c, struct err *e) {
    (void)e;
    *(uint8_t *)c->out[0]->data = !is_absent(operand_in(c, 0));
    return OK;
}

#define DYNAMIC(which, infers)                                                                     \
    const struct op op_##which = {                                                                 \
        .name = #which, .flags = OP_DYNAMIC, .infer = infers, .run = run_##which}
DYNAMIC(sequence_empty, infer_sequence);
DYNAMIC(sequence_construct, infer_sequence);
DYNAMIC(sequence_at, infer_later);
DYNAMIC(sequence_insert, infer_sequence);
DYNAMIC(sequence_erase, infer_sequence);
DYNAMIC(split_to_sequence, infer_sequence);
DYNAMIC(concat_from_sequence, infer_later);
DYNAMIC(sequence_map, infer_sequence);
DYNAMIC(optional, infer_later);
DYNAMIC(optional_get_element, infer_later);
const struct op op_sequence_length = {
    .name = "sequence_length", .infer = infer_sequence_length, .run = run_sequence_length};
const struct op op_optional_has_element = {.name = "optional_has_element",
                                           .infer = infer_optional_has_element,
                                           .run = run_optional_has_element};
