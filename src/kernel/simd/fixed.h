/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies of the products of block floating point (kernel/fixed.h), over the vectors of an
 * instruction set and vi_dot_pairs(vi sum, vi w, vi a): two products of int16 per lane, added. A
 * tile of results is FIXED_MANY rows x 2 vectors, or FIXED_FEW where there are as few as that: they
 * wait for memory and not for registers. */
#pragma once

#include "base/mem.h"
#include "kernel/simd/strips.h"

#include <string.h>

enum {
    FIXED_PARTS = STRIP / VL,
    FIXED_VECTORS = 2,
    FIXED_ROWS = FIXED_FEW > FIXED_MANY ? FIXED_FEW : FIXED_MANY,
    FIXED_CODES = GROUP * STRIP
};

SIMD size_t fixed_strip(size_t k) { return fixed_strip_bytes(k) / sizeof(int16_t); }

/* sum[r][c] = exact products of a block of rows and outputs. Meanwhile as many bytes of each of
 * `streams` strips from `ahead` on are asked for. */
SIMD void fixed_dots(const int16_t *w, size_t strip, const int16_t *a, size_t a_row,
                     const int16_t *ahead, const size_t streams, vi sum[][FIXED_VECTORS],
                     const size_t m, const size_t v) {
#pragma GCC unroll 16
    for (size_t r = 0; r < m; r++)
#pragma GCC unroll 2
        for (size_t c = 0; c < v; c++)
            sum[r][c] = vi_set(0);
#pragma GCC unroll 16
    for (size_t j = 0; j < GROUP / 2; j++) {
        vi weight[FIXED_VECTORS];
#pragma GCC unroll 2
        for (size_t s = 0; s < streams; s++)
            __builtin_prefetch(ahead + s * strip + 2 * STRIP * j);
#pragma GCC unroll 2
        for (size_t c = 0; c < v; c++)
            weight[c] = vi_load_bytes(w + c / FIXED_PARTS * strip + 2 * STRIP * j +
                                      c % FIXED_PARTS * 2 * VL);
#pragma GCC unroll 16
        for (size_t r = 0; r < m; r++) {
            int32_t both;
            memcpy(&both, a + r * a_row + 2 * j, sizeof both);
#pragma GCC unroll 2
            for (size_t c = 0; c < v; c++)
                sum[r][c] = vi_dot_pairs(sum[r][c], weight[c], vi_set(both));
        }
    }
}

/* m rows from `row`, v vectors of outputs from the strip: both constant after inlining. */
SIMD void fixed_tile_fetching(const struct fixed_gemm *g, size_t first, size_t row, size_t ahead,
                              const size_t streams, const size_t m, const size_t v) {
    const size_t groups = fixed_groups(g->k), strip = fixed_strip(g->k);
    const int16_t *w = (const int16_t *)g->w + first * strip;
    const uint16_t *scales = (const uint16_t *)(w + groups * FIXED_CODES);
    const int16_t *a = g->a + row * groups * GROUP;
    const float *d = g->d + row * groups;
    vf acc[FIXED_ROWS][FIXED_VECTORS];
#pragma GCC unroll 16
    for (size_t r = 0; r < m; r++)
#pragma GCC unroll 2
        for (size_t c = 0; c < v; c++)
            acc[r][c] = vf_zero();
    for (size_t i = 0; i < groups; i++) {
        vi sum[FIXED_ROWS][FIXED_VECTORS];
        vf scale[FIXED_VECTORS];
        fixed_dots(w, strip, a, groups * GROUP, w + ahead, streams, sum, m, v);
#pragma GCC unroll 2
        for (size_t c = 0; c < v; c++)
            scale[c] = vf_load_bf16(scales + c / FIXED_PARTS * strip + c % FIXED_PARTS * VL);
#pragma GCC unroll 16
        for (size_t r = 0; r < m; r++)
#pragma GCC unroll 2
            for (size_t c = 0; c < v; c++)
                acc[r][c] = vf_fma(vf_mul(vf_of(sum[r][c]), scale[c]), vf_set(d[r * groups + i]),
                                   acc[r][c]);
        w += FIXED_CODES, scales += STRIP, a += GROUP;
    }
#pragma GCC unroll 16
    for (size_t r = 0; r < m; r++)
#pragma GCC unroll 2
        for (size_t c = 0; c < v; c++)
            strip_put(g->y + (row + r) * g->y_row, first * STRIP + c * VL, g->n, acc[r][c], g->add);
}

