/* SPDX-License-Identifier: Apache-2.0 */
/* Probes: see probe.h. */
#include "serve/probe.h"

enum { RATE = 1000 };

void probe_default(struct probe *p) { *p = (struct probe){.rate = RATE, .count = -1}; }

void probes_init(struct probes *all) {
    *all = (struct probes){.n = 1};
    pthread_mutex_init(&all->lock, NULL);
    probe_default(&all->rows[0].probe);
}

void probes_deinit(struct probes *all) { pthread_mutex_destroy(&all->lock); }

/* Its own row, else NULL. */
static struct probe_row *find(struct probes *all, struct str model) {
    for (size_t i = 0; i < all->n; i++)
        if (str_is(model, all->rows[i].model))
            return &all->rows[i];
    return NULL;
}

void probe_of(struct probes *all, struct str model, struct probe *out) {
    pthread_mutex_lock(&all->lock);
    const struct probe_row *row = find(all, model);
    *out = row ? row->probe : all->rows[0].probe;
    pthread_mutex_unlock(&all->lock);
}

enum code probe_put(struct probes *all, struct str model, const struct probe *p, struct err *e) {
    if (model.n > PROBE_NAME)
        return fail(e, INVALID, "a model's name has at most %d bytes", PROBE_NAME);
    pthread_mutex_lock(&all->lock);
    struct probe_row *row = find(all, model);
    if (!row && all->n <= PROBE_MODELS) {
        row = &all->rows[all->n++];
        snprintf(row->model, sizeof row->model, "%.*s", STR(model));
    }
    if (row) {
        row->probe = *p;
        row->seen = 0;
    }
    bool any = false;
    for (size_t i = 0; i < all->n; i++)
        any |= all->rows[i].probe.on;
    atomic_store(&all->any, any);
    pthread_mutex_unlock(&all->lock);
    return row ? OK
               : fail(e, LIMIT, "more than %d models with trace settings of their own",
                      PROBE_MODELS);
}

bool probe_hit(struct probes *all, struct str model) {
    if (!atomic_load_explicit(&all->any, memory_order_relaxed) || model.n == 0)
        return false;
    pthread_mutex_lock(&all->lock);
    struct probe_row *row = find(all, model);
    row = row ? row : &all->rows[0];
    struct probe *p = &row->probe;
    bool hit = p->on && p->count != 0 && row->seen++ % p->rate == 0;
    if (hit && p->count > 0)
        p->count--;
    pthread_mutex_unlock(&all->lock);
    return hit;
}
