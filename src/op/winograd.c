/* SPDX-License-Identifier: Apache-2.0 */
/* Winograd's convolution; see winograd.h and kernel.h.
 *
 * A block of tiles at a time: their patches are transformed to V (points, tiles, in); then for each
 * panel of output channels the products with the panel's weights (points, in, nr) give M (points,
 * tiles, nr) in f32 (of bytes int32), which is transformed back into y while it is in cache. There
 * are 36, 25 or 16 points; those of a stride of 2 share weights. Many tiles: each thread has blocks
 * of its own. Few tiles: one block, transformed by all, then each thread has panels of its own.
 *
 * Pairs of bf16, or of int16 made of bytes, lie in the place of each f32 of V and of the packed
 * weights.
 *
 * Scratch: V, if the team holds one together; for each thread V, if it has its own, and M; a row of
 * zeros (of bytes: zero points) that padding points to. A thread's part begins at a multiple of
 * PART_BYTES, so that in layer after layer it is the same memory, in that thread's cache already.
 */
#include "op/winograd.h"

#include "base/mem.h"
#include "op/team.h"

#include <string.h>

enum {
    POINTS_MAX = WINOGRAD_POINTS,
    SIDE_MAX = WINOGRAD_OUT,
    BLOCK_TILES = 48,
    BLOCK_BF16 = 96 * 128, /* tiles times channels: V takes 384 KB */
    PART_BYTES = 512 << 10,
    STAGGER = 16, /* floats between points, so that they do not fall into the same cache set */
    LEAST_IN = 64,
    LEAST_OUT = 24,
    LEAST_2X2 = 256,
    LEAST_2X2_TILES = 12,
    LEAST_STRIDED = 128,
    LARGEST_Q8 = 2 << 20, /* bytes */
    LARGEST_Q8_ALONE = 5 << 20,
    ROWS_MAX = 32 /* of the largest matrix tile */
};

static struct gemm_tile tile_size(const struct winograd *p) {
    struct gemm_tile t = {GEMM_BF16_MR, GEMM_BF16_NR};
    if (p->kind != WINOGRAD_BF16)
        kernel_set()->gemm_tile_f32(&t);
    return t;
}

static size_t panels(const struct winograd *p) {
    size_t nr = tile_size(p).nr;
    return (p->out + nr - 1) / nr;
}

/* What tells the kinds apart. */
struct kind {
    size_t side, stride, number_bytes;
    size_t lines; /* a side of the weights' points */
    size_t share; /* up to so many tiles the team shares a block */
    bool pairs;
    enum winograd_form form; /* of f32 */
};
static const struct kind *kind_of(enum winograd_kind kind) {
    enum { F32 = sizeof(float), BF16 = sizeof(uint16_t), STRIDED_LINES = WINOGRADS_IN - 1 };
    static const struct kind kinds[] = {
        [WINOGRAD_F32] = {WINOGRAD_OUT, 1, F32, WINOGRAD_IN, 32, false, WINOGRAD_4X4},
        [WINOGRAD_F32_2X2] = {WINOGRAD2_OUT, 1, F32, WINOGRAD2_IN, 32, false, WINOGRAD_2X2},
        [WINOGRAD_F32_STRIDED] = {WINOGRADS_OUT, 2, F32, STRIDED_LINES, 32, false,
                                  WINOGRAD_STRIDED},
        [WINOGRAD_BF16] = {WINOGRAD2_OUT, 1, BF16, WINOGRAD2_IN, 64, true},
        [WINOGRAD_Q8] = {WINOGRAD_OUT, 1, 1, WINOGRAD_IN, 16, true},
    };
    return &kinds[kind];
}

static size_t stride(const struct winograd *p) { return kind_of(p->kind)->stride; }
static size_t span(const struct winograd *p) {
    return stride(p) * (p->side - 1) + 3;
} /* of a patch */
static size_t points(const struct winograd *p) { return span(p) * span(p); }
static size_t number_bytes(const struct winograd *p) { return kind_of(p->kind)->number_bytes; }
static size_t depth(const struct winograd *p) { /* of a product: floats, or pairs */
    return kind_of(p->kind)->pairs ? p->in / 2 : p->in;
}

