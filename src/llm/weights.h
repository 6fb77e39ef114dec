/* SPDX-License-Identifier: Apache-2.0 */
/* All tensors of a language model, found by name, checked by shape, packed into one block of
 * memory. Names are GGUF's; importers of other formats translate. */
#pragma once

#include "graph/keeper.h"
#include "llm/blueprint.h"
#include "llm/linear.h"

#include <stdatomic.h>

struct norm { /* weight NULL: no such norm */
    const float *weight, *bias;
};

struct experts {          /* gates and ups of expert i are (ffn, width), downs (width, ffn) */
    struct linear router; /* (n, width) */
    struct linear *gate, *up, *down; /* (n) */
    struct linear shared_router;     /* (1, width): its sigmoid weighs the shared expert */
};

struct layer {
    struct norm attn_norm, q_norm, k_norm, attn_post, ffn_norm, ffn_post;
    struct norm attn_out, ffn_out; /* encoders: after the residual */
    struct linear q, k, v, o;
    struct linear gate, up, down; /* gate.kind LINEAR_NONE: up alone */
    const float *sinks;           /* (heads) */
    struct experts *experts;      /* NULL: none, or beside gate/up/down: a shared expert */
};

struct weights {
    struct arena *arena;            /* owns layers, norms and biases */
    struct linear embedding;        /* (vocab, width): rows are read, never packed */
    struct linear positions, types; /* encoders */
    struct norm embedding_norm, output_norm;
    struct linear head;
    const float *rope_factors, *rope_factors_long; /* (rope_dims / 2) */
    struct layer *layers;
    void *memory; /* packed, but for what a keeper had */
    size_t bytes; /* of memory */
    size_t kept;  /* bytes that a keeper had */
};

/* Finds and checks; packs nothing. */
MUST_USE enum code weights_bind(const struct model *m, const struct blueprint *b, struct arena *a,
                                struct weights *out, struct err *e);
/* Packs with so many threads what the keeper (NULL: none) does not have packed already. */
MUST_USE enum code weights_pack(struct weights *w, const struct blueprint *b, struct keeper *k,
                                int threads, struct err *e);
/* Gives the keeper what it does not have, packing one tensor after the other, until *stop (NULL:
 * never). Apart from w's matrices nothing is used, and nothing is changed. */
MUST_USE enum code weights_keep(struct weights *w, const struct blueprint *b, struct keeper *k,
                                const atomic_bool *stop, struct err *e);
void weights_free(struct weights *w);
/* Calls fn with every matrix that is multiplied. */
void weights_each(struct weights *w, const struct blueprint *b,
                  void (*fn)(void *ctx, struct linear *l), void *ctx);
