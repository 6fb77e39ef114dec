/* SPDX-License-Identifier: Apache-2.0 */
/* Opening, asking, looking, closing: see host.h for the rules, in.h for the locks. */
#include "host/in.h"

#include "base/clock.h"
#include "base/cpu.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/cores.h"

#include <string.h>
#include <unistd.h>

enum { QUEUE = 256, BATCH = 32, POLL_MS = 500 };

/* --- open and close --- */

static enum code copy_wish(struct store *s, struct str text, struct wish *w, struct err *e) {
    struct store_info info;
    struct arena a;
    if (text.n >= sizeof w->text)
        return fail(e, USAGE, "model name '%.*s' is too long", STR(text));
    memcpy(w->text, text.p, text.n);
    TRY(store_ref_parse((struct str){w->text, text.n}, &w->ref, e));
    arena_init(&a, 1 << 20);
    enum code code = store_resolve(s, &w->ref, &a, &info, e);
    arena_deinit(&a);
    return code;
}

/* *out: owned by the caller, also when it fails. */
static enum code copy_wishes(struct store *s, const struct str *models, size_t n, struct wish **out,
                             struct err *e) {
    *out = mem_zalloc(n + 1, sizeof **out);
    if (!*out)
        return fail(e, NOMEM, "out of memory");
    for (size_t i = 0; i < n; i++)
        TRY(copy_wish(s, models[i], &(*out)[i], e));
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
    thread_cond_init(&h->queue_work);
    thread_cond_init(&h->queue_express);
    pthread_cond_init(&h->queue_idle, NULL);
    pthread_mutex_init(&h->captures.lock, NULL);
    pthread_cond_init(&h->captures.work, NULL);
    thread_cond_init(&h->load_work);
}

static enum code start_threads(struct host *h, struct err *e) {
    h->workers = mem_zalloc((size_t)h->threads + 1, sizeof *h->workers);
    if (!h->workers)
        return fail(e, NOMEM, "out of memory");
    for (; h->n_workers < h->threads; h->n_workers++)
        TRY(thread_start(&h->workers[h->n_workers], "slipway-run", worker_main, h, e));
    TRY(thread_start(&h->workers[h->n_workers], "slipway-express", worker_express, h, e));
    h->n_workers++;
    TRY(thread_start(&h->captures.thread, "slipway-capture", capture_main, h, e));
    h->captures.started = true;
    TRY(thread_start(&h->loader, "slipway-load", loader_main, h, e));
    h->loader_started = true;
    return OK;
}

/* A store that cannot be written to can be served all the same. */
static void open_marks(struct host *h) {
    struct err e;
    if (marks_open(h->options.store, &h->marks, &e) != OK)
        log_event(LOG_INFO, "a version that crashes the server will not be remembered", 1,
                  (struct log_field[]){LOG_S("reason", str_of(e.text))});
}

enum code host_open(const struct host_options *o, struct host **out, struct err *e) {
    struct host *h = mem_zalloc(1, sizeof *h);
    if (!h)
        return fail(e, NOMEM, "out of memory");
    set_defaults(h, o);
    h->all = o->n_models == 0 && !o->only_named;
    enum code code = copy_wishes(o->store, o->models, o->n_models, &h->wishes, e);
    if (code == OK)
        open_marks(h);
    if (code == OK)
        code = start_threads(h, e);
    if (code != OK) {
        host_close(h);
        return code;
    }
    *out = h;
    return OK;
}

size_t host_batch(const struct host *h) { return h->options.batch; }

void host_drain(struct host *h) {
    pthread_mutex_lock(&h->queue_lock);
    h->draining = true;
    pthread_cond_broadcast(&h->queue_work); /* nothing waits for company any more */
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
        mem_free(c->wishes);
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
    pthread_cond_broadcast(&h->queue_express);
    pthread_mutex_unlock(&h->queue_lock);
    for (int i = 0; i < h->n_workers; i++)
        pthread_join(h->workers[i], NULL);
    capture_stop(h);
    for (size_t i = 0; i < h->n_models; i++)
        route_model_free(h->models[i]);
    marks_close(h->marks);
    mem_free(h->models);
    mem_free(h->wishes);
    mem_free(h->workers);
    mem_free(h);
}

