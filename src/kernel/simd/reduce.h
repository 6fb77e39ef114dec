/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies of the reductions, row normalisations, and of several rows folded to one. Sums run in four
 * vectors side by side, so a long row loses about as little as pairwise summation would. */
#pragma once

#include "kernel/kernel.h"
#include "kernel/simd/math.h"
#include "kernel/simd/some.h"

#include <math.h>

enum { WEIGH_ROWS = 4 };

#define FOLD4(name, start, step, join)                                                             \
    SIMD vf name##_step(vf s, vf v, vf shift) {                                                    \
        (void)shift;                                                                               \
        return (step);                                                                             \
    }                                                                                              \
    SIMD vf name##_join(vf s, vf v) { return (join); }                                             \
    SIMD vf name##_fold(size_t n, const float *x, vf shift) {                                      \
        vf s0 = (start), s1 = s0, s2 = s0, s3 = s0;                                                \
        size_t i = 0;                                                                              \
        for (; i + 4 * VL <= n; i += 4 * VL) {                                                     \
            s0 = name##_step(s0, vf_load(x + i), shift);                                           \
            s1 = name##_step(s1, vf_load(x + i + VL), shift);                                      \
            s2 = name##_step(s2, vf_load(x + i + 2 * VL), shift);                                  \
            s3 = name##_step(s3, vf_load(x + i + 3 * VL), shift);                                  \
        }                                                                                          \
        for (; i + VL <= n; i += VL)                                                               \
            s0 = name##_step(s0, vf_load(x + i), shift);                                           \
        s0 = name##_join(name##_join(s0, s1), name##_join(s2, s3));                                \
        if (i < n) { /* the lanes beyond the end keep what they have */                            \
            float rest[VL];                                                                        \
            vf_store(rest, s0);                                                                    \
            vf last = name##_step(s0, vf_load_n(x + i, n - i), shift);                             \
            vf_store_n(rest, last, n - i);                                                         \
            s0 = vf_load(rest);                                                                    \
        }                                                                                          \
        return s0;                                                                                 \
    }

FOLD4(sum, vf_zero(), vf_add(s, v), vf_add(s, v))
FOLD4(sum_abs, vf_zero(), vf_add(s, vf_abs(v)), vf_add(s, v))
FOLD4(sum_sq, vf_zero(), vf_fma(v, v, s), vf_add(s, v))
FOLD4(spread, vf_zero(), vf_fma(vf_sub(v, shift), vf_sub(v, shift), s), vf_add(s, v))
FOLD4(top, vf_set(-__builtin_inff()), math_max(s, v), math_max(s, v))
FOLD4(bottom, vf_set(__builtin_inff()), math_min(s, v), math_min(s, v))

float ISA(sum_f32)(size_t n, const float *x) { return vf_sum(sum_fold(n, x, vf_zero())); }
float ISA(sum_abs_f32)(size_t n, const float *x) { return vf_sum(sum_abs_fold(n, x, vf_zero())); }
float ISA(sum_sq_f32)(size_t n, const float *x) { return vf_sum(sum_sq_fold(n, x, vf_zero())); }
float ISA(spread_f32)(size_t n, const float *x, float shift) {
    return vf_sum(spread_fold(n, x, vf_set(shift)));
}

/* The horizontal max of the instruction set drops a NaN: a sum of the lanes tells whether there is
 * one. */
SIMD bool any_nan(vf v) {
    float lanes[VL];
    vf_store(lanes, v);
    for (int i = 0; i < VL; i++)
        if (isnan(lanes[i]))
            return true;
    return false;
}
float ISA(top_f32)(size_t n, const float *x) {
    vf v = top_fold(n, x, vf_zero());
    return any_nan(v) ? __builtin_nanf("") : vf_highest(v);
}
float ISA(bottom_f32)(size_t n, const float *x) {
    vf v = bottom_fold(n, x, vf_zero());
    return any_nan(v) ? __builtin_nanf("") : vf_lowest(v);
}

