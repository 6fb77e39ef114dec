/* SPDX-License-Identifier: Apache-2.0 */
/* JSON values as tensors of a given type, both ways. Shared by the protocols that speak JSON.
 *
 * Numbers go from the text straight into the tensor's bytes, in one growing buf of the request; f16
 * and bf16 pass through f32. Strings are JSON strings or {"b64": "..."}. */
#pragma once

#include "base/json.h"
#include "serve/request.h"
#include "tensor/tensor.h"

bool typed_number(enum dtype t,
                  enum json_number *out); /* false: no JSON number type holds it as it is */

/* A tensor being read: one value, or several of one shape stacked. */
struct typed {
    struct request *r;
    enum dtype dtype;
    struct buf *bytes;  /* elements so far */
    struct shape shape; /* of one value */
    size_t values;      /* taken so far */
};
/* elements: how many are likely, 0: unknown. */
MUST_USE enum code typed_begin(struct typed *t, struct request *r, enum dtype dtype,
                               size_t elements, struct err *e);
/* Takes one JSON value. The second and later ones must have the shape of the first: INVALID says
 * which differs. */
MUST_USE enum code typed_take(struct typed *t, struct json *j, struct err *e);
/* stacked: shape [values, ...shape of a value]; else exactly one value was taken. The tensor's data
 * ends with the request. */
MUST_USE enum code typed_end(struct typed *t, bool stacked, struct tensor *out, struct err *e);
/* The three in one for a single value. */
MUST_USE enum code typed_read(struct request *r, struct json *j, enum dtype dtype,
                              struct tensor *out, struct err *e);

/* Replaces f16 and bf16 by f32 (in the arena); UNSUPPORTED for types JSON cannot carry. */
MUST_USE enum code typed_writable(struct arena *a, struct tensor *t, struct err *e);

enum typed_form {
    TYPED_PLAIN = 0,
    TYPED_B64 = 1,  /* strings as {"b64": ...} */
    TYPED_NULL = 2, /* NaN and infinities as null, not as bare words */
    TYPED_FLAT = 4, /* one array, whatever the rank */
};
void typed_put(struct json_out *w, const struct tensor *t, unsigned form);
/* Row `row` of t (rank >= 1): its first dim is taken away. */
void typed_put_row(struct json_out *w, const struct tensor *t, size_t row, unsigned form);
/* The same of an output: a row whose columns have names is an object of them. */
void typed_put_output(struct json_out *w, const struct ask_tensor *o, unsigned form);
void typed_put_output_row(struct json_out *w, const struct ask_tensor *o, size_t row,
                          unsigned form);
size_t typed_text_bytes(const struct tensor *t); /* a fair guess of what typed_put writes */