bool host_ready(struct host *h) { return atomic_load(&h->ready) && !h->draining; }

/* --- asking --- */

static void command(struct host *h, int kind, struct str model, uint64_t version,
                    host_done_fn *done, void *ctx);

/* Why l does not answer. One that is not loaded is now, for those who ask again. */
static enum code state_error(struct host *h, struct ask *a, struct live *l, struct err *e) {
    uint64_t again = atomic_load(&l->again_ns);
    int state = again && clock_ns() >= again ? LIVE_FAILED : LIVE_UNLOADED;
    if (!route_by_hand(h, str_of(l->model)) &&
        atomic_compare_exchange_strong(&l->state, &state, LIVE_LOADING)) {
        command(h, COMMAND_DEMAND, str_of(l->model), l->version, NULL, NULL);
        state = LIVE_LOADING;
    }
    if (state == LIVE_LOADING) {
        a->loading = true;
        return fail(e, UNAVAILABLE, "'%s' version %llu is loading; try again", l->model,
                    (unsigned long long)l->version);
    }
    if (atomic_load(&l->state) == LIVE_FAILED)
        return fail(e, UNAVAILABLE, "'%s' version %llu failed to load: %s", l->model,
                    (unsigned long long)l->version, live_error(l));
    return fail(e, UNAVAILABLE, "'%s' version %llu is not at ready state", l->model,
                (unsigned long long)l->version);
}

/* Nanoseconds until an ask of this priority that is queued now would begin: what waits before it,
 * shared by all workers. Other models' asks count as far as they take turns with this one's. Under
 * queue_lock. */
static double expected_wait(const struct host *h, const struct live *l, int priority) {
    double own = 0, all = 0;
    for (int p = 0; p <= priority - PRIORITY_HIGH && p < PRIORITIES; p++) {
        own += l->backlog[p];
        all += h->backlog[p];
    }
    double turns = own * (double)(h->n_ring ? h->n_ring : 1);
    return (turns < all ? turns : all) / h->threads;
}

/* Refuses what cannot be answered in time. brief: it does not wait. Under queue_lock. */
static enum code admit(const struct host *h, const struct live *l, struct ask *a, int64_t rows,
                       bool brief, uint64_t now, struct err *e) {
    double wait = brief ? 0 : expected_wait(h, l, a->priority);
    if (h->draining)
        return fail(e, UNAVAILABLE, "the server is shutting down");
    if (a->deadline_ns == 0)
        return OK;
    if (a->deadline_ns <= now)
        return fail(e, TIMEOUT, "the deadline passed before the request was queued");
    double left = (double)(a->deadline_ns - now);
    if (wait + curve_soonest(&l->curve, rows, h->threads) <= left)
        return OK;
    a->retry_ns = (uint64_t)wait;
    return fail(e, OVERLOAD,
                "'%s' version %llu: the expected wait of %.0f ms is longer than the %.0f ms this "
                "request has; try again later",
                l->model, (unsigned long long)l->version, wait * 1e-6, left * 1e-6);
}

static size_t queue_limit(const struct host *h, const struct live *l) {
    size_t own = atomic_load_explicit(&l->queue_limit, memory_order_relaxed);
    return own ? own : h->options.queue;
}

static enum code queue_full(const struct host *h, const struct live *l, struct ask *a,
                            struct err *e) {
    a->retry_ns = (uint64_t)expected_wait(h, l, a->priority);
    return fail(e, OVERLOAD,
                "'%s' version %llu: Exceeds maximum queue size of %zu requests; try again later",
                l->model, (unsigned long long)l->version, queue_limit(h, l));
}

/* Where an ask went; a refused one stays where it is. */
struct placed {
    bool brief;       /* the caller runs it */
    struct ask *shed; /* an ask of lower priority that had to make room, or NULL */
};

