/* SPDX-License-Identifier: Apache-2.0 */
/* Transposed convolution by phases; see transposed.h.
 *
 * Input i and tap k of one dim meet in output o = i * stride + k * dilation - before. For outputs
 * o = first + j * stride of a phase these are the taps k = k0, k0 + period, ..., where period =
 * stride / gcd(stride, dilation), and tap number t sees input j + offset - t * offset_step.
 *
 * Packed: phase after phase, group after group, panels of (taps * in, out); or, depthwise, (taps,
 * groups) for each phase.
 * Scratch: [zeros, which padding points to] [bias, repeated as far as kernel columns are merged]
 * then for each thread [pointers] [a block of outputs on their way to y]. */
#include "op/transposed.h"

#include "op/team.h"

#include <string.h>

enum { TILES = 8, DEPTHWISE_PIXELS = 16, ROW_TILES = 4 };

static struct gemm_tile tile_size(void) {
    struct gemm_tile tile;
    kernel_set()->gemm_tile_f32(&tile);
    return tile;
}

/* --- phases --- */

struct phase_dim {
    int64_t first, outputs; /* positions first + j * stride, j < outputs */
    int64_t k0, period, taps;
    int64_t offset, offset_step;
};
struct phase {
    struct phase_dim dim[WINDOW_DIMS];
    size_t taps, pixels; /* pixels: outputs of all pictures */
};

static int64_t gcd(int64_t a, int64_t b) { return b ? gcd(b, a % b) : a; }

static int64_t period_of(const struct window *w, int i) {
    return w->stride[i] / gcd(w->stride[i], w->dilation[i]);
}

/* Phases of a dim that see any tap. */
static int64_t phases_of(const struct window *w, int i) {
    int64_t period = period_of(w, i);
    return w->kernel[i] < period ? w->kernel[i] : period;
}

static void phase_in_dim(const struct window *w, int i, int64_t number, struct phase_dim *d) {
    const int64_t stride = w->stride[i], shift = number * w->dilation[i] - w->before[i];
    d->first = shift % stride < 0 ? shift % stride + stride : shift % stride;
    d->outputs = d->first < w->out[i] ? (w->out[i] - d->first + stride - 1) / stride : 0;
    d->k0 = number;
    d->period = period_of(w, i);
    d->taps = (w->kernel[i] - number + d->period - 1) / d->period;
    d->offset = (d->first - shift) / stride;
    d->offset_step = d->period * w->dilation[i] / stride;
}

static void phase_at(const struct transposed *p, size_t number, struct phase *out) {
    out->taps = 1;
    out->pixels = p->batch;
    for (int i = WINDOW_DIMS - 1; i >= 0; i--) {
        size_t n = (size_t)phases_of(&p->w, i);
        phase_in_dim(&p->w, i, (int64_t)(number % n), &out->dim[i]);
        number /= n;
        out->taps *= (size_t)out->dim[i].taps;
        out->pixels *= (size_t)out->dim[i].outputs;
    }
}

static size_t phase_count(const struct transposed *p) {
    size_t n = 1;
    for (int i = 0; i < WINDOW_DIMS; i++)
        n *= (size_t)phases_of(&p->w, i);
    return n;
}

/* --- plan and pack --- */

/* Without overlap and pads, the outputs of neighbouring inputs lie one after the other along the
 * last dim: one product makes all of them. So it can with the dim before, by way of the block,
 * which pays where there are so few columns that a vector holds more. */
static bool mergeable(const struct window *w, int i) {
    return w->kernel[i] == w->stride[i] && w->dilation[i] == 1 && w->before[i] == 0 &&
           w->out[i] == w->in[i] * w->stride[i];
}

static void merge(struct transposed *p, int i) {
    p->merged *= (size_t)p->w.stride[i];
    p->out *= (size_t)p->w.stride[i];
    p->w.kernel[i] = p->w.stride[i] = 1;
    p->w.out[i] = p->w.in[i];
}

void transposed_plan(struct transposed *p, const struct window *w, size_t batch, size_t groups,
                     size_t in, size_t out) {
    const int last = WINDOW_DIMS - 1;
    *p = (struct transposed){.w = *w,
                             .batch = batch,
                             .groups = groups,
                             .in = in,
                             .out = out,
                             .merged = 1,
                             .lines = 1,
                             .rows = (size_t)w->kernel[last - 1],
                             .columns = (size_t)w->kernel[last]};
    p->depthwise = in == 1 && out == 1 && groups > 1;
    if (groups == 1 && mergeable(w, last)) {
        merge(p, last);
        size_t stride = (size_t)w->stride[last - 1];
        if (mergeable(w, last - 1) && p->out * stride <= tile_size().nr / 2) {
            merge(p, last - 1);
            p->lines = stride;
        }
    }
    for (int i = 0; i < WINDOW_DIMS; i++)
        p->gaps = p->gaps || phases_of(&p->w, i) < p->w.stride[i];
    struct phase largest; /* the first has the most taps in every dim */
    phase_at(p, 0, &largest);
    p->taps = largest.taps;
}

