/* SPDX-License-Identifier: Apache-2.0 */
/* The prefix cache: pages of KV that finished or running sequences computed, found again by what
 * they hold. A block is KV_PAGE tokens behind a parent block; a chain of blocks from the root is a
 * prefix. Owned by the decoding thread.
 *
 * 1. A block matches only when its tokens and its whole chain are the same: hashes find, tokens
 * decide.
 * 2. The cache holds one reference to each page; what nobody else uses is given back, the oldest
 * leaves first, when a sequence needs room. */
#pragma once

#include "llm/kv.h"

#include <stdbool.h>
#include <stdint.h>

struct prefix; /* opaque */

enum { PREFIX_ROOT = -1 };

MUST_USE enum code prefix_open(struct kv *kv, struct prefix **out, struct err *e);
void prefix_close(struct prefix *p);

/* The longest chain that tokens[0..n) begins with: its pages (room for n / KV_PAGE) and last block,
 * which is pinned until prefix_unpin. Returns the number of pages. */
size_t prefix_find(struct prefix *p, const int32_t *tokens, size_t n, int32_t *pages,
                   int32_t *block);
/* The block behind `parent` (pinned, and unpinned by this) of these KV_PAGE tokens, kept in `page`:
 * pinned. PREFIX_ROOT - 1 when there was no memory: the chain ends. */
int32_t prefix_add(struct prefix *p, int32_t parent, const int32_t *tokens, int32_t page);
void prefix_unpin(struct prefix *p, int32_t block);
/* Gives back the oldest leaf nobody pins; false: there is none. */
bool prefix_evict(struct prefix *p);
size_t prefix_blocks(const struct prefix *p);
size_t prefix_idle(const struct prefix *p); /* of these, how many no sequence holds on to */
