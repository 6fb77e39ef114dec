/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a function in a child process that can do nothing but compute and answer. */
#pragma once

#include "base/buf.h"

struct sandbox_limits {
    size_t memory_bytes; /* beyond what the parent has mapped */
    unsigned seconds;    /* CPU and wall */
};

/* Runs in the child: appends its answer to *out or fails with *e. It may allocate, but not open,
 * read or start anything. */
typedef enum code sandbox_fn(void *ctx, struct buf *out, struct err *e);

/* The answer is appended to *out. what: "reading 'x.onnx'", for messages. Callable from any thread,
 * from several at once. LIMIT: it took too long or too much; FORMAT: it crashed or tried what it
 * may not; else what fn failed with. */
MUST_USE enum code sandbox_run(sandbox_fn *fn, void *ctx, const struct sandbox_limits *l,
                               const char *what, struct buf *out, struct err *e);
