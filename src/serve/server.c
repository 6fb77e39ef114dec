/* SPDX-License-Identifier: Apache-2.0 */
/* Server: see server.h.
 *
 *   RUNNING ──signal──▶ LAME (unready, accepts) ──lame_ms──▶ DRAINING (closed) ──▶ loops stop
 *                        └─────────────────── second signal: cut everything ──────────▲
 *
 * Loop 0 runs on server_run's thread and hears the signals and the tick that moves the state on;
 * the others run on threads of their own and only follow drain_job. */
#include "serve/server.h"

#include "base/arena_buf.h"
#include "base/clock.h"
#include "base/cpu.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "serve/answer.h"
#include "serve/in.h"

#include <signal.h>
#include <sys/random.h>
#include <unistd.h>

enum { ANNOUNCE_MS = 5, TICK_MS = 240, SIDE_MAX = 8 };

static const struct counter_family connections = {
    .name = "slipway_connections",
    .help = "Open connections.",
    .kind = COUNTER_GAUGE,
};
static const struct counter_family accepted = {
    .name = "slipway_connections_accepted_total",
    .help = "Connections accepted.",
    .kind = COUNTER_TOTAL,
};
static const struct counter_family refused = {
    .name = "slipway_connections_refused_total",
    .help = "Connections over the limit, and requests that break HTTP.",
    .kind = COUNTER_TOTAL,
};
static const struct counter_family in_flight = {
    .name = "slipway_requests_in_flight",
    .help = "Requests between their head and their answer.",
    .kind = COUNTER_GAUGE,
};

void server_options_default(struct server_options *o) {
    *o = (struct server_options){.listen = "127.0.0.1:8080", .allow_control = true};
    http_limits_default(&o->http);
}

/* --- every loop: publishing --- */

/* --- every loop: the host's table changed --- */

static void on_change(struct loop_job *job) {
    struct loop_thread *t =
        (struct loop_thread *)(void *)((char *)job - offsetof(struct loop_thread, change_job));
    atomic_store(&t->change_posted, false);
    phase_unpark(t);
}

/* On the host's loading thread. */
static void changed(void *ctx) {
    struct server *s = ctx;
    struct err e;
    if (auth_follow(&s->auth, s->store, &e) != OK)
        log_event(LOG_ERROR, "keys", 1, (struct log_field[]){LOG_S("error", str_of(e.text))});
    for (int i = 0; i < s->n_loops; i++) {
        struct loop_thread *t = &s->loops[i];
        if (atomic_exchange(&t->change_posted, true))
            continue;
        t->change_job.fn = on_change;
        loop_post(t->loop, &t->change_job);
    }
}

static void publish(struct loop_thread *t) {
    struct http_stats s;
    http_listener_stats(t->listener, &s);
    counter_move(counter_get(&connections, NULL), (int64_t)s.open - t->open);
    counter_add(counter_get(&accepted, NULL), s.accepted - t->accepted);
    counter_add(counter_get(&refused, NULL), s.refused - t->refused);
    counter_set(counter_get(&in_flight, NULL), (int64_t)atomic_load(&t->server->limit.requests));
    t->open = (int64_t)s.open;
    t->accepted = s.accepted;
    t->refused = s.refused;
    trail_flush(&t->trail);
    bidi_tick(&t->polled);
}

/* --- draining --- */

static void drained(void *ctx) {
    struct loop_thread *t = ctx;
    if (--t->listening == 0)
        loop_stop(t->loop);
}

static void drain_loop(struct loop_job *job) {
    struct loop_thread *t =
        (struct loop_thread *)(void *)((char *)job - offsetof(struct loop_thread, drain_job));
    t->listening = t->admin ? 2 : 1;
    for (size_t i = 0; i < t->server->options.n_also; i++)
        t->listening += t->also[i] != NULL;
    for (size_t i = 0; i < t->server->options.n_also; i++)
        if (t->also[i])
            http_drain(t->also[i], t->server->options.drain_ms, drained, t);
    if (t->admin)
        http_drain(t->admin, t->server->options.drain_ms, drained, t);
    http_drain(t->listener, t->server->options.drain_ms, drained, t);
}

