/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of a schema that are about text: GBNF for literals, sets of words, patterns, formats,
 * ranges of integers. Each appends an expression, or rules and returns their name. */
#pragma once

#include "base/arena.h"
#include "base/buf.h"

void schema_text_literal(struct buf *out, struct str text); /* "..." with escapes */

struct schema_names { /* makes rule names */
    struct buf *out;
    struct arena *arena;
    int n;
};
struct str schema_text_name(struct schema_names *s, const char *prefix); /* "p12"; .p NULL: full */

/* A rule that is one of these texts; sorts them. */
MUST_USE enum code schema_text_words(struct schema_names *s, struct str *words, size_t n,
                                     struct str *rule, struct err *e);
/* A rule that is the inside of a JSON string without escapes, but none of these words; sorts them.
 */
MUST_USE enum code schema_text_others(struct schema_names *s, struct str *words, size_t n,
                                      struct str *rule, struct err *e);
/* The regular expression of "pattern" as an expression over the inside of a JSON string. Anchored
 * only: ^...$; literals, ., classes, \d \w \s, groups, |, * + ? {m,n}. INVALID names what it does
 * not know. */
MUST_USE enum code schema_text_pattern(struct buf *out, struct str pattern, struct err *e);
/* false: not one of ours. */
bool schema_text_format(struct buf *out, struct str format);
/* Integers from low to high (has_low, has_high: bounded there), 16 digits at most. */
void schema_text_range(struct buf *out, bool has_low, int64_t low, bool has_high, int64_t high);
