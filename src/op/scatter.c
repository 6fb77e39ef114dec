/* SPDX-License-Identifier: Apache-2.0 */
/* Writing by index into a copy of the data: scatter, scatter_elements, scatter_nd, tensor_scatter;
 * and max_unpool, which writes to places that max_pool noted.
 *
 * Opsets: reduction add and mul since 16, min and max since 18. Updates are applied in order, so
 * the last of several to one place wins. Every index is checked before its element is written. */
#include "op/operand.h"

enum scatter_kind { SCATTER_NONE, SCATTER_ADD, SCATTER_MUL, SCATTER_MIN, SCATTER_MAX };

static enum code kind_of(const struct operand_at *at, enum scatter_kind *out, struct err *e) {
    static const char *const names[] = {"none", "add", "mul", "min", "max"};
    struct str text = attr_str(at->node, "reduction", "none");
    for (int k = 0; k < 5; k++)
        if (str_is(text, names[k])) {
            *out = (enum scatter_kind)k;
            return OK;
        }
    return operand_fail(at, e, FORMAT, "reduction '%.*s' is not one of none, add, mul, min, max",
                        STR(text));
}

static bool is_index(enum dtype t) { return t == DT_I64 || t == DT_I32; }

static int64_t index_at(const struct tensor *t, size_t k) {
    return t->dtype == DT_I64 ? ((const int64_t *)t->data)[k] : ((const int32_t *)t->data)[k];
}

static enum code checked_index(const struct operand_at *at, const struct tensor *index, size_t k,
                               int64_t dim, int64_t *out, struct err *e) {
    int64_t value = index_at(index, k);
    if (value < -dim || value >= dim)
        return operand_fail(at, e, INVALID, "index %lld at position %zu is outside an axis of %lld",
                            (long long)value, k, (long long)dim);
    *out = value < 0 ? value + dim : value;
    return OK;
}

/* --- one update --- */

static double combine_f64(enum scatter_kind kind, double old, double update) {
    switch (kind) {
    case SCATTER_ADD: return old + update;
    case SCATTER_MUL: return old * update;
    case SCATTER_MIN: return update < old || update != update ? update : old;
    case SCATTER_MAX: return update > old || update != update ? update : old;
    case SCATTER_NONE: break;
    }
    return update;
}

/* Wraps around, as the element types do; is_signed tells how to compare. */
static uint64_t combine_whole(enum scatter_kind kind, bool is_signed, uint64_t old,
                              uint64_t update) {
    bool less = is_signed ? (int64_t)update < (int64_t)old : update < old;
    switch (kind) {
    case SCATTER_ADD: return old + update;
    case SCATTER_MUL: return old * update;
    case SCATTER_MIN: return less ? update : old;
    case SCATTER_MAX: return less ? old : update;
    case SCATTER_NONE: break;
    }
    return update;
}

static void combine_at(enum scatter_kind kind, const struct tensor *to, size_t at,
                       const struct tensor *updates, size_t k) {
    if (!dtype_is_float(to->dtype)) {
        uint64_t v = combine_whole(kind, dtype_is_signed(to->dtype), (uint64_t)tensor_i64(to, at),
                                   (uint64_t)tensor_i64(updates, k));
        switch (dtype_size(to->dtype)) {
        case 1: ((uint8_t *)to->data)[at] = (uint8_t)v; return;
        case 2: ((uint16_t *)to->data)[at] = (uint16_t)v; return;
        case 4: ((uint32_t *)to->data)[at] = (uint32_t)v; return;
        default: ((uint64_t *)to->data)[at] = v; return;
        }
    }
    double v = combine_f64(kind, tensor_f64(to, at), tensor_f64(updates, k));
    switch (to->dtype) {
    case DT_F64: ((double *)to->data)[at] = v; return;
    case DT_F16: ((uint16_t *)to->data)[at] = dtype_f32_to_f16((float)v); return;
    case DT_BF16: ((uint16_t *)to->data)[at] = dtype_f32_to_bf16((float)v); return;
    default: ((float *)to->data)[at] = (float)v;
    }
}

/* n elements from updates[k] on to to[at] on. */
static void put_run(enum scatter_kind kind, const struct tensor *to, size_t at,
                    const struct tensor *updates, size_t k, size_t n) {
    size_t bytes = dtype_size(to->dtype);
    if (kind == SCATTER_NONE) {
        if (n == 1 && bytes == 4)
            memcpy((char *)to->data + at * 4, (const char *)updates->data + k * 4, 4);
        else if (n)
            memcpy((char *)to->data + at * bytes, (const char *)updates->data + k * bytes,
                   n * bytes);
        return;
    }
    for (size_t i = 0; i < n; i++)
        combine_at(kind, to, at + i, updates, k + i);
}

