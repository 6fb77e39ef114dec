/* SPDX-License-Identifier: Apache-2.0 */
/* Tensors as the Open Inference Protocol carries them in binary, over REST and gRPC alike:
 * little-endian, row-major; BYTES elements are a uint32 length and that many bytes. */
#pragma once

#include "serve/request.h"
#include "tensor/tensor.h"

/* That the model takes this input, and with this type; in Triton's words. */
MUST_USE enum code rawtensor_check(const struct request *r, struct str name, enum dtype dtype,
                                   struct err *e);
/* Sets out->data from `raw` (dtype and shape are set): used where it lies, and written over
 * (bools), unless its address does not suit the type. `name` is for errors. */
MUST_USE enum code rawtensor_read(struct arena *a, struct span raw, struct str name,
                                  struct tensor *out, struct err *e);
/* Where a tensor is when it is not in the message: a registered region (region.h). */
struct rawtensor_place {
    struct str region; /* .n == 0: in the message */
    int64_t bytes, offset;
};
/* A copy of what lies there: what the client writes meanwhile is not seen. */
MUST_USE enum code rawtensor_fetch(struct request *r, const struct rawtensor_place *p,
                                   struct str name, struct tensor *out, struct err *e);
/* Writes the tensor there; *n bytes. */
MUST_USE enum code rawtensor_store(struct request *r, const struct rawtensor_place *p,
                                   struct str name, const struct tensor *t, size_t *n,
                                   struct err *e);
/* A string tensor's bytes, in an answer_buf. */
MUST_USE enum code rawtensor_strings(struct request *r, const struct tensor *t, struct span *out,
                                     struct err *e);
/* Classification extension: the k largest along the last dim as "score:index", largest first. */
MUST_USE enum code rawtensor_classify(struct arena *a, struct tensor *t, int64_t most,
                                      struct err *e);
