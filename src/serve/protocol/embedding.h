/* SPDX-License-Identifier: Apache-2.0 */
/* What the APIs that embed text share: texts in, vectors of an encoder out. An encoder is a model
 * with an input "text" and an output "embedding", so its requests go the way of every other tensor.
 */
#pragma once

#include "serve/answer.h"
#include "serve/protocol/protocol.h"

enum { EMBEDDING_TEXTS = 2048 }; /* in one request, as OpenAI */

struct embedding {      /* in r->notes */
    struct str input;   /* JSON: a text, tokens, or a list of either */
    struct str model;   /* as asked for */
    int64_t dimensions; /* 0: all */
    bool cut;           /* texts that are too long, as asked for */
};

/* A member that is not in struct embedding: takes or skips it. */
typedef enum code embedding_member_fn(struct embedding *n, struct json *j, struct str key,
                                      struct err *e);
/* The body's members; what the API calls the input; other may be NULL: the rest is skipped. */
MUST_USE enum code embedding_read(struct request *r, const char *input, embedding_member_fn *other,
                                  struct embedding *n, struct err *e);
/* The input as r->ask's, for the encoder that r->ask.live is (routed already). */
MUST_USE enum code embedding_ask(struct request *r, const struct embedding *n, struct err *e);

struct embedding_answer {
    float *v; /* (n, stride): of each the first `width` count, of length 1 */
    int64_t n, stride, width, tokens;
};
/* Shortens to n->dimensions where asked for. */
MUST_USE enum code embedding_take(struct request *r, const struct embedding *n,
                                  struct embedding_answer *out, struct err *e);
