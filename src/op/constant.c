/* SPDX-License-Identifier: Apache-2.0 */
/* Tensors out of nothing: constant, constant_of_shape, eye_like, range.
 *
 * Importers turn constant nodes into constant values; the operator exists for those that stay
 * (strings of a list). */
#include "op/operand.h"
#include "op/stride.h"

#include <math.h>

/* --- constant_of_shape --- */

static enum code infer_constant_of_shape(struct op_infer *c, struct err *e) {
    const struct attr *value = attr_find(c->node, "value");
    enum dtype t = value && value->kind == ATTR_TENSOR ? value->tensor->dtype : DT_F32;
    TRY(operand_need(c, 1, e));
    operand_out_later(c, 0, t);
    if (value && (value->kind != ATTR_TENSOR || tensor_count(value->tensor) != 1))
        return operand_fail(c, e, FORMAT, "attribute 'value' must be a tensor of one element");
    if (!operand_data(c, 0))
        return OK;
    struct operand_ints dims;
    struct shape out = {.rank = 0};
    TRY(operand_ints(OPERAND_AT(c), operand_data(c, 0), "shape", &dims, e));
    if (dims.n > SHAPE_MAX)
        return operand_fail(c, e, LIMIT, "a shape of %d dims, at most %d are supported", dims.n,
                            SHAPE_MAX);
    for (int k = 0; k < dims.n; k++)
        out.dims[out.rank++] = dims.v[k];
    return operand_out(c, 0, t, &out, e);
}

static enum code run_constant_of_shape(const struct op_call *c, struct err *e) {
    (void)e;
    const struct attr *value = attr_find(c->node, "value");
    struct tensor *out = c->out[0];
    if (value)
        stride_fill(out->data, value->tensor->data, dtype_size(out->dtype), tensor_count(out));
    else if (tensor_count(out))
        memset(out->data, 0, tensor_bytes(out));
    return OK;
}

/* --- constant --- */

static enum code infer_constant(struct op_infer *c, struct err *e) {
    const struct node *n = c->node;
    TRY(operand_need(c, 0, e));
    struct shape list = {.rank = 1};
    if (n->n_attrs != 1)
        return operand_fail(c, e, FORMAT, "%d attributes, one was expected", n->n_attrs);
    const struct attr *a = &n->attrs[0];
    list.dims[0] = (int64_t)a->n;
    switch (a->kind) {
    case ATTR_TENSOR: return operand_out(c, 0, a->tensor->dtype, &a->tensor->shape, e);
    case ATTR_INT: return operand_out(c, 0, DT_I64, &(struct shape){.rank = 0}, e);
    case ATTR_INTS: return operand_out(c, 0, DT_I64, &list, e);
    case ATTR_FLOAT: return operand_out(c, 0, DT_F32, &(struct shape){.rank = 0}, e);
    case ATTR_FLOATS: return operand_out(c, 0, DT_F32, &list, e);
    case ATTR_STR: return operand_out(c, 0, DT_STRING, &(struct shape){.rank = 0}, e);
    case ATTR_STRS: return operand_out(c, 0, DT_STRING, &list, e);
    default: return operand_fail(c, e, UNSUPPORTED, "a constant of this kind of attribute");
    }
}

static enum code run_constant(const struct op_call *c, struct err *e) {
    (void)e;
    const struct attr *a = &c->node->attrs[0];
    const void *from = &a->i; /* the scalars share one place */
    if (a->kind == ATTR_TENSOR)
        from = a->tensor->data;
    else if (a->kind == ATTR_INTS || a->kind == ATTR_FLOATS || a->kind == ATTR_STRS)
        from = a->ints;
    if (tensor_bytes(c->out[0]))
        memcpy(c->out[0]->data, from, tensor_bytes(c->out[0]));
    return OK;
}

/* --- eye_like --- */

static void one_of(enum dtype t, unsigned char out[16]) {
    memset(out, 0, 16);
    switch (t) {
    case DT_F32: memcpy(out, &(float){1}, 4); return;
    case DT_F64: memcpy(out, &(double){1}, 8); return;
    case DT_F16: memcpy(out, &(uint16_t){dtype_f32_to_f16(1)}, 2); return;
    case DT_BF16: memcpy(out, &(uint16_t){dtype_f32_to_bf16(1)}, 2); return;
    default: out[0] = 1;
    }
}

static enum code infer_eye_like(struct op_infer *c, struct err *e) {
    TRY(operand_need(c, 1, e));
    enum dtype t = c->in[0].dtype;
    if (attr_find(c->node, "dtype"))
        t = operand_dtype(attr_int(c->node, "dtype", 0));
    if (!dtype_is_float(t) && !dtype_is_integer(t) && t != DT_BOOL)
        return operand_fail(c, e, UNSUPPORTED, "the element type of the result");
    operand_out_later(c, 0, t);
    if (!c->in[0].known)
        return OK;
    if (c->in[0].shape.rank != 2)
        return operand_fail(c, e, INVALID, "the input has rank %d, 2 was expected",
                            c->in[0].shape.rank);
    return operand_out(c, 0, t, &c->in[0].shape, e);
}

