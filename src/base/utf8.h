/* SPDX-License-Identifier: Apache-2.0 */
/* UTF-8 (RFC 3629). */
#pragma once

#include "base/str.h"

bool utf8_valid(struct str text);
/* bytes of the valid sequence at text (n bytes readable), 0 when none */
size_t utf8_length(const char *text, size_t n);
/* bytes written; surrogates and > 0x10ffff give U+FFFD */
size_t utf8_put(uint32_t code_point, char out[4]);
/* The code point at the front of text and its bytes; 0 when it is empty or not UTF-8 */
size_t utf8_next(struct str text, uint32_t *code_point);