/* The weights of a point, whose number among the packed ones may be that of another's too: odd
 * pixels of a stride of 2 meet the middle weight alone. */
static size_t weight_points(const struct winograd *p) {
    return kind_of(p->kind)->lines * kind_of(p->kind)->lines;
}
static size_t weight_of(const struct winograd *p, size_t point) {
    const size_t lines = kind_of(p->kind)->lines, row = point / span(p), col = point % span(p);
    return (row < lines ? row : lines - 1) * lines + (col < lines ? col : lines - 1);
}

static bool dense_3x3(const struct window *w, size_t step) {
    for (int i = 0; i < 2; i++)
        if (w->kernel[i] != 3 || w->stride[i] != (int64_t)step || w->dilation[i] != 1)
            return false;
    return w->n == 2;
}

static size_t tiles_at_once(const struct winograd *p, int threads) {
    if (p->share)
        return p->tiles;
    const size_t most = p->kind != WINOGRAD_BF16           ? BLOCK_TILES
                        : p->in > BLOCK_BF16 / BLOCK_TILES ? BLOCK_TILES
                                                           : BLOCK_BF16 / p->in;
    size_t mine = (p->tiles + (size_t)threads - 1) / (size_t)threads,
           blocks = (mine + most - 1) / most, mr = tile_size(p).mr;
    return ((mine + blocks - 1) / blocks + mr - 1) / mr * mr;
}

static bool takes_channels(const struct implicit *of, enum winograd_kind kind) {
    return kind <= WINOGRAD_F32_STRIDED ||
           (kind == WINOGRAD_BF16 && of->in > 0 && of->in % 2 == 0) ||
           (kind == WINOGRAD_Q8 && of->in > 0 && of->in % WINOGRAD_Q8_CHANNELS == 0 &&
            of->out % WINOGRAD_Q8_CHANNELS == 0);
}

bool winograd_plan(struct winograd *p, const struct implicit *of, enum winograd_kind kind,
                   int threads) {
    if (of->groups != 1 || !dense_3x3(&of->w, kind_of(kind)->stride) || !takes_channels(of, kind))
        return false;
    const size_t side = kind_of(kind)->side, down = ((size_t)of->w.out[0] + side - 1) / side,
                 across = ((size_t)of->w.out[1] + side - 1) / side,
                 tiles = of->batch * down * across;
    if (tiles == 0)
        return false;
    *p = (struct winograd){.w = of->w,
                           .batch = of->batch,
                           .in = of->in,
                           .out = of->out,
                           .kind = kind,
                           .side = side,
                           .across = across,
                           .tiles = tiles};
    p->alone = threads == 1;
    p->share = tiles <= kind_of(kind)->share && panels(p) >= (size_t)threads;
    p->block = tiles_at_once(p, threads);
    return true;
}

/* The transforms cost as much per channel whatever the other side's channels are, and few tiles
 * make poor products of 36 times the weights. Measured with two threads on AVX-512 over the layers
 * of ResNet-50, VGG-19, DenseNet-121, Inception and YOLOv8n: 0.2 to 0.9 of oneDNN's time above this
 * line, 0.9 to 2 below. Of bytes the direct form has an eighth of the weights: beyond LARGEST_Q8
 * what it saves in products goes into fetching them, of which a core alone can do more.
 * Measured over ResNet-50: 2 x 2 takes 0.7 of the direct form's time in its last stage (16 tiles),
 * where 4 x 4 has four times its weights to fetch; a stride of 2 0.8 to 0.87 with 49 tiles and
 * more, 0.97 with 16. */
