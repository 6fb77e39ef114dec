/* SPDX-License-Identifier: Apache-2.0 */
/* Operators about shapes: reshape, flatten, squeeze, unsqueeze, identity (views: the bytes stay),
 * shape, size, expand, tile.
 *
 * Opsets: reshape takes its shape as an attribute before 5, allowzero since 14; squeeze and
 * unsqueeze take axes as an attribute before 13; shape has start and end since 15; tile takes tiles
 * and axis before 6. */
#include "op/operand.h"
#include "op/stride.h"

/* --- views --- */

static enum code run_view(const struct op_call *c, struct err *e) {
    (void)e;
    struct tensor *to = operand_to(c, 0);
    if (to && to->data != c->in[0]->data && tensor_bytes(to))
        memcpy(to->data, c->in[0]->data, tensor_bytes(to));
    return OK;
}

/* A view of known shape must hold exactly the elements of its input. */
static enum code out_view(struct op_infer *c, const struct shape *shape, struct err *e) {
    size_t had, has;
    char from[SHAPE_TEXT], to[SHAPE_TEXT];
    if (!shape_count(&c->in[0].shape, &had) || !shape_count(shape, &has) || had != has)
        return operand_fail(c, e, INVALID, "cannot view %s as %s",
                            shape_print(&c->in[0].shape, from), shape_print(shape, to));
    return operand_out(c, 0, c->in[0].dtype, shape, e);
}

static enum code infer_identity(struct op_infer *c, struct err *e) {
    return operand_infer_same(c, e);
}

/* Dims wanted: 0 copies the input's dim (unless allowzero), one -1 takes what is left. */
static enum code reshape_dims(struct op_infer *c, const struct operand_ints *want,
                              struct shape *out, struct err *e) {
    bool allow_zero = attr_int(c->node, "allowzero", 0) != 0;
    const struct shape *in = &c->in[0].shape;
    size_t rest, product = 1;
    int free_axis = -1;
    if (want->n > SHAPE_MAX)
        return operand_fail(c, e, LIMIT, "a shape of %d dims, at most %d are supported", want->n,
                            SHAPE_MAX);
    out->rank = want->n;
    for (int k = 0; k < want->n; k++) {
        int64_t dim = want->v[k];
        if (dim == 0 && !allow_zero) {
            if (k >= in->rank)
                return operand_fail(c, e, INVALID,
                                    "dim %d is to be copied from an input of rank %d", k, in->rank);
            dim = in->dims[k];
        }
        if (dim < -1 || (dim == -1 && free_axis >= 0))
            return operand_fail(c, e, INVALID, "dim %d of the wanted shape is %lld", k,
                                (long long)dim);
        out->dims[k] = dim;
        if (dim == -1)
            free_axis = k;
        else if (!mul_size(product, (size_t)dim, &product))
            return operand_fail(c, e, LIMIT, "the wanted shape is too large");
    }
    if (free_axis < 0)
        return OK;
    if (!shape_count(in, &rest) || (product == 0 ? rest != 0 : rest % product != 0))
        return operand_fail(c, e, INVALID, "%zu elements do not divide into %zu", rest, product);
    out->dims[free_axis] = product ? (int64_t)(rest / product) : 0;
    return OK;
}

static enum code infer_reshape(struct op_infer *c, struct err *e) {
    struct operand_ints want;
    bool present = true;
    struct shape shape;
    bool by_attribute = c->node->opset < 5;
    TRY(operand_need(c, by_attribute ? 1 : 2, e));
    operand_out_later(c, 0, c->in[0].dtype);
    if (by_attribute)
        TRY(operand_attr_ints(OPERAND_AT(c), "shape", &want, &present, e));
    else if (operand_data(c, 1))
        TRY(operand_ints(OPERAND_AT(c), operand_data(c, 1), "shape", &want, e));
    else
        return OK;
    if (!present)
        return operand_fail(c, e, FORMAT, "attribute 'shape' is missing");
    if (!c->in[0].known)
        return OK;
    TRY(reshape_dims(c, &want, &shape, e));
    return out_view(c, &shape, e);
}

static enum code infer_flatten(struct op_infer *c, struct err *e) {
    TRY(operand_need(c, 1, e));
    operand_out_later(c, 0, c->in[0].dtype);
    if (!c->in[0].known)
        return OK;
    const struct shape *in = &c->in[0].shape;
    int64_t axis = attr_int(c->node, "axis", 1);
    if (axis < -in->rank || axis > in->rank)
        return operand_fail(c, e, INVALID, "axis %lld is outside a tensor of rank %d",
                            (long long)axis, in->rank);
    axis += axis < 0 ? in->rank : 0;
    struct shape out = {.rank = 2, .dims = {1, 1}};
    for (int k = 0; k < in->rank; k++)
        out.dims[k < axis ? 0 : 1] *= in->dims[k];
    return out_view(c, &out, e);
}

