/* SPDX-License-Identifier: Apache-2.0 */
/* f32 convolution by Winograd's F(4x4, 3x3), channels last: dense 3 x 3 windows with stride 1. A
 * quarter of the multiplications, for some 1e-6 of the largest sum in accuracy (docs/measurements)
 * and four times the packed weights. */
#pragma once

#include "kernel/kernel.h"
#include "op/window.h"

struct winograd {
    struct window w;
    size_t batch, in, out;
    size_t across, tiles; /* tiles of 4 x 4 outputs: in a row of a picture; in all pictures */
    size_t block;         /* tiles whose patches are held at a time */
    bool share; /* few tiles: the team holds one block together and divides output channels */
};

/* false: this window is not one of those. */
bool winograd_plan(struct winograd *p, const struct window *w, size_t batch, size_t groups,
                   size_t in, size_t out, int threads);
/* Is it faster than the usual way? */
bool winograd_pays(const struct winograd *p);

size_t winograd_packed(const struct winograd *p);                  /* floats */
void winograd_pack(const struct winograd *p, const float *weights, /* (out, in, 3, 3) */
                   float *packed);
size_t winograd_scratch(const struct winograd *p, int threads); /* bytes */

/* Called on stretches of y (in elements) as they are finished; may be NULL. */
typedef void winograd_done_fn(void *ctx, size_t begin, size_t count);
struct winograd_run {
    const float *x, *packed, *bias; /* bias (out) or NULL */
    float *y;
    void *scratch;
    int threads;
    bool relu;
    winograd_done_fn *done;
    void *ctx;
};
void winograd_run(const struct winograd *p, const struct winograd_run *r);
