/* SPDX-License-Identifier: Apache-2.0 */
/* Our own f32 transposed convolution, channels last, without the product that is added up later
 * (col2im): outputs whose positions are equal modulo the stride see the same taps of the kernel, so
 * each such phase is a plain convolution of stride 1 with those taps, a matrix product with
 * gathered rows. The phases are disjoint: each output is written once, by one thread. */
#pragma once

#include "op/panel.h"
#include "op/window.h"

struct transposed {
    struct window w; /* WINDOW_DIMS dims; in and out are those of the transposed convolution */
    size_t batch, groups, in, out; /* in, out: channels of one group */
    size_t merged;        /* kernel elements whose outputs do not overlap: made as part of out */
    size_t lines;         /* of y that they lie in, merged / lines of them side by side in each */
    size_t rows, columns; /* of the kernel as the weights have it */
    bool depthwise;       /* one channel in and out per group */
    bool gaps;            /* outputs that no tap reaches: only bias */
    size_t taps;          /* of the largest phase */
};
/* w: as window_cube leaves it, with in, out and before; `after` is not looked at. */
void transposed_plan(struct transposed *p, const struct window *w, size_t batch, size_t groups,
                     size_t in, size_t out);

uint64_t transposed_packing(const struct transposed *p); /* names the packed form */
size_t transposed_packed(const struct transposed *p);    /* floats */
void transposed_pack(const struct transposed *p, const float *weights,
                     float *packed); /* (groups * in, out, spatial) plain */
size_t transposed_scratch(const struct transposed *p, int threads); /* bytes */

struct transposed_run {
    const float *x, *packed, *bias; /* bias (groups * out as the weights have it) or NULL */
    float *y;
    void *scratch;
    int threads;
};
void transposed_run(const struct transposed *p, const struct transposed_run *r);
