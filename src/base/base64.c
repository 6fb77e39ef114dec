/* SPDX-License-Identifier: Apache-2.0 */
/* Base64: see base64.h.
 *
 * Reading takes both alphabets, padding or none, and no white space. Bits left over after the last
 * whole byte must be zero (RFC 4648 §3.5), so that every text has one reading and no two texts the
 * same. */
#include "base/base64.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

enum { BAD = 64 };

/* digit + 1 per byte, 0 where no digit is: zero-initialised gaps then mean "bad". */
static const uint8_t values[256] = {
    ['A'] = 1,  ['B'] = 2,  ['C'] = 3,  ['D'] = 4,  ['E'] = 5,  ['F'] = 6,  ['G'] = 7,  ['H'] = 8,
    ['I'] = 9,  ['J'] = 10, ['K'] = 11, ['L'] = 12, ['M'] = 13, ['N'] = 14, ['O'] = 15, ['P'] = 16,
    ['Q'] = 17, ['R'] = 18, ['S'] = 19, ['T'] = 20, ['U'] = 21, ['V'] = 22, ['W'] = 23, ['X'] = 24,
    ['Y'] = 25, ['Z'] = 26, ['a'] = 27, ['b'] = 28, ['c'] = 29, ['d'] = 30, ['e'] = 31, ['f'] = 32,
    ['g'] = 33, ['h'] = 34, ['i'] = 35, ['j'] = 36, ['k'] = 37, ['l'] = 38, ['m'] = 39, ['n'] = 40,
    ['o'] = 41, ['p'] = 42, ['q'] = 43, ['r'] = 44, ['s'] = 45, ['t'] = 46, ['u'] = 47, ['v'] = 48,
    ['w'] = 49, ['x'] = 50, ['y'] = 51, ['z'] = 52, ['0'] = 53, ['1'] = 54, ['2'] = 55, ['3'] = 56,
    ['4'] = 57, ['5'] = 58, ['6'] = 59, ['7'] = 60, ['8'] = 61, ['9'] = 62, ['+'] = 63, ['-'] = 63,
    ['/'] = 64, ['_'] = 64,
};

static unsigned value_of(char c) {
    unsigned v = values[(unsigned char)c];
    return v ? v - 1 : BAD;
}

static enum code bad_byte(struct str text, size_t from, struct err *e) {
    while (from < text.n && value_of(text.p[from]) != BAD)
        from++;
    if (from == text.n)
        return fail(e, INVALID, "base64: text of %zu digits ends inside a byte", text.n);
    return fail(e, INVALID, "base64: byte %zu (0x%02x) is no base64 digit", from + 1,
                (unsigned char)text.p[from]);
}

/* text without its padding, which must complete a group of four. */
static enum code strip_padding(struct str *text, struct err *e) {
    size_t n = text->n, pads = 0;
    while (pads < 2 && n > 0 && text->p[n - 1] == '=') {
        n--;
        pads++;
    }
    if (pads && (n + pads) % 4 != 0)
        return fail(e, INVALID, "base64: padding at byte %zu does not complete a group of four",
                    n + 1);
    text->n = n;
    return OK;
}

static enum code take_tail(struct str text, size_t at, uint8_t *to, struct err *e) {
    unsigned v[3] = {0, 0, 0};
    size_t left = text.n - at;
    for (size_t digit = 0; digit < left; digit++) {
        v[digit] = value_of(text.p[at + digit]);
        if (v[digit] == BAD)
            return bad_byte(text, at, e);
    }
    if (left == 1)
        return bad_byte(text, text.n, e);
    unsigned bits = v[0] << 18 | v[1] << 12 | v[2] << 6;
    if (bits & (left == 2 ? 0xffffu : 0xffu))
        return fail(e, INVALID, "base64: byte %zu leaves bits beyond the last whole byte", text.n);
    for (size_t byte = 0; byte + 1 < left; byte++)
        to[byte] = (uint8_t)(bits >> (16 - 8 * byte));
    return OK;
}

enum code base64_take(struct str text, struct buf *out, struct err *e) {
    TRY(strip_padding(&text, e));
    size_t start = out->n, groups = text.n / 4, left = text.n % 4;
    uint8_t *to = buf_extend(out, groups * 3 + (left ? left - 1 : 0));
    if (!to)
        return buf_check(out, "base64", e);
    enum code code = OK;
    size_t at = 0;
    for (; at < groups * 4; at += 4, to += 3) {
        unsigned a = value_of(text.p[at]), b = value_of(text.p[at + 1]);
        unsigned c = value_of(text.p[at + 2]), d = value_of(text.p[at + 3]);
        if ((a | b | c | d) & BAD) {
            code = bad_byte(text, at, e);
            break;
        }
        unsigned bits = a << 18 | b << 12 | c << 6 | d;
        to[0] = (uint8_t)(bits >> 16);
        to[1] = (uint8_t)(bits >> 8);
        to[2] = (uint8_t)bits;
    }
    if (code == OK && left)
        code = take_tail(text, at, to, e);
    if (code != OK)
        out->n = start; /* as before */
    return code;
}

void base64_put(struct span bytes, struct buf *out) {
    size_t groups = bytes.n / 3 + (bytes.n % 3 != 0);
    char *to = buf_extend(out, groups * 4);
    if (!to)
        return;
    const uint8_t *p = bytes.p;
    size_t left = bytes.n;
    for (; left >= 3; left -= 3, p += 3, to += 4) {
        to[0] = digits[p[0] >> 2];
        to[1] = digits[(p[0] & 3) << 4 | p[1] >> 4];
        to[2] = digits[(p[1] & 15) << 2 | p[2] >> 6];
        to[3] = digits[p[2] & 63];
    }
    if (left) {
        unsigned second = left == 2 ? p[1] : 0;
        to[0] = digits[p[0] >> 2];
        to[1] = digits[(p[0] & 3) << 4 | second >> 4];
        to[2] = '=';
        to[3] = '=';
        if (left == 2)
            to[2] = digits[(second & 15) << 2];
    }
}
