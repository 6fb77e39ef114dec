/* SPDX-License-Identifier: Apache-2.0 */
/* Pools: max_pool, average_pool, lp_pool over windows of one to three spatial dims, and
 * global_max_pool, global_average_pool, global_lp_pool over whole pictures, which are one window.
 *
 * 1. Maxima and averages of f32, and maxima of bytes, go by kernels over the channels, channels
 * last: a PLAIN node carries its data there and back through scratch memory, except global pools,
 * whose pictures are rows of memory then. f16 is widened first, and bf16 where pictures are rows.
 * 2. All else (lp, f64, and maxima whose indices are wanted) goes element by element in double.
 * 3. Padding never takes part in a maximum or a sum. It counts in an average only with
 * count_include_pad, and then only as far as the pads reach: what ceil_mode adds beyond never does.
 * 4. A window without an element gives the lowest finite number of the type, or 0.
 *
 * 5. q_linear_average_pool (com.microsoft's QLinearAveragePool): x, its scale and zero point, y's
 * scale and zero point. Sums are exact.
 * 6. Maxima of bytes under windows of two dims are made of maxima of whole lines of the picture.
 *
 * Scratch: [x, y as f32] [x, y channels last] [a line for each thread], each only where needed. */
#include "base/mem.h"
#include "kernel/kernel.h"
#include "op/operand.h"
#include "op/q8.h"
#include "op/reorder.h"
#include "op/scratch.h"
#include "op/team.h"
#include "op/window.h"

#include <float.h>
#include <math.h>

enum kind { TOP = 1, AVERAGE, POWER };
enum {
    TAPS = 64,      /* rows folded at once */
    STRETCH = 2048, /* bytes of channels folded at once */
    SUMS = 256,     /* channels summed at once */
    GRAIN = 64,     /* bytes: channels are cut at multiples of it */
    LOWEST_BF16 = 0xff7f,
};

struct pool {
    enum kind kind;
    bool global, include_pad, column_major;
    bool fast, wide, carried; /* by kernels; as f32 in scratch; channels last in scratch */
    double p;
    struct window w; /* as window_cube leaves it */
    size_t batch, channels, inputs, pixels;
    size_t y_wide, x_last, y_last, lines; /* offsets in scratch */
    bool by_lines;
};

/* --- infer --- */

static enum code check_type(const struct op_infer *c, bool bytes, struct err *e) {
    enum dtype t = c->in[0].dtype;
    if (!dtype_is_float(t) && !(bytes && (t == DT_U8 || t == DT_I8)))
        return operand_fail(c, e, INVALID, "a pool of elements of type %s", dtype_name(t));
    return OK;
}

static enum code window_infer(struct op_infer *c, struct shape *out, struct err *e) {
    const struct shape *x = &c->in[0].shape;
    char text[SHAPE_TEXT];
    struct window w;
    if (x->rank < 3 || x->rank > 2 + WINDOW_DIMS)
        return operand_fail(c, e, INVALID, "a pool over an input of shape %s",
                            shape_print(x, text));
    TRY(window_of(OPERAND_AT(c), x, NULL, &w, e));
    *out = *x;
    for (int i = 0; i < w.n; i++)
        out->dims[2 + i] = w.out[i];
    return OK;
}

static enum code infer_typed(struct op_infer *c, bool bytes, struct err *e) {
    struct shape out;
    TRY(operand_need(c, 1, e));
    TRY(check_type(c, bytes, e));
    operand_out_later(c, 0, c->in[0].dtype);
    operand_out_later(c, 1, DT_I64);
    if (!c->in[0].known)
        return OK;
    TRY(window_infer(c, &out, e));
    TRY(operand_out(c, 0, c->in[0].dtype, &out, e));
    return operand_out(c, 1, DT_I64, &out, e);
}
static enum code infer_max(struct op_infer *c, struct err *e) { return infer_typed(c, true, e); }
static enum code infer_mean(struct op_infer *c, struct err *e) { return infer_typed(c, false, e); }

