/* SPDX-License-Identifier: Apache-2.0 */
/* The steps one by one: see normalize.h. */
#include "llm/normalize.h"

#include "llm/tokenizer_in.h"
#include "llm/unicode.h"

#define BLANK "\xe2\x96\x81" /* U+2581 */

enum { GRAPHEME_MAX = 5 }; /* bytes of those that are looked up whole */

struct work {
    const struct normalizer *n;
    struct arena *a;
    size_t most; /* bytes the text may come to have */
};

typedef enum code step_fn(const struct work *w, struct str *text, struct err *e);

static enum code too_long(const struct work *w, struct err *e) {
    return fail(e, LIMIT, "normalisation makes a text longer than %zu bytes", w->most);
}

/* --- white space --- */

static bool is_space(struct str text, size_t at, size_t *n) {
    uint32_t c;
    *n = unicode_next(text, at, &c);
    return unicode_kind(c) == UNICODE_SPACE;
}

static enum code strip_left(const struct work *w, struct str *text, struct err *e) {
    size_t n;
    (void)w, (void)e;
    while (text->n && is_space(*text, 0, &n))
        *text = str_sub(*text, n, text->n);
    return OK;
}

/* The last character begins at most 4 bytes from the end. */
static size_t space_at_end(struct str text) {
    size_t n;
    for (size_t back = 1; back <= 4 && back <= text.n; back++)
        if (is_space(text, text.n - back, &n) && n == back)
            return back;
    return 0;
}

static enum code strip_right(const struct work *w, struct str *text, struct err *e) {
    (void)w, (void)e;
    for (size_t n; (n = space_at_end(*text)) > 0;)
        text->n -= n;
    return OK;
}

/* Runs of at least `least` spaces become `one`; unicode: of any white space, or of U+0020 only. */
static enum code squeeze_runs(const struct work *w, struct str *text, size_t least, bool unicode,
                              struct str one, struct err *e) {
    char *p = arena_push(w->a, 2 * text->n + 1); /* two spaces become three bytes */
    size_t n = 0;
    if (!p)
        return arena_fail(w->a, 2 * text->n, "text", e);
    for (size_t at = 0, end, bytes; at < text->n; at = end) {
        size_t run = 0;
        for (end = at; end < text->n; end += bytes, run++) {
            bytes = 1;
            if (unicode ? !is_space(*text, end, &bytes) : text->p[end] != ' ')
                break;
        }
        if (run == 0)
            end = at + 1;
        struct str now = run >= least ? one : str_sub(*text, at, end);
        memcpy(p + n, now.p, now.n);
        n += now.n;
    }
    *text = (struct str){p, n};
    return OK;
}

static enum code squeeze(const struct work *w, struct str *text, struct err *e) {
    return squeeze_runs(w, text, 2, false, LIT(" "), e);
}

static enum code squeeze_blank(const struct work *w, struct str *text, struct err *e) {
    return squeeze_runs(w, text, 2, false, LIT(BLANK), e);
}

static enum code words(const struct work *w, struct str *text, struct err *e) {
    TRY(strip_left(w, text, e));
    TRY(strip_right(w, text, e));
    return squeeze_runs(w, text, 1, true, LIT(" "), e);
}

/* SentencePiece writes spaces as U+2581 before it strips the end: those of the text's own go too.
 */
static enum code spaces(const struct work *w, struct str *text, struct err *e) {
    while (text->n && text->p[0] == ' ')
        *text = str_sub(*text, 1, text->n);
    while (str_ends(*text, " ") || str_ends(*text, BLANK))
        text->n -= str_ends(*text, " ") ? 1 : 3;
    return squeeze_runs(w, text, 1, false, LIT(" "), e);
}

/* --- blanks --- */

static enum code prepend(const struct work *w, struct str *text, struct err *e) {
    if (text->n == 0)
        return OK;
    char *p = arena_push(w->a, text->n + 3);
    if (!p)
        return arena_fail(w->a, text->n + 3, "text", e);
    memcpy(p, BLANK, 3);
    memcpy(p + 3, text->p, text->n);
    *text = (struct str){p, text->n + 3};
    return OK;
}

static enum code blanks(const struct work *w, struct str *text, struct err *e) {
    return blanks_encode(*text, false, w->a, text, e);
}

/* --- the table of mappings --- */

struct writer {
    const struct work *w;
    char *p;
    size_t n, room;
};

static enum code write_text(struct writer *o, struct str s, struct err *e) {
    if (s.n > o->w->most - o->n)
        return too_long(o->w, e);
    if (o->room - o->n < s.n) {
        size_t room = 2 * o->room + s.n;
        char *p = arena_push(o->w->a, room);
        if (!p)
            return arena_fail(o->w->a, room, "text", e);
        if (o->n)
            memcpy(p, o->p, o->n);
        o->p = p;
        o->room = room;
    }
    if (s.n)
        memcpy(o->p + o->n, s.p, s.n);
    o->n += s.n;
    return OK;
}

static enum code charsmap(const struct work *w, struct str *text, struct err *e) {
    struct writer out = {.w = w};
    for (size_t at = 0; at < text->n;) {
        uint32_t c;
        struct str now, rest = str_sub(*text, at, text->n);
        size_t n = charsmap_find(&w->n->charsmap, rest, true, &now);
        if (n == 0) {
            n = unicode_next(rest, 0, &c);
            now = c == UNICODE_BROKEN ? LIT("\xef\xbf\xbd") : str_sub(rest, 0, n);
        }
        TRY(write_text(&out, now, e));
        at += n;
    }
    *text = (struct str){out.p, out.n};
    return OK;
}

