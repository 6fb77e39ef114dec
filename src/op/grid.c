/* SPDX-License-Identifier: Apache-2.0 */
/* Reading pictures between their pixels: grid_sample, affine_grid, deform_conv.
 *
 * A sample is the product, over the spatial dims, of a few taps: positions with weights. Taps
 * outside the picture are dropped (zeros), moved to the border or reflected. Coordinates come from
 * data: any float, NaN and infinity included, gives a sample or nothing, never a position outside.
 *
 * Opsets: grid_sample 16 calls its modes bilinear and bicubic and knows two spatial dims; since 20
 * they are linear and cubic, and there may be 1 to 3 dims. */
#include "op/operand.h"

#include <math.h>

enum { GRID_DIMS = 3, TAPS = 4 };
enum sample_mode { SAMPLE_LINEAR, SAMPLE_NEAREST, SAMPLE_CUBIC };
enum sample_pad { SAMPLE_ZEROS, SAMPLE_BORDER, SAMPLE_REFLECTION };

struct taps { /* of one dim */
    int n;
    int64_t at[TAPS];
    double weight[TAPS];
};

struct sampler {
    enum sample_mode mode;
    enum sample_pad pad;
    bool corners; /* align_corners: -1 and 1 are the centres of the outermost pixels */
};

static double reflect(double x, double low, double high) {
    double range = high - low, over = x < low ? low - x : x - high;
    if (over <= 0)
        return x;
    if (!(range > 0))
        return low;
    double turns = floor(over / range), rest = over - turns * range;
    bool back = fmod(turns, 2) == 0;
    return (x < low) == back ? low + rest : high - rest;
}

/* Where a coordinate, or one tap's position, leads; false: outside. */
static bool settle(const struct sampler *s, int64_t dim, double *x) {
    double low = s->corners ? 0 : -0.5, high = s->corners ? (double)dim - 1 : (double)dim - 0.5;
    if (!(fabs(*x) < 0x1p52))
        return false;
    if (s->pad == SAMPLE_BORDER)
        *x = fmin(fmax(*x, 0), (double)dim - 1);
    else if (s->pad == SAMPLE_REFLECTION)
        *x = reflect(*x, low, high);
    return true;
}

static void add_tap(const struct sampler *s, int64_t dim, double at, double weight,
                    struct taps *t) {
    if (!settle(s, dim, &at))
        return;
    if (s->pad == SAMPLE_REFLECTION)
        at = trunc(at);
    if (at < 0 || at > (double)dim - 1)
        return;
    t->at[t->n] = (int64_t)at;
    t->weight[t->n++] = weight;
}

/* Keys 1981 with a = -0.75; x in [0, 1) from the second of four pixels. */
static void cubic_weights(double x, double w[4]) {
    const double a = -0.75;
    w[0] = ((a * (x + 1) - 5 * a) * (x + 1) + 8 * a) * (x + 1) - 4 * a;
    w[1] = ((a + 2) * x - (a + 3)) * x * x + 1;
    w[2] = ((a + 2) * (1 - x) - (a + 3)) * (1 - x) * (1 - x) + 1;
    w[3] = ((a * (2 - x) - 5 * a) * (2 - x) + 8 * a) * (2 - x) - 4 * a;
}

/* Taps for position x in pixels. */
static void find_taps(const struct sampler *s, int64_t dim, double x, struct taps *t) {
    double w[TAPS];
    t->n = 0;
    if (s->mode == SAMPLE_NEAREST)
        x = rint(x);
    double low = s->corners ? 0 : -0.5, high = s->corners ? (double)dim - 1 : (double)dim - 0.5;
    if ((x < low || x > high || x != x) && !settle(s, dim, &x))
        return;
    if (s->mode == SAMPLE_NEAREST) {
        add_tap(s, dim, x, 1, t);
        return;
    }
    double first = floor(x);
    if (s->mode == SAMPLE_LINEAR) {
        add_tap(s, dim, first, 1 - (x - first), t);
        add_tap(s, dim, first + 1, x - first, t);
        return;
    }
    cubic_weights(x - first, w);
    for (int k = 0; k < TAPS; k++)
        add_tap(s, dim, first + k - 1, w[k], t);
}

