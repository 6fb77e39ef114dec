/* SPDX-License-Identifier: Apache-2.0 */
/* Look-ups in the tables of tools/gen-unicode.py; ASCII, most of all text, is answered from a small
 * table of its own. */
#include "llm/unicode.h"

#include "base/utf8.h"
#include "llm/unicode_table.h" /* made by the build */

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

enum { HANGUL = 0xac00, HANGUL_END = 0xd7a4, JAMO_L = 0x1100, JAMO_V = 0x1161, JAMO_T = 0x11a7 };
enum { JAMO_VS = 21, JAMO_TS = 28 };

static enum unicode_kind search_kind(uint32_t c) {
    size_t low = 0, high = COUNT(unicode_ranges);
    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        if (unicode_ranges[middle].first <= c)
            low = middle;
        else
            high = middle;
    }
    return (enum unicode_kind)unicode_ranges[low].kind;
}

static enum unicode_kind ascii_kind(uint32_t c) {
    if ((c | 0x20) - 'a' < 26)
        return c & 0x20 ? UNICODE_LL : UNICODE_LU;
    if (c - '0' < 10)
        return UNICODE_N;
    if (c == ' ' || c - '\t' < 5)
        return UNICODE_SPACE;
    return search_kind(c);
}

enum unicode_kind unicode_kind(uint32_t c) {
    if (c < 0x80)
        return ascii_kind(c);
    return c < UNICODE_BROKEN ? search_kind(c) : UNICODE_NONE;
}

static uint32_t mapped(const struct unicode_pair *pairs, size_t high, uint32_t c) {
    for (size_t low = 0; low < high;) {
        size_t middle = (low + high) / 2;
        if (pairs[middle].from == c)
            return pairs[middle].to;
        if (pairs[middle].from < c)
            low = middle + 1;
        else
            high = middle;
    }
    return c;
}

uint32_t unicode_lower(uint32_t c) {
    if (c < 0x80)
        return c - 'A' < 26 ? c | 0x20 : c;
    return mapped(unicode_lowers, COUNT(unicode_lowers), c);
}

uint32_t unicode_upper(uint32_t c) {
    if (c < 0x80)
        return c - 'a' < 26 ? c & ~0x20u : c;
    return mapped(unicode_uppers, COUNT(unicode_uppers), c);
}

/* Unicode 15, §3.12: syllables are leading consonant, vowel and trailing consonant. */
static size_t decompose_hangul(uint32_t c, uint32_t out[UNICODE_PARTS]) {
    uint32_t s = c - HANGUL;
    out[0] = JAMO_L + s / (JAMO_VS * JAMO_TS);
    out[1] = JAMO_V + s % (JAMO_VS * JAMO_TS) / JAMO_TS;
    out[2] = JAMO_T + s % JAMO_TS;
    return s % JAMO_TS ? 3 : 2;
}

size_t unicode_decompose(uint32_t c, uint32_t out[UNICODE_PARTS]) {
    size_t low = 0, high = COUNT(unicode_parts), n = 0;
    if (c >= HANGUL && c < HANGUL_END)
        return decompose_hangul(c, out);
    while (c >= 0xc0 && low < high) {
        size_t middle = (low + high) / 2;
        if (unicode_parts[middle].from == c) {
            while (n < UNICODE_PARTS && unicode_parts[middle].to[n]) {
                out[n] = unicode_parts[middle].to[n];
                n++;
            }
            return n;
        }
        if (unicode_parts[middle].from < c)
            low = middle + 1;
        else
            high = middle;
    }
    out[0] = c;
    return 1;
}

/* Leading consonant and vowel, or both and a trailing consonant; 0: neither. */
static uint32_t compose_hangul(uint32_t a, uint32_t b) {
    if (a - JAMO_L < 19 && b - JAMO_V < JAMO_VS)
        return HANGUL + ((a - JAMO_L) * JAMO_VS + (b - JAMO_V)) * JAMO_TS;
    bool open = a - HANGUL < HANGUL_END - HANGUL && (a - HANGUL) % JAMO_TS == 0;
    return open && b > JAMO_T && b < JAMO_T + JAMO_TS ? a + (b - JAMO_T) : 0;
}

uint32_t unicode_compose(uint32_t a, uint32_t b) {
    for (size_t low = 0, high = COUNT(unicode_composed); low < high;) {
        size_t middle = (low + high) / 2;
        uint32_t first = unicode_composed[middle].first, second = unicode_composed[middle].second;
        if (first == a && second == b)
            return unicode_composed[middle].to;
        if (first < a || (first == a && second < b))
            low = middle + 1;
        else
            high = middle;
    }
    return compose_hangul(a, b);
}

uint8_t unicode_combining(uint32_t c) {
    size_t low = 0, high = COUNT(unicode_combining_ranges);
    if (c < 0x300 || c >= UNICODE_BROKEN)
        return 0;
    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        if (unicode_combining_ranges[middle].first <= c)
            low = middle;
        else
            high = middle;
    }
    return unicode_combining_ranges[low].number;
}

size_t unicode_next(struct str text, size_t at, uint32_t *c) {
    uint8_t first = (uint8_t)text.p[at];
    if (first < 0x80) {
        *c = first;
        return 1;
    }
    size_t n = utf8_next((struct str){text.p + at, text.n - at}, c);
    if (n)
        return n;
    *c = UNICODE_BROKEN;
    return 1;
}