/* Under queue_lock. */
static enum code place(struct host *h, struct live *l, struct ask *a, struct placed *to,
                       struct err *e) {
    bool brief = brief_may(l, a);
    TRY(admit(h, l, a, a->rows, brief, a->queued_ns, e));
    to->brief = brief;
    if (brief) {
        h->n_running++;
        return OK;
    }
    if (l->waiting >= queue_limit(h, l)) {
        to->shed = queue_shed(h, l, a);
        if (!to->shed)
            return queue_full(h, l, a, e);
    }
    queue_put(h, l, a);
    worker_wake(h, l);
    return OK;
}

enum code host_admit(struct host *h, struct ask *a, struct err *e) {
    struct live *l = a->live;
    pthread_mutex_lock(&h->queue_lock);
    enum code code = admit(h, l, a, 1, false, clock_ns(), e);
    if (code == OK && l->waiting >= queue_limit(h, l) && !queue_sheds(l, a))
        code = queue_full(h, l, a, e);
    pthread_mutex_unlock(&h->queue_lock);
    return code;
}

enum code host_route(struct host *h, struct ask *a, struct err *e) {
    struct live *l;
    a->loading = false;
    TRY(route_ask(h, a->model, a->version, a->alias, &l, &a->split, e));
    if (a->split)
        l = split_choose(a->split, a, l);
    if (atomic_load_explicit(&l->state, memory_order_acquire) != LIVE_READY) {
        enum code code = state_error(h, a, l, e);
        live_unref(l);
        split_unref(a->split);
        a->split = NULL;
        return code;
    }
    a->live = l;
    return OK;
}

/* *answered: by this thread, before it returns. */
static enum code submit(struct host *h, struct ask *a, bool *answered, struct err *e) {
    if (!a->live)
        TRY(host_route(h, a, e));
    struct live *l = a->live;
    TRY(bind_ask(l, a, e));
    if (a->split && a->split->shadow)
        shadow_begin(h, a);
    capture_begin(h, l, a);
    if (a->priority == PRIORITY_NORMAL)
        a->priority = atomic_load_explicit(&l->priority, memory_order_relaxed);
    struct placed to = {0};
    pthread_mutex_lock(&h->queue_lock);
    enum code code = place(h, l, a, &to, e);
    pthread_mutex_unlock(&h->queue_lock);
    if (to.brief)
        brief_run(h, l, a);
    if (to.shed)
        ask_finish(l, to.shed,
                   fail(&to.shed->err, OVERLOAD,
                        "'%s': made room for a request of higher priority; try again later",
                        l->model));
    *answered = to.brief;
    return code;
}

bool host_submit(struct host *h, struct ask *a) {
    bool answered = false;
    a->outputs = NULL;
    a->n_outputs = 0;
    a->queue_ns = a->compute_ns = 0;
    a->batch_rows = 0;
    a->queued_ns = clock_ns();
    struct err e;
    enum code code = submit(h, a, &answered, &e);
    if (code == OK)
        return answered; /* if not: nothing but the flag, a worker has the ask */
    a->err = e;
    if (a->live)
        ask_settle(a->live, a, code);
    else
        a->code = code;
    return true;
}

void ask_end(struct ask *a) {
    if (a->live)
        session_end(a->live->loaded.session, &a->lent);
    live_unref(a->live);
    split_unref(a->split);
    a->live = NULL;
    a->split = NULL;
}

/* --- looking --- */

static void unref_live(void *l) { live_unref(l); }

