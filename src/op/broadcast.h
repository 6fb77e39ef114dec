/* SPDX-License-Identifier: Apache-2.0 */
/* Walking one output and up to three inputs together under numpy's broadcasting, whatever their
 * layouts.
 *
 * 1. The walk is in the physical order of the output, which is dense: an output position needs no
 * strides.
 * 2. Each input's strides are 0 where it repeats; dims that can be walked as one for every operand
 * are merged, so the usual cases (same shape, scalar, per channel in either layout) come down to
 * one or two dims.
 * 3. Shapes were checked by infer: every input broadcasts to the output. */
#pragma once

#include "graph/op.h"

enum { BROADCAST_IN = 3 };

struct broadcast {
    int rank; /* 1 or more, merged */
    int n_in;
    size_t dims[SHAPE_MAX];
    ptrdiff_t in[BROADCAST_IN][SHAPE_MAX]; /* strides in elements */
};
void broadcast_plan(struct broadcast *b, const struct tensor *out, const struct tensor *const *in,
                    int n_in);

/* `rows` rows of `n` elements, dense in the output. */
struct broadcast_piece {
    size_t rows, n;
    size_t out; /* position of the first element */
    ptrdiff_t in[BROADCAST_IN], row[BROADCAST_IN],
        step[BROADCAST_IN]; /* position; stride per row; per element */
};
typedef void broadcast_fn(const struct broadcast_piece *p, void *ctx);
/* Calls fn over pieces that cover the output once; from several threads at once when threads > 1.
 */
void broadcast_each(const struct broadcast *b, int threads, broadcast_fn *fn, void *ctx);

/* infer: the broadcast of inputs [0, n) as the shape of output 0, of this type; later when a shape
 * is not known. */
MUST_USE enum code broadcast_infer(struct op_infer *c, int n, enum dtype dtype, struct err *e);