static void copy_data(const struct op_call *c) {
    size_t bytes = tensor_bytes(c->in[0]);
    if (bytes && c->out[0]->data != c->in[0]->data)
        memcpy(c->out[0]->data, c->in[0]->data, bytes);
}

/* What all of them check: types, and that reduction means something for them. */
static enum code infer_common(struct op_infer *c, struct err *e) {
    enum scatter_kind kind;
    TRY(operand_need(c, 3, e));
    enum dtype t = c->in[0].dtype;
    if (!is_index(c->in[1].dtype))
        return operand_fail(c, e, INVALID, "the indexes are %s, i32 or i64 was expected",
                            dtype_name(c->in[1].dtype));
    if (c->in[2].dtype != t)
        return operand_fail(c, e, INVALID, "the updates are %s, the data %s",
                            dtype_name(c->in[2].dtype), dtype_name(t));
    TRY(kind_of(OPERAND_AT(c), &kind, e));
    if (kind != SCATTER_NONE && !dtype_is_float(t) && !dtype_is_integer(t) && t != DT_BOOL)
        return operand_fail(c, e, UNSUPPORTED, "reduction of %s elements", dtype_name(t));
    return operand_infer_same(c, e);
}

/* --- scatter_elements, and scatter, its old name --- */

static enum code infer_scatter_elements(struct op_infer *c, struct err *e) {
    TRY(infer_common(c, e));
    if (!operand_known(c))
        return OK;
    const struct shape *in = &c->in[0].shape, *index = &c->in[1].shape;
    char text[SHAPE_TEXT], data[SHAPE_TEXT];
    int axis;
    TRY(operand_axis(OPERAND_AT(c), attr_int(c->node, "axis", 0), in->rank, &axis, e));
    bool fits = in->rank == index->rank && shape_eq(index, &c->in[2].shape);
    for (int k = 0; fits && k < in->rank; k++)
        fits = k == axis || index->dims[k] <= in->dims[k];
    if (!fits)
        return operand_fail(c, e, INVALID,
                            "indexes of shape %s do not fit the updates and data of shape %s",
                            shape_print(index, text), shape_print(in, data));
    return OK;
}

static enum code run_scatter_elements(const struct op_call *c, struct err *e) {
    const struct tensor *index = c->in[1], *updates = c->in[2];
    const struct shape *shape = &index->shape;
    int axis, rank = shape->rank;
    int64_t strides[SHAPE_MAX], at[SHAPE_MAX] = {0}, value;
    enum scatter_kind kind;
    TRY(kind_of(OPERAND_AT(c), &kind, e));
    TRY(operand_axis(OPERAND_AT(c), attr_int(c->node, "axis", 0), rank, &axis, e));
    shape_strides(&c->in[0]->shape, strides);
    int64_t dim = c->in[0]->shape.dims[axis];
    copy_data(c);
    for (size_t k = 0, n = tensor_count(index); k < n; k++) {
        TRY(checked_index(OPERAND_AT(c), index, k, dim, &value, e));
        int64_t position = 0;
        for (int d = 0; d < rank; d++)
            position += (d == axis ? value : at[d]) * strides[d];
        put_run(kind, c->out[0], (size_t)position, updates, k, 1);
        for (int d = rank - 1; d >= 0 && ++at[d] == shape->dims[d]; d--)
            at[d] = 0;
    }
    return OK;
}

/* --- scatter_nd: the last dim of the indexes is a coordinate --- */

static enum code infer_scatter_nd(struct op_infer *c, struct err *e) {
    TRY(infer_common(c, e));
    if (!operand_known(c))
        return OK;
    const struct shape *in = &c->in[0].shape, *index = &c->in[1].shape, *updates = &c->in[2].shape;
    char text[3][SHAPE_TEXT];
    int64_t length = index->rank ? index->dims[index->rank - 1] : -1;
    bool fits =
        length >= 0 && length <= in->rank && updates->rank == index->rank - 1 + in->rank - length;
    for (int k = 0; fits && k < updates->rank; k++)
        fits =
            updates->dims[k] ==
            (k < index->rank - 1 ? index->dims[k] : in->dims[k - (index->rank - 1) + (int)length]);
    if (!fits)
        return operand_fail(c, e, INVALID, "indexes %s and updates %s do not fit data %s",
                            shape_print(index, text[0]), shape_print(updates, text[1]),
                            shape_print(in, text[2]));
    return OK;
}

