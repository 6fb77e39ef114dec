/* SPDX-License-Identifier: Apache-2.0 */
/* Scalar twins of the reductions and of the normalisations over one row. Sums are kept in double:
 * the reference should be better than what it judges. */
#include "kernel/kernel.h"

#include <math.h>

#define SUM(name, expression)                                                                      \
    float name##_scalar(size_t n, const float *x) {                                                \
        double sum = 0;                                                                            \
        for (size_t i = 0; i < n; i++) {                                                           \
            double v = (double)x[i];                                                               \
            sum += (expression);                                                                   \
        }                                                                                          \
        return (float)sum;                                                                         \
    }

SUM(sum_f32, v)
SUM(sum_abs_f32, fabs(v))
SUM(sum_sq_f32, v *v)

float top_f32_scalar(size_t n, const float *x) {
    float top = x[0];
    for (size_t i = 1; i < n; i++)
        if (!(top >= x[i]) && !isnan(top)) /* NaN wins */
            top = x[i];
    return top;
}

float bottom_f32_scalar(size_t n, const float *x) {
    float bottom = x[0];
    for (size_t i = 1; i < n; i++)
        if (!(bottom <= x[i]) && !isnan(bottom))
            bottom = x[i];
    return bottom;
}

float spread_f32_scalar(size_t n, const float *x, float shift) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        double d = (double)x[i] - (double)shift;
        sum += d * d;
    }
    return (float)sum;
}

void softmax_f32_scalar(size_t n, const float *x, float *y) {
    float top = top_f32_scalar(n, x);
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)(y[i] = expf(x[i] - top));
    for (size_t i = 0; i < n; i++)
        y[i] = (float)((double)y[i] / sum);
}

void weigh_f32_scalar(const struct weigh_f32 *c) {
    for (size_t row = 0; row < c->rows; row++) {
        const float *x = c->x + row * c->row, *bias = c->bias ? c->bias + row * c->bias_row : NULL;
        float *y = c->y + row * c->row, top = -INFINITY;
        double sum = 0;
        for (size_t i = 0; i < c->n; i++) {
            y[i] = fmaf(x[i], c->scale, bias ? bias[i] : 0);
            top = y[i] > top ? y[i] : top;
        }
        if (isinf(top) && top < 0)
            top = 0;
        for (size_t i = 0; i < c->n; i++)
            sum += (double)(y[i] = expf(y[i] - top));
        c->sums[row] = (float)sum;
    }
}

void log_softmax_f32_scalar(size_t n, const float *x, float *y) {
    float top = top_f32_scalar(n, x);
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)expf(x[i] - top);
    float away = (float)log(sum);
    for (size_t i = 0; i < n; i++)
        y[i] = x[i] - top - away;
}

void norm_f32_scalar(const struct norm_f32 *c) {
    float mean = c->rms ? 0 : sum_f32_scalar(c->n, c->x) / (float)c->n;
    float variance = spread_f32_scalar(c->n, c->x, mean) / (float)c->n;
    float scale = 1.0f / sqrtf(variance + c->epsilon);
    for (size_t i = 0; i < c->n; i++) {
        float v = (c->x[i] - mean) * scale;
        v = c->gamma ? v * c->gamma[i] : v;
        c->y[i] = c->beta ? v + c->beta[i] : v;
    }
}

void scale_f32_scalar(size_t rows, size_t n, const float *x, const float *scale, const float *shift,
                      float *y) {
    for (size_t row = 0; row < rows; row++)
        for (size_t i = 0; i < n; i++)
            y[row * n + i] = x[row * n + i] * scale[i] + shift[i];
}

/* --- several rows to one --- */

void columns_f32_scalar(size_t rows, size_t n, const float *x, size_t stride, float *y) {
    for (size_t i = 0; i < n; i++) {
        double sum = 0;
        for (size_t row = 0; row < rows; row++)
            sum += (double)x[row * stride + i];
        y[i] = (float)sum;
    }
}

void blend_f32_scalar(size_t n_taps, const float *const *x, const float *weight, size_t n,
                      float *y) {
    for (size_t i = 0; i < n; i++) {
        float sum = 0;
        for (size_t tap = 0; tap < n_taps; tap++)
            sum += weight[tap] * x[tap][i];
        y[i] = sum;
    }
}

void tops_f32_scalar(size_t n_taps, const float *const *x, size_t n, float *y) {
    for (size_t i = 0; i < n; i++) {
        float top = x[0][i];
        for (size_t tap = 1; tap < n_taps; tap++)
            if (!(top >= x[tap][i]) && !isnan(top))
                top = x[tap][i];
        y[i] = top;
    }
}

static float widened(uint16_t v) {
    float f;
    widen_bf16_scalar(1, &v, &f);
    return f;
}

void sums_bf16_scalar(size_t n_taps, const uint16_t *const *x, size_t n, float *y) {
    for (size_t i = 0; i < n; i++)
        for (size_t tap = 0; tap < n_taps; tap++)
            y[i] += widened(x[tap][i]);
}

void tops_bf16_scalar(size_t n_taps, const uint16_t *const *x, size_t n, uint16_t *y) {
    for (size_t i = 0; i < n; i++) {
        uint16_t top = x[0][i];
        for (size_t tap = 1; tap < n_taps; tap++)
            if (!(widened(top) >= widened(x[tap][i])) && !isnan(widened(top)))
                top = x[tap][i];
        y[i] = top;
    }
}

#define TOPS(name, type)                                                                           \
    void name##_scalar(size_t n_taps, const type *const *x, size_t n, type *y) {                   \
        for (size_t i = 0; i < n; i++)                                                             \
            y[i] = x[0][i];                                                                        \
        for (size_t tap = 1; tap < n_taps; tap++)                                                  \
            for (size_t i = 0; i < n; i++)                                                         \
                y[i] = x[tap][i] > y[i] ? x[tap][i] : y[i];                                        \
    }
TOPS(tops_u8, uint8_t)
TOPS(tops_i8, int8_t)
