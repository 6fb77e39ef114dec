/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies of Winograd's transforms of bytes; winograd_q8.c says what they are. Sums are shared
 * between the rows that differ in signs only. */
#pragma once

#include "kernel/kernel.h"

/* t = B' d, in int16 */
SIMD void bytes_in(const vi d[6], vi t[6]) {
    const vi d1_2 = vi_add16(d[1], d[1]), d2_2 = vi_add16(d[2], d[2]), d0_2 = vi_add16(d[0], d[0]);
    const vi even = vi_sub16(d[4], vi_add16(d2_2, d2_2)),
             odd = vi_sub16(d[3], vi_add16(d1_2, d1_2)), even2 = vi_sub16(d[4], d[2]),
             less = vi_sub16(d[3], d[1]), odd2 = vi_add16(less, less);
    t[0] = vi_add16(vi_add16(d0_2, d0_2), vi_sub16(even, d[2]));
    t[1] = vi_add16(even, odd);
    t[2] = vi_sub16(even, odd);
    t[3] = vi_add16(even2, odd2);
    t[4] = vi_sub16(even2, odd2);
    t[5] = vi_sub16(vi_sub16(d[5], d[3]), vi_add16(odd2, odd2));
}

SIMD void bytes_patch_in(const struct winograd_in_q8 *c, size_t i) {
    vi half[6][6]; /* by column */
#pragma GCC unroll 6
    for (int col = 0; col < 6; col++) {
        vi d[6];
#pragma GCC unroll 6
        for (int row = 0; row < 6; row++)
            d[row] = vi_load_u8_16(c->x[row * 6 + col] + i, c->flip);
        bytes_in(d, half[col]);
    }
#pragma GCC unroll 6
    for (size_t row = 0; row < 6; row++) {
        vi d[6], t[6];
#pragma GCC unroll 6
        for (int col = 0; col < 6; col++)
            d[col] = half[col][row];
        bytes_in(d, t);
#pragma GCC unroll 6
        for (size_t col = 0; col < 6; col++)
            vi_store_bytes(c->v + (row * 6 + col) * c->v_step + i, t[col]);
    }
}

void ISA(winograd_in_q8)(const struct winograd_in_q8 *c) {
    for (size_t i = 0; i < c->n; i += 2 * VL)
        bytes_patch_in(c, i);
}

/* t = A' m, in multiples of 24, 12, 6 and 6 */
SIMD void sums_out(const vi m[6], vi t[4]) {
    const vi sum = vi_add(m[1], m[2]), less = vi_sub(m[1], m[2]), sum2 = vi_add(m[3], m[4]),
             less2 = vi_sub(m[3], m[4]);
    t[0] = vi_add(m[0], vi_sub(sum2, vi_shl(sum, 2)));
    t[1] = vi_sub(less2, vi_add(less, less));
    t[2] = vi_sub(sum2, sum);
    t[3] = vi_add(vi_sub(vi_add(less2, less2), less), m[5]);
}

struct bytes_limits {
    vi zero, ninth;
    vf low, high;
};

/* `twos`: a constant after inlining */
SIMD vi byte_of(vi t, vi bias, vf scale, const struct bytes_limits *k, const int twos) {
    t = vi_mul(t, k->ninth);
    t = twos == 6   ? vi_shr(t, 6)
        : twos == 5 ? vi_shr(t, 5)
        : twos == 4 ? vi_shr(t, 4)
        : twos == 3 ? vi_shr(t, 3)
                    : vi_shr(t, 2);
    vf v = vf_mul(vf_of(vi_add(t, bias)), scale);
    return vi_add(vi_of(vf_min(k->high, vf_max(k->low, v))), k->zero);
}

SIMD void bytes_patch_out(const struct winograd_out_q8 *c, const struct bytes_limits *k, size_t i) {
    static const int twos[4] = {3, 2, 1, 1};
    uint8_t *const *const y = c->y;
    vi half[6][4]; /* by column */
    const int32_t *m = c->m + i;
    const size_t step = c->m_step;
#pragma GCC unroll 6
    for (size_t col = 0; col < 6; col++) {
        vi d[6];
#pragma GCC unroll 6
        for (size_t row = 0; row < 6; row++)
            d[row] = vi_load(m + (row * 6 + col) * step);
        sums_out(d, half[col]);
    }
    const vi bias = vi_load(c->bias + i);
    const vf scale = vf_load(c->scale + i);
#pragma GCC unroll 4
    for (size_t row = 0; row < 4; row++) {
        vi d[6], t[4];
#pragma GCC unroll 6
        for (size_t col = 0; col < 6; col++)
            d[col] = half[col][row];
        sums_out(d, t);
#pragma GCC unroll 4
        for (size_t col = 0; col < 4; col++)
            if (y[row * 4 + col])
                vi_store_8(y[row * 4 + col] + i,
                           byte_of(t[col], bias, scale, k, twos[row] + twos[col]));
    }
}

void ISA(winograd_out_q8)(const struct winograd_out_q8 *c) {
    const float low = c->is_signed ? -128 : 0;
    const struct bytes_limits k = {vi_set(c->zero), vi_set(954437177), vf_set(low - (float)c->zero),
                                   vf_set(low + 255 - (float)c->zero)};
    for (size_t i = 0; i < c->n; i += VL)
        bytes_patch_out(c, &k, i);
}