static enum code run_eye_like(const struct op_call *c, struct err *e) {
    (void)e;
    struct tensor *out = c->out[0];
    int64_t rows = out->shape.dims[0], columns = out->shape.dims[1], k = attr_int(c->node, "k", 0);
    size_t bytes = dtype_size(out->dtype);
    unsigned char one[16];
    one_of(out->dtype, one);
    if (tensor_bytes(out))
        memset(out->data, 0, tensor_bytes(out));
    if (k > columns || k < -rows)
        return OK;
    for (int64_t r = k < 0 ? -k : 0; r < rows && r + k < columns; r++)
        memcpy((char *)out->data + (size_t)(r * columns + r + k) * bytes, one, bytes);
    return OK;
}

/* --- range --- */

static enum code range_count(const struct operand_at *at, const struct tensor *const t[3],
                             int64_t *out, struct err *e) {
    double v[3], n;
    for (int k = 0; k < 3; k++)
        TRY(operand_number(at, t[k], "a bound", &v[k], e));
    if (t[0]->dtype == DT_I64) {
        int64_t start = tensor_i64(t[0], 0), limit = tensor_i64(t[1], 0),
                delta = tensor_i64(t[2], 0), span;
        if (delta == 0 || __builtin_sub_overflow(limit, start, &span))
            return operand_fail(at, e, INVALID, "from %lld to %lld by %lld", (long long)start,
                                (long long)limit, (long long)delta);
        bool some = delta > 0 ? span > 0 : span < 0;
        *out = some && delta != INT64_MIN ? span / delta + (span % delta != 0) : some;
        return OK;
    }
    n = ceil((v[1] - v[0]) / v[2]);
    if (v[2] == 0 || isnan(n) || n > 0x1p47)
        return operand_fail(at, e, INVALID, "from %g to %g by %g", v[0], v[1], v[2]);
    *out = n > 0 ? (int64_t)n : 0;
    return OK;
}

static enum code infer_range(struct op_infer *c, struct err *e) {
    TRY(operand_need(c, 3, e));
    enum dtype t = c->in[0].dtype;
    if (c->in[1].dtype != t || c->in[2].dtype != t || !(dtype_is_float(t) || dtype_is_integer(t)))
        return operand_fail(c, e, INVALID, "start, limit and delta must be numbers of one type");
    operand_out_later(c, 0, t);
    const struct tensor *data[3] = {operand_data(c, 0), operand_data(c, 1), operand_data(c, 2)};
    if (!data[0] || !data[1] || !data[2])
        return OK;
    struct shape out = {.rank = 1};
    TRY(range_count(OPERAND_AT(c), data, &out.dims[0], e));
    return operand_out(c, 0, t, &out, e);
}

static enum code run_range(const struct op_call *c, struct err *e) {
    (void)e;
    struct tensor *out = c->out[0];
    size_t n = tensor_count(out);
    enum dtype t = out->dtype;
    if (!dtype_is_float(t)) {
        uint64_t start = (uint64_t)tensor_i64(c->in[0], 0),
                 delta = (uint64_t)tensor_i64(c->in[2], 0);
        size_t bytes = dtype_size(t);
        for (size_t k = 0; k < n; k++) {
            uint64_t v = start + k * delta;
            memcpy((char *)out->data + k * bytes, &v, bytes); /* little-endian */
        }
        return OK;
    }
    double start = tensor_f64(c->in[0], 0), delta = tensor_f64(c->in[2], 0);
    for (size_t k = 0; k < n; k++) {
        double v = start + (double)k * delta;
        if (t == DT_F32)
            ((float *)out->data)[k] = (float)v;
        else if (t == DT_F64)
            ((double *)out->data)[k] = v;
        else
            ((uint16_t *)out->data)[k] =
                t == DT_F16 ? dtype_f32_to_f16((float)v) : dtype_f32_to_bf16((float)v);
    }
    return OK;
}

const struct op op_constant = {
    .name = "constant", .flags = OP_PURE, .infer = infer_constant, .run = run_constant};
const struct op op_constant_of_shape = {.name = "constant_of_shape",
                                        .flags = OP_PURE,
                                        .infer = infer_constant_of_shape,
                                        .run = run_constant_of_shape};
const struct op op_eye_like = {
    .name = "eye_like", .flags = OP_PURE, .infer = infer_eye_like, .run = run_eye_like};
const struct op op_range = {
    .name = "range", .flags = OP_PURE, .infer = infer_range, .run = run_range};
