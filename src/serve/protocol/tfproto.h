/* SPDX-License-Identifier: Apache-2.0 */
/* tensorflow.TensorProto and tensorflow.Example as tensors, both ways: what TensorFlow Serving's
 * gRPC carries. */
#pragma once

#include "base/pb.h"
#include "serve/request.h"
#include "tensor/tensor.h"

int tfproto_number(enum dtype t); /* of tensorflow.DataType; 0: it has none */

/* All encodings: tensor_content, or the type's list, whose last value is repeated to the end (none:
 * zeros). The bytes are used where they lie when their address suits the type. */
MUST_USE enum code tfproto_take(struct request *r, struct span bytes, struct str name,
                                struct tensor *out, struct err *e);
/* As field `field`, with the values in the type's list: what every client reads. */
MUST_USE enum code tfproto_put(struct buf *b, uint32_t field, const struct tensor *t,
                               struct err *e);

/* tensorflow.serving.Input: examples as r->ask.inputs by the signature of r->ask.live, one row
 * each; a feature belongs to the input of its name. */
MUST_USE enum code tfproto_examples(struct request *r, struct span input, struct err *e);
