/* SPDX-License-Identifier: Apache-2.0 */
/* One sequence of a decoding: tokens so far, how far the KV cache knows them, and how a token that
 * was drawn becomes text. Owned by the decoding thread. */
#pragma once

#include "llm/decode.h"
#include "llm/grammar.h"
#include "llm/prefix.h"

struct strand {
    struct decode_ask *ask;
    int choice;
    struct strand *next;
    enum { STRAND_WAITING, STRAND_RUNNING, STRAND_ENDED } state;
    int slot;       /* of the KV cache; -1 while waiting */
    uint64_t order; /* of arrival */

    int32_t *tokens;                /* (room) owned: prompt, then drawn */
    size_t n, room, n_prompt, most; /* most: n may not grow beyond */
    size_t computed;                /* positions the KV cache holds */
    size_t scored;                  /* of the prompt's tokens, but for the first */
    size_t drafted_to;              /* positions the draft model's cache holds */
    int32_t drafts[DECODE_DRAFT];
    int n_drafts;
    float accepted; /* share of drafts accepted lately; decides how many are made */

    int32_t block;   /* last of the chain in the prefix cache */
    size_t n_blocks; /* blocks in that chain */

    struct sample_options options; /* the ask's, with this choice's seed */
    float mu;
    double logprob;                  /* sum over the tokens drawn; for best_of */
    struct grammar_machine *machine; /* NULL: anything goes */
    int32_t grammar;                 /* its state */

    struct detokenizer text;
    struct buf held;  /* text that may be the beginning of a stop string */
    uint64_t last_ns; /* when the last token was drawn */
};

/* NULL: out of memory. */
struct strand *strand_new(struct decode_ask *a, int choice, const struct tokenizer *t, size_t most);
void strand_free(struct strand *s);
static inline size_t strand_drawn(const struct strand *s) { return s->n - s->n_prompt; }

/* Draws from one row of logits, appends, makes text; the mask comes from the grammar, or is
 * `no_end` (NULL: everything allowed) while the answer must not end. *end: how it ended, or GOING.
 */
MUST_USE enum code strand_draw(struct strand *s, const struct tokenizer *t, struct sampler *sampler,
                               const float *logits, const uint64_t *no_end, enum decode_end *end,
                               struct err *e);
/* A token of the prompt, from the row of logits before it: its log probabilities are handed over.
 */
void strand_score(struct strand *s, const float *logits, size_t vocab, int32_t token);
/* Hands the rest of its text over and marks the part as ended. */
void strand_end(struct strand *s, enum decode_end end);
/* Bytes of its text nobody took yet. */
size_t strand_pending(struct strand *s);
