/* SPDX-License-Identifier: Apache-2.0 */
/* NumPy's .npy files (NEP 1, versions 1.0 to 3.0): one array, C or Fortran order, little- or
 * big-endian numbers, bool, fixed-width bytes (S) and text (U). Structured and object arrays are
 * refused. */
#pragma once

#include "base/buf.h"
#include "tensor/tensor.h"

bool npy_is(struct span bytes); /* the magic */
/* Data is borrowed from bytes when it is C order, little-endian and aligned; else copied to the
 * arena. */
MUST_USE enum code npy_read(struct span bytes, struct arena *a, struct tensor *out, struct err *e);
enum { NPY_HEAD = 320 };
struct npy_head {
    char bytes[NPY_HEAD];
    size_t n; /* a multiple of 64 */
};
/* What stands before the tensor's bytes in a file, for those who send the bytes themselves.
 * UNSUPPORTED for types numpy lacks and for strings, whose bytes are not the tensor's. */
MUST_USE enum code npy_head(const struct tensor *t, struct npy_head *out, struct err *e);
/* PLAIN tensors. Strings become S of the longest. UNSUPPORTED names a type numpy lacks. */
MUST_USE enum code npy_put(const struct tensor *t, struct buf *out, struct err *e);
