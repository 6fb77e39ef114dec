/* SPDX-License-Identifier: Apache-2.0 */
/* Unicode's normal form C (Annex 15): characters are taken apart, marks put in order, and what has
 * a character of its own put together again. Bytes that are not UTF-8 stay where they are. */
#include "base/utf8.h"
#include "llm/normalize.h"
#include "llm/unicode.h"

enum { FIRST = 0x300, FEW = 16 }; /* text of characters below FIRST is in form C already */

struct characters {
    uint32_t *p; /* UNICODE_BROKEN + byte: a byte that is no text */
    size_t n;
};

static bool is_plain(struct str text) {
    for (size_t i = 0; i < text.n; i++)
        if ((uint8_t)text.p[i] >= 0xcc) /* the first byte of U+0300, or none of any text */
            return false;
    return true;
}

static size_t next(struct str text, size_t at, uint32_t parts[UNICODE_PARTS], size_t *n) {
    uint32_t c;
    size_t bytes = unicode_next(text, at, &c);
    parts[0] = UNICODE_BROKEN + (uint8_t)text.p[at];
    *n = c == UNICODE_BROKEN ? 1 : unicode_decompose(c, parts);
    return bytes;
}

static enum code take_apart(struct str text, struct arena *a, struct characters *out,
                            struct err *e) {
    uint32_t parts[UNICODE_PARTS];
    size_t total = 0, n;
    for (size_t at = 0; at < text.n; total += n)
        at += next(text, at, parts, &n);
    out->p = ARENA_ARRAY(a, total, uint32_t);
    if (!out->p)
        return arena_fail(a, total * sizeof *out->p, "text", e);
    for (size_t at = 0; at < text.n; out->n += n) {
        at += next(text, at, parts, &n);
        memcpy(out->p + out->n, parts, n * sizeof *parts);
    }
    return OK;
}

static void order_few(uint32_t *p, size_t n) {
    for (size_t i = 1; i < n; i++) {
        uint32_t c = p[i];
        size_t to = i;
        for (; to > 0 && unicode_combining(p[to - 1]) > unicode_combining(c); to--)
            p[to] = p[to - 1];
        p[to] = c;
    }
}

/* By counting: a text may be one letter with a million marks. */
static enum code order_many(uint32_t *p, size_t n, struct arena *a, struct err *e) {
    size_t begin[257] = {0};
    struct arena_mark mark = arena_mark(a);
    uint32_t *copy = ARENA_ARRAY(a, n, uint32_t);
    if (!copy)
        return arena_fail(a, n * sizeof *copy, "text", e);
    memcpy(copy, p, n * sizeof *copy);
    for (size_t i = 0; i < n; i++)
        begin[unicode_combining(p[i]) + 1]++;
    for (size_t k = 1; k < 257; k++)
        begin[k] += begin[k - 1];
    for (size_t i = 0; i < n; i++)
        p[begin[unicode_combining(copy[i])]++] = copy[i];
    arena_reset(a, mark);
    return OK;
}

/* Marks between two starters, by their classes; those of one class keep their order. */
static enum code put_in_order(struct characters *c, struct arena *a, struct err *e) {
    for (size_t from = 0; from < c->n;) {
        size_t to = from;
        while (to < c->n && unicode_combining(c->p[to]))
            to++;
        if (to - from > FEW)
            TRY(order_many(c->p + from, to - from, a, e));
        else
            order_few(c->p + from, to - from);
        from = to + 1;
    }
    return OK;
}

static void put_together(struct characters *c) {
    uint32_t *starter = NULL;
    size_t n = 0;
    int last = -1; /* class of what stands between the starter and here; -1: nothing */
    for (size_t i = 0; i < c->n; i++) {
        int class = unicode_combining(c->p[i]);
        uint32_t whole = starter && last < class ? unicode_compose(*starter, c->p[i]) : 0;
        if (whole) {
            *starter = whole;
            continue;
        }
        if (class == 0)
            starter = &c->p[n];
        last = class == 0 ? -1 : class;
        c->p[n++] = c->p[i];
    }
    c->n = n;
}

static enum code spell(const struct characters *c, struct arena *a, struct str *out,
                       struct err *e) {
    size_t n = 0;
    char *p = arena_push(a, 4 * c->n);
    if (!p)
        return arena_fail(a, 4 * c->n, "text", e);
    for (size_t i = 0; i < c->n; i++) {
        if (c->p[i] >= UNICODE_BROKEN)
            p[n++] = (char)(c->p[i] - UNICODE_BROKEN);
        else
            n += utf8_put(c->p[i], p + n);
    }
    *out = (struct str){p, n};
    return OK;
}

enum code nfc_text(struct str text, struct arena *a, struct str *out, struct err *e) {
    struct characters c = {0};
    *out = text;
    if (is_plain(text))
        return OK;
    TRY(take_apart(text, a, &c, e));
    TRY(put_in_order(&c, a, e));
    put_together(&c);
    return spell(&c, a, out, e);
}
