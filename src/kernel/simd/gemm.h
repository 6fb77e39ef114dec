/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies of the matrix tile of floats and the depthwise convolution. */
#pragma once

#include "kernel/simd/tile.h"

void ISA(gemm_tile_f32)(struct gemm_tile *out) { *out = (struct gemm_tile){MR, NR}; }

/* The lines that will be added are on their way while the sums are made. */
SIMD void expect(const struct gemm_f32 *g, const size_t m, const size_t v) {
    for (size_t row = 0; row < m; row++)
        for (size_t col = 0; col < v; col++)
            __builtin_prefetch(g->plus + row * g->plus_row + col * VL);
}

/* What follows the sums of m rows and v vectors: sum + plus, relu, C. */
SIMD void finish(const struct gemm_f32 *g, vf acc[MR][2], const size_t m, const size_t v,
                 const size_t left, const size_t right) {
    if (g->plus)
#pragma GCC unroll 12
        for (size_t row = 0; row < m; row++) {
            const float *plus = g->plus + row * g->plus_row;
            acc[row][0] = vf_add(acc[row][0], some_load(plus, left));
            if (v > 1)
                acc[row][1] = vf_add(acc[row][1], some_load(plus + VL, right));
        }
    if (g->relu)
#pragma GCC unroll 12
        for (size_t row = 0; row < m; row++)
            for (size_t col = 0; col < v; col++) /* the second operand is answered for NaN */
                acc[row][col] = vf_max(vf_zero(), acc[row][col]);
    tile_store(g, acc, m, v, left, right);
}

/* m rows and v vectors of columns: both constant after inlining. */
SIMD void tile(const struct gemm_f32 *given, const size_t m, const size_t v) {
    const struct gemm_f32 held = *given, *const g = &held;
    vf acc[MR][2];
    if (g->plus)
        expect(g, m, v);
    tile_start(g, acc, m, v);
    const float *b = g->b, *ahead = g->ahead ? g->ahead : b;
    for (size_t tap = 0; tap < g->taps; tap++) {
        const float *a[MR];
#pragma GCC unroll 12
        for (size_t row = 0; row < m; row++)
            a[row] = g->a[tap * m + row];
        for (size_t k = 0; k < g->k; k++, b += NR, ahead += MEM_FLOATS) {
            __builtin_prefetch(ahead, 0, 2);
            vf b0 = vf_load(b), b1 = v > 1 ? vf_load(b + VL) : b0;
#pragma GCC unroll 12
            for (size_t row = 0; row < m; row++) {
                vf x = vf_set(a[row][k]);
                acc[row][0] = vf_fma(x, b0, acc[row][0]);
                if (v > 1)
                    acc[row][1] = vf_fma(x, b1, acc[row][1]);
            }
        }
    }
    if (g->n >= v * VL)
        finish(g, acc, m, v, VL, VL);
    else
        finish(g, acc, m, v, g->n, right_of(g));
}

/* One row: four steps of k side by side, since two accumulators alone would wait for each other. */
SIMD void single(const struct gemm_f32 *g, const size_t v) {
    vf acc[4][2];
#pragma GCC unroll 4
    for (size_t i = 0; i < 4; i++)
        acc[i][0] = acc[i][1] = vf_zero();
    const float *b = g->b;
    for (size_t tap = 0; tap < g->taps; tap++) {
        const float *a = g->a[tap];
        size_t k = 0;
        for (; k + 4 <= g->k; k += 4, b += 4 * NR)
#pragma GCC unroll 4
            for (size_t i = 0; i < 4; i++) {
                vf x = vf_set(a[k + i]);
                acc[i][0] = vf_fma(x, vf_load(b + i * NR), acc[i][0]);
                if (v > 1)
                    acc[i][1] = vf_fma(x, vf_load(b + i * NR + VL), acc[i][1]);
            }
        for (; k < g->k; k++, b += NR) {
            vf x = vf_set(a[k]);
            acc[0][0] = vf_fma(x, vf_load(b), acc[0][0]);
            if (v > 1)
                acc[0][1] = vf_fma(x, vf_load(b + VL), acc[0][1]);
        }
    }
    for (size_t col = 0; col < v; col++) {
        size_t left = g->n - col * VL;
        vf sum = vf_add(vf_add(acc[0][col], acc[1][col]), vf_add(acc[2][col], acc[3][col]));
        if (g->add)
            sum = vf_add(sum, some_load(g->c + col * VL, left));
        else if (g->bias)
            sum = vf_add(sum, some_load(g->bias + col * VL, left));
        if (g->plus)
            sum = vf_add(sum, some_load(g->plus + col * VL, left));
        some_store(g->c + col * VL, g->relu ? vf_max(vf_zero(), sum) : sum, left);
    }
}

void ISA(gemm_f32)(const struct gemm_f32 *g) {
    const bool wide = g->n > VL;
    switch (g->m) {
    case 1:
        if (wide)
            single(g, 2);
        else
            single(g, 1);
        break;
        TILES(tile)
    default: break;
    }
}

/* A window of a fixed number of taps: the weights of VL channels stay in registers over all pixels.
 */
#define WINDOW(taps)                                                                               \
    SIMD void window_##taps(const struct depthwise_f32 *c, size_t i, const size_t some) {          \
        vf w[taps];                                                                                \
        _Pragma("GCC unroll 25") for (size_t tap = 0; tap < (taps); tap++) w[tap] =                \
            some_load(c->w + tap * c->n + i, some);                                                \
        const vf start = c->bias ? some_load(c->bias + i, some) : vf_zero();                       \
        for (size_t pixel = 0; pixel < c->pixels; pixel++) {                                       \
            vf s = start;                                                                          \
            _Pragma("GCC unroll 25") for (size_t tap = 0; tap < (taps); tap++) s =                 \
                vf_fma(some_load(c->x[tap * c->pixels + pixel] + i, some), w[tap], s);             \
            some_store(c->y + pixel * c->y_row + i, s, some);                                      \
        }                                                                                          \
    }
WINDOW(9)
WINDOW(25)

SIMD void window_any(const struct depthwise_f32 *c, size_t i, const size_t some) {
    const vf start = c->bias ? some_load(c->bias + i, some) : vf_zero();
    for (size_t pixel = 0; pixel < c->pixels; pixel++) {
        vf s = start;
        for (size_t tap = 0; tap < c->taps; tap++)
            s = vf_fma(some_load(c->x[tap * c->pixels + pixel] + i, some),
                       some_load(c->w + tap * c->n + i, some), s);
        some_store(c->y + pixel * c->y_row + i, s, some);
    }
}

SIMD void window(const struct depthwise_f32 *c, size_t i, const size_t some) {
    if (c->taps == 9)
        window_9(c, i, some);
    else if (c->taps == 25 && VREGS == 32)
        window_25(c, i, some);
    else
        window_any(c, i, some);
}

void ISA(depthwise_f32)(const struct depthwise_f32 *c) {
    size_t i = 0;
    for (; i + VL <= c->n; i += VL)
        window(c, i, VL);
    if (i < c->n)
        window(c, i, c->n - i);
}
