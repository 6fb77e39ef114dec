/* SPDX-License-Identifier: Apache-2.0 */
/* SentencePiece writes a space as U+2581, in its vocabulary and in what it reads: both ways, for
 * its BPE and its unigram model. */
#include "llm/tokenizer_in.h"

#define BLANK "\xe2\x96\x81" /* U+2581 */

enum code blanks_decode(struct tokenizer *t, struct err *e) {
    for (size_t i = 0; i < t->v.n; i++) {
        struct str name = t->v.names[i];
        size_t n = 0;
        if (t->v.kinds[i] == TOKEN_BYTE)
            continue;
        char *text = arena_push(&t->arena, name.n);
        if (!text)
            return arena_fail(&t->arena, name.n, "vocabulary", e);
        for (size_t at = 0; at < name.n; n++) {
            bool blank = str_starts(str_sub(name, at, name.n), BLANK);
            text[n] = blank ? ' ' : name.p[at];
            at += blank ? 3 : 1;
        }
        t->v.texts[i] = (struct str){text, n};
    }
    return OK;
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
