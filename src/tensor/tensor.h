/* SPDX-License-Identifier: Apache-2.0 */
/* A tensor view: type, shape, layout and borrowed data. Always dense.
 *
 * 1. shape is the *logical* shape (N, C, spatial...). layout says how the elements lie: PLAIN is
 * row-major in that order; NHWC (rank >= 3) is row-major in the order N, spatial..., C. Only the
 * executor makes NHWC tensors; inputs and outputs of a model are always PLAIN.
 * 2. data is 64-byte aligned when the executor made it; constants mapped from a file may be less
 * aligned. */
#pragma once

#include "base/arena.h"
#include "base/mem.h"
#include "tensor/dtype.h"
#include "tensor/shape.h"

enum layout { LAYOUT_PLAIN, LAYOUT_NHWC };

struct tensor {
    enum dtype dtype;
    enum layout layout;
    struct shape shape;
    void *data; /* borrowed; NULL only when there are no elements */
};

struct sequence { /* data of a DT_SEQUENCE tensor */
    size_t n;
    struct tensor *items; /* (n) */
    bool absent;          /* an optional without a value */
    bool map;             /* two items: keys (i64 or string), values, lists of equal length */
};

/* Bytes that elements of a type and shape take in memory; false when there is no such tensor: a
 * free dim, an overflow, or rows that are not whole blocks. */
bool tensor_size(enum dtype dtype, const struct shape *shape, size_t *bytes);
size_t tensor_count(const struct tensor *t); /* elements */
size_t tensor_bytes(const struct tensor *t);
/* Shape in the order the elements lie: N, spatial..., C for NHWC. */
void tensor_physical_shape(const struct tensor *t, struct shape *out);
/* Physical position of a logical axis. */
int tensor_physical_axis(const struct tensor *t, int axis);
/* Fresh zeroed tensor in an arena, 64-byte aligned. */
MUST_USE enum code tensor_new(struct arena *a, enum dtype dtype, const struct shape *shape,
                              struct tensor *out, struct err *e);
/* Element as a number (numeric types and bool). */
double tensor_f64(const struct tensor *t, size_t index);
int64_t tensor_i64(const struct tensor *t, size_t index);
