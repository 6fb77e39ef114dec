/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of a node's operands; see operand.h for the contracts. */
#include "op/operand.h"

#include <stdio.h>

enum code operand_fail_at(const struct operand_at *at, struct err *e, enum code code,
                          const char *where, const char *format, ...) {
    char text[sizeof e->text], label[160];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    struct str name = node_label(at->graph, at->node, label);
    return err_set(e, code, where, 0, "%.*s: %s", STR(name), text);
}

enum code operand_need(const struct op_infer *c, int n, struct err *e) {
    for (int i = 0; i < n; i++)
        if (!operand_given(c, i))
            return operand_fail(c, e, FORMAT, "input %d is missing, the operator needs %d", i, n);
    if (c->node->n_out < 1)
        return operand_fail(c, e, FORMAT, "the node has no output");
    return OK;
}

bool operand_known(const struct op_infer *c) {
    for (int i = 0; i < c->node->n_in; i++)
        if (c->in[i].dtype != DT_NONE && !c->in[i].known)
            return false;
    return true;
}

enum code operand_out(struct op_infer *c, int i, enum dtype dtype, const struct shape *shape,
                      struct err *e) {
    if (i >= c->node->n_out)
        return OK;
    char text[SHAPE_TEXT];
    size_t bytes;
    for (int axis = 0; axis < shape->rank; axis++)
        if (shape->dims[axis] < 0)
            return operand_fail(c, e, INVALID, "output %d would have the shape %s", i,
                                shape_print(shape, text));
    if (!shape_bytes(shape, dtype_size(dtype), &bytes))
        return operand_fail(c, e, LIMIT, "output %d would have the shape %s, which is too large", i,
                            shape_print(shape, text));
    c->out[i].dtype = dtype;
    c->out[i].shape = *shape;
    c->out[i].known = true;
    return OK;
}

void operand_out_later(struct op_infer *c, int i, enum dtype dtype) {
    if (i >= c->node->n_out)
        return;
    c->out[i].dtype = dtype;
    c->out[i].known = false;
}

enum code operand_infer_same(struct op_infer *c, struct err *e) {
    TRY(operand_need(c, 1, e));
    if (c->in[0].known)
        return operand_out(c, 0, c->in[0].dtype, &c->in[0].shape, e);
    operand_out_later(c, 0, c->in[0].dtype);
    return OK;
}

static enum code check_list(const struct operand_at *at, const struct tensor *t, const char *what,
                            struct err *e) {
    if (t->dtype != DT_BOOL && !dtype_is_integer(t->dtype))
        return operand_fail(at, e, INVALID, "%s is %s, an integer type was expected", what,
                            dtype_name(t->dtype));
    if (t->shape.rank > 1)
        return operand_fail(at, e, INVALID, "%s has rank %d, a list was expected", what,
                            t->shape.rank);
    return OK;
}

enum code operand_ints(const struct operand_at *at, const struct tensor *t, const char *what,
                       struct operand_ints *out, struct err *e) {
    TRY(check_list(at, t, what, e));
    size_t n = tensor_count(t);
    if (n > sizeof out->v / sizeof out->v[0])
        return operand_fail(at, e, LIMIT, "%s has %zu elements; tensors here have at most %d dims",
                            what, n, SHAPE_MAX);
    for (size_t k = 0; k < n; k++)
        out->v[k] = tensor_i64(t, k);
    out->n = (int)n;
    return OK;
}

enum code operand_attr_ints(const struct operand_at *at, const char *name, struct operand_ints *out,
                            bool *present, struct err *e) {
    const int64_t *ints;
    size_t n = 0;
    *present = attr_ints(at->node, name, &ints, &n);
    out->n = 0;
    if (!*present)
        return OK;
    if (n > sizeof out->v / sizeof out->v[0])
        return operand_fail(at, e, LIMIT,
                            "attribute '%s' has %zu elements; tensors here have at most %d dims",
                            name, n, SHAPE_MAX);
    for (size_t k = 0; k < n; k++)
        out->v[k] = ints[k];
    out->n = (int)n;
    return OK;
}

enum code operand_attr_each(const struct operand_at *at, const char *name, int n, int64_t otherwise,
                            int64_t least, int64_t most, int64_t *out, struct err *e) {
    struct operand_ints list;
    bool present;
    TRY(operand_attr_ints(at, name, &list, &present, e));
    if (present && list.n != n)
        return operand_fail(at, e, INVALID, "attribute '%s' has %d entries, %d were expected", name,
                            list.n, n);
    for (int k = 0; k < n; k++) {
        out[k] = present ? list.v[k] : otherwise;
        if (out[k] < least || out[k] > most)
            return operand_fail(at, e, INVALID, "attribute '%s' has the entry %lld", name,
                                (long long)out[k]);
    }
    return OK;
}