/* FNV-1a over what the order of the packed form depends on. */
uint64_t transposed_packing(const struct transposed *p) {
    uint64_t h = 0xcbf29ce484222325u;
    const int64_t rest[] = {(int64_t)p->groups, (int64_t)p->merged};
    const int64_t *const lists[] = {p->w.kernel, p->w.stride, p->w.dilation, p->w.before, rest};
    for (int list = 0; list < 5; list++)
        for (int i = 0; i < (list < 4 ? WINDOW_DIMS : 2); i++)
            h = (h ^ (uint64_t)lists[list][i]) * 0x100000001b3u;
    return h;
}

static size_t floats_of(const struct transposed *p, size_t taps) {
    return p->depthwise ? taps * p->groups : p->groups * panel_floats(taps * p->in, p->out);
}

size_t transposed_packed(const struct transposed *p) { return floats_of(p, window_taps(&p->w)); }

/* Number of the phase's tap among all elements of one kernel plane of the weights. */
static size_t plane_tap(const struct transposed *p, const struct phase *f, size_t tap) {
    const size_t nx = (size_t)f->dim[2].taps, ny = (size_t)f->dim[1].taps;
    size_t at[WINDOW_DIMS] = {tap / nx / ny, tap / nx % ny, tap % nx};
    for (int i = 0; i < WINDOW_DIMS; i++)
        at[i] = (size_t)f->dim[i].k0 + at[i] * (size_t)f->dim[i].period;
    return (at[0] * p->rows + at[1]) * p->columns + at[2];
}

static size_t plane_elements(const struct transposed *p) {
    return (size_t)p->w.kernel[0] * p->rows * p->columns;
}

static void pack_depthwise(const struct transposed *p, const struct phase *f, const float *weights,
                           float *to) {
    for (size_t tap = 0; tap < f->taps; tap++)
        for (size_t g = 0; g < p->groups; g++)
            to[tap * p->groups + g] = weights[g * plane_elements(p) + plane_tap(p, f, tap)];
}

/* Row `channel` of B, at the panel that begins with column `col`: column c is channel c % own of
 * merged kernel element c / own. */
static void pack_row(const struct transposed *p, const float *row, size_t col, size_t nr,
                     float *to) {
    const size_t own = p->out / p->merged;
    for (size_t i = 0; i < nr; i++) {
        size_t c = col + i;
        to[i] = c < p->out ? row[c % own * plane_elements(p) + c / own] : 0;
    }
}

static void pack_group(const struct transposed *p, const struct phase *f, const float *weights,
                       float *to) {
    const struct gemm_tile tile = tile_size();
    const size_t channel_floats = p->out / p->merged * plane_elements(p);
    for (size_t col = 0; col < p->out; col += tile.nr)
        for (size_t tap = 0; tap < f->taps; tap++)
            for (size_t channel = 0; channel < p->in; channel++, to += tile.nr)
                pack_row(p, weights + channel * channel_floats + plane_tap(p, f, tap), col, tile.nr,
                         to);
}

void transposed_pack(const struct transposed *p, const float *weights, float *packed) {
    const size_t n = phase_count(p), group = p->in * p->out / p->merged * plane_elements(p);
    for (size_t number = 0; number < n; number++) {
        struct phase f;
        phase_at(p, number, &f);
        if (p->depthwise)
            pack_depthwise(p, &f, weights, packed);
        for (size_t g = 0; !p->depthwise && g < p->groups; g++)
            pack_group(p, &f, weights + g * group,
                       packed + g * panel_floats(f.taps * p->in, p->out));
        packed += floats_of(p, f.taps);
    }
}

/* --- scratch --- */

static size_t block_rows(const struct transposed *p) {
    return p->depthwise ? DEPTHWISE_PIXELS : tile_size().mr * (p->taps > 512 ? 1 : TILES);
}
static size_t zero_bytes(const struct transposed *p) {
    return mem_round_up((p->depthwise ? p->groups : p->in) * sizeof(float), MEM_LINE);
}
static size_t bias_bytes(const struct transposed *p) {
    return mem_round_up(p->groups * p->out * sizeof(float), MEM_LINE);
}
static size_t pointer_bytes(const struct transposed *p) {
    return mem_round_up(block_rows(p) * p->taps * sizeof(float *), MEM_LINE);
}
static size_t thread_bytes(const struct transposed *p) {
    return pointer_bytes(p) + mem_round_up(block_rows(p) * p->out * sizeof(float), MEM_LINE);
}
size_t transposed_scratch(const struct transposed *p, int threads) {
    return zero_bytes(p) + bias_bytes(p) + (size_t)threads * thread_bytes(p);
}

