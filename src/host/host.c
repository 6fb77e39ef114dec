/* SPDX-License-Identifier: Apache-2.0 */
/* Opening, asking, looking, closing: see host.h for the rules, in.h for the locks. */
#include "host/in.h"

#include "base/clock.h"
#include "base/cpu.h"
#include "base/mem.h"
#include "plan/cores.h"

#include <string.h>
#include <unistd.h>

enum { QUEUE = 256, BATCH = 32, POLL_MS = 500 };

/* --- open and close --- */

static enum code copy_wishes(struct host *h, const struct host_options *o, struct err *e) {
    h->wishes = mem_zalloc(o->n_models, sizeof *h->wishes);
    if (!h->wishes)
        return fail(e, NOMEM, "out of memory");
    for (size_t i = 0; i < o->n_models; i++) {
        struct wish *w = &h->wishes[i];
        if (o->models[i].n >= sizeof w->text)
            return fail(e, USAGE, "model name '%.*s' is too long", STR(o->models[i]));
        memcpy(w->text, o->models[i].p, o->models[i].n);
        TRY(store_ref_parse((struct str){w->text, o->models[i].n}, &w->ref, e));
        struct arena a;
        struct store_info info;
        arena_init(&a, 1 << 20);
        enum code code = store_resolve(o->store, &w->ref, &a, &info, e);
        arena_deinit(&a);
        TRY(code);
    }
    return OK;
}

static void set_defaults(struct host *h, const struct host_options *o) {
    h->options = *o;
    h->options.queue = o->queue ? o->queue : QUEUE;
    h->options.batch = o->batch ? o->batch : BATCH;
    h->options.poll_ms = o->poll_ms ? o->poll_ms : POLL_MS;
    h->threads = o->threads > 0 ? o->threads : cpu_cores();
    pthread_rwlock_init(&h->routes_lock, NULL);
    pthread_mutex_init(&h->queue_lock, NULL);
    pthread_mutex_init(&h->load_lock, NULL);
    pthread_cond_init(&h->queue_work, NULL);
    pthread_cond_init(&h->queue_idle, NULL);
    thread_cond_init(&h->load_work);
}

static enum code start_threads(struct host *h, struct err *e) {
    h->workers = mem_zalloc((size_t)h->threads, sizeof *h->workers);
    if (!h->workers)
        return fail(e, NOMEM, "out of memory");
    for (; h->n_workers < h->threads; h->n_workers++)
        TRY(thread_start(&h->workers[h->n_workers], "slipway-run", worker_main, h, e));
    TRY(thread_start(&h->loader, "slipway-load", loader_main, h, e));
    h->loader_started = true;
    return OK;
}

enum code host_open(const struct host_options *o, struct host **out, struct err *e) {
    struct host *h = mem_zalloc(1, sizeof *h);
    if (!h)
        return fail(e, NOMEM, "out of memory");
    set_defaults(h, o);
    enum code code = copy_wishes(h, o, e);
    if (code == OK)
        code = start_threads(h, e);
    if (code != OK) {
        host_close(h);
        return code;
    }
    *out = h;
    return OK;
}

void host_drain(struct host *h) {
    pthread_mutex_lock(&h->queue_lock);
    h->draining = true;
    while (h->n_waiting || h->n_running)
        pthread_cond_wait(&h->queue_idle, &h->queue_lock);
    pthread_mutex_unlock(&h->queue_lock);
}

static void stop_loader(struct host *h) {
    pthread_mutex_lock(&h->load_lock);
    h->load_stopping = true;
    pthread_cond_signal(&h->load_work);
    pthread_mutex_unlock(&h->load_lock);
    if (h->loader_started)
        pthread_join(h->loader, NULL);
    while (h->commands) {
        struct command *c = h->commands;
        h->commands = c->next;
        struct err e;
        enum code code = fail(&e, UNAVAILABLE, "the server is shutting down");
        if (c->done)
            c->done(c->ctx, code, &e);
        mem_free(c);
    }
}

