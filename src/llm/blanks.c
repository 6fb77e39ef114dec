/* SPDX-License-Identifier: Apache-2.0 */
/* SentencePiece writes a space as U+2581, in its vocabulary and in what it reads: both ways, for
 * its BPE and its unigram model. */
#include "llm/tokenizer_in.h"

#define BLANK "\xe2\x96\x81" /* U+2581 */

enum code blanks_decode(struct str name, struct arena *a, struct str *out, struct err *e) {
    size_t n = 0;
    char *text = arena_push(a, name.n);
    if (!text)
        return arena_fail(a, name.n, "vocabulary", e);
    for (size_t at = 0; at < name.n; n++) {
        bool blank = str_starts(str_sub(name, at, name.n), BLANK);
        text[n] = blank ? ' ' : name.p[at];
        at += blank ? 3 : 1;
    }
    *out = (struct str){text, n};
    return OK;
}

enum code blanks_open(struct tokenizer *t, const struct model *m, struct err *e) {
    const struct attr *drop = model_fact(m, "tok.drop_space");
    t->prefix_space = tokenizer_fact_bool(m, "tok.add_prefix_space", true);
    t->prefix_first = tokenizer_fact_bool(m, "tok.prefix_first", false);
    t->prefix_once = tokenizer_fact_bool(m, "tok.prefix_once", false);
    t->drop = t->prefix_space ? DROP_ONE : DROP_NONE;
    if (drop && drop->kind == ATTR_INT && drop->i >= DROP_NONE && drop->i <= DROP_ALL)
        t->drop = (enum drop)drop->i;
    for (size_t i = 0; i < t->v.n; i++)
        if (t->v.kinds[i] != TOKEN_BYTE)
            TRY(blanks_decode(t->v.names[i], &t->arena, &t->v.texts[i], e));
    return OK;
}

bool blanks_prefix(const struct tokenizer *t, struct str text, bool first) {
    bool there = str_starts(text, BLANK) || str_starts(text, " ");
    return t->prefix_space && (first || !t->prefix_first) && !(t->prefix_once && there);
}

enum code blanks_encode(struct str text, bool prefix, struct arena *a, struct str *out,
                        struct err *e) {
    size_t spaces = prefix, n = 0;
    for (size_t i = 0; i < text.n; i++)
        spaces += text.p[i] == ' ';
    char *p = arena_push(a, text.n + 3 * spaces);
    if (!p)
        return arena_fail(a, text.n + 3 * spaces, "text", e);
    if (prefix) {
        memcpy(p, BLANK, 3);
        n = 3;
    }
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] != ' ') {
            p[n++] = text.p[i];
            continue;
        }
        memcpy(p + n, BLANK, 3);
        n += 3;
    }
    *out = (struct str){p, n};
    return OK;
}
