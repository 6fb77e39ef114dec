/* SPDX-License-Identifier: Apache-2.0 */
/* Convolutions by Winograd's transforms, channels last: dense 3 x 3 windows.
 *   f32:  F(4x4, 3x3), a quarter of the multiplications, for some 1e-6 of the largest sum in
 * accuracy (docs/measurements) and four times the packed weights. Small pictures, whose few tiles
 * do not pay for that, by F(2x2, 3x3): four ninths, less than twice the weights, and as accurate as
 * the direct form. Stride 2 (kernel.h): 25 products in the place of 36.
 *   bf16: F(2x2, 3x3), four ninths of the multiplications; patches and transformed weights are
 * rounded to bf16, sums are f32.
 *   bytes: F(4x4, 3x3) in int16, exact: half of the direct form's instructions, eight times its
 * weights. */
#pragma once

#include "kernel/kernel.h"
#include "op/implicit.h"

enum winograd_kind {
    WINOGRAD_F32,
    WINOGRAD_F32_2X2,
    WINOGRAD_F32_STRIDED,
    WINOGRAD_BF16,
    WINOGRAD_Q8
};
struct winograd {
    struct window w;
    size_t batch, in, out;
    enum winograd_kind kind;
    size_t side;          /* of a tile of outputs: 4 or 2 */
    size_t across, tiles; /* tiles: in a row of a picture; in all pictures */
    size_t block;         /* tiles whose patches are held at a time */
    bool alone;           /* one thread */
    bool share; /* few tiles: the team holds one block together and divides output channels */
};

/* false: this window is not one of those, or has channels that no kernel takes. */
bool winograd_plan(struct winograd *p, const struct implicit *of, enum winograd_kind kind,
                   int threads);
/* Is it faster than the usual way? */
bool winograd_pays(const struct winograd *p);

size_t winograd_packed(const struct winograd *p);                  /* bytes */
void winograd_pack(const struct winograd *p, const float *weights, /* (out, in, 3, 3) */
                   void *packed);
/* Of bytes: no sum of products with unsigned bytes can leave the 26 bits that stay exact. */
bool winograd_is_exact(const struct winograd *p, const int8_t *weights);
void winograd_pack_q8(const struct winograd *p, const int8_t *weights, void *packed);
size_t winograd_scratch(const struct winograd *p, int threads); /* bytes */

/* Called on stretches of y (in elements) as they are finished; may be NULL. */
typedef void winograd_done_fn(void *ctx, size_t begin, size_t count);
struct winograd_q8 {
    const int32_t *bias; /* (out): what the input's zero point adds is taken off in it */
    const float *scale;  /* (out) */
    uint8_t padding;     /* the input's zero point, as a byte of x */
    bool x_signed, y_signed;
    int32_t y_zero;
};
struct winograd_run {
    const void *x; /* f32, bf16 or bytes */
    const void *packed;
    const float *bias;            /* (out) or NULL; not of bytes */
    const struct winograd_q8 *q8; /* of bytes alone: what becomes of sums; no relu and no done */
    void *y;
    bool wide; /* bf16: y is f32 */
    void *scratch;
    int threads;
    bool relu;
    winograd_done_fn *done;
    void *ctx;
};
void winograd_run(const struct winograd *p, const struct winograd_run *r);