void host_close(struct host *h) {
    if (!h)
        return;
    stop_loader(h);
    pthread_mutex_lock(&h->queue_lock);
    h->stopping = true;
    pthread_cond_broadcast(&h->queue_work);
    pthread_mutex_unlock(&h->queue_lock);
    for (int i = 0; i < h->n_workers; i++)
        pthread_join(h->workers[i], NULL);
    for (size_t i = 0; i < h->n_models; i++)
        route_model_free(h->models[i]);
    mem_free(h->models);
    mem_free(h->wishes);
    mem_free(h->workers);
    mem_free(h);
}

bool host_ready(struct host *h) { return atomic_load(&h->ready) && !h->draining; }

/* --- asking --- */

/* Why l does not answer. One nobody had asked for yet is loaded now, for those who ask again. */
static enum code state_error(struct host *h, struct live *l, bool by_version, struct err *e) {
    int unloaded = LIVE_UNLOADED;
    if (by_version && !route_by_hand(h, str_of(l->model)) &&
        atomic_compare_exchange_strong(&l->state, &unloaded, LIVE_LOADING)) {
        host_load(h, str_of(l->model), l->version, NULL, NULL);
        return fail(e, UNAVAILABLE, "'%s' version %llu is loading; try again", l->model,
                    (unsigned long long)l->version);
    }
    if (atomic_load(&l->state) == LIVE_FAILED)
        return fail(e, UNAVAILABLE, "'%s' version %llu failed to load: %s", l->model,
                    (unsigned long long)l->version, l->error ? l->error : "out of memory");
    return fail(e, UNAVAILABLE, "'%s' version %llu is not at ready state", l->model,
                (unsigned long long)l->version);
}

/* Under queue_lock. */
static enum code enqueue(struct host *h, struct live *l, struct ask *a, struct err *e) {
    if (h->draining)
        return fail(e, UNAVAILABLE, "the server is shutting down");
    if (l->waiting >= h->options.queue)
        return fail(
            e, OVERLOAD,
            "'%s' version %llu: Exceeds maximum queue size of %zu requests; try again later",
            l->model, (unsigned long long)l->version, h->options.queue);
    a->next = NULL;
    if (l->last)
        l->last->next = a;
    else
        l->first = a;
    l->last = a;
    l->waiting++;
    h->n_waiting++;
    worker_wake(h, l);
    return OK;
}

enum code host_route(struct host *h, struct ask *a, struct err *e) {
    struct live *l;
    TRY(route_ask(h, a->model, a->version, a->alias, &l, e));
    if (atomic_load_explicit(&l->state, memory_order_acquire) != LIVE_READY) {
        enum code code = state_error(h, l, a->version != 0, e);
        live_unref(l);
        return code;
    }
    a->live = l;
    return OK;
}

static enum code submit(struct host *h, struct ask *a, struct err *e) {
    if (!a->live)
        TRY(host_route(h, a, e));
    struct live *l = a->live;
    TRY(bind_ask(l, a, e));
    pthread_mutex_lock(&h->queue_lock);
    enum code code = enqueue(h, l, a, e);
    pthread_mutex_unlock(&h->queue_lock);
    return code;
}

void host_submit(struct host *h, struct ask *a) {
    a->outputs = NULL;
    a->n_outputs = 0;
    a->queue_ns = a->compute_ns = 0;
    a->batch_rows = 0;
    a->queued_ns = clock_ns();
    enum code code = submit(h, a, &a->err);
    if (code != OK && a->live) {
        ask_finish(a->live, a, code);
    } else if (code != OK) {
        a->code = code;
        a->done(a);
    }
}

void ask_end(struct ask *a) {
    live_unref(a->live);
    a->live = NULL;
}

/* --- looking --- */

static void unref_live(void *l) { live_unref(l); }

