/* SPDX-License-Identifier: Apache-2.0 */
/* Slabs: see slabs.h. The smallest idle slab that fits is lent; when none does, the largest idle
 * one is replaced by one that fits, so that slabs grow to what is needed and no more are kept than
 * ever ran at once. */
#include "plan/slabs.h"

#include "base/mem.h"

#include <sys/mman.h>

enum { HUGE_PAGE = 2 << 20 };

void slabs_init(struct slabs *s) {
    *s = (struct slabs){0};
    pthread_mutex_init(&s->lock, NULL);
}

static void free_slab(struct slab *slab) {
    mem_free(slab->data);
    mem_free(slab);
}

void slabs_deinit(struct slabs *s) {
    while (s->idle) {
        struct slab *next = s->idle->next;
        free_slab(s->idle);
        s->idle = next;
    }
    pthread_mutex_destroy(&s->lock);
}

static struct slab *new_slab(size_t bytes) {
    size_t size = mem_round_up(bytes, MEM_LINE);
    for (size_t unit = HUGE_PAGE; unit <= size / 8;
         unit *= 2) /* growing widths meet a slab an eighth larger */
        size = mem_round_up(size, unit);
    struct slab *slab = mem_alloc(sizeof *slab);
    if (!slab)
        return NULL;
    *slab = (struct slab){.bytes = size};
    slab->data = mem_alloc_aligned(size, size >= HUGE_PAGE ? HUGE_PAGE : MEM_LINE);
    if (!slab->data) {
        mem_free(slab);
        return NULL;
    }
    if (size >= HUGE_PAGE)
        (void)madvise(slab->data, size, MADV_HUGEPAGE); /* a wish */
    return slab;
}

/* Unlinks the best idle slab: the smallest that fits, else the largest; NULL when none is idle. */
static struct slab *pick(struct slabs *s, size_t bytes) {
    struct slab **best = NULL;
    for (struct slab **at = &s->idle; *at; at = &(*at)->next) {
        bool fits = (*at)->bytes >= bytes;
        if (!best || (fits && ((*best)->bytes < bytes || (*at)->bytes < (*best)->bytes)) ||
            (!fits && (*best)->bytes < bytes && (*at)->bytes > (*best)->bytes))
            best = at;
    }
    if (!best)
        return NULL;
    struct slab *slab = *best;
    *best = slab->next;
    return slab;
}

struct slab *slabs_take(struct slabs *s, size_t bytes) {
    pthread_mutex_lock(&s->lock);
    struct slab *slab = pick(s, bytes);
    if (slab && slab->bytes < bytes) {
        s->total_bytes -= slab->bytes;
        pthread_mutex_unlock(&s->lock);
        free_slab(slab);
        slab = NULL;
    } else {
        pthread_mutex_unlock(&s->lock);
    }
    if (slab || !(slab = new_slab(bytes)))
        return slab;
    pthread_mutex_lock(&s->lock);
    s->total_bytes += slab->bytes;
    pthread_mutex_unlock(&s->lock);
    return slab;
}

void slabs_give(struct slabs *s, struct slab *slab) {
    if (!slab)
        return;
    pthread_mutex_lock(&s->lock);
    slab->next = s->idle;
    s->idle = slab;
    pthread_mutex_unlock(&s->lock);
}

size_t slabs_total(struct slabs *s) {
    pthread_mutex_lock(&s->lock);
    size_t total = s->total_bytes;
    pthread_mutex_unlock(&s->lock);
    return total;
}
