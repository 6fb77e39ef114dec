/* SPDX-License-Identifier: Apache-2.0 */
/* The loader thread: makes the routing table follow the store. It alone writes the table and the
 * lives' states.
 *
 * For each model: publish what is known (new versions as UNLOADED) -> load and warm the versions
 * that names point at -> publish again with the names moved -> versions no name points at are
 * replaced by unloaded ones; the old ones end with their last request. A version that fails keeps
 * its reason, and the names stay where they were.
 *
 * It runs at low priority, so that loading takes the cores nobody else wants. */
#include "host/in.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { LIST_ARENA_BYTES = 64 << 20, LOADER_NICE = 10 };

static void note_state(struct live *l, const char *message, uint64_t ns) {
    log_event(LOG_INFO, message, 3,
              (struct log_field[]){LOG_S("model", str_of(l->model)), LOG_I("version", l->version),
                                   LOG_F("ms", (double)ns / 1e6)});
}

static void load(struct host *h, struct live *l) {
    struct err e;
    uint64_t began = clock_ns();
    atomic_store(&l->state, LIVE_LOADING);
    enum code code = live_open(l, h->options.store, h->options.memory_bytes, &e);
    if (code == OK)
        code = live_warm(l, h->threads, &e);
    if (code == OK) {
        l->loaded.load_ns = clock_ns() - began;
        counter_set(l->c_load, (int64_t)(l->loaded.load_ns / 1000000));
        counter_set(l->c_bytes, (int64_t)store_version_mapped_bytes(l->loaded.version));
        counter_set(l->c_state, 1);
        atomic_store(&l->state, LIVE_READY);
        note_state(l, "loaded", l->loaded.load_ns);
    } else {
        live_fail(l, &e);
        log_event(LOG_ERROR, "load failed", 3,
                  (struct log_field[]){LOG_S("model", str_of(l->model)),
                                       LOG_I("version", l->version),
                                       LOG_S("error", str_of(e.text))});
    }
}

/* --- building an entry --- */

static struct live *live_of(const struct route_model *m, uint64_t version) {
    for (size_t i = 0; m && i < m->n_lives; i++)
        if (m->lives[i]->version == version)
            return m->lives[i];
    return NULL;
}

static struct live *alias_of(const struct route_model *m, struct str name) {
    for (size_t i = 0; m && i < m->n_aliases; i++)
        if (str_is(name, m->aliases[i].name))
            return m->aliases[i].live;
    return NULL;
}

static bool is_ready(const struct live *l) { return l && atomic_load(&l->state) == LIVE_READY; }

static size_t count_aliases(const struct store_info *infos, size_t n) {
    size_t total = 0;
    for (size_t i = 0; i < n; i++)
        total += infos[i].n_aliases;
    return total;
}

/* An entry with a live per version, taken over from `old` where it has one; no names yet. */
static struct route_model *entry_new(const struct route_model *old, const struct store_info *infos,
                                     size_t n) {
    struct route_model *m = mem_zalloc(1, sizeof *m);
    if (!m)
        return NULL;
    m->lives = mem_zalloc(n, sizeof *m->lives);
    m->aliases = mem_zalloc(count_aliases(infos, n), sizeof *m->aliases);
    m->name = mem_alloc(infos[0].model.n + 1);
    if (!m->lives || !m->aliases || !m->name)
        goto failed;
    memcpy(m->name, infos[0].model.p, infos[0].model.n);
    m->name[infos[0].model.n] = '\0';
    m->by_hand = old && old->by_hand;
    for (size_t i = 0; i < n; i++) {
        struct live *l = live_of(old, infos[i].version);
        l = l ? live_ref(l) : live_new(infos[0].model, &infos[i]);
        if (!l)
            goto failed;
        m->lives[m->n_lives++] = l;
    }
    return m;
failed:
    route_model_free(m);
    return NULL;
}

static bool entry_add_alias(struct route_model *m, struct str name, struct live *l) {
    char *copy = mem_alloc(name.n + 1);
    if (!copy)
        return false;
    memcpy(copy, name.p, name.n);
    copy[name.n] = '\0';
    m->aliases[m->n_aliases++] = (struct route_alias){copy, live_ref(l)};
    return true;
}

/* Names: an alias whose target is not ready stays where it was, if that still answers. */
static bool entry_add_aliases(struct route_model *m, const struct route_model *old,
                              const struct store_info *infos, size_t n) {
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < infos[i].n_aliases; k++) {
            struct live *target = live_of(m, infos[i].version),
                        *before = alias_of(old, infos[i].aliases[k]);
            if (!is_ready(target) && is_ready(before))
                target = before;
            if (!entry_add_alias(m, infos[i].aliases[k], target))
                return false;
        }
    return true;
}

