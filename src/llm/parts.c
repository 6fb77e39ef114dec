/* SPDX-License-Identifier: Apache-2.0 */
/* Special tokens in a text: see parts.h. Each set of them is a map by spelling; a bit per first
 * byte and the lengths that occur say where to look at all. */
#include "llm/parts.h"

#include "llm/unicode.h"

#include <stdlib.h>

/* --- the sets --- */

static int longer_first(const void *a, const void *b) {
    return *(const uint16_t *)b - *(const uint16_t *)a;
}

static enum code add_special(struct special_set *s, struct arena *a, struct str name, int32_t id,
                             struct err *e) {
    uint8_t first = (uint8_t)name.p[0];
    size_t i = 0;
    if (!s->lengths && !(s->lengths = ARENA_ARRAY(a, TOKEN_BYTES_MAX + 1, uint16_t)))
        return arena_fail(a, TOKEN_BYTES_MAX, "vocabulary", e);
    while (i < s->n_lengths && s->lengths[i] != name.n)
        i++;
    if (i == s->n_lengths)
        s->lengths[s->n_lengths++] = (uint16_t)name.n;
    s->first[first / 64] |= (uint64_t)1 << first % 64;
    return map_put(&s->ids, name, (void *)(uintptr_t)(id + 1), e);
}

static bool is_special(uint8_t kind) {
    return kind == TOKEN_CONTROL || kind == TOKEN_USER || kind == TOKEN_UNKNOWN;
}

static enum code add_normalized(struct tokenizer *t, int32_t id, struct err *e) {
    struct str name = t->v.names[id];
    TRY(normalizer_run(&t->normalizer, name, &t->arena, &name, e));
    if (name.n == 0 || name.n > TOKEN_BYTES_MAX)
        return OK; /* nothing of it is left to be found */
    TRY(blanks_decode(name, &t->arena, &t->v.texts[id], e));
    return add_special(&t->normalized, &t->arena, name, id, e);
}

static enum code read_edges(struct tokenizer *t, const struct model *m, struct err *e) {
    const struct attr *f = model_fact(m, "tok.edges");
    if (!f)
        return OK;
    if (f->kind != ATTR_INTS || f->n != t->v.n)
        return fail(e, FORMAT, "the tokenizer has %zu tokens and edges of %zu", t->v.n, f->n);
    t->edges = ARENA_ARRAY(&t->arena, t->v.n, uint8_t);
    if (!t->edges)
        return arena_fail(&t->arena, t->v.n, "vocabulary", e);
    for (size_t i = 0; i < t->v.n; i++)
        t->edges[i] = (uint8_t)f->ints[i];
    return OK;
}

static uint8_t edges_of(const struct tokenizer *t, size_t id) {
    return t->edges ? t->edges[id] : 0;
}

enum code parts_open(struct tokenizer *t, const struct model *m, struct err *e) {
    TRY(normalizer_open(m, &t->normalizer, e));
    TRY(read_edges(t, m, e));
    map_init(&t->specials.ids, &t->arena);
    map_init(&t->normalized.ids, &t->arena);
    for (size_t i = 0; i < t->v.n; i++) {
        struct str name = t->v.names[i];
        if (name.n == 0 || !is_special(t->v.kinds[i]))
            continue;
        bool late = t->v.kinds[i] == TOKEN_USER && edges_of(t, i) & EDGE_NORMALIZED;
        TRY(late && t->normalizer.n ? add_normalized(t, (int32_t)i, e)
                                    : add_special(&t->specials, &t->arena, name, (int32_t)i, e));
        if (t->v.kinds[i] != TOKEN_USER)
            t->v.texts[i] = (struct str){0};
    }
    struct special_set *sets[] = {&t->specials, &t->normalized};
    for (int s = 0; s < 2; s++)
        if (sets[s]->n_lengths)
            qsort(sets[s]->lengths, sets[s]->n_lengths, sizeof(uint16_t), longer_first);
    return OK;
}

/* --- the cuts --- */

static bool may_be_control(const struct marked *m, size_t at, size_t n) {
    return m->controls && (!m->foreign || !memchr(m->foreign + at, 1, n));
}

/* The special token at text[at], the longest; TOKEN_NONE: none that may count here. */
static int32_t special_at(const struct tokenizer *t, const struct special_set *s,
                          const struct marked *m, size_t at, size_t *n) {
    uint8_t first = (uint8_t)m->text.p[at];
    if (!(s->first[first / 64] >> first % 64 & 1))
        return TOKEN_NONE;
    for (size_t i = 0; i < s->n_lengths; i++) {
        struct str part = str_sub(m->text, at, at + s->lengths[i]);
        if (part.n != s->lengths[i])
            continue;
        int32_t id = (int32_t)(uintptr_t)map_get(&s->ids, part) - 1;
        if (id >= 0 && (t->v.kinds[id] == TOKEN_USER || may_be_control(m, at, part.n))) {
            *n = part.n;
            return id;
        }
    }
    return TOKEN_NONE;
}

