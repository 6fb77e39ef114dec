/* SPDX-License-Identifier: Apache-2.0 */
/* The paged cache: see kv.h. Pages are numbers into one block of memory; free ones are a stack. The
 * block is only reserved address space until a page is first written. */
#include "llm/kv.h"

#include "base/mem.h"

#include <string.h>

struct sequence_pages {
    int32_t *page; /* (room) */
    size_t n;
};

struct kv {
    struct kv_shape shape;
    size_t half, page_bytes, room; /* room: pages of one sequence at most */
    size_t n_pages, n_free;
    char *memory;
    int32_t *free, *refs; /* (n_pages) */
    struct sequence_pages *sequences;
    int32_t *tables; /* (sequences, room) */
};

static size_t pages_for(size_t positions) { return (positions + KV_PAGE - 1) / KV_PAGE; }

static enum code shape_check(const struct kv_shape *s, struct err *e) {
    if (s->dim == 0 || s->dim > HEAD_MAX || s->dim % 16 || (s->kind == PAGE_Q8 && s->dim % GROUP))
        return fail(e, UNSUPPORTED, "heads of %zu dims with this cache type: use f16", s->dim);
    if (s->layers == 0 || s->heads == 0 || s->sequences <= 0 || s->context == 0)
        return fail(e, INVALID, "a cache of no layers, heads, sequences or positions");
    return OK;
}

enum code kv_open(const struct kv_shape *s, struct kv **out, struct err *e) {
    TRY(shape_check(s, e));
    struct kv *kv = mem_zalloc(1, sizeof *kv);
    if (!kv)
        return fail(e, NOMEM, "key and value cache");
    kv->shape = *s;
    kv->half = page_half_bytes(s->kind, s->dim);
    kv->room = pages_for(s->context);
    kv->page_bytes = mem_round_up(s->layers * s->heads * 2 * kv->half, MEM_LINE);
    kv->n_pages = kv->n_free = s->bytes / kv->page_bytes;
    size_t sequences = (size_t)s->sequences;
    kv->memory = mem_alloc_aligned(kv->n_pages * kv->page_bytes + 1, MEM_LINE);
    kv->free = mem_zalloc(kv->n_pages + 1, sizeof *kv->free);
    kv->refs = mem_zalloc(kv->n_pages + 1, sizeof *kv->refs);
    kv->sequences = mem_zalloc(sequences, sizeof *kv->sequences);
    kv->tables = mem_zalloc(sequences * kv->room, sizeof *kv->tables);
    if (!kv->memory || !kv->free || !kv->refs || !kv->sequences || !kv->tables) {
        kv_close(kv);
        return fail(e, NOMEM, "key and value cache of %zu bytes", s->bytes);
    }
    for (size_t i = 0; i < sequences; i++)
        kv->sequences[i].page = kv->tables + i * kv->room;
    for (size_t i = 0; i < kv->n_pages; i++) /* page 0 is taken first */
        kv->free[i] = (int32_t)(kv->n_pages - 1 - i);
    *out = kv;
    return OK;
}

void kv_close(struct kv *kv) {
    if (!kv)
        return;
    mem_free(kv->memory);
    mem_free(kv->free);
    mem_free(kv->refs);
    mem_free(kv->sequences);
    mem_free(kv->tables);
    mem_free(kv);
}

void kv_page_ref(struct kv *kv, int32_t page) { kv->refs[page]++; }

void kv_page_unref(struct kv *kv, int32_t page) {
    if (--kv->refs[page] == 0)
        kv->free[kv->n_free++] = page;
}

/* A page of zeros: lanes of a tile multiply what lies beyond their own position by 0. */
static int32_t page_take(struct kv *kv) {
    int32_t page = kv->free[--kv->n_free];
    kv->refs[page] = 1;
    memset(kv_page_memory(kv, page), 0, kv->page_bytes);
    return page;
}

enum code kv_reserve(struct kv *kv, int sequence, size_t positions, struct err *e) {
    struct sequence_pages *s = &kv->sequences[sequence];
    size_t want = pages_for(positions);
    if (positions > kv->shape.context)
        return fail(e, LIMIT, "%zu tokens, the context holds %zu", positions, kv->shape.context);
    if (want <= s->n)
        return OK;
    if (want - s->n > kv->n_free)
        return fail(e, OVERLOAD, "key and value cache full: %zu pages wanted, %zu free",
                    want - s->n, kv->n_free);
    while (s->n < want)
        s->page[s->n++] = page_take(kv);
    return OK;
}

void kv_truncate(struct kv *kv, int sequence, size_t positions) {
    struct sequence_pages *s = &kv->sequences[sequence];
    for (size_t keep = pages_for(positions); s->n > keep; s->n--)
        kv_page_unref(kv, s->page[s->n - 1]);
}

void kv_release(struct kv *kv, int sequence) { kv_truncate(kv, sequence, 0); }

void kv_adopt(struct kv *kv, int sequence, const int32_t *pages, size_t n) {
    struct sequence_pages *s = &kv->sequences[sequence];
    if (NEVER(s->n != 0 || n > kv->room))
        return;
    for (size_t i = 0; i < n; i++) {
        kv_page_ref(kv, pages[i]);
        s->page[s->n++] = pages[i];
    }
}

void kv_share(struct kv *kv, int from, int to, size_t positions) {
    const struct sequence_pages *s = &kv->sequences[from];
    if (NEVER(positions % KV_PAGE || positions / KV_PAGE > s->n))
        return;
    kv_adopt(kv, to, s->page, positions / KV_PAGE);
}

size_t kv_pages(const struct kv *kv) { return kv->n_pages; }
size_t kv_free_pages(const struct kv *kv) { return kv->n_free; }
size_t kv_length(const struct kv *kv, int sequence) { return kv->sequences[sequence].n * KV_PAGE; }

int32_t kv_page(const struct kv *kv, int sequence, size_t index) {
    const struct sequence_pages *s = &kv->sequences[sequence];
    return index < s->n ? s->page[index] : -1;
}

char *kv_page_memory(const struct kv *kv, int32_t page) {
    return kv->memory + (size_t)page * kv->page_bytes;
}
enum page_kind kv_kind(const struct kv *kv) { return kv->shape.kind; }
size_t kv_keys_at(const struct kv *kv, size_t layer, size_t head) {
    return (layer * kv->shape.heads + head) * 2 * kv->half;
}
size_t kv_values_after(const struct kv *kv) { return kv->half; }