/* y = exp(x - top), and the sum of it. y may be NULL. */
SIMD float exp_sum(size_t n, const float *x, float top, float *y) {
    const vf t = vf_set(top);
    vf s = vf_zero();
    size_t i = 0;
    for (; i + VL <= n; i += VL) {
        vf v = math_exp(vf_sub(vf_load(x + i), t));
        s = vf_add(s, v);
        if (y)
            vf_store(y + i, v);
    }
    float sum = vf_sum(s);
    if (i < n) {
        vf v = math_exp(vf_sub(vf_load_n(x + i, n - i), t));
        float rest[VL];
        vf_store(rest, vf_zero());
        vf_store_n(rest, v, n - i);
        sum += vf_sum(vf_load(rest));
        if (y)
            vf_store_n(y + i, v, n - i);
    }
    return sum;
}

/* y = (x + shift) * scale + offset */
SIMD void shift_scale(size_t n, const float *x, float shift, float scale, float offset, float *y) {
    const vf a = vf_set(shift), b = vf_set(scale), c = vf_set(offset);
    size_t i = 0;
    for (; i + VL <= n; i += VL)
        vf_store(y + i, vf_fma(vf_add(vf_load(x + i), a), b, c));
    if (i < n)
        vf_store_n(y + i, vf_fma(vf_add(vf_load_n(x + i, n - i), a), b, c), n - i);
}

void ISA(softmax_f32)(size_t n, const float *x, float *y) {
    float sum = exp_sum(n, x, ISA(top_f32)(n, x), y);
    shift_scale(n, y, 0, 1.0f / sum, 0, y);
}

/* The first n lanes of v, and `rest` in the others. */
SIMD vf lanes_or(vf v, size_t n, float rest) {
    float lanes[VL];
    vf_store(lanes, vf_set(rest));
    vf_store_n(lanes, v, n);
    return vf_load(lanes);
}

/* `rows` rows from `first` side by side, since each alone would wait for itself. */
SIMD void weigh_rows(const struct weigh_f32 *c, size_t first, const size_t rows,
                     const bool biased) {
    const float *x = c->x + first * c->row, *bias = biased ? c->bias + first * c->bias_row : NULL;
    float *y = c->y + first * c->row;
    vf top[WEIGH_ROWS], sum[WEIGH_ROWS];
    for (size_t r = 0; r < rows; r++)
        top[r] = vf_set(-__builtin_inff()), sum[r] = vf_zero();
    for (size_t i = 0; i < c->n; i += VL) {
        const size_t left = c->n - i;
#pragma GCC unroll 4
        for (size_t r = 0; r < rows; r++) {
            vf v = vf_fma(some_load(x + r * c->row + i, left), vf_set(c->scale),
                          biased ? some_load(bias + r * c->bias_row + i, left) : vf_zero());
            some_store(y + r * c->row + i, v, left);
            v = left < VL ? lanes_or(v, left, -__builtin_inff()) : v;
            top[r] = vf_max(v, top[r]); /* NaN is passed over: the second operand is answered */
        }
    }
#pragma GCC unroll 4
    for (size_t r = 0; r < rows; r++) {
        const float high = vf_highest(top[r]);
        top[r] = vf_set(high == -__builtin_inff() ? 0 : high);
    }
    for (size_t i = 0; i < c->n; i += VL) {
        const size_t left = c->n - i;
#pragma GCC unroll 4
        for (size_t r = 0; r < rows; r++) {
            vf v = math_exp(vf_sub(some_load(y + r * c->row + i, left), top[r]));
            some_store(y + r * c->row + i, v, left);
            sum[r] = vf_add(sum[r], left < VL ? lanes_or(v, left, 0) : v);
        }
    }
#pragma GCC unroll 4
    for (size_t r = 0; r < rows; r++)
        c->sums[first + r] = vf_sum(sum[r]);
}

void ISA(weigh_f32)(const struct weigh_f32 *c) {
    size_t row = 0;
    for (; row + WEIGH_ROWS <= c->rows; row += WEIGH_ROWS)
        if (c->bias)
            weigh_rows(c, row, WEIGH_ROWS, true);
        else
            weigh_rows(c, row, WEIGH_ROWS, false);
    for (; row < c->rows; row++)
        if (c->bias)
            weigh_rows(c, row, 1, true);
        else
            weigh_rows(c, row, 1, false);
}

void ISA(log_softmax_f32)(size_t n, const float *x, float *y) {
    float top = ISA(top_f32)(n, x);
    float sum = exp_sum(n, x, top, NULL);
    shift_scale(n, x, -top, 1.0f, -logf(sum), y);
}