/* Sum over all combinations of taps of one channel that begins at element `base`. */
static double gather(const struct tensor *x, size_t base, const int64_t *dims, int n_dims,
                     const struct taps *taps) {
    double sum = 0;
    if (n_dims == 0)
        return tensor_f64(x, base);
    int64_t inner = 1;
    for (int d = 1; d < n_dims; d++)
        inner *= dims[d];
    for (int k = 0; k < taps->n; k++)
        sum += taps->weight[k] *
               gather(x, base + (size_t)(taps->at[k] * inner), dims + 1, n_dims - 1, taps + 1);
    return sum;
}

/* --- grid_sample --- */

static enum code read_sampler(const struct operand_at *at, struct sampler *s, struct err *e) {
    struct str mode = attr_str(at->node, "mode", "linear");
    struct str pad = attr_str(at->node, "padding_mode", "zeros");
    s->corners = attr_int(at->node, "align_corners", 0) != 0;
    s->mode = str_is(mode, "nearest")                            ? SAMPLE_NEAREST
              : str_is(mode, "cubic") || str_is(mode, "bicubic") ? SAMPLE_CUBIC
                                                                 : SAMPLE_LINEAR;
    s->pad = str_is(pad, "border")       ? SAMPLE_BORDER
             : str_is(pad, "reflection") ? SAMPLE_REFLECTION
                                         : SAMPLE_ZEROS;
    if (s->mode == SAMPLE_LINEAR && !str_is(mode, "linear") && !str_is(mode, "bilinear"))
        return operand_fail(at, e, FORMAT, "mode '%.*s'", STR(mode));
    if (s->pad == SAMPLE_ZEROS && !str_is(pad, "zeros"))
        return operand_fail(at, e, FORMAT, "padding_mode '%.*s'", STR(pad));
    return OK;
}

static bool is_number(enum dtype t) { return dtype_is_float(t) || dtype_is_integer(t); }

static enum code infer_grid_sample(struct op_infer *c, struct err *e) {
    struct sampler s;
    TRY(operand_need(c, 2, e));
    TRY(read_sampler(OPERAND_AT(c), &s, e));
    operand_out_later(c, 0, c->in[0].dtype);
    if (!is_number(c->in[0].dtype) || !dtype_is_float(c->in[1].dtype))
        return operand_fail(c, e, UNSUPPORTED, "a picture of %s, a grid of %s",
                            dtype_name(c->in[0].dtype), dtype_name(c->in[1].dtype));
    if (!operand_known(c))
        return OK;
    const struct shape *x = &c->in[0].shape, *grid = &c->in[1].shape;
    char text[2][SHAPE_TEXT];
    if (x->rank < 3 || x->rank > 2 + GRID_DIMS || grid->rank != x->rank ||
        grid->dims[0] != x->dims[0] || grid->dims[grid->rank - 1] != x->rank - 2)
        return operand_fail(c, e, INVALID, "a grid of shape %s for a picture of shape %s",
                            shape_print(grid, text[0]), shape_print(x, text[1]));
    struct shape out = {.rank = x->rank, .dims = {x->dims[0], x->dims[1]}};
    for (int k = 2; k < x->rank; k++)
        out.dims[k] = grid->dims[k - 1];
    return operand_out(c, 0, c->in[0].dtype, &out, e);
}

/* The grid's -1 .. 1 to pixels, in f32 as the reference does. */
static double pixel_of(const struct sampler *s, double x, int64_t dim) {
    float v = (float)x;
    if (s->corners)
        return (double)((v + 1) / 2 * (float)(dim - 1));
    return (double)(((v + 1) * (float)dim - 1) / 2);
}

struct sampling {
    const struct op_call *c;
    struct sampler sampler;
    int n_dims;
    const int64_t *dims;             /* of the picture, spatial */
    size_t channels, pixels, points; /* per picture; per grid */
};

static void sample_point(const struct sampling *s, size_t at) {
    const struct tensor *x = s->c->in[0], *grid = s->c->in[1];
    size_t image = at / s->points, point = at % s->points;
    struct taps taps[GRID_DIMS];
    for (int d = 0; d < s->n_dims; d++) { /* the grid names the innermost dim first */
        double v = tensor_f64(grid, at * (size_t)s->n_dims + (size_t)(s->n_dims - 1 - d));
        find_taps(&s->sampler, s->dims[d], pixel_of(&s->sampler, v, s->dims[d]), &taps[d]);
    }
    for (size_t ch = 0; ch < s->channels; ch++) {
        size_t plane = image * s->channels + ch;
        operand_put(s->c->out[0], plane * s->points + point,
                    gather(x, plane * s->pixels, s->dims, s->n_dims, taps));
    }
}

