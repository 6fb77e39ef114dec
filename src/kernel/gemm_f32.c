/* SPDX-License-Identifier: Apache-2.0 */
/* Scalar twins of the matrix tile and the depthwise convolution: the definition of what the packed
 * layouts mean. */
#include "kernel/kernel.h"

#include <string.h>

enum { TILE_M = 4, TILE_N = 8 };

void gemm_tile_f32_scalar(struct gemm_tile *out) { *out = (struct gemm_tile){TILE_M, TILE_N}; }

void gemm_f32_scalar(const struct gemm_f32 *g) {
    for (size_t row = 0; row < g->m; row++)
        for (size_t col = 0; col < g->n; col++) {
            float *c = &g->c[row * g->ldc + col], sum = g->add ? *c : g->bias ? g->bias[col] : 0;
            for (size_t tap = 0; tap < g->taps; tap++)
                for (size_t k = 0; k < g->k; k++)
                    sum += g->a[tap * g->m + row][k] * g->b[(tap * g->k + k) * TILE_N + col];
            if (g->plus)
                sum += g->plus[row * g->plus_row + col];
            *c = g->relu && sum < 0 ? 0 : sum;
        }
}

static int32_t pair(const float *p, int half) { /* one of the two int16 in the place of a float */
    int16_t v[2];
    memcpy(v, p, sizeof v);
    return v[half];
}

void gemm_pairs_scalar(const struct gemm_f32 *g) {
    for (size_t row = 0; row < g->m; row++)
        for (size_t col = 0; col < g->n; col++) {
            int32_t *c = (int32_t *)g->c + row * g->ldc + col;
            uint32_t sum = (uint32_t)(g->add ? *c : g->bias ? ((const int32_t *)g->bias)[col] : 0);
            for (size_t tap = 0; tap < g->taps; tap++)
                for (size_t k = 0; k < g->k; k++) {
                    const float *a = &g->a[tap * g->m + row][k],
                                *b = &g->b[(tap * g->k + k) * TILE_N + col];
                    sum +=
                        (uint32_t)(pair(a, 0) * pair(b, 0)) + (uint32_t)(pair(a, 1) * pair(b, 1));
                }
            *c = (int32_t)sum;
        }
}

static int32_t quad(const float *a, const float *b) { /* of four unsigned bytes with signed ones */
    uint8_t u[4];
    int8_t v[4];
    memcpy(u, a, sizeof u);
    memcpy(v, b, sizeof v);
    return u[0] * v[0] + u[1] * v[1] + u[2] * v[2] + u[3] * v[3];
}

void gemm_quads_scalar(const struct gemm_f32 *g) {
    const struct quads_finish *f = g->finish;
    const int32_t low = f->is_signed ? -128 : 0;
    for (size_t row = 0; row < g->m; row++)
        for (size_t col = 0; col < g->n; col++) {
            const float *panel = g->b + col / TILE_N * g->taps * g->k * TILE_N;
            int32_t sum = g->bias ? ((const int32_t *)g->bias)[col] : 0;
            for (size_t tap = 0; tap < g->taps; tap++)
                for (size_t k = 0; k < g->k; k++)
                    sum =
                        (int32_t)((uint32_t)sum +
                                  (uint32_t)quad(&g->a[tap * g->m + row][k],
                                                 &panel[(tap * g->k + k) * TILE_N + col % TILE_N]));
            uint8_t *y = (uint8_t *)g->c + row * g->ldc + col;
            requant_scalar(&(struct requant){.n = 1,
                                             .sums = &sum,
                                             .scale = g->scale + col,
                                             .zero = f->zero,
                                             .low = low,
                                             .high = low + 255,
                                             .y = y});
            if (g->plus)
                (f->is_signed ? qadd_i8_scalar : qadd_u8_scalar)(
                    &(struct qadd){.n = 1,
                                   .a = y,
                                   .b = (const uint8_t *)g->plus + row * g->plus_row + col,
                                   .y = y,
                                   .a_scale = f->y_scale,
                                   .b_scale = f->plus_scale,
                                   .offset = f->offset,
                                   .y_zero = f->plus_zero,
                                   .low = low});
        }
}

void depthwise_f32_scalar(const struct depthwise_f32 *c) {
    for (size_t pixel = 0; pixel < c->pixels; pixel++)
        for (size_t i = 0; i < c->n; i++) {
            float sum = c->bias ? c->bias[i] : 0;
            for (size_t tap = 0; tap < c->taps; tap++)
                sum += c->x[tap * c->pixels + pixel][i] * c->w[tap * c->n + i];
            c->y[pixel * c->y_row + i] = sum;
        }
}
