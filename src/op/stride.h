/* SPDX-License-Identifier: Apache-2.0 */
/* One n-dimensional copy between strided arrays, whatever the elements are: what transpose, slice,
 * pad, expand, tile, depth_to_space and their like come down to.
 *
 * 1. Strides count elements; `from` strides may be 0 (repeat) or negative (backwards), `to` strides
 * are positive.
 * 2. Positions are not checked here: the caller made sure that every one lies inside both arrays.
 * 3. Elements are moved as bytes: struct str and struct sequence elements stay borrowed. Less
 * aligned data is fine. */
#pragma once

#include "tensor/tensor.h"

enum { STRIDE_MAX = 2 * SHAPE_MAX };

struct stride {
    int rank;
    int64_t dims[STRIDE_MAX]; /* outermost first */
    int64_t to[STRIDE_MAX], from[STRIDE_MAX];
};

/* Appends an inner dim. */
void stride_push(struct stride *s, int64_t dim, int64_t to, int64_t from);
/* Gives `to` the strides of a dense row-major array of these dims. */
void stride_dense(struct stride *s);
void stride_copy(const struct stride *s, void *to, const void *from, size_t element_bytes,
                 int threads);
/* count copies of one element. */
void stride_fill(void *to, const void *element, size_t element_bytes, size_t count);
