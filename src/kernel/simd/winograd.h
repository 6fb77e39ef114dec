/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies of Winograd's transforms; winograd_f32.c says what they are. The sums of B' and A' are
 * shared between the rows that differ in signs only. */
#pragma once

#include "kernel/kernel.h"
#include "kernel/simd/some.h"

/* t = B' d */
SIMD void rows_in(const vf d0, const vf d1, const vf d2, const vf d3, const vf d4, const vf d5,
                  vf t[6]) {
    const vf two = vf_set(2), four = vf_set(4), five = vf_set(5);
    vf even = vf_fnma(four, d2, d4), odd = vf_fnma(four, d1, d3);
    vf even2 = vf_sub(d4, d2), odd2 = vf_mul(two, vf_sub(d3, d1));
    t[0] = vf_fma(four, d0, vf_fnma(five, d2, d4));
    t[1] = vf_add(even, odd);
    t[2] = vf_sub(even, odd);
    t[3] = vf_add(even2, odd2);
    t[4] = vf_sub(even2, odd2);
    t[5] = vf_fma(four, d1, vf_fnma(five, d3, d5));
}

SIMD void patch_in(const struct winograd_in *c, size_t i, const size_t some) {
    vf half[6][6]; /* by column */
#pragma GCC unroll 6
    for (int col = 0; col < 6; col++)
        rows_in(some_load(c->x[col] + i, some), some_load(c->x[6 + col] + i, some),
                some_load(c->x[12 + col] + i, some), some_load(c->x[18 + col] + i, some),
                some_load(c->x[24 + col] + i, some), some_load(c->x[30 + col] + i, some),
                half[col]);
#pragma GCC unroll 6
    for (size_t row = 0; row < 6; row++) {
        vf t[6];
        rows_in(half[0][row], half[1][row], half[2][row], half[3][row], half[4][row], half[5][row],
                t);
#pragma GCC unroll 6
        for (size_t col = 0; col < 6; col++)
            some_store(c->v + (row * 6 + col) * c->v_step + i, t[col], some);
    }
}

void ISA(winograd_in)(const struct winograd_in *c) {
    size_t i = 0;
    for (; i + VL <= c->n; i += VL)
        patch_in(c, i, VL);
    if (i < c->n)
        patch_in(c, i, c->n - i);
}

/* t = A' m */
SIMD void rows_out(const vf m0, const vf m1, const vf m2, const vf m3, const vf m4, const vf m5,
                   vf t[4]) {
    vf sum = vf_add(m1, m2), less = vf_sub(m1, m2), sum2 = vf_add(m3, m4), less2 = vf_sub(m3, m4);
    t[0] = vf_add(vf_add(m0, sum), sum2);
    t[1] = vf_fma(vf_set(2), less2, less);
    t[2] = vf_fma(vf_set(4), sum2, sum);
    t[3] = vf_add(vf_fma(vf_set(8), less2, less), m5);
}

SIMD void patch_out(const struct winograd_out *c, size_t i, const size_t some) {
    vf half[6][4]; /* by column */
    const float *m = c->m + i;
    const size_t row = 6 * c->m_step;
#pragma GCC unroll 6
    for (size_t col = 0; col < 6; col++, m += c->m_step)
        rows_out(some_load(m, some), some_load(m + row, some), some_load(m + 2 * row, some),
                 some_load(m + 3 * row, some), some_load(m + 4 * row, some),
                 some_load(m + 5 * row, some), half[col]);
    const vf bias = c->bias ? some_load(c->bias + i, some) : vf_zero();
#pragma GCC unroll 4
    for (size_t r = 0; r < 4; r++) {
        vf t[4];
        rows_out(half[0][r], half[1][r], half[2][r], half[3][r], half[4][r], half[5][r], t);
#pragma GCC unroll 4
        for (size_t col = 0; col < 4; col++) {
            vf y = vf_add(t[col], bias);
            if (c->relu)
                y = vf_max(vf_zero(), y); /* the second operand is answered for NaN */
            if (c->y[r * 4 + col])
                some_store(c->y[r * 4 + col] + i, y, some);
        }
    }
}

void ISA(winograd_out)(const struct winograd_out *c) {
    size_t i = 0;
    for (; i + VL <= c->n; i += VL)
        patch_out(c, i, VL);
    if (i < c->n)
        patch_out(c, i, c->n - i);
}
