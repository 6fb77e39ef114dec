/* SPDX-License-Identifier: Apache-2.0 */
/* The sliding window of convolutions and pools: kernel_shape, strides, dilations, pads, auto_pad
 * and ceil_mode of a node turned into numbers, checked, with the output sizes. One to three spatial
 * dims.
 *
 * After window_of every number is in [0, 2^31), stride and dilation and kernel are at least 1, so
 * products of a few fit. */
#pragma once

#include "op/operand.h"

enum { WINDOW_DIMS = 3 };

struct window {
    int n; /* spatial dims */
    int64_t in[WINDOW_DIMS], out[WINDOW_DIMS];
    int64_t kernel[WINDOW_DIMS], stride[WINDOW_DIMS], dilation[WINDOW_DIMS];
    int64_t before[WINDOW_DIMS], after[WINDOW_DIMS];
};

/* x: (N, C, spatial...). kernel: spatial dims of the weights, or NULL: from kernel_shape, which
 * must then be there. */
MUST_USE enum code window_of(const struct operand_at *at, const struct shape *x,
                             const int64_t *kernel, struct window *w, struct err *e);
/* The same for a convolution of weights w (out, in/group, kernel...), whose groups and channels
 * must fit x's. */
MUST_USE enum code window_of_conv(const struct operand_at *at, const struct shape *x,
                                  const struct shape *w, struct window *window, struct err *e);
/* Output 0 of a convolution whose inputs are x, w and maybe a bias (out), shapes as far as they are
 * known. */
MUST_USE enum code window_infer_conv(struct op_infer *c, enum dtype to, struct err *e);
/* Reads the attributes alone: kernel, stride, dilation, before, after (auto_pad aside), for
 * conv_transpose. */
MUST_USE enum code window_attributes(const struct operand_at *at, int n, const int64_t *kernel,
                                     struct window *w, struct err *e);

/* Dims of size 1 are put before, until there are WINDOW_DIMS: the loops then need no cases. */
void window_cube(struct window *w);

/* A picture of one column is one of one row: the same bytes, and kernels work along rows. */
void window_lay_down(struct window *w);

size_t window_taps(const struct window *w);   /* kernel elements */
size_t window_pixels(const struct window *w); /* output positions of one picture */
size_t window_inputs(const struct window *w); /* input positions of one picture */

/* Input position (in pixels of one picture) under tap `tap` of output position `pixel`; -1:
 * padding. */
ptrdiff_t window_at(const struct window *w, size_t pixel, size_t tap);
/* The same for every tap of outputs [first, first + count): to[tap * count + i]. */
void window_positions(const struct window *w, size_t first, size_t count, ptrdiff_t *to);
