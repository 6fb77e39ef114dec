/* SPDX-License-Identifier: Apache-2.0 */
/* SentencePiece's unigram model (T5, XLM-R and the embedding models after it; Kudo 2018): of all
 * ways to cover the text with tokens, the one with the highest sum of scores, found from left to
 * right (Viterbi). A character no token covers costs the lowest score less 10 and becomes its bytes
 * or the unknown token; unknown characters in a row are one.
 * Spaces are U+2581. */
#include "llm/tokenizer_in.h"
#include "llm/unicode.h"

enum { PENALTY = 10 };

static enum code open_unigram(struct tokenizer *t, const struct model *m, struct err *e) {
    float lowest = 0;
    if (!t->v.scores)
        return fail(e, FORMAT, "a unigram tokenizer without scores");
    for (size_t i = 0; i < t->v.n; i++)
        if (t->v.scores[i] < lowest)
            lowest = t->v.scores[i];
    t->unknown_score = lowest - PENALTY;
    return blanks_open(t, m, e);
}

struct best { /* way to a position of the text */
    double score;
    uint32_t from;
    int32_t id; /* TOKEN_NONE: an unknown character */
};

static void improve(struct best *best, double score, size_t from, int32_t id) {
    if (best->from == UINT32_MAX || score > best->score)
        *best = (struct best){score, (uint32_t)from, id};
}

static bool is_boundary(struct str text, size_t at) {
    return at == text.n || ((uint8_t)text.p[at] & 0xc0) != 0x80;
}

static void search(const struct tokenizer *t, struct str text, struct best *best) {
    best[0] = (struct best){0, 0, TOKEN_NONE};
    for (size_t at = 1; at <= text.n; at++)
        best[at].from = UINT32_MAX;
    for (size_t at = 0; at < text.n; at++) {
        uint32_t c;
        if (best[at].from == UINT32_MAX)
            continue;
        size_t one = unicode_next(text, at, &c);
        for (size_t n = 1; n <= t->v.longest && at + n <= text.n; n++) {
            if (!is_boundary(text, at + n))
                continue;
            int32_t id = vocabulary_word(&t->v, str_sub(text, at, at + n));
            if (id >= 0)
                improve(&best[at + n], best[at].score + (double)t->v.scores[id], at, id);
        }
        improve(&best[at + one], best[at].score + (double)t->unknown_score, at, TOKEN_NONE);
    }
}

/* The way is known backwards, each position naming where its token began; turned round, each names
 * where its token ends. */
static void turn(struct best *best, uint32_t end) {
    struct best here = best[end];
    while (end > 0) {
        struct best before = best[here.from];
        best[here.from] = (struct best){0, end, here.id};
        end = here.from;
        here = before;
    }
}

static void put_way(const struct tokenizer *t, struct str text, struct best *best,
                    struct token_out *out) {
    bool unknown = false;
    turn(best, (uint32_t)text.n);
    for (uint32_t at = 0; at < text.n; at = best[at].from) {
        if (best[at].id >= 0)
            token_put(out, best[at].id);
        else if (t->v.bytes[0] >= 0 || !unknown)
            token_put_bytes(t, str_sub(text, at, best[at].from), out);
        unknown = best[at].id < 0;
    }
}

static enum code encode_unigram(const struct tokenizer *t, struct str text, bool first,
                                struct token_out *out, struct err *e) {
    struct str escaped = {0};
    struct arena_mark mark = arena_mark(out->scratch);
    enum code code = blanks_encode(text, blanks_prefix(t, text, first), out->scratch, &escaped, e);
    struct best *best = NULL;
    if (code == OK && escaped.n >= UINT32_MAX)
        code = fail(e, LIMIT, "a text of %zu bytes is too long", text.n);
    if (code == OK && !(best = ARENA_ARRAY(out->scratch, escaped.n + 1, struct best)))
        code = arena_fail(out->scratch, escaped.n * sizeof *best, "tokens", e);
    if (code == OK) {
        search(t, escaped, best);
        put_way(t, escaped, best, out);
    }
    arena_reset(out->scratch, mark);
    return code;
}

const struct tokenizer_kind tokenizer_unigram = {
    .name = "unigram",
    .open = open_unigram,
    .encode = encode_unigram,
};
