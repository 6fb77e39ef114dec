/* SPDX-License-Identifier: Apache-2.0 */
/* Winograd's convolution; see winograd.h and kernel.h.
 *
 * A block of tiles at a time: their patches are transformed to V (36, tiles, in); then for each
 * panel of output channels 36 products with the panel's weights (36, in, nr) give M (36, tiles,
 * nr), which is transformed back into y while it is in cache. Many tiles: each thread has blocks of
 * its own. Few tiles: one block, transformed by all, then each thread has panels of its own.
 *
 * Scratch: a row of zeros that padding points to, V (one, or one per thread), M (one per thread).
 */
#include "op/winograd.h"

#include "base/mem.h"
#include "op/team.h"

#include <string.h>

enum {
    POINTS = WINOGRAD_POINTS,
    SIDE = WINOGRAD_OUT,
    BLOCK_TILES = 48,
    SHARE_TILES = 64, /* up to here the team shares a block */
    STAGGER = 16,     /* floats between points, so that they do not fall into the same cache set */
    LEAST_IN = 64,
    LEAST_OUT = 32,
    ROWS_MAX = 32 /* of the largest matrix tile */
};

static struct gemm_tile tile_size(void) {
    struct gemm_tile t;
    kernel_set()->gemm_tile_f32(&t);
    return t;
}

static size_t panels(const struct winograd *p) {
    size_t nr = tile_size().nr;
    return (p->out + nr - 1) / nr;
}

static bool dense_3x3(const struct window *w) {
    for (int i = 0; i < 2; i++)
        if (w->kernel[i] != 3 || w->stride[i] != 1 || w->dilation[i] != 1)
            return false;
    return w->n == 2;
}

bool winograd_plan(struct winograd *p, const struct window *w, size_t batch, size_t groups,
                   size_t in, size_t out, int threads) {
    if (groups != 1 || !dense_3x3(w))
        return false;
    size_t down = ((size_t)w->out[0] + SIDE - 1) / SIDE,
           across = ((size_t)w->out[1] + SIDE - 1) / SIDE, tiles = batch * down * across;
    if (tiles == 0)
        return false;
    *p = (struct winograd){
        .w = *w, .batch = batch, .in = in, .out = out, .across = across, .tiles = tiles};
    p->share = tiles <= SHARE_TILES && panels(p) >= (size_t)threads;
    size_t mine = p->share ? tiles : (tiles + (size_t)threads - 1) / (size_t)threads,
           blocks = p->share ? 1 : (mine + BLOCK_TILES - 1) / BLOCK_TILES, mr = tile_size().mr;
    p->block = p->share ? tiles : ((mine + blocks - 1) / blocks + mr - 1) / mr * mr;
    return true;
}

/* The transforms cost as much per channel whatever the other side's channels are, and few tiles
 * make poor products of 36 times the weights. Measured with two threads on AVX-512 over the layers
 * of ResNet-50, VGG-19, DenseNet-121, Inception and YOLOv8n: 0.2 to 0.9 of oneDNN's time above this
 * line, 0.9 to 2 below. */
bool winograd_pays(const struct winograd *p) {
    double work =
        (double)p->batch * (double)window_pixels(&p->w) * (double)p->in * (double)p->out * 9;
    return p->in >= LEAST_IN && p->out >= LEAST_OUT && work * (double)p->tiles >= 8e8;
}

/* --- weights --- */

size_t winograd_packed(const struct winograd *p) {
    return panels(p) * POINTS * p->in * tile_size().nr;
}

/* to (6) = G * w (3), Lavin and Gray, section 4.3. */
static void spread_three(const float w0, const float w1, const float w2, float to[6]) {
    to[0] = w0 / 4;
    to[1] = -(w0 + w1 + w2) / 6;
    to[2] = -(w0 - w1 + w2) / 6;
    to[3] = w0 / 24 + w1 / 12 + w2 / 6;
    to[4] = w0 / 24 - w1 / 12 + w2 / 6;
    to[5] = w2;
}

/* 36 numbers, `step` apart, of one 3 x 3 window. */
static void pack_window(const float *w, float *to, size_t step) {
    float half[3][6];
    for (int row = 0; row < 3; row++)
        spread_three(w[row * 3], w[row * 3 + 1], w[row * 3 + 2], half[row]);
    for (size_t col = 0; col < 6; col++) {
        float whole[6];
        spread_three(half[0][col], half[1][col], half[2][col], whole);
        for (size_t row = 0; row < 6; row++)
            to[(row * 6 + col) * step] = whole[row];
    }
}

