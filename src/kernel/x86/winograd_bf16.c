/* SPDX-License-Identifier: Apache-2.0 */
/* Winograd's transforms of bf16 and the tile of pairs of bf16, with AVX512_BF16: one instruction
 * multiplies 32 pairs and rounds 16 numbers. */
#include "kernel/simd/avx512.h"

#include "kernel/simd/tile.h"

_Static_assert((int)GEMM_BF16_MR == (int)MR && (int)GEMM_BF16_NR == (int)NR, "one shape of tile");

SIMD vm first(size_t n) { return n >= VL ? (vm)-1 : vm_first(n); }

SIMD vf load_bf16(const uint16_t *p, size_t n) {
    __m512i wide = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(first(n), p));
    return vi_floats(vi_shl(wide, 16));
}

SIMD void store_bf16(uint16_t *p, vf v, size_t n) {
    _mm256_mask_storeu_epi16(p, first(n), (__m256i)_mm512_cvtneps_pbh(v));
}

/* --- transforms --- */

/* t = B' d */
SIMD void rows_in(const vf d0, const vf d1, const vf d2, const vf d3, vf t[WINOGRAD2_IN]) {
    t[0] = vf_sub(d0, d2);
    t[1] = vf_add(d1, d2);
    t[2] = vf_sub(d2, d1);
    t[3] = vf_sub(d1, d3);
}

SIMD void patch_in(const struct winograd_in_bf16 *c, size_t i, const size_t some) {
    enum { IN = WINOGRAD2_IN };
    vf half[IN][IN]; /* by column */
#pragma GCC unroll 4
    for (size_t col = 0; col < IN; col++)
        rows_in(load_bf16(c->x[col] + i, some), load_bf16(c->x[IN + col] + i, some),
                load_bf16(c->x[2 * IN + col] + i, some), load_bf16(c->x[3 * IN + col] + i, some),
                half[col]);
#pragma GCC unroll 4
    for (size_t row = 0; row < IN; row++) {
        vf t[IN];
        rows_in(half[0][row], half[1][row], half[2][row], half[3][row], t);
#pragma GCC unroll 4
        for (size_t col = 0; col < IN; col++)
            store_bf16(c->v + (row * IN + col) * c->v_step + i, t[col], some);
    }
}

void winograd_in_bf16_bf16(const struct winograd_in_bf16 *c) {
    size_t i = 0;
    for (; i + VL <= c->n; i += VL)
        patch_in(c, i, VL);
    if (i < c->n)
        patch_in(c, i, c->n - i);
}

/* t = A' m */
SIMD void rows_out(const vf m0, const vf m1, const vf m2, const vf m3, vf t[WINOGRAD2_OUT]) {
    t[0] = vf_add(vf_add(m0, m1), m2);
    t[1] = vf_sub(vf_sub(m1, m2), m3);
}

SIMD void patch_out(const struct winograd_out_bf16 *c, size_t i, const size_t some) {
    enum { IN = WINOGRAD2_IN, OUT = WINOGRAD2_OUT };
    vf half[IN][OUT]; /* by column */
    const float *m = c->m + i;
    const size_t row_step = IN * c->m_step;
#pragma GCC unroll 4
    for (size_t col = 0; col < IN; col++, m += c->m_step)
        rows_out(some_load(m, some), some_load(m + row_step, some),
                 some_load(m + 2 * row_step, some), some_load(m + 3 * row_step, some), half[col]);
    const vf bias = c->bias ? some_load(c->bias + i, some) : vf_zero();
#pragma GCC unroll 2
    for (size_t row = 0; row < OUT; row++) {
        vf t[OUT];
        rows_out(half[0][row], half[1][row], half[2][row], half[3][row], t);
#pragma GCC unroll 2
        for (size_t col = 0; col < OUT; col++) {
            void *to = c->y[row * OUT + col];
            vf y = vf_add(t[col], bias);
            if (c->relu)
                y = vf_max(vf_zero(), y); /* the second operand is answered for NaN */
            if (to && c->wide)
                some_store((float *)to + i, y, some);
            else if (to)
                store_bf16((uint16_t *)to + i, y, some);
        }
    }
}

void winograd_out_bf16_bf16(const struct winograd_out_bf16 *c) {
    size_t i = 0;
    for (; i + VL <= c->n; i += VL)
        patch_out(c, i, VL);
    if (i < c->n)
        patch_out(c, i, c->n - i);
}

/* --- the tile --- */

/* m rows and v vectors of columns: both constant after inlining. */
SIMD void tile(const struct gemm_f32 *g, const size_t m, const size_t v) {
    vf acc[MR][2];
    const size_t left[2] = {g->n, g->n > VL ? g->n - VL : 0};
#pragma GCC unroll 2
    for (size_t col = 0; col < v; col++) {
        vf start = g->bias ? some_load(g->bias + col * VL, left[col]) : vf_zero();
#pragma GCC unroll 12
        for (size_t row = 0; row < m; row++)
            acc[row][col] = g->add ? some_load(g->c + row * g->ldc + col * VL, left[col]) : start;
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
            __m512bh b0 = (__m512bh)vf_load(b), b1 = v > 1 ? (__m512bh)vf_load(b + VL) : b0;
#pragma GCC unroll 12
            for (size_t row = 0; row < m; row++) {
                __m512bh x = (__m512bh)vf_set(a[row][k]);
                acc[row][0] = _mm512_dpbf16_ps(acc[row][0], x, b0);
                if (v > 1)
                    acc[row][1] = _mm512_dpbf16_ps(acc[row][1], x, b1);
            }
        }
    }
#pragma GCC unroll 2
    for (size_t col = 0; col < v; col++)
#pragma GCC unroll 12
        for (size_t row = 0; row < m; row++)
            some_store(g->c + row * g->ldc + col * VL, acc[row][col], left[col]);
}

void gemm_bf16_bf16(const struct gemm_f32 *g) {
    const bool wide = g->n > VL;
    switch (g->m) {
        TILE(tile, 1)
        TILES(tile)
    default: break;
    }
}