static enum code infer_global(struct op_infer *c, struct err *e) {
    TRY(operand_need(c, 1, e));
    TRY(check_type(c, false, e));
    operand_out_later(c, 0, c->in[0].dtype);
    if (!c->in[0].known)
        return OK;
    struct shape out = c->in[0].shape;
    char text[SHAPE_TEXT];
    if (out.rank < 3)
        return operand_fail(c, e, INVALID, "a global pool over an input of shape %s",
                            shape_print(&out, text));
    for (int i = 2; i < out.rank; i++)
        out.dims[i] = 1;
    return operand_out(c, 0, c->in[0].dtype, &out, e);
}

static enum code infer_q_average(struct op_infer *c, struct err *e) {
    TRY(operand_need(c, 4, e));
    if (!q8_is(c->in[0].dtype))
        return operand_fail(c, e, INVALID, "a pool of bytes of type %s",
                            dtype_name(c->in[0].dtype));
    for (int i = 1; i < 5; i++)
        if (operand_given(c, i)) {
            const enum dtype want = i % 2 ? DT_F32 : c->in[0].dtype;
            if (c->in[i].dtype != want)
                return operand_fail(c, e, INVALID, "input %d is %s, %s was expected", i,
                                    dtype_name(c->in[i].dtype), dtype_name(want));
            TRY(q8_check(OPERAND_AT(c), &c->in[i], 1, "a scale or zero point", e));
        }
    return infer_typed(c, true, e);
}

/* --- prepare --- */

/* The first opsets gave p as a float. */
static double exponent(const struct node *n) {
    const struct attr *a = attr_find(n, "p");
    return a && a->kind == ATTR_FLOAT ? (double)attr_float(n, "p", 2) : (double)attr_int(n, "p", 2);
}

static struct window one_window(const struct shape *x) {
    struct window w = {.n = 1, .out = {1}, .stride = {1}, .dilation = {1}};
    int64_t inputs = 1;
    for (int i = 2; i < x->rank; i++)
        inputs *= x->dims[i];
    w.in[0] = w.kernel[0] = inputs;
    return w;
}

/* Room for a line of the picture, channels last, of bytes. */
static size_t line_bytes(const struct pool *s) {
    return mem_round_up((size_t)s->w.in[2] * s->channels, MEM_LINE);
}

static bool takes_lines(const struct pool *s, enum dtype t) {
    const int64_t *kernel = s->w.kernel;
    return s->kind == TOP && (t == DT_U8 || t == DT_I8) && s->fast && !s->global &&
           kernel[0] == 1 && kernel[1] > 1 && kernel[1] <= TAPS && kernel[2] <= TAPS &&
           s->w.stride[2] <= kernel[2]; /* every column is looked at */
}

static void lay_out(struct op_prepare *c, struct pool *s) {
    const enum dtype t = c->in[0].dtype;
    const size_t in = s->batch * s->channels * s->inputs, out = s->batch * s->channels * s->pixels;
    const size_t bytes = s->wide ? sizeof(float) : dtype_size(t);
    size_t at = 0;
    scratch_take(&at, s->wide ? in * sizeof(float) : 0);
    s->y_wide = scratch_take(&at, s->wide ? out * sizeof(float) : 0);
    s->x_last = scratch_take(&at, s->carried ? in * bytes : 0);
    s->y_last = scratch_take(&at, s->carried ? out * bytes : 0);
    s->lines = scratch_take(&at, s->by_lines ? (size_t)c->threads * line_bytes(s) : 0);
    c->scratch_bytes = at;
}

static const char *kernel_name(const struct pool *s) {
    if (!s->fast)
        return "by element";
    return s->global ? "pool of whole pictures" : "pool over channels";
}