static enum code fill_info(const struct route_model *m, struct live *l, struct arena *a,
                           struct live_info *out, struct err *e) {
    *out = (struct live_info){.version = l->version,
                              .state = atomic_load(&l->state),
                              .is_default = m->chosen == l,
                              .withdrawn = atomic_load(&l->withdrawn),
                              .created_us = l->created_us,
                              .size_bytes = l->size_bytes};
    uint64_t began = atomic_load(&l->loading_ns);
    if (out->state == LIVE_LOADING && began)
        out->loading_ms = (clock_ns() - began) / 1000000 + 1;
    out->model = arena_str(a, str_of(l->model));
    out->format = arena_str(a, str_of(l->format));
    out->digest = arena_str(a, str_of(l->digest));
    if (out->state == LIVE_FAILED)
        out->error = arena_str(a, str_of(live_error(l)));
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
    TRY(route_ask(h, model, version, alias, &l, NULL, e));
    pthread_rwlock_rdlock(&h->routes_lock);
    const struct route_model *m = route_find(h, model);
    static const struct route_model gone;
    enum code code = fill_info(m ? m : &gone, l, a, out, e);
    pthread_rwlock_unlock(&h->routes_lock);
    live_unref(l);
    return code;
}

/* --- changing --- */

static const struct route_alias *alias_named(const struct route_model *m, struct str name) {
    for (size_t i = 0; i < m->n_aliases; i++)
        if (str_is(name, m->aliases[i].name))
            return &m->aliases[i];
    return NULL;
}

static enum code withdraw(const struct route_model *m, struct str alias, uint64_t *from,
                          uint64_t *to, struct err *e) {
    const struct route_alias *name = alias.n ? alias_named(m, alias) : NULL;
    if (alias.n && !name)
        return fail(e, NOT_FOUND, "model '%s' has no alias '%.*s'", m->name, STR(alias));
    struct live *l = name ? name->live : m->chosen, *before = name ? name->previous : m->before;
    if (!l || !live_usable(before) || before == l)
        return fail(e, NOT_FOUND, "'%s': no version before this one is loaded", m->name);
    atomic_store(&l->withdrawn, BY_HAND);
    *from = l->version;
    *to = before->version;
    return OK;
}

enum code host_withdraw(struct host *h, struct str model, struct str alias, uint64_t *from,
                        uint64_t *to, struct err *e) {
    pthread_rwlock_rdlock(&h->routes_lock);
    const struct route_model *m = route_find(h, model);
    enum code code = m ? withdraw(m, alias, from, to, e)
                       : fail(e, NOT_FOUND, "no model '%.*s' here", STR(model));
    pthread_rwlock_unlock(&h->routes_lock);
    return code;
}

void host_restore(struct host *h, struct str model, uint64_t version) {
    pthread_rwlock_rdlock(&h->routes_lock);
    const struct route_model *m = route_find(h, model);
    for (size_t i = 0; m && i < m->n_lives; i++)
        if (m->lives[i]->version == version)
            atomic_store(&m->lives[i]->withdrawn, NOT_WITHDRAWN);
    pthread_rwlock_unlock(&h->routes_lock);
}

void host_on_change(struct host *h, void (*fn)(void *ctx), void *ctx) {
    pthread_mutex_lock(&h->load_lock);
    h->on_change = fn;
    h->on_change_ctx = ctx;
    pthread_mutex_unlock(&h->load_lock);
}

void host_poke(struct host *h) {
    pthread_mutex_lock(&h->load_lock);
    h->poked = true;
    pthread_cond_signal(&h->load_work);
    pthread_mutex_unlock(&h->load_lock);
}

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

void host_wish(struct host *h, const struct str *models, size_t n, bool afresh, host_done_fn *done,
               void *ctx) {
    struct err e;
    struct wish *wishes = NULL;
    struct command *c = mem_zalloc(1, sizeof *c);
    enum code code = c ? copy_wishes(h->options.store, models, n, &wishes, &e)
                       : fail(&e, NOMEM, "out of memory");
    if (code != OK) {
        mem_free(wishes);
        mem_free(c);
        if (done)
            done(ctx, code, &e);
        return;
    }
    *c = (struct command){.kind = COMMAND_WISH,
                          .wishes = wishes,
                          .n_wishes = n,
                          .afresh = afresh,
                          .done = done,
                          .ctx = ctx};
    loader_command(h, c);
}