static void drain_all(struct server *s) {
    if (s->drain_started)
        return;
    s->drain_started = true;
    atomic_store(&s->refusing, true);
    log_text(LOG_INFO, "draining: no new connections, %zu requests in flight",
             atomic_load(&s->limit.requests));
    for (int i = 0; i < s->n_loops; i++) {
        s->loops[i].drain_job.fn = drain_loop;
        loop_post(s->loops[i].loop, &s->loops[i].drain_job);
    }
}

static void cut_all(struct server *s) {
    log_text(LOG_WARN, "stopping at once: requests in flight are cut");
    for (int i = 0; i < s->n_loops; i++)
        loop_stop(s->loops[i].loop);
}

void server_drain(struct server *s) {
    atomic_store(&s->unready, true);
    atomic_fetch_add(&s->signals, 1);
}

/* Loop 0: moves the state of the drawing on. */
static void follow_signals(struct server *s) {
    int signals = atomic_load(&s->signals);
    uint64_t now = clock_ns();
    if (signals == 0)
        return;
    if (s->lame_until_ns == 0)
        s->lame_until_ns = now + s->options.lame_ms * 1000000;
    if (signals > 1)
        cut_all(s);
    else if (now >= s->lame_until_ns)
        drain_all(s);
}

/* New files for connections to come; bad ones change nothing. */
static void reload_tls(struct server *s) {
    struct err e;
    if (!s->tls)
        return;
    if (tls_reload(s->tls, &e) == OK)
        log_text(LOG_INFO, "certificate read again");
    else
        log_text(LOG_ERROR, "the certificate in use stays: %s", e.text);
}

static void on_hangup(void *ctx, int number) {
    (void)number;
    reload_tls(((struct loop_thread *)ctx)->server);
}

static void on_signal(void *ctx, int number) {
    struct loop_thread *t = ctx;
    (void)number;
    server_drain(t->server);
    follow_signals(t->server);
}

static void tick(void *ctx) {
    struct loop_thread *t = ctx;
    if (t == t->server->loops) {
        follow_signals(t->server);
        if (t->server->tls && t->server->ticks++ % 8 == 0 && tls_changed(t->server->tls))
            reload_tls(t->server);
    }
    if (t->parked) /* deadlines, clients that left */
        phase_unpark(t);
    publish(t);
}

static void announce(void *ctx) {
    struct server *s = ctx;
    if (!host_ready(s->host))
        return;
    loop_timer_close(s->announcer);
    s->announcer = NULL;
    if (s->options.on_ready)
        s->options.on_ready(s->options.on_ready_ctx, s->address, s->admin_address);
}

/* --- open, run, close --- */

/* A Unix socket is the first loop's alone: SO_REUSEPORT knows TCP only. */
static enum code listen_at(struct loop_thread *t, const char *address,
                           const struct http_handler *handler, struct http_listener **out,
                           struct err *e) {
    const struct server *s = t->server;
    if (t != s->loops && str_starts(str_of(address), "unix:"))
        return OK;
    TRY(http_listen(t->loop, address, s->n_loops > 1, handler, &s->options.http, out, e));
    return s->tls ? http_listener_secure(*out, s->tls, e) : OK;
}