static enum code prepare(struct op_prepare *c, enum kind kind, bool global, struct err *e) {
    const struct shape *x = &c->in[0].shape;
    const enum dtype t = c->in[0].dtype;
    const bool half = t == DT_F16 || t == DT_BF16, plain = c->in[0].layout == LAYOUT_PLAIN;
    struct pool *s = ARENA_NEW(c->arena, struct pool);
    if (!s)
        return arena_fail(c->arena, sizeof *s, "a pool", e);
    *s = (struct pool){.kind = kind,
                       .global = global,
                       .include_pad = attr_int(c->node, "count_include_pad", 0) != 0,
                       .column_major = attr_int(c->node, "storage_order", 0) != 0,
                       .p = exponent(c->node),
                       .w = one_window(x),
                       .batch = (size_t)x->dims[0],
                       .channels = (size_t)x->dims[1]};
    if (!global)
        TRY(window_of(OPERAND_AT(c), x, NULL, &s->w, e));
    window_cube(&s->w);
    s->inputs = window_inputs(&s->w);
    s->pixels = window_pixels(&s->w);
    const bool indices = c->node->n_out > 1 && c->node->out[1] != VALUE_NONE;
    s->fast = kind != POWER && t != DT_F64 && !indices;
    s->wide = s->fast && half && !(t == DT_BF16 && !(global && plain));
    s->carried = s->fast && !global && plain && s->channels > 1;
    s->by_lines = takes_lines(s, t);
    lay_out(c, s);
    c->state = s;
    c->kernel = kernel_name(s);
    c->flops =
        (double)s->batch * (double)s->channels * (double)s->pixels * (double)window_taps(&s->w);
    return OK;
}

/* --- the window over the picture --- */

struct under { /* what of a window lies inside, per dim: positions first, first + dilation, ... */
    int64_t first[WINDOW_DIMS], n[WINDOW_DIMS];
    int64_t reach[WINDOW_DIMS]; /* n, and those on pads */
};

/* How many of `kernel` taps, from `start` in steps of `dilation`, lie before `end`. */
static int64_t taps_before(int64_t end, int64_t start, int64_t dilation, int64_t kernel) {
    int64_t room = end - start;
    if (room <= 0)
        return 0;
    if (dilation > 1)
        room = (room + dilation - 1) / dilation;
    return room < kernel ? room : kernel;
}

/* Along one dim. */
static void under_dim(const struct window *w, int i, size_t at, struct under *u) {
    const int64_t start = (int64_t)at * w->stride[i] - w->before[i],
                  skip = taps_before(0, start, w->dilation[i], w->kernel[i]),
                  n = taps_before(w->in[i], start, w->dilation[i], w->kernel[i]) - skip;
    u->first[i] = start + skip * w->dilation[i];
    u->n[i] = n > 0 ? n : 0;
    u->reach[i] = taps_before(w->in[i] + w->after[i], start, w->dilation[i], w->kernel[i]);
}

static void under_at(const struct window *w, const size_t at[WINDOW_DIMS], struct under *u) {
    for (int i = 0; i < WINDOW_DIMS; i++)
        under_dim(w, i, at[i], u);
}

/* Taps inside, and with those that lie on pads. */
static size_t inside(const struct under *u) { return (size_t)(u->n[0] * u->n[1] * u->n[2]); }
static size_t padded(const struct under *u) {
    return (size_t)(u->reach[0] * u->reach[1] * u->reach[2]);
}

static void pixel_at(const struct window *w, size_t pixel, size_t at[WINDOW_DIMS]) {
    for (int i = WINDOW_DIMS - 1; i >= 0; pixel /= (size_t)w->out[i], i--)
        at[i] = pixel % (size_t)w->out[i];
}

/* The pixel after the one at `at`; after the last comes the first. */
static void next_pixel(const struct window *w, size_t at[WINDOW_DIMS], struct under *u) {
    for (int i = WINDOW_DIMS - 1; i >= 0; i--) {
        at[i] = at[i] + 1 < (size_t)w->out[i] ? at[i] + 1 : 0;
        under_dim(w, i, at[i], u);
        if (at[i] > 0)
            return;
    }
}

/* Input position, in pixels of one picture, of the tap at these steps. */
static size_t tap_at(const struct window *w, const struct under *u, int64_t z, int64_t y,
                     int64_t x) {
    return (
        size_t)(((u->first[0] + z * w->dilation[0]) * w->in[1] + u->first[1] + y * w->dilation[1]) *
                    w->in[2] +
                u->first[2] + x * w->dilation[2]);
}

