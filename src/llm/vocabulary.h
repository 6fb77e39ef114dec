/* SPDX-License-Identifier: Apache-2.0 */
/* The tokens of a model: spelling, kind, score, and the bytes each stands for. Immutable once made;
 * spellings are borrowed from the model. */
#pragma once

#include "base/map.h"
#include "graph/model.h"

enum token_kind { /* as GGUF numbers them */
                  TOKEN_NORMAL = 1,
                  TOKEN_UNKNOWN,
                  TOKEN_CONTROL,
                  TOKEN_USER, /* found in any text before anything else is */
                  TOKEN_UNUSED,
                  TOKEN_BYTE, /* spelt <0x1F> */
};

enum { TOKEN_NONE = -1, TOKEN_BYTES_MAX = 1000 };

struct vocabulary {
    size_t n;
    const struct str *names; /* (n) as the model spells them */
    struct str *texts;       /* (n) the bytes they stand for */
    uint8_t *kinds;          /* (n) enum token_kind */
    const float *scores;     /* (n) or NULL */
    struct map ids;          /* name -> id + 1 */
    int32_t bytes[256];      /* the token of one byte, or TOKEN_NONE */
    size_t longest;          /* bytes of the longest name */
};

/* Names, kinds, scores and the map; texts are the names, and `bytes` those of kind TOKEN_BYTE: what
 * more there is to decode is up to the kind of tokenizer. */
MUST_USE enum code vocabulary_read(const struct model *m, struct arena *a, struct vocabulary *out,
                                   struct err *e);
int32_t vocabulary_find(const struct vocabulary *v, struct str name); /* TOKEN_NONE: absent */
/* The same for what plain text may become: no control, unknown or byte token, however it is spelt.
 */
int32_t vocabulary_word(const struct vocabulary *v, struct str name);
