/* SPDX-License-Identifier: Apache-2.0 */
/* Body of the matrix tile of pairs of int16. */
#pragma once

#include "kernel/simd/tile.h"

/* The tile of pairs. Vectors of int32 travel as floats where only their bits matter. */
SIMD void tile_pairs(const struct gemm_f32 *g, const size_t m, const size_t v) {
    vi acc[MR][2];
    const size_t left[2] = {g->n, g->n > VL ? g->n - VL : 0};
#pragma GCC unroll 2
    for (size_t col = 0; col < v; col++) {
        vi start = vf_bits(g->bias ? some_load(g->bias + col * VL, left[col]) : vf_zero());
#pragma GCC unroll 12
        for (size_t row = 0; row < m; row++)
            acc[row][col] =
                g->add ? vf_bits(some_load(g->c + row * g->ldc + col * VL, left[col])) : start;
    }
    const float *b = g->b, *ahead = g->ahead ? g->ahead : b;
    const size_t stride = g->ahead ? MEM_FLOATS : 0;
    for (size_t tap = 0; tap < g->taps; tap++) {
        const float *a[MR];
#pragma GCC unroll 12
        for (size_t row = 0; row < m; row++)
            a[row] = g->a[tap * m + row];
        for (size_t k = 0; k < g->k; k++, b += NR, ahead += stride) {
            __builtin_prefetch(ahead, 0, 2);
            vi b0 = vf_bits(vf_load(b)), b1 = v > 1 ? vf_bits(vf_load(b + VL)) : b0;
#pragma GCC unroll 12
            for (size_t row = 0; row < m; row++) {
                int32_t both;
                memcpy(&both, &a[row][k], sizeof both);
                vi x = vi_set(both);
                acc[row][0] = vi_madd_add(acc[row][0], x, b0);
                if (v > 1)
                    acc[row][1] = vi_madd_add(acc[row][1], x, b1);
            }
        }
    }
#pragma GCC unroll 2
    for (size_t col = 0; col < v; col++)
#pragma GCC unroll 12
        for (size_t row = 0; row < m; row++)
            some_store(g->c + row * g->ldc + col * VL, vi_floats(acc[row][col]), left[col]);
}

void ISA(gemm_pairs)(const struct gemm_f32 *g) {
    const bool wide = g->n > VL;
    switch (g->m) {
        TILE(tile_pairs, 1)
        TILES(tile_pairs)
    default: break;
    }
}
