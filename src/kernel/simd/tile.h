/* SPDX-License-Identifier: Apache-2.0 */
/* What the matrix tiles share: their size, MR x 2 vectors (12 x 32 numbers on AVX-512, 6 x 16 on
 * AVX2), their way in and out, and a case for each number of rows, which are instances of one body
 * with a constant.
 *
 * A body works on a copy of its arguments: stores of floats could change what a pointer points to,
 * and reading all of it again behind each store takes as long as ten steps of k. Of the tile's two
 * vectors (left, right) so many columns are there. */
#pragma once

#include "kernel/kernel.h"
#include "kernel/simd/some.h"

#include <string.h>

enum { MR = SIMD_ROWS, NR = 2 * VL, MEM_FLOATS = 16 /* of a cache line */ };

SIMD size_t right_of(const struct gemm_f32 *g) { return g->n > VL ? g->n - VL : 0; }

SIMD void tile_load(const float *from, size_t from_row, vf acc[MR][2], const size_t m,
                    const size_t v, const size_t left, const size_t right) {
#pragma GCC unroll 12
    for (size_t row = 0; row < m; row++) {
        acc[row][0] = some_load(from + row * from_row, left);
        if (v > 1)
            acc[row][1] = some_load(from + row * from_row + VL, right);
    }
}

/* What sums start from: C, the bias or nothing. */
SIMD void tile_start(const struct gemm_f32 *g, vf acc[MR][2], const size_t m, const size_t v) {
    if (g->add)
        tile_load(g->c, g->ldc, acc, m, v, g->n, right_of(g));
    else if (g->bias)
        tile_load(g->bias, 0, acc, m, v, g->n, right_of(g));
    else
#pragma GCC unroll 12
        for (size_t row = 0; row < m; row++)
            acc[row][0] = acc[row][1] = vf_zero();
}

SIMD void tile_store(const struct gemm_f32 *g, vf acc[MR][2], const size_t m, const size_t v,
                     const size_t left, const size_t right) {
#pragma GCC unroll 12
    for (size_t row = 0; row < m; row++) {
        some_store(g->c + row * g->ldc, acc[row][0], left);
        if (v > 1)
            some_store(g->c + row * g->ldc + VL, acc[row][1], right);
    }
}

#define TILE(body, m)                                                                              \
    case m:                                                                                        \
        if (wide)                                                                                  \
            body(g, m, 2);                                                                         \
        else                                                                                       \
            body(g, m, 1);                                                                         \
        break;
#if SIMD_ROWS == 12
#define TILES(body)                                                                                \
    TILE(body, 2)                                                                                  \
    TILE(body, 3)                                                                                  \
    TILE(body, 4)                                                                                  \
    TILE(body, 5)                                                                                  \
    TILE(body, 6)                                                                                  \
    TILE(body, 7)                                                                                  \
    TILE(body, 8)                                                                                  \
    TILE(body, 9)                                                                                  \
    TILE(body, 10)                                                                                 \
    TILE(body, 11)                                                                                 \
    TILE(body, 12)
#else
#define TILES(body) TILE(body, 2) TILE(body, 3) TILE(body, 4) TILE(body, 5) TILE(body, 6)
#endif
