/* SPDX-License-Identifier: Apache-2.0 */
/* Block floating point: what weights of 16 bits and their activations are multiplied as. 32 numbers
 * of a row become 16-bit integers under one scale, a product is the exact sum of 32 products of
 * integers times two scales. Decision 0015 says why and how exact that is.
 *
 * Nothing overflows: a scale is so chosen that the integers q of a block have |q| <= FIXED_MOST and
 * a length (the root of their squares' sum) below the root of 2^31, and no sum of products of two
 * such blocks, whole or partial, exceeds the product of their lengths. Rounding moves a length by
 * less than sqrt(32) / 2 < 3, hence FIXED_LENGTH.
 *
 * Packed weights. A matrix (n, k) is cut into strips of 16 outputs, its inputs into groups of 32. A
 * strip is ceil(k / 32) groups of integers, then as many groups of scales; a group of integers is
 * 16 vectors of 64 bytes: vector j has inputs 2j and 2j + 1 of output 0, then of output 1, ...; a
 * group of scales is 16 numbers of bf16, powers of two. Inputs beyond k and outputs beyond n are
 * zeros. A block of weights that holds an infinity or NaN is zeros whose scale is NaN.
 *
 * Every row of a product is computed by the same operations in the same order, however many rows
 * there are, and all rows of a slot give the same bits. */
#pragma once

#include "kernel/packed.h"

#include <math.h>

enum { FIXED_MOST = 32767, FIXED_LENGTH = 46337 };

static inline size_t fixed_groups(size_t k) { return (k + GROUP - 1) / GROUP; }
static inline size_t fixed_strip_bytes(size_t k) {
    return fixed_groups(k) * STRIP * (GROUP + 1) * sizeof(uint16_t);
}

/* Weights [from, from + n) of row o of a strip of zeros; from: whole groups. */
void fixed_pack(size_t k, size_t from, size_t n, const float *w, size_t o, void *strip);

/* k activations to fixed_groups(k) blocks of integers and a scale each; x[i] ~ d * q[i]. The scale
 * of a block that holds an infinity or NaN is NaN. */
typedef void fixed_blocks_fn(size_t k, const float *x, int16_t *q, float *d);
/* Its steps: what a block is multiplied with before it is squared, so that no square overflows;
 * its scale, by its largest number and the sum of those squares; the inverse, 0 where the block
 * becomes zeros. */
static inline float fixed_unit(float top) {
    float unit = 1 / top;
    return unit < INFINITY ? unit : 0;
}
static inline float fixed_scale(float top, float squares) {
    const float least = 1.0f / FIXED_MOST, by_length = sqrtf(squares) * (1.0f / FIXED_LENGTH);
    return top * (by_length < least ? least : by_length); /* NaN stays */
}
static inline float fixed_inverse(float d) {
    float inverse = 1 / d;
    return inverse < INFINITY ? inverse : 0;
}

/* y (m, n) = a (m, k) * w (n, k)^T, for n outputs from the first of a strip. */
struct fixed_gemm {
    size_t m, n, k;
    const void *w;    /* strips of fixed_strip_bytes(k) */
    const int16_t *a; /* (m, fixed_groups(k), 32) */
    const float *d;   /* (m, fixed_groups(k)) */
    float *y;
    size_t y_row;
    bool add; /* y += */
};
typedef void fixed_gemm_fn(const struct fixed_gemm *g);
