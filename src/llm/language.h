/* SPDX-License-Identifier: Apache-2.0 */
/* A language model ready to answer: tokenizer, chat template, forward pass and the thread that
 * decodes. Immutable after language_open but for what decode guards itself. */
#pragma once

#include "llm/chat.h"
#include "llm/decode.h"
#include "llm/llm_facts.h"
#include "llm/preset.h"

enum { LANGUAGE_PADDING = 128 };

struct language_options { /* zero: the default */
    int threads;          /* of one step; 0: 1 */
    size_t context;       /* positions of one request; 0: the model's, 32,768 at most */
    size_t kv_bytes;      /* 0: 1 GiB, or what `sequences` whole contexts need if that is less */
    enum dtype kv_dtype;  /* DT_F16 (default), DT_BF16, DT_Q8_0, DT_F32 */
    int sequences;        /* decoded at one time; 0: 64 */
    size_t rows;          /* tokens of one step; 0: 512 */
    size_t queue;         /* answers waiting; 0: 256 */
    int speculate;        /* tokens guessed at a time; 0: none */
    struct keeper *keeper, *draft_keeper; /* of packed weights, outlive the result; NULL: none */
    bool plain;                           /* the model's own defaults of sampling do not count */
    struct str model, version;
};

struct language {
    struct llm_facts facts;
    struct preset preset; /* empty when options said so */
    struct tokenizer *tokenizer;
    struct chat_template *chat;         /* NULL: the model has none */
    struct str template, tool_template; /* their sources; borrowed from the model */
    struct forward *forward, *draft;
    struct decode *decode; /* NULL: an encoder, which embeds */
    bool encoder;
    size_t sequences;          /* texts in one step of an encoder */
    pthread_mutex_t embedding; /* an encoder's forward is used by one thread at a time */
};

/* Whether `draft` may guess for m: their tokens are spelled alike, number for number, but for
 * LANGUAGE_PADDING at the end that one of them may have more. INVALID says where they are not. */
MUST_USE enum code language_draft_fits(const struct model *m, const struct model *draft,
                                       struct err *e);
/* draft: a smaller model that fits, or NULL. Both models must outlive the result. */
MUST_USE enum code language_open(const struct model *m, const struct model *draft,
                                 const struct language_options *o, struct language **out,
                                 struct err *e);
void language_close(struct language *l); /* NULL allowed */

/* An encoder's vectors, (n, width) in `out`, of length 1; tokens (n): how many of each text
 * counted. A text of more than the model takes is INVALID, or cut. Any thread; one at a time
 * computes. */
MUST_USE enum code language_embed(struct language *l, const struct str *texts, size_t n, bool cut,
                                  struct arena *a, float *out, int32_t *tokens, struct err *e);
