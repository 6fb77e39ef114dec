/* SPDX-License-Identifier: Apache-2.0 */
/* Scalar twins of what Winograd's F(2x2, 3x3) of bf16 needs: the transforms of Lavin and Gray 2015,
 * section 4.1, with points 0, 1, -1 and infinity, and the matrix tile between them. */
#include "kernel/kernel.h"

#include <string.h>

enum { IN = WINOGRAD2_IN, OUT = WINOGRAD2_OUT };

static float widened(uint16_t v) {
    float f;
    widen_bf16_scalar(1, &v, &f);
    return f;
}

/* t = B' d */
static void rows_in(const float d[IN], float t[IN]) {
    t[0] = d[0] - d[2];
    t[1] = d[1] + d[2];
    t[2] = d[2] - d[1];
    t[3] = d[1] - d[3];
}

/* t = A' m */
static void rows_out(const float m[IN], float t[OUT]) {
    t[0] = m[0] + m[1] + m[2];
    t[1] = m[1] - m[2] - m[3];
}

void winograd_in_bf16_scalar(const struct winograd_in_bf16 *c) {
    for (size_t i = 0; i < c->n; i++) {
        float half[IN][IN], line[IN], t[IN];
        for (size_t col = 0; col < IN; col++) {
            for (size_t row = 0; row < IN; row++)
                line[row] = widened(c->x[row * IN + col][i]);
            rows_in(line, half[col]);
        }
        for (size_t row = 0; row < IN; row++) {
            for (size_t col = 0; col < IN; col++)
                line[col] = half[col][row];
            rows_in(line, t);
            for (size_t col = 0; col < IN; col++)
                narrow_bf16_scalar(1, &t[col], c->v + (row * IN + col) * c->v_step + i);
        }
    }
}

static void put(const struct winograd_out_bf16 *c, size_t pixel, size_t i, float v) {
    float y = v + (c->bias ? c->bias[i] : 0);
    if (c->relu && !(y > 0) && y == y)
        y = 0;
    if (c->y[pixel] && c->wide)
        ((float *)c->y[pixel])[i] = y;
    else if (c->y[pixel])
        narrow_bf16_scalar(1, &y, (uint16_t *)c->y[pixel] + i);
}

void winograd_out_bf16_scalar(const struct winograd_out_bf16 *c) {
    for (size_t i = 0; i < c->n; i++) {
        float half[IN][OUT], line[IN], t[OUT];
        for (size_t col = 0; col < IN; col++) {
            for (size_t row = 0; row < IN; row++)
                line[row] = c->m[(row * IN + col) * c->m_step + i];
            rows_out(line, half[col]);
        }
        for (size_t row = 0; row < OUT; row++) {
            for (size_t col = 0; col < IN; col++)
                line[col] = half[col][row];
            rows_out(line, t);
            for (size_t col = 0; col < OUT; col++)
                put(c, row * OUT + col, i, t[col]);
        }
    }
}

/* The sum of the two products of a pair. */
static float dot(const float *a, const float *b) {
    uint16_t pair_a[2], pair_b[2];
    memcpy(pair_a, a, sizeof pair_a);
    memcpy(pair_b, b, sizeof pair_b);
    return widened(pair_a[0]) * widened(pair_b[0]) + widened(pair_a[1]) * widened(pair_b[1]);
}

void gemm_bf16_scalar(const struct gemm_f32 *g) {
    for (size_t row = 0; row < g->m; row++)
        for (size_t col = 0; col < g->n; col++) {
            float *c = &g->c[row * g->ldc + col], sum = g->add ? *c : g->bias ? g->bias[col] : 0;
            for (size_t tap = 0; tap < g->taps; tap++)
                for (size_t k = 0; k < g->k; k++)
                    sum += dot(&g->a[tap * g->m + row][k],
                               &g->b[(tap * g->k + k) * GEMM_BF16_NR + col]);
            *c = sum;
        }
}