static enum code run_grid_sample(const struct op_call *c, struct err *e) {
    const struct shape *x = &c->in[0]->shape;
    struct sampling s = {.c = c,
                         .n_dims = x->rank - 2,
                         .dims = x->dims + 2,
                         .channels = (size_t)x->dims[1],
                         .pixels = 1,
                         .points = 1};
    TRY(read_sampler(OPERAND_AT(c), &s.sampler, e));
    for (int d = 0; d < s.n_dims; d++) {
        s.pixels *= (size_t)x->dims[2 + d];
        s.points *= (size_t)c->out[0]->shape.dims[2 + d];
    }
    size_t n = (size_t)x->dims[0] * s.points;
#pragma omp parallel for num_threads(c->threads) schedule(static) if (c->threads > 1 && n > 256)
    for (size_t at = 0; at < n; at++)
        sample_point(&s, at);
    return OK;
}

/* --- affine_grid --- */

static enum code infer_affine_grid(struct op_infer *c, struct err *e) {
    struct operand_ints size;
    TRY(operand_need(c, 2, e));
    operand_out_later(c, 0, c->in[0].dtype);
    if (!dtype_is_float(c->in[0].dtype))
        return operand_fail(c, e, INVALID, "theta of type %s", dtype_name(c->in[0].dtype));
    if (!c->in[0].known || !operand_data(c, 1))
        return OK;
    const struct shape *theta = &c->in[0].shape;
    TRY(operand_ints(OPERAND_AT(c), operand_data(c, 1), "size", &size, e));
    int n = size.n - 2;
    if (n < 2 || n > 3 || theta->rank != 3 || theta->dims[0] != size.v[0] || theta->dims[1] != n ||
        theta->dims[2] != n + 1)
        return operand_fail(c, e, INVALID, "theta does not fit a size of %d dims", size.n);
    struct shape out = {.rank = n + 2, .dims = {size.v[0]}};
    for (int k = 0; k < n; k++)
        out.dims[1 + k] = size.v[2 + k];
    out.dims[1 + n] = n;
    return operand_out(c, 0, c->in[0].dtype, &out, e);
}

static double affine_coordinate(int64_t at, int64_t dim, bool corners) {
    if (corners)
        return dim > 1 ? -1 + 2 * (double)at / (double)(dim - 1) : -1;
    return -1 + (2 * (double)at + 1) / (double)dim;
}

static enum code run_affine_grid(const struct op_call *c, struct err *e) {
    (void)e;
    const struct tensor *theta = c->in[0];
    const struct shape *out = &c->out[0]->shape;
    size_t n = (size_t)out->rank - 2, points = n ? tensor_count(c->out[0]) / n : 0;
    bool corners = attr_int(c->node, "align_corners", 0) != 0;
    for (size_t at = 0; at < points; at++) {
        size_t rest = at;
        double x[GRID_DIMS + 1]; /* innermost dim first, then 1 */
        for (size_t d = 0; d < n; d++) {
            int64_t dim = out->dims[n - d];
            x[d] = affine_coordinate((int64_t)(rest % (size_t)dim), dim, corners);
            rest /= (size_t)dim;
        }
        x[n] = 1;
        for (size_t row = 0; row < n; row++) {
            double sum = 0;
            for (size_t k = 0; k <= n; k++)
                sum += tensor_f64(theta, (rest * n + row) * (n + 1) + k) * x[k];
            operand_put(c->out[0], at * n + row, sum);
        }
    }
    return OK;
}

/* --- deform_conv: two spatial dims --- */

struct deform {
    int64_t kernel[2], stride[2], dilation[2], pad[4];
    int64_t group, offset_group;
};