void winograd_pack(const struct winograd *p, const float *weights, float *packed) {
    const size_t nr = tile_size().nr, step = p->in * nr;
    if (p->out % nr)
        memset(packed + (panels(p) - 1) * POINTS * step, 0, POINTS * step * sizeof *packed);
    for (size_t panel = 0; panel < panels(p); panel++, packed += POINTS * step)
        for (size_t in = 0; in < p->in; in++)
            for (size_t col = 0; col < nr && panel * nr + col < p->out; col++)
                pack_window(weights + ((panel * nr + col) * p->in + in) * 9, packed + in * nr + col,
                            step);
}

/* --- run --- */

static size_t v_step(const struct winograd *p) { return p->block * p->in + STAGGER; }
static size_t m_step(const struct winograd *p) { return p->block * tile_size().nr + STAGGER; }
static size_t line_up(size_t floats) { return mem_round_up(floats * sizeof(float), MEM_LINE); }
static size_t v_bytes(const struct winograd *p) { return line_up(POINTS * v_step(p)); }
static size_t m_bytes(const struct winograd *p) { return line_up(POINTS * m_step(p)); }

size_t winograd_scratch(const struct winograd *p, int threads) {
    return line_up(p->in) + (p->share ? 1 : (size_t)threads) * v_bytes(p) +
           (size_t)threads * m_bytes(p);
}

struct place { /* of one thread */
    const struct winograd *p;
    const struct winograd_run *r;
    const float *zeros;
    float *v, *m;
};

static struct place place_of(const struct winograd *p, const struct winograd_run *r, int index,
                             int parts) {
    char *v = (char *)r->scratch + line_up(p->in),
         *m = v + (p->share ? 1 : (size_t)parts) * v_bytes(p);
    return (struct place){p, r, r->scratch,
                          (float *)(v + (p->share ? 0 : (size_t)index) * v_bytes(p)),
                          (float *)(m + (size_t)index * m_bytes(p))};
}

struct spot { /* a tile's first output */
    size_t picture;
    int64_t row, col;
};
static struct spot spot_of(const struct winograd *p, size_t tile) {
    size_t each = p->tiles / p->batch, in = tile % each;
    return (struct spot){tile / each, (int64_t)(in / p->across * SIDE),
                         (int64_t)(in % p->across * SIDE)};
}

/* Tiles [from, to) of the block that begins with tile `first`. */
static void patches(const struct place *t, size_t first, size_t from, size_t to) {
    const struct winograd *p = t->p;
    const float *pixels[POINTS];
    for (size_t i = from; i < to; i++) {
        struct spot s = spot_of(p, first + i);
        const float *x = t->r->x + s.picture * window_inputs(&p->w) * p->in;
        for (int k = 0; k < POINTS; k++) {
            int64_t row = s.row - p->w.before[0] + k / WINOGRAD_IN,
                    col = s.col - p->w.before[1] + k % WINOGRAD_IN;
            bool inside = row >= 0 && col >= 0 && row < p->w.in[0] && col < p->w.in[1];
            pixels[k] = inside ? x + (size_t)(row * p->w.in[1] + col) * p->in : t->zeros;
        }
        kernel_set()->winograd_in(&(struct winograd_in){
            .n = p->in, .x = pixels, .v = t->v + i * p->in, .v_step = v_step(p)});
    }
}

static void products(const struct place *t, size_t panel, size_t tiles) {
    const struct winograd *p = t->p;
    const struct gemm_tile tile = tile_size();
    const float *a[ROWS_MAX], *b = t->r->packed + panel * POINTS * p->in * tile.nr;
    const size_t left = p->out - panel * tile.nr, step = p->in * tile.nr,
                 passes = (tiles + tile.mr - 1) / tile.mr;
    const bool last_panel = panel + 1 == panels(p);
    for (size_t point = 0; point < POINTS; point++, b += step)
        for (size_t pass = 0; pass < passes; pass++) {
            const size_t row = tiles * pass / passes, some = tiles * (pass + 1) / passes - row;
            for (size_t i = 0; i < some; i++)
                a[i] = t->v + point * v_step(p) + (row + i) * p->in;
            kernel_set()->gemm_f32(
                &(struct gemm_f32){.m = some,
                                   .n = left < tile.nr ? left : tile.nr,
                                   .k = p->in,
                                   .taps = 1,
                                   .a = a,
                                   .b = b,
                                   .ahead = pass < 2 && !(last_panel && point + 1 == POINTS)
                                                ? b + step + pass * step / 2
                                                : NULL,
                                   .c = t->m + point * m_step(p) + row * tile.nr,
                                   .ldc = tile.nr});
        }
}

