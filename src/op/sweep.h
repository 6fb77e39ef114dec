/* SPDX-License-Identifier: Apache-2.0 */
/* The axes of a tensor in two parts: those an operator sweeps over (sums, maximises, normalises)
 * and those it keeps, one result for each position of them. What reductions, softmax and
 * normalisations have in common, whatever the layout.
 *
 * 1. Positions are element offsets into x as it lies.
 * 2. Kept dims are in the order in which the elements of the result lie, so result k belongs to
 * position sweep_position(&s->kept, k); swept dims are in the order in which x lies.
 * 3. Dims of 1 are dropped, neighbours that continue each other joined: usually one or two dims
 * remain in each part. */
#pragma once

#include "tensor/tensor.h"

struct sweep_dims {
    int rank;     /* 0: one position */
    size_t count; /* positions: product of dims */
    size_t dims[SHAPE_MAX];
    ptrdiff_t strides[SHAPE_MAX]; /* in elements of x */
};
struct sweep {
    struct sweep_dims kept, swept;
};
/* axes: bit per logical axis of x that is swept. y: the result, with the kept axes of x in order,
 * and the swept ones as 1 or left out. Without y (NULL) kept dims are in the order of x. */
void sweep_plan(struct sweep *s, const struct tensor *x, unsigned axes, const struct tensor *y);

size_t sweep_position(const struct sweep_dims *d, size_t index);

/* Walks positions one after the other. */
struct sweep_cursor {
    size_t position, at[SHAPE_MAX];
};
void sweep_begin(const struct sweep_dims *d, size_t index, struct sweep_cursor *c);
void sweep_next(const struct sweep_dims *d, struct sweep_cursor *c);

/* Swept dims as one line of elements `*step` apart; false: they are not one. */
bool sweep_line(const struct sweep_dims *d, ptrdiff_t *step);
