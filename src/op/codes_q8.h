/* SPDX-License-Identifier: Apache-2.0 */
/* Products with weights of 4 or 8 bits (kernel.h's struct codes) and activations rounded to signed
 * bytes that share a scale per 32: the language engine's kernels (kernel/packed.h), for models that
 * allow it (MatMulNBits' accuracy_level 4). */
#pragma once

#include "op/operand.h"
#include "kernel/kernel.h"

struct codes_q8 {
    size_t n, k;
    packed_gemm_fn *product;
    const uint8_t *codes, *scales;
    size_t codes_strip, scales_strip; /* bytes of 16 columns */
};

/* Scales and zero points are such that the packed form holds them as well. */
bool codes_q8_fits(const struct codes *w);
/* w: constant, as input `scales` of the node, of any float type, is, whose f32 form w->scales is.
 * Packed numbers are shared by the session's plans and kept for its next start, scales by the
 * plans.
 */
MUST_USE enum code codes_q8_prepare(struct op_prepare *c, const struct codes *w, int scales,
                                    struct codes_q8 *q, struct err *e);
size_t codes_q8_scratch(const struct codes_q8 *q, size_t m); /* bytes */
/* y (m, n) = a (m, k) * w^T + bias; bias: (n) or NULL. */
void codes_q8_multiply(const struct codes_q8 *q, size_t m, const float *a, const float *bias,
                       float *y, void *scratch, int threads);