/* --- what should be loaded --- */

static const struct wish *wish_for(const struct host *h, struct str model) {
    for (size_t i = 0; i < h->options.n_models; i++)
        if (str_eq(h->wishes[i].ref.model, model))
            return &h->wishes[i];
    return NULL;
}

static uint64_t alias_version(const struct store_info *infos, size_t n, struct str alias) {
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < infos[i].n_aliases; k++)
            if (str_eq(infos[i].aliases[k], alias))
                return infos[i].version;
    return 0;
}

/* The version MODEL alone means: the command line's selector, the alias prod, the newest. */
static uint64_t chosen_version(const struct host *h, const struct store_info *infos, size_t n) {
    const struct wish *w = wish_for(h, infos[0].model);
    uint64_t version = 0;
    if (w && w->ref.version)
        return w->ref.version;
    if (w && w->ref.alias.n)
        version = alias_version(infos, n, w->ref.alias);
    if (!version)
        version = alias_version(infos, n, LIT("prod"));
    return version ? version : infos[0].version;
}

static bool wanted(const struct host *h, const struct store_info *infos, size_t n, size_t i,
                   const struct live *l) {
    return l->pinned || infos[i].n_aliases || infos[i].version == chosen_version(h, infos, n);
}

static bool needs_load(const struct live *l) { return atomic_load(&l->state) == LIVE_UNLOADED; }

static struct live *choose(const struct route_model *m, const struct route_model *old,
                           uint64_t version) {
    struct live *l = live_of(m, version);
    if (is_ready(l))
        return l;
    if (old && is_ready(old->chosen))
        return old->chosen;
    for (size_t i = 0; i < m->n_lives; i++)
        if (is_ready(m->lives[i]))
            return m->lives[i];
    return l;
}

/* Replaces lives nobody asks for by unloaded ones. */
static bool entry_unload_rest(const struct host *h, struct route_model *m,
                              const struct store_info *infos, size_t n) {
    for (size_t i = 0; i < n; i++) {
        struct live *l = m->lives[i];
        bool idle =
            !wanted(h, infos, n, i, l) && l != m->chosen && atomic_load(&l->state) == LIVE_READY;
        for (size_t k = 0; idle && k < m->n_aliases; k++)
            idle = m->aliases[k].live != l;
        if (!idle && !m->by_hand)
            continue;
        struct live *fresh = live_new(infos[0].model, &infos[i]);
        if (!fresh)
            return false;
        m->lives[i] = fresh;
        live_unref(l);
    }
    return true;
}

static void publish_final(struct host *h, const struct store_info *infos, size_t n) {
    const struct route_model *old =
        route_find(h, infos[0].model); /* only this thread writes: no lock to read */
    struct route_model *m = entry_new(old, infos, n);
    if (!m)
        return;
    struct live *chosen = m->by_hand ? NULL : choose(m, old, chosen_version(h, infos, n));
    m->chosen = chosen ? live_ref(chosen) : NULL;
    if ((m->by_hand || entry_add_aliases(m, old, infos, n)) && entry_unload_rest(h, m, infos, n))
        route_publish(h, m);
    else
        route_model_free(m);
}

/* First publication: new versions are known (and asks for them wait), names are still where they
 * were. */
static void publish_known(struct host *h, const struct store_info *infos, size_t n) {
    const struct route_model *old = route_find(h, infos[0].model);
    struct route_model *m = entry_new(old, infos, n);
    if (!m)
        return;
    if (!old)
        m->by_hand = h->options.explicit_only;
    if (!m->by_hand) {
        struct live *l =
            old && is_ready(old->chosen) ? old->chosen : live_of(m, chosen_version(h, infos, n));
        m->chosen = l ? live_ref(l) : NULL;
        if (!entry_add_aliases(m, old, infos, n)) {
            route_model_free(m);
            return;
        }
    }
    route_publish(h, m);
}

static void follow_model(struct host *h, const struct store_info *infos, size_t n) {
    publish_known(h, infos, n);
    const struct route_model *m = route_find(h, infos[0].model);
    for (size_t i = 0; m && !m->by_hand && i < n; i++) {
        struct live *l = live_of(m, infos[i].version);
        if (l && wanted(h, infos, n, i, l) && needs_load(l))
            load(h, l);
    }
    publish_final(h, infos, n);
}

static size_t group(const struct store_info *infos, size_t n) {
    size_t k = 1;
    while (k < n && str_eq(infos[k].model, infos[0].model))
        k++;
    return k;
}

static void drop_absent(struct host *h, const struct store_info *infos, size_t n) {
    for (size_t i = h->n_models; i-- > 0;) {
        bool present = false;
        for (size_t k = 0; k < n && !present; k++)
            present = str_is(infos[k].model, h->models[i]->name);
        if (!present)
            route_drop(h, h->models[i]->name);
    }
}