static enum code open_loop(struct server *s, int index, struct err *e) {
    struct loop_thread *t = &s->loops[index];
    struct http_handler handler;
    t->server = s;
    t->polled.next_polled = t->polled.prev_polled = &t->polled;
    int fd = s->options.access_fd ? s->options.access_fd : STDERR_FILENO;
    trail_init(&t->trail, fd, s->options.access_log, s->options.slow_ms);
    if (getrandom(&t->id_state, sizeof t->id_state, GRND_NONBLOCK) != sizeof t->id_state)
        t->id_state = clock_wall_us() ^ (uint64_t)index << 56;
    TRY(loop_open(&t->loop, e));
    t->front = (struct entrance){t, false};
    t->back = (struct entrance){t, true};
    phase_handler(&t->front, &handler);
    const char *address = index ? s->address : s->options.listen;
    TRY(listen_at(t, address, &handler, &t->listener, e));
    if (index == 0)
        http_listener_address(t->listener, s->address);
    for (size_t i = 0; i < s->options.n_also; i++)
        TRY(listen_at(t, s->options.also[i], &handler, &t->also[i], e));
    return loop_timer_open(t->loop, TICK_MS, tick, t, &t->tick, e);
}

static bool is_loopback(const char *address) {
    return str_starts(str_of(address), "127.") || str_starts(str_of(address), "localhost:") ||
           str_starts(str_of(address), "[::1]:") || str_starts(str_of(address), "unix:");
}

static enum code open_admin(struct server *s, struct err *e) {
    const char *asked = s->options.admin;
    struct loop_thread *t = &s->loops[0];
    struct http_handler handler;
    if (asked && strcmp(asked, "off") == 0)
        return OK;
    if (asked && !is_loopback(asked) && !atomic_load(&s->auth.wanted))
        return fail(e, DENIED,
                    "--admin %s: beyond loopback the admin API needs keys: make one with `slipway "
                    "key add NAME --scope admin`",
                    asked);
    const char *address = asked                                       ? asked
                          : str_ends(str_of(s->options.listen), ":0") ? "127.0.0.1:0"
                                                                      : "127.0.0.1:8079";
    phase_handler(&t->back, &handler);
    enum code code = http_listen(t->loop, address, false, &handler, &s->options.http, &t->admin, e);
    if (code != OK && !asked) {
        log_text(LOG_WARN, "no admin API: %s (--admin ADDR:PORT names another place)", e->text);
        return OK;
    }
    if (code == OK)
        http_listener_address(t->admin, s->admin_address);
    if (code == OK && s->options.admin_tls)
        code = http_listener_secure(t->admin, s->tls, e);
    return code;
}

static void set_defaults(struct server *s, const struct server_options *o) {
    s->options = *o;
    if (!s->options.requests)
        s->options.requests = 8192;
    if (!s->options.image_pixels)
        s->options.image_pixels = (size_t)32 << 20;
    if (!s->options.fetch_bytes)
        s->options.fetch_bytes = (uint64_t)2 << 30;
    if (!s->options.timeout_ms)
        s->options.timeout_ms = 30000;
    if (!s->options.drain_ms)
        s->options.drain_ms = 30000;
    int cores = cpu_cores();
    s->n_loops = o->loops > 0 ? o->loops : cores / 4;
    if (s->n_loops < 1)
        s->n_loops = 1;
    if (s->n_loops > SERVER_LOOPS)
        s->n_loops = SERVER_LOOPS;
    s->limit.most = s->options.requests;
    (void)counter_get(&connections, NULL); /* shown from the first scrape on */
    (void)counter_get(&accepted, NULL);
    (void)counter_get(&refused, NULL);
    (void)counter_get(&in_flight, NULL);
}

