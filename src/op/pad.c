/* SPDX-License-Identifier: Apache-2.0 */
/* pad: grows (or, with negative pads, crops) each axis at both ends. Modes constant, reflect, edge,
 * wrap.
 *
 * Opsets: attribute paddings (1), attributes pads and value (2), inputs (11), axes (18), mode wrap
 * (19). A negative pad crops first; the other modes then repeat what is left. */
#include "op/operand.h"
#include "op/stride.h"

enum pad_mode { PAD_CONSTANT, PAD_REFLECT, PAD_EDGE, PAD_WRAP };

struct pad_axis {
    int64_t crop;   /* positions of the input skipped at the start */
    int64_t kept;   /* positions of the input used */
    int64_t before; /* positions added at the start */
    int64_t total;  /* positions of the output */
};

static enum code pad_mode_of(const struct operand_at *at, enum pad_mode *out, struct err *e) {
    static const char *const names[] = {"constant", "reflect", "edge", "wrap"};
    struct str mode = attr_str(at->node, "mode", "constant");
    for (int k = 0; k < 4; k++)
        if (str_is(mode, names[k])) {
            *out = (enum pad_mode)k;
            return OK;
        }
    return operand_fail(at, e, FORMAT, "mode '%.*s' is not one of constant, reflect, edge, wrap",
                        STR(mode));
}

/* pads: all begins, then all ends; axes may be empty (all of them). */
static enum code pad_axes(const struct operand_at *at, const struct operand_ints *pads,
                          struct operand_ints *axes, const struct shape *in, struct pad_axis *out,
                          struct err *e) {
    for (int k = 0; k < in->rank; k++)
        out[k] = (struct pad_axis){.kept = in->dims[k], .total = in->dims[k]};
    TRY(operand_axes(at, axes, in->rank, e));
    if (pads->n != 2 * axes->n)
        return operand_fail(at, e, INVALID, "%d pads for %d axes", pads->n, axes->n);
    for (int k = 0; k < axes->n; k++) {
        int64_t begin = pads->v[k], end = pads->v[k + axes->n];
        struct pad_axis *axis = &out[axes->v[k]];
        const int64_t limit = INT64_C(1) << 48;
        if (begin < -limit || begin > limit || end < -limit || end > limit)
            return operand_fail(at, e, LIMIT, "axis %lld is padded by %lld and %lld",
                                (long long)axes->v[k], (long long)begin, (long long)end);
        axis->crop = begin < 0 ? -begin : 0;
        axis->kept -= axis->crop + (end < 0 ? -end : 0);
        axis->before = begin > 0 ? begin : 0;
        axis->total = axis->kept + axis->before + (end > 0 ? end : 0);
        if (axis->kept < 0)
            return operand_fail(at, e, INVALID,
                                "axis %lld of %lld elements is cropped by %lld and %lld",
                                (long long)axes->v[k], (long long)in->dims[axes->v[k]],
                                (long long)begin, (long long)end);
    }
    return OK;
}

/* Reads pads and axes from wherever this opset keeps them. t: pads, axes; NULL when not inputs. */
static enum code pad_read(const struct operand_at *at, const struct tensor *const t[2],
                          const struct shape *in, struct pad_axis *out, struct err *e) {
    struct operand_ints pads, axes = {.n = 0};
    bool present = true;
    if (at->node->opset >= 11)
        TRY(operand_ints(at, t[0], "pads", &pads, e));
    else
        TRY(operand_attr_ints(at, at->node->opset < 2 ? "paddings" : "pads", &pads, &present, e));
    if (!present)
        return operand_fail(at, e, FORMAT, "the pads are missing");
    if (t[1]) {
        TRY(operand_ints(at, t[1], "axes", &axes, e));
    } else {
        axes.n = in->rank;
        for (int k = 0; k < in->rank; k++)
            axes.v[k] = k;
    }
    return pad_axes(at, &pads, &axes, in, out, e);
}

static enum code infer_pad(struct op_infer *c, struct err *e) {
    bool inputs = c->node->opset >= 11;
    struct pad_axis axes[SHAPE_MAX];
    enum pad_mode mode;
    TRY(operand_need(c, inputs ? 2 : 1, e));
    operand_out_later(c, 0, c->in[0].dtype);
    TRY(pad_mode_of(OPERAND_AT(c), &mode, e));
    if (inputs && operand_given(c, 2) && c->in[2].dtype != c->in[0].dtype)
        return operand_fail(c, e, INVALID, "the constant is %s, the data %s",
                            dtype_name(c->in[2].dtype), dtype_name(c->in[0].dtype));
    const struct tensor *t[2] = {inputs ? operand_data(c, 1) : NULL,
                                 inputs ? operand_data(c, 3) : NULL};
    if (!c->in[0].known || (inputs && (!t[0] || (!t[1] && operand_given(c, 3)))))
        return OK;
    struct shape out = c->in[0].shape;
    TRY(pad_read(OPERAND_AT(c), t, &c->in[0].shape, axes, e));
    for (int k = 0; k < out.rank; k++) {
        if (mode != PAD_CONSTANT && axes[k].kept == 0 && axes[k].total > 0)
            return operand_fail(c, e, INVALID, "axis %d has no elements to repeat", k);
        out.dims[k] = axes[k].total;
    }
    return operand_out(c, 0, c->in[0].dtype, &out, e);
}

