/* SPDX-License-Identifier: Apache-2.0 */
/* Reading by index: gather, gather_elements, gather_nd, array_feature_extractor, compress, one_hot.
 *
 * Index values come from data and are hostile: each is checked against its axis, negative ones
 * count from the end, and one outside is INVALID with its value and place. */
#include "op/operand.h"

enum { GATHER_PARALLEL_BYTES = 256 << 10 };

static bool is_index(enum dtype t) { return t == DT_I64 || t == DT_I32; }

static int64_t index_at(const struct tensor *t, size_t k) {
    return t->dtype == DT_I64 ? ((const int64_t *)t->data)[k] : ((const int32_t *)t->data)[k];
}

static enum code bad_index(const struct operand_at *at, int64_t value, size_t place, int64_t dim,
                           struct err *e) {
    return operand_fail(at, e, INVALID, "index %lld at position %zu is outside an axis of %lld",
                        (long long)value, place, (long long)dim);
}

/* Checks all indexes of one axis; run then may use them freely. */
static enum code check_indexes(const struct op_call *c, const struct tensor *t, int64_t dim,
                               struct err *e) {
    size_t n = tensor_count(t);
    for (size_t k = 0; k < n; k++) {
        int64_t v = index_at(t, k);
        if (v < -dim || v >= dim)
            return bad_index(OPERAND_AT(c), v, k, dim, e);
    }
    return OK;
}

static size_t product(const struct shape *s, int from, int to) {
    size_t n = 1;
    for (int k = from; k < to; k++)
        n *= (size_t)s->dims[k];
    return n;
}

static enum code need_index(struct op_infer *c, int i, struct err *e) {
    if (!is_index(c->in[i].dtype))
        return operand_fail(c, e, INVALID, "the indexes are %s, i32 or i64 was expected",
                            dtype_name(c->in[i].dtype));
    return OK;
}

/* --- gather: whole slices along one axis --- */

static enum code infer_gather(struct op_infer *c, struct err *e) {
    TRY(operand_need(c, 2, e));
    TRY(need_index(c, 1, e));
    operand_out_later(c, 0, c->in[0].dtype);
    if (!operand_known(c))
        return OK;
    const struct shape *in = &c->in[0].shape, *index = &c->in[1].shape;
    struct shape out = {.rank = 0};
    int axis;
    TRY(operand_axis(OPERAND_AT(c), attr_int(c->node, "axis", 0), in->rank, &axis, e));
    if (in->rank - 1 + index->rank > SHAPE_MAX)
        return operand_fail(c, e, LIMIT, "the result has %d dims, at most %d are supported",
                            in->rank - 1 + index->rank, SHAPE_MAX);
    for (int k = 0; k < axis; k++)
        out.dims[out.rank++] = in->dims[k];
    for (int k = 0; k < index->rank; k++)
        out.dims[out.rank++] = index->dims[k];
    for (int k = axis + 1; k < in->rank; k++)
        out.dims[out.rank++] = in->dims[k];
    return operand_out(c, 0, c->in[0].dtype, &out, e);
}

/* Fixed sizes let the compiler move the element in a register. */
static inline void move_element(char *to, const char *from, size_t bytes) {
    switch (bytes) {
    case 1: *to = *from; return;
    case 2: memcpy(to, from, 2); return;
    case 4: memcpy(to, from, 4); return;
    case 8: memcpy(to, from, 8); return;
    default: memcpy(to, from, bytes);
    }
}

static enum code run_gather(const struct op_call *c, struct err *e) {
    const struct tensor *in = c->in[0], *index = c->in[1];
    int axis;
    TRY(operand_axis(OPERAND_AT(c), attr_int(c->node, "axis", 0), in->shape.rank, &axis, e));
    int64_t dim = in->shape.dims[axis];
    TRY(check_indexes(c, index, dim, e));
    size_t n = tensor_count(index), outer = product(&in->shape, 0, axis);
    size_t run = product(&in->shape, axis + 1, in->shape.rank) * dtype_size(in->dtype);
    size_t total = outer * n * run;
    bool parallel = c->threads > 1 && total > GATHER_PARALLEL_BYTES;
    if (!total)
        return OK;
#pragma omp parallel for collapse(2) num_threads(c->threads) schedule(static) if (parallel)
    for (size_t o = 0; o < outer; o++)
        for (size_t k = 0; k < n; k++) {
            int64_t at = index_at(index, k);
            at += at < 0 ? dim : 0;
            move_element((char *)c->out[0]->data + (o * n + k) * run,
                         (const char *)in->data + (o * (size_t)dim + (size_t)at) * run, run);
        }
    return OK;
}

