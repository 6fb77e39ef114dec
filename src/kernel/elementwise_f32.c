/* SPDX-License-Identifier: Apache-2.0 */
/* Scalar twins of the one-input functions: the mathematics, one line each. NaN in gives NaN out
 * (clip and relu keep it). */
#include "kernel/kernel.h"

#include <math.h>

#define UNARY(name, expression)                                                                    \
    void name##_scalar(size_t n, const float *x, float *y, float alpha, float beta) {              \
        (void)alpha, (void)beta;                                                                   \
        for (size_t i = 0; i < n; i++) {                                                           \
            float v = x[i];                                                                        \
            y[i] = (expression);                                                                   \
        }                                                                                          \
    }

UNARY(abs_f32, fabsf(v))
UNARY(neg_f32, -v)
UNARY(sqrt_f32, sqrtf(v))
UNARY(reciprocal_f32, 1.0f / v)
UNARY(square_f32, v *v)
UNARY(floor_f32, floorf(v))
UNARY(ceil_f32, ceilf(v))
UNARY(round_f32, rintf(v))
UNARY(linear_f32, alpha *v + beta)
UNARY(clip_f32, (v < alpha ? alpha : v) > beta ? beta : v < alpha ? alpha : v)
UNARY(relu_f32, v < 0 ? 0 : v)
UNARY(leaky_relu_f32, v < 0 ? alpha * v : v)
UNARY(exp_f32, expf(v))
UNARY(log_f32, logf(v))

/* --- activations --- */

static float sigmoid(float v) { return 1.0f / (1.0f + expf(-v)); }
static float hard_sigmoid(float v, float alpha, float beta) {
    float s = alpha * v + beta;
    return s < 0 ? 0 : s > 1 ? 1 : s;
}
static float softplus(float v) {
    return (v > 0 ? v : 0) + log1pf(expf(-fabsf(v))) + (isnan(v) ? v : 0);
}
static float gelu_erf(float v) {
    return isinf(v) && v < 0 ? 0 : 0.5f * v * (1.0f + erff(v * (float)M_SQRT1_2));
}
static float gelu_tanh(float v) {
    return 0.5f * v * (1.0f + tanhf(0.7978845608f * (v + 0.044715f * v * v * v)));
}

UNARY(elu_f32, v < 0 ? alpha * expm1f(v) : v)
UNARY(sigmoid_f32, sigmoid(v))
UNARY(tanh_f32, tanhf(v))
UNARY(erf_f32, erff(v))
UNARY(softplus_f32, softplus(v))
UNARY(hard_sigmoid_f32, hard_sigmoid(v, alpha, beta))
UNARY(hard_swish_f32, v *hard_sigmoid(v, alpha, beta))
UNARY(silu_f32, v *sigmoid(alpha *v))
UNARY(gelu_erf_f32, gelu_erf(v))
UNARY(gelu_tanh_f32, gelu_tanh(v))
UNARY(mish_f32, v *tanhf(softplus(v)))

/* --- two inputs --- */

#define BINARY(name, expression)                                                                   \
    void name##_scalar(const struct binary_f32 *c) {                                               \
        for (size_t row = 0; row < c->rows; row++) {                                               \
            const float *a = c->a + (ptrdiff_t)row * c->a_row,                                     \
                        *b = c->b + (ptrdiff_t)row * c->b_row;                                     \
            float *y = c->y + (ptrdiff_t)row * c->y_row;                                           \
            for (size_t i = 0; i < c->n; i++) {                                                    \
                float u = a[c->a_one ? 0 : i], v = b[c->b_one ? 0 : i];                            \
                y[i] = (expression);                                                               \
            }                                                                                      \
        }                                                                                          \
    }

BINARY(add_f32, u + v)
BINARY(sub_f32, u - v)
BINARY(mul_f32, u *v)
BINARY(div_f32, u / v)
BINARY(min_f32, isnan(u) || u < v ? u : v)
BINARY(max_f32, isnan(u) || u > v ? u : v)
BINARY(prelu_f32, u < 0 ? u * v : u)
