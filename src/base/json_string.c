/* SPDX-License-Identifier: Apache-2.0 */
/* JSON strings: see json.h. RFC 8259 §7.
 *
 * A string without escapes is borrowed from the text. One with escapes is written once into the
 * arena, at its final place: no escape is longer than what stands for it. Lone surrogates and
 * invalid UTF-8 are refused. */
#include "base/json_in.h"
#include "base/utf8.h"

static int hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Four hexadecimal digits at p; -1 when they are not. */
static int32_t take_hex4(const char *p, const char *end) {
    if (end - p < 4)
        return -1;
    int32_t v = 0;
    for (int at = 0; at < 4; at++) {
        int digit = hex_digit(p[at]);
        if (digit < 0)
            return -1;
        v = v << 4 | digit;
    }
    return v;
}

/* \uXXXX or a surrogate pair of them; r->p is at the backslash and moves behind. */
static enum code take_unicode(struct json *r, uint32_t *code_point, struct err *e) {
    int32_t high = take_hex4(r->p + 2, r->end);
    if (high < 0)
        return json_fail(r, e, "\\u needs four hexadecimal digits");
    if (high < 0xd800 || high > 0xdfff) {
        *code_point = (uint32_t)high;
        r->p += 6;
        return OK;
    }
    int32_t low = -1;
    if (high < 0xdc00 && r->end - r->p >= 12 && r->p[6] == '\\' && r->p[7] == 'u')
        low = take_hex4(r->p + 8, r->end);
    if (low < 0xdc00 || low > 0xdfff)
        return json_fail(r, e, "\\u%04x is half of a surrogate pair", (unsigned)high);
    *code_point = 0x10000 + ((uint32_t)(high - 0xd800) << 10) + (uint32_t)(low - 0xdc00);
    r->p += 12;
    return OK;
}

/* One escape: 1 to 4 bytes into text. r->p is at the backslash. */
static enum code take_escape(struct json *r, char text[4], size_t *n, struct err *e) {
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (r->end - r->p < 2)
        return json_fail(r, e, "the text ends inside a string");
    if (r->p[1] == 'u') {
        uint32_t code_point = 0;
        TRY(take_unicode(r, &code_point, e));
        *n = utf8_put(code_point, text);
        return OK;
    }
    const char *hit = r->p[1] ? strchr(from, r->p[1]) : NULL;
    if (!hit)
        return json_fail(r, e, "no such escape: a backslash takes one of \"\\/bfnrtu");
    text[0] = to[hit - from];
    *n = 1;
    r->p += 2;
    return OK;
}

/* Where plain ASCII ends: at a quote, a backslash, a control character, or a byte of a longer
 * sequence. */
static const char *plain_run(const char *p, const char *end) {
    const uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
    for (uint64_t v; end - p >= 8; p += 8) {
        memcpy(&v, p, 8);
        uint64_t quote = v ^ ones * '"', slash = v ^ ones * '\\';
        uint64_t stop = (quote - ones) | (slash - ones) | (v - ones * 0x20) | v;
        if (stop & tops)
            break;
    }
    while (p < end && (unsigned char)*p >= 0x20 && (unsigned char)*p < 0x80 && *p != '"' &&
           *p != '\\')
        p++;
    return p;
}

/* Moves r->p to the quote or backslash that ends a run of ordinary characters. */
static enum code take_run(struct json *r, struct err *e) {
    for (;;) {
        r->p = plain_run(r->p, r->end);
        if (r->p == r->end)
            return json_fail(r, e, "the text ends inside a string");
        if (*r->p == '"' || *r->p == '\\')
            return OK;
        if ((unsigned char)*r->p < 0x20)
            return json_fail(r, e, "byte 0x%02x in a string must be escaped", (unsigned char)*r->p);
        size_t n = utf8_length(r->p, (size_t)(r->end - r->p));
        if (n == 0)
            return json_fail(r, e, "byte 0x%02x is not valid UTF-8", (unsigned char)*r->p);
        r->p += n;
    }
}

/* The rest of a string that has an escape at r->p; `begin` is where it began. Unescaped text is
 * never longer. */
static enum code take_escaped(struct json *r, const char *begin, struct str *out, struct err *e) {
    char *to = NULL, *start = NULL, text[4];
    if (out) {
        const char *close = r->p;
        while (close < r->end && *close != '"')
            close += *close == '\\' && r->end - close > 1 ? 2 : 1;
        size_t room = (size_t)((close < r->end ? close : r->end) - begin);
        start = arena_push_aligned(r->arena, room, 1);
        if (!start)
            return arena_fail(r->arena, room, "JSON string", e);
        memcpy(start, begin, (size_t)(r->p - begin));
        to = start + (r->p - begin);
    }
    for (;;) {
        const char *run = r->p;
        TRY(take_run(r, e));
        if (out)
            to = (char *)memcpy(to, run, (size_t)(r->p - run)) + (r->p - run);
        if (*r->p == '"')
            break;
        size_t n = 0;
        TRY(take_escape(r, text, &n, e));
        if (out)
            to = (char *)memcpy(to, text, n) + n;
    }
    r->p++;
    if (out)
        *out = (struct str){start, (size_t)(to - start)};
    return OK;
}

enum code json_take_string(struct json *r, struct str *out, struct err *e) {
    const char *begin = ++r->p;
    TRY(take_run(r, e));
    if (*r->p == '\\')
        return take_escaped(r, begin, out, e);
    if (out)
        *out = (struct str){begin, (size_t)(r->p - begin)};
    r->p++;
    return OK;
}

enum code json_string(struct json *r, struct str *out, struct err *e) {
    if (json_peek(r) != JSON_STRING)
        return json_expected(r, "a string", e);
    return json_take_string(r, out, e);
}