/* --- gather_elements: one element per index, other coordinates as the index tensor's --- */

static enum code infer_gather_elements(struct op_infer *c, struct err *e) {
    TRY(operand_need(c, 2, e));
    TRY(need_index(c, 1, e));
    operand_out_later(c, 0, c->in[0].dtype);
    if (!operand_known(c))
        return OK;
    const struct shape *in = &c->in[0].shape, *index = &c->in[1].shape;
    int axis;
    TRY(operand_axis(OPERAND_AT(c), attr_int(c->node, "axis", 0), in->rank, &axis, e));
    bool fits = in->rank == index->rank;
    for (int k = 0; fits && k < in->rank; k++)
        fits = k == axis || index->dims[k] <= in->dims[k];
    char data[SHAPE_TEXT], text[SHAPE_TEXT];
    if (!fits)
        return operand_fail(c, e, INVALID,
                            "indexes of shape %s do not fit data of shape %s along axis %d",
                            shape_print(index, text), shape_print(in, data), axis);
    return operand_out(c, 0, c->in[0].dtype, index, e);
}

static enum code run_gather_elements(const struct op_call *c, struct err *e) {
    const struct tensor *in = c->in[0], *index = c->in[1];
    const struct shape *shape = &index->shape;
    int axis, rank = shape->rank;
    int64_t strides[SHAPE_MAX], at[SHAPE_MAX] = {0};
    TRY(operand_axis(OPERAND_AT(c), attr_int(c->node, "axis", 0), rank, &axis, e));
    int64_t dim = in->shape.dims[axis];
    TRY(check_indexes(c, index, dim, e));
    shape_strides(&in->shape, strides);
    size_t bytes = dtype_size(in->dtype), n = tensor_count(index);
    for (size_t k = 0; k < n; k++) {
        int64_t position = 0, value = index_at(index, k);
        for (int d = 0; d < rank; d++)
            position += (d == axis ? (value < 0 ? value + dim : value) : at[d]) * strides[d];
        move_element((char *)c->out[0]->data + k * bytes,
                     (const char *)in->data + (size_t)position * bytes, bytes);
        for (int d = rank - 1; d >= 0 && ++at[d] == shape->dims[d]; d--)
            at[d] = 0;
    }
    return OK;
}

/* --- gather_nd: the last dim of the indexes is a coordinate --- */

static enum code gather_nd_batch(const struct operand_at *at, const struct shape *in,
                                 const struct shape *index, int *batch, struct err *e) {
    int64_t dims = attr_int(at->node, "batch_dims", 0);
    if (in->rank < 1 || index->rank < 1 || dims < 0 || dims >= index->rank || dims >= in->rank)
        return operand_fail(at, e, INVALID,
                            "batch_dims %lld with data of rank %d and indexes of rank %d",
                            (long long)dims, in->rank, index->rank);
    for (int k = 0; k < dims; k++)
        if (in->dims[k] != index->dims[k])
            return operand_fail(at, e, INVALID,
                                "batch dim %d is %lld in the data, %lld in the indexes", k,
                                (long long)in->dims[k], (long long)index->dims[k]);
    int64_t length = index->dims[index->rank - 1];
    if (length < 0 || length > in->rank - dims)
        return operand_fail(at, e, INVALID, "coordinates of %lld numbers for data of rank %d",
                            (long long)length, in->rank);
    *batch = (int)dims;
    return OK;
}

static enum code infer_gather_nd(struct op_infer *c, struct err *e) {
    TRY(operand_need(c, 2, e));
    TRY(need_index(c, 1, e));
    operand_out_later(c, 0, c->in[0].dtype);
    if (!operand_known(c))
        return OK;
    const struct shape *in = &c->in[0].shape, *index = &c->in[1].shape;
    struct shape out = {.rank = 0};
    int batch;
    TRY(gather_nd_batch(OPERAND_AT(c), in, index, &batch, e));
    int length = (int)index->dims[index->rank - 1];
    if (index->rank - 1 + in->rank - batch - length > SHAPE_MAX)
        return operand_fail(c, e, LIMIT, "the result has more than %d dims", SHAPE_MAX);
    for (int k = 0; k < index->rank - 1; k++)
        out.dims[out.rank++] = index->dims[k];
    for (int k = batch + length; k < in->rank; k++)
        out.dims[out.rank++] = in->dims[k];
    return operand_out(c, 0, c->in[0].dtype, &out, e);
}

