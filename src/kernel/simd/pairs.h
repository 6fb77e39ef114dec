/* SPDX-License-Identifier: Apache-2.0 */
/* Body of the matrix tile of pairs of int16. */
#pragma once

#include "kernel/simd/tile.h"

/* The tile of pairs. Vectors of int32 travel as floats where only their bits matter. */
SIMD void tile_pairs(const struct gemm_f32 *given, const size_t m, const size_t v) {
    const struct gemm_f32 held = *given, *const g = &held;
    vf acc[MR][2];
    tile_start(g, acc, m, v);
    const float *b = g->b, *ahead = g->ahead ? g->ahead : b;
    for (size_t tap = 0; tap < g->taps; tap++) {
        const float *a[MR];
#pragma GCC unroll 12
        for (size_t row = 0; row < m; row++)
            a[row] = g->a[tap * m + row];
        for (size_t k = 0; k < g->k; k++, b += NR, ahead += MEM_FLOATS) {
            __builtin_prefetch(ahead, 0, 2);
            vi b0 = vf_bits(vf_load(b)), b1 = v > 1 ? vf_bits(vf_load(b + VL)) : b0;
#pragma GCC unroll 12
            for (size_t row = 0; row < m; row++) {
                int32_t both;
                memcpy(&both, &a[row][k], sizeof both);
                vi x = vi_set(both);
                acc[row][0] = vi_floats(vi_madd_add(vf_bits(acc[row][0]), x, b0));
                if (v > 1)
                    acc[row][1] = vi_floats(vi_madd_add(vf_bits(acc[row][1]), x, b1));
            }
        }
    }
    if (g->n >= v * VL)
        tile_store(g, acc, m, v, VL, VL);
    else
        tile_store(g, acc, m, v, g->n, right_of(g));
}

void ISA(gemm_pairs)(const struct gemm_f32 *g) {
    const bool wide = g->n > VL;
    switch (g->m) {
        TILE(tile_pairs, 1)
        TILES(tile_pairs)
    default: break;
    }
}