/* w (out, in / group, kh, kw) */
static enum code deform_setup(const struct operand_at *at, const struct shape *w, struct deform *d,
                              struct err *e) {
    if (w->rank != 4)
        return operand_fail(at, e, UNSUPPORTED, "weights of rank %d, 4 is supported", w->rank);
    d->kernel[0] = w->dims[2];
    d->kernel[1] = w->dims[3];
    d->group = attr_int(at->node, "group", 1);
    d->offset_group = attr_int(at->node, "offset_group", 1);
    TRY(operand_attr_each(at, "strides", 2, 1, 1, 1 << 24, d->stride, e));
    TRY(operand_attr_each(at, "dilations", 2, 1, 1, 1 << 24, d->dilation, e));
    return operand_attr_each(at, "pads", 4, 0, 0, 1 << 24, d->pad, e);
}

static bool deform_fits(const struct op_infer *c, const struct deform *d, const int64_t out[2]) {
    const int64_t *x = c->in[0].shape.dims, *w = c->in[1].shape.dims, *o = c->in[2].shape.dims;
    int64_t taps = d->kernel[0] * d->kernel[1];
    if (c->in[0].shape.rank != 4 || c->in[2].shape.rank != 4 || d->group < 1 ||
        d->offset_group < 1 || w[0] % d->group || x[1] % d->offset_group ||
        (w[1] ? x[1] / w[1] != d->group || x[1] % w[1] : x[1] != 0))
        return false;
    if (o[0] != x[0] || o[1] % 2 || o[1] / 2 % d->offset_group ||
        o[1] / 2 / d->offset_group != taps || o[2] != out[0] || o[3] != out[1])
        return false;
    if (operand_given(c, 3) && (c->in[3].shape.rank != 1 || c->in[3].shape.dims[0] != w[0]))
        return false;
    const struct shape *m = operand_given(c, 4) ? &c->in[4].shape : NULL;
    return !m || (m->rank == 4 && m->dims[0] == x[0] && m->dims[1] == o[1] / 2 &&
                  m->dims[2] == out[0] && m->dims[3] == out[1]);
}

static enum code infer_deform_conv(struct op_infer *c, struct err *e) {
    struct deform d;
    int64_t out[2];
    TRY(operand_need(c, 3, e));
    operand_out_later(c, 0, c->in[0].dtype);
    for (int i = 0; i < c->node->n_in; i++)
        if (operand_given(c, i) && !dtype_is_float(c->in[i].dtype))
            return operand_fail(c, e, INVALID, "input %d is %s", i, dtype_name(c->in[i].dtype));
    if (!operand_known(c))
        return OK;
    TRY(deform_setup(OPERAND_AT(c), &c->in[1].shape, &d, e));
    const struct shape *x = &c->in[0].shape;
    for (int k = 0; k < 2; k++) {
        int64_t room = x->rank == 4 ? x->dims[2 + k] + d.pad[k] + d.pad[2 + k] : 0;
        int64_t reach = d.dilation[k] * (d.kernel[k] - 1) + 1;
        out[k] = room < reach ? 0 : (room - reach) / d.stride[k] + 1;
    }
    if (!deform_fits(c, &d, out))
        return operand_fail(c, e, INVALID,
                            "the shapes of input, weights, offsets, bias and mask do "
                            "not fit each other");
    struct shape shape = {.rank = 4, .dims = {x->dims[0], c->in[1].shape.dims[0], out[0], out[1]}};
    return operand_out(c, 0, c->in[0].dtype, &shape, e);
}

/* Samples of one output position: (offset_group, kh * kw) pairs of taps with the mask's weight. */
struct deform_tap {
    struct taps dim[2];
    double mask;
};

struct deform_run {
    const struct op_call *c;
    struct deform d;
    size_t taps; /* kh * kw */
};

static void deform_taps(const struct deform_run *r, size_t image, size_t y, size_t x,
                        struct deform_tap *out) {
    const struct tensor *offsets = r->c->in[2], *mask = operand_in(r->c, 4);
    const int64_t *in = r->c->in[0]->shape.dims, *o = r->c->out[0]->shape.dims;
    const struct sampler linear = {.mode = SAMPLE_LINEAR, .pad = SAMPLE_ZEROS, .corners = true};
    size_t height = (size_t)o[2], width = (size_t)o[3], all = (size_t)r->d.offset_group * r->taps;
    for (size_t k = 0; k < all; k++) {
        size_t tap = k % r->taps, at = ((image * all + k) * 2 * height + y) * width + x;
        int64_t ky = (int64_t)tap / r->d.kernel[1], kx = (int64_t)tap % r->d.kernel[1];
        double py = (double)((int64_t)y * r->d.stride[0] - r->d.pad[0] + ky * r->d.dilation[0]);
        double px = (double)((int64_t)x * r->d.stride[1] - r->d.pad[1] + kx * r->d.dilation[1]);
        find_taps(&linear, in[2], py + tensor_f64(offsets, at), &out[k].dim[0]);
        find_taps(&linear, in[3], px + tensor_f64(offsets, at + height * width), &out[k].dim[1]);
        out[k].mask = mask ? tensor_f64(mask, ((image * all + k) * height + y) * width + x) : 1;
    }
}