/* The axes of squeeze and unsqueeze; *known false when only data will tell. */
static enum code view_axes(struct op_infer *c, struct operand_ints *axes, bool *present,
                           bool *known, struct err *e) {
    *known = true;
    if (c->node->opset < 13)
        return operand_attr_ints(OPERAND_AT(c), "axes", axes, present, e);
    axes->n = 0;
    *present = operand_given(c, 1);
    *known = !*present || operand_data(c, 1) != NULL;
    if (*present && *known)
        return operand_ints(OPERAND_AT(c), operand_data(c, 1), "axes", axes, e);
    return OK;
}

static enum code infer_squeeze(struct op_infer *c, struct err *e) {
    struct operand_ints axes;
    bool present, known;
    TRY(operand_need(c, 1, e));
    operand_out_later(c, 0, c->in[0].dtype);
    TRY(view_axes(c, &axes, &present, &known, e));
    if (!known || !c->in[0].known)
        return OK;
    const struct shape *in = &c->in[0].shape;
    TRY(operand_axes(OPERAND_AT(c), &axes, in->rank, e));
    unsigned drop = 0;
    for (int k = 0; k < axes.n; k++)
        drop |= 1u << axes.v[k];
    struct shape out = {.rank = 0};
    for (int k = 0; k < in->rank; k++) {
        bool named = drop >> k & 1;
        if (named && in->dims[k] != 1)
            return operand_fail(c, e, INVALID, "axis %d to be squeezed has %lld elements", k,
                                (long long)in->dims[k]);
        if (!named && (present || in->dims[k] != 1))
            out.dims[out.rank++] = in->dims[k];
    }
    return out_view(c, &out, e);
}

static enum code infer_unsqueeze(struct op_infer *c, struct err *e) {
    struct operand_ints axes;
    bool present, known;
    TRY(operand_need(c, 1, e));
    operand_out_later(c, 0, c->in[0].dtype);
    TRY(view_axes(c, &axes, &present, &known, e));
    if (!present)
        return operand_fail(c, e, FORMAT, "axes are missing");
    if (!known || !c->in[0].known)
        return OK;
    const struct shape *in = &c->in[0].shape;
    int rank = in->rank + axes.n;
    if (rank > SHAPE_MAX)
        return operand_fail(c, e, LIMIT, "the result has %d dims, at most %d are supported", rank,
                            SHAPE_MAX);
    TRY(operand_axes(OPERAND_AT(c), &axes, rank, e));
    unsigned added = 0;
    for (int k = 0; k < axes.n; k++)
        added |= 1u << axes.v[k];
    struct shape out = {.rank = rank};
    for (int k = 0, from = 0; k < rank; k++)
        out.dims[k] = added >> k & 1 ? 1 : in->dims[from++];
    return out_view(c, &out, e);
}

/* --- shape, size --- */

/* [first, last) of the dims asked for. */
static void shape_range(const struct node *n, int rank, int *first, int *last) {
    int64_t start = attr_int(n, "start", 0), end = attr_int(n, "end", rank);
    start += start < 0 ? rank : 0;
    end += end < 0 ? rank : 0;
    start = start < 0 ? 0 : start > rank ? rank : start;
    end = end < 0 ? 0 : end > rank ? rank : end;
    *first = (int)start;
    *last = end < start ? (int)start : (int)end;
}

static enum code infer_shape(struct op_infer *c, struct err *e) {
    TRY(operand_need(c, 1, e));
    operand_out_later(c, 0, DT_I64);
    if (!c->in[0].known)
        return OK;
    int first, last;
    shape_range(c->node, c->in[0].shape.rank, &first, &last);
    return operand_out(c, 0, DT_I64, &(struct shape){.rank = 1, .dims = {last - first}}, e);
}

static enum code run_shape(const struct op_call *c, struct err *e) {
    (void)e;
    int first, last;
    shape_range(c->node, c->in[0]->shape.rank, &first, &last);
    int64_t *to = c->out[0]->data;
    for (int k = first; k < last; k++)
        to[k - first] = c->in[0]->shape.dims[k];
    return OK;
}

static enum code infer_size(struct op_infer *c, struct err *e) {
    TRY(operand_need(c, 1, e));
    return operand_out(c, 0, DT_I64, &(struct shape){.rank = 0}, e);
}

static enum code run_size(const struct op_call *c, struct err *e) {
    (void)e;
    *(int64_t *)c->out[0]->data = (int64_t)tensor_count(c->in[0]);
    return OK;
}

/* --- expand, tile --- */

static enum code infer_expand(struct op_infer *c, struct err *e) {
    TRY(operand_need(c, 2, e));
    operand_out_later(c, 0, c->in[0].dtype);
    struct operand_ints want;
    struct shape shape = {.rank = 0}, out;
    if (!operand_data(c, 1) || !c->in[0].known)
        return OK;
    TRY(operand_ints(OPERAND_AT(c), operand_data(c, 1), "shape", &want, e));
    char from[SHAPE_TEXT], to[SHAPE_TEXT];
    for (int k = 0; k < want.n; k++)
        if (want.n > SHAPE_MAX || want.v[k] < 0)
            return operand_fail(c, e, INVALID, "dim %d of the wanted shape is %lld", k,
                                (long long)want.v[k]);
        else
            shape.dims[shape.rank++] = want.v[k];
    if (!shape_broadcast(&c->in[0].shape, &shape, &out))
        return operand_fail(c, e, INVALID, "cannot expand %s to %s",
                            shape_print(&c->in[0].shape, from), shape_print(&shape, to));
    return operand_out(c, 0, c->in[0].dtype, &out, e);
}

