/* SPDX-License-Identifier: Apache-2.0 */
/* crop_and_resize: x (N, C, H, W), boxes (R, 4) of y1, x1, y2, x2 in parts of a picture, pictures
 * (R), size (2): (R, C, height, width) with the corners of a box in the corners of the result, by
 * four neighbours or the nearest one; what lies outside of the picture is extrapolation_value
 * (com.microsoft's CropAndResize).
 *
 * Positions are f32, as ONNX Runtime's are: whether one lies outside is a matter of its last bit.
 */
#include "op/operand.h"

#include <math.h>

static enum code size_of(const struct operand_at *at, const struct tensor *t, struct shape *y,
                         struct err *e) {
    struct operand_ints size;
    TRY(operand_ints(at, t, "crop_size", &size, e));
    if (size.n != 2 || size.v[0] < 1 || size.v[1] < 1)
        return operand_fail(at, e, INVALID, "crop_size must be a height and a width");
    y->dims[2] = size.v[0];
    y->dims[3] = size.v[1];
    return OK;
}

static enum code infer(struct op_infer *c, struct err *e) {
    const struct op_value *x = &c->in[0], *boxes = &c->in[1], *pictures = &c->in[2];
    struct str mode = attr_str(c->node, "mode", "bilinear");
    TRY(operand_need(c, 4, e));
    operand_out_later(c, 0, x->dtype);
    if (!str_is(mode, "bilinear") && !str_is(mode, "nearest"))
        return operand_fail(c, e, FORMAT, "mode '%.*s'", STR(mode));
    if (!dtype_is_float(x->dtype) || boxes->dtype != x->dtype || pictures->dtype != DT_I32)
        return operand_fail(c, e, INVALID, "a picture of %s, boxes of %s and indexes of %s",
                            dtype_name(x->dtype), dtype_name(boxes->dtype),
                            dtype_name(pictures->dtype));
    if (!operand_known(c) || !operand_data(c, 3))
        return OK;
    if (x->shape.rank != 4 || boxes->shape.rank != 2 || boxes->shape.dims[1] != 4 ||
        pictures->shape.rank != 1 || pictures->shape.dims[0] != boxes->shape.dims[0] ||
        x->shape.dims[2] < 1 || x->shape.dims[3] < 1)
        return operand_fail(c, e, INVALID, "boxes must be (n, 4) of a picture (N, C, H, W)");
    struct shape y = {.rank = 4, .dims = {boxes->shape.dims[0], x->shape.dims[1]}};
    TRY(size_of(OPERAND_AT(c), operand_data(c, 3), &y, e));
    return operand_out(c, 0, x->dtype, &y, e);
}

/* Where result k of n lies between two edges of a box, in pixels of `dim`. */
static float position(float from, float to, int64_t k, int64_t n, int64_t dim) {
    const float last = (float)(dim - 1);
    if (n == 1)
        return 0.5F * (from + to) * last;
    return from * last + (float)k * ((to - from) * last / (float)(n - 1));
}

struct taps {
    int64_t low, high; /* pixels */
    double part;       /* of the high one */
};
static struct taps taps_of(float at, bool nearest) {
    const float low = nearest ? roundf(at) : floorf(at);
    return (struct taps){(int64_t)low, nearest ? (int64_t)low : (int64_t)ceilf(at),
                         nearest ? 0 : (double)(at - low)};
}

static bool inside(float at, int64_t dim) { return at >= 0 && at <= (float)(dim - 1); }

/* One plane of one box. */
static void crop(const struct op_call *c, size_t plane, const float box[4], size_t to) {
    const struct tensor *x = c->in[0], *y = c->out[0];
    const int64_t *in = x->shape.dims + 2, *out = y->shape.dims + 2;
    const bool nearest = str_is(attr_str(c->node, "mode", "bilinear"), "nearest");
    const double outside = (double)attr_float(c->node, "extrapolation_value", 0);
    const size_t from = plane * (size_t)(in[0] * in[1]);
    for (int64_t i = 0; i < out[0]; i++)
        for (int64_t j = 0; j < out[1]; j++) {
            const float row = position(box[0], box[2], i, out[0], in[0]),
                        column = position(box[1], box[3], j, out[1], in[1]);
            double v = outside;
            if (inside(row, in[0]) && inside(column, in[1])) {
                const struct taps a = taps_of(row, nearest), b = taps_of(column, nearest);
                const size_t top = from + (size_t)(a.low * in[1]),
                             bottom = from + (size_t)(a.high * in[1]);
                const double left = tensor_f64(x, top + (size_t)b.low),
                             right = tensor_f64(x, top + (size_t)b.high),
                             left_too = tensor_f64(x, bottom + (size_t)b.low),
                             right_too = tensor_f64(x, bottom + (size_t)b.high);
                const double above = left + (right - left) * b.part,
                             below = left_too + (right_too - left_too) * b.part;
                v = above + (below - above) * a.part;
            }
            operand_put(y, to++, v);
        }
}

static enum code run(const struct op_call *c, struct err *e) {
    const int64_t *y = c->out[0]->shape.dims, pictures = c->in[0]->shape.dims[0];
    const size_t channels = (size_t)y[1], each = (size_t)(y[2] * y[3]);
    for (size_t r = 0; r < (size_t)y[0]; r++) {
        const int64_t of = tensor_i64(c->in[2], r);
        float box[4];
        if (of < 0 || of >= pictures)
            return operand_fail(c, e, INVALID, "box %zu is of picture %lld of %lld", r,
                                (long long)of, (long long)pictures);
        for (size_t i = 0; i < 4; i++)
            box[i] = (float)tensor_f64(c->in[1], 4 * r + i);
        for (size_t ch = 0; ch < channels; ch++) {
            TRY(c->host->check(c->host, e)); /* a result may be large */
            crop(c, (size_t)of * channels + ch, box, (r * channels + ch) * each);
        }
    }
    return OK;
}

const struct op op_crop_and_resize = {
    .name = "crop_and_resize", .flags = OP_PURE, .infer = infer, .run = run};
