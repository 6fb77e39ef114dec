/* SPDX-License-Identifier: Apache-2.0 */
/* What a session made of a version's constants and that has no blob of its own, in one file: packed
 * forms of small constants, of filters that passes changed, of forests; and those filters
 * themselves. A start maps it and makes nothing (decision 0016).
 *
 * 1. An item is named by where its numbers come from in the version (struct provenance), how they
 * are packed, and its size; the file by the version and the CPU's kind.
 * 2. What is read from a crate is checked to lie within it; what lies there is as good as the
 * store.
 *
 * Layout, numbers as the machine has them (the file's name tells its kind):
 *   0 "SLIPCRAT"  8 u64 items  16 zeros to 64
 *   then per item, sorted: u64 provenance a, b, packing, bytes, offset
 *   then their bytes, each from a multiple of 64 */
#pragma once

#include "graph/model.h"

struct crate_item {
    struct provenance of;
    uint64_t packing; /* CRATE_PLAIN: the constant itself */
    uint64_t bytes;
    const void *data;
};
enum { CRATE_PLAIN = 0 };

struct crate { /* zeros: empty. The bytes are borrowed */
    struct span bytes;
    size_t n;
};
/* What is no crate, or damaged, is empty. */
struct crate crate_open(struct span bytes);
/* NULL: none of that name and size. */
const void *crate_find(const struct crate *c, const struct crate_item *name);
struct crate_item crate_at(const struct crate *c, size_t index);
bool crate_holds(const struct crate *c, const void *p);
/* Sorts the items, each name once, and writes them; those that do not fit under the buffer's cap
 * are left out. */
void crate_write(struct crate_item *items, size_t n, struct buf *out);

/* Of a constant: its own, or that of its place in the version's files. No name (zeros) where there
 * is neither. */
struct provenance provenance_of(const struct value *v);
/* The same of numbers in an attribute. */
struct provenance provenance_of_attr(const struct attr *a);
/* Of what `how` (a word, with a number raised when it makes other bytes) makes of `from` with these
 * parameters; zeros of zeros. */
struct provenance provenance_then(struct provenance from, const char *how, const void *parameters,
                                  size_t n);
static inline bool provenance_told(struct provenance r) { return r.a | r.b; }