static enum code run_expand(const struct op_call *c, struct err *e) {
    (void)e;
    const struct tensor *in = c->in[0], *out = c->out[0];
    struct stride s = {.rank = out->shape.rank};
    memcpy(s.dims, out->shape.dims, sizeof out->shape.dims);
    shape_strides_to(&in->shape, &out->shape, s.from);
    stride_dense(&s);
    stride_copy(&s, out->data, in->data, dtype_size(in->dtype), c->threads);
    return OK;
}

/* Repetitions per axis. */
static enum code tile_repeats(const struct operand_at *at, const struct tensor *const t[2],
                              int rank, struct operand_ints *out, struct err *e) {
    if (at->node->opset >= 6) {
        TRY(operand_ints(at, t[0], "repeats", out, e));
        if (out->n != rank)
            return operand_fail(at, e, INVALID, "%d repeats for a tensor of rank %d", out->n, rank);
    } else {
        int64_t tiles, axis;
        int which;
        double number;
        TRY(operand_number(at, t[0], "tiles", &number, e));
        tiles = number >= 0 && number < 1e15 ? (int64_t)number : -1;
        TRY(operand_number(at, t[1], "axis", &number, e));
        axis = number >= -8 && number <= 8 ? (int64_t)number : INT64_MAX;
        TRY(operand_axis(at, axis, rank, &which, e));
        out->n = rank;
        for (int k = 0; k < rank; k++)
            out->v[k] = k == which ? tiles : 1;
    }
    for (int k = 0; k < rank; k++)
        if (out->v[k] < 0)
            return operand_fail(at, e, INVALID, "repeats of axis %d: %lld", k,
                                (long long)out->v[k]);
    return OK;
}

static enum code infer_tile(struct op_infer *c, struct err *e) {
    int lists = c->node->opset >= 6 ? 1 : 2;
    TRY(operand_need(c, 1 + lists, e));
    operand_out_later(c, 0, c->in[0].dtype);
    const struct tensor *data[2] = {operand_data(c, 1), lists == 2 ? operand_data(c, 2) : NULL};
    if (!c->in[0].known || !data[0] || (lists == 2 && !data[1]))
        return OK;
    struct shape out = c->in[0].shape;
    struct operand_ints repeats;
    TRY(tile_repeats(OPERAND_AT(c), data, out.rank, &repeats, e));
    for (int k = 0; k < out.rank; k++)
        if (__builtin_mul_overflow(out.dims[k], repeats.v[k], &out.dims[k]))
            return operand_fail(c, e, LIMIT, "axis %d repeated %lld times is too large", k,
                                (long long)repeats.v[k]);
    return operand_out(c, 0, c->in[0].dtype, &out, e);
}

static enum code run_tile(const struct op_call *c, struct err *e) {
    (void)e;
    const struct tensor *in = c->in[0];
    struct stride s = {.rank = 0};
    int64_t strides[SHAPE_MAX];
    shape_strides(&in->shape, strides);
    for (int k = 0; k < in->shape.rank; k++) {
        int64_t dim = in->shape.dims[k];
        stride_push(&s, dim ? c->out[0]->shape.dims[k] / dim : 0, 0, 0);
        stride_push(&s, dim, 0, strides[k]);
    }
    stride_dense(&s);
    stride_copy(&s, c->out[0]->data, in->data, dtype_size(in->dtype), c->threads);
    return OK;
}

const struct op op_identity = {
    .name = "identity", .flags = OP_PURE | OP_VIEW, .infer = infer_identity, .run = run_view};
const struct op op_reshape = {
    .name = "reshape", .flags = OP_PURE | OP_VIEW, .infer = infer_reshape, .run = run_view};
const struct op op_flatten = {
    .name = "flatten", .flags = OP_PURE | OP_VIEW, .infer = infer_flatten, .run = run_view};
const struct op op_squeeze = {
    .name = "squeeze", .flags = OP_PURE | OP_VIEW, .infer = infer_squeeze, .run = run_view};
const struct op op_unsqueeze = {
    .name = "unsqueeze", .flags = OP_PURE | OP_VIEW, .infer = infer_unsqueeze, .run = run_view};
const struct op op_shape = {
    .name = "shape", .flags = OP_PURE, .infer = infer_shape, .run = run_shape};
const struct op op_size = {.name = "size", .flags = OP_PURE, .infer = infer_size, .run = run_size};
const struct op op_expand = {
    .name = "expand", .flags = OP_PURE, .infer = infer_expand, .run = run_expand};
const struct op op_tile = {.name = "tile", .flags = OP_PURE, .infer = infer_tile, .run = run_tile};
