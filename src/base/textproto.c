/* SPDX-License-Identifier: Apache-2.0 */
/* Text format: see textproto.h. */
#include "base/textproto.h"

#include <stdio.h>

void textproto_init(struct textproto *t, struct str text, struct arena *arena) {
    *t = (struct textproto){.p = text.p, .end = text.p + text.n, .begin = text.p, .arena = arena};
}

enum code textproto_fail(const struct textproto *t, struct err *e, const char *format, ...) {
    char text[300];
    int line = 1, column = 1;
    va_list args;
    for (const char *p = t->begin; p < t->p; p++) {
        column = *p == '\n' ? 1 : column + 1;
        line += *p == '\n';
    }
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return fail(e, INVALID, "line %d column %d: %s", line, column, text);
}

/* --- pieces --- */

static void skip_space(struct textproto *t) {
    while (t->p < t->end) {
        if (*t->p == '#')
            while (t->p < t->end && *t->p != '\n')
                t->p++;
        else if (*t->p == ' ' || *t->p == '\t' || *t->p == '\n' || *t->p == '\r')
            t->p++;
        else
            return;
    }
}

static bool take(struct textproto *t, char c) {
    skip_space(t);
    if (t->p == t->end || *t->p != c)
        return false;
    t->p++;
    return true;
}

static bool in_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == '+' || c == '-';
}

static struct str take_word(struct textproto *t) {
    const char *from = t->p;
    while (t->p < t->end && in_word(*t->p))
        t->p++;
    return (struct str){from, (size_t)(t->p - from)};
}

static int digit_of(char c, int base) {
    int v = c >= '0' && c <= '9'   ? c - '0'
            : c >= 'a' && c <= 'f' ? c - 'a' + 10
            : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                   : 99;
    return v < base ? v : -1;
}

/* Up to `most` digits of the base, as one byte. */
static char take_digits(struct textproto *t, int base, int most) {
    int v = 0;
    for (int i = 0; i < most && t->p < t->end && digit_of(*t->p, base) >= 0; i++)
        v = v * base + digit_of(*t->p++, base);
    return (char)v;
}

static enum code take_escape(struct textproto *t, char *out, struct err *e) {
    static const char from[] = "abfnrtv\\'\"?", to[] = "\a\b\f\n\r\t\v\\'\"?";
    if (t->p == t->end)
        return textproto_fail(t, e, "a string does not end");
    if (digit_of(*t->p, 8) >= 0) {
        *out = take_digits(t, 8, 3);
        return OK;
    }
    char c = *t->p++;
    if (c == 'x' || c == 'X') {
        *out = take_digits(t, 16, 2);
        return OK;
    }
    const char *at = c ? strchr(from, c) : NULL;
    if (!at)
        return textproto_fail(t, e, "an escape '\\%c' is not known here", c);
    *out = to[at - from];
    return OK;
}

/* One piece in quotes, behind `before`; it ends on its line. */
static enum code take_piece(struct textproto *t, struct str *text, struct err *e) {
    char quote = *t->p++;
    const char *line = memchr(t->p, '\n', (size_t)(t->end - t->p));
    size_t most = (size_t)((line ? line : t->end) - t->p), n = text->n;
    char *joined = arena_push(t->arena, n + most + 1);
    if (!joined)
        return arena_fail(t->arena, n + most, "string", e);
    if (n)
        memcpy(joined, text->p, n);
    while (t->p < t->end && *t->p != quote && *t->p != '\n') {
        char c = *t->p++;
        if (c == '\\')
            TRY(take_escape(t, &c, e));
        joined[n++] = c;
    }
    if (t->p == t->end || *t->p != quote)
        return textproto_fail(t, e, "a string does not end");
    t->p++;
    *text = (struct str){joined, n};
    return OK;
}

/* 'a' "b": one after the other they are one string. */
static enum code take_string(struct textproto *t, struct str *out, struct err *e) {
    *out = (struct str){0};
    for (skip_space(t); t->p < t->end && (*t->p == '"' || *t->p == '\''); skip_space(t))
        TRY(take_piece(t, out, e));
    return OK;
}

/* --- fields --- */

