/* SPDX-License-Identifier: Apache-2.0 */
/* The prefix cache: see prefix.h. Blocks lie in an array of as many as the KV cache has pages; a
 * hash table of chains finds them, a list in order of last use chooses what goes. */
#include "llm/prefix.h"

#include "base/mem.h"

enum { NONE = -1, LOST = PREFIX_ROOT - 1 };

struct block {
    int32_t parent, page;
    int32_t children, pins; /* pins: of it and of all behind it */
    int32_t next;           /* in its bucket, or in the free list */
    int32_t older, newer;
    uint64_t hash;
    int32_t tokens[KV_PAGE];
};

struct prefix {
    struct kv *kv;
    struct block *blocks; /* (room) owned */
    int32_t *buckets;     /* (mask + 1) owned */
    size_t mask, used, pinned;
    int32_t free, oldest, newest;
};

enum code prefix_open(struct kv *kv, struct prefix **out, struct err *e) {
    size_t room = kv_pages(kv), buckets = 16;
    while (buckets < room)
        buckets *= 2;
    struct prefix *p = mem_zalloc(1, sizeof *p);
    if (p) {
        p->blocks = mem_zalloc(room, sizeof *p->blocks);
        p->buckets = mem_zalloc(buckets, sizeof *p->buckets);
    }
    if (!p || !p->blocks || !p->buckets) {
        prefix_close(p);
        return fail(e, NOMEM, "no memory for a prefix cache of %zu pages", room);
    }
    p->kv = kv;
    p->mask = buckets - 1;
    p->free = p->oldest = p->newest = NONE;
    for (size_t i = 0; i < buckets; i++)
        p->buckets[i] = NONE;
    for (size_t i = room; i-- > 0;) {
        p->blocks[i].next = p->free;
        p->free = (int32_t)i;
    }
    *out = p;
    return OK;
}

void prefix_close(struct prefix *p) {
    if (!p)
        return;
    if (p->kv)
        for (int32_t b = p->oldest; b != NONE; b = p->blocks[b].newer)
            kv_page_unref(p->kv, p->blocks[b].page);
    mem_free(p->blocks);
    mem_free(p->buckets);
    mem_free(p);
}

size_t prefix_blocks(const struct prefix *p) { return p->used; }
size_t prefix_idle(const struct prefix *p) { return p->used - p->pinned; }

/* --- order of use --- */

static void unlink_block(struct prefix *p, int32_t b) {
    struct block *k = &p->blocks[b];
    *(k->older == NONE ? &p->oldest : &p->blocks[k->older].newer) = k->newer;
    *(k->newer == NONE ? &p->newest : &p->blocks[k->newer].older) = k->older;
}

static void link_newest(struct prefix *p, int32_t b) {
    p->blocks[b].older = p->newest;
    p->blocks[b].newer = NONE;
    *(p->newest == NONE ? &p->oldest : &p->blocks[p->newest].newer) = b;
    p->newest = b;
}

static void touch(struct prefix *p, int32_t b) {
    unlink_block(p, b);
    link_newest(p, b);
}

/* --- finding --- */

static uint64_t hash_of(int32_t parent, uint64_t above, const int32_t *tokens) {
    uint64_t h = (above ^ (uint64_t)(uint32_t)parent) * 0x9e3779b97f4a7c15u;
    for (int i = 0; i < KV_PAGE; i++) {
        h = (h ^ (uint32_t)tokens[i]) * 0xff51afd7ed558ccdu;
        h ^= h >> 32;
    }
    return h;
}

static int32_t find(const struct prefix *p, int32_t parent, const int32_t *tokens, uint64_t *hash) {
    *hash = hash_of(parent, parent == PREFIX_ROOT ? 0 : p->blocks[parent].hash, tokens);
    for (int32_t b = p->buckets[*hash & p->mask]; b != NONE; b = p->blocks[b].next) {
        const struct block *k = &p->blocks[b];
        if (k->hash == *hash && k->parent == parent &&
            memcmp(k->tokens, tokens, sizeof k->tokens) == 0)
            return b;
    }
    return NONE;
}

static void pin(struct prefix *p, int32_t b) { p->pinned += p->blocks[b].pins++ == 0; }

void prefix_unpin(struct prefix *p, int32_t b) {
    for (; b >= 0; b = p->blocks[b].parent)
        p->pinned -= --p->blocks[b].pins == 0;
}

size_t prefix_find(struct prefix *p, const int32_t *tokens, size_t n, int32_t *pages,
                   int32_t *block) {
    int32_t at = PREFIX_ROOT;
    size_t k = 0;
    uint64_t hash;
    for (; (k + 1) * KV_PAGE <= n; k++) {
        int32_t next = find(p, at, tokens + k * KV_PAGE, &hash);
        if (next == NONE)
            break;
        pages[k] = p->blocks[next].page;
        at = next;
    }
    for (int32_t b = at; b != PREFIX_ROOT; b = p->blocks[b].parent) { /* leaves end oldest */
        touch(p, b);
        pin(p, b);
    }
    *block = at;
    return k;
}

/* --- adding and giving back --- */

bool prefix_evict(struct prefix *p) {
    int32_t b = p->oldest;
    while (b != NONE && (p->blocks[b].children || p->blocks[b].pins))
        b = p->blocks[b].newer;
    if (b == NONE)
        return false;
    struct block *k = &p->blocks[b];
    int32_t *at = &p->buckets[k->hash & p->mask];
    while (*at != b)
        at = &p->blocks[*at].next;
    *at = k->next;
    unlink_block(p, b);
    if (k->parent != PREFIX_ROOT)
        p->blocks[k->parent].children--;
    kv_page_unref(p->kv, k->page);
    k->next = p->free;
    p->free = b;
    p->used--;
    return true;
}

int32_t prefix_add(struct prefix *p, int32_t parent, const int32_t *tokens, int32_t page) {
    uint64_t hash;
    if (parent == LOST)
        return LOST;
    int32_t b = find(p, parent, tokens, &hash);
    if (b == NONE) {
        if (p->free == NONE && !prefix_evict(p)) {
            prefix_unpin(p, parent);
            return LOST;
        }
        b = p->free;
        struct block *k = &p->blocks[b];
        p->free = k->next;
        *k = (struct block){.parent = parent, .page = page, .hash = hash};
        memcpy(k->tokens, tokens, sizeof k->tokens);
        k->next = p->buckets[hash & p->mask];
        p->buckets[hash & p->mask] = b;
        link_newest(p, b);
        if (parent != PREFIX_ROOT)
            p->blocks[parent].children++;
        kv_page_ref(p->kv, page);
        p->used++;
    }
    pin(p, b); /* what pinned the parent is behind it still */
    return b;
}