SIMD vf norm_of(vf v, vf mean, vf scale, const float *gamma, const float *beta, size_t n) {
    v = vf_mul(vf_sub(v, mean), scale);
    vf g = !gamma ? vf_set(1.0f) : n == VL ? vf_load(gamma) : vf_load_n(gamma, n);
    vf b = !beta ? vf_zero() : n == VL ? vf_load(beta) : vf_load_n(beta, n);
    return vf_fma(v, g, b);
}

void ISA(norm_f32)(const struct norm_f32 *c) {
    float mean = c->rms ? 0 : ISA(sum_f32)(c->n, c->x) / (float)c->n;
    float variance = ISA(spread_f32)(c->n, c->x, mean) / (float)c->n;
    const vf m = vf_set(mean), s = vf_set(1.0f / sqrtf(variance + c->epsilon));
    const float *gamma = c->gamma, *beta = c->beta;
    size_t i = 0;
    for (; i + VL <= c->n; i += VL)
        vf_store(c->y + i, norm_of(vf_load(c->x + i), m, s, gamma ? gamma + i : NULL,
                                   beta ? beta + i : NULL, VL));
    size_t rest = c->n - i;
    if (rest)
        vf_store_n(c->y + i,
                   norm_of(vf_load_n(c->x + i, rest), m, s, gamma ? gamma + i : NULL,
                           beta ? beta + i : NULL, rest),
                   rest);
}

void ISA(scale_f32)(size_t rows, size_t n, const float *x, const float *scale, const float *shift,
                    float *y) {
    for (size_t row = 0; row < rows; row++, x += n, y += n) {
        size_t i = 0;
        for (; i + VL <= n; i += VL)
            vf_store(y + i, vf_fma(vf_load(x + i), vf_load(scale + i), vf_load(shift + i)));
        size_t rest = n - i;
        if (rest)
            vf_store_n(y + i,
                       vf_fma(vf_load_n(x + i, rest), vf_load_n(scale + i, rest),
                              vf_load_n(shift + i, rest)),
                       rest);
    }
}

void ISA(columns_f32)(size_t rows, size_t n, const float *x, size_t stride, float *y) {
    size_t i = 0;
    for (; i + 4 * VL <= n; i += 4 * VL) {
        vf s0 = vf_zero(), s1 = s0, s2 = s0, s3 = s0;
        const float *at = x + i;
        for (size_t row = 0; row < rows; row++, at += stride) {
            s0 = vf_add(s0, vf_load(at));
            s1 = vf_add(s1, vf_load(at + VL));
            s2 = vf_add(s2, vf_load(at + 2 * VL));
            s3 = vf_add(s3, vf_load(at + 3 * VL));
        }
        vf_store(y + i, s0);
        vf_store(y + i + VL, s1);
        vf_store(y + i + 2 * VL, s2);
        vf_store(y + i + 3 * VL, s3);
    }
    for (; i < n; i += VL) {
        size_t some = n - i < VL ? n - i : VL;
        vf s = vf_zero();
        for (size_t row = 0; row < rows; row++)
            s = vf_add(s, some == VL ? vf_load(x + row * stride + i)
                                     : vf_load_n(x + row * stride + i, some));
        if (some == VL)
            vf_store(y + i, s);
        else
            vf_store_n(y + i, s, some);
    }
}

void ISA(blend_f32)(size_t n_taps, const float *const *x, const float *weight, size_t n, float *y) {
    size_t i = 0;
    for (; i + 2 * VL <= n; i += 2 * VL) {
        vf s0 = vf_zero(), s1 = s0;
        for (size_t tap = 0; tap < n_taps; tap++) {
            vf w = vf_set(weight[tap]);
            s0 = vf_fma(w, vf_load(x[tap] + i), s0);
            s1 = vf_fma(w, vf_load(x[tap] + i + VL), s1);
        }
        vf_store(y + i, s0);
        vf_store(y + i + VL, s1);
    }
    for (; i < n; i += VL) {
        size_t some = n - i < VL ? n - i : VL;
        vf s = vf_zero();
        for (size_t tap = 0; tap < n_taps; tap++)
            s = vf_fma(vf_set(weight[tap]),
                       some == VL ? vf_load(x[tap] + i) : vf_load_n(x[tap] + i, some), s);
        if (some == VL)
            vf_store(y + i, s);
        else
            vf_store_n(y + i, s, some);
    }
}

