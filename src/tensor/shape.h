/* SPDX-License-Identifier: Apache-2.0 */
/* Shapes: at most SHAPE_MAX dims. In a model -1 is a dim not known yet; in a tensor every dim is >=
 * 0. */
#pragma once

#include "base/err.h"
#include "base/str.h"

enum { SHAPE_MAX = 8, SHAPE_TEXT = 192 };

struct shape {
    int rank; /* 0: a scalar */
    int64_t dims[SHAPE_MAX];
};

bool shape_eq(const struct shape *a, const struct shape *b);
bool shape_known(const struct shape *s); /* no -1 */
/* Product of dims; false when a dim is negative or the product overflows or exceeds 2^48 elements.
 */
bool shape_count(const struct shape *s, size_t *out);
bool shape_bytes(const struct shape *s, size_t element_bytes, size_t *out);
/* numpy broadcasting; false when a pair of dims is neither equal nor 1. */
bool shape_broadcast(const struct shape *a, const struct shape *b, struct shape *out);
/* Row-major strides in elements; broadcast_to: 0 for dims of 1 that must be repeated, right-aligned
 * to `to`. */
void shape_strides(const struct shape *s, int64_t strides[SHAPE_MAX]);
void shape_strides_to(const struct shape *s, const struct shape *to, int64_t strides[SHAPE_MAX]);
/* axis in [-rank, rank) to [0, rank); false outside. */
bool shape_axis(int64_t axis, int rank, int *out);
const char *shape_print(const struct shape *s, char text[SHAPE_TEXT]); /* "[1,3,-1]" */