/* --- by kernels, channels last --- */

struct pass {
    const struct pool *s;
    enum dtype t;
    size_t bytes; /* of an element */
    const char *x;
    char *y;
    size_t stretch, steps; /* channels folded at once; steps per pixel */
};

struct gathered { /* rows of channels found, not yet folded */
    const void *x[TAPS];
    size_t n;
    float weight; /* of each in an average */
    bool carries; /* x[0] is the fold of earlier ones */
    char carry[STRETCH] __attribute__((aligned(64)));
    float sum[STRETCH / sizeof(uint16_t)]; /* of bf16 averaged: the folds of earlier ones */
};

static bool sums_bf16(const struct pass *p) { return p->t == DT_BF16 && p->s->kind == AVERAGE; }

static void fold(const struct pass *p, struct gathered *g, size_t n, void *y) {
    const struct kernel_set *k = kernel_set();
    float weights[TAPS];
    if (p->t == DT_U8) {
        k->tops_u8(g->n, (const uint8_t *const *)g->x, n, y);
    } else if (p->t == DT_I8) {
        k->tops_i8(g->n, (const int8_t *const *)g->x, n, y);
    } else if (sums_bf16(p)) {
        k->sums_bf16(g->n, (const uint16_t *const *)g->x, n, g->sum);
    } else if (p->t == DT_BF16) {
        k->tops_bf16(g->n, (const uint16_t *const *)g->x, n, y);
    } else if (p->s->kind == TOP) {
        k->tops_f32(g->n, (const float *const *)g->x, n, y);
    } else {
        for (size_t tap = 0; tap < g->n; tap++)
            weights[tap] = g->weight;
        if (g->carries)
            weights[0] = 1;
        k->blend_f32(g->n, (const float *const *)g->x, weights, n, y);
    }
}

static void nothing(const struct pass *p, size_t n, void *y) {
    if (p->t == DT_U8 || p->t == DT_I8)
        memset(y, p->t == DT_I8 ? INT8_MIN : 0, n);
    for (size_t i = 0; i < n && p->t == DT_BF16; i++)
        ((uint16_t *)y)[i] = p->s->kind == TOP ? LOWEST_BF16 : 0;
    for (size_t i = 0; i < n && p->t == DT_F32; i++)
        ((float *)y)[i] = p->s->kind == TOP ? -FLT_MAX : 0;
}

/* Rows that are too many for one fold are folded into y first, and go on from there. */
static void add(const struct pass *p, struct gathered *g, const void *x, size_t n, void *y) {
    if (g->n == TAPS && sums_bf16(p)) {
        fold(p, g, n, y);
        g->n = 0;
    } else if (g->n == TAPS) {
        fold(p, g, n, y);
        memcpy(g->carry, y, n * p->bytes);
        g->x[0] = g->carry;
        g->n = 1;
        g->carries = true;
    }
    g->x[g->n++] = x;
}

/* n channels of one output from the picture at x; both begin at the first of the channels. */
static void pool_one(const struct pass *p, const struct under *u, const char *x, size_t n,
                     void *y) {
    const struct pool *s = p->s;
    const size_t pixel = s->channels * p->bytes, count = s->include_pad ? padded(u) : inside(u),
                 step = (size_t)s->w.dilation[2] * pixel;
    struct gathered g;
    g.n = 0, g.carries = false, g.weight = 1 / (float)count;
    if (inside(u) == 0) {
        nothing(p, n, y);
        return;
    }
    if (sums_bf16(p))
        memset(g.sum, 0, n * sizeof *g.sum);
    for (int64_t z = 0; z < u->n[0]; z++)
        for (int64_t row = 0; row < u->n[1]; row++) {
            const char *from = x + tap_at(&s->w, u, z, row, 0) * pixel;
            for (int64_t col = 0; col < u->n[2]; col++, from += step)
                add(p, &g, from, n, y);
        }
    fold(p, &g, n, y);
    for (size_t i = 0; i < n && sums_bf16(p); i++)
        g.sum[i] *= g.weight;
    if (sums_bf16(p))
        kernel_set()->narrow_bf16(n, g.sum, y);
}