static void pixels_out(const struct place *t, size_t panel, size_t first, size_t tiles) {
    const struct winograd *p = t->p;
    const size_t nr = tile_size().nr, from = panel * nr, left = p->out - from;
    float *pixels[SIDE * SIDE];
    for (size_t i = 0; i < tiles; i++) {
        struct spot s = spot_of(p, first + i);
        float *y = t->r->y + s.picture * window_pixels(&p->w) * p->out + from;
        for (int k = 0; k < SIDE * SIDE; k++) {
            int64_t row = s.row + k / SIDE, col = s.col + k % SIDE;
            bool inside = row < p->w.out[0] && col < p->w.out[1];
            pixels[k] = inside ? y + (size_t)(row * p->w.out[1] + col) * p->out : NULL;
        }
        kernel_set()->winograd_out(
            &(struct winograd_out){.n = left < nr ? left : nr,
                                   .m = t->m + i * nr,
                                   .m_step = m_step(p),
                                   .bias = t->r->bias ? t->r->bias + from : NULL,
                                   .relu = t->r->relu,
                                   .y = pixels});
    }
}

/* Channels [from, to) of the block's tiles are finished; a run of pixels is one stretch when it has
 * all channels. */
static void tell_done(const struct place *t, size_t from, size_t to, size_t first, size_t tiles) {
    const struct winograd *p = t->p;
    const bool whole = from == 0 && to == p->out;
    for (size_t i = 0; i < tiles; i++) {
        struct spot s = spot_of(p, first + i);
        for (int64_t row = s.row; row < s.row + SIDE && row < p->w.out[0]; row++) {
            size_t across = (size_t)(p->w.out[1] - s.col < SIDE ? p->w.out[1] - s.col : SIDE),
                   pixel = s.picture * window_pixels(&p->w) + (size_t)(row * p->w.out[1] + s.col);
            for (size_t j = 0; j < (whole ? 1 : across); j++)
                t->r->done(t->r->ctx, (pixel + j) * p->out + from,
                           whole ? across * p->out : to - from);
        }
    }
}

/* Panels [from, to) of a block whose patches are there. */
static void block_out(const struct place *t, size_t from, size_t to, size_t first, size_t tiles) {
    const size_t nr = tile_size().nr;
    for (size_t panel = from; panel < to; panel++) {
        products(t, panel, tiles);
        pixels_out(t, panel, first, tiles);
    }
    if (t->r->done && from < to)
        tell_done(t, from * nr, to * nr < t->p->out ? to * nr : t->p->out, first, tiles);
}

static void part_of_tiles(const struct winograd *p, const struct winograd_run *r, int index,
                          int parts) {
    const struct place t = place_of(p, r, index, parts);
    size_t end = team_cut(p->tiles, 1, parts, index + 1);
    for (size_t at = team_cut(p->tiles, 1, parts, index), some; at < end; at += some) {
        some = end - at < p->block ? end - at : p->block;
        patches(&t, at, 0, some);
        block_out(&t, 0, panels(p), at, some);
    }
}

static void share_a_block(const struct winograd *p, const struct winograd_run *r, int threads) {
#pragma omp parallel num_threads(threads)
    {
#pragma omp for schedule(static)
        for (int i = 0; i < threads; i++) { /* ends with a barrier */
            const struct place t = place_of(p, r, i, threads);
            patches(&t, 0, team_cut(p->tiles, 1, threads, i),
                    team_cut(p->tiles, 1, threads, i + 1));
        }
#pragma omp for schedule(static)
        for (int i = 0; i < threads; i++) {
            const struct place t = place_of(p, r, i, threads);
            block_out(&t, team_cut(panels(p), 1, threads, i),
                      team_cut(panels(p), 1, threads, i + 1), 0, p->tiles);
        }
    }
}

void winograd_run(const struct winograd *p, const struct winograd_run *r) {
    memset(r->scratch, 0, p->in * sizeof(float));
    if (p->share) {
        share_a_block(p, r, r->threads);
        return;
    }
#pragma omp parallel for num_threads(r->threads) schedule(static)
    for (int i = 0; i < r->threads; i++)
        part_of_tiles(p, r, i, r->threads);
}
