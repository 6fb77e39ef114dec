/* SPDX-License-Identifier: Apache-2.0 */
/* Text to tokens and back, by the model's own tokenizer: byte-level BPE, SentencePiece BPE and
 * unigram, WordPiece. Immutable after open, usable from any thread.
 *
 * 1. Text of a user can never become a control token: those are found only in text encoded with
 * TOKENIZE_SPECIAL_PARSE, which templates use for their own parts.
 * 2. Encoding takes O(n log n) in the length of the text, whatever the text.
 * 3. Bytes that are not UTF-8 pass through byte-level BPE unchanged; elsewhere they become byte
 * tokens or the unknown token. */
#pragma once

#include "base/arena.h"
#include "graph/model.h"

struct tokenizer; /* opaque */

enum {
    TOKENIZE_SPECIAL_ADD = 1,   /* beginning and end as the model wants them */
    TOKENIZE_SPECIAL_PARSE = 2, /* spellings of control tokens become these tokens */
};

/* The model must outlive the tokenizer. NOT_FOUND when it has none, UNSUPPORTED by name. */
MUST_USE enum code tokenizer_open(const struct model *m, struct tokenizer **out, struct err *e);
void tokenizer_close(struct tokenizer *t); /* NULL allowed */

/* *ids in the arena; scratch there too. */
MUST_USE enum code tokenizer_encode(const struct tokenizer *t, struct str text, unsigned flags,
                                    struct arena *a, int32_t **ids, size_t *n, struct err *e);

/* A text of several authors: foreign[i] != 0 where a byte is not to be trusted (NULL: all are to
 * be). Control tokens are found where no byte of their spelling is foreign. Nothing is added. */
MUST_USE enum code tokenizer_encode_marked(const struct tokenizer *t, struct str text,
                                           const uint8_t *foreign, struct arena *a, int32_t **ids,
                                           size_t *n, struct err *e);

/* The bytes a token stands for, maybe part of a character; control tokens: none. Borrowed. */
struct str tokenizer_piece(const struct tokenizer *t, int32_t id);
struct str tokenizer_name(const struct tokenizer *t, int32_t id); /* as the vocabulary spells it */
int32_t tokenizer_find(const struct tokenizer *t, struct str name); /* -1 */
bool tokenizer_ends(const struct tokenizer *t, int32_t id);         /* ends a generation */
bool tokenizer_control(const struct tokenizer *t, int32_t id);
size_t tokenizer_vocab(const struct tokenizer *t);
int32_t tokenizer_bos(const struct tokenizer *t); /* -1 */
int32_t tokenizer_eos(const struct tokenizer *t); /* -1 */
/* What fills short rows: the model's own (its fact tok.pad), else the token commonly named so; -1
 */
int32_t tokenizer_pad(const struct tokenizer *t);
bool tokenizer_adds_bos(const struct tokenizer *t);
/* The first of a whole text's ids, `most` of them; what is added behind every text stays last. */
void tokenizer_cut(const struct tokenizer *t, size_t most, int32_t *ids, size_t *n);

/* Tokens back to text, one at a time: what is given out is whole characters; bytes that can never
 * become one come out as U+FFFD. */
struct detokenizer {
    const struct tokenizer *t;
    bool begun;      /* something came out: a leading space is no longer dropped */
    uint8_t held[4]; /* the beginning of a character */
    size_t n_held;
    char text[3 * 1008];
};
void detokenizer_begin(struct detokenizer *d, const struct tokenizer *t);
/* Borrowed until the next call. */
struct str detokenizer_push(struct detokenizer *d, int32_t id);
struct str detokenizer_show(struct detokenizer *d, int32_t id); /* its spelling, control or not */
struct str detokenizer_end(struct detokenizer *d);              /* what was held back */
