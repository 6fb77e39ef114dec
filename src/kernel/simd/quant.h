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

#define QADD(name, type, load, most)                                                               \
    SIMD vi name##_of(const struct qadd *c, const type *a, const type *b) {                        \
        vf u = vf_mul(vf_of(vi_sub(load(a), vi_set(c->a_zero))), vf_set(c->a_scale));              \
        vi q = c->b_one ? vi_set(*b) : load(b);                                                    \
        vf v = vf_mul(vf_of(vi_sub(q, vi_set(c->b_zero))), vf_set(c->b_scale));                    \
        return nearest(vf_add(u, v), vf_set((float)c->y_zero), vf_set((float)c->low),              \
                       vf_set(most));                                                              \
    }                                                                                              \
    void ISA(name)(const struct qadd *c) {                                                         \
        const type *a = c->a, *b = c->b;                                                           \
        type *y = c->y;                                                                            \
        const size_t step = c->b_one ? 0 : 1;                                                      \
        size_t i = 0;                                                                              \
        for (; i + VL <= c->n; i += VL)                                                            \
            vi_store_8(y + i, name##_of(c, a + i, b + i * step));                                  \
        if (i < c->n) {                                                                            \
            type p[VL] = {0}, q[VL] = {0}, rest[VL];                                               \
            __builtin_memcpy(p, a + i, c->n - i);                                                  \
            __builtin_memcpy(q, b + i * step, c->b_one ? 1 : c->n - i);                            \
            vi_store_8(rest, name##_of(c, p, q));                                                  \
            __builtin_memcpy(y + i, rest, c->n - i);                                               \
        }                                                                                          \
    }
QADD(qadd_u8, uint8_t, vi_load_u8, 255.0f)
QADD(qadd_i8, int8_t, vi_load_i8, 127.0f)

void ISA(requant)(const struct requant *c) {
    const vf zero = vf_set((float)c->zero), low = vf_set((float)c->low),
             high = vf_set((float)c->high);
    uint8_t *y = c->y;
    for (size_t i = 0; i < c->n; i += VL) {
        size_t some = c->n - i < VL ? c->n - i : VL;
        int32_t sums[VL] = {0};
        __builtin_memcpy(sums, c->sums + i, some * sizeof sums[0]);
        vi sum = vi_load(sums);
        if (c->bias) {
            __builtin_memcpy(sums, c->bias + i, some * sizeof sums[0]);
            sum = vi_add(sum, vi_load(sums));
        }
        vf scale = c->one       ? vf_set(c->scale[0])
                   : some == VL ? vf_load(c->scale + i)
                                : vf_load_n(c->scale + i, some);
        uint8_t rest[VL];
        vi_store_8(rest, nearest(vf_mul(vf_of(sum), scale), zero, low, high));
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
