/* SPDX-License-Identifier: Apache-2.0 */
/* WordPiece (BERT): the text is cleaned and cut into words, punctuation and CJK characters being
 * words of their own; a word is covered by the longest tokens from the left, or is unknown as a
 * whole. As in GGUF, tokens that begin a word are spelt with U+2581 before them and the others
 * plainly.
 *
 * Cleaning: control characters go; of most models canonical decomposition, non-spacing marks go; of
 * uncased ones lower case. */
#include "base/utf8.h"
#include "llm/tokenizer_in.h"
#include "llm/unicode.h"

enum { WORD_MAX = 100, SPELT_MAX = 3 + 4 * WORD_MAX }; /* characters; longer words are unknown */

#define BLANK "\xe2\x96\x81"

struct word { /* being collected; spelt begins with BLANK */
    char spelt[SPELT_MAX];
    size_t n, characters;
};

static void word_clear(struct word *w) {
    memcpy(w->spelt, BLANK, 3);
    w->n = 3;
    w->characters = 0;
}

/* Tokens of spelt[from..n) from the left; false: some part has none. */
static bool cover(const struct tokenizer *t, const struct word *w, int32_t *ids, size_t *n) {
    *n = 0;
    for (size_t from = 0; from < w->n;) {
        size_t end = w->n;
        int32_t id = TOKEN_NONE;
        if (from > 0 && str_starts((struct str){w->spelt + from, end - from}, BLANK))
            return false; /* the text's own, not the mark of a word */
        if (end - from > t->v.longest)
            end = from + t->v.longest;
        for (; end > from &&
               (id = vocabulary_word(&t->v, (struct str){w->spelt + from, end - from})) < 0;)
            end--;
        if (id < 0 || (from == 0 && end <= 3))
            return false;
        ids[(*n)++] = id;
        from = end;
    }
    return true;
}

static void word_flush(const struct tokenizer *t, struct word *w, struct token_out *out) {
    int32_t ids[SPELT_MAX];
    size_t n = 0;
    if (w->characters == 0)
        return;
    if (w->characters > WORD_MAX || !cover(t, w, ids, &n)) {
        token_put(out, t->unknown);
    } else {
        for (size_t i = 0; i < n; i++)
            token_put(out, ids[i]);
    }
    word_clear(w);
}

static void word_add(struct word *w, uint32_t c) {
    if (w->characters++ < WORD_MAX)
        w->n += utf8_put(c, w->spelt + w->n);
}

static bool is_cjk(uint32_t c) {
    static const uint32_t ranges[][2] = {{0x4e00, 0x9fff},   {0x3400, 0x4dbf},   {0x20000, 0x2a6df},
                                         {0x2a700, 0x2b73f}, {0x2b740, 0x2b81f}, {0x2b820, 0x2ceaf},
                                         {0xf900, 0xfaff},   {0x2f800, 0x2fa1f}};
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
        if (c >= ranges[i][0] && c <= ranges[i][1])
            return true;
    return false;
}

static bool is_punctuation(uint32_t c) {
    if (c < 0x80)
        return (c >= 33 && c <= 47) || (c >= 58 && c <= 64) || (c >= 91 && c <= 96) ||
               (c >= 123 && c <= 126);
    return unicode_kind(c) == UNICODE_P;
}

static void take(const struct tokenizer *t, struct word *w, uint32_t c, struct token_out *out) {
    bool alone = is_punctuation(c) || is_cjk(c);
    if (alone)
        word_flush(t, w, out);
    word_add(w, c);
    if (alone)
        word_flush(t, w, out);
}

static void take_cased(const struct tokenizer *t, struct word *w, uint32_t c,
                       struct token_out *out) {
    enum { DOTTED_I = 0x130, DOT = 0x307 };
    take(t, w, !t->lowercase ? c : c == DOTTED_I ? 'i' : unicode_lower(c), out);
    if (t->lowercase && c == DOTTED_I) /* the one small letter that is two */
        take(t, w, DOT, out);
}

/* One character of the text, cleaned. */
static void clean(const struct tokenizer *t, struct word *w, uint32_t c, struct token_out *out) {
    uint32_t parts[UNICODE_PARTS];
    enum unicode_kind kind = unicode_kind(c);
    if (c == 0x0b || c == 0x0c || c == 0x85 || (c >= 0x1c && c <= 0x1f))
        return; /* controls first, spaces second */
    if (kind == UNICODE_SPACE) {
        word_flush(t, w, out);
        return;
    }
    if (c == 0 || c == 0xfffd || c == UNICODE_BROKEN || kind == UNICODE_CONTROL)
        return;
    bool alone = is_cjk(c); /* these are set apart before anything decomposes */
    if (alone)
        word_flush(t, w, out);
    parts[0] = c;
    size_t n = t->strip_accents ? unicode_decompose(c, parts) : 1;
    for (size_t i = 0; i < n; i++)
        if (!t->strip_accents || unicode_kind(parts[i]) != UNICODE_MN)
            take_cased(t, w, parts[i], out);
    if (alone)
        word_flush(t, w, out);
}

static enum code encode_wordpiece(const struct tokenizer *t, struct str text, bool first,
                                  struct token_out *out, struct err *e) {
    struct word w;
    (void)first;
    (void)e;
    word_clear(&w);
    for (size_t at = 0; at < text.n;) {
        uint32_t c;
        at += unicode_next(text, at, &c);
        clean(t, &w, c, out);
    }
    word_flush(t, &w, out);
    return OK;
}

/* Spellings to text: a word begins with a space, which the first one of a text loses. */
static enum code open_wordpiece(struct tokenizer *t, const struct model *m, struct err *e) {
    if (t->unknown < 0)
        return fail(e, FORMAT, "the tokenizer has no unknown token");
    for (size_t i = 0; i < t->v.n; i++) {
        struct str name = t->v.names[i];
        if (t->v.kinds[i] != TOKEN_NORMAL || !str_starts(name, BLANK))
            continue;
        char *text = arena_push(&t->arena, name.n);
        if (!text)
            return arena_fail(&t->arena, name.n, "vocabulary", e);
        text[0] = ' ';
        memcpy(text + 1, name.p + 3, name.n - 3);
        t->v.texts[i] = (struct str){text, name.n - 2};
    }
    t->lowercase = tokenizer_fact_bool(m, "tok.lowercase", true);
    t->strip_accents = tokenizer_fact_bool(m, "tok.strip_accents", t->lowercase);
    t->drop = DROP_ONE;
    return OK;
}

const struct tokenizer_kind tokenizer_wordpiece = {
    .name = "wordpiece",
    .open = open_wordpiece,
    .encode = encode_wordpiece,
    .adds_separators = true,
};
