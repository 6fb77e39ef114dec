/* SPDX-License-Identifier: Apache-2.0 */
/* Pieces of a tensor: slice, center_crop_pad, trilu, reverse_sequence.
 *
 * Opsets: slice takes starts, ends and axes as attributes before 10, as inputs with steps since. */
#include "op/operand.h"
#include "op/stride.h"

/* --- slice --- */

struct slice_range { /* of one axis */
    int64_t start, step, count;
};

struct slice_lists {
    struct operand_ints starts, ends, axes, steps;
    bool has_axes, has_steps;
};

static enum code slice_lists_attr(const struct operand_at *at, struct slice_lists *l,
                                  struct err *e) {
    bool has_starts, has_ends;
    TRY(operand_attr_ints(at, "starts", &l->starts, &has_starts, e));
    TRY(operand_attr_ints(at, "ends", &l->ends, &has_ends, e));
    TRY(operand_attr_ints(at, "axes", &l->axes, &l->has_axes, e));
    l->has_steps = false;
    if (!has_starts || !has_ends)
        return operand_fail(at, e, FORMAT, "attributes 'starts' and 'ends' are needed");
    return OK;
}

/* t: starts, ends, axes, steps; the last two may be NULL */
static enum code slice_lists_data(const struct operand_at *at, const struct tensor *const t[4],
                                  struct slice_lists *l, struct err *e) {
    TRY(operand_ints(at, t[0], "starts", &l->starts, e));
    TRY(operand_ints(at, t[1], "ends", &l->ends, e));
    l->has_axes = t[2] != NULL;
    l->has_steps = t[3] != NULL;
    if (l->has_axes)
        TRY(operand_ints(at, t[2], "axes", &l->axes, e));
    if (l->has_steps)
        TRY(operand_ints(at, t[3], "steps", &l->steps, e));
    return OK;
}

static int64_t clamp(int64_t v, int64_t low, int64_t high) {
    return v < low ? low : v > high ? high : v;
}

/* Start and number of positions of an axis of `dim`, as numpy counts them, but for a start left of
 * everything on the way back: ONNX moves it to the first element, where numpy has none. */
static struct slice_range range_of(int64_t dim, int64_t start, int64_t end, int64_t step) {
    struct slice_range r = {.step = step};
    start = start < 0 ? (start < -dim ? -1 : start + dim) : start; /* INT64_MIN stays far left */
    end = end < 0 ? (end < -dim ? -1 : end + dim) : end;
    if (step > 0) {
        r.start = clamp(start, 0, dim);
        int64_t length = clamp(end, 0, dim) - r.start;
        r.count = length > 0 ? (length - 1) / step + 1 : 0;
    } else if (dim > 0) {
        r.start = clamp(start, 0, dim - 1);
        int64_t length = r.start - clamp(end, -1, dim - 1);
        r.count = length > 0 ? (int64_t)(((uint64_t)length - 1) / (0 - (uint64_t)step)) + 1 : 0;
    }
    return r;
}

static enum code slice_ranges(const struct operand_at *at, struct slice_lists *l,
                              const struct shape *in, struct slice_range *out, struct err *e) {
    int n = l->starts.n;
    if (l->ends.n != n || (l->has_axes && l->axes.n != n) || (l->has_steps && l->steps.n != n))
        return operand_fail(at, e, INVALID, "starts, ends, axes and steps differ in length");
    if (!l->has_axes) {
        l->axes.n = n;
        for (int k = 0; k < n; k++)
            l->axes.v[k] = k;
    }
    TRY(operand_axes(at, &l->axes, in->rank, e));
    for (int k = 0; k < in->rank; k++)
        out[k] = (struct slice_range){.start = 0, .step = 1, .count = in->dims[k]};
    for (int k = 0; k < n; k++) {
        int64_t step = l->has_steps ? l->steps.v[k] : 1;
        if (step == 0)
            return operand_fail(at, e, INVALID, "the step of axis %lld is 0",
                                (long long)l->axes.v[k]);
        out[l->axes.v[k]] = range_of(in->dims[l->axes.v[k]], l->starts.v[k], l->ends.v[k], step);
    }
    return OK;
}