enum code operand_int(const struct operand_at *at, const struct tensor *t, const char *what,
                      int64_t *out, struct err *e) {
    TRY(check_list(at, t, what, e));
    if (tensor_count(t) != 1)
        return operand_fail(at, e, INVALID, "%s has %zu elements, one was expected", what,
                            tensor_count(t));
    *out = tensor_i64(t, 0);
    return OK;
}

enum code operand_number(const struct operand_at *at, const struct tensor *t, const char *what,
                         double *out, struct err *e) {
    if (t->dtype != DT_BOOL && !dtype_is_integer(t->dtype) && !dtype_is_float(t->dtype))
        return operand_fail(at, e, INVALID, "%s is %s, a number was expected", what,
                            dtype_name(t->dtype));
    if (tensor_count(t) != 1)
        return operand_fail(at, e, INVALID, "%s has %zu elements, one was expected", what,
                            tensor_count(t));
    *out = tensor_f64(t, 0);
    return OK;
}

enum code operand_axis(const struct operand_at *at, int64_t axis, int rank, int *out,
                       struct err *e) {
    if (!shape_axis(axis, rank, out))
        return operand_fail(at, e, INVALID, "axis %lld is outside a tensor of rank %d",
                            (long long)axis, rank);
    return OK;
}

enum code operand_axes(const struct operand_at *at, struct operand_ints *axes, int rank,
                       struct err *e) {
    unsigned seen = 0;
    for (int k = 0; k < axes->n; k++) {
        int axis;
        TRY(operand_axis(at, axes->v[k], rank, &axis, e));
        if (seen & (1u << axis))
            return operand_fail(at, e, INVALID, "axis %d is named twice", axis);
        seen |= 1u << axis;
        axes->v[k] = axis;
    }
    return OK;
}

enum code operand_alloc(const struct op_call *c, size_t count, size_t bytes, void **out,
                        struct err *e) {
    size_t total;
    void *p = mul_size(count, bytes, &total) ? c->host->alloc(c->host, total ? total : 1) : NULL;
    if (!p)
        return operand_fail(c, e, LIMIT,
                            "%zu elements of %zu bytes are over the memory limit of the run", count,
                            bytes);
    memset(p, 0, total);
    *out = p;
    return OK;
}

enum dtype operand_dtype(int64_t number) {
    static const enum dtype types[] = {
        DT_NONE, DT_F32,    DT_U8,     DT_I8,       DT_U16,        DT_I16,    DT_I32,
        DT_I64,  DT_STRING, DT_BOOL,   DT_F16,      DT_F64,        DT_U32,    DT_U64,
        DT_C64,  DT_C128,   DT_BF16,   DT_F8E4M3FN, DT_F8E4M3FNUZ, DT_F8E5M2, DT_F8E5M2FNUZ,
        DT_U4,   DT_I4,     DT_F4E2M1, DT_F8E8M0,   DT_U2,         DT_I2};
    bool known = number > 0 && number < (int64_t)(sizeof types / sizeof types[0]);
    return known ? types[number] : DT_NONE;
}

enum code operand_keep(const struct op_call *c, const struct tensor *from, struct tensor *to,
                       struct err *e) {
    bool sequence = from->dtype == DT_SEQUENCE;
    size_t bytes = sequence ? sizeof(struct sequence) : tensor_bytes(from);
    struct tensor copy = *from;
    copy.layout = LAYOUT_PLAIN;
    if (bytes) {
        TRY(operand_alloc(c, 1, bytes, &copy.data, e));
        memcpy(copy.data, from->data, bytes);
    }
    *to = copy;
    return OK;
}

void operand_put(const struct tensor *to, size_t index, double v) {
    size_t bytes = dtype_size(to->dtype);
    char *p = (char *)to->data + index * bytes;
    float single = (float)v;
    uint16_t half;
    int64_t whole = v >= -0x1p63 && v < 0x1p63 ? (int64_t)v : v > 0 ? INT64_MAX : INT64_MIN;
    switch (to->dtype) {
    case DT_F32: memcpy(p, &single, sizeof single); return;
    case DT_F64: memcpy(p, &v, sizeof v); return;
    case DT_F16:
        half = dtype_f32_to_f16(single);
        memcpy(p, &half, sizeof half);
        return;
    case DT_BF16:
        half = dtype_f32_to_bf16(single);
        memcpy(p, &half, sizeof half);
        return;
    case DT_BOOL: *p = v != 0; return;
    default: memcpy(p, &whole, bytes); /* little-endian */
    }
}