/* Steps [begin, end): stretches of channels of one output after the other. */
static void pool_steps(const struct pass *p, size_t begin, size_t end) {
    const struct pool *s = p->s;
    size_t at[WINDOW_DIMS], output = begin / p->steps, stretch = begin % p->steps;
    struct under u;
    pixel_at(&s->w, output % s->pixels, at);
    under_at(&s->w, at, &u);
    for (size_t step = begin; step < end; step++) {
        const size_t first = stretch * p->stretch, left = s->channels - first,
                     n = left < p->stretch ? left : p->stretch;
        const char *x = p->x + (output / s->pixels * s->inputs * s->channels + first) * p->bytes;
        pool_one(p, &u, x, n, p->y + (output * s->channels + first) * p->bytes);
        if (++stretch == p->steps) {
            stretch = 0, output++;
            next_pixel(&s->w, at, &u);
        }
    }
}

/* Line `line` of all pictures' outputs; row: room for a line of a picture. */
static void pool_line(const struct pass *p, size_t line, char *row) {
    const struct pool *s = p->s;
    const struct window *w = &s->w;
    const size_t down = (size_t)w->out[1], across = (size_t)w->out[2], n = s->channels,
                 width = (size_t)w->in[2] * n;
    const char *x = p->x + line / down * s->inputs * n;
    char *y = p->y + line * across * n;
    struct under u;
    struct gathered g;
    g.n = 0, g.carries = false;
    under_dim(w, 1, line % down, &u);
    for (int64_t i = 0; i < u.n[1]; i++)
        add(p, &g, x + (size_t)(u.first[1] + i * w->dilation[1]) * width, width, row);
    if (g.n)
        fold(p, &g, width, row);
    for (size_t at = 0; at < across; at++, y += n) {
        under_dim(w, 2, at, &u);
        g.n = 0;
        for (int64_t i = 0; u.n[1] && i < u.n[2]; i++)
            add(p, &g, row + (size_t)(u.first[2] + i * w->dilation[2]) * n, n, y);
        if (g.n)
            fold(p, &g, n, y);
        else
            nothing(p, n, y);
    }
}

static void pool_lines(const struct pass *p, char *scratch, int team) {
    const size_t n = p->s->batch * (size_t)p->s->w.out[1];
#pragma omp parallel for num_threads(team) if (team > 1) schedule(static)
    for (int i = 0; i < team; i++)
        for (size_t line = team_cut(n, 1, team, i); line < team_cut(n, 1, team, i + 1); line++)
            pool_line(p, line, scratch + (size_t)i * line_bytes(p->s));
}

/* Nanoseconds of a pass that looks at every tap once. */
static double work(const struct pool *s, double per_element) {
    double taps = (double)window_taps(&s->w);
    return (double)s->batch * (double)s->pixels * (20 + taps * (double)s->channels * per_element);
}

/* One step takes all channels of an output, unless there are many channels or few outputs. */
static void cut_channels(struct pass *p, int threads) {
    const struct pool *s = p->s;
    const size_t grain = GRAIN / p->bytes, outputs = s->batch * s->pixels, team = (size_t)threads;
    size_t parts = outputs < 4 * team ? team : 1, share = (s->channels + parts - 1) / parts;
    share = (share + grain - 1) / grain * grain;
    p->stretch = share < STRETCH / p->bytes ? share : STRETCH / p->bytes;
    p->steps = (s->channels + p->stretch - 1) / p->stretch;
}

