/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies of the functions of one and two inputs. Included by x86/elementwise_ISA.c after the
 * wrappers of its ISA. */
#pragma once

#include "kernel/kernel.h"
#include "kernel/simd/math.h"

#define UNARY(name, expression)                                                                    \
    void ISA(name)(size_t n, const float *x, float *y, float alpha, float beta) {                  \
        const vf a = vf_set(alpha), b = vf_set(beta);                                              \
        (void)a, (void)b;                                                                          \
        size_t i = 0;                                                                              \
        for (; i + VL <= n; i += VL) {                                                             \
            vf v = vf_load(x + i);                                                                 \
            vf_store(y + i, (expression));                                                         \
        }                                                                                          \
        if (i < n) {                                                                               \
            vf v = vf_load_n(x + i, n - i);                                                        \
            vf_store_n(y + i, (expression), n - i);                                                \
        }                                                                                          \
    }

UNARY(abs_f32, vf_abs(v))
UNARY(neg_f32, vf_xor(v, vf_set(-0.0f)))
UNARY(sqrt_f32, vf_sqrt(v))
UNARY(reciprocal_f32, vf_div(vf_set(1.0f), v))
UNARY(square_f32, vf_mul(v, v))
UNARY(floor_f32, vf_floor(v))
UNARY(ceil_f32, vf_ceil(v))
UNARY(round_f32, vf_round(v))
UNARY(linear_f32, vf_fma(v, a, b))
UNARY(clip_f32, vf_min(b, vf_max(a, v)))
UNARY(relu_f32, vf_max(vf_zero(), v))
UNARY(leaky_relu_f32, vf_pick(vf_lt(v, vf_zero()), vf_mul(v, a), v))
UNARY(exp_f32, math_exp(v))
UNARY(log_f32, math_log(v))
UNARY(elu_f32, math_elu(v, a))
UNARY(sigmoid_f32, math_sigmoid(v))
UNARY(tanh_f32, math_tanh(v))
UNARY(erf_f32, math_erf(v))
UNARY(softplus_f32, math_softplus(v))
UNARY(hard_sigmoid_f32, math_hard_sigmoid(v, a, b))
UNARY(hard_swish_f32, vf_mul(v, math_hard_sigmoid(v, a, b)))
UNARY(silu_f32, vf_mul(v, math_sigmoid(vf_mul(a, v))))
UNARY(gelu_erf_f32, math_gelu_erf(v))
UNARY(gelu_tanh_f32, math_gelu_tanh(v))
UNARY(mish_f32, vf_mul(v, math_tanh(math_softplus(v))))

/* One row of each of the three step patterns; both repeated is one element for all. */
#define BINARY(name, expression)                                                                   \
    SIMD vf name##_of(vf a, vf b) { return (expression); }                                         \
    SIMD void name##_row(size_t n, const float *p, bool p_one, const float *q, bool q_one,         \
                         float *y) {                                                               \
        vf a = vf_set(*p), b = vf_set(*q);                                                         \
        size_t i = 0;                                                                              \
        for (; i + VL <= n; i += VL) {                                                             \
            if (!p_one)                                                                            \
                a = vf_load(p + i);                                                                \
            if (!q_one)                                                                            \
                b = vf_load(q + i);                                                                \
            vf_store(y + i, name##_of(a, b));                                                      \
        }                                                                                          \
        if (i < n) {                                                                               \
            if (!p_one)                                                                            \
                a = vf_load_n(p + i, n - i);                                                       \
            if (!q_one)                                                                            \
                b = vf_load_n(q + i, n - i);                                                       \
            vf_store_n(y + i, name##_of(a, b), n - i);                                             \
        }                                                                                          \
    }                                                                                              \
    void ISA(name)(const struct binary_f32 *c) {                                                   \
        if (c->n == 0)                                                                             \
            return;                                                                                \
        for (size_t row = 0; row < c->rows; row++) {                                               \
            const float *p = c->a + (ptrdiff_t)row * c->a_row,                                     \
                        *q = c->b + (ptrdiff_t)row * c->b_row;                                     \
            float *y = c->y + (ptrdiff_t)row * c->y_row;                                           \
            if (c->a_one && c->b_one)                                                              \
                name##_row(c->n, p, true, q, true, y);                                             \
            else if (c->a_one)                                                                     \
                name##_row(c->n, p, true, q, false, y);                                            \
            else if (c->b_one)                                                                     \
                name##_row(c->n, p, false, q, true, y);                                            \
            else                                                                                   \
                name##_row(c->n, p, false, q, false, y);                                           \
        }                                                                                          \
    }

BINARY(add_f32, vf_add(a, b))
BINARY(sub_f32, vf_sub(a, b))
BINARY(mul_f32, vf_mul(a, b))
BINARY(div_f32, vf_div(a, b))
BINARY(min_f32, math_min(a, b))
BINARY(max_f32, math_max(a, b))
BINARY(prelu_f32, vf_pick(vf_lt(a, vf_zero()), vf_mul(a, b), a))
