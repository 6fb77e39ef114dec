/* SPDX-License-Identifier: Apache-2.0 */
/* The loader thread: makes the routing table follow the store. It alone writes the table and the
 * lives' states.
 *
 * For each model: publish what is known (new versions as UNLOADED) -> load and warm the versions
 * that names point at -> publish again with the names moved -> versions no name points at are
 * replaced by unloaded ones; the old ones end with their last request. A version that fails keeps
 * its reason, and the names stay where they were.
 *
 * It steps back, so that loading takes the cores nobody else wants; the threads of what it loads
 * do not. */
#include "host/in.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"

#include <string.h>

enum { LIST_ARENA_BYTES = 64 << 20 };
#define AGAIN_NS 1000000000u

/* --- what the store says --- */

static void note_state(struct live *l, const char *message, uint64_t ns) {
    log_event(LOG_INFO, message, 3,
              (struct log_field[]){LOG_S("model", str_of(l->model)), LOG_I("version", l->version),
                                   LOG_F("ms", (double)ns / 1e6)});
}

/* What killed the process before is not tried again. */
static enum code open_and_warm(struct host *h, struct live *l, struct err *e) {
    struct str model = str_of(l->model);
    enum code code = marks_check(h->marks, model, l->version, e);
    if (code != OK) {
        circuit_bar(h, l, e);
        return code;
    }
    if (!l->mark)
        l->mark = marks_take(h->marks, model, l->version);
    mark_loading(l->mark, true);
    code = live_open(l, &h->options, e);
    if (code == OK)
        code = live_warm(l, h->threads, e);
    if (code == OK)
        code = pad_open(l, h->options.pad_all, h->threads, e);
    if (code == OK)
        loaded_keep(&l->loaded, false);
    mark_loading(l->mark, false);
    return code;
}

static void load(struct host *h, struct live *l) {
    struct err e;
    uint64_t began = clock_ns();
    atomic_store(&l->loading_ns, began);
    atomic_store(&l->state, LIVE_LOADING);
    if (open_and_warm(h, l, &e) == OK) {
        l->loaded.load_ns = clock_ns() - began;
        counter_set(l->c_load, (int64_t)(l->loaded.load_ns / 1000000));
        counter_set(l->c_bytes, (int64_t)store_version_mapped_bytes(l->loaded.version));
        counter_set(l->c_state, 1);
        budget_note(h, l);
        atomic_store(&l->state, LIVE_READY);
        note_state(l, "loaded", l->loaded.load_ns);
    } else {
        log_event(LOG_ERROR, "load failed", 3,
                  (struct log_field[]){LOG_S("model", str_of(l->model)),
                                       LOG_I("version", l->version),
                                       LOG_S("error", str_of(e.text))});
        store_hide(h->options.store, e.text); /* from here on it is for clients */
        live_fail(l, &e);
    }
}

static bool is_hot(const struct route_model *m) {
    for (size_t i = 0; i < m->n_lives; i++)
        if (atomic_load(&m->lives[i]->state) == LIVE_READY)
            return true;
    return false;
}

/* With a memory budget only the new versions of a model in use push others out; the rest is loaded
 * while there is room, and on demand. */
static void follow_model(struct host *h, const struct known *k) {
    entry_publish_known(h, k);
    const struct route_model *m = route_find(h, known_model(k));
    for (size_t i = 0; m && !m->by_hand && i < k->n; i++) {
        struct live *l = entry_live(m, k->infos[i].version);
        if (!l || !entry_wants(h, k, l) || atomic_load(&l->state) != LIVE_UNLOADED)
            continue;
        if (budget_room(h, k->infos[i].size_bytes, is_hot(m)))
            load(h, l);
        m = route_find(h, known_model(k)); /* making room may have replaced it */
    }
    entry_publish_final(h, k);
}

/* Both lists are in the order of names. */
static void drop_absent(struct host *h, const struct store_info *infos, size_t n) {
    for (size_t i = h->n_models; i-- > 0;) {
        struct str name = str_of(h->models[i]->name);
        while (n && str_cmp(infos[n - 1].model, name) > 0)
            n--;
        if (n == 0 || !str_eq(infos[n - 1].model, name))
            route_drop(h, h->models[i]->name);
    }
}

struct look { /* at the whole store: three lists in the order of model names */
    struct store_info *infos;
    struct store_alias *aliases;
    struct store_setting *settings;
    size_t n, n_aliases, n_settings;
};