static enum code open_parts(struct server *s, struct err *e) {
    size_t n;
    const struct protocol *const *protocols = protocol_list(&n);
    TRY(router_init(&s->router, protocols, n, e));
    if (s->options.predict_path)
        TRY(router_alias(&s->router, s->options.predict_path, "/invocations", e));
    if (s->options.health_path)
        TRY(router_alias(&s->router, s->options.health_path, "/ping", e));
    TRY(auth_open(&s->auth, s->options.key_file, e));
    if (s->store)
        TRY(auth_follow(&s->auth, s->store, e));
    int threads = cpu_cores() < SIDE_MAX ? cpu_cores() : SIDE_MAX;
    probes_init(&s->probes);
    TRY(regions_open(&s->regions, e));
    TRY(side_open(threads, &s->side, e));
    if (s->options.tls_cert)
        TRY(tls_open(s->options.tls_cert, s->options.tls_key, s->options.tls_client_ca, &s->tls,
                     e));
    s->loops = mem_zalloc((size_t)s->n_loops, sizeof *s->loops);
    if (!s->loops)
        return fail(e, NOMEM, "server: out of memory");
    for (int i = 0; i < s->n_loops; i++)
        TRY(open_loop(s, i, e));
    TRY(open_admin(s, e));
    host_on_change(s->host, changed, s);
    TRY(loop_timer_open(s->loops[0].loop, ANNOUNCE_MS, announce, s, &s->announcer, e));
    TRY(loop_on_signal(s->loops[0].loop, SIGTERM, on_signal, &s->loops[0], e));
    TRY(loop_on_signal(s->loops[0].loop, SIGHUP, on_hangup, &s->loops[0], e));
    return loop_on_signal(s->loops[0].loop, SIGINT, on_signal, &s->loops[0], e);
}

enum code server_open(struct host *h, struct store *store, const struct server_options *o,
                      struct server **out, struct err *e) {
    struct server *s = mem_zalloc(1, sizeof *s);
    if (!s)
        return fail(e, NOMEM, "server: out of memory");
    s->host = h;
    s->store = store;
    set_defaults(s, o);
    enum code code = open_parts(s, e);
    if (code != OK) {
        server_close(s);
        return code;
    }
    *out = s;
    return OK;
}

const char *server_address(const struct server *s) { return s->address; }

static void *loop_main(void *arg) {
    struct loop_thread *t = arg;
    thread_answers_soon();
    loop_run(t->loop);
    arena_buf_forget();
    return NULL;
}

static void close_listeners(struct loop_thread *t) {
    http_listener_close(t->listener);
    t->listener = NULL;
    for (size_t i = 0; i < SERVER_ALSO; i++) {
        http_listener_close(t->also[i]);
        t->also[i] = NULL;
    }
    if (t->admin)
        http_listener_close(t->admin);
    t->admin = NULL;
}

enum code server_run(struct server *s, struct err *e) {
    enum code code = OK;
    int started = 1;
    for (; started < s->n_loops && code == OK; started++) {
        struct loop_thread *t = &s->loops[started];
        code = thread_start(&t->thread, "loop", loop_main, t, e);
        t->started = code == OK;
    }
    thread_answers_soon();
    if (code == OK)
        loop_run(s->loops[0].loop);
    for (int i = 1; i < s->n_loops; i++)
        if (s->loops[i].started) {
            if (code != OK)
                loop_stop(s->loops[i].loop);
            pthread_join(s->loops[i].thread, NULL);
            s->loops[i].started = false;
        }
    atomic_store(&s->unready, true);
    for (int i = 0; i < s->n_loops;
         i++) { /* what was cut is cancelled: the host need not finish it */
        close_listeners(&s->loops[i]);
    }
    side_stop(s->side); /* from now on nothing new reaches the host */
    return code;
}

static void close_loop(struct loop_thread *t) {
    if (t->tick)
        loop_timer_close(t->tick);
    close_listeners(t);
    if (t->loop)
        loop_close(t->loop);
    trail_deinit(&t->trail);
}

void server_close(struct server *s) {
    if (!s)
        return;
    if (s->announcer)
        loop_timer_close(s->announcer);
    for (int i = 0; s->loops && i < s->n_loops; i++)
        close_loop(&s->loops[i]);
    side_close(s->side);
    regions_close(s->regions);
    probes_deinit(&s->probes);
    arena_buf_forget();
    auth_close(&s->auth);
    tls_close(s->tls);
    mem_free(s->loops);
    mem_free(s);
}
