/* SPDX-License-Identifier: Apache-2.0 */
/* Text operations with Python's meaning. */
#include "llm/jinja_string.h"

#include "base/utf8.h"
#include "llm/unicode.h"

static bool holds(const struct text *chars, struct text one) {
    return string_find(*chars, one, 0) != SIZE_MAX;
}

/* The character that ends at `end`. */
static size_t start_of(struct text t, size_t end) {
    size_t at = end - 1;
    while (at > 0 && end - at < 4 && ((uint8_t)t.p[at] & 0xc0) == 0x80)
        at--;
    return at;
}

static bool goes(struct text t, const struct text *chars, size_t at, size_t end) {
    uint32_t c;
    if (chars)
        return holds(chars, text_sub(t, at, end));
    (void)unicode_next(text_str(t), at, &c);
    return unicode_kind(c) == UNICODE_SPACE || (c >= 0x1c && c <= 0x1f);
}

struct text string_strip(struct text t, const struct text *chars, bool front, bool back) {
    size_t from = 0, to = t.n;
    while (front && from < to) {
        uint32_t c;
        size_t n = unicode_next(text_str(t), from, &c);
        if (!goes(t, chars, from, from + n))
            break;
        from += n;
    }
    while (back && to > from) {
        size_t at = start_of(t, to);
        if (!goes(t, chars, at, to))
            break;
        to = at;
    }
    return text_sub(t, from, to);
}

size_t string_find(struct text t, struct text what, size_t from) {
    if (from > t.n)
        return SIZE_MAX;
    if (what.n == 0)
        return from;
    const char *found = memmem(t.p + from, t.n - from, what.p, what.n);
    return found ? (size_t)(found - t.p) : SIZE_MAX;
}

enum code string_case(struct rendering *r, struct text t, enum string_case how, struct datum *out) {
    struct sink s = {0};
    bool inside = false;
    TRY(render_step(r, t.n / 8));
    for (size_t at = 0, n; at < t.n; at += n) {
        uint32_t c;
        char spelt[4];
        uint8_t marks[4] = {0};
        n = unicode_next(text_str(t), at, &c);
        bool up =
            how == CASE_UPPER || (how == CASE_TITLE && !inside) || (how == CASE_CAPITAL && at == 0);
        inside = unicode_letter(c);
        if (c == UNICODE_BROKEN) {
            if (!sink_put(r, &s, text_sub(t, at, at + n)))
                return r->e->code;
            continue;
        }
        size_t bytes = utf8_put(up ? unicode_upper(c) : unicode_lower(c), spelt);
        memset(marks, t.foreign ? t.foreign[at] : 0, bytes);
        if (!sink_put(r, &s, (struct text){spelt, marks, bytes}))
            return r->e->code;
    }
    *out = sink_datum(&s);
    return OK;
}

enum code string_replace(struct rendering *r, struct text t, struct text from, struct text to,
                         int64_t most, struct datum *out) {
    struct sink s = {0};
    size_t at = 0;
    TRY(render_step(r, t.n / 64));
    if (from.n == 0)
        return render_fail(r, "replace: nothing to look for");
    for (int64_t n = 0; n != most; n++) {
        size_t found = string_find(t, from, at);
        if (found == SIZE_MAX)
            break;
        if (!sink_put(r, &s, text_sub(t, at, found)) || !sink_put(r, &s, to))
            return r->e->code;
        at = found + from.n;
    }
    if (!sink_put(r, &s, text_sub(t, at, t.n)))
        return r->e->code;
    *out = sink_datum(&s);
    return OK;
}

static enum code add(struct rendering *r, struct list *l, struct text t) {
    TRY(render_step(r, 0));
    return list_add(l, datum_of_text(t), r->arena) ? OK : render_full(r, 64);
}

static enum code split_front(struct rendering *r, struct text t, const struct text *separator,
                             int64_t most, struct list *l) {
    size_t at = 0;
    for (int64_t n = 0; n != most; n++) {
        size_t found = string_find(t, *separator, at);
        if (found == SIZE_MAX)
            break;
        TRY(add(r, l, text_sub(t, at, found)));
        at = found + separator->n;
    }
    return add(r, l, text_sub(t, at, t.n));
}

static enum code split_back(struct rendering *r, struct text t, const struct text *separator,
                            int64_t most, struct list *l) {
    for (int64_t n = 0; n != most; n++) {
        size_t at = t.n >= separator->n ? t.n - separator->n + 1 : 0;
        while (at > 0 && memcmp(t.p + at - 1, separator->p, separator->n) != 0)
            at--;
        if (at == 0)
            break;
        TRY(render_step(r, (t.n - at) / 64));
        TRY(add(r, l, text_sub(t, at - 1 + separator->n, t.n)));
        t = text_sub(t, 0, at - 1);
    }
    TRY(add(r, l, t));
    for (size_t i = 0; i < l->n / 2; i++) {
        struct datum v = l->v[i];
        l->v[i] = l->v[l->n - 1 - i];
        l->v[l->n - 1 - i] = v;
    }
    return OK;
}

static enum code split_white(struct rendering *r, struct text t, int64_t most, struct list *l) {
    t = string_strip(t, NULL, true, false);
    for (int64_t n = 0; t.n && n != most; n++) {
        size_t at = 0;
        while (at < t.n) {
            uint32_t c;
            size_t bytes = unicode_next(text_str(t), at, &c);
            if (goes(t, NULL, at, at + bytes))
                break;
            at += bytes;
        }
        TRY(add(r, l, text_sub(t, 0, at)));
        t = string_strip(text_sub(t, at, t.n), NULL, true, false);
    }
    return t.n ? add(r, l, string_strip(t, NULL, false, true)) : OK;
}

enum code string_split(struct rendering *r, struct text t, const struct text *separator,
                       int64_t most, bool from_back, struct datum *out) {
    struct list *l = ARENA_NEW(r->arena, struct list);
    if (!l)
        return render_full(r, sizeof *l);
    *out = (struct datum){.kind = DATUM_LIST, .list = l};
    if (!separator)
        return split_white(r, t, most, l);
    if (separator->n == 0)
        return render_fail(r, "split: an empty separator");
    return from_back ? split_back(r, t, separator, most, l) : split_front(r, t, separator, most, l);
}