static void pool_last(const struct pool *s, enum dtype t, const void *x, void *y, char *scratch,
                      int threads) {
    struct pass p = {.s = s, .t = t, .bytes = dtype_size(t), .x = x, .y = y};
    const int team = team_size(threads, work(s, 0.04 * (double)p.bytes));
    if (s->by_lines) {
        pool_lines(&p, scratch + s->lines, team);
        return;
    }
    cut_channels(&p, team);
    const size_t n = s->batch * s->pixels * p.steps;
    if (team == 1) {
        pool_steps(&p, 0, n);
        return;
    }
#pragma omp parallel for num_threads(team) schedule(static)
    for (int i = 0; i < team; i++)
        pool_steps(&p, team_cut(n, 1, team, i), team_cut(n, 1, team, i + 1));
}

/* --- by kernels, whole pictures that are rows --- */

static float row_of(const struct pool *s, const float *x) {
    const struct kernel_set *k = kernel_set();
    if (s->inputs == 0)
        return s->kind == TOP ? -FLT_MAX : 0;
    return s->kind == TOP ? k->top_f32(s->inputs, x) : k->sum_f32(s->inputs, x) / (float)s->inputs;
}

static void pool_rows(const struct pool *s, const float *x, float *y, int threads) {
    const int team = team_size(threads, work(s, 0.15));
    const size_t n = s->batch * s->channels;
    if (team == 1) {
        for (size_t row = 0; row < n; row++)
            y[row] = row_of(s, x + row * s->inputs);
        return;
    }
#pragma omp parallel for num_threads(team) schedule(static)
    for (size_t row = 0; row < n; row++)
        y[row] = row_of(s, x + row * s->inputs);
}

/* --- by element --- */

struct found { /* of one window */
    double v;
    size_t at; /* the maximum's position in the picture */
};

static double start_of(const struct pool *s, enum dtype t) {
    if (s->kind != TOP || t == DT_U8)
        return 0;
    switch (t) {
    case DT_I8: return INT8_MIN;
    case DT_F16: return -65504;
    case DT_BF16: return -0x1.fep127;
    case DT_F32: return -(double)FLT_MAX;
    default: return -DBL_MAX;
    }
}

static void take_tap(const struct pool *s, double v, size_t at, struct found *f) {
    switch (s->kind) {
    case TOP:
        if (v > f->v || (isnan(v) && !isnan(f->v)) || f->at == SIZE_MAX)
            *f = (struct found){v, at};
        return;
    case AVERAGE: f->v += v; return;
    case POWER: f->v += pow(fabs(v), s->p); return;
    }
}

/* Element k of x's picture at `base` is x[base + k * step]. */
static struct found look(const struct pool *s, const struct under *u, const struct tensor *x,
                         size_t base, size_t step) {
    struct found f = {start_of(s, x->dtype), SIZE_MAX};
    for (int64_t z = 0; z < u->n[0]; z++)
        for (int64_t row = 0; row < u->n[1]; row++)
            for (int64_t col = 0; col < u->n[2]; col++) {
                size_t at = tap_at(&s->w, u, z, row, col);
                take_tap(s, tensor_f64(x, base + at * step), at, &f);
            }
    if (s->kind == AVERAGE && inside(u))
        f.v /= (double)(s->include_pad ? padded(u) : inside(u));
    if (s->kind == POWER)
        f.v = pow(f.v, 1 / s->p);
    return f;
}

/* Number of the element in its picture: the last dim runs fastest, or the first (storage_order). */
static int64_t index_of(const struct pool *s, size_t at) {
    const int64_t rows = s->w.in[1], cols = s->w.in[2], p = (int64_t)at;
    if (at == SIZE_MAX)
        return 0;
    return s->column_major ? p / cols / rows + s->w.in[0] * (p / cols % rows + rows * (p % cols))
                           : p;
}

