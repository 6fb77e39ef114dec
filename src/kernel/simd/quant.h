/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies of 8-bit quantisation and of the 16-bit float conversions. Values are clamped as floats
 * before they become integers, so that nothing is out of the range of the conversion; a NaN is made
 * 0 first, which lands on the zero point. */
#pragma once

#include "kernel/kernel.h"
#include "kernel/simd/math.h"

SIMD vi nearest(vf v, vf zero, vf low, vf high) {
    v = vf_pick(vf_nan(v), vf_zero(), v);
    return vi_of(vf_min(high, vf_max(low, vf_add(vf_round(v), zero))));
}

/* The last VL elements of a row that is long enough are done again, aligned to its end; shorter
 * rows go through a copy. */
#define QUANTIZE(name, type, least, most)                                                          \
    void ISA(name)(size_t n, const float *x, float scale, int32_t zero, type *y) {                 \
        const vf s = vf_set(scale), z = vf_set((float)zero), low = vf_set(least),                  \
                 high = vf_set(most);                                                              \
        size_t i = 0;                                                                              \
        for (; i + VL <= n; i += VL)                                                               \
            vi_store_8(y + i, nearest(vf_div(vf_load(x + i), s), z, low, high));                   \
        if (i < n) {                                                                               \
            type rest[VL];                                                                         \
            vi_store_8(rest, nearest(vf_div(vf_load_n(x + i, n - i), s), z, low, high));           \
            __builtin_memcpy(y + i, rest, n - i);                                                  \
        }                                                                                          \
    }
QUANTIZE(quantize_u8, uint8_t, 0.0f, 255.0f)
QUANTIZE(quantize_i8, int8_t, -128.0f, 127.0f)

#define DEQUANTIZE(name, type, load)                                                               \
    void ISA(name)(size_t n, const type *x, float scale, int32_t zero, float *y) {                 \
        const vf s = vf_set(scale);                                                                \
        const vi z = vi_set(zero);                                                                 \
        size_t i = 0;                                                                              \
        for (; i + VL <= n; i += VL)                                                               \
            vf_store(y + i, vf_mul(vf_of(vi_sub(load(x + i), z)), s));                             \
        if (i < n) {                                                                               \
            type rest[VL] = {0};                                                                   \
            __builtin_memcpy(rest, x + i, n - i);                                                  \
            vf_store_n(y + i, vf_mul(vf_of(vi_sub(load(rest), z)), s), n - i);                     \
        }                                                                                          \
    }
DEQUANTIZE(dequantize_u8, uint8_t, vi_load_u8)
DEQUANTIZE(dequantize_i8, int8_t, vi_load_i8)

/* Parameters as vectors: stores of bytes may alias anything, so they must not stay behind a
 * pointer. */
struct qadd_vectors {
    vf a_scale, b_scale, offset, low, high;
    vi zero;
};

