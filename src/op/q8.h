/* SPDX-License-Identifier: Apache-2.0 */
/* What the 8-bit operators share: reading scales and zero points, and taking a zero point off
 * bytes, which leaves int16 in pairs that the exact integer tile multiplies (kernel.h, gemm_pairs).
 */
#pragma once

#include "op/operand.h"

static inline bool q8_is(enum dtype t) { return t == DT_U8 || t == DT_I8; }
/* kernel.h's gemm_quads by byte products of the CPU. */
bool q8_quads(void);
/* Entry i of a scale or zero point that has one entry, or one per channel; an absent zero point is
 * 0, an absent scale 1. */
int32_t q8_zero(const struct tensor *t, size_t i);
float q8_scale(const struct tensor *t, size_t i);
/* All entries are 0 (or it is absent). */
bool q8_all_zero(const struct tensor *t);
/* One entry or `channels` of them. */
MUST_USE enum code q8_check(const struct operand_at *at, const struct op_value *v, int64_t channels,
                            const char *what, struct err *e);

/* y (rows, units(n)) pairs = x (rows, n) - zero, rows of x `x_row` bytes apart; an odd n is filled
 * with 0. */
static inline size_t q8_units(size_t n) { return (n + 1) / 2; }
struct q8_widen {
    const void *x;
    bool is_signed;
    size_t rows, n, x_row;
    int32_t zero;
    int16_t *y;
};
void q8_widen(const struct q8_widen *w, int threads);

/* y (rows, n) = requantised sums, per column when n_scales > 1. */
struct q8_narrow {
    size_t rows, n;
    const int32_t *sums, *bias; /* bias (n) or NULL */
    const float *scale;         /* (1) or (n) */
    bool one;
    int32_t zero;
    bool is_signed;
    void *y;
};
void q8_narrow(const struct q8_narrow *c);

/* sums[i] += x[i], n bytes side by side */
void q8_add(const void *x, bool is_signed, size_t n, int32_t *sums);

/* What a byte means: (byte - zero) * scale. */
struct q8_meaning {
    float scale;
    int32_t zero;
};
enum { Q8_BYTES = 256 };
/* to[byte under x] = the byte that means the same under y, as dequantize_linear and quantize_linear
 * find it. */
void q8_table(struct q8_meaning x, struct q8_meaning y, bool is_signed, uint8_t to[Q8_BYTES]);