bool winograd_pays(const struct winograd *p) {
    const size_t least = p->in < p->out ? p->in : p->out;
    if (p->kind == WINOGRAD_F32_2X2)
        return least >= LEAST_2X2 && p->tiles >= LEAST_2X2_TILES;
    if (p->kind == WINOGRAD_F32_STRIDED)
        return least >= LEAST_STRIDED && p->tiles > kind_of(p->kind)->share;
    if (p->kind == WINOGRAD_Q8 &&
        winograd_packed(p) > (size_t)(p->alone ? LARGEST_Q8_ALONE : LARGEST_Q8))
        return false;
    double work =
        (double)p->batch * (double)window_pixels(&p->w) * (double)p->in * (double)p->out * 9;
    return p->in >= LEAST_IN && p->out >= LEAST_OUT && work * (double)p->tiles >= 8e8;
}

/* --- weights --- */

size_t winograd_packed(const struct winograd *p) {
    return panels(p) * weight_points(p) * depth(p) * tile_size(p).nr * sizeof(float);
}

/* to (lines) = G * w (3), Lavin and Gray, sections 4.1 and 4.3; of a stride of 2 kernel.h. */
static void spread_three(enum winograd_kind kind, const float w0, const float w1, const float w2,
                         float to[WINOGRAD_IN]) {
    if (kind == WINOGRAD_F32_STRIDED) {
        to[0] = w0;
        to[1] = w0 + w2;
        to[2] = w2;
        to[3] = w1;
    } else if (kind_of(kind)->side == WINOGRAD2_OUT) {
        to[0] = w0;
        to[1] = (w0 + w1 + w2) / 2;
        to[2] = (w0 - w1 + w2) / 2;
        to[3] = w2;
    } else {
        to[0] = w0 / 4;
        to[1] = -(w0 + w1 + w2) / 6;
        to[2] = -(w0 - w1 + w2) / 6;
        to[3] = w0 / 24 + w1 / 12 + w2 / 6;
        to[4] = w0 / 24 - w1 / 12 + w2 / 6;
        to[5] = w2;
    }
}

/* The numbers of one 3 x 3 window, point after point. */
static void spread_window(enum winograd_kind kind, const float *w, float to[POINTS_MAX]) {
    const size_t n = kind_of(kind)->lines;
    float half[3][WINOGRAD_IN];
    for (size_t row = 0; row < 3; row++)
        spread_three(kind, w[row * 3], w[row * 3 + 1], w[row * 3 + 2], half[row]);
    for (size_t col = 0; col < n; col++) {
        float whole[WINOGRAD_IN];
        spread_three(kind, half[0][col], half[1][col], half[2][col], whole);
        for (size_t row = 0; row < n; row++)
            to[row * n + col] = whole[row];
    }
}

/* `step` floats lie between points; of a pair of bf16, input channel `in` is one. */
static void pack_window(const struct winograd *p, const float *w, size_t in, float *to,
                        size_t step) {
    float numbers[POINTS_MAX];
    spread_window(p->kind, w, numbers);
    for (size_t point = 0; point < weight_points(p); point++, to += step) {
        if (p->kind == WINOGRAD_BF16)
            kernel_set()->narrow_bf16(1, &numbers[point], (uint16_t *)(void *)to + in % 2);
        else
            *to = numbers[point];
    }
}

void winograd_pack(const struct winograd *p, const float *weights, void *packed) {
    const size_t nr = tile_size(p).nr, step = depth(p) * nr, each = weight_points(p) * step;
    float *to = packed;
    if (p->out % nr)
        memset(to + (panels(p) - 1) * each, 0, each * sizeof *to);
    for (size_t panel = 0; panel < panels(p); panel++, to += each)
        for (size_t in = 0; in < p->in; in++)
            for (size_t col = 0; col < nr && panel * nr + col < p->out; col++)
                pack_window(p, weights + ((panel * nr + col) * p->in + in) * 9, in,
                            to + (p->kind == WINOGRAD_BF16 ? in / 2 : in) * nr + col, step);
}

/* to (6) = G * w (3), each row without its fraction: 24, -6, -6, 24, 24 and 6 times. */
static void spread_bytes(int w0, int w1, int w2, int to[SIDE_MAX + 2]) {
    to[0] = 6 * w0;
    to[1] = w0 + w1 + w2;
    to[2] = w0 - w1 + w2;
    to[3] = w0 + 2 * w1 + 4 * w2;
    to[4] = w0 - 2 * w1 + 4 * w2;
    to[5] = 6 * w2;
}

