/* SPDX-License-Identifier: Apache-2.0 */
/* NumPy's .npy files (NEP 1, versions 1.0 to 3.0): one array, C or Fortran order, little- or
 * big-endian numbers, bool, fixed-width bytes (S) and text (U). Structured and object arrays are
 * refused. bf16 travels as u2 ("V2" is refused). */
#pragma once

#include "base/buf.h"
#include "tensor/tensor.h"

bool npy_is(struct span bytes); /* the magic */
/* Data is borrowed from bytes when it is C order, little-endian and aligned; else copied to the
 * arena. */
MUST_USE enum code npy_read(struct span bytes, struct arena *a, struct tensor *out, struct err *e);
/* PLAIN tensors. Strings become S of the longest. UNSUPPORTED names a type numpy lacks. */
MUST_USE enum code npy_put(const struct tensor *t, struct buf *out, struct err *e);
