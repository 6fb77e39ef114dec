/* SPDX-License-Identifier: Apache-2.0 */
/* What a tokenizer does to a text between its special tokens before it cuts it: the steps of the
 * fact tok.normalize, in order.
 *
 *   nfc            Unicode's normal form C (Qwen)
 *   charsmap       the table of tok.charsmap, the longest key first, as SentencePiece reads it
 *   charsmap_hf    the same as the tokenizers library reads it: of a whole grapheme of up to 5
 *                  bytes the shortest key, else of each of its characters
 *   strip_left, strip_right     white space at the ends goes
 *   squeeze        two or more spaces become one; squeeze_blank: become U+2581
 *   words          every run of white space is one space, none at the ends
 *   spaces         the same for U+0020 only
 *   prepend        U+2581 before a text that is not empty
 *   blanks         each space becomes U+2581 */
#pragma once

#include "base/arena.h"
#include "graph/model.h"
#include "llm/charsmap.h"

enum { NORMALIZE_STEPS = 12, NORMALIZE_GROWTH = 32 }; /* a text grows by that factor at most */

struct normalizer {
    uint8_t steps[NORMALIZE_STEPS];
    size_t n;
    struct charsmap charsmap;
};

/* Borrows from the model. UNSUPPORTED names a step. */
MUST_USE enum code normalizer_open(const struct model *m, struct normalizer *out, struct err *e);
/* *out is text itself or lies in the arena. LIMIT: a table made it grow beyond all measure. */
MUST_USE enum code normalizer_run(const struct normalizer *n, struct str text, struct arena *a,
                                  struct str *out, struct err *e);

/* nfc.c */
MUST_USE enum code nfc_text(struct str text, struct arena *a, struct str *out, struct err *e);