/* --- run --- */

struct place { /* of one thread */
    const struct transposed *p;
    const float *x, *zeros, *bias;
    float *y;
    const float **pointers;
    float *block;
};

struct spot { /* an output of a phase: picture, and number along each dim */
    size_t picture;
    int64_t j[WINDOW_DIMS];
};

static struct spot spot_at(const struct phase *f, size_t pixel) {
    struct spot s;
    for (int i = WINDOW_DIMS - 1; i >= 0; i--) {
        s.j[i] = (int64_t)(pixel % (size_t)f->dim[i].outputs);
        pixel /= (size_t)f->dim[i].outputs;
    }
    s.picture = pixel;
    return s;
}

static void spot_next(const struct phase *f, struct spot *s) {
    for (int i = WINDOW_DIMS - 1; i >= 0; i--) {
        if (++s->j[i] < f->dim[i].outputs)
            return;
        s->j[i] = 0;
    }
    s->picture++;
}

static float *output_of(const struct place *t, const struct phase *f, const struct spot *s) {
    const struct window *w = &t->p->w;
    size_t at = s->picture;
    for (int i = 0; i < WINDOW_DIMS; i++)
        at = at * (size_t)w->out[i] + (size_t)(f->dim[i].first + s->j[i] * w->stride[i]);
    return t->y + at * t->p->groups * t->p->out;
}

static bool inside(const struct window *w, const struct phase *f, const struct spot *s, int i,
                   int64_t tap, int64_t *at) {
    *at = s->j[i] + f->dim[i].offset - tap * f->dim[i].offset_step;
    return *at >= 0 && *at < w->in[i];
}

/* Pointers of all taps of one output: to[tap * step]. */
static void point_one(const struct place *t, const struct phase *f, const struct spot *s,
                      size_t group, const float **to, size_t step) {
    const struct window *w = &t->p->w;
    const int64_t channels = (int64_t)(t->p->groups * t->p->in);
    const float *x = t->x + (int64_t)(s->picture * window_inputs(w)) * channels + group * t->p->in;
    int64_t z, y, at;
    for (int64_t tz = 0; tz < f->dim[0].taps; tz++) {
        bool in_z = inside(w, f, s, 0, tz, &z);
        for (int64_t ty = 0; ty < f->dim[1].taps; ty++) {
            bool in_y = inside(w, f, s, 1, ty, &y) && in_z;
            for (int64_t tx = 0; tx < f->dim[2].taps; tx++, to += step)
                *to = inside(w, f, s, 2, tx, &at) && in_y
                          ? x + ((z * w->in[1] + y) * w->in[2] + at) * channels
                          : t->zeros;
        }
    }
}

/* All taps of output j of a row are within the row of x. */
static bool interior(const struct window *w, const struct phase_dim *d, int64_t j) {
    return j + d->offset < w->in[2] && j + d->offset - (d->taps - 1) * d->offset_step >= 0;
}

/* Pointers of `some` outputs, (taps, some). In the interior of a row each is one pixel further than
 * the one before. */
static void point_tile(const struct place *t, const struct phase *f, struct spot *s, size_t group,
                       const float **to, size_t some) {
    const size_t channels = t->p->groups * t->p->in;
    for (size_t k = 0; k < some; k++, spot_next(f, s)) {
        bool easy = k > 0 && s->j[2] > 0 && interior(&t->p->w, &f->dim[2], s->j[2] - 1) &&
                    interior(&t->p->w, &f->dim[2], s->j[2]);
        if (!easy)
            point_one(t, f, s, group, to + k, some);
        for (const float **p = to + k; easy && p < to + f->taps * some; p += some)
            *p = p[-1] == t->zeros ? t->zeros : p[-1] + channels;
    }
}

/* Pointers of `count` outputs from *s on, in so many tiles. */
static void point(const struct place *t, const struct phase *f, const struct spot *from,
                  size_t group, size_t count, size_t tiles) {
    struct spot s = *from;
    for (size_t i = 0; i < tiles; i++) {
        size_t first = panel_tile(count, tiles, i), some = panel_tile(count, tiles, i + 1) - first;
        point_tile(t, f, &s, group, t->pointers + first * f->taps, some);
    }
}

static void copy_block(const struct place *t, const struct phase *f, const struct spot *from,
                       size_t group, size_t count) {
    const struct transposed *p = t->p;
    const size_t piece = p->out / p->lines, line = piece * (size_t)p->w.out[2];
    struct spot s = *from;
    for (size_t i = 0; i < count; i++, spot_next(f, &s)) {
        float *to = output_of(t, f, &s) + group * p->out;
        if (p->lines > 1) /* output_of sees all lines of a pixel side by side */
            to -= (size_t)s.j[2] * (p->out - piece);
        for (size_t k = 0; k < p->lines; k++)
            memcpy(to + k * line, t->block + i * p->out + k * piece, piece * sizeof(float));
    }
}

