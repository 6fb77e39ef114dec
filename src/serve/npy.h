/* SPDX-License-Identifier: Apache-2.0 */
/* NumPy's .npy format, versions 1.0 to 3.0 (numpy.lib.format): one array, both ways. */
#pragma once

#include "tensor/tensor.h"

bool npy_is(struct span bytes); /* by its magic */

/* The array as a tensor. Data stays where it lies in `bytes` when it is little-endian, in C order
 * and aligned for its type; else it is copied to the arena. 'S' and 'U' arrays become strings.
 * INVALID says what is wrong; pickled objects and structured types are UNSUPPORTED. */
MUST_USE enum code npy_read(struct span bytes, struct arena *a, struct tensor *out, struct err *e);

enum { NPY_HEAD = 320 };
struct npy_head {
    char bytes[NPY_HEAD];
    size_t n; /* a multiple of 64 */
};
/* What stands before the tensor's bytes in a file. UNSUPPORTED for types NumPy lacks (bf16,
 * strings). */
MUST_USE enum code npy_head(const struct tensor *t, struct npy_head *out, struct err *e);
