/* SPDX-License-Identifier: Apache-2.0 */
/* Byte-level BPE (GPT-2 and its descendants). Spellings in the vocabulary write each byte as a
 * printable character; inside, everything is bytes: a piece begins as one token per byte, and pairs
 * are merged by rank.
 *
 * The characters: bytes 33-126, 161-172 and 174-255 are themselves, the other 68 in order are
 * U+0100, U+0101, ... */
#include "base/utf8.h"
#include "llm/merge.h"
#include "llm/tokenizer_in.h"
#include "llm/unicode.h"

enum { CHARACTERS = 256 + 68 };

static bool printable(int byte) {
    return (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
}

/* The character of each byte. */
static void spell_bytes(uint32_t of_byte[256]) {
    uint32_t next = 256;
    for (int b = 0; b < 256; b++)
        of_byte[b] = printable(b) ? (uint32_t)b : next++;
}

struct spelling {
    uint32_t of_byte[256];
    int16_t byte_of[CHARACTERS]; /* -1: no byte */
};

static void spelling_make(struct spelling *s) {
    spell_bytes(s->of_byte);
    memset(s->byte_of, 0xff, sizeof s->byte_of);
    for (int b = 0; b < 256; b++)
        s->byte_of[s->of_byte[b]] = (int16_t)b;
}

/* The bytes of a spelling; false: it has other characters and means itself. */
static bool decode(const struct spelling *s, struct str name, char *out, size_t *n) {
    *n = 0;
    for (size_t at = 0; at < name.n;) {
        uint32_t c;
        at += unicode_next(name, at, &c);
        if (c >= CHARACTERS || s->byte_of[c] < 0)
            return false;
        out[(*n)++] = (char)s->byte_of[c];
    }
    return true;
}

static enum code decode_all(struct tokenizer *t, const struct spelling *s, struct err *e) {
    for (size_t i = 0; i < t->v.n; i++) {
        size_t n = 0;
        if (t->v.kinds[i] != TOKEN_NORMAL && t->v.kinds[i] != TOKEN_UNUSED)
            continue;
        char *text = arena_push(&t->arena, t->v.names[i].n);
        if (!text)
            return arena_fail(&t->arena, t->v.names[i].n, "vocabulary", e);
        if (decode(s, t->v.names[i], text, &n))
            t->v.texts[i] = (struct str){text, n};
    }
    return OK;
}

static enum code open_bpe(struct tokenizer *t, const struct model *m, struct err *e) {
    const struct attr *pre = model_fact(m, "tok.pre");
    struct str name = pre && pre->kind == ATTR_STR ? pre->s : LIT("gpt-2");
    struct spelling s;
    t->pretoken = pretoken_find(name);
    if (t->pretoken == PRETOKEN_NONE)
        return fail(e, UNSUPPORTED, "pre-tokenizer '%.*s' is not one this build knows",
                    STR(str_sub(name, 0, 64)));
    t->takes_words = tokenizer_fact_bool(m, "tok.words", pretoken_takes_words(name));
    if (t->takes_words)
        t->add_bos = tokenizer_fact_bool(m, "tok.add_bos", true);
    spelling_make(&s);
    TRY(decode_all(t, &s, e));
    for (int b = 0; b < 256; b++) {
        char text[4];
        t->v.bytes[b] = vocabulary_find(&t->v, (struct str){text, utf8_put(s.of_byte[b], text)});
    }
    return pairs_read(t, m, e);
}

static bool by_rank(const void *ctx, struct str text, const struct symbol *left,
                    const struct symbol *right, struct merge *out) {
    uint32_t rank = 0;
    (void)text;
    bool found = pairs_find(ctx, left->id, right->id, &rank, &out->id);
    out->priority = (float)rank;
    return found;
}

/* A piece that is a token as it stands. */
static int32_t whole_word(const struct tokenizer *t, struct str piece) {
    char spelt[TOKEN_BYTES_MAX + 4];
    uint32_t of_byte[256];
    size_t n = 0;
    if (2 * piece.n > TOKEN_BYTES_MAX)
        return TOKEN_NONE;
    spell_bytes(of_byte);
    for (size_t i = 0; i < piece.n; i++)
        n += utf8_put(of_byte[(uint8_t)piece.p[i]], spelt + n);
    return vocabulary_word(&t->v, (struct str){spelt, n});
}

static enum code merge_piece(const struct tokenizer *t, struct str piece, struct token_out *out,
                             struct err *e) {
    struct symbol *s = ARENA_ARRAY(out->scratch, piece.n, struct symbol);
    if (!s)
        return arena_fail(out->scratch, piece.n * sizeof *s, "tokens", e);
    for (size_t i = 0; i < piece.n; i++)
        s[i] = (struct symbol){.at = (uint32_t)i, .n = 1, .id = t->v.bytes[(uint8_t)piece.p[i]]};
    TRY(merge_all(s, piece.n, piece, by_rank, t, out->scratch, e));
    for (int32_t i = 0; i >= 0; i = s[i].next)
        token_put(out, s[i].id);
    return OK;
}

static enum code encode_bpe(const struct tokenizer *t, struct str text, bool first,
                            struct token_out *out, struct err *e) {
    (void)first;
    for (size_t at = 0, end; at < text.n; at = end) {
        end = pretoken_next(t->pretoken, text, at);
        struct str piece = str_sub(text, at, end);
        int32_t word = t->takes_words ? whole_word(t, piece) : TOKEN_NONE;
        if (piece.n == 1)
            word = t->v.bytes[(uint8_t)piece.p[0]];
        if (word >= 0) {
            token_put(out, word);
            continue;
        }
        struct arena_mark mark = arena_mark(out->scratch);
        enum code code = merge_piece(t, piece, out, e);
        arena_reset(out->scratch, mark);
        if (code != OK)
            return code;
    }
    return OK;
}

const struct tokenizer_kind tokenizer_bpe = {
    .name = "bpe",
    .open = open_bpe,
    .encode = encode_bpe,
};
