/* SPDX-License-Identifier: Apache-2.0 */
/* What the kinds of tokenizers share with tokenizer.c, and are: one file each, one row in its
 * table. */
#pragma once

#include "llm/normalize.h"
#include "llm/pretokenize.h"
#include "llm/tokenizer.h"
#include "llm/vocabulary.h"

struct token_out { /* room for every token the text can give: see tokenizer_encode */
    int32_t *ids;
    size_t n, room;
    struct arena *scratch; /* reset by whoever uses it */
};

struct tokenizer_kind {
    const char *name; /* of the fact tok.kind */
    /* Decodes t->v.texts, makes tables in t->arena. MAY */
    enum code (*open)(struct tokenizer *t, const struct model *m, struct err *e);
    /* Appends the tokens of text, which is normalised and holds no special one. first: nothing was
     * before it. MUST */
    enum code (*encode)(const struct tokenizer *t, struct str text, bool first,
                        struct token_out *out, struct err *e);
    bool adds_bos;        /* where the model does not say */
    bool adds_separators; /* [CLS] text [SEP] */
};

struct pair_slot { /* of the hash of merges; rank + 1, 0: free */
    uint64_t key;
    uint32_t rank;
    int32_t id;
};

enum edge {                       /* of special tokens, in the fact tok.edges */
            EDGE_STRIP_LEFT = 1,  /* white space before it belongs to it */
            EDGE_STRIP_RIGHT = 2, /* and behind it */
            EDGE_WORD = 4,        /* counts only where no word goes on around it */
            EDGE_NORMALIZED = 8,  /* of user-defined tokens: is looked for in the normalised text */
};

struct special_set { /* see parts.c */
    struct map ids;  /* spelling -> id + 1 */
    uint64_t first[4];
    uint16_t *lengths; /* longest first */
    size_t n_lengths;
};

enum drop { DROP_NONE, DROP_ONE, DROP_ALL }; /* spaces that a decoded text begins with */

struct tokenizer {
    struct arena arena;
    const struct tokenizer_kind *kind;
    struct vocabulary v;
    int32_t bos, eos, unknown, cls, sep, pad;
    bool add_bos, add_eos;
    uint8_t *ends; /* (n) */

    struct special_set specials, normalized;
    uint8_t *edges; /* (n) bits of enum edge; NULL: none */
    struct normalizer normalizer;

    /* SentencePiece: U+2581 is put before a text; only where it is the first, only where none is.
     */
    bool prefix_space, prefix_first, prefix_once;
    enum drop drop;

    enum pretoken_kind pretoken; /* byte-level BPE */
    bool takes_words;
    struct pair_slot *pairs; /* (n_pairs) a power of two; NULL: none */
    size_t n_pairs;
    bool lowercase, strip_accents; /* WordPiece */
    float unknown_score;           /* unigram */
};

void token_put(struct token_out *out, int32_t id); /* drops TOKEN_NONE, and what has no room */
/* Bytes of text as byte tokens, or the unknown token where there are none. */
void token_put_bytes(const struct tokenizer *t, struct str text, struct token_out *out);
bool tokenizer_fact_bool(const struct model *m, const char *name, bool otherwise);

/* blanks.c: how SentencePiece treats spaces, from facts, and the texts of the vocabulary; U+2581 of
 * a spelling as spaces again; and a text as it reads it, with a space before it where `prefix`. */
MUST_USE enum code blanks_open(struct tokenizer *t, const struct model *m, struct err *e);
bool blanks_prefix(const struct tokenizer *t, struct str text, bool first);
MUST_USE enum code blanks_decode(struct str name, struct arena *a, struct str *out, struct err *e);
MUST_USE enum code blanks_encode(struct str text, bool prefix, struct arena *a, struct str *out,
                                 struct err *e);

/* pairs.c: the list of merges, by pairs of tokens. */
MUST_USE enum code pairs_read(struct tokenizer *t, const struct model *m, struct err *e);
bool pairs_find(const struct tokenizer *t, int32_t left, int32_t right, uint32_t *rank,
                int32_t *id);

extern const struct tokenizer_kind tokenizer_bpe, tokenizer_spm, tokenizer_unigram,
    tokenizer_wordpiece;
