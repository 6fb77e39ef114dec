/* SPDX-License-Identifier: Apache-2.0 */
/* Tapes: requests kept for later, inputs and outputs, one record after the other
 * (docs/formats/tape.md). A file's last record may be torn; what comes before it is whole. */
#pragma once

#include "base/buf.h"
#include "host/host.h"

#define TAPE_WARMUP "warmup" /* the part of a version that it runs before it is ready */

struct tape {
    uint64_t at_us, version;
    struct ask_tensor *inputs, *outputs;
    size_t n_inputs, n_outputs;
};

void tape_put(struct buf *b, const struct tape *t); /* failures stick in b */
/* Takes the record at the front of *rest, copied into the arena. *found false: none, or a torn one.
 * CORRUPT: bytes that no writer of ours leaves. */
MUST_USE enum code tape_next(struct span *rest, struct arena *a, struct tape *out, bool *found,
                             struct err *e);