/* Plane (picture, channel) number `plane`. */
static void pool_plane(const struct op_call *c, const struct pool *s, size_t plane) {
    const struct tensor *x = c->in[0], *y = c->out[0], *indices = operand_to(c, 1);
    const bool last = x->layout == LAYOUT_NHWC;
    const size_t picture = plane / s->channels, channel = plane % s->channels,
                 step = last ? s->channels : 1;
    const size_t from = last ? picture * s->inputs * s->channels + channel : plane * s->inputs,
                 to = last ? picture * s->pixels * s->channels + channel : plane * s->pixels;
    for (size_t pixel = 0; pixel < s->pixels; pixel++) {
        size_t at[WINDOW_DIMS];
        struct under u;
        pixel_at(&s->w, pixel, at);
        under_at(&s->w, at, &u);
        struct found f = look(s, &u, x, from, step);
        operand_put(y, to + pixel * step, f.v);
        if (indices) /* PLAIN, whatever x is */
            ((int64_t *)indices->data)[plane * s->pixels + pixel] =
                (int64_t)(plane * s->inputs) + index_of(s, f.at);
    }
}

static void pool_elements(const struct op_call *c, const struct pool *s) {
    const size_t planes = s->batch * s->channels;
    const int team = team_size(c->threads, work(s, s->kind == POWER ? 40 : 5));
    if (team == 1) {
        for (size_t plane = 0; plane < planes; plane++)
            pool_plane(c, s, plane);
        return;
    }
#pragma omp parallel for num_threads(team) schedule(static)
    for (size_t plane = 0; plane < planes; plane++)
        pool_plane(c, s, plane);
}

/* --- run --- */

static void widen(const struct tensor *t, float *to) {
    const struct kernel_set *k = kernel_set();
    (t->dtype == DT_F16 ? k->widen_f16 : k->widen_bf16)(tensor_count(t), t->data, to);
}
static void narrow(const float *from, const struct tensor *t) {
    const struct kernel_set *k = kernel_set();
    (t->dtype == DT_F16 ? k->narrow_f16 : k->narrow_bf16)(tensor_count(t), from, t->data);
}

/* x and y are in the layout of the node. */
static void pool_fast(const struct op_call *c, const struct pool *s, enum dtype t, const void *x,
                      void *y) {
    char *scratch = c->scratch;
    if (s->global && c->in[0]->layout == LAYOUT_PLAIN) {
        pool_rows(s, x, y, c->threads);
        return;
    }
    if (!s->carried) {
        pool_last(s, t, x, y, scratch, c->threads);
        return;
    }
    const size_t bytes = dtype_size(t);
    reorder_planes(x, scratch + s->x_last, s->batch, s->channels, s->inputs, bytes, c->threads);
    pool_last(s, t, scratch + s->x_last, scratch + s->y_last, scratch, c->threads);
    reorder_planes(scratch + s->y_last, y, s->batch, s->pixels, s->channels, bytes, c->threads);
}

static enum code run(const struct op_call *c, struct err *e) {
    const struct pool *s = c->state;
    const struct tensor *x = c->in[0], *y = c->out[0];
    (void)e;
    if (tensor_count(y) == 0)
        return OK;
    if (!s->fast) {
        pool_elements(c, s);
    } else if (!s->wide) {
        pool_fast(c, s, x->dtype, x->data, y->data);
    } else {
        float *to = (float *)((char *)c->scratch + s->y_wide);
        widen(x, c->scratch);
        pool_fast(c, s, DT_F32, c->scratch, to);
        narrow(to, y);
    }
    return OK;
}

/* --- averages of quantised bytes --- */

struct mean { /* how sums become bytes */
    struct pass pass;
    float ratio; /* x's scale by y's */
    int32_t x_zero, y_zero;
    bool is_signed;
};

/* n channels of one output; x and y begin at the first of them. */
static void mean_one(const struct mean *m, const struct under *u, const uint8_t *x, size_t n,
                     uint8_t *y) {
    const struct pool *s = m->pass.s;
    const size_t taps = inside(u), count = s->include_pad ? padded(u) : taps;
    int32_t sums[SUMS] = {0}, bias[SUMS];
    const float scale = count ? m->ratio / (float)count : 0;
    for (int64_t z = 0; z < u->n[0]; z++)
        for (int64_t row = 0; row < u->n[1]; row++)
            for (int64_t col = 0; col < u->n[2]; col++)
                q8_add(x + tap_at(&s->w, u, z, row, col) * s->channels, m->is_signed, n, sums);
    for (size_t i = 0; i < n; i++)
        bias[i] = -(int32_t)taps * m->x_zero;
    kernel_set()->requant(&(struct requant){.n = n,
                                            .sums = sums,
                                            .bias = bias,
                                            .scale = &scale,
                                            .one = true,
                                            .zero = m->y_zero,
                                            .low = m->is_signed ? -128 : 0,
                                            .high = m->is_signed ? 127 : 255,
                                            .y = y});
}

