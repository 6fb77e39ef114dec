/* SPDX-License-Identifier: Apache-2.0 */
/* Convolution by gathered rows; see implicit.h.
 *
 * Scratch: a row of zeros that padding points to, then for each thread a table of positions
 * (of taps, where that is enough) and one of pointers. */
#include "op/implicit.h"

#include "op/team.h"

#include <string.h>

enum { TILES = 9, DEPTHWISE_PIXELS = 16 };

static size_t block_rows(const struct implicit *p) {
    if (p->depthwise)
        return DEPTHWISE_PIXELS;
    struct gemm_tile t;
    kernel_set()->gemm_tile_f32(&t);
    return t.mr * (p->taps > 512 ? 1 : TILES);
}

/* Kernel elements of the last dim lie in a row of memory when they touch each other and nothing
 * pads them. */
static bool mergeable(const struct window *w, size_t groups) {
    int last = w->n - 1;
    return groups == 1 && w->dilation[last] == 1 && w->before[last] == 0 && w->after[last] == 0 &&
           w->kernel[last] > 1;
}

void implicit_plan(struct implicit *p, const struct window *w, size_t batch, size_t groups,
                   size_t in, size_t out) {
    *p = (struct implicit){
        .w = *w, .batch = batch, .groups = groups, .in = in, .out = out, .gather = *w};
    p->depthwise = in == 1 && out == 1 && groups > 1;
    p->taps = window_taps(w);
    p->k = in;
    p->pointwise = p->taps == 1 && window_inputs(w) == window_pixels(w);
    for (int i = 0; i < w->n; i++)
        p->pointwise &= w->stride[i] == 1 && w->before[i] == 0;
    if (mergeable(w, groups)) {
        int last = w->n - 1;
        p->k *= (size_t)w->kernel[last];
        p->taps /= (size_t)w->kernel[last];
        p->gather.kernel[last] = 1;
    }
}

double implicit_multiplications(const struct implicit *p) {
    return (double)p->batch * (double)window_pixels(&p->w) * (double)p->groups * (double)p->out *
           (double)p->in * (double)window_taps(&p->w);
}

void implicit_describe(const struct implicit *p, struct dnnl_conv *d) {
    *d = (struct dnnl_conv){.n_spatial = p->w.n,
                            .batch = (int64_t)p->batch,
                            .groups = (int64_t)p->groups,
                            .in_channels = (int64_t)(p->groups * p->in),
                            .out_channels = (int64_t)(p->groups * p->out)};
    for (int i = 0; i < p->w.n; i++) {
        d->in[i] = p->w.in[i], d->out[i] = p->w.out[i];
        d->kernel[i] = p->w.kernel[i], d->stride[i] = p->w.stride[i];
        d->dilation[i] = p->w.dilation[i];
        d->before[i] = p->w.before[i], d->after[i] = p->w.after[i];
    }
}

size_t implicit_packed(const struct implicit *p) {
    size_t taps = window_taps(&p->w);
    return p->depthwise ? taps * p->groups : p->groups * panel_floats(taps * p->in, p->out);
}

void implicit_pack(const struct implicit *p, const float *weights, float *packed) {
    const size_t taps = window_taps(&p->w);
    if (p->depthwise) {
        kernel_set()->transpose_32(p->groups, taps, weights, taps, packed, p->groups);
        return;
    }
    const size_t each = panel_floats(taps * p->in, p->out);
    for (size_t g = 0; g < p->groups; g++) {
        struct panel_source s = {.b = weights + g * p->out * p->in * taps,
                                 .taps = taps,
                                 .k = p->in,
                                 .n = p->out,
                                 .tap_step = 1,
                                 .k_step = (ptrdiff_t)taps,
                                 .n_step = (ptrdiff_t)(taps * p->in)};
        panel_pack(&s, packed + g * each);
    }
}

static size_t zero_bytes(const struct implicit *p) {
    return ((p->depthwise ? p->groups : p->k) * sizeof(float) + 63) / 64 * 64;
}

static size_t thread_bytes(const struct implicit *p) {
    size_t entries = block_rows(p) * p->taps;
    return (entries * (sizeof(ptrdiff_t) + sizeof(float *)) + 63) / 64 * 64;
}

size_t implicit_scratch(const struct implicit *p, int threads) {
    return zero_bytes(p) + (size_t)threads * thread_bytes(p);
}

