/* SPDX-License-Identifier: Apache-2.0 */
/* Regular expressions in time linear in the text (Thompson 1968, Pike's simulation): the syntax of
 * RE2 without captures, look-around and Unicode property names.
 *
 *   x . [a-z] [^...] [[:alpha:]] \d \D \w \W \s \S \xFF \x{10FFFF} \n \t \\ and other escapes
 *   xy x|y (x) (?:x) (?P<name>x) (?i) (?s) (?i:x)   x* x+ x? x{n} x{n,} x{n,m}, each may end in ?
 *   ^ $ \A \z \b \B
 *
 * A program is immutable and may be used by several threads, each with its own room. */
#pragma once

#include "base/arena.h"

struct regex;

/* INVALID names the byte of the pattern; LIMIT: the program would be too large. */
MUST_USE enum code regex_compile(struct str pattern, struct arena *a, const struct regex **out,
                                 struct err *e);
/* Bytes of working memory for what follows. */
size_t regex_room(const struct regex *r);
/* Where the longest match that begins at byte `from` of the text ends; SIZE_MAX: none does. */
size_t regex_longest(const struct regex *r, struct str text, size_t from, void *room);
/* Does the whole text match? */
bool regex_matches(const struct regex *r, struct str text, void *room);
