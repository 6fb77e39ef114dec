/* SPDX-License-Identifier: Apache-2.0 */
/* JSON reader: see json.h. RFC 8259, strictly.
 *
 * Our own and not a library's because request bodies are mostly numbers: they go from the text
 * straight into a typed buffer (json_tensor.c), with no tree between and no allocation per value.
 *
 * 1. r->p <= r->end always, and only moves forward.
 * 2. Strings are valid UTF-8 when they leave here: lone surrogates and invalid bytes are refused.
 * 3. r->depth counts open containers; r->first[depth] is 1 until the innermost one has had a
 * member. */
#include "base/json.h"

#include "base/json_in.h"

#include <stdio.h>

void json_init(struct json *r, struct str text, struct arena *arena) {
    *r = (struct json){.p = text.p, .begin = text.p, .arena = arena};
    r->end = text.n ? text.p + text.n : text.p;
}

/* --- complaints --- */

enum code json_fail(const struct json *r, struct err *e, const char *format, ...) {
    char text[320];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    size_t line = 1;
    const char *start = r->begin;
    for (const char *nl = r->begin; nl < r->p && (nl = memchr(nl, '\n', (size_t)(r->p - nl)));) {
        start = ++nl;
        line++;
    }
    return fail(e, INVALID, "line %zu column %zu: %s", line, (size_t)(r->p - start) + 1, text);
}

/* What stands at the reader's position, for "expected X, found Y". */
static const char *found(const struct json *r, char text[16]) {
    if (r->p == r->end)
        return "the end of the text";
    unsigned char c = (unsigned char)*r->p;
    if (c > 0x20 && c < 0x7f)
        snprintf(text, 16, "'%c'", c);
    else
        snprintf(text, 16, "byte 0x%02x", c);
    return text;
}

enum code json_expected(struct json *r, const char *what, struct err *e) {
    static const char *const kinds[] = {[JSON_NULL] = "null",        [JSON_BOOL] = "true or false",
                                        [JSON_STRING] = "a string",  [JSON_ARRAY] = "an array",
                                        [JSON_OBJECT] = "an object", [JSON_NUMBER] = "a number",
                                        [JSON_END] = NULL,           [JSON_BAD] = NULL};
    char text[16];
    const char *kind = kinds[json_peek(r)];
    return json_fail(r, e, "expected %s, found %s", what, kind ? kind : found(r, text));
}

static enum code expected_byte(struct json *r, const char *what, struct err *e) {
    char text[16];
    return json_fail(r, e, "expected %s, found %s", what, found(r, text));
}

/* --- small things --- */

static void skip_space(struct json *r) { r->p = json_space(r->p, r->end); }

static bool at_byte(struct json *r, char c) {
    skip_space(r);
    return r->p < r->end && *r->p == c;
}

bool json_take_word(struct json *r, const char *word) {
    size_t n = strlen(word);
    if ((size_t)(r->end - r->p) < n || memcmp(r->p, word, n) != 0)
        return false;
    r->p += n;
    return true;
}

enum json_kind json_peek(struct json *r) {
    skip_space(r);
    if (r->p == r->end)
        return JSON_END;
    switch (*r->p) {
    case '{': return JSON_OBJECT;
    case '[': return JSON_ARRAY;
    case '"': return JSON_STRING;
    case 't':
    case 'f': return JSON_BOOL;
    case 'n': return JSON_NULL;
    case 'N':
    case 'I': return r->allow_nan ? JSON_NUMBER : JSON_BAD;
    default: return *r->p == '-' || (*r->p >= '0' && *r->p <= '9') ? JSON_NUMBER : JSON_BAD;
    }
}

/* --- containers --- */

static enum code enter(struct json *r, char bracket, const char *what, struct err *e) {
    if (!at_byte(r, bracket))
        return json_expected(r, what, e);
    if (r->depth == JSON_DEPTH)
        return json_fail(r, e, "nested deeper than %d", JSON_DEPTH);
    r->p++;
    r->first[++r->depth] = 1;
    return OK;
}

/* Between members: takes the comma (*more), or the closing bracket. */
static enum code next(struct json *r, char bracket, bool *more, struct err *e) {
    if (at_byte(r, bracket)) {
        r->p++;
        r->depth--;
        *more = false;
        return OK;
    }
    if (r->first[r->depth])
        r->first[r->depth] = 0;
    else if (at_byte(r, ','))
        r->p++;
    else
        return expected_byte(r, bracket == ']' ? "',' or ']'" : "',' or '}'", e);
    *more = true;
    return OK;
}

