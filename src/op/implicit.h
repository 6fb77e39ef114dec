/* SPDX-License-Identifier: Apache-2.0 */
/* Our own f32 convolution, channels last: a matrix product whose rows are gathered by pointer (no
 * im2col copy), and a depthwise form. It takes every window, grouping and size; oneDNN takes over
 * where it is faster. */
#pragma once

#include "kernel/dnnl.h"
#include "op/panel.h"
#include "op/window.h"

struct implicit {
    struct window w;
    size_t batch, groups, in, out; /* in, out: channels of one group */
    bool depthwise;                /* one channel in and out per group */
    bool pointwise;                /* output i is made of input i alone */
    size_t taps, k;       /* of the product: kernel columns that lie in a row are merged into k */
    bool pairs;           /* set after implicit_plan: elements are pairs of int16 (kernel.h) */
    struct window gather; /* w, with the merged dim's kernel set to 1 */
};
void implicit_plan(struct implicit *p, const struct window *w, size_t batch, size_t groups,
                   size_t in, size_t out);

double implicit_multiplications(const struct implicit *p);
/* The same convolution for oneDNN: geometry only, all else is zero. */
void implicit_describe(const struct implicit *p, struct dnnl_conv *d);

size_t implicit_packed(const struct implicit *p); /* floats */
void implicit_pack(const struct implicit *p, const float *weights,
                   float *packed); /* (out, in/groups, spatial) plain */
size_t implicit_scratch(const struct implicit *p, int threads); /* bytes */

/* Called on stretches of y (in elements) as they are finished; may be NULL. */
typedef void implicit_done_fn(void *ctx, size_t begin, size_t count);
struct implicit_run {
    const float *x, *packed, *bias; /* bias (groups * out) or NULL */
    const float *plus;              /* like y, or NULL: added. Not where depthwise */
    bool relu;                      /* taken last. Not where depthwise */
    const float *scale;             /* (groups * out), and... */
    const struct quads_finish
        *finish;     /* ...not NULL: x and packed are quads, y and plus bytes (kernel.h) */
    uint8_t padding; /* every byte of what lies outside the picture */
    float *y;
    void *scratch;
    int threads;
    struct panel_ahead ahead; /* memory that is wanted next */
    implicit_done_fn *done;
    void *ctx;
};
void implicit_run(const struct implicit *p, const struct implicit_run *r);