static enum code look(struct host *h, struct arena *a, struct look *out, struct err *e) {
    struct store *s = h->options.store;
    TRY(store_list(s, (struct str){0}, a, &out->infos, &out->n, e));
    TRY(store_aliases(s, (struct str){0}, a, &out->aliases, &out->n_aliases, e));
    return store_settings(s, (struct str){0}, a, &out->settings, &out->n_settings, e);
}

/* A setting this program cannot read (a newer one wrote it) is as good as none. */
static void take_setting(struct known *k, const struct store_setting *s) {
    struct err e;
    bool bad =
        (str_eq(s->name, ROLLOUT_SETTING) && rollout_parse(s->value, &k->rollout, &e) != OK) ||
        (str_eq(s->name, POLICY_SETTING) && policy_parse(s->value, &k->policy, &e) != OK);
    if (bad)
        log_event(LOG_WARN, "setting ignored", 3,
                  (struct log_field[]){LOG_S("model", s->model), LOG_S("setting", s->name),
                                       LOG_S("error", str_of(e.text))});
}

/* The model that begins at infos[0], taken off the front of all three lists. */
static struct known take_known(struct look *l) {
    struct known k = {.infos = l->infos, .aliases = l->aliases};
    policy_default(&k.policy);
    struct str model = l->infos[0].model;
    while (k.n < l->n && str_eq(l->infos[k.n].model, model))
        k.n++;
    while (k.n_aliases < l->n_aliases && str_eq(l->aliases[k.n_aliases].model, model))
        k.n_aliases++;
    size_t s = 0;
    for (; s < l->n_settings && str_eq(l->settings[s].model, model); s++)
        take_setting(&k, &l->settings[s]);
    *l = (struct look){l->infos + k.n, l->aliases + k.n_aliases,   l->settings + s,
                       l->n - k.n,     l->n_aliases - k.n_aliases, l->n_settings - s};
    return k;
}

/* Settings of a model whose last version is gone have no versions to belong to. */
static void skip_orphans(struct look *l) {
    while (l->n_settings && str_cmp(l->settings[0].model, l->infos[0].model) < 0) {
        l->settings++;
        l->n_settings--;
    }
}

static enum code follow_store(struct host *h, struct err *e) {
    struct arena a;
    struct look l = {0};
    arena_init(&a, LIST_ARENA_BYTES);
    enum code code = look(h, &a, &l, e);
    const struct look all = l;
    while (code == OK && l.n) {
        skip_orphans(&l);
        struct known k = take_known(&l);
        if (h->all || wish_for(h, known_model(&k)) ||
            route_find(h, known_model(&k))) /* no longer wished for: known, not loaded */
            follow_model(h, &k);
    }
    if (code == OK)
        drop_absent(h, all.infos, all.n);
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
    struct live *l = c->version ? entry_live(m, c->version) : NULL;
    if (c->version && !l)
        return fail(e, NOT_FOUND, "failed to load '%s', no version %llu", c->model,
                    (unsigned long long)c->version);
    route_set_by_hand(h, m, false);
    if (l) {
        l->asked = true;
        marks_forgive(h->marks, str_of(m->name), l->version);
        if (atomic_load(&l->state) != LIVE_READY)
            load(h, l);
    }
    for (size_t i = 0; i < m->n_lives; i++) /* asked again: failed ones get another try */
        if (atomic_load(&m->lives[i]->state) == LIVE_FAILED) {
            marks_forgive(h->marks, str_of(m->name), m->lives[i]->version);
            atomic_store(&m->lives[i]->state, LIVE_UNLOADED);
        }
    return OK;
}

static enum code command_unload(struct host *h, const struct command *c, struct err *e) {
    struct route_model *m = route_find(h, str_of(c->model));
    if (!m)
        return fail(e, NOT_FOUND, "failed to unload '%s', no such model in the store", c->model);
    route_set_by_hand(h, m, true);
    for (size_t i = 0; i < m->n_lives; i++)
        m->lives[i]->asked = false;
    return OK;
}

static void command_wish(struct host *h, struct command *c) {
    struct wish *old = h->wishes;
    size_t n_old = h->options.n_models;
    bool all = h->all;
    h->wishes = c->wishes;
    h->options.n_models = c->n_wishes;
    h->all = false;
    h->told = true;
    for (size_t i = 0; i < h->n_models; i++) {
        struct route_model *m = h->models[i];
        struct str name = str_of(m->name);
        bool wanted = wish_for(h, name), had = all || wish_in(old, n_old, name);
        if (wanted != had || (wanted && c->afresh))
            route_set_by_hand(h, m, !wanted);
        for (size_t k = 0; !wanted && k < h->models[i]->n_lives; k++)
            h->models[i]->lives[k]->asked = false;
    }
    c->wishes = old;
}

