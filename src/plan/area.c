/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of one run: a bump pointer over chunks that double. A reset after a run that needed
 * several chunks joins them into one, so that a model with steady sizes stops allocating after its
 * second run. */
#include "plan/area.h"

#include "base/mem.h"

enum { FIRST_CHUNK = 64 << 10, KEPT_BYTES = 64 << 20 };

struct area_chunk {
    struct area_chunk *older;
    size_t size, used;
    _Alignas(MEM_LINE) unsigned char data[];
};

void area_init(struct area *a) { *a = (struct area){0}; }

static void free_chunks(struct area *a) {
    while (a->chunk) {
        struct area_chunk *older = a->chunk->older;
        mem_free(a->chunk);
        a->chunk = older;
    }
}

/* Nothing of it is held any more. */
static void forget(struct area *a) {
    if (a->meter)
        a->meter->now -= a->used_bytes;
    a->used_bytes = 0;
    a->meter = NULL;
}

void area_deinit(struct area *a) {
    free_chunks(a);
    forget(a);
}

static struct area_chunk *grow(struct area *a, size_t bytes) {
    size_t size = a->chunk ? a->chunk->size * 2 : FIRST_CHUNK;
    if (size < bytes)
        size = bytes;
    size_t total;
    struct area_chunk *c = add_size(sizeof *c, size, &total)
                               ? mem_alloc_aligned(mem_round_up(total, MEM_LINE), MEM_LINE)
                               : NULL;
    if (!c)
        return NULL;
    c->older = a->chunk;
    c->size = size;
    c->used = 0;
    a->chunk = c;
    return c;
}

void area_reset(struct area *a, size_t cap_bytes, struct area_meter *meter) {
    size_t used = a->used_bytes;
    forget(a);
    a->cap_bytes = cap_bytes;
    a->meter = meter;
    if (!a->chunk)
        return;
    if (a->chunk->older || a->chunk->size > KEPT_BYTES) {
        free_chunks(a);
        if (used <= KEPT_BYTES)
            (void)grow(a, used); /* when that fails, the next push tries again */
    }
    if (a->chunk)
        a->chunk->used = 0;
}

void *area_push(struct area *a, size_t bytes) {
    size_t need = mem_round_up(bytes ? bytes : 1, MEM_LINE);
    if (need < bytes || a->used_bytes > a->cap_bytes || need > a->cap_bytes - a->used_bytes)
        return NULL;
    struct area_chunk *c = a->chunk;
    if (!c || c->size - c->used < need)
        c = grow(a, need);
    if (!c)
        return NULL;
    void *p = c->data + c->used;
    c->used += need;
    a->used_bytes += need;
    if (a->meter)
        area_meter_add(a->meter, need);
    return p;
}

size_t area_held(const struct area *a) {
    size_t bytes = 0;
    for (const struct area_chunk *c = a->chunk; c; c = c->older)
        bytes += c->size;
    return bytes;
}
