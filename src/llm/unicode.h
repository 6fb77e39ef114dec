/* SPDX-License-Identifier: Apache-2.0 */
/* What tokenizers ask of Unicode. Tables are made at build time by tools/gen-unicode.py. */
#pragma once

#include "base/str.h"

enum unicode_kind { /* general categories as far as anything here tells them apart */
                    UNICODE_NONE,
                    UNICODE_LU,
                    UNICODE_LL,
                    UNICODE_LT,
                    UNICODE_LM,
                    UNICODE_LO,
                    UNICODE_MN,
                    UNICODE_MC, /* Mc, Me */
                    UNICODE_N,
                    UNICODE_P,
                    UNICODE_S,
                    UNICODE_SPACE,   /* White_Space, whatever its category */
                    UNICODE_CONTROL, /* Cc, Cf, Co that are no white space */
};

enum { UNICODE_PARTS = 4, UNICODE_BROKEN = 0x110000 };

enum unicode_kind unicode_kind(uint32_t c);
static inline bool unicode_letter(uint32_t c) {
    enum unicode_kind k = unicode_kind(c);
    return k >= UNICODE_LU && k <= UNICODE_LO;
}
static inline bool unicode_mark(uint32_t c) {
    enum unicode_kind k = unicode_kind(c);
    return k == UNICODE_MN || k == UNICODE_MC;
}
struct unicode_pair { /* of a mapping */
    uint32_t from, to;
};
uint32_t unicode_lower(uint32_t c); /* simple mappings */
uint32_t unicode_upper(uint32_t c);
/* Canonical decomposition, in full; returns how many code points. */
size_t unicode_decompose(uint32_t c, uint32_t out[UNICODE_PARTS]);
/* The character that a and b are together, canonically; 0: they are none. */
uint32_t unicode_compose(uint32_t a, uint32_t b);
/* Canonical combining class; 0: a starter. */
uint8_t unicode_combining(uint32_t c);
/* The code point at text[at] and its bytes; a byte that is not UTF-8 is UNICODE_BROKEN, one byte
 * long. at < text.n. */
size_t unicode_next(struct str text, size_t at, uint32_t *c);
