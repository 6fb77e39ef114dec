/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that a version answers before it is taken as ready. They are kept with it, as a tape
 * (host/tape.h) in its part TAPE_WARMUP, which host/warm.c runs; this is what they are made of:
 *
 *   TensorFlow Serving's assets.extra/tf_serving_warmup_requests: a TFRecord file of PredictionLog
 *   a tape, as the policy "capture" leaves it
 *   Triton's model_warmup: tensors of zeros or random numbers */
#pragma once

#include "base/buf.h"
#include "host/tape.h"

enum { WARMUP_RECORDS = 1000, WARMUP_BYTES = 256 << 20 }; /* at most; of the file, of the tape */
#define WARMUP_FILE "assets.extra/tf_serving_warmup_requests" /* below a version's folder */
#define WARMUP_SOURCE "warmup-source" /* of a version: SHA-256 of what it was made of, in hex */

/* io: (n_io) the version's inputs. Appends to out; its failure sticks there. One line with the
 * record's number when one of them is no request: nothing was run yet. */
MUST_USE enum code warmup_read(struct span file, const struct live_io *io, size_t n_io,
                               struct buf *out, struct err *e);
