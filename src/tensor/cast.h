/* SPDX-License-Identifier: Apache-2.0 */
/* Conversion of elements between any two numeric types, C rules; float to integer truncates,
 * saturating where C would be undefined; float to f16/bf16 rounds to nearest even. Text: numbers to
 * and from strings as ONNX Cast says. */
#pragma once

#include "tensor/tensor.h"

/* count elements; to and from do not overlap; UNSUPPORTED names a pair this build lacks. arena: for
 * string results. */
MUST_USE enum code cast_elements(enum dtype to, void *out, enum dtype from, const void *in,
                                 size_t count, bool saturate, struct arena *a, struct err *e);
