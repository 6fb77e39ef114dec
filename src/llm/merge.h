/* SPDX-License-Identifier: Apache-2.0 */
/* Merging of neighbours, what BPE of both kinds does: as long as some pair of neighbours may be
 * merged, merge the most urgent one, the leftmost of equals. */
#pragma once

#include "base/arena.h"

struct symbol {
    uint32_t at, n; /* bytes of the text being merged */
    int32_t id;     /* TOKEN_NONE: no token */
    int32_t previous, next;
};

struct merge {
    float priority; /* the lowest goes first */
    int32_t id;     /* of what comes out */
};

/* May these neighbours be merged? */
typedef bool merge_fn(const void *ctx, struct str text, const struct symbol *left,
                      const struct symbol *right, struct merge *out);

/* symbols: (n) in order, at, n and id set; those that are left are linked by `next` from symbols[0]
 * on, -1 at the end. O(n log n); scratch from the arena. */
MUST_USE enum code merge_all(struct symbol *symbols, size_t n, struct str text, merge_fn *pair,
                             const void *ctx, struct arena *a, struct err *e);
