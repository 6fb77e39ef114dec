/* SPDX-License-Identifier: Apache-2.0 */
/* Scalar twins of 8-bit quantisation: saturate(round_half_even(x / scale) + zero). NaN becomes the
 * zero point. */
#include "kernel/kernel.h"

#include <math.h>

static int32_t nearest(float v, int32_t zero, int32_t low, int32_t high) {
    float r = rintf(v) + (float)zero;
    return r >= (float)high ? high : r >= (float)low ? (int32_t)r : isnan(r) ? zero : low;
}

#define QUANTIZE(name, type, low, high)                                                            \
    void name##_scalar(size_t n, const float *x, float scale, int32_t zero, type *y) {             \
        for (size_t i = 0; i < n; i++)                                                             \
            y[i] = (type)nearest(x[i] / scale, zero, low, high);                                   \
    }
QUANTIZE(quantize_u8, uint8_t, 0, 255)
QUANTIZE(quantize_i8, int8_t, -128, 127)

#define DEQUANTIZE(name, type)                                                                     \
    void name##_scalar(size_t n, const type *x, float scale, int32_t zero, float *y) {             \
        for (size_t i = 0; i < n; i++)                                                             \
            y[i] = (float)(x[i] - zero) * scale;                                                   \
    }
DEQUANTIZE(dequantize_u8, uint8_t)
DEQUANTIZE(dequantize_i8, int8_t)

#define QADD(name, type, high)                                                                     \
    void name##_scalar(const struct qadd *c) {                                                     \
        const type *a = c->a, *b = c->b;                                                           \
        type *y = c->y;                                                                            \
        for (size_t i = 0; i < c->n; i++) {                                                        \
            float v = fmaf((float)b[c->b_one ? 0 : i], c->b_scale, c->offset);                     \
            y[i] = (type)nearest(fmaf((float)a[i], c->a_scale, v), c->y_zero, c->low, high);       \
        }                                                                                          \
    }
QADD(qadd_u8, uint8_t, 255)
QADD(qadd_i8, int8_t, 127)

void requant_scalar(const struct requant *c) {
    uint8_t *y = c->y;
    for (size_t i = 0; i < c->n; i++)
        y[i] = (uint8_t)nearest(
            (float)(int32_t)((uint32_t)c->sums[i] + (c->bias ? (uint32_t)c->bias[i] : 0)) *
                c->scale[c->one ? 0 : i],
            c->zero, c->low, c->high);
}