static enum code run_gather_nd(const struct op_call *c, struct err *e) {
    const struct tensor *in = c->in[0], *index = c->in[1];
    int batch, rank = in->shape.rank;
    TRY(gather_nd_batch(OPERAND_AT(c), &in->shape, &index->shape, &batch, e));
    size_t length = (size_t)index->shape.dims[index->shape.rank - 1];
    size_t n = product(&index->shape, 0, index->shape.rank - 1),
           per_batch = product(&index->shape, 0, batch);
    size_t run = product(&in->shape, batch + (int)length, rank) * dtype_size(in->dtype);
    size_t block = product(&in->shape, batch, rank) * dtype_size(in->dtype);
    if (n == 0 || run == 0)
        return OK;
    per_batch = n / per_batch;
    for (size_t k = 0; k < n; k++) {
        size_t position = 0;
        for (size_t d = 0; d < length; d++) {
            int64_t value = index_at(index, k * length + d), dim = in->shape.dims[batch + (int)d];
            if (value < -dim || value >= dim)
                return bad_index(OPERAND_AT(c), value, k * length + d, dim, e);
            position = position * (size_t)dim + (size_t)(value < 0 ? value + dim : value);
        }
        memcpy((char *)c->out[0]->data + k * run,
               (const char *)in->data + k / per_batch * block + position * run, run);
    }
    return OK;
}

/* --- array_feature_extractor (ai.onnx.ml 1): columns of the last axis --- */

static enum code infer_array_feature_extractor(struct op_infer *c, struct err *e) {
    TRY(operand_need(c, 2, e));
    TRY(need_index(c, 1, e));
    operand_out_later(c, 0, c->in[0].dtype);
    if (!operand_known(c))
        return OK;
    size_t n;
    struct shape out = c->in[0].shape;
    if (out.rank < 1 || !shape_count(&c->in[1].shape, &n))
        return operand_fail(c, e, INVALID, "the data has rank %d", out.rank);
    if (out.rank == 1)
        out = (struct shape){.rank = 2, .dims = {1, 0}};
    out.dims[out.rank - 1] = (int64_t)n;
    return operand_out(c, 0, c->in[0].dtype, &out, e);
}

static enum code run_array_feature_extractor(const struct op_call *c, struct err *e) {
    const struct tensor *in = c->in[0], *index = c->in[1];
    int64_t dim = in->shape.dims[in->shape.rank - 1];
    TRY(check_indexes(c, index, dim, e));
    size_t n = tensor_count(index), rows = product(&in->shape, 0, in->shape.rank - 1),
           bytes = dtype_size(in->dtype);
    for (size_t r = 0; r < rows; r++)
        for (size_t k = 0; k < n; k++) {
            int64_t at = index_at(index, k);
            at += at < 0 ? dim : 0;
            memcpy((char *)c->out[0]->data + (r * n + k) * bytes,
                   (const char *)in->data + (r * (size_t)dim + (size_t)at) * bytes, bytes);
        }
    return OK;
}

/* --- compress: the positions of an axis (or of all elements) where a condition holds --- */

static enum code compress_axis(const struct operand_at *at, const struct shape *in, int *axis,
                               struct err *e) {
    if (attr_find(at->node, "axis"))
        return operand_axis(at, attr_int(at->node, "axis", 0), in->rank, axis, e);
    *axis = -1; /* all elements as one list */
    return OK;
}

/* Positions that hold; those beyond `limit` are INVALID. */
static enum code compress_count(const struct operand_at *at, const struct tensor *condition,
                                size_t limit, size_t *out, struct err *e) {
    const uint8_t *holds = condition->data;
    *out = 0;
    for (size_t k = 0; k < tensor_count(condition); k++) {
        if (holds[k] && k >= limit)
            return operand_fail(at, e, INVALID, "the condition selects position %zu of %zu", k,
                                limit);
        *out += holds[k] != 0;
    }
    return OK;
}

static enum code infer_compress(struct op_infer *c, struct err *e) {
    TRY(operand_need(c, 2, e));
    operand_out_later(c, 0, c->in[0].dtype);
    if (c->in[1].dtype != DT_BOOL || (c->in[1].known && c->in[1].shape.rank != 1))
        return operand_fail(c, e, INVALID, "the condition must be a list of bool");
    if (!c->in[0].known || !operand_data(c, 1))
        return OK;
    int axis;
    size_t n, all;
    struct shape out = c->in[0].shape;
    TRY(compress_axis(OPERAND_AT(c), &out, &axis, e));
    if (!shape_count(&out, &all))
        return operand_fail(c, e, LIMIT, "the data is too large");
    TRY(compress_count(OPERAND_AT(c), c->in[1].data, axis < 0 ? all : (size_t)out.dims[axis], &n,
                       e));
    if (axis < 0)
        out = (struct shape){.rank = 1, .dims = {0}};
    out.dims[axis < 0 ? 0 : axis] = (int64_t)n;
    return operand_out(c, 0, c->in[0].dtype, &out, e);
}