static enum code enter(struct textproto *t, char close, struct textproto_field *out,
                       struct err *e) {
    if (t->depth == TEXTPROTO_DEPTH)
        return textproto_fail(t, e, "messages nested deeper than %d", TEXTPROTO_DEPTH);
    t->depth++;
    t->list[t->depth] = (struct str){0};
    t->close[t->depth] = close;
    out->message = true;
    return OK;
}

static enum code take_value(struct textproto *t, bool colon, struct textproto_field *out,
                            struct err *e) {
    skip_space(t);
    if (take(t, '{'))
        return enter(t, '}', out, e);
    if (take(t, '<'))
        return enter(t, '>', out, e);
    if (!colon)
        return textproto_fail(t, e, "expected ':' or '{' after '%.*s'", STR(out->name));
    if (t->p < t->end && (*t->p == '"' || *t->p == '\'')) {
        out->quoted = true;
        return take_string(t, &out->value, e);
    }
    bool minus = take(t, '-');
    skip_space(t);
    out->value = take_word(t);
    if (out->value.n == 0)
        return textproto_fail(t, e, "expected a value of '%.*s'", STR(out->name));
    if (minus) {
        char *text = arena_printf(t->arena, "-%.*s", STR(out->value));
        if (!text)
            return arena_fail(t->arena, out->value.n, "value", e);
        out->value = str_of(text);
    }
    return OK;
}

/* The next item of the open list, or false when it ended. */
static enum code next_item(struct textproto *t, struct textproto_field *out, bool *more,
                           struct err *e) {
    struct str *list = &t->list[t->depth];
    out->name = *list;
    if (take(t, ']')) {
        *list = (struct str){0};
        *more = false;
        return OK;
    }
    (void)take(t, ',');
    *more = true;
    return take_value(t, true, out, e);
}

/* Between fields: the end of the message or the text, or the next field's name. */
static enum code next_name(struct textproto *t, struct str *name, bool *more, struct err *e) {
    while (take(t, ',') || take(t, ';')) {
    }
    *more = false;
    if (t->depth == 0 && t->p == t->end)
        return OK;
    if (t->depth && take(t, t->close[t->depth])) {
        t->depth--;
        return OK;
    }
    if (t->p == t->end)
        return textproto_fail(t, e, "a message does not end: expected '%c'", t->close[t->depth]);
    *name = take_word(t);
    *more = true;
    return name->n ? OK : textproto_fail(t, e, "expected the name of a field");
}

enum code textproto_next(struct textproto *t, struct textproto_field *out, bool *more,
                         struct err *e) {
    for (;;) {
        *out = (struct textproto_field){0};
        if (t->list[t->depth].n) {
            TRY(next_item(t, out, more, e));
            if (*more)
                return OK;
            *out = (struct textproto_field){0};
        }
        TRY(next_name(t, &out->name, more, e));
        if (!*more)
            return OK;
        bool colon = take(t, ':');
        if (!take(t, '['))
            return take_value(t, colon, out, e);
        t->list[t->depth] = out->name; /* its items come next, if any */
    }
}

enum code textproto_skip(struct textproto *t, const struct textproto_field *f, struct err *e) {
    struct textproto_field inside;
    bool more;
    if (!f->message)
        return OK;
    for (int depth = t->depth; t->depth >= depth;)
        TRY(textproto_next(t, &inside, &more, e));
    return OK;
}

enum code textproto_i64(const struct textproto *t, const struct textproto_field *f, int64_t *out,
                        struct err *e) {
    if (f->message || f->quoted || !str_to_i64(f->value, out))
        return textproto_fail(t, e, "'%.*s' must be a whole number", STR(f->name));
    return OK;
}

enum code textproto_bool(const struct textproto *t, const struct textproto_field *f, bool *out,
                         struct err *e) {
    bool yes = str_is(f->value, "true") || str_is(f->value, "1");
    if (f->message || f->quoted || (!yes && !str_is(f->value, "false") && !str_is(f->value, "0")))
        return textproto_fail(t, e, "'%.*s' must be true or false", STR(f->name));
    *out = yes;
    return OK;
}