enum code json_enter_object(struct json *r, struct err *e) { return enter(r, '{', "an object", e); }
enum code json_enter_array(struct json *r, struct err *e) { return enter(r, '[', "an array", e); }

/* key NULL: checked but not delivered. */
static enum code next_key(struct json *r, struct str *key, bool *more, struct err *e) {
    bool go;
    struct str text = {NULL, 0};
    TRY(next(r, '}', &go, e));
    if (go) {
        if (!at_byte(r, '"'))
            return expected_byte(r, "a key in quotes", e);
        TRY(json_take_string(r, key ? &text : NULL, e));
        if (!at_byte(r, ':'))
            return expected_byte(r, "':'", e);
        r->p++;
    }
    if (key)
        *key = text;
    *more = go;
    return OK;
}

enum code json_next_key(struct json *r, struct str *key, bool *more, struct err *e) {
    return next_key(r, key, more, e);
}

enum code json_next_item(struct json *r, bool *more, struct err *e) {
    bool go;
    TRY(next(r, ']', &go, e));
    if (go && at_byte(r, ']'))
        return expected_byte(r, "a value after ','", e);
    *more = go;
    return OK;
}

enum code json_each_member(struct json *r, json_member_fn *take, void *context, struct err *e) {
    struct str key;
    bool more;
    TRY(json_enter_object(r, e));
    for (;;) {
        TRY(json_next_key(r, &key, &more, e));
        if (!more)
            return OK;
        TRY(take(context, r, key, e));
    }
}

enum code json_each_item(struct json *r, json_item_fn *take, void *context, struct err *e) {
    bool more;
    TRY(json_enter_array(r, e));
    for (;;) {
        TRY(json_next_item(r, &more, e));
        if (!more)
            return OK;
        TRY(take(context, r, e));
    }
}

/* --- words, and any value --- */

enum code json_bool(struct json *r, bool *out, struct err *e) {
    if (json_peek(r) == JSON_BOOL) {
        bool yes = *r->p == 't';
        if (json_take_word(r, yes ? "true" : "false")) {
            *out = yes;
            return OK;
        }
    }
    return json_expected(r, "true or false", e);
}

enum code json_null(struct json *r, struct err *e) {
    if (json_peek(r) == JSON_NULL && json_take_word(r, "null"))
        return OK;
    return json_expected(r, "null", e);
}

/* Takes a scalar, or enters a container. */
static enum code skip_one(struct json *r, enum json_kind kind, struct err *e) {
    bool ignored;
    switch (kind) {
    case JSON_NULL: return json_null(r, e);
    case JSON_BOOL: return json_bool(r, &ignored, e);
    case JSON_NUMBER: return json_skip_number(r, e);
    case JSON_STRING: return json_take_string(r, NULL, e);
    case JSON_ARRAY: return json_enter_array(r, e);
    case JSON_OBJECT: return json_enter_object(r, e);
    case JSON_END:
    case JSON_BAD: break;
    }
    return json_expected(r, "a value", e);
}

enum code json_skip(struct json *r, struct str *raw, struct err *e) {
    _Static_assert(JSON_DEPTH <= 64, "one bit per level");
    uint64_t objects = 0; /* bit depth - 1: the container at that depth is an object */
    unsigned depth = r->depth;
    enum json_kind kind = json_peek(r);
    const char *start = r->p;
    for (;;) {
        TRY(skip_one(r, kind, e));
        uint64_t bit = r->depth ? (uint64_t)1 << (r->depth - 1) : 0;
        if (kind == JSON_OBJECT)
            objects |= bit;
        else if (kind == JSON_ARRAY)
            objects &= ~bit;
        bool more = false;
        while (!more && r->depth > depth) {
            bool object = objects >> (r->depth - 1) & 1;
            TRY(object ? next_key(r, NULL, &more, e) : json_next_item(r, &more, e));
        }
        if (!more)
            break;
        kind = json_peek(r);
    }
    if (raw)
        *raw = (struct str){start, (size_t)(r->p - start)};
    return OK;
}

enum code json_end(struct json *r, struct err *e) {
    if (json_peek(r) == JSON_END)
        return OK;
    return expected_byte(r, "the end of the text", e);
}