/* 36 numbers, `step` int16 apart, of one 3 x 3 window: 49 times a byte at most. */
static void pack_bytes(const int8_t *w, int16_t *to, size_t step) {
    enum { N = SIDE_MAX + 2 };
    int half[3][N];
    for (int row = 0; row < 3; row++)
        spread_bytes(w[row * 3], w[row * 3 + 1], w[row * 3 + 2], half[row]);
    for (size_t col = 0; col < N; col++) {
        int whole[N];
        spread_bytes(half[0][col], half[1][col], half[2][col], whole);
        for (size_t row = 0; row < N; row++)
            to[(row * N + col) * step] = (int16_t)whole[row];
    }
}

void winograd_pack_q8(const struct winograd *p, const int8_t *weights, void *packed) {
    const size_t nr = tile_size(p).nr, step = depth(p) * nr, each = points(p) * step;
    int16_t *to = packed;
    for (size_t out = 0; out < p->out; out++)
        for (size_t in = 0; in < p->in; in++)
            pack_bytes(weights + (out * p->in + in) * 9,
                       to + 2 * (out / nr * each + in / 2 * nr + out % nr) + in % 2, 2 * step);
}

bool winograd_is_exact(const struct winograd *p, const int8_t *weights) {
    for (size_t out = 0; out < p->out; out++) {
        int64_t up = 0, down = 0;
        for (size_t i = 0; i < p->in * 9; i++, weights++)
            *(*weights > 0 ? &up : &down) += 255 * *weights;
        if (up >= 1 << 25 || down < -(1 << 25))
            return false;
    }
    return true;
}

/* --- run --- */

/* Floats, or pairs, between points. */
static size_t v_step(const struct winograd *p) { return p->block * depth(p) + STAGGER; }
static size_t m_step(const struct winograd *p) { return p->block * tile_size(p).nr + STAGGER; }
static size_t line_up(size_t floats) { return mem_round_up(floats * sizeof(float), MEM_LINE); }
static size_t v_bytes(const struct winograd *p) { return line_up(points(p) * v_step(p)); }
static size_t m_bytes(const struct winograd *p) { return line_up(points(p) * m_step(p)); }

static size_t part_bytes(const struct winograd *p) {
    return mem_round_up((p->share ? 0 : v_bytes(p)) + m_bytes(p), PART_BYTES);
}
static size_t shared_bytes(const struct winograd *p) { return p->share ? v_bytes(p) : 0; }
static size_t padding_at(const struct winograd *p, int threads) {
    return shared_bytes(p) + (size_t)threads * part_bytes(p);
}

size_t winograd_scratch(const struct winograd *p, int threads) {
    return padding_at(p, threads) + line_up(p->in);
}

struct place { /* of one thread */
    const struct winograd *p;
    const struct winograd_run *r;
    const void *zeros;
    float *v, *m; /* v may hold pairs, m int32 */
};

static struct place place_of(const struct winograd *p, const struct winograd_run *r, int index,
                             int parts) {
    char *scratch = r->scratch, *own = scratch + shared_bytes(p) + (size_t)index * part_bytes(p);
    return (struct place){p, r, scratch + padding_at(p, parts), (float *)(p->share ? scratch : own),
                          (float *)(p->share ? own : own + v_bytes(p))};
}

struct spot { /* a tile's first output */
    size_t picture;
    int64_t row, col;
};
static struct spot spot_of(const struct winograd *p, size_t tile) {
    size_t each = p->tiles / p->batch, in = tile % each;
    return (struct spot){tile / each, (int64_t)(in / p->across * p->side),
                         (int64_t)(in % p->across * p->side)};
}

