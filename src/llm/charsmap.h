/* SPDX-License-Identifier: Apache-2.0 */
/* SentencePiece's table of character mappings (precompiled_charsmap; T5, XLM-R): which spellings a
 * text's characters are replaced with before anything else is done.
 *
 *   u32 n, little-endian; n bytes: a double array (a trie in one list of u32); texts, each with a
 *   NUL behind it, that the trie's values are offsets into
 *
 * 1. The table comes from a file: every index is checked where it is used. */
#pragma once

#include "base/err.h"
#include "base/str.h"

struct charsmap {
    struct str units; /* of 4 bytes, anywhere in memory */
    struct str texts;
};

/* Borrows the bytes. FORMAT when they cannot be such a table. */
MUST_USE enum code charsmap_open(struct str bytes, struct charsmap *out, struct err *e);
/* What the beginning of text is replaced with, by the longest key found there or the shortest; how
 * many bytes it stands for, 0: nothing is replaced. */
size_t charsmap_find(const struct charsmap *m, struct str text, bool longest, struct str *out);