static enum code fill_info(const struct route_model *m, struct live *l, struct arena *a,
                           struct live_info *out, struct err *e) {
    *out = (struct live_info){.version = l->version,
                              .state = atomic_load(&l->state),
                              .is_default = m->chosen == l,
                              .created_us = l->created_us};
    out->model = arena_str(a, str_of(l->model));
    out->format = arena_str(a, str_of(l->format));
    out->digest = arena_str(a, str_of(l->digest));
    if (out->state == LIVE_FAILED && l->error)
        out->error = arena_str(a, str_of(l->error));
    out->aliases = ARENA_ARRAY(a, m->n_aliases + 1, struct str);
    if (!out->aliases)
        return arena_fail(a, m->n_aliases * sizeof(struct str), "model list", e);
    for (size_t i = 0; i < m->n_aliases; i++)
        if (m->aliases[i].live == l)
            out->aliases[out->n_aliases++] = arena_str(a, str_of(m->aliases[i].name));
    if (out->state == LIVE_READY) {
        out->live = live_ref(l);
        if (!arena_defer(a, unref_live, l)) {
            live_unref(l);
            return arena_fail(a, sizeof *out, "model list", e);
        }
    }
    return OK;
}

static enum code list(const struct host *h, struct arena *a, struct live_info **out, size_t *n,
                      struct err *e) {
    size_t total = 0, at = 0;
    for (size_t i = 0; i < h->n_models; i++)
        total += h->models[i]->n_lives;
    struct live_info *infos = ARENA_ARRAY(a, total + 1, struct live_info);
    if (!infos)
        return arena_fail(a, total * sizeof *infos, "model list", e);
    for (size_t i = 0; i < h->n_models; i++)
        for (size_t k = 0; k < h->models[i]->n_lives; k++)
            TRY(fill_info(h->models[i], h->models[i]->lives[k], a, &infos[at++], e));
    *out = infos;
    *n = total;
    return OK;
}

enum code host_list(struct host *h, struct arena *a, struct live_info **out, size_t *n,
                    struct err *e) {
    pthread_rwlock_rdlock(&h->routes_lock);
    enum code code = list(h, a, out, n, e);
    pthread_rwlock_unlock(&h->routes_lock);
    return code;
}

enum code host_find(struct host *h, struct str model, uint64_t version, struct str alias,
                    struct arena *a, struct live_info *out, struct err *e) {
    struct live *l;
    TRY(route_ask(h, model, version, alias, &l, e));
    pthread_rwlock_rdlock(&h->routes_lock);
    const struct route_model *m = route_find(h, model);
    static const struct route_model gone;
    enum code code = fill_info(m ? m : &gone, l, a, out, e);
    pthread_rwlock_unlock(&h->routes_lock);
    live_unref(l);
    return code;
}

/* --- changing --- */

static void command(struct host *h, int kind, struct str model, uint64_t version,
                    host_done_fn *done, void *ctx) {
    struct err e;
    struct command *c = model.n <= STORE_NAME_MAX ? mem_zalloc(1, sizeof *c) : NULL;
    if (!c) {
        enum code code = model.n <= STORE_NAME_MAX
                             ? fail(&e, NOMEM, "out of memory")
                             : fail(&e, NOT_FOUND, "no model of so long a name");
        if (done)
            done(ctx, code, &e);
        return;
    }
    c->kind = kind;
    memcpy(c->model, model.p, model.n);
    c->version = version;
    c->done = done;
    c->ctx = ctx;
    loader_command(h, c);
}

void host_load(struct host *h, struct str model, uint64_t version, host_done_fn *done, void *ctx) {
    command(h, COMMAND_LOAD, model, version, done, ctx);
}

void host_unload(struct host *h, struct str model, host_done_fn *done, void *ctx) {
    command(h, COMMAND_UNLOAD, model, 0, done, ctx);
}