/* Does c belong to the grapheme before it (Unicode Annex 29, GB9 and GB9a, as far as graphemes of a
 * few bytes go)? Of the spacing marks those of Burmese and Tai that end a grapheme are left out. */
static bool goes_on(uint32_t c) {
    bool tone = (c >= 0x1062 && c <= 0x1064) || (c >= 0x1067 && c <= 0x106d) ||
                (c >= 0x1087 && c <= 0x108c) || (c >= 0x109a && c <= 0x109c) || c == 0x102b ||
                c == 0x102c || c == 0x1038 || c == 0x1083 || c == 0x108f || c == 0x1a61 ||
                c == 0x1a63 || c == 0x1a64 || c == 0xaa7b || c == 0xaa7d;
    return (unicode_mark(c) && !tone) || c == 0x200c || c == 0x200d || c == 0x0e33 || c == 0x0eb3 ||
           c == 0xff9e || c == 0xff9f || (c >= 0x1f3fb && c <= 0x1f3ff) ||
           (c >= 0xe0020 && c <= 0xe007f);
}

/* GB9b: what belongs to the character behind it. */
static bool leads(uint32_t c) {
    return (c >= 0x0600 && c <= 0x0605) || c == 0x06dd || c == 0x070f || c == 0x0890 ||
           c == 0x0891 || c == 0x08e2 || c == 0x0d4e || (c >= 0x111c2 && c <= 0x111c3);
}

static bool stands_alone(uint32_t c) { /* GB4, GB5 */
    return c == UNICODE_BROKEN || c == 0x2028 || c == 0x2029 || c < 0x20 || c == 0x85 ||
           (unicode_kind(c) == UNICODE_CONTROL && !leads(c) && !goes_on(c));
}

static size_t grapheme(struct str text) {
    uint32_t before, c;
    size_t at = unicode_next(text, 0, &before), n;
    if (before == '\r' && at < text.n && text.p[at] == '\n')
        return 2;
    for (; at < text.n && !stands_alone(before); at += n, before = c) {
        n = unicode_next(text, at, &c);
        if (stands_alone(c) || !(goes_on(c) || leads(before)))
            break;
    }
    return at;
}

static enum code charsmap_hf(const struct work *w, struct str *text, struct err *e) {
    struct writer out = {.w = w};
    for (size_t at = 0, end; at < text->n; at = end) {
        uint32_t c;
        struct str now;
        end = at + grapheme(str_sub(*text, at, text->n));
        if (end - at <= GRAPHEME_MAX &&
            charsmap_find(&w->n->charsmap, str_sub(*text, at, end), false, &now)) {
            TRY(write_text(&out, now, e));
            continue;
        }
        for (size_t n; at < end; at += n) {
            n = unicode_next(*text, at, &c);
            struct str one = str_sub(*text, at, at + n);
            bool found = charsmap_find(&w->n->charsmap, one, false, &now);
            TRY(write_text(&out, found ? now : one, e));
        }
    }
    *text = (struct str){out.p, out.n};
    return OK;
}

/* --- all of them --- */

static enum code nfc(const struct work *w, struct str *text, struct err *e) {
    return nfc_text(*text, w->a, text, e);
}

static const struct {
    const char *name;
    step_fn *run;
    bool maps;
} steps[] = {
    {"nfc", nfc, false},
    {"charsmap", charsmap, true},
    {"charsmap_hf", charsmap_hf, true},
    {"strip_left", strip_left, false},
    {"strip_right", strip_right, false},
    {"squeeze", squeeze, false},
    {"squeeze_blank", squeeze_blank, false},
    {"words", words, false},
    {"spaces", spaces, false},
    {"prepend", prepend, false},
    {"blanks", blanks, false},
};

static enum code add_step(struct normalizer *n, struct str name, const struct attr *map,
                          struct err *e) {
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        if (!str_is(name, steps[i].name))
            continue;
        if (steps[i].maps && (!map || map->kind != ATTR_STR))
            return fail(e, FORMAT, "the tokenizer has no precompiled_charsmap");
        if (steps[i].maps)
            TRY(charsmap_open(map->s, &n->charsmap, e));
        n->steps[n->n++] = (uint8_t)i;
        return OK;
    }
    return fail(e, UNSUPPORTED, "normalisation '%.*s' is not one this build knows",
                STR(str_sub(name, 0, 64)));
}

enum code normalizer_open(const struct model *m, struct normalizer *out, struct err *e) {
    const struct attr *list = model_fact(m, "tok.normalize"), *map = model_fact(m, "tok.charsmap");
    *out = (struct normalizer){0};
    if (!list)
        return OK;
    if (list->kind != ATTR_STRS || list->n > NORMALIZE_STEPS)
        return fail(e, FORMAT, "the tokenizer's normalisation is not a list of up to %d steps",
                    NORMALIZE_STEPS);
    for (size_t i = 0; i < list->n; i++)
        TRY(add_step(out, list->strs[i], map, e));
    return OK;
}

enum code normalizer_run(const struct normalizer *n, struct str text, struct arena *a,
                         struct str *out, struct err *e) {
    struct work w = {.n = n, .a = a, .most = NORMALIZE_GROWTH * text.n + 64};
    for (size_t i = 0; i < n->n; i++)
        TRY(steps[n->steps[i]].run(&w, &text, e));
    *out = text;
    return OK;
}
