/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies of codes.c over the vectors of an instruction set, which says how four bits become a
 * weight: struct level, level_of(scale, zero), level_low and level_high(level, VL bytes). */
#pragma once

#include "kernel/kernel.h"

enum { CODES_ROWS = 4, CODES_COLUMNS = 4 }; /* of a tile */

/* VL (of 8 bits), or 2 VL (of 4) weights in the order of struct codes. */
struct eight {
    vf scale;
    vi zero;
};
SIMD vf eight_of(const struct eight *e, vi bytes) {
    return vf_mul(vf_of(vi_sub(bytes, e->zero)), e->scale);
}

SIMD void codes_widen_row(const struct codes *c, size_t row, float *y, const int bits) {
    const uint8_t *w = c->w + row * codes_row(c);
    const float *scales = c->scales + row * (c->k / c->block);
    for (size_t i = 0; i < c->k; i += CODES_GROUP) {
        const int zero = codes_zero(c, row, i / c->block, (size_t)bits);
        const float scale = scales[i / c->block];
        const struct level four = level_of(scale, zero);
        const struct eight eight = {vf_set(scale), vi_set(zero)};
        for (size_t j = 0; j < CODES_GROUP * (size_t)bits / 8; j += VL) {
            const vi bytes = vi_load_u8(w + i * (size_t)bits / 8 + j);
            if (bits == 8) {
                vf_store(y + i + j, eight_of(&eight, bytes));
                continue;
            }
            vf_store(y + i + j, level_low(&four, bytes));
            vf_store(y + i + j + CODES_GROUP / 2, level_high(&four, bytes));
        }
    }
}

/* One group of one row of weights with m rows of activations. */
SIMD void codes_group(const uint8_t *w, const struct level *four, const struct eight *eight,
                      const float *a, size_t a_row, vf *sum, const size_t m, const int bits) {
#pragma GCC unroll 4
    for (size_t j = 0; j < CODES_GROUP * (size_t)bits / 8; j += VL) {
        const vi bytes = vi_load_u8(w + j);
        const vf low = bits == 8 ? eight_of(eight, bytes) : level_low(four, bytes);
        const vf high = bits == 8 ? low : level_high(four, bytes);
#pragma GCC unroll 4
        for (size_t r = 0; r < m; r++) {
            sum[r] = vf_fma(low, vf_load(a + r * a_row + j), sum[r]);
            if (bits == 4)
                sum[r] = vf_fma(high, vf_load(a + r * a_row + j + CODES_GROUP / 2), sum[r]);
        }
    }
}

SIMD void codes_tile(const struct codes *c, size_t row, const float *a, float *y, size_t y_row,
                     const size_t m, const size_t n, const int bits) {
    const size_t blocks = c->k / c->block, w_row = codes_row(c);
    const uint8_t *w = c->w + row * w_row;
    const float *scales = c->scales + row * blocks;
    struct level four[CODES_COLUMNS];
    struct eight eight[CODES_COLUMNS];
    vf sum[CODES_COLUMNS][CODES_ROWS];
#pragma GCC unroll 4
    for (size_t col = 0; col < n; col++)
#pragma GCC unroll 4
        for (size_t r = 0; r < m; r++)
            sum[col][r] = vf_zero();
    for (size_t b = 0; b < blocks; b++) {
#pragma GCC unroll 4
        for (size_t col = 0; col < n; col++) {
            const int zero = codes_zero(c, row + col, b, (size_t)bits);
            const float scale = scales[col * blocks + b];
            four[col] = level_of(scale, zero);
            eight[col] = (struct eight){vf_set(scale), vi_set(zero)};
        }
        for (size_t i = b * c->block; i < (b + 1) * c->block; i += CODES_GROUP)
#pragma GCC unroll 4
            for (size_t col = 0; col < n; col++)
                codes_group(w + col * w_row + i * (size_t)bits / 8, &four[col], &eight[col], a + i,
                            c->k, sum[col], m, bits);
    }
#pragma GCC unroll 4
    for (size_t col = 0; col < n; col++)
#pragma GCC unroll 4
        for (size_t r = 0; r < m; r++)
            y[r * y_row + row + col] = vf_sum(sum[col][r]);
}

SIMD void codes_columns(const struct codes *c, const float *a, float *y, size_t y_row,
                        const size_t m, const int bits) {
    size_t row = 0;
    for (; row + CODES_COLUMNS <= c->n; row += CODES_COLUMNS)
        codes_tile(c, row, a, y, y_row, m, CODES_COLUMNS, bits);
    for (; row < c->n; row++)
        codes_tile(c, row, a, y, y_row, m, 1, bits);
}

SIMD void codes_rows(const struct codes *c, size_t m, const float *a, float *y, size_t y_row,
                     const int bits) {
    for (; m >= CODES_ROWS; m -= CODES_ROWS, a += CODES_ROWS * c->k, y += CODES_ROWS * y_row)
        codes_columns(c, a, y, y_row, CODES_ROWS, bits);
    for (; m; m--, a += c->k, y += y_row)
        codes_columns(c, a, y, y_row, 1, bits);
}

void ISA(codes_widen)(const struct codes *c, size_t row, float *y) {
    if (c->bits == 8)
        codes_widen_row(c, row, y, 8);
    else
        codes_widen_row(c, row, y, 4);
}
void ISA(codes_dot)(const struct codes *c, size_t m, const float *a, float *y, size_t y_row) {
    if (c->bits == 8)
        codes_rows(c, m, a, y, y_row, 8);
    else
        codes_rows(c, m, a, y, y_row, 4);
}