/* `row`: the outputs lie in one row, so that the product can write to y. */
static void multiply(const struct place *t, const struct phase *f, const struct spot *s,
                     const float *packed, size_t count, bool row) {
    const struct transposed *p = t->p;
    const size_t each = panel_floats(f->taps * p->in, p->out),
                 step = (size_t)p->w.stride[2] * p->groups * p->out;
    for (size_t group = 0; group < p->groups; group++) {
        point(t, f, s, group, count, panel_tiles(count));
        struct panel_rows rows = {.m = count,
                                  .n = p->out,
                                  .k = p->in,
                                  .taps = f->taps,
                                  .to = p->out,
                                  .a = t->pointers,
                                  .panels = packed + group * each,
                                  .bias = t->bias ? t->bias + group * p->out : NULL,
                                  .c = row ? output_of(t, f, s) + group * p->out : t->block,
                                  .c_row = row ? step : p->out};
        panel_multiply_rows(&rows);
        if (!row)
            copy_block(t, f, s, group, count);
    }
}

static void multiply_depthwise(const struct place *t, const struct phase *f, const struct spot *s,
                               const float *packed, size_t count) {
    const struct transposed *p = t->p;
    point(t, f, s, 0, count, 1);
    kernel_set()->depthwise_f32(
        &(struct depthwise_f32){.pixels = count,
                                .taps = f->taps,
                                .n = p->groups,
                                .x = t->pointers,
                                .w = packed,
                                .bias = t->bias,
                                .y = output_of(t, f, s),
                                .y_row = (size_t)p->w.stride[2] * p->groups});
}

/* Outputs [begin, end) of a phase. */
static void stretch(const struct place *t, const struct phase *f, const float *packed, size_t begin,
                    size_t end) {
    const struct transposed *p = t->p;
    const size_t step = block_rows(p), columns = (size_t)f->dim[2].outputs;
    const bool row = p->depthwise || (p->lines == 1 && columns >= ROW_TILES * tile_size().mr);
    while (begin < end) {
        struct spot s = spot_at(f, begin);
        size_t count = end - begin < step ? end - begin : step,
               left = columns - begin % columns; /* in the row */
        count = row && count > left ? left : count;
        if (p->depthwise)
            multiply_depthwise(t, f, &s, packed, count);
        else
            multiply(t, f, &s, packed, count, row);
        begin += count;
    }
}

static void part(const struct transposed *p, const struct transposed_run *r, int index, int parts) {
    char *own =
        (char *)r->scratch + zero_bytes(p) + bias_bytes(p) + (size_t)index * thread_bytes(p);
    struct place t = {.p = p,
                      .x = r->x,
                      .zeros = r->scratch,
                      .bias = r->bias ? (float *)((char *)r->scratch + zero_bytes(p)) : NULL,
                      .y = r->y,
                      .pointers = (const float **)own,
                      .block = (float *)(own + pointer_bytes(p))};
    const float *packed = r->packed;
    const size_t n = phase_count(p);
    for (size_t number = 0; number < n; number++) {
        struct phase f;
        phase_at(p, number, &f);
        stretch(&t, &f, packed, team_cut(f.pixels, 1, parts, index),
                team_cut(f.pixels, 1, parts, index + 1));
        packed += floats_of(p, f.taps);
    }
}

/* Everywhere the bias, or zero. */
static void fill(const struct transposed *p, float *y, const float *bias) {
    const size_t n = p->groups * p->out, pixels = p->batch * window_pixels(&p->w);
    for (size_t pixel = 0; pixel < pixels; pixel++, y += n) {
        if (bias)
            memcpy(y, bias, n * sizeof(float));
        else
            memset(y, 0, n * sizeof(float));
    }
}

void transposed_run(const struct transposed *p, const struct transposed_run *r) {
    float *bias = (float *)((char *)r->scratch + zero_bytes(p));
    const size_t channels = p->groups * p->out, own = channels / p->merged;
    memset(r->scratch, 0, zero_bytes(p));
    for (size_t i = 0; r->bias && i < channels; i++)
        bias[i] = r->bias[i % own];
    if (p->gaps)
        fill(p, r->y, r->bias ? bias : NULL);
    double multiplications = (double)p->batch * (double)window_inputs(&p->w) * (double)channels *
                             (double)p->in * (double)window_taps(&p->w);
    const int threads = team_size(r->threads, multiplications * (p->depthwise ? 0.1 : 0.025));
    if (threads == 1) {
        part(p, r, 0, 1);
        return;
    }
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int i = 0; i < threads; i++)
        part(p, r, i, threads);
}
