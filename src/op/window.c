/* SPDX-License-Identifier: Apache-2.0 */
/* Windows; see window.h. */
#include "op/window.h"

#define LARGEST ((int64_t)1 << 31)
enum { TAPS_MAX = 1 << 24 };

enum code window_attributes(const struct operand_at *at, int n, const int64_t *kernel,
                            struct window *w, struct err *e) {
    int64_t pads[2 * WINDOW_DIMS];
    *w = (struct window){.n = n};
    if (n < 1 || n > WINDOW_DIMS)
        return operand_fail(at, e, UNSUPPORTED, "%d spatial dims, 1 to %d are possible", n,
                            WINDOW_DIMS);
    if (!kernel && !attr_find(at->node, "kernel_shape"))
        return operand_fail(at, e, FORMAT, "kernel_shape is missing");
    TRY(operand_attr_each(at, "kernel_shape", n, 1, 1, LARGEST - 1, w->kernel, e));
    for (int i = 0; kernel && i < n; i++) {
        if (attr_find(at->node, "kernel_shape") && w->kernel[i] != kernel[i])
            return operand_fail(at, e, INVALID,
                                "kernel_shape differs from the shape of the weights");
        w->kernel[i] = kernel[i];
        if (kernel[i] < 1 || kernel[i] >= LARGEST)
            return operand_fail(at, e, INVALID, "a kernel of size %lld", (long long)kernel[i]);
    }
    double taps = 1;
    for (int i = 0; i < n; i++)
        taps *= (double)w->kernel[i];
    if (taps > TAPS_MAX)
        return operand_fail(at, e, LIMIT, "a window of %.0f elements, limit %d", taps, TAPS_MAX);
    TRY(operand_attr_each(at, "strides", n, 1, 1, LARGEST - 1, w->stride, e));
    TRY(operand_attr_each(at, "dilations", n, 1, 1, LARGEST - 1, w->dilation, e));
    TRY(operand_attr_each(at, "pads", 2 * n, 0, 0, LARGEST - 1, pads, e));
    for (int i = 0; i < n; i++) {
        w->before[i] = pads[i];
        w->after[i] = pads[n + i];
    }
    return OK;
}

/* ONNX: SAME makes ceil(in / stride) outputs and pads what is missing, the odd one at the end
 * (UPPER) or start (LOWER). */
static void pad_same(struct window *w, int i, bool upper) {
    int64_t reach = (w->kernel[i] - 1) * w->dilation[i] + 1;
    w->out[i] = (w->in[i] + w->stride[i] - 1) / w->stride[i];
    int64_t total = (w->out[i] - 1) * w->stride[i] + reach - w->in[i];
    total = total > 0 ? total : 0;
    w->before[i] = upper ? total / 2 : total - total / 2;
    w->after[i] = total - w->before[i];
}

static enum code one_dim(const struct operand_at *at, struct window *w, int i, bool ceil_mode,
                         struct err *e) {
    int64_t reach = (w->kernel[i] - 1) * w->dilation[i] + 1;
    int64_t room = w->in[i] + w->before[i] + w->after[i] - reach;
    if (reach >= LARGEST)
        return operand_fail(at, e, LIMIT, "a window that reaches over %lld elements",
                            (long long)reach);
    if (room < 0)
        return operand_fail(
            at, e, INVALID, "a window of %lld does not fit into %lld with pads of %lld",
            (long long)reach, (long long)w->in[i], (long long)(w->before[i] + w->after[i]));
    w->out[i] = room / w->stride[i] + 1;
    if (ceil_mode && room % w->stride[i] != 0 && w->out[i] * w->stride[i] < w->in[i] + w->before[i])
        w->out[i]++; /* only where the last window still begins inside */
    return OK;
}

enum code window_of(const struct operand_at *at, const struct shape *x, const int64_t *kernel,
                    struct window *w, struct err *e) {
    TRY(window_attributes(at, x->rank - 2, kernel, w, e));
    struct str pad = attr_str(at->node, "auto_pad", "NOTSET");
    bool same_upper = str_is(pad, "SAME_UPPER"), same_lower = str_is(pad, "SAME_LOWER"),
         valid = str_is(pad, "VALID");
    if (!same_upper && !same_lower && !valid && !str_is(pad, "NOTSET") && pad.n)
        return operand_fail(at, e, INVALID, "auto_pad '%.*s'", STR(pad));
    bool ceil_mode = attr_int(at->node, "ceil_mode", 0) != 0;
    for (int i = 0; i < w->n; i++) {
        w->in[i] = x->dims[2 + i];
        if (w->in[i] >= LARGEST)
            return operand_fail(at, e, LIMIT, "a dim of %lld", (long long)w->in[i]);
        if (valid)
            w->before[i] = w->after[i] = 0;
        if (same_upper || same_lower)
            pad_same(w, i, same_upper);
        else
            TRY(one_dim(at, w, i, ceil_mode && !valid, e));
    }
    return OK;
}

enum code window_of_conv(const struct operand_at *at, const struct shape *x, const struct shape *w,
                         struct window *window, struct err *e) {
    char text_x[SHAPE_TEXT], text_w[SHAPE_TEXT];
    int64_t groups = attr_int(at->node, "group", 1);
    if (x->rank < 3 || x->rank > 2 + WINDOW_DIMS || w->rank != x->rank)
        return operand_fail(at, e, INVALID, "input %s with weights %s", shape_print(x, text_x),
                            shape_print(w, text_w));
    if (groups < 1 || groups > w->dims[0] || w->dims[0] % groups != 0 ||
        x->dims[1] != w->dims[1] * groups)
        return operand_fail(at, e, INVALID, "input %s with weights %s in %lld groups",
                            shape_print(x, text_x), shape_print(w, text_w), (long long)groups);
    return window_of(at, x, w->dims + 2, window, e);
}