#define QADD(name, type, load, most)                                                               \
    SIMD vi name##_of(const struct qadd_vectors *k, vi a, vi b) {                                  \
        vf v = vf_fma(vf_of(a), k->a_scale, vf_fma(vf_of(b), k->b_scale, k->offset));              \
        return vi_add(vi_of(vf_min(k->high, vf_max(k->low, v))), k->zero);                         \
    }                                                                                              \
    void ISA(name)(const struct qadd *c) {                                                         \
        const struct qadd_vectors k = {vf_set(c->a_scale),                                         \
                                       vf_set(c->b_scale),                                         \
                                       vf_set(c->offset),                                          \
                                       vf_set((float)(c->low - c->y_zero)),                        \
                                       vf_set((most) - (float)c->y_zero),                          \
                                       vi_set(c->y_zero)};                                         \
        const type *a = c->a, *b = c->b;                                                           \
        type *y = c->y;                                                                            \
        const bool one = c->b_one;                                                                 \
        const vi single = vi_set(*b);                                                              \
        const size_t n = c->n;                                                                     \
        size_t i = 0;                                                                              \
        for (; i + VL <= n; i += VL)                                                               \
            vi_store_8(y + i, name##_of(&k, load(a + i), one ? single : load(b + i)));             \
        if (i < n) {                                                                               \
            type p[VL] = {0}, q[VL] = {0}, rest[VL];                                               \
            __builtin_memcpy(p, a + i, n - i);                                                     \
            if (!one)                                                                              \
                __builtin_memcpy(q, b + i, n - i);                                                 \
            vi_store_8(rest, name##_of(&k, load(p), one ? single : load(q)));                      \
            __builtin_memcpy(y + i, rest, n - i);                                                  \
        }                                                                                          \
    }
QADD(qadd_u8, uint8_t, vi_load_u8, 255.0f)
QADD(qadd_i8, int8_t, vi_load_i8, 127.0f)

void ISA(requant)(const struct requant *c) {
    const vf zero = vf_set((float)c->zero), low = vf_set((float)c->low),
             high = vf_set((float)c->high), one = vf_set(c->scale[0]);
    const struct requant k = *c;
    uint8_t *y = k.y;
    size_t i = 0;
    for (; i + VL <= k.n; i += VL) {
        vi sum = vi_load(k.sums + i);
        if (k.bias)
            sum = vi_add(sum, vi_load(k.bias + i));
        vf v = vf_mul(vf_of(sum), k.one ? one : vf_load(k.scale + i));
        vi_store_8(y + i, nearest(v, zero, low, high));
    }
    if (i < k.n) {
        const size_t some = k.n - i;
        int32_t sums[VL] = {0}, bias[VL] = {0};
        uint8_t rest[VL];
        __builtin_memcpy(sums, k.sums + i, some * sizeof sums[0]);
        if (k.bias)
            __builtin_memcpy(bias, k.bias + i, some * sizeof bias[0]);
        vf v = vf_of(vi_add(vi_load(sums), vi_load(bias)));
        v = vf_mul(v, k.one ? one : vf_load_n(k.scale + i, some));
        vi_store_8(rest, nearest(v, zero, low, high));
        __builtin_memcpy(y + i, rest, some);
    }
}

/* --- 16-bit floats --- */

SIMD vi bf16_bits(vf v) { /* in the low half of each lane */
    vi u = vf_bits(v), odd = vi_and(vi_shr_logical(u, 16), vi_set(1));
    vi even = vi_shr_logical(vi_add(vi_add(u, vi_set(0x7fff)), odd), 16);
    vi quiet = vi_or(vi_shr_logical(u, 16), vi_set(0x40));
    return vf_bits(vf_pick(vf_nan(v), vi_floats(quiet), vi_floats(even)));
}
SIMD void vf_store_bf16(uint16_t *p, vf v) { vi_store_16(p, bf16_bits(v)); }

#define WIDEN(name, load)                                                                          \
    void ISA(name)(size_t n, const uint16_t *x, float *y) {                                        \
        size_t i = 0;                                                                              \
        for (; i + VL <= n; i += VL)                                                               \
            vf_store(y + i, load(x + i));                                                          \
        if (i < n) {                                                                               \
            uint16_t rest[VL] = {0};                                                               \
            __builtin_memcpy(rest, x + i, (n - i) * sizeof rest[0]);                               \
            vf_store_n(y + i, load(rest), n - i);                                                  \
        }                                                                                          \
    }
WIDEN(widen_f16, vf_load_f16)
WIDEN(widen_bf16, vf_load_bf16)

#define NARROW(name, store)                                                                        \
    void ISA(name)(size_t n, const float *x, uint16_t *y) {                                        \
        size_t i = 0;                                                                              \
        for (; i + VL <= n; i += VL)                                                               \
            store(y + i, vf_load(x + i));                                                          \
        if (i < n) {                                                                               \
            uint16_t rest[VL];                                                                     \
            store(rest, vf_load_n(x + i, n - i));                                                  \
            __builtin_memcpy(y + i, rest, (n - i) * sizeof rest[0]);                               \
        }                                                                                          \
    }
NARROW(narrow_f16, vf_store_f16)
NARROW(narrow_bf16, vf_store_bf16)
