/* SPDX-License-Identifier: Apache-2.0 */
/* One f32 matrix product C (m, n) = A (m, k) * B (k, n), operands row-major with a row stride, each
 * possibly stored transposed; and batches of them. What matmul, gemm, einsum and attention come
 * down to. B is packed in scratch by each run unless it comes packed. */
#pragma once

#include "op/panel.h"

struct product {
    size_t m, n, k;
    size_t a_row, b_row, c_row;      /* strides in elements of the stored rows */
    bool a_transposed, b_transposed; /* stored (k, m); (n, k) */
    const float *panels;             /* B, packed; NULL: each run packs its own */
    const float *bias;               /* (n) or NULL */
    const float *plus;               /* with panels: like C, or NULL: added */
    panel_done_fn *done;             /* with panels: or NULL */
    const void *context;
    bool pairs; /* elements are pairs of int16, results int32 (kernel.h) */
};
size_t product_scratch(const struct product *p); /* bytes for one run */
void product_run(const struct product *p, const float *a, const float *b, float *c, void *scratch,
                 int threads);

/* `batch` products at the given element offsets. Scratch: product_batch_scratch bytes. */
struct product_batch {
    struct product product;
    size_t batch;
    const size_t *a_at, *b_at, *c_at; /* (batch) */
    const float *a, *b;
    float *c;
};
size_t product_batch_scratch(const struct product *p, size_t batch, int threads);
void product_batch_run(const struct product_batch *b, void *scratch, int threads);

size_t product_pack_floats(const struct product *p);
void product_pack(const struct product *p, const float *b, float *panels);
