/* SPDX-License-Identifier: Apache-2.0 */
/* UTF-8: see utf8.h. The accepted sequences are exactly those of RFC 3629 §4: no overlong forms, no
 * surrogates, nothing above U+10FFFF. */
#include "base/utf8.h"

enum { REPLACEMENT = 0xfffd };

static bool is_tail(uint8_t c) { return (c & 0xc0) == 0x80; }

size_t utf8_length(const char *text, size_t n) {
    const uint8_t *p = (const uint8_t *)text;
    if (n == 0)
        return 0;
    if (p[0] < 0x80)
        return 1;
    if (p[0] < 0xc2)
        return 0;
    if (p[0] < 0xe0)
        return n >= 2 && is_tail(p[1]) ? 2 : 0;
    if (p[0] < 0xf0) {
        uint8_t low = p[0] == 0xe0 ? 0xa0 : 0x80, high = p[0] == 0xed ? 0x9f : 0xbf;
        return n >= 3 && p[1] >= low && p[1] <= high && is_tail(p[2]) ? 3 : 0;
    }
    if (p[0] > 0xf4)
        return 0;
    uint8_t low = p[0] == 0xf0 ? 0x90 : 0x80, high = p[0] == 0xf4 ? 0x8f : 0xbf;
    return n >= 4 && p[1] >= low && p[1] <= high && is_tail(p[2]) && is_tail(p[3]) ? 4 : 0;
}

/* Bytes at the front that are ASCII, eight at a time. */
static size_t ascii_run(const char *p, size_t n) {
    size_t at = 0;
    for (uint64_t eight; n - at >= 8; at += 8) {
        memcpy(&eight, p + at, 8);
        if (eight & 0x8080808080808080u)
            break;
    }
    while (at < n && (unsigned char)p[at] < 0x80)
        at++;
    return at;
}

bool utf8_valid(struct str text) {
    size_t at = 0;
    while (at < text.n) {
        at += ascii_run(text.p + at, text.n - at);
        if (at == text.n)
            break;
        size_t step = utf8_length(text.p + at, text.n - at);
        if (step == 0)
            return false;
        at += step;
    }
    return true;
}

size_t utf8_put(uint32_t c, char out[4]) {
    if (c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
        c = REPLACEMENT;
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3f));
        out[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3f));
    out[2] = (char)(0x80 | (c >> 6 & 0x3f));
    out[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

size_t utf8_next(struct str text, uint32_t *code_point) {
    static const uint8_t first_bits[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    size_t n = utf8_length(text.p, text.n);
    if (n == 0)
        return 0;
    uint32_t c = (uint8_t)text.p[0] & first_bits[n];
    for (size_t k = 1; k < n; k++)
        c = c << 6 | ((uint8_t)text.p[k] & 0x3f);
    *code_point = c;
    return n;
}