static enum code run_scatter_nd(const struct op_call *c, struct err *e) {
    const struct tensor *in = c->in[0], *index = c->in[1];
    enum scatter_kind kind;
    TRY(kind_of(OPERAND_AT(c), &kind, e));
    copy_data(c);
    if (!tensor_count(c->in[2]))
        return OK;
    size_t length = (size_t)index->shape.dims[index->shape.rank - 1], n = 1, run = 1;
    for (int k = 0; k < index->shape.rank - 1; k++)
        n *= (size_t)index->shape.dims[k];
    for (int k = (int)length; k < in->shape.rank; k++)
        run *= (size_t)in->shape.dims[k];
    for (size_t k = 0; k < n; k++) {
        size_t position = 0;
        for (size_t d = 0; d < length; d++) {
            int64_t value, dim = in->shape.dims[d];
            TRY(checked_index(OPERAND_AT(c), index, k * length + d, dim, &value, e));
            position = position * (size_t)dim + (size_t)value;
        }
        put_run(kind, c->out[0], position * run, c->in[2], k * run, run);
    }
    return OK;
}

/* --- tensor_scatter (24): new entries of a key/value cache, one write position per batch entry ---
 */

static enum code tensor_scatter_axis(const struct operand_at *at, int rank, int *axis,
                                     struct err *e) {
    TRY(operand_axis(at, attr_int(at->node, "axis", -2), rank, axis, e));
    if (*axis == 0)
        return operand_fail(at, e, INVALID, "axis 0 is the batch");
    return OK;
}

static enum code infer_tensor_scatter(struct op_infer *c, struct err *e) {
    TRY(operand_need(c, 2, e));
    TRY(operand_infer_same(c, e));
    if (c->in[0].dtype != c->in[1].dtype || (operand_given(c, 2) && c->in[2].dtype != DT_I64))
        return operand_fail(c, e, INVALID,
                            "the update must have the cache's type, write_indices be i64");
    struct str mode = attr_str(c->node, "mode", "linear");
    if (!str_is(mode, "linear") && !str_is(mode, "circular"))
        return operand_fail(c, e, FORMAT, "mode '%.*s' is not one of linear, circular", STR(mode));
    if (!operand_known(c))
        return OK;
    const struct shape *cache = &c->in[0].shape, *update = &c->in[1].shape;
    char text[2][SHAPE_TEXT];
    int axis;
    TRY(tensor_scatter_axis(OPERAND_AT(c), cache->rank, &axis, e));
    bool fits = cache->rank == update->rank;
    for (int k = 0; fits && k < cache->rank; k++)
        fits = k == axis ? update->dims[k] <= cache->dims[k] : update->dims[k] == cache->dims[k];
    if (fits && operand_given(c, 2))
        fits = c->in[2].shape.rank == 1 && c->in[2].shape.dims[0] == cache->dims[0];
    if (!fits)
        return operand_fail(c, e, INVALID, "an update of shape %s does not fit a cache of shape %s",
                            shape_print(update, text[0]), shape_print(cache, text[1]));
    return OK;
}

static enum code run_tensor_scatter(const struct op_call *c, struct err *e) {
    const struct shape *cache = &c->in[0]->shape, *update = &c->in[1]->shape;
    const struct tensor *starts = operand_in(c, 2);
    bool circular = str_is(attr_str(c->node, "mode", "linear"), "circular");
    int axis;
    TRY(tensor_scatter_axis(OPERAND_AT(c), cache->rank, &axis, e));
    copy_data(c);
    if (!tensor_count(c->in[1]))
        return OK;
    size_t middle = 1, run = 1; /* (batch, middle, axis, run) */
    for (int k = 1; k < axis; k++)
        middle *= (size_t)cache->dims[k];
    for (int k = axis + 1; k < cache->rank; k++)
        run *= (size_t)cache->dims[k];
    int64_t room = cache->dims[axis], n = update->dims[axis];
    for (size_t o = 0; o < (size_t)cache->dims[0] * middle; o++) {
        int64_t start = starts ? index_at(starts, o / middle) : 0;
        if (start < 0 || (circular ? start >= room : start > room - n))
            return operand_fail(c, e, INVALID,
                                "write index %lld with %lld entries in a cache of %lld",
                                (long long)start, (long long)n, (long long)room);
        for (int64_t k = 0; k < n; k++)
            put_run(SCATTER_NONE, c->out[0],
                    (o * (size_t)room + (size_t)((start + k) % room)) * run, c->in[1],
                    (o * (size_t)n + (size_t)k) * run, run);
    }
    return OK;
}

