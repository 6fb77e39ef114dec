/* SPDX-License-Identifier: Apache-2.0 */
/* A host without threads: a routing table of models whose versions are ready and hold nothing. */
#pragma once

#include "base/mem.h"
#include "host/in.h"

#include "../base/check.h"

static inline void table_open(struct host *h) {
    memset(h, 0, sizeof *h);
    pthread_rwlock_init(&h->routes_lock, NULL);
    pthread_mutex_init(&h->queue_lock, NULL);
    pthread_mutex_init(&h->load_lock, NULL);
    thread_cond_init(&h->load_work);
}

/* Versions n to 1, the newest chosen. The table's own. */
static inline struct route_model *table_add(struct host *h, const char *name, size_t n) {
    struct route_model *m = mem_zalloc(1, sizeof *m);
    m->name = mem_strdup(name);
    m->lives = mem_zalloc(n, sizeof *m->lives);
    m->aliases = mem_zalloc(4, sizeof *m->aliases);
    for (; m->n_lives < n; m->n_lives++) {
        struct store_info info = {.version = n - m->n_lives, .format = LIT("test")};
        m->lives[m->n_lives] = live_new(str_of(name), &info);
        atomic_store(&m->lives[m->n_lives]->state, LIVE_READY);
    }
    m->chosen = live_ref(m->lives[0]);
    route_publish(h, m);
    return m;
}

static inline void table_alias(struct route_model *m, const char *name, struct live *l,
                               struct live *previous) {
    m->aliases[m->n_aliases++] =
        (struct route_alias){mem_strdup(name), live_ref(l), previous ? live_ref(previous) : NULL};
}

static inline void table_close(struct host *h) {
    while (h->n_models)
        route_drop(h, h->models[0]->name);
    mem_free(h->models);
    for (struct command *c = h->commands, *next; c; c = next) {
        next = c->next;
        mem_free(c);
    }
    pthread_rwlock_destroy(&h->routes_lock);
    pthread_mutex_destroy(&h->queue_lock);
    pthread_mutex_destroy(&h->load_lock);
    pthread_cond_destroy(&h->load_work);
}