struct place { /* of one thread */
    const struct implicit *p;
    const struct implicit_run *r;
    const float *zeros;
    ptrdiff_t *positions;
    const float **pointers;
    struct panel_ahead *ahead;
};

/* Elements from a window's first pixel to each of its taps, of two dims or one. */
static void measure_taps(const struct window *w, size_t pixel, ptrdiff_t *to) {
    const int last = w->n - 1;
    for (int64_t row = 0; row < (last ? w->kernel[0] : 1); row++)
        for (int64_t col = 0; col < w->kernel[last]; col++)
            *to++ = (ptrdiff_t)(row * w->dilation[0] * (last ? w->in[last] : 0) +
                                col * w->dilation[last]) *
                    (ptrdiff_t)pixel;
}

/* The taps of a window that begins at (row, col), some of which lie outside, `count` apart. */
static void point_clipped(const struct place *t, const float *x, size_t pixel, int64_t row,
                          int64_t col, size_t count, const float **to) {
    const struct window *w = &t->p->gather;
    const int last = w->n - 1;
    const int64_t lines = last ? w->kernel[0] : 1, height = last ? w->in[0] : 1;
    for (int64_t i = 0; i < lines; i++)
        for (int64_t j = 0; j < w->kernel[last]; j++, to += count) {
            const int64_t y = row + i * w->dilation[0], at = col + j * w->dilation[last];
            const bool inside = y >= 0 && y < height && at >= 0 && at < w->in[last];
            *to = inside ? x + (size_t)(y * w->in[last] + at) * pixel : t->zeros;
        }
}

/* Two dims or one, whose taps are measured: without divisions for each output. */
static void point_planar(const struct place *t, const float *x, size_t pixel, size_t first,
                         size_t count, const float **to) {
    const struct window *w = &t->p->gather;
    const int last = w->n - 1;
    const size_t taps = t->p->taps;
    const int64_t width = w->out[last], tall = last ? (w->kernel[0] - 1) * w->dilation[0] : 0,
                  wide = (w->kernel[last] - 1) * w->dilation[last], height = last ? w->in[0] : 1;
    int64_t row = (int64_t)first / width, col = (int64_t)first % width;
    for (size_t i = 0; i < count; i++) {
        const int64_t y = last ? row * w->stride[0] - w->before[0] : 0,
                      at = col * w->stride[last] - w->before[last];
        if (y >= 0 && at >= 0 && y + tall < height && at + wide < w->in[last]) {
            const float *corner = x + (size_t)(y * w->in[last] + at) * pixel;
            for (size_t tap = 0; tap < taps; tap++)
                to[tap * count + i] = corner + t->positions[tap];
        } else {
            point_clipped(t, x, pixel, y, at, count, to + i);
        }
        col = col + 1 < width ? col + 1 : 0;
        row += col == 0;
    }
}

/* Pointers of the taps of outputs [first, first + count) of a picture at x, whose pixels are
 * `pixel` floats apart. */
static void point(const struct place *t, const float *x, size_t pixel, size_t first, size_t count,
                  const float **to) {
    if (t->p->pointwise) {
        for (size_t i = 0; i < count; i++)
            to[i] = x + (first + i) * pixel;
        return;
    }
    if (t->p->gather.n <= 2) {
        point_planar(t, x, pixel, first, count, to);
        return;
    }
    window_positions(&t->p->gather, first, count, t->positions);
    for (size_t i = 0; i < count * t->p->taps; i++)
        to[i] = t->positions[i] < 0 ? t->zeros : x + t->positions[i] * (ptrdiff_t)pixel;
}

/* Columns [from, to) of a group's outputs. */
struct piece {
    size_t group, from, to;
};

static void rows_of_group(const struct place *t, const float *x, size_t y, struct piece piece,
                          size_t first, size_t count) {
    const struct implicit *p = t->p;
    const size_t each = panel_floats(window_taps(&p->w) * p->in, p->out),
                 tiles = panel_tiles(count), group = piece.group;
    for (size_t i = 0; i < tiles; i++) {
        size_t row = panel_tile(count, tiles, i);
        point(t, x + group * p->in, p->in * p->groups, first + row,
              panel_tile(count, tiles, i + 1) - row, t->pointers + row * p->taps);
    }
    y += group * p->out;
    struct panel_rows rows = {.m = count,
                              .n = p->out,
                              .k = p->k,
                              .taps = p->taps,
                              .from = piece.from,
                              .to = piece.to,
                              .a = t->pointers,
                              .panels = t->r->packed + group * each,
                              .bias = t->r->bias ? t->r->bias + group * p->out : NULL,
                              .c = panel_element(t->r->y, y, t->r->finish),
                              .c_row = p->out * p->groups,
                              .plus = panel_element(t->r->plus, y, t->r->finish),
                              .relu = t->r->relu,
                              .pairs = p->pairs,
                              .scale = t->r->scale ? t->r->scale + group * p->out : NULL,
                              .finish = t->r->finish,
                              .ahead = t->ahead};
    panel_multiply_rows(&rows);
}

