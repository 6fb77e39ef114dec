/* SPDX-License-Identifier: Apache-2.0 */
/* tensorflow.TensorProto and tensorflow.Example as tensors, both ways: what TensorFlow Serving's
 * gRPC carries, and its files of recorded requests. */
#pragma once

#include "base/pb.h"
#include "host/host.h"
#include "tensor/tensor.h"

int tfproto_number(enum dtype t); /* of tensorflow.DataType; 0: it has none */

/* All encodings: tensor_content, or the type's list, whose last value is repeated to the end (none:
 * zeros). The bytes are used where they lie when their address suits the type. */
MUST_USE enum code tfproto_take(struct arena *a, struct span bytes, struct str name,
                                struct tensor *out, struct err *e);
/* As field `field`, with the values in the type's list: what every client reads. */
MUST_USE enum code tfproto_put(struct buf *b, uint32_t field, const struct tensor *t,
                               struct err *e);

/* tensorflow.serving.Input: examples as the (n_io) inputs of a signature that are required, one row
 * each; a feature belongs to the input of its name. out: room for n_io. */
MUST_USE enum code tfproto_examples(struct arena *a, struct span input, const struct live_io *io,
                                    size_t n_io, struct ask_tensor *out, size_t *n, struct err *e);

/* A version has one signature: "serving_default", also called "predict" or nothing; INVALID. */
MUST_USE enum code tfproto_signature(struct str name, struct err *e);
