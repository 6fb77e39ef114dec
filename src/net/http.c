/* SPDX-License-Identifier: Apache-2.0 */
/* The listener: accepts, counts, drains. See http.h for what it promises, conn.c for what happens
 * on a connection.
 *
 * A listener lives until the last thing that points at it has ended: its three handles, its
 * connections, and exchanges whose client left while a handler still works on them. `alive` counts
 * these; all of them end on the loop's thread. */
#include "net/conn.h"

#include "base/fault.h"
#include "base/mem.h"
#include "net/http2.h"
#include "net/uri.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    BACKLOG = 4096,    /* the kernel lowers it to somaxconn */
    POLITE_CONNS = 64, /* connections beyond the limit that get to read their 503 */
    TIMERS = 2
};

/* ---- requests ---- */

struct str http_header_find(const struct http_request *r, struct str name) {
    for (int i = 0; i < r->n_headers; i++)
        if (str_eq_nocase(r->headers[i].name, name))
            return r->headers[i].value;
    return (struct str){NULL, 0};
}

bool http_query_get(const struct http_request *r, const char *name, struct arena *a,
                    struct str *out) {
    struct str raw;
    if (!uri_query_find(r->query, str_of(name), &raw))
        return false;
    char *text = arena_push_aligned(a, raw.n + 1, 1);
    if (!text)
        return false;
    size_t n = uri_decode(raw, true, text);
    if (n == SIZE_MAX)
        return false;
    *out = (struct str){text, n};
    return true;
}

void http_respond(struct http_exchange *pub, const struct http_response *r) {
    struct exchange *x = (struct exchange *)pub;
    if (NEVER(x->phase != EXCHANGE_WITH_HANDLER))
        return;
    if (x->conn)
        conn_answer(x, r);
    else
        conn_release(x->listener, x);
}

void http_body_took(struct http_exchange *pub, size_t bytes) {
    struct exchange *x = (struct exchange *)pub;
    if (x->conn && x->conn->h2)
        http2_body_took(x, bytes);
}

static struct exchange *streaming(struct http_exchange *pub) {
    struct exchange *x = (struct exchange *)pub;
    return NEVER(x->phase != EXCHANGE_STREAMING) ? NULL : x;
}

bool http_stream_begin(struct http_exchange *pub, const struct http_response *r) {
    struct exchange *x = (struct exchange *)pub;
    if (NEVER(x->phase != EXCHANGE_WITH_HANDLER))
        return false;
    if (x->conn)
        return conn_stream_begin(x, r);
    x->phase = EXCHANGE_STREAMING;
    return true;
}

enum http_window http_stream_write(struct http_exchange *pub, struct span bytes) {
    struct exchange *x = streaming(pub);
    return x && x->conn ? conn_stream_write(x, bytes) : HTTP_GONE;
}

void http_stream_end(struct http_exchange *pub, const struct http_header *trailers, int n) {
    struct exchange *x = streaming(pub);
    const struct http_response fields = {.status = 200, .headers = trailers, .n_headers = n};
    if (NEVER(!reply_is_clean(&fields)))
        n = 0;
    if (x && x->conn)
        conn_stream_end(x, trailers, n);
    else if (x)
        conn_release(x->listener, x);
}

void http_stream_cut(struct http_exchange *pub) {
    struct exchange *x = streaming(pub);
    if (x && x->conn)
        conn_stream_cut(x);
    else if (x)
        conn_release(x->listener, x);
}

void http_limits_default(struct http_limits *l) {
    *l = (struct http_limits){
        .header_bytes = 16 << 10,
        .body_bytes = 64 << 20,
        .bodies_bytes = 1 << 30,
        .arena_bytes = 64 << 20,
        .connections = 20000,
        .header_ms = 10000,
        .body_ms = 30000,
        .body_rate = 256,
        .send_ms = 30000,
        .idle_ms = 75000,
        .nap_ms = 1000,
    };
}

/* ---- addresses ---- */

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_un local;
};

/* unix:/path; what a server that is gone has left there goes first. */
static enum code parse_path(const char *text, const char *path, union address *out, socklen_t *n,
                            struct err *e) {
    struct stat s;
    *out = (union address){.local.sun_family = AF_UNIX};
    if (!*path || strlen(path) >= sizeof out->local.sun_path)
        return fail(e, USAGE, "address '%s': a socket's path has 1 to %zu bytes", text,
                    sizeof out->local.sun_path - 1);
    memcpy(out->local.sun_path, path, strlen(path));
    *n = sizeof out->local;
    if (lstat(path, &s) == 0 && S_ISSOCK(s.st_mode)) {
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        bool dead = fd >= 0 && connect(fd, &out->any, *n) < 0 && errno == ECONNREFUSED;
        if (fd >= 0)
            close(fd);
        if (dead)
            unlink(path);
    }
    return OK;
}