/* --- max_unpool: maxima back to where max_pool found them, zeros elsewhere --- */

/* The shape that was pooled, as the attributes tell: the indexes count in it. */
static enum code unpool_shape(const struct operand_at *at, const struct shape *x, struct shape *out,
                              struct err *e) {
    int64_t kernel[SHAPE_MAX], stride[SHAPE_MAX], pad[2 * SHAPE_MAX];
    int n = x->rank - 2;
    if (n < 1)
        return operand_fail(at, e, INVALID, "the input has rank %d", x->rank);
    const int64_t most = INT64_C(1) << 32;
    TRY(operand_attr_each(at, "kernel_shape", n, 1, 0, most, kernel, e));
    TRY(operand_attr_each(at, "strides", n, 1, 0, most, stride, e));
    TRY(operand_attr_each(at, "pads", 2 * n, 0, 0, most, pad, e));
    *out = *x;
    for (int k = 0; k < n; k++) {
        int64_t span;
        if (__builtin_mul_overflow(x->dims[2 + k] - 1, stride[k], &span))
            return operand_fail(at, e, LIMIT, "the output is too large");
        out->dims[2 + k] = span - pad[k] - pad[n + k] + kernel[k];
    }
    return OK;
}

static enum code infer_max_unpool(struct op_infer *c, struct err *e) {
    struct shape out;
    struct operand_ints size;
    TRY(operand_need(c, 2, e));
    operand_out_later(c, 0, c->in[0].dtype);
    if (c->in[1].dtype != DT_I64 ||
        (operand_known(c) && !shape_eq(&c->in[0].shape, &c->in[1].shape)))
        return operand_fail(c, e, INVALID, "the indexes must be i64, of the shape of the input");
    if (!c->in[0].known || (operand_given(c, 2) && !operand_data(c, 2)))
        return OK;
    TRY(unpool_shape(OPERAND_AT(c), &c->in[0].shape, &out, e));
    if (!operand_given(c, 2))
        return operand_out(c, 0, c->in[0].dtype, &out, e);
    TRY(operand_ints(OPERAND_AT(c), operand_data(c, 2), "output_shape", &size, e));
    for (int k = 0; k < out.rank; k++) {
        if (size.n != out.rank || size.v[k] < out.dims[k])
            return operand_fail(c, e, INVALID, "output_shape is smaller than what was pooled");
        out.dims[k] = size.v[k];
    }
    return operand_out(c, 0, c->in[0].dtype, &out, e);
}

static enum code run_max_unpool(const struct op_call *c, struct err *e) {
    const struct tensor *x = c->in[0], *index = c->in[1];
    struct tensor *out = c->out[0];
    struct shape pooled;
    int64_t strides[SHAPE_MAX];
    size_t bytes = dtype_size(x->dtype), room;
    TRY(unpool_shape(OPERAND_AT(c), &x->shape, &pooled, e));
    if (!shape_count(&pooled, &room))
        return operand_fail(c, e, INVALID, "the pads are larger than the output");
    shape_strides(&out->shape, strides);
    if (tensor_bytes(out))
        memset(out->data, 0, tensor_bytes(out));
    for (size_t k = 0, n = tensor_count(x); k < n; k++) {
        int64_t rest, position = 0;
        TRY(checked_index(OPERAND_AT(c), index, k, (int64_t)room, &rest, e));
        for (int d = pooled.rank - 1; d >= 0; d--) {
            position += rest % pooled.dims[d] * strides[d];
            rest /= pooled.dims[d];
        }
        memcpy((char *)out->data + (size_t)position * bytes, (const char *)x->data + k * bytes,
               bytes);
    }
    return OK;
}

const struct op op_scatter_elements = {.name = "scatter_elements",
                                       .flags = OP_PURE | OP_INPLACE,
                                       .infer = infer_scatter_elements,
                                       .run = run_scatter_elements};
const struct op op_scatter_nd = {.name = "scatter_nd",
                                 .flags = OP_PURE | OP_INPLACE,
                                 .infer = infer_scatter_nd,
                                 .run = run_scatter_nd};
const struct op op_tensor_scatter = {.name = "tensor_scatter",
                                     .flags = OP_PURE | OP_INPLACE,
                                     .infer = infer_tensor_scatter,
                                     .run = run_tensor_scatter};
const struct op op_max_unpool = {
    .name = "max_unpool", .flags = OP_PURE, .infer = infer_max_unpool, .run = run_max_unpool};