/* Position of the input that position i of the output shows. */
static int64_t pad_source(const struct pad_axis *a, enum pad_mode mode, int64_t i) {
    int64_t at = i - a->before, n = a->kept;
    if (mode == PAD_EDGE) {
        at = at < 0 ? 0 : at >= n ? n - 1 : at;
    } else if (mode == PAD_WRAP) {
        at = ((at % n) + n) % n;
    } else if (at < 0 || at >= n) {
        int64_t period = n > 1 ? 2 * (n - 1) : 1;
        at = ((at % period) + period) % period;
        at = at < n ? at : period - at;
    }
    return a->crop + at;
}

/* One innermost row of the output. */
static void pad_row(const struct pad_axis *a, enum pad_mode mode, char *to, const char *from,
                    size_t bytes) {
    int64_t after = a->before + a->kept;
    for (int64_t i = 0; i < a->before; i++)
        memcpy(to + (size_t)i * bytes, from + (size_t)pad_source(a, mode, i) * bytes, bytes);
    memcpy(to + (size_t)a->before * bytes, from + (size_t)a->crop * bytes, (size_t)a->kept * bytes);
    for (int64_t i = after; i < a->total; i++)
        memcpy(to + (size_t)i * bytes, from + (size_t)pad_source(a, mode, i) * bytes, bytes);
}

/* axes and strides in the order the elements lie; rank >= 1 */
static void pad_repeat(const struct op_call *c, const struct pad_axis *axes, enum pad_mode mode,
                       const int64_t *from_strides) {
    const struct tensor *in = c->in[0];
    int last = in->shape.rank - 1;
    size_t bytes = dtype_size(in->dtype), row_bytes = (size_t)axes[last].total * bytes;
    int64_t rows = 1;
    for (int k = 0; k < last; k++)
        rows *= axes[k].total;
#pragma omp parallel for num_threads(c->threads)                                                   \
    schedule(static) if (c->threads > 1 && rows * (int64_t)row_bytes > 1 << 18)
    for (int64_t row = 0; row < rows; row++) {
        int64_t rest = row, from = 0;
        for (int k = last - 1; k >= 0; k--) {
            from += pad_source(&axes[k], mode, rest % axes[k].total) * from_strides[k];
            rest /= axes[k].total;
        }
        pad_row(&axes[last], mode, (char *)c->out[0]->data + (size_t)row * row_bytes,
                (const char *)in->data + (size_t)from * bytes, bytes);
    }
}

/* The constant's bytes: an input of the data's type, or the attribute 'value' converted to it. */
static enum code pad_value(const struct op_call *c, unsigned char out[32], struct err *e) {
    const struct tensor *in = c->in[0], *given = c->node->opset >= 11 ? operand_in(c, 2) : NULL;
    memset(out, 0, 32);
    if (given) {
        if (tensor_count(given) != 1)
            return operand_fail(c, e, INVALID, "the constant has %zu elements",
                                tensor_count(given));
        memcpy(out, given->data, dtype_size(in->dtype));
        return OK;
    }
    float value = c->node->opset < 11 ? attr_float(c->node, "value", 0) : 0;
    if (in->dtype == DT_F64) {
        memcpy(out, &(double){(double)value}, sizeof(double));
    } else if (in->dtype == DT_F16 || in->dtype == DT_BF16) {
        uint16_t half = in->dtype == DT_F16 ? dtype_f32_to_f16(value) : dtype_f32_to_bf16(value);
        memcpy(out, &half, sizeof half);
    } else if (in->dtype == DT_F32) {
        memcpy(out, &value, sizeof value);
    }
    return OK;
}

static enum code pad_constant(const struct op_call *c, const struct pad_axis *axes,
                              const int64_t *from_strides, struct err *e) {
    const struct tensor *in = c->in[0];
    struct tensor *out = c->out[0];
    unsigned char value[32];
    struct stride s = {.rank = 0};
    int64_t from = 0, to = 0, to_strides[SHAPE_MAX];
    size_t bytes = dtype_size(in->dtype);
    TRY(pad_value(c, value, e));
    stride_fill(out->data, value, bytes, tensor_count(out));
    for (int64_t k = in->shape.rank - 1, step = 1; k >= 0; step *= axes[k--].total)
        to_strides[k] = step;
    for (int k = 0; k < in->shape.rank; k++) {
        from += axes[k].crop * from_strides[k];
        to += axes[k].before * to_strides[k];
        stride_push(&s, axes[k].kept, to_strides[k], from_strides[k]);
    }
    if (tensor_count(in))
        stride_copy(&s, (char *)out->data + (size_t)to * bytes,
                    (const char *)in->data + (size_t)from * bytes, bytes, c->threads);
    return OK;
}

static enum code run_pad(const struct op_call *c, struct err *e) {
    const struct tensor *in = c->in[0], *t[2] = {NULL, NULL};
    struct pad_axis axes[SHAPE_MAX], lying[SHAPE_MAX];
    struct shape physical;
    int64_t strides[SHAPE_MAX];
    enum pad_mode mode;
    if (c->node->opset >= 11) {
        t[0] = c->in[1];
        t[1] = operand_in(c, 3);
    }
    TRY(pad_mode_of(OPERAND_AT(c), &mode, e));
    TRY(pad_read(OPERAND_AT(c), t, &in->shape, axes, e));
    if (!tensor_count(c->out[0]))
        return OK;
    for (int k = 0; k < in->shape.rank; k++)
        lying[tensor_physical_axis(in, k)] = axes[k];
    tensor_physical_shape(in, &physical);
    shape_strides(&physical, strides);
    if (mode == PAD_CONSTANT || in->shape.rank == 0)
        return pad_constant(c, lying, strides, e);
    pad_repeat(c, lying, mode, strides);
    return OK;
}

const struct op op_pad = {
    .name = "pad", .flags = OP_PURE | OP_NHWC, .infer = infer_pad, .run = run_pad};