/* Weights from memory: a tile alone asks for what it reads next, of several over the same strips
 * each for one of the next ones. */
SIMD void fixed_tile(const struct fixed_gemm *g, size_t strip, size_t row, size_t tile,
                     const size_t m, const size_t v) {
    enum { AHEAD = 2048 / sizeof(int16_t) };
    const size_t strips = v / FIXED_PARTS;
    if (m == g->m)
        fixed_tile_fetching(g, strip, row, AHEAD, strips, m, v);
    else if (tile < strips)
        fixed_tile_fetching(g, strip, row, (strips + tile) * fixed_strip(g->k), 1, m, v);
    else
        fixed_tile_fetching(g, strip, row, 0, 0, m, v);
}

/* Rows of the next tile: FIXED_MANY, or FIXED_FEW where that many are left. */
SIMD size_t fixed_next(size_t left) {
    if (left == FIXED_FEW)
        return left;
    return left >= FIXED_MANY ? FIXED_MANY : left >= 4 ? 4 : left >= 2 ? 2 : 1;
}

SIMD void fixed_rows(const struct fixed_gemm *g, size_t strip, const size_t v) {
    for (size_t row = 0, tile = 0, m; row < g->m; row += m, tile++) {
        m = fixed_next(g->m - row);
        if (m == FIXED_FEW)
            fixed_tile(g, strip, row, tile, FIXED_FEW, v);
        else if (m == FIXED_MANY)
            fixed_tile(g, strip, row, tile, FIXED_MANY, v);
        else if (FIXED_MANY > 4 && m == 4)
            fixed_tile(g, strip, row, tile, 4, v);
        else if (m == 2)
            fixed_tile(g, strip, row, tile, 2, v);
        else
            fixed_tile(g, strip, row, tile, 1, v);
    }
}

void ISA(fixed_gemm)(const struct fixed_gemm *g) {
    enum { STEP = FIXED_VECTORS / FIXED_PARTS };
    size_t strips = (g->n + STRIP - 1) / STRIP, strip = 0;
    if (STEP > 1 && g->m > 2)
        for (; strip + STEP <= strips; strip += STEP)
            fixed_rows(g, strip, FIXED_VECTORS);
    for (; strip < strips; strip++)
        fixed_rows(g, strip, FIXED_PARTS);
}

/* --- activations --- */

SIMD void fixed_block(const float *x, int16_t *q, float *d) {
    enum { PIECES = GROUP / VL };
    vf v[PIECES], high = vf_zero(), square[PIECES / 2];
#pragma GCC unroll 4
    for (int i = 0; i < PIECES; i++) {
        v[i] = vf_load(x + i * VL);
        high = vf_max(vf_abs(v[i]), high); /* NaN is the first operand, and passed over */
    }
    float top = vf_highest(high);
    vf unit = vf_set(fixed_unit(top));
#pragma GCC unroll 2
    for (int i = 0; i < PIECES / 2; i++) {
        vf a = vf_mul(v[i], unit), b = vf_mul(v[i + PIECES / 2], unit);
        square[i] = vf_fma(b, b, vf_mul(a, a));
    }
    float inverse =
        fixed_inverse(*d = fixed_scale(
                          top, vf_sum(PIECES == 2 ? square[0] : vf_add(square[0], square[1]))));
    if (inverse == 0) {
        memset(q, 0, GROUP * sizeof *q);
        return;
    }
#pragma GCC unroll 4
    for (int i = 0; i < PIECES; i++)
        vi_store_i16(q + i * VL, vi_of(vf_mul(v[i], vf_set(inverse))));
}

void ISA(fixed_blocks)(size_t k, const float *x, int16_t *q, float *d) {
    size_t i = 0;
    for (; i + GROUP <= k; i += GROUP, q += GROUP, d++)
        fixed_block(x + i, q, d);
    if (i < k) {
        float last[GROUP] = {0};
        memcpy(last, x + i, (k - i) * sizeof *x);
        fixed_block(last, q, d);
    }
}
