/* SPDX-License-Identifier: Apache-2.0 */
/* A text cut at its special tokens (control and user-defined), and normalised between them.
 *
 * 1. The leftmost counts, the longest of those that begin at one place.
 * 2. A control token counts only where no byte of its spelling is foreign.
 * 3. User-defined tokens that the vocabulary wants `normalized` are looked for in the normalised
 *    text, all others in the text as it is written. */
#pragma once

#include "llm/tokenizer_in.h"

struct marked { /* text, and who wrote it */
    struct str text;
    bool controls;          /* control tokens count at all */
    const uint8_t *foreign; /* not where a byte of theirs is; NULL: anywhere */
    bool add;               /* beginning and end as the model wants them */
};

struct part {
    struct str text; /* where id is TOKEN_NONE */
    int32_t id;
    bool first; /* the text began here */
};

struct parts {
    struct part *list;
    size_t n, room;
    size_t bytes; /* of all texts */
};

MUST_USE enum code parts_open(struct tokenizer *t, const struct model *m, struct err *e);
MUST_USE enum code parts_cut(const struct tokenizer *t, const struct marked *m, struct arena *a,
                             struct parts *out, struct err *e);