static enum code infer_slice(struct op_infer *c, struct err *e) {
    bool inputs = c->node->opset >= 10;
    struct slice_lists lists;
    struct slice_range ranges[SHAPE_MAX];
    TRY(operand_need(c, inputs ? 3 : 1, e));
    operand_out_later(c, 0, c->in[0].dtype);
    if (inputs) {
        const struct tensor *t[4];
        for (int k = 0; k < 4; k++) {
            t[k] = operand_data(c, k + 1);
            if (!t[k] && operand_given(c, k + 1))
                return OK;
        }
        TRY(slice_lists_data(OPERAND_AT(c), t, &lists, e));
    } else {
        TRY(slice_lists_attr(OPERAND_AT(c), &lists, e));
    }
    if (!c->in[0].known)
        return OK;
    struct shape out = c->in[0].shape;
    TRY(slice_ranges(OPERAND_AT(c), &lists, &c->in[0].shape, ranges, e));
    for (int k = 0; k < out.rank; k++)
        out.dims[k] = ranges[k].count;
    return operand_out(c, 0, c->in[0].dtype, &out, e);
}

static enum code run_slice(const struct op_call *c, struct err *e) {
    const struct tensor *in = c->in[0];
    struct slice_lists lists;
    struct slice_range ranges[SHAPE_MAX];
    if (c->node->opset >= 10) {
        const struct tensor *t[4] = {c->in[1], c->in[2], operand_in(c, 3), operand_in(c, 4)};
        TRY(slice_lists_data(OPERAND_AT(c), t, &lists, e));
    } else {
        TRY(slice_lists_attr(OPERAND_AT(c), &lists, e));
    }
    TRY(slice_ranges(OPERAND_AT(c), &lists, &in->shape, ranges, e));
    if (!tensor_count(c->out[0]))
        return OK;
    struct stride s = {.rank = 0};
    int64_t strides[SHAPE_MAX], first = 0;
    shape_strides(&in->shape, strides);
    for (int k = 0; k < in->shape.rank; k++) {
        first += ranges[k].start * strides[k];
        stride_push(&s, ranges[k].count, 0, ranges[k].count > 1 ? ranges[k].step * strides[k] : 0);
    }
    stride_dense(&s);
    size_t bytes = dtype_size(in->dtype);
    stride_copy(&s, c->out[0]->data, (const char *)in->data + (size_t)first * bytes, bytes,
                c->threads);
    return OK;
}

/* --- center_crop_pad --- */

static enum code infer_center_crop_pad(struct op_infer *c, struct err *e) {
    struct operand_ints axes, want;
    bool present;
    TRY(operand_need(c, 2, e));
    operand_out_later(c, 0, c->in[0].dtype);
    if (!c->in[0].known || !operand_data(c, 1))
        return OK;
    struct shape out = c->in[0].shape;
    TRY(operand_attr_ints(OPERAND_AT(c), "axes", &axes, &present, e));
    TRY(operand_ints(OPERAND_AT(c), operand_data(c, 1), "shape", &want, e));
    for (int k = 0; !present && k < out.rank; k++)
        axes.v[axes.n++] = k;
    TRY(operand_axes(OPERAND_AT(c), &axes, out.rank, e));
    if (want.n != axes.n)
        return operand_fail(c, e, INVALID, "%d sizes for %d axes", want.n, axes.n);
    for (int k = 0; k < axes.n; k++)
        out.dims[axes.v[k]] = want.v[k];
    return operand_out(c, 0, c->in[0].dtype, &out, e);
}

/* Both tensors share their middle; half of an odd rest is rounded down on the left. */
static enum code run_center_crop_pad(const struct op_call *c, struct err *e) {
    (void)e;
    const struct tensor *in = c->in[0];
    struct tensor *out = c->out[0];
    struct stride s = {.rank = 0};
    int64_t from[SHAPE_MAX], to[SHAPE_MAX], from_first = 0, to_first = 0;
    size_t bytes = dtype_size(in->dtype), total = tensor_bytes(out);
    if (!total)
        return OK;
    memset(out->data, 0, total);
    if (!tensor_count(in))
        return OK;
    shape_strides(&in->shape, from);
    shape_strides(&out->shape, to);
    for (int k = 0; k < in->shape.rank; k++) {
        int64_t had = in->shape.dims[k], has = out->shape.dims[k];
        if (had > has)
            from_first += (had - has) / 2 * from[k];
        else
            to_first += (has - had) / 2 * to[k];
        stride_push(&s, had < has ? had : has, to[k], from[k]);
    }
    stride_copy(&s, (char *)out->data + (size_t)to_first * bytes,
                (const char *)in->data + (size_t)from_first * bytes, bytes, c->threads);
    return OK;
}

/* --- trilu --- */