static enum code parse_address(const char *text, union address *out, socklen_t *n, struct err *e) {
    char host[INET6_ADDRSTRLEN];
    struct str all = str_of(text);
    const char *colon = strrchr(text, ':');
    uint64_t port;
    if (str_starts(all, "unix:"))
        return parse_path(text, text + 5, out, n, e);
    *out = (union address){0};
    if (!colon || !str_to_u64(str_of(colon + 1), &port) || port > 65535)
        return fail(
            e, USAGE,
            "address '%s': want ADDRESS:PORT, like 127.0.0.1:8080 or [::1]:8080, or unix:/PATH",
            text);
    struct str name = str_sub(all, 0, (size_t)(colon - text));
    bool v6 = name.n > 2 && name.p[0] == '[' && name.p[name.n - 1] == ']';
    if (v6)
        name = str_sub(name, 1, name.n - 1);
    if (name.n >= sizeof host)
        return fail(e, USAGE, "address '%s': not an IPv4 or [IPv6] address", text);
    memcpy(host, name.p ? name.p : "", name.n);
    host[name.n] = 0;
    int family = v6 ? AF_INET6 : AF_INET;
    if (inet_pton(family, host, v6 ? (void *)&out->v6.sin6_addr : (void *)&out->v4.sin_addr) != 1)
        return fail(e, USAGE, "address '%s': '%s' is not an IPv4 or [IPv6] address", text, host);
    out->any.sa_family = (sa_family_t)family;
    *(v6 ? &out->v6.sin6_port : &out->v4.sin_port) = htons((uint16_t)port);
    *n = v6 ? sizeof out->v6 : sizeof out->v4;
    return OK;
}

static void print_address(const union address *a, char *text, size_t room) {
    char host[INET6_ADDRSTRLEN] = "?";
    bool v6 = a->any.sa_family == AF_INET6;
    text[0] = 0;
    if (a->any.sa_family == AF_UNIX && a->local.sun_path[0])
        snprintf(text, room, "unix:%.57s", a->local.sun_path);
    if (!v6 && a->any.sa_family != AF_INET)
        return; /* a socket pair of a test */
    inet_ntop(a->any.sa_family, v6 ? (const void *)&a->v6.sin6_addr : (const void *)&a->v4.sin_addr,
              host, sizeof host);
    snprintf(text, room, v6 ? "[%s]:%u" : "%s:%u", host,
             ntohs(v6 ? a->v6.sin6_port : a->v4.sin_port));
}

/* A bound socket. TCP_NODELAY is inherited by what it accepts: answers leave in one write, nothing
 * is worth a delay. */
static enum code bind_socket(const char *text, bool shared, int *out, struct err *e) {
    union address a;
    socklen_t n;
    const int on = 1;
    TRY(parse_address(text, &a, &n, e));
    int fd = FAULT(FAULT_OPEN)
                 ? -1
                 : socket(a.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return fail_errno(e, errno, "address %s: cannot open a socket", text);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &on, sizeof on);
    if (a.any.sa_family == AF_UNIX)
        shared = false;
    if ((shared && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) < 0) ||
        bind(fd, &a.any, n) < 0) {
        int number = errno;
        close(fd);
        return fail_errno(e, number, "address %s: cannot bind", text);
    }
    *out = fd;
    return OK;
}

/* ---- accepting ---- */

static void note_peer(struct conn *c) {
    union address a = {0};
    int n = sizeof a;
    if (uv_tcp_getpeername(&c->tcp, &a.any, &n) == 0)
        print_address(&a, c->peer, sizeof c->peer);
}

/* libuv holds one accepted socket until somebody takes it, and accepts no other before. */
static void accept_one(struct http_listener *l) {
    struct conn *c = conn_open(l);
    if (!c) {
        l->starved = true;
        patience_retry_accept(l);
        return;
    }
    if (uv_accept((uv_stream_t *)&l->tcp, (uv_stream_t *)&c->tcp) < 0) {
        conn_close(c);
        return;
    }
    l->stats.accepted++;
    uint64_t limit = l->limits.connections;
    if (l->stats.open > limit) {
        conn_refuse(c, l->stats.open <= limit + POLITE_CONNS);
        return;
    }
    note_peer(c);
    conn_start(c);
}

static void on_connection(uv_stream_t *stream, int status) {
    struct http_listener *l = stream->data;
    if (status < 0)
        l->stats.refused++; /* out of file descriptors: libuv took the connection and closed it */
    else
        accept_one(l);
}

void http_accept_again(struct http_listener *l) {
    l->starved = false;
    if (l->listening)
        accept_one(l);
}

/* ---- life ---- */

static void free_listener(struct http_listener *l) {
    exchange_pool_deinit(&l->pool);
    buf_deinit(&l->spare_out);
    mem_free(l->plain);
    while (l->free_conns) {
        struct conn *c = l->free_conns;
        l->free_conns = c->next;
        mem_free(c);
    }
    mem_free(l);
}

static void tell_drained(struct http_listener *l) {
    bool empty = l->stats.open == 0 && (l->cut || l->alive == TIMERS);
    if (!l->draining || l->closed || l->listening || !empty || !l->drained)
        return;
    void (*done)(void *ctx) = l->drained;
    l->drained = NULL;
    uv_timer_stop(&l->drain_timer);
    done(l->drained_ctx);
}