static bool is_word(uint32_t c) { /* \w */
    enum unicode_kind k = unicode_kind(c);
    return unicode_letter(c) || unicode_mark(c) || k == UNICODE_N || c == '_' || c == 0x200c ||
           c == 0x200d || c == 0x203f || c == 0x2040 || c == 0x2054;
}

/* The character that ends before text[at], and its bytes. at > 0 */
static size_t character_before(struct str text, size_t at, uint32_t *c) {
    for (size_t n = 1; n <= 4 && n <= at; n++)
        if (unicode_next(text, at - n, c) == n && (n > 1 || *c != UNICODE_BROKEN))
            return n;
    *c = UNICODE_BROKEN;
    return 1;
}

static bool is_single(struct str text, size_t at, size_t end) {
    uint32_t before = 0, behind = 0;
    if (at > 0)
        character_before(text, at, &before);
    if (end < text.n)
        unicode_next(text, end, &behind);
    return !(at > 0 && is_word(before)) && !(end < text.n && is_word(behind));
}

static size_t spaces_before(struct str text, size_t from, size_t at) {
    uint32_t c;
    while (at > from) {
        size_t n = character_before(text, at, &c);
        if (unicode_kind(c) != UNICODE_SPACE || n > at - from)
            break;
        at -= n;
    }
    return at;
}

static size_t spaces_behind(struct str text, size_t at) {
    uint32_t c;
    while (at < text.n) {
        size_t n = unicode_next(text, at, &c);
        if (unicode_kind(c) != UNICODE_SPACE)
            break;
        at += n;
    }
    return at;
}

static enum code put_part(struct parts *p, struct arena *a, struct part part, struct err *e) {
    if (p->n == p->room) {
        size_t room = p->room ? 2 * p->room : 16;
        struct part *list = ARENA_ARRAY(a, room, struct part);
        if (!list)
            return arena_fail(a, room * sizeof *list, "parts of the text", e);
        if (p->n)
            memcpy(list, p->list, p->n * sizeof *list);
        p->list = list;
        p->room = room;
    }
    p->bytes += part.text.n;
    p->list[p->n++] = part;
    return OK;
}

typedef enum code put_text_fn(const struct tokenizer *t, struct part part, struct arena *a,
                              struct parts *out, struct err *e);

/* put_text is given what lies between the tokens of the set; first: m->text begins the text. */
static enum code cut_at(const struct tokenizer *t, const struct special_set *s,
                        const struct marked *m, bool first, put_text_fn *put_text, struct arena *a,
                        struct parts *out, struct err *e) {
    size_t begin = 0, n = 0;
    for (size_t at = 0; at < m->text.n;) {
        int32_t id = special_at(t, s, m, at, &n);
        if (id < 0) {
            at++;
            continue;
        }
        uint8_t edges = edges_of(t, (size_t)id);
        size_t from = at, end = at + n;
        at = end;
        if (edges & EDGE_WORD && !is_single(m->text, from, end))
            continue;
        if (edges & EDGE_STRIP_LEFT)
            from = spaces_before(m->text, begin, from);
        if (edges & EDGE_STRIP_RIGHT)
            at = end = spaces_behind(m->text, end);
        struct part text = {str_sub(m->text, begin, from), TOKEN_NONE, first && begin == 0};
        TRY(put_text(t, text, a, out, e));
        TRY(put_part(out, a, (struct part){.id = id}, e));
        begin = end;
    }
    struct part rest = {str_sub(m->text, begin, m->text.n), TOKEN_NONE, first && begin == 0};
    return put_text(t, rest, a, out, e);
}

static enum code put_plain(const struct tokenizer *t, struct part part, struct arena *a,
                           struct parts *out, struct err *e) {
    (void)t;
    return part.text.n ? put_part(out, a, part, e) : OK;
}

static enum code put_raw(const struct tokenizer *t, struct part part, struct arena *a,
                         struct parts *out, struct err *e) {
    if (part.text.n == 0)
        return OK;
    TRY(normalizer_run(&t->normalizer, part.text, a, &part.text, e));
    struct marked m = {.text = part.text};
    return t->normalized.n_lengths ? cut_at(t, &t->normalized, &m, part.first, put_plain, a, out, e)
                                   : put_plain(t, part, a, out, e);
}

enum code parts_cut(const struct tokenizer *t, const struct marked *m, struct arena *a,
                    struct parts *out, struct err *e) {
    return cut_at(t, &t->specials, m, true, put_raw, a, out, e);
}