/* The pixels under a patch; those outside the picture are zeros. */
static void gather(const struct place *t, size_t tile, const void *pixels[POINTS_MAX]) {
    const struct winograd *p = t->p;
    const struct spot s = spot_of(p, tile);
    const int64_t step = (int64_t)stride(p), n = (int64_t)span(p), width = p->w.in[1],
                  top = s.row * step - p->w.before[0], left = s.col * step - p->w.before[1];
    const size_t bytes = p->in * number_bytes(p);
    const char *x = (const char *)t->r->x + s.picture * window_inputs(&p->w) * bytes;
    for (int64_t row = top; row < top + n; row++)
        for (int64_t col = left; col < left + n; col++) {
            bool inside = row >= 0 && col >= 0 && row < p->w.in[0] && col < width;
            *pixels++ = inside ? x + (size_t)(row * width + col) * bytes : t->zeros;
        }
}

/* Tiles [from, to) of the block that begins with tile `first`. */
static void patches(const struct place *t, size_t first, size_t from, size_t to) {
    const struct winograd *p = t->p;
    const struct kernel_set *k = kernel_set();
    const void *pixels[POINTS_MAX];
    for (size_t i = from; i < to; i++) {
        float *v = t->v + i * depth(p);
        gather(t, first + i, pixels);
        if (p->kind == WINOGRAD_Q8)
            k->winograd_in_q8(&(struct winograd_in_q8){.n = p->in,
                                                       .x = (const uint8_t *const *)pixels,
                                                       .flip = t->r->q8->x_signed ? 0x80 : 0,
                                                       .v = (int16_t *)(void *)v,
                                                       .v_step = 2 * v_step(p)});
        else if (p->kind == WINOGRAD_BF16)
            k->winograd_in_bf16(&(struct winograd_in_bf16){.n = p->in,
                                                           .x = (const uint16_t *const *)pixels,
                                                           .v = (uint16_t *)(void *)v,
                                                           .v_step = 2 * v_step(p)});
        else
            k->winograd_in(&(struct winograd_in){.n = p->in,
                                                 .form = kind_of(p->kind)->form,
                                                 .x = (const float *const *)pixels,
                                                 .v = v,
                                                 .v_step = v_step(p)});
    }
}

static void products(const struct place *t, size_t panel, size_t tiles) {
    const struct winograd *p = t->p;
    const struct gemm_tile tile = tile_size(p);
    const size_t left = p->out - panel * tile.nr, step = depth(p) * tile.nr,
                 passes = (tiles + tile.mr - 1) / tile.mr;
    const float *a[ROWS_MAX],
        *packed = (const float *)t->r->packed + panel * weight_points(p) * step;
    const bool last_panel = panel + 1 == panels(p);
    gemm_f32_fn *gemm = p->kind == WINOGRAD_BF16 ? kernel_set()->gemm_bf16
                        : p->kind == WINOGRAD_Q8 ? kernel_set()->gemm_pairs
                                                 : kernel_set()->gemm_f32;
    for (size_t point = 0; point < points(p); point++) {
        const bool last = point + 1 == points(p);
        const float *b = packed + weight_of(p, point) * step,
                    *next = packed + (last ? weight_points(p) : weight_of(p, point + 1)) * step;
        for (size_t pass = 0; pass < passes; pass++) {
            const size_t row = tiles * pass / passes, some = tiles * (pass + 1) / passes - row;
            for (size_t i = 0; i < some; i++)
                a[i] = t->v + point * v_step(p) + (row + i) * depth(p);
            gemm(&(struct gemm_f32){
                .m = some,
                .n = left < tile.nr ? left : tile.nr,
                .k = depth(p),
                .taps = 1,
                .a = a,
                .b = b,
                .ahead = pass < 2 && !(last_panel && last) ? next + pass * step / 2 : NULL,
                .c = t->m + point * m_step(p) + row * tile.nr,
                .ldc = tile.nr});
        }
    }
}