/* Outputs [begin, end) of all pictures, channels last. */
static void mean_outputs(const struct mean *m, size_t begin, size_t end) {
    const struct pool *s = m->pass.s;
    size_t at[WINDOW_DIMS];
    struct under u;
    pixel_at(&s->w, begin % s->pixels, at);
    under_at(&s->w, at, &u);
    for (size_t output = begin; output < end; output++, next_pixel(&s->w, at, &u)) {
        const uint8_t *x =
            (const uint8_t *)m->pass.x + output / s->pixels * s->inputs * s->channels;
        uint8_t *y = (uint8_t *)m->pass.y + output * s->channels;
        for (size_t first = 0, n; first < s->channels; first += n) {
            n = s->channels - first < SUMS ? s->channels - first : SUMS;
            mean_one(m, &u, x + first, n, y + first);
        }
    }
}

static enum code run_q_average(const struct op_call *c, struct err *e) {
    const struct pool *s = c->state;
    const struct tensor *x = c->in[0], *y = c->out[0];
    char *scratch = c->scratch;
    const size_t n = s->batch * s->pixels;
    struct mean m = {.pass = {.s = s, .x = x->data, .y = y->data},
                     .ratio = q8_scale(c->in[1], 0) / q8_scale(c->in[3], 0),
                     .x_zero = q8_zero(operand_in(c, 2), 0),
                     .y_zero = q8_zero(operand_in(c, 4), 0),
                     .is_signed = x->dtype == DT_I8};
    if (!isfinite(m.ratio))
        return operand_fail(c, e, INVALID, "the scales of input and output do not divide");
    if (tensor_count(y) == 0)
        return OK;
    if (s->carried) {
        reorder_planes(x->data, scratch + s->x_last, s->batch, s->channels, s->inputs, 1,
                       c->threads);
        m.pass.x = scratch + s->x_last, m.pass.y = scratch + s->y_last;
    }
    const int team = team_size(c->threads, work(s, 0.1));
#pragma omp parallel for num_threads(team) if (team > 1) schedule(static)
    for (int i = 0; i < team; i++)
        mean_outputs(&m, team_cut(n, 1, team, i), team_cut(n, 1, team, i + 1));
    if (s->carried)
        reorder_planes(m.pass.y, y->data, s->batch, s->pixels, s->channels, 1, c->threads);
    return OK;
}

static enum code prepare_q_average(struct op_prepare *c, struct err *e) {
    return prepare(c, AVERAGE, false, e);
}
const struct op op_q_linear_average_pool = {
    "q_linear_average_pool", OP_PURE | OP_NHWC | OP_NHWC_WINS,
    infer_q_average,         prepare_q_average,
    run_q_average,           NULL};

#define POOL_OP(name, kind, global, flags, infer)                                                  \
    static enum code prepare_##name(struct op_prepare *c, struct err *e) {                         \
        return prepare(c, kind, global, e);                                                        \
    }                                                                                              \
    const struct op op_##name = {#name, OP_PURE | OP_NHWC | (flags), infer, prepare_##name, run,   \
                                 NULL};

POOL_OP(max_pool, TOP, false, OP_NHWC_WINS, infer_max)
POOL_OP(average_pool, AVERAGE, false, OP_NHWC_WINS, infer_mean)
POOL_OP(lp_pool, POWER, false, 0, infer_mean)
POOL_OP(global_max_pool, TOP, true, 0, infer_global)
POOL_OP(global_average_pool, AVERAGE, true, 0, infer_global)
POOL_OP(global_lp_pool, POWER, true, 0, infer_global)