void http_listener_unref(struct http_listener *l) {
    if (--l->alive == 0)
        free_listener(l);
    else
        tell_drained(l);
}

static void on_handle_closed(uv_handle_t *handle) { http_listener_unref(handle->data); }

static void on_listening_closed(uv_handle_t *handle) {
    struct http_listener *l = handle->data;
    l->listening = false;
    http_listener_unref(l);
}

static void stop_listening(struct http_listener *l) {
    union address a = {0};
    int n = sizeof a;
    if (uv_is_closing((const uv_handle_t *)&l->tcp))
        return;
    if (uv_tcp_getsockname(&l->tcp, &a.any, &n) == 0 && a.any.sa_family == AF_UNIX)
        unlink(a.local.sun_path);
    uv_close((uv_handle_t *)&l->tcp, on_listening_closed);
}

static struct http_listener *new_listener(struct loop *loop, const struct http_handler *h,
                                          const struct http_limits *m) {
    struct http_listener *l = mem_zalloc(1, sizeof *l);
    if (!l)
        return NULL;
    l->loop = loop;
    l->handler = *h;
    l->limits = *m;
    if (l->limits.header_bytes >
        1 << 20) /* offsets of the parser are 32 bits wide; a longer head is never honest */
        l->limits.header_bytes = 1 << 20;
    l->conns.next = l->conns.prev = &l->conns;
    exchange_pool_init(&l->pool, l->limits.header_bytes, l->limits.arena_bytes);
    patience_init(l);
    uv_tcp_init(loop_uv(loop), &l->tcp);
    uv_timer_init(loop_uv(loop), &l->timer);
    uv_timer_init(loop_uv(loop), &l->drain_timer);
    l->tcp.data = l->timer.data = l->drain_timer.data = l;
    l->alive = 1 + TIMERS;
    return l;
}

enum code http_listen(struct loop *loop, const char *address, bool shared,
                      const struct http_handler *h, const struct http_limits *limits,
                      struct http_listener **out, struct err *e) {
    int fd;
    TRY(bind_socket(address, shared, &fd, e));
    struct http_listener *l = new_listener(loop, h, limits);
    if (!l) {
        close(fd);
        return fail(e, NOMEM, "address %s: no memory for a listener", address);
    }
    uv_update_time(loop_uv(
        loop)); /* deadlines count from the loop's clock, which stands still outside of it */
    int rc = uv_tcp_open(&l->tcp, fd);
    if (rc < 0)
        close(fd);
    else
        rc = uv_listen((uv_stream_t *)&l->tcp, BACKLOG, on_connection);
    if (rc < 0) {
        http_listener_close(l);
        return fail_errno(e, -rc, "address %s: cannot listen", address);
    }
    l->listening = true;
    *out = l;
    return OK;
}

enum code http_listener_secure(struct http_listener *l, struct tls *t, struct err *e) {
    l->plain = mem_alloc(READ_BYTES);
    if (!l->plain)
        return fail(e, NOMEM, "TLS: out of memory");
    l->tls = t;
    return OK;
}

void http_listener_address(const struct http_listener *l, char text[64]) {
    union address a = {0};
    int n = sizeof a;
    text[0] = 0;
    if (uv_tcp_getsockname(&l->tcp, &a.any, &n) == 0)
        print_address(&a, text, 64);
}

void http_listener_stats(const struct http_listener *l, struct http_stats *out) {
    *out = l->stats;
    out->idle = l->stats.open - l->busy;
}

/* ---- the end ---- */

/* Closing one may end others' exchanges but never touches the ring: connections leave it in libuv's
 * close callback. */
static void close_conns(struct http_listener *l, bool idle_only) {
    for (struct conn *c = l->conns.next; c != &l->conns; c = c->next)
        if (idle_only && c->h2)
            http2_drain(c);
        else if (!idle_only || (!c->first && !c->lingers))
            conn_close(c);
}

static void on_drain_deadline(uv_timer_t *timer) {
    struct http_listener *l = timer->data;
    l->cut = true;
    close_conns(l, false);
    tell_drained(l);
}

void http_drain(struct http_listener *l, uint64_t deadline_ms, void (*done)(void *ctx), void *ctx) {
    if (l->draining || l->closed)
        return;
    l->draining = true;
    l->drained = done;
    l->drained_ctx = ctx;
    uv_timer_start(&l->drain_timer, on_drain_deadline, deadline_ms, 0);
    stop_listening(l);
    close_conns(l, true);
}

void http_listener_close(struct http_listener *l) {
    if (!l || l->closed)
        return;
    l->closed = true;
    l->drained = NULL;
    stop_listening(l);
    close_conns(l, false);
    uv_close((uv_handle_t *)&l->timer, on_handle_closed);
    uv_close((uv_handle_t *)&l->drain_timer, on_handle_closed);
}
