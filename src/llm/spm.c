/* SPDX-License-Identifier: Apache-2.0 */
/* SentencePiece's BPE (Llama 2, Mistral, Gemma, Phi-3): spaces are written as U+2581, a text begins
 * as its characters, and neighbours whose joint spelling is a token are merged, the best score
 * first. Where a file lists merges instead of scores, their rank decides. A character that is no
 * token becomes its bytes. */
#include "llm/merge.h"
#include "llm/tokenizer_in.h"
#include "llm/unicode.h"

/* Spellings with spaces again. */
static enum code open_spm(struct tokenizer *t, const struct model *m, struct err *e) {
    const struct attr *merges = model_fact(m, "tok.merges");
    TRY(blanks_open(t, m, e));
    if (!t->v.scores || (merges && merges->n))
        return pairs_read(t, m, e);
    return OK;
}

static bool by_score(const void *ctx, struct str text, const struct symbol *left,
                     const struct symbol *right, struct merge *out) {
    const struct tokenizer *t = ctx;
    size_t n = (size_t)left->n + right->n;
    if (n > t->v.longest)
        return false;
    out->id = vocabulary_word(&t->v, str_sub(text, left->at, left->at + n));
    if (out->id < 0)
        return false;
    out->priority = -t->v.scores[out->id];
    return true;
}

static bool by_rank(const void *ctx, struct str text, const struct symbol *left,
                    const struct symbol *right, struct merge *out) {
    uint32_t rank = 0;
    (void)text;
    bool found = pairs_find(ctx, left->id, right->id, &rank, &out->id);
    out->priority = (float)rank;
    return found;
}

static enum code merge_text(const struct tokenizer *t, struct str text, struct token_out *out,
                            struct err *e) {
    size_t n = 0;
    struct symbol *s = ARENA_ARRAY(out->scratch, text.n, struct symbol);
    if (!s)
        return arena_fail(out->scratch, text.n * sizeof *s, "tokens", e);
    for (size_t at = 0; at < text.n; n++) {
        uint32_t c;
        size_t bytes = unicode_next(text, at, &c);
        s[n] = (struct symbol){.at = (uint32_t)at, .n = (uint32_t)bytes};
        s[n].id = vocabulary_word(&t->v, str_sub(text, at, at + bytes));
        at += bytes;
    }
    TRY(merge_all(s, n, text, t->pairs ? by_rank : by_score, t, out->scratch, e));
    for (int32_t i = 0; n && i >= 0; i = s[i].next) {
        if (s[i].id >= 0)
            token_put(out, s[i].id);
        else
            token_put_bytes(t, str_sub(text, s[i].at, s[i].at + s[i].n), out);
    }
    return OK;
}

static enum code encode_spm(const struct tokenizer *t, struct str text, bool first,
                            struct token_out *out, struct err *e) {
    struct str escaped = {0};
    struct arena_mark mark = arena_mark(out->scratch);
    enum code code = blanks_encode(text, blanks_prefix(t, text, first), out->scratch, &escaped, e);
    if (code == OK && escaped.n > UINT32_MAX)
        code = fail(e, LIMIT, "a text of %zu bytes is too long", text.n);
    if (code == OK)
        code = merge_text(t, escaped, out, e);
    arena_reset(out->scratch, mark);
    return code;
}

const struct tokenizer_kind tokenizer_spm = {
    .name = "spm",
    .open = open_spm,
    .encode = encode_spm,
    .adds_bos = true,
};
