/* SPDX-License-Identifier: Apache-2.0 */
/* The cache of keys and values, in pages of KV_PAGE positions that sequences own together. A page
 * covers all layers and heads.
 *
 * 1. A page is free, or has one reference for each sequence that shows it and one for each
 *    kv_page_ref. It is free again when the last one goes.
 * 2. A sequence's positions are written by forward_step only. Shared pages are full, and not
 *    written again: kv_share and kv_adopt take whole pages, and who truncates a sequence into a
 *    page that others show too must not write there.
 * 3. One thread at a time. */
#pragma once

#include "base/err.h"
#include "kernel/packed.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { KV_PAGE = PAGE };

struct kv;
struct kv_shape {
    enum page_kind kind;
    size_t layers, heads, dim; /* heads of keys and values, and their dims */
    size_t context;            /* positions of one sequence at most */
    int sequences;
    size_t bytes; /* of all pages */
};
MUST_USE enum code kv_open(const struct kv_shape *s, struct kv **out, struct err *e);
void kv_close(struct kv *kv); /* NULL allowed */

/* Makes room for positions [0, positions) of the sequence. OVERLOAD: not enough free pages; LIMIT:
 * beyond the context; nothing has changed then. */
MUST_USE enum code kv_reserve(struct kv *kv, int sequence, size_t positions, struct err *e);
void kv_release(struct kv *kv, int sequence);                    /* no positions */
void kv_truncate(struct kv *kv, int sequence, size_t positions); /* gives back what lies beyond */
/* `to`, which is empty, shows the first `positions` (a multiple of KV_PAGE) of `from`. */
void kv_share(struct kv *kv, int from, int to, size_t positions);

size_t kv_pages(const struct kv *kv);
size_t kv_free_pages(const struct kv *kv);
size_t kv_length(const struct kv *kv, int sequence); /* positions that have room */

/* Pages by number, to keep finished prefixes alive. kv_page: -1 beyond the sequence's room. */
int32_t kv_page(const struct kv *kv, int sequence, size_t index);
void kv_page_ref(struct kv *kv, int32_t page);
void kv_page_unref(struct kv *kv, int32_t page);
/* The sequence, which is empty, shows these pages from position 0. */
void kv_adopt(struct kv *kv, int sequence, const int32_t *pages, size_t n);

/* For the forward pass. */
char *kv_page_memory(const struct kv *kv, int32_t page);
enum page_kind kv_kind(const struct kv *kv);
/* bytes from a page's start to the keys of a layer's head; its values follow kv_values_after */
size_t kv_keys_at(const struct kv *kv, size_t layer, size_t head);
size_t kv_values_after(const struct kv *kv);