static enum code follow_store(struct host *h, struct err *e) {
    struct arena a;
    struct store_info *infos;
    size_t n;
    arena_init(&a, LIST_ARENA_BYTES);
    enum code code = store_list(h->options.store, (struct str){0}, &a, &infos, &n, e);
    for (size_t i = 0, k; code == OK && i < n; i += k) {
        k = group(infos + i, n - i);
        if (h->options.n_models == 0 || wish_for(h, infos[i].model))
            follow_model(h, infos + i, k);
    }
    if (code == OK)
        drop_absent(h, infos, n);
    arena_deinit(&a);
    return code;
}

/* --- commands --- */

void loader_command(struct host *h, struct command *c) {
    pthread_mutex_lock(&h->load_lock);
    struct command **tail = &h->commands;
    while (*tail)
        tail = &(*tail)->next;
    c->next = NULL;
    *tail = c;
    pthread_cond_signal(&h->load_work);
    pthread_mutex_unlock(&h->load_lock);
}

static enum code command_load(struct host *h, const struct command *c, struct err *e) {
    struct route_model *m = route_find(h, str_of(c->model));
    if (!m)
        return fail(e, NOT_FOUND, "failed to load '%s', no such model in the store", c->model);
    struct live *l = c->version ? live_of(m, c->version) : NULL;
    if (c->version && !l)
        return fail(e, NOT_FOUND, "failed to load '%s', no version %llu", c->model,
                    (unsigned long long)c->version);
    route_set_by_hand(h, m, false);
    if (l) {
        l->pinned = true;
        if (atomic_load(&l->state) != LIVE_READY)
            load(h, l);
    }
    for (size_t i = 0; i < m->n_lives; i++) /* asked again: failed ones get another try */
        if (atomic_load(&m->lives[i]->state) == LIVE_FAILED)
            atomic_store(&m->lives[i]->state, LIVE_UNLOADED);
    return OK;
}

static enum code command_unload(struct host *h, const struct command *c, struct err *e) {
    struct route_model *m = route_find(h, str_of(c->model));
    if (!m)
        return fail(e, NOT_FOUND, "failed to unload '%s', no such model in the store", c->model);
    route_set_by_hand(h, m, true);
    for (size_t i = 0; i < m->n_lives; i++)
        m->lives[i]->pinned = false;
    return OK;
}

static enum code outcome(struct host *h, const struct command *c, struct err *e) {
    struct live *l;
    TRY(route_ask(h, str_of(c->model), c->version, (struct str){0}, &l, e));
    enum code code = OK;
    if (atomic_load(&l->state) != LIVE_READY)
        code = fail(e, UNAVAILABLE, "failed to load '%s': %s", c->model,
                    l->error ? l->error : "not ready");
    live_unref(l);
    return code;
}

static void obey(struct host *h, struct command *c) {
    struct err e;
    enum code code = c->kind == COMMAND_LOAD ? command_load(h, c, &e) : command_unload(h, c, &e);
    if (code == OK)
        code = follow_store(h, &e);
    if (code == OK && c->kind == COMMAND_LOAD)
        code = outcome(h, c, &e);
    if (c->done)
        c->done(c->ctx, code, code == OK ? NULL : &e);
    mem_free(c);
}

static struct command *next_command(struct host *h, bool *stop) {
    pthread_mutex_lock(&h->load_lock);
    uint64_t until = clock_ns() + h->options.poll_ms * 1000000u;
    while (!h->commands && !h->load_stopping &&
           thread_cond_wait_until(&h->load_work, &h->load_lock, until)) {
    }
    struct command *c = h->commands;
    if (c)
        h->commands = c->next;
    *stop = h->load_stopping;
    pthread_mutex_unlock(&h->load_lock);
    return c;
}

static void poll_store(struct host *h, uint64_t *seen) {
    struct err e;
    uint64_t now;
    enum code code = store_generation(h->options.store, &now, &e);
    if (code == OK && now != *seen) {
        code = follow_store(h, &e);
        if (code == OK)
            *seen = now;
    }
    if (code != OK)
        log_event(LOG_ERROR, "store", 1, (struct log_field[]){LOG_S("error", str_of(e.text))});
}

void *loader_main(void *arg) {
    struct host *h = arg;
    uint64_t seen = UINT64_MAX;
    setpriority(PRIO_PROCESS, (id_t)gettid(), LOADER_NICE);
    for (bool stop = false; !stop;) {
        poll_store(h, &seen);
        atomic_store(&h->ready, true);
        struct command *c = next_command(h, &stop);
        if (c)
            obey(h, c);
    }
    return NULL;
}