static enum code infer_trilu(struct op_infer *c, struct err *e) {
    TRY(operand_infer_same(c, e));
    if (c->in[0].known && c->in[0].shape.rank < 2)
        return operand_fail(c, e, INVALID, "the input has rank %d, at least 2 is needed",
                            c->in[0].shape.rank);
    return OK;
}

static enum code run_trilu(const struct op_call *c, struct err *e) {
    const struct tensor *in = c->in[0], *diagonal = operand_in(c, 1);
    int64_t k = 0, rows = in->shape.dims[in->shape.rank - 2],
            columns = in->shape.dims[in->shape.rank - 1];
    bool upper = attr_int(c->node, "upper", 1) != 0;
    if (diagonal)
        TRY(operand_int(OPERAND_AT(c), diagonal, "k", &k, e));
    k = clamp(k, -rows - 1, columns + 1);
    size_t bytes = dtype_size(in->dtype), total = tensor_count(in),
           row_bytes = (size_t)columns * bytes;
    if (!total)
        return OK;
    size_t n_rows = total / (size_t)columns;
    for (size_t r = 0; r < n_rows; r++) {
        const char *from = (const char *)in->data + r * row_bytes;
        char *to = (char *)c->out[0]->data + r * row_bytes;
        int64_t edge = clamp((int64_t)(r % (size_t)rows) + k + (upper ? 0 : 1), 0, columns);
        size_t left = (size_t)edge * bytes;
        if (to != from)
            memcpy(to, from, row_bytes);
        if (upper)
            memset(to, 0, left);
        else
            memset(to + left, 0, row_bytes - left);
    }
    return OK;
}

/* --- reverse_sequence --- */

static enum code infer_reverse_sequence(struct op_infer *c, struct err *e) {
    TRY(operand_need(c, 2, e));
    TRY(operand_infer_same(c, e));
    if (!operand_known(c))
        return OK;
    const struct shape *in = &c->in[0].shape, *lengths = &c->in[1].shape;
    int64_t batch = attr_int(c->node, "batch_axis", 1), time = attr_int(c->node, "time_axis", 0);
    if (in->rank < 2 || batch < 0 || batch > 1 || time < 0 || time > 1 || batch == time)
        return operand_fail(c, e, INVALID,
                            "batch_axis %lld and time_axis %lld of a tensor of rank %d",
                            (long long)batch, (long long)time, in->rank);
    if (c->in[1].dtype != DT_I64 || lengths->rank != 1 || lengths->dims[0] != in->dims[batch])
        return operand_fail(c, e, INVALID,
                            "sequence_lens must be a list of i64, one per batch entry");
    return OK;
}

static enum code run_reverse_sequence(const struct op_call *c, struct err *e) {
    const struct tensor *in = c->in[0];
    const int64_t *lengths = c->in[1]->data;
    int time = (int)attr_int(c->node, "time_axis", 0);
    int64_t n_time = in->shape.dims[time], n_batch = in->shape.dims[1 - time];
    size_t row = dtype_size(in->dtype), total = tensor_bytes(in);
    for (int k = 2; k < in->shape.rank; k++)
        row *= (size_t)in->shape.dims[k];
    if (!total)
        return OK;
    for (int64_t b = 0; b < n_batch; b++) {
        int64_t n = lengths[b];
        if (n < 0 || n > n_time)
            return operand_fail(c, e, INVALID,
                                "sequence_lens[%lld] is %lld, the time axis has %lld", (long long)b,
                                (long long)n, (long long)n_time);
        for (int64_t t = 0; t < n_time; t++) {
            int64_t other = t < n ? n - 1 - t : t;
            size_t to = (size_t)(time == 0 ? t * n_batch + b : b * n_time + t);
            size_t from = (size_t)(time == 0 ? other * n_batch + b : b * n_time + other);
            memcpy((char *)c->out[0]->data + to * row, (const char *)in->data + from * row, row);
        }
    }
    return OK;
}

const struct op op_slice = {
    .name = "slice", .flags = OP_PURE, .infer = infer_slice, .run = run_slice};
const struct op op_center_crop_pad = {.name = "center_crop_pad",
                                      .flags = OP_PURE,
                                      .infer = infer_center_crop_pad,
                                      .run = run_center_crop_pad};
const struct op op_trilu = {
    .name = "trilu", .flags = OP_PURE | OP_INPLACE, .infer = infer_trilu, .run = run_trilu};
const struct op op_reverse_sequence = {.name = "reverse_sequence",
                                       .flags = OP_PURE,
                                       .infer = infer_reverse_sequence,
                                       .run = run_reverse_sequence};