enum code window_infer_conv(struct op_infer *c, enum dtype to, struct err *e) {
    operand_out_later(c, 0, to);
    if (!operand_known(c))
        return OK;
    const struct shape *x = &c->in[0].shape, *w = &c->in[1].shape;
    struct window window;
    TRY(window_of_conv(OPERAND_AT(c), x, w, &window, e));
    if (operand_given(c, 2) && (c->in[2].shape.rank != 1 || c->in[2].shape.dims[0] != w->dims[0]))
        return operand_fail(c, e, INVALID, "the bias does not have %lld elements",
                            (long long)w->dims[0]);
    struct shape out = {.rank = x->rank, .dims = {x->dims[0], w->dims[0]}};
    for (int i = 0; i < window.n; i++)
        out.dims[2 + i] = window.out[i];
    return operand_out(c, 0, to, &out, e);
}

void window_cube(struct window *w) {
    const struct window from = *w;
    const int more = WINDOW_DIMS - from.n;
    w->n = WINDOW_DIMS;
    for (int i = 0; i < WINDOW_DIMS; i++) {
        bool own = i >= more;
        w->in[i] = own ? from.in[i - more] : 1;
        w->out[i] = own ? from.out[i - more] : 1;
        w->kernel[i] = own ? from.kernel[i - more] : 1;
        w->stride[i] = own ? from.stride[i - more] : 1;
        w->dilation[i] = own ? from.dilation[i - more] : 1;
        w->before[i] = own ? from.before[i - more] : 0;
        w->after[i] = own ? from.after[i - more] : 0;
    }
}

static size_t product(const int64_t *v, int n) {
    size_t p = 1;
    for (int i = 0; i < n; i++)
        p *= (size_t)v[i];
    return p;
}
void window_lay_down(struct window *w) {
    if (w->n != 2 || w->in[1] != 1 || w->out[1] != 1 || w->kernel[1] != 1 || w->in[0] == 1)
        return;
    const struct window was = *w;
    for (int i = 0; i < 2; i++) {
        w->in[i] = was.in[1 - i], w->out[i] = was.out[1 - i];
        w->kernel[i] = was.kernel[1 - i], w->stride[i] = was.stride[1 - i];
        w->dilation[i] = was.dilation[1 - i];
        w->before[i] = was.before[1 - i], w->after[i] = was.after[1 - i];
    }
}

size_t window_taps(const struct window *w) { return product(w->kernel, w->n); }
size_t window_pixels(const struct window *w) { return product(w->out, w->n); }
size_t window_inputs(const struct window *w) { return product(w->in, w->n); }

ptrdiff_t window_at(const struct window *w, size_t pixel, size_t tap) {
    ptrdiff_t position = 0, step = 1;
    for (int i = w->n - 1; i >= 0; i--) {
        int64_t out = (int64_t)(pixel % (size_t)w->out[i]),
                k = (int64_t)(tap % (size_t)w->kernel[i]);
        int64_t in = out * w->stride[i] - w->before[i] + k * w->dilation[i];
        if (in < 0 || in >= w->in[i])
            return -1;
        position += (ptrdiff_t)in * step;
        step *= (ptrdiff_t)w->in[i];
        pixel /= (size_t)w->out[i];
        tap /= (size_t)w->kernel[i];
    }
    return position;
}

/* Two dims or one, the usual case, without divisions per tap. */
static void planar(const struct window *w, size_t first, size_t count, ptrdiff_t *to) {
    const int last = w->n - 1;
    const int64_t rows = w->n == 2 ? w->kernel[0] : 1, in_rows = w->n == 2 ? w->in[0] : 1;
    for (size_t i = 0; i < count; i++) {
        int64_t x = (int64_t)((first + i) % (size_t)w->out[last]),
                y = (int64_t)((first + i) / (size_t)w->out[last]);
        int64_t x0 = x * w->stride[last] - w->before[last],
                y0 = w->n == 2 ? y * w->stride[0] - w->before[0] : 0;
        ptrdiff_t *at = to + i;
        for (int64_t ky = 0; ky < rows; ky++) {
            int64_t in_y = w->n == 2 ? y0 + ky * w->dilation[0] : 0;
            bool inside = in_y >= 0 && in_y < in_rows;
            for (int64_t kx = 0; kx < w->kernel[last]; kx++, at += count) {
                int64_t in_x = x0 + kx * w->dilation[last];
                *at = inside && in_x >= 0 && in_x < w->in[last]
                          ? (ptrdiff_t)(in_y * w->in[last] + in_x)
                          : -1;
            }
        }
    }
}

void window_positions(const struct window *w, size_t first, size_t count, ptrdiff_t *to) {
    if (w->n <= 2) {
        planar(w, first, count, to);
        return;
    }
    size_t taps = window_taps(w);
    for (size_t tap = 0; tap < taps; tap++)
        for (size_t i = 0; i < count; i++)
            to[tap * count + i] = window_at(w, first + i, tap);
}
