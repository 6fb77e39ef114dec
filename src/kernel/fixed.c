/* SPDX-License-Identifier: Apache-2.0 */
/* Scalar twins of the products of block floating point, and the packing of weights: see fixed.h. */
#include "kernel/fixed.h"

#include "kernel/kernel.h"

#include <math.h>
#include <string.h>

/* --- weights --- */

/* The smallest power of two that keeps a block's largest number and length within their bounds;
 * infinity or NaN where there is one in the block. */
static float step_of(size_t n, const float *w) {
    double top = 0, square = 0;
    for (size_t i = 0; i < n; i++) {
        double v = fabs((double)w[i]);
        top = v > top ? v : top;
        square += v * v;
    }
    double length = sqrt(square) / FIXED_LENGTH, least = top / FIXED_MOST;
    if (!(length < (double)INFINITY))
        return NAN;
    int exponent;
    double half = frexp(length < least ? least : length, &exponent);
    exponent -= half == 0.5; /* a power of two itself */
    return ldexpf(1, exponent < -126 ? -126 : exponent);
}

static void pack_block(size_t n, const float *w, size_t o, int16_t *q, uint16_t *scale) {
    float step = step_of(n, w);
    narrow_bf16_scalar(1, &step, scale + o);
    if (!(step < INFINITY))
        return;
    for (size_t i = 0; i < n; i++)
        q[(i / 2 * STRIP + o) * 2 + i % 2] = (int16_t)rintf(w[i] / step);
}

void fixed_pack(size_t k, size_t from, size_t n, const float *w, size_t o, void *strip) {
    int16_t *q = (int16_t *)strip + from * STRIP;
    uint16_t *scales = (uint16_t *)strip + (fixed_groups(k) * GROUP + from / GROUP) * STRIP;
    for (size_t i = 0; i < n; i += GROUP, q += GROUP * STRIP, scales += STRIP)
        pack_block(n - i < GROUP ? n - i : GROUP, w + i, o, q, scales);
}

/* --- activations --- */

/* The sum of the squares of x * unit, of 16 lanes that are folded in halves. */
static float squares_of(const float *x, float unit) {
    float lane[GROUP / 2];
    for (int i = 0; i < GROUP / 2; i++) {
        float a = x[i] * unit, b = x[i + GROUP / 2] * unit;
        lane[i] = fmaf(b, b, a * a);
    }
    for (int n = GROUP / 4; n > 0; n /= 2)
        for (int i = 0; i < n; i++)
            lane[i] += lane[i + n];
    return lane[0];
}

static void fix_block(const float *x, int16_t *q, float *d) {
    float top = 0;
    for (int i = 0; i < GROUP; i++)
        top = fabsf(x[i]) > top ? fabsf(x[i]) : top; /* NaN is passed over */
    *d = fixed_scale(top, squares_of(x, fixed_unit(top)));
    float inverse = fixed_inverse(*d);
    for (int i = 0; i < GROUP; i++)
        q[i] = inverse > 0 ? (int16_t)rintf(x[i] * inverse) : 0;
}

void fixed_blocks_scalar(size_t k, const float *x, int16_t *q, float *d) {
    for (size_t i = 0; i < k; i += GROUP, q += GROUP, d++) {
        float block[GROUP] = {0};
        memcpy(block, x + i, (k - i < GROUP ? k - i : GROUP) * sizeof *x);
        fix_block(block, q, d);
    }
}

/* --- products --- */

static int32_t dot(const int16_t *w, const int16_t *a) {
    int32_t sum = 0;
    for (int i = 0; i < GROUP; i++)
        sum += w[i / 2 * 2 * STRIP + i % 2] * a[i];
    return sum;
}

void fixed_gemm_scalar(const struct fixed_gemm *g) {
    size_t groups = fixed_groups(g->k);
    for (size_t n = 0; n < g->n; n++) {
        const int16_t *w = (const int16_t *)g->w + n / STRIP * groups * STRIP * (GROUP + 1);
        const uint16_t *scales = (const uint16_t *)(w + groups * GROUP * STRIP) + n % STRIP;
        for (size_t row = 0; row < g->m; row++) {
            float sum = 0, *y = g->y + row * g->y_row + n;
            for (size_t i = 0; i < groups; i++) {
                const int16_t *a = g->a + (row * groups + i) * GROUP;
                float scale;
                widen_bf16_scalar(1, scales + i * STRIP, &scale);
                float exact = (float)dot(w + (i * GROUP * STRIP) + n % STRIP * 2, a) * scale;
                sum = fmaf(exact, g->d[row * groups + i], sum);
            }
            *y = g->add ? *y + sum : sum;
        }
    }
}