/* An ask waits for it. */
static enum code command_demand(struct host *h, const struct command *c, struct err *e) {
    struct route_model *m = route_find(h, str_of(c->model));
    struct live *l = m ? entry_live(m, c->version) : NULL;
    if (!l || atomic_load(&l->state) != LIVE_LOADING)
        return OK;
    l->asked = true;
    if (budget_room(h, l->size_bytes, true)) {
        load(h, l);
        return OK;
    }
    (void)fail(e, UNAVAILABLE,
               "it needs %llu MB, the memory budget is %zu MB, and what is loaded is pinned or "
               "busy",
               (unsigned long long)l->size_bytes >> 20, h->options.memory_bytes >> 20);
    atomic_store(&l->again_ns, clock_ns() + AGAIN_NS);
    live_fail(l, e);
    return OK;
}

static enum code outcome(struct host *h, const struct command *c, struct err *e) {
    struct live *l;
    TRY(route_ask(h, str_of(c->model), c->version, (struct str){0}, &l, NULL, e));
    enum code code = OK;
    if (atomic_load(&l->state) != LIVE_READY)
        code = fail(e, UNAVAILABLE, "failed to load '%s': %s", c->model,
                    atomic_load(&l->state) == LIVE_FAILED ? live_error(l) : "not ready");
    live_unref(l);
    return code;
}

static enum code wish_outcome(struct host *h, struct err *e) {
    for (size_t i = 0; i < h->options.n_models; i++) {
        const struct store_ref *ref = &h->wishes[i].ref;
        const struct route_model *m = route_find(h, ref->model);
        const struct live *l = m && ref->version ? entry_live(m, ref->version) : NULL;
        if (l && atomic_load(&l->state) == LIVE_FAILED)
            return fail(e, UNAVAILABLE, "failed to load '%.*s' version %llu: %s", STR(ref->model),
                        (unsigned long long)ref->version, live_error(l));
    }
    return OK;
}

static enum code obey_kind(struct host *h, struct command *c, struct err *e) {
    switch (c->kind) {
    case COMMAND_LOAD: return command_load(h, c, e);
    case COMMAND_UNLOAD: return command_unload(h, c, e);
    case COMMAND_DEMAND: return command_demand(h, c, e);
    case COMMAND_WITHDRAW: return circuit_obey(h, c, e);
    case COMMAND_WISH: command_wish(h, c); return OK;
    }
    return OK;
}

static void tell(struct host *h) {
    pthread_mutex_lock(&h->load_lock);
    void (*fn)(void *) = h->on_change;
    void *ctx = h->on_change_ctx;
    pthread_mutex_unlock(&h->load_lock);
    if (fn)
        fn(ctx);
}

static void obey(struct host *h, struct command *c) {
    struct err e;
    enum code code = obey_kind(h, c, &e);
    if (code == OK && c->kind != COMMAND_DEMAND)
        code = follow_store(h, &e);
    if (code == OK && c->kind == COMMAND_LOAD)
        code = outcome(h, c, &e);
    if (code == OK && c->kind == COMMAND_WISH)
        code = wish_outcome(h, &e);
    if (c->done)
        c->done(c->ctx, code, code == OK ? NULL : &e);
    mem_free(c->wishes);
    mem_free(c);
    tell(h);
}

static struct command *next_command(struct host *h, bool *stop) {
    pthread_mutex_lock(&h->load_lock);
    uint64_t until = clock_ns() + h->options.poll_ms * 1000000u;
    while (!h->commands && !h->load_stopping && !h->poked &&
           thread_cond_wait_until(&h->load_work, &h->load_lock, until)) {
    }
    struct command *c = h->commands;
    if (c)
        h->commands = c->next;
    *stop = h->load_stopping;
    h->poked = false;
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
        tell(h);
    }
    if (code != OK)
        log_event(LOG_ERROR, "store", 1, (struct log_field[]){LOG_S("error", str_of(e.text))});
}

void *loader_main(void *arg) {
    struct host *h = arg;
    uint64_t seen = UINT64_MAX;
    thread_step_back();
    for (bool stop = false; !stop;) {
        poll_store(h, &seen);
        atomic_store(&h->ready, true);
        struct command *c = next_command(h, &stop);
        if (c) {
            poll_store(h, &seen); /* what was added before it was asked for is known */
            obey(h, c);
        }
    }
    return NULL;
}