/* One tile of one panel, from M to its pixels of y; NULL: outside the picture. */
static void tile_out(const struct place *t, size_t panel, const float *m, void *const *pixels) {
    const struct winograd *p = t->p;
    const struct winograd_run *r = t->r;
    const size_t nr = tile_size(p).nr, from = panel * nr, left = p->out - from,
                 n = left < nr ? left : nr;
    const float *bias = r->bias ? r->bias + from : NULL;
    if (p->kind == WINOGRAD_Q8)
        kernel_set()->winograd_out_q8(
            &(struct winograd_out_q8){.n = n,
                                      .m = (const int32_t *)(const void *)m,
                                      .m_step = m_step(p),
                                      .bias = r->q8->bias + from,
                                      .scale = r->q8->scale + from,
                                      .zero = r->q8->y_zero,
                                      .is_signed = r->q8->y_signed,
                                      .y = (uint8_t *const *)pixels});
    else if (p->kind == WINOGRAD_BF16)
        kernel_set()->winograd_out_bf16(&(struct winograd_out_bf16){.n = n,
                                                                    .m = m,
                                                                    .m_step = m_step(p),
                                                                    .bias = bias,
                                                                    .relu = r->relu,
                                                                    .wide = r->wide,
                                                                    .y = pixels});
    else
        kernel_set()->winograd_out(&(struct winograd_out){.n = n,
                                                          .form = kind_of(p->kind)->form,
                                                          .m = m,
                                                          .m_step = m_step(p),
                                                          .bias = bias,
                                                          .relu = r->relu,
                                                          .y = (float *const *)pixels});
}

/* Where a tile's outputs of channels from `channel` on belong; NULL: outside the picture. */
static void outputs_of(const struct place *t, size_t tile, size_t channel,
                       void *pixels[SIDE_MAX * SIDE_MAX]) {
    const struct winograd *p = t->p;
    const struct spot s = spot_of(p, tile);
    const int64_t side = (int64_t)p->side, width = p->w.out[1];
    const size_t bytes = t->r->wide ? sizeof(float) : number_bytes(p);
    char *y = (char *)t->r->y + (s.picture * window_pixels(&p->w) * p->out + channel) * bytes;
    for (int64_t row = s.row; row < s.row + side; row++)
        for (int64_t col = s.col; col < s.col + side; col++) {
            bool inside = row < p->w.out[0] && col < width;
            *pixels++ = inside ? y + (size_t)(row * width + col) * p->out * bytes : NULL;
        }
}

static void pixels_out(const struct place *t, size_t panel, size_t first, size_t tiles) {
    const size_t nr = tile_size(t->p).nr;
    void *pixels[SIDE_MAX * SIDE_MAX];
    for (size_t i = 0; i < tiles; i++) {
        outputs_of(t, first + i, panel * nr, pixels);
        tile_out(t, panel, t->m + i * nr, pixels);
    }
}

/* Channels [from, to) of the block's tiles are finished; a run of pixels is one stretch when it has
 * all channels. */
static void tell_done(const struct place *t, size_t from, size_t to, size_t first, size_t tiles) {
    const struct winograd *p = t->p;
    const bool whole = from == 0 && to == p->out;
    for (size_t i = 0; i < tiles; i++) {
        struct spot s = spot_of(p, first + i);
        const int64_t side = (int64_t)p->side, rest = p->w.out[1] - s.col;
        for (int64_t row = s.row; row < s.row + side && row < p->w.out[0]; row++) {
            size_t across = (size_t)(rest < side ? rest : side),
                   pixel = s.picture * window_pixels(&p->w) + (size_t)(row * p->w.out[1] + s.col);
            for (size_t j = 0; j < (whole ? 1 : across); j++)
                t->r->done(t->r->ctx, (pixel + j) * p->out + from,
                           whole ? across * p->out : to - from);
        }
    }
}

/* Panels [from, to) of a block whose patches are there. */
static void block_out(const struct place *t, size_t from, size_t to, size_t first, size_t tiles) {
    const size_t nr = tile_size(t->p).nr;
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
    memset((char *)r->scratch + padding_at(p, r->threads), r->q8 ? r->q8->padding : 0,
           p->in * number_bytes(p));
    if (p->share) {
        share_a_block(p, r, r->threads);
        return;
    }
#pragma omp parallel for num_threads(r->threads) schedule(static)
    for (int i = 0; i < r->threads; i++)
        part_of_tiles(p, r, i, r->threads);
}
