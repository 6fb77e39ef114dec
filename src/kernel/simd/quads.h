/* SPDX-License-Identifier: Apache-2.0 */
/* Body of the matrix tile of quads, whose sums become bytes. Who includes it says how:
 *   vi vi_dpbusd(vi sum, vi a, vi b)    sum + four products of unsigned bytes of a with signed of b
 *   byte_row, load_row(p, n)            a row of NR bytes, of which n are there
 *   widened(row, half, is_signed)       VL of them as int32
 *   store_rows(rows, y, ldc, n, two, is_signed)  one row of 2 VL numbers or two, saturated, n of
 * each
 */
#pragma once

#include "kernel/simd/tile.h"

/* quads_finish with its numbers as vectors. The bits of MAGIC + v are those of MAGIC and v rounded,
 * where v is within 2^22; beyond, they are still in the order of the numbers. So limits and zero
 * points are an integer's, which any of the vector units takes, not two of them as a float's. */
#define MAGIC 12582912.0f
enum { MAGIC_BITS = 0x4B400000 };
struct finish {
    vf magic, y_scale, plus_scale, offset;
    vf back;             /* from MAGIC to y */
    vi low, high, least; /* limits of what is added to, and of what is not */
    vi last;             /* from MAGIC to the last zero point */
};

SIMD struct finish finish_of(const struct quads_finish *f, const bool adds) {
    const int32_t low = (f->is_signed ? -128 : 0) - f->zero;
    return (struct finish){.magic = vf_set(MAGIC),
                           .y_scale = vf_set(f->y_scale),
                           .plus_scale = vf_set(f->plus_scale),
                           .offset = vf_set(f->offset),
                           .back = vf_set(MAGIC - (float)f->zero),
                           .low = vi_set(MAGIC_BITS + low),
                           .high = vi_set(MAGIC_BITS + low + 255),
                           .least = vi_set(MAGIC_BITS - (1 << 21)),
                           .last = vi_set(MAGIC_BITS - (adds ? f->plus_zero : f->zero))};
}

/* VL numbers, rounded, the last zero point added; the limits of a byte are left to packed(). */
SIMD vi rounded(const struct finish *f, vf v) {
    return vi_sub(vi_max(vf_bits(vf_add(v, f->magic)), f->least), f->last);
}
SIMD vi scaled(const struct finish *f, vi sum, vf scale) {
    return rounded(f, vf_mul(vf_of(sum), scale));
}
/* plus: VL bytes, widened */
SIMD vi scaled_plus(const struct finish *f, vi sum, vf scale, vi plus) {
    const vf other = vf_of(plus);
    const vi y = vf_bits(vf_add(vf_mul(vf_of(sum), scale), f->magic)),
             within = vi_min(vi_max(y, f->low), f->high);
    return rounded(f, vf_fma(vf_sub(vi_floats(within), f->back), f->y_scale,
                             vf_fma(other, f->plus_scale, f->offset)));
}

/* m rows of sums (m and adds constant after inlining) become bytes. */
SIMD void settle(const struct gemm_f32 *g, vi acc[MR][2], const size_t m, const bool adds) {
    const struct finish f = finish_of(g->finish, adds);
    const bool is_signed = g->finish->is_signed;
    const size_t n = g->n, ldc = g->ldc, plus_row = g->plus_row;
    const vf scale[2] = {some_load(g->scale, n),
                         n > VL ? some_load(g->scale + VL, n - VL) : vf_zero()};
    const uint8_t *plus = (const uint8_t *)g->plus;
    uint8_t *y = (uint8_t *)g->c;
#pragma GCC unroll 6
    for (size_t row = 0; row < m; row += 2) {
        vi both[2][2];
#pragma GCC unroll 2
        for (size_t i = 0; i < 2; i++) {
            const size_t at = row + i < m ? row + i : row;
            byte_row p;
            if (adds)
                p = load_row(plus + at * plus_row, n);
#pragma GCC unroll 2
            for (size_t j = 0; j < 2; j++)
                both[i][j] = adds ? scaled_plus(&f, acc[at][j], scale[j], widened(p, j, is_signed))
                                  : scaled(&f, acc[at][j], scale[j]);
        }
        store_rows(both, y + row * ldc, ldc, n, row + 1 < m, is_signed);
    }
}

/* m rows (constant after inlining) of one panel, and always two vectors of columns: panels are
 * filled. */
SIMD void tile_quads(const struct gemm_f32 *g, const size_t m, const size_t v) {
    (void)v;
    vi acc[MR][2];
    const size_t left[2] = {g->n, g->n > VL ? g->n - VL : 0};
#pragma GCC unroll 2
    for (size_t col = 0; col < 2; col++) {
        vi start =
            vf_bits(g->bias && left[col] ? some_load(g->bias + col * VL, left[col]) : vf_zero());
#pragma GCC unroll 12
        for (size_t row = 0; row < m; row++)
            acc[row][col] = start;
    }
    const float *b = g->b, *ahead = g->ahead ? g->ahead : b;
    const size_t stride = g->ahead ? MEM_FLOATS : 0;
    for (size_t row = 0; g->plus && row < m; row++)
        __builtin_prefetch((const uint8_t *)g->plus + row * g->plus_row);
    for (size_t tap = 0; tap < g->taps; tap++) {
        const float *a[MR];
#pragma GCC unroll 12
        for (size_t row = 0; row < m; row++)
            a[row] = g->a[tap * m + row];
        for (size_t k = 0; k < g->k; k++, b += NR, ahead += stride) {
            __builtin_prefetch(ahead, 0, 2);
            vi b0 = vf_bits(vf_load(b)), b1 = vf_bits(vf_load(b + VL));
#pragma GCC unroll 12
            for (size_t row = 0; row < m; row++) {
                int32_t four;
                memcpy(&four, &a[row][k], sizeof four);
                vi x = vi_set(four);
                acc[row][0] = vi_dpbusd(acc[row][0], x, b0);
                acc[row][1] = vi_dpbusd(acc[row][1], x, b1);
            }
        }
    }
    if (g->plus)
        settle(g, acc, m, true);
    else
        settle(g, acc, m, false);
}

static void one_panel(const struct gemm_f32 *g) {
    const bool wide = true;
    switch (g->m) {
        TILE(tile_quads, 1)
        TILES(tile_quads)
    default: break;
    }
}

/* All panels over the rows of one tile. */
static void every_panel(const struct gemm_f32 *g) {
    struct gemm_f32 one = *g;
    for (size_t col = 0; col < g->n; col += NR, one.b += g->taps * g->k * NR) {
        one.n = g->n - col < NR ? g->n - col : NR;
        one.bias = g->bias ? g->bias + col : NULL;
        one.scale = g->scale + col;
        one.c = (float *)((uint8_t *)g->c + col);
        one.plus = g->plus ? (const float *)((const uint8_t *)g->plus + col) : NULL;
        one_panel(&one);
    }
}

/* All rows, tile after tile. */
static void every_tile(const struct gemm_f32 *g) {
    const size_t tiles = (g->m + MR - 1) / MR;
    struct gemm_f32 tile = *g;
    for (size_t i = 0; i < tiles; i++) {
        const size_t row = g->m * i / tiles;
        tile.m = g->m * (i + 1) / tiles - row;
        tile.a = g->a + row;
        tile.c = (float *)((uint8_t *)g->c + row * g->ldc);
        tile.plus = g->plus ? (const float *)((const uint8_t *)g->plus + row * g->plus_row) : NULL;
        tile.ahead = g->ahead && i < 2 ? g->ahead + i * g->k * MEM_FLOATS : NULL;
        every_panel(&tile);
    }
}