/* One output position over all output channels. samples (channels, taps): scratch */
static void deform_position(const struct deform_run *r, size_t image, size_t y, size_t x,
                            struct deform_tap *taps, double *samples) {
    const struct op_call *c = r->c;
    const int64_t *in = c->in[0]->shape.dims, *w = c->in[1]->shape.dims, *o = c->out[0]->shape.dims;
    size_t channels = (size_t)in[1], per_offset = channels / (size_t)r->d.offset_group;
    size_t per_group = (size_t)w[1], outs = (size_t)w[0] / (size_t)r->d.group;
    deform_taps(r, image, y, x, taps);
    for (size_t ch = 0; ch < channels; ch++)
        for (size_t k = 0; k < r->taps; k++) {
            const struct deform_tap *t = &taps[ch / per_offset * r->taps + k];
            samples[ch * r->taps + k] =
                t->mask * gather(c->in[0], (image * channels + ch) * (size_t)(in[2] * in[3]),
                                 in + 2, 2, t->dim);
        }
    for (size_t out = 0; out < (size_t)w[0]; out++) {
        const double *from = samples + out / outs * per_group * r->taps;
        double sum = operand_in(c, 3) ? tensor_f64(c->in[3], out) : 0;
        for (size_t k = 0; k < per_group * r->taps; k++)
            sum += from[k] * tensor_f64(c->in[1], out * per_group * r->taps + k);
        size_t at = ((image * (size_t)w[0] + out) * (size_t)o[2] + y) * (size_t)o[3] + x;
        operand_put(c->out[0], at, sum);
    }
}

static enum code prepare_deform_conv(struct op_prepare *c, struct err *e) {
    size_t taps = (size_t)(c->in[1].shape.dims[2] * c->in[1].shape.dims[3]), samples, groups, n;
    if (shape_count(&c->out[0].shape, &n))
        c->flops = 2.0 * (double)n * (double)taps * (double)c->in[1].shape.dims[1];
    if (!mul_size(taps, (size_t)c->in[0].shape.dims[1] * sizeof(double), &samples) ||
        !mul_size(taps * (size_t)attr_int(c->node, "offset_group", 1), sizeof(struct deform_tap),
                  &groups) ||
        !add_size(samples, groups, &c->scratch_bytes))
        return operand_fail(c, e, LIMIT, "the kernel is too large");
    return OK;
}

static enum code run_deform_conv(const struct op_call *c, struct err *e) {
    const int64_t *o = c->out[0]->shape.dims;
    struct deform_run r = {.c = c};
    TRY(deform_setup(OPERAND_AT(c), &c->in[1]->shape, &r.d, e));
    r.taps = (size_t)(r.d.kernel[0] * r.d.kernel[1]);
    struct deform_tap *taps = c->scratch;
    double *samples = (double *)(taps + (size_t)r.d.offset_group * r.taps);
    if (!tensor_count(c->out[0]))
        return OK;
    for (size_t image = 0; image < (size_t)o[0]; image++) {
        TRY(c->host->check(c->host, e));
        for (size_t y = 0; y < (size_t)o[2]; y++)
            for (size_t x = 0; x < (size_t)o[3]; x++)
                deform_position(&r, image, y, x, taps, samples);
    }
    return OK;
}

const struct op op_grid_sample = {
    .name = "grid_sample", .flags = OP_PURE, .infer = infer_grid_sample, .run = run_grid_sample};
const struct op op_affine_grid = {
    .name = "affine_grid", .flags = OP_PURE, .infer = infer_affine_grid, .run = run_affine_grid};
const struct op op_deform_conv = {.name = "deform_conv",
                                  .flags = OP_PURE,
                                  .infer = infer_deform_conv,
                                  .prepare = prepare_deform_conv,
                                  .run = run_deform_conv};
