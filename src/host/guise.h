/* SPDX-License-Identifier: Apache-2.0 */
/* How a version is shown to clients where that is not how its file has it: what Triton's
 * config.pbtxt said beside the model's policy. A part of the version, JSON, all members optional:
 *
 *   {"tensors": [{"name": "x", "output": false, "wire": [-1, 4], "model": [-1, 2, 2]}],
 *    "batch": 0, "preferred": [4, 8], "levels": 2, "level": 1, "parameters": {"key": "value"}}
 *
 * 1. A tensor's wire shape is what clients send or get, its model shape what the session takes or
 * makes: the same elements in the same order (Triton's `reshape`). Free dims are -1; the first one
 * of the one is the first one of the other, and so on, with as many elements between them.
 * 2. The other members change nothing: clients read them back. */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "tensor/shape.h"

struct live_io; /* host.h */

#define GUISE_PART "guise" /* of a version: the text above */

enum { GUISE_TENSORS = 64, GUISE_SIZES = 32, GUISE_PAIRS = 64, GUISE_BYTES = 64 << 10 };

struct guise_tensor {
    struct str name;
    bool output;
    struct shape wire, model;
};

struct guise_pair {
    struct str name, value;
};

struct guise {
    struct guise_tensor tensors[GUISE_TENSORS];
    size_t n_tensors;
    int64_t batch; /* max_batch_size as the configuration has it; below 0: it says nothing */
    int64_t preferred[GUISE_SIZES]; /* preferred_batch_size */
    size_t n_preferred;
    int64_t levels, level; /* of priorities, and the one of requests that bring none; 0: not said */
    struct guise_pair pairs[GUISE_PAIRS]; /* parameters */
    size_t n_pairs;
};

void guise_init(struct guise *g);
/* Strings are put into the arena. INVALID: not written by guise_write. */
MUST_USE enum code guise_parse(struct str json, struct arena *a, struct guise *out, struct err *e);
void guise_write(const struct guise *g, struct buf *b); /* nothing of a plain one */
/* One more tensor, whose one shape can be had from the other: rule 1. */
MUST_USE enum code guise_add(struct guise *g, const struct guise_tensor *t, struct err *e);
/* All its shapes are of one row: of any number of them from here on. */
void guise_batched(struct guise *g);
/* Which of the (n) inputs or outputs of a session t is of; INVALID: none, or it has another shape
 * there. */
MUST_USE enum code guise_place(const struct guise_tensor *t, const struct live_io *io, size_t n,
                               size_t *at, struct err *e);
/* The shape `given`, which fits `from`, as `to` has it; false: it does not fit. */
bool guise_turn(const struct shape *from, const struct shape *to, const struct shape *given,
                struct shape *out);