/* Outputs [first, first + count) of picture `picture`; of every group, columns [from, to). */
static void stretch(const struct place *t, size_t picture, size_t first, size_t count, size_t from,
                    size_t to) {
    const struct implicit *p = t->p;
    const size_t channels = p->out * p->groups;
    const float *x = t->r->x + picture * window_inputs(&p->w) * p->in * p->groups;
    size_t begin = (picture * window_pixels(&p->w) + first) * channels;
    if (p->depthwise) {
        point(t, x, p->groups, first, count, t->pointers);
        kernel_set()->depthwise_f32(&(struct depthwise_f32){.pixels = count,
                                                            .taps = p->taps,
                                                            .n = p->groups,
                                                            .x = t->pointers,
                                                            .w = t->r->packed,
                                                            .bias = t->r->bias,
                                                            .y = t->r->y + begin,
                                                            .y_row = p->groups});
    } else {
        for (size_t group = 0; group < p->groups; group++)
            rows_of_group(t, x, begin, (struct piece){group, from, to}, first, count);
    }
    if (!t->r->done)
        return;
    if (to - from == p->out)
        t->r->done(t->r->ctx, begin, count * channels);
    for (size_t i = 0; to - from < p->out && i < count; i++)
        t->r->done(t->r->ctx, begin + i * channels + from, to - from);
}

/* Few pixels and many channels: the team shares the channels, so that each weight is read by one
 * of them. */
static bool by_columns(const struct implicit *p, size_t total, int parts) {
    return parts > 1 && p->groups == 1 && total <= block_rows(p) &&
           panel_floats(1, p->out) >= 2 * (size_t)parts * panel_floats(1, 1);
}

static void part(const struct implicit *p, const struct implicit_run *r, int index, int parts) {
    char *own = (char *)r->scratch + zero_bytes(p) + (size_t)index * thread_bytes(p);
    const size_t pixels = window_pixels(&p->w), total = p->batch * pixels;
    struct gemm_tile tile;
    kernel_set()->gemm_tile_f32(&tile);
    struct panel_ahead ahead = panel_ahead_part(&r->ahead, parts, index);
    struct place t = {p,
                      r,
                      r->scratch,
                      (ptrdiff_t *)own,
                      (const float **)(own + block_rows(p) * p->taps * sizeof(ptrdiff_t)),
                      &ahead};
    if (p->gather.n <= 2)
        measure_taps(&p->gather, p->depthwise ? p->groups : p->in * p->groups, t.positions);
    const bool columns = by_columns(p, total, parts);
    const size_t grain = p->depthwise ? 1 : tile.mr,
                 from = columns ? team_cut(p->out, tile.nr, parts, index) : 0,
                 to = columns ? team_cut(p->out, tile.nr, parts, index + 1) : p->out,
                 begin = columns ? 0 : team_cut(total, grain, parts, index),
                 end = columns ? total : team_cut(total, grain, parts, index + 1),
                 blocks = (end - begin + block_rows(p) - 1) / block_rows(p),
                 even = blocks ? (end - begin + blocks - 1) / blocks : 0,
                 step = (even + grain - 1) / grain * grain;
    for (size_t at = begin; at < end;) {
        size_t first = at % pixels, count = pixels - first;
        count = count < step ? count : step;
        count = count < end - at ? count : end - at;
        stretch(&t, at / pixels, first, count, from, to);
        at += count;
    }
}

void implicit_run(const struct implicit *p, const struct implicit_run *r) {
    memset(r->scratch, r->padding, zero_bytes(p));
    double multiplications = (double)p->batch * (double)window_pixels(&p->w) * (double)p->groups *
                             (double)p->out * (double)p->k * (double)p->taps;
    const int threads = team_size(r->threads, multiplications * (p->depthwise ? 0.1 : 0.025));
    if (threads == 1) {
        part(p, r, 0, 1);
        return;
    }
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int i = 0; i < threads; i++)
        part(p, r, i, threads);
}
