/* SPDX-License-Identifier: Apache-2.0 */
/* Scalar twins of the 16-bit float conversions, by bits: IEEE 754 binary16 and bfloat16, to nearest
 * even, NaN stays NaN. */
#include "kernel/kernel.h"

#include <string.h>

static uint32_t bits_of(float v) {
    uint32_t u;
    memcpy(&u, &v, sizeof u);
    return u;
}
static float float_of(uint32_t u) {
    float v;
    memcpy(&v, &u, sizeof v);
    return v;
}

static float from_f16(uint16_t h) {
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 31, fraction = h & 1023;
    if (exponent == 31) /* a NaN becomes quiet */
        return float_of(sign | 0x7f800000 | fraction << 13 | (fraction ? 0x400000 : 0));
    if (exponent == 0) { /* zero or denormal: fraction * 2^-24 */
        float v = (float)fraction * 0x1p-24f;
        return sign ? -v : v;
    }
    return float_of(sign | (exponent + 112) << 23 | fraction << 13);
}

static uint16_t to_f16(float v) {
    uint32_t u = bits_of(v), sign = u >> 16 & 0x8000, a = u & 0x7fffffff;
    if (a > 0x7f800000)
        return (uint16_t)(sign | 0x7e00 | (a >> 13 & 0x1ff));
    if (a >= 0x47800000) /* 65536 and above */
        return (uint16_t)(sign | 0x7c00);
    if (a < 0x38800000) { /* below 2^-14: let the adder round at 2^-24 */
        uint32_t r = bits_of(float_of(a) + 0.5f) - 0x3f000000;
        return (uint16_t)(sign | r);
    }
    uint32_t r = a + 0xfff + (a >> 13 & 1);
    return (uint16_t)(sign | (r - 0x38000000) >> 13);
}

void widen_f16_scalar(size_t n, const uint16_t *x, float *y) {
    for (size_t i = 0; i < n; i++)
        y[i] = from_f16(x[i]);
}

void narrow_f16_scalar(size_t n, const float *x, uint16_t *y) {
    for (size_t i = 0; i < n; i++)
        y[i] = to_f16(x[i]);
}

void widen_bf16_scalar(size_t n, const uint16_t *x, float *y) {
    for (size_t i = 0; i < n; i++)
        y[i] = float_of((uint32_t)x[i] << 16);
}

void narrow_bf16_scalar(size_t n, const float *x, uint16_t *y) {
    for (size_t i = 0; i < n; i++) {
        uint32_t u = bits_of(x[i]);
        y[i] = (u & 0x7fffffff) > 0x7f800000 ? (uint16_t)(u >> 16 | 0x40)
                                             : (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
    }
}