static enum code run_compress(const struct op_call *c, struct err *e) {
    const struct tensor *in = c->in[0];
    const uint8_t *holds = c->in[1]->data;
    int axis;
    TRY(compress_axis(OPERAND_AT(c), &in->shape, &axis, e));
    size_t outer = axis < 0 ? 1 : product(&in->shape, 0, axis);
    size_t dim = axis < 0 ? tensor_count(in) : (size_t)in->shape.dims[axis];
    size_t run =
        (axis < 0 ? 1 : product(&in->shape, axis + 1, in->shape.rank)) * dtype_size(in->dtype);
    size_t n = tensor_count(c->in[1]) < dim ? tensor_count(c->in[1]) : dim;
    char *to = c->out[0]->data;
    for (size_t o = 0; o < outer && run; o++)
        for (size_t k = 0; k < n; k++)
            if (holds[k]) {
                memcpy(to, (const char *)in->data + (o * dim + k) * run, run);
                to += run;
            }
    return OK;
}

/* --- one_hot --- */

static enum code infer_one_hot(struct op_infer *c, struct err *e) {
    TRY(operand_need(c, 3, e));
    operand_out_later(c, 0, c->in[2].dtype);
    if (!c->in[0].known || !operand_data(c, 1))
        return OK;
    double depth;
    int axis;
    const struct shape *in = &c->in[0].shape;
    TRY(operand_number(OPERAND_AT(c), operand_data(c, 1), "depth", &depth, e));
    if (!(depth >= 1 && depth <= 0x1p47))
        return operand_fail(c, e, INVALID, "depth is %g", depth);
    if (in->rank >= SHAPE_MAX)
        return operand_fail(c, e, LIMIT, "the result has %d dims, at most %d are supported",
                            in->rank + 1, SHAPE_MAX);
    TRY(operand_axis(OPERAND_AT(c), attr_int(c->node, "axis", -1), in->rank + 1, &axis, e));
    struct shape out = {.rank = in->rank + 1};
    for (int k = 0, from = 0; k < out.rank; k++)
        out.dims[k] = k == axis ? (int64_t)depth : in->dims[from++];
    return operand_out(c, 0, c->in[2].dtype, &out, e);
}

static enum code run_one_hot(const struct op_call *c, struct err *e) {
    const struct tensor *in = c->in[0], *values = c->in[2];
    int axis;
    size_t bytes = dtype_size(values->dtype);
    TRY(operand_axis(OPERAND_AT(c), attr_int(c->node, "axis", -1), in->shape.rank + 1, &axis, e));
    if (tensor_count(values) != 2)
        return operand_fail(c, e, INVALID, "values has %zu elements, off and on were expected",
                            tensor_count(values));
    size_t outer = product(&in->shape, 0, axis), inner = product(&in->shape, axis, in->shape.rank);
    size_t depth = (size_t)c->out[0]->shape.dims[axis];
    const char *off = values->data, *on = off + bytes;
    char *to = c->out[0]->data;
    for (size_t k = 0; k < outer * depth * inner; k++)
        move_element(to + k * bytes, off, bytes);
    for (size_t o = 0; o < outer; o++)
        for (size_t i = 0; i < inner; i++) {
            double at = tensor_f64(in, o * inner + i);
            at += at < 0 ? (double)depth : 0;
            if (at >= 0 && at < (double)depth) /* outside: all off */
                move_element(to + ((o * depth + (size_t)at) * inner + i) * bytes, on, bytes);
        }
    return OK;
}

const struct op op_gather = {
    .name = "gather", .flags = OP_PURE, .infer = infer_gather, .run = run_gather};
const struct op op_gather_elements = {.name = "gather_elements",
                                      .flags = OP_PURE,
                                      .infer = infer_gather_elements,
                                      .run = run_gather_elements};
const struct op op_gather_nd = {
    .name = "gather_nd", .flags = OP_PURE, .infer = infer_gather_nd, .run = run_gather_nd};
const struct op op_array_feature_extractor = {.name = "array_feature_extractor",
                                              .flags = OP_PURE,
                                              .infer = infer_array_feature_extractor,
                                              .run = run_array_feature_extractor};
const struct op op_compress = {
    .name = "compress", .flags = OP_PURE, .infer = infer_compress, .run = run_compress};
const struct op op_one_hot = {
    .name = "one_hot", .flags = OP_PURE, .infer = infer_one_hot, .run = run_one_hot};
