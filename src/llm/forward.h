/* SPDX-License-Identifier: Apache-2.0 */
/* One language model ready to compute: packed weights, a paged cache, scratch for a step.
 *
 * 1. A step takes rows of any sequences: prompts in chunks, single tokens of many sequences, both
 *    at once. Rows of a sequence come in the order of their positions, and its earlier positions
 *    are in the cache.
 * 2. A row's numbers depend on its own sequence only, not on what else is in the step, on chunking,
 *    or on threads: every reduction has one order.
 * 3. One thread at a time calls; inside, a step runs on a team of threads. */
#pragma once

#include "graph/keeper.h"
#include "llm/kv.h"
#include "llm/llm_facts.h"

#include <stdatomic.h>

struct forward;

struct forward_options {   /* zero: the default */
    int threads;           /* at most, of those the core ledger has free; default: cpu_cores() */
    size_t max_rows;       /* of a step; default 512 */
    int max_sequences;     /* default 1 */
    size_t kv_bytes;       /* default: what max_sequences whole contexts take, at most 1 GiB */
    enum dtype kv_dtype;   /* DT_F16 (default), DT_BF16, DT_Q8_0, DT_F32; encoders: always DT_F32 */
    size_t context;        /* default, and at most: the model's */
    struct keeper *keeper; /* of packed weights, outlives the forward; default: none */
};

/* At import: every tensor is there with the right shape and a type that can be multiplied. */
MUST_USE enum code forward_check(const struct model *m, struct err *e);

/* Gives the keeper every packed tensor that it does not have, one after the other, on one thread,
 * until *stop (NULL: never). */
MUST_USE enum code forward_keep(const struct model *m, struct keeper *k, const atomic_bool *stop,
                                struct err *e);

/* The model's tensor data outlives the forward; m and f need not. */
MUST_USE enum code forward_open(const struct model *m, const struct llm_facts *f,
                                const struct forward_options *o, struct forward **out,
                                struct err *e);
void forward_close(struct forward *f); /* NULL allowed */

struct forward_row {
    int32_t token, position, sequence;
    bool want; /* logits of this row */
};

/* Computes rows, for whose positions kv_reserve has made room. *logits: (number of wanted rows,
 * vocab), borrowed until the next step; NULL when none is wanted. */
MUST_USE enum code forward_step(struct forward *f, const struct forward_row *rows, size_t n,
                                const float **logits, struct err *e);

/* Rows of whole texts, each a sequence of its own from position 0: out gets one pooled embedding
 * of length 1 per sequence, in the order they come: (sequences, width). Uses the cache of those
 * sequences and empties it. */
MUST_USE enum code forward_embed(struct forward *f, const struct forward_row *rows, size_t n,
                                 float *out, struct err *e);

struct kv *forward_kv(struct forward *f);
size_t forward_vocab(const struct forward *f);
size_t forward_width(const struct forward *f);
size_t forward_context(const struct forward *f);
size_t forward_max_rows(const struct forward *f);
bool forward_is_encoder(const struct forward *f);
size_t forward_packed_bytes(const struct forward *f); /* packed here: no keeper had them */
size_t forward_bytes(const struct forward *f);        /* packed weights, cache and scratch */
