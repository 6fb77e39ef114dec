/* SPDX-License-Identifier: Apache-2.0 */
/* The memory budget: which versions stay loaded. Loading thread only.
 *
 * 1. Before a load its size in the store is taken for what it will need; after it the truth counts:
 * bytes mapped and bytes packed for kernels.
 * 2. The least recently used goes first. Pinned models never go, nor do those that have requests
 * waiting, nor what was loaded a moment ago: whoever waited for it is about to ask. When there is
 * nothing else, the moment is waited for.
 * 3. What goes is replaced by an unloaded live; its memory is given back when its last request
 * ends.
 */
#include "host/in.h"

#include "base/clock.h"
#include "base/log.h"

#include <unistd.h>

#define YOUNG_NS 50000000u
enum { WAIT_US = 5000 };

static size_t loaded_bytes(const struct host *h) {
    size_t bytes = 0;
    for (size_t i = 0; i < h->n_models; i++)
        for (size_t k = 0; k < h->models[i]->n_lives; k++)
            if (atomic_load(&h->models[i]->lives[k]->state) == LIVE_READY)
                bytes += h->models[i]->lives[k]->bytes;
    return bytes;
}

/* *young: there is one that may go in a moment. */
static struct live *least_used(struct host *h, const struct live *not_this, bool *young) {
    struct live *best = NULL;
    uint64_t now = clock_ns(), oldest = UINT64_MAX;
    *young = false;
    for (size_t i = 0; i < h->n_models; i++)
        for (size_t k = 0; k < h->models[i]->n_lives; k++) {
            struct live *l = h->models[i]->lives[k];
            uint64_t touched = atomic_load(&l->touched_ns);
            if (l == not_this || l->policy.pin || atomic_load(&l->state) != LIVE_READY ||
                touched >= oldest || atomic_load(&l->waiting))
                continue;
            if (l->loaded_ns + YOUNG_NS > now) {
                *young = true;
                continue;
            }
            oldest = touched;
            best = l;
        }
    return best;
}

static bool evict(struct host *h, struct live *l) {
    struct store_info info = {.version = l->version,
                              .format = str_of(l->format),
                              .digest = str_of(l->digest),
                              .created_us = l->created_us,
                              .size_bytes = l->size_bytes};
    struct live *fresh = live_new(str_of(l->model), &info);
    if (!fresh)
        return false;
    entry_take_policy(fresh, &l->policy);
    log_event(LOG_INFO, "unloaded for memory", 3,
              (struct log_field[]){LOG_S("model", str_of(l->model)), LOG_I("version", l->version),
                                   LOG_I("bytes", l->bytes)});
    bool done = entry_replace(h, l, fresh);
    live_unref(fresh);
    return done;
}

static bool shrink(struct host *h, size_t need, const struct live *keep) {
    while (loaded_bytes(h) + need > h->options.memory_bytes) {
        bool young;
        struct live *l = least_used(h, keep, &young);
        if (!l && young)
            usleep(WAIT_US);
        else if (!l || !evict(h, l))
            return false;
    }
    return true;
}

bool budget_room(struct host *h, uint64_t bytes, bool evict_others) {
    if (h->options.memory_bytes == 0)
        return true;
    if (evict_others)
        return shrink(h, (size_t)bytes, NULL);
    return loaded_bytes(h) + bytes <= h->options.memory_bytes;
}

void budget_note(struct host *h, struct live *l) {
    struct live_stats s;
    live_stats(l, &s);
    l->bytes = (size_t)(s.mapped_bytes + s.packed_bytes);
    l->loaded_ns = clock_ns();
    atomic_store(&l->touched_ns, l->loaded_ns);
    if (h->options.memory_bytes)
        (void)shrink(h, 0, l);
}
