/* SPDX-License-Identifier: Apache-2.0 */
/* From a name to a live version. The table has one immutable entry per model; the loader builds a
 * new entry and swaps it under the write lock, which is held for a pointer exchange only. */
#include "host/in.h"

#include "base/mem.h"

#include <string.h>

static size_t lower_bound(const struct host *h, struct str model, bool *found) {
    size_t low = 0, high = h->n_models;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = str_cmp(str_of(h->models[middle]->name), model);
        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *found = false;
    return low;
}

struct route_model *route_find(const struct host *h, struct str model) {
    bool found;
    size_t at = lower_bound(h, model, &found);
    return found ? h->models[at] : NULL;
}

void route_model_free(struct route_model *m) {
    if (!m)
        return;
    for (size_t i = 0; i < m->n_lives; i++)
        live_unref(m->lives[i]);
    for (size_t i = 0; i < m->n_aliases; i++) {
        live_unref(m->aliases[i].live);
        live_unref(m->aliases[i].previous);
        mem_free(m->aliases[i].name);
    }
    live_unref(m->chosen);
    live_unref(m->before);
    split_unref(m->split);
    mem_free(m->lives);
    mem_free(m->aliases);
    mem_free(m->name);
    mem_free(m);
}

/* Room for one more entry; the loader is the only writer, so growing outside the lock would race
 * with readers only. */
static bool insert(struct host *h, size_t at, struct route_model *m) {
    struct route_model **grown = mem_realloc(h->models, (h->n_models + 1) * sizeof *grown);
    if (!grown)
        return false;
    memmove(grown + at + 1, grown + at, (h->n_models - at) * sizeof *grown);
    grown[at] = m;
    h->models = grown;
    h->n_models++;
    return true;
}

void route_publish(struct host *h, struct route_model *m) {
    bool found;
    struct route_model *old = NULL;
    pthread_rwlock_wrlock(&h->routes_lock);
    size_t at = lower_bound(h, str_of(m->name), &found);
    if (found) {
        old = h->models[at];
        h->models[at] = m;
    } else if (!insert(h, at, m)) {
        old = m; /* out of memory: the model stays unknown until the next poll */
    }
    pthread_rwlock_unlock(&h->routes_lock);
    route_model_free(old);
}

void route_drop(struct host *h, const char *model) {
    bool found;
    struct route_model *old = NULL;
    pthread_rwlock_wrlock(&h->routes_lock);
    size_t at = lower_bound(h, str_of(model), &found);
    if (found) {
        old = h->models[at];
        memmove(h->models + at, h->models + at + 1, (h->n_models - at - 1) * sizeof *h->models);
        h->n_models--;
    }
    pthread_rwlock_unlock(&h->routes_lock);
    route_model_free(old);
}

void route_set_by_hand(struct host *h, struct route_model *m, bool by_hand) {
    pthread_rwlock_wrlock(&h->routes_lock);
    m->by_hand = by_hand;
    pthread_rwlock_unlock(&h->routes_lock);
}

bool route_by_hand(struct host *h, struct str model) {
    pthread_rwlock_rdlock(&h->routes_lock);
    const struct route_model *m = route_find(h, model);
    bool by_hand = m && m->by_hand;
    pthread_rwlock_unlock(&h->routes_lock);
    return by_hand;
}

/* Where a name points, or pointed before when that was withdrawn. */
static struct live *standing(struct live *l, struct live *previous) {
    return l && atomic_load_explicit(&l->withdrawn, memory_order_relaxed) && live_usable(previous)
               ? previous
               : l;
}

static struct live *pick(const struct route_model *m, uint64_t version, struct str alias) {
    if (version) {
        for (size_t i = 0; i < m->n_lives; i++)
            if (m->lives[i]->version == version)
                return m->lives[i];
        return NULL;
    }
    if (alias.n) {
        for (size_t i = 0; i < m->n_aliases; i++)
            if (str_is(alias, m->aliases[i].name))
                return standing(m->aliases[i].live, m->aliases[i].previous);
        return NULL;
    }
    if (m->chosen)
        return standing(m->chosen, m->before);
    return m->n_lives ? m->lives[0] : NULL; /* not ready: its state says why */
}

static enum code none(struct str model, const struct route_model *m, uint64_t version,
                      struct str alias, struct err *e) {
    if (!m)
        return fail(e, NOT_FOUND, "Request for unknown model: '%.*s' is not found", STR(model));
    if (version)
        return fail(e, NOT_FOUND, "Request for unknown model: '%.*s' version %llu is not found",
                    STR(model), (unsigned long long)version);
    if (alias.n)
        return fail(e, NOT_FOUND, "Request for unknown model: '%.*s' has no alias '%.*s'",
                    STR(model), STR(alias));
    return fail(e, NOT_FOUND, "Request for unknown model: '%.*s' has no available versions",
                STR(model));
}

enum code route_ask(struct host *h, struct str model, uint64_t version, struct str alias,
                    struct live **out, struct split **split, struct err *e) {
    pthread_rwlock_rdlock(&h->routes_lock);
    const struct route_model *m = route_find(h, model);
    struct live *l = m ? pick(m, version, alias) : NULL;
    enum code code = l ? OK : none(model, m, version, alias, e);
    if (l)
        *out = live_ref(l);
    if (l && split)
        *split = m->split && !version && !alias.n ? split_ref(m->split) : NULL;
    pthread_rwlock_unlock(&h->routes_lock);
    return code;
}
