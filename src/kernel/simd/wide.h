/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies of the products with packed float weights, over the vectors of an instruction set. A tile
 * of WIDE_ROWS x 2 vectors of results stays in registers; of WIDE_ROWS16 x 2 where the weights are
 * bf16, as vf_dot16(sum, a, b), which sums two products of bf16 per lane, may want registers for
 * itself. One row alone takes WIDE_ALONE vectors, so that their sums need not wait for each other.
 */
#pragma once

#include "base/mem.h"
#include "kernel/simd/strips.h"

#include <string.h>

enum { WIDE_PARTS = STRIP / VL, WIDE_VECTORS = 2, WIDE_STEP = STRIP * 4 /* bytes: a line */ };
enum wide { WIDE_F32, WIDE_B16 };

SIMD size_t wide_bytes(enum wide kind) { return kind == WIDE_F32 ? 4 : 2; }

/* One step: an input, or two of bf16; sum[r][c] += a[r] * w[c]. */
SIMD void wide_step(const char *w, const char *a, size_t a_row, size_t strip_bytes,
                    vf sum[][WIDE_ALONE], const size_t m, const size_t v, const enum wide kind) {
    vf weight[WIDE_ALONE];
#pragma GCC unroll 8
    for (size_t c = 0; c < v; c++) {
        const char *at = w + c / WIDE_PARTS * strip_bytes;
        size_t lane = c % WIDE_PARTS * VL;
        weight[c] = vf_load((const float *)at + lane);
    }
#pragma GCC unroll 16
    for (size_t r = 0; r < m; r++) {
        float x;
        memcpy(&x, a + r * a_row, sizeof x);
        vf both = vf_set(x);
#pragma GCC unroll 8
        for (size_t c = 0; c < v; c++)
            sum[r][c] = kind == WIDE_B16 ? vf_dot16(sum[r][c], weight[c], both)
                                         : vf_fma(both, weight[c], sum[r][c]);
    }
}

/* Tiles of rows follow each other over the same strips, the weights of which come from memory once:
 * while one tile computes, a part of the next strips is asked for. A tile alone reads on ahead. */
SIMD void wide_fetch(const char *w, size_t strip_bytes, int next, const size_t v) {
    enum { AHEAD = 2048 };
    if (next >= 0)
        __builtin_prefetch(w + (v / WIDE_PARTS + (size_t)next) * strip_bytes);
    else
        for (size_t c = 0; c < v; c += WIDE_PARTS)
            __builtin_prefetch(w + c / WIDE_PARTS * strip_bytes + AHEAD);
}

/* next: which of the next strips to ask for; -1: the same ones, further on; -2: none. */
SIMD void wide_tile(const struct wide_gemm *g, size_t strip, size_t row, int next, const size_t m,
                    const size_t v, const enum wide kind) {
    const size_t strip_bytes = g->k * STRIP * wide_bytes(kind);
    const size_t steps = kind == WIDE_B16 ? g->k / 2 : g->k;
    const size_t a_row = g->k * (kind == WIDE_B16 ? 2 : 4);
    const char *w = (const char *)g->w + strip * strip_bytes, *a = (const char *)g->a + row * a_row;
    vf sum[WIDE_ROWS][WIDE_ALONE];
#pragma GCC unroll 16
    for (size_t r = 0; r < m; r++)
#pragma GCC unroll 8
        for (size_t c = 0; c < v; c++)
            sum[r][c] = vf_zero();
    for (size_t i = 0; i < steps; i++) {
        if (next > -2)
            wide_fetch(w + i * WIDE_STEP, strip_bytes, next, v);
        wide_step(w + i * WIDE_STEP, a + 4 * i, a_row, strip_bytes, sum, m, v, kind);
    }
#pragma GCC unroll 16
    for (size_t r = 0; r < m; r++)
#pragma GCC unroll 8
        for (size_t c = 0; c < v; c++)
            strip_put(g->y + (row + r) * g->y_row, strip * STRIP + c * VL, g->n, sum[r][c], g->add);
}

SIMD void wide_rows(const struct wide_gemm *g, size_t strip, const size_t v, const enum wide kind) {
    const size_t most = kind == WIDE_B16 ? WIDE_ROWS16 : WIDE_ROWS;
    int tile = 0;
    for (size_t row = 0, m; row < g->m; row += m, tile++) {
        m = strip_rows(g->m - row, most);
        int next = tile == 0 && m == g->m ? -1 : tile * WIDE_PARTS < (int)v ? tile : -2;
        if (m == most)
            wide_tile(g, strip, row, next, most, v, kind);
        else if (most > 8 && m == 8)
            wide_tile(g, strip, row, next, 8, v, kind);
        else if (most > 4 && m == 4)
            wide_tile(g, strip, row, next, 4, v, kind);
        else
            wide_tile(g, strip, row, next, 1, v, kind);
    }
}

SIMD void wide_all(const struct wide_gemm *g, const enum wide kind) {
    enum { STEP = WIDE_VECTORS / WIDE_PARTS, ALONE = WIDE_ALONE / WIDE_PARTS };
    size_t strips = (g->n + STRIP - 1) / STRIP, strip = 0;
    if (g->m == 1)
        for (; strip + ALONE <= strips; strip += ALONE)
            wide_tile(g, strip, 0, -1, 1, WIDE_ALONE, kind);
    for (; strip + STEP <= strips; strip += STEP)
        wide_rows(g, strip, WIDE_VECTORS, kind);
    if (STEP > 1 && strip < strips)
        wide_rows(g, strip, WIDE_PARTS, kind);
}