void ISA(tops_f32)(size_t n_taps, const float *const *x, size_t n, float *y) {
    for (size_t i = 0; i < n; i += VL) {
        size_t some = n - i < VL ? n - i : VL;
        vf s = some == VL ? vf_load(x[0] + i) : vf_load_n(x[0] + i, some);
        for (size_t tap = 1; tap < n_taps; tap++)
            s = math_max(s, some == VL ? vf_load(x[tap] + i) : vf_load_n(x[tap] + i, some));
        if (some == VL)
            vf_store(y + i, s);
        else
            vf_store_n(y + i, s, some);
    }
}

SIMD void sums_bf16_of(size_t n_taps, const uint16_t *const *x, size_t at, const float *y,
                       const size_t v, vf s[4]) {
#pragma GCC unroll 4
    for (size_t k = 0; k < v; k++)
        s[k] = vf_load(y + at + k * VL);
    for (size_t tap = 0; tap < n_taps; tap++)
#pragma GCC unroll 4
        for (size_t k = 0; k < v; k++)
            s[k] = vf_add(s[k], vf_load_bf16(x[tap] + at + k * VL));
}

SIMD void sums_bf16_at(size_t n_taps, const uint16_t *const *x, size_t at, float *y,
                       const size_t v) {
    vf s[4];
    sums_bf16_of(n_taps, x, at, y, v, s);
#pragma GCC unroll 4
    for (size_t k = 0; k < v; k++)
        vf_store(y + at + k * VL, s[k]);
}

/* The last vector ends with the row: it is summed before those that it shares elements with are
 * stored. */
void ISA(sums_bf16)(size_t n_taps, const uint16_t *const *x, size_t n, float *y) {
    if (n < VL) {
        sums_bf16_scalar(n_taps, x, n, y);
        return;
    }
    size_t i = 0;
    vf last[4];
    sums_bf16_of(n_taps, x, n - VL, y, 1, last);
    for (; i + 4 * VL < n; i += 4 * VL)
        sums_bf16_at(n_taps, x, i, y, 4);
    for (; i + VL < n; i += VL)
        sums_bf16_at(n_taps, x, i, y, 1);
    vf_store(y + n - VL, last[0]);
}

SIMD vf tops_bf16_at(size_t n_taps, const uint16_t *const *x, size_t at) {
    vf s = vf_load_bf16(x[0] + at);
    for (size_t tap = 1; tap < n_taps; tap++)
        s = math_max(s, vf_load_bf16(x[tap] + at));
    return s;
}

/* A maximum is one of its numbers: the low halves are zero, and cutting them off rounds nothing.
 * What is left of a row that is longer than a vector is taken with some of what is done. */
void ISA(tops_bf16)(size_t n_taps, const uint16_t *const *x, size_t n, uint16_t *y) {
    for (size_t i = 0; i < n && n >= VL; i += VL) {
        size_t at = i + VL <= n ? i : n - VL;
        vi_store_16(y + at, vi_shr_logical(vf_bits(tops_bf16_at(n_taps, x, at)), 16));
    }
    if (n < VL)
        tops_bf16_scalar(n_taps, x, n, y);
}

#define TOPS(name, type, vi_top)                                                                   \
    void ISA(name)(size_t n_taps, const type *const *x, size_t n, type *y) {                       \
        size_t i = 0;                                                                              \
        for (; i + 4 * VL <= n; i += 4 * VL) {                                                     \
            vi v = vi_load_bytes(x[0] + i);                                                        \
            for (size_t tap = 1; tap < n_taps; tap++)                                              \
                v = vi_top(v, vi_load_bytes(x[tap] + i));                                          \
            vi_store_bytes(y + i, v);                                                              \
        }                                                                                          \
        for (; i < n; i++) {                                                                       \
            type v = x[0][i];                                                                      \
            for (size_t tap = 1; tap < n_taps; tap++)                                              \
                v = x[tap][i] > v ? x[tap][i] : v;                                                 \
            y[i] = v;                                                                              \
        }                                                                                          \
    }
TOPS(tops_u8, uint8_t, vi_top_u8)
TOPS(tops_i8, int8_t, vi_top_i8)
