/* SPDX-License-Identifier: Apache-2.0 */
/* For the socket tests: a server on a thread of its own with a handler steered by the request's
 * path, and a blocking client on the test's thread.
 *
 *   /echo     answers with the request's body       /hold     answers when the test calls
 * server_release /big?n=N  answers with N bytes of 'x'           /close    answers and closes the
 * connection /bad      answers with a header that injects    /refuse   on_head refuses with 404
 *   /small    on_head lowers the body limit to 10   others    answer "METHOD target"
 *   /stream?n=N  N pieces of 1000 bytes, as the window allows, and a trailer
 *   /cut      a piece, then cut                     /open     a stream that the test ends  */
#pragma once

#include "base/clock.h"
#include "base/mem.h"
#include "base/thread.h"
#include "net/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define CRLF "\r\n"
enum { HOLDS = 2048 };

struct server {
    struct loop *loop;
    struct http_listener *listener;
    struct http_limits limits; /* set before server_start */
    pthread_t thread;
    int port;
    /* Of the loop's thread; read by the test after server_stop, or as atomics while it runs. */
    struct http_exchange *held[HOLDS];
    _Atomic int streamed; /* pieces of /stream; the test looks while the server writes */
    int to_stream;
    _Atomic int fulls;
    _Atomic int n_held, heads, requests, gone, done, drained;
    _Atomic int last_status, last_done_gone;
    _Atomic uint64_t last_in, last_out;
    _Atomic uint64_t allocations; /* of the loop's thread, noted by /count */
    struct http_stats stats;      /* by server_stats */
    struct loop_job job;
    _Atomic int jobs_done;
    _Atomic uint64_t drain_ms; /* for server_drain */
    char last_peer[64];
};

static void answer_text(struct http_exchange *x, int status, struct str body, bool close) {
    struct http_response r = {
        .status = status, .content_type = LIT("text/plain"), .n_parts = 1, .close = close};
    r.parts[0] = (struct span){(const uint8_t *)body.p, body.n};
    http_respond(x, &r);
}

static enum code server_on_head(void *ctx, struct http_exchange *x, size_t *body_limit,
                                struct err *e) {
    struct server *s = ctx;
    s->heads++;
    if (str_is(x->request.path, "/refuse"))
        return err_set(e, ERR_NOT_FOUND, __FILE__, __LINE__,
                       "nothing \"here\""); /* cmocka took the name fail */
    if (str_is(x->request.path, "/small"))
        *body_limit = 10;
    return OK;
}

static void answer_big(struct http_exchange *x) {
    struct str n_text;
    uint64_t n = 0;
    if (!http_query_get(&x->request, "n", &x->arena, &n_text) || !str_to_u64(n_text, &n))
        n = 1;
    char *text = arena_push(&x->arena, n);
    if (text)
        memset(text, 'x', n);
    answer_text(x, text ? 200 : 503, (struct str){text, text ? n : 0}, false);
}

static void answer_bad(struct http_exchange *x) {
    const struct http_header header = {LIT("X-Name"), LIT("a\r\nInjected: yes")};
    struct http_response r = {.status = 200, .headers = &header, .n_headers = 1};
    http_respond(x, &r);
}

static inline void stream_on(void *ctx, struct http_exchange *x) {
    static const struct http_header trailer = {{"X-Count", 7}, {"all", 3}};
    struct server *s = ctx;
    uint8_t piece[1000];
    while (s->streamed < s->to_stream) {
        memset(piece, 'a' + s->streamed++ % 26, sizeof piece);
        enum http_window window = http_stream_write(x, (struct span){piece, sizeof piece});
        s->fulls += window == HTTP_FULL;
        if (window == HTTP_FULL)
            return;
    }
    http_stream_end(x, &trailer, 1);
}

static inline void answer_stream(struct server *s, struct http_exchange *x) {
    const struct http_response r = {.status = 200, .content_type = LIT("text/plain")};
    struct str n_text;
    uint64_t n = 1;
    (void)(http_query_get(&x->request, "n", &x->arena, &n_text) && str_to_u64(n_text, &n));
    s->streamed = 0;
    s->to_stream = (int)n;
    assert_true(http_stream_begin(x, &r));
    if (str_is(x->request.path, "/stream")) {
        stream_on(s, x);
    } else if (str_is(x->request.path, "/cut")) {
        (void)http_stream_write(x, (struct span){(const uint8_t *)"part", 4});
        http_stream_cut(x);
    } else {
        s->held[s->n_held] = x;
        s->n_held++;
    }
}

static void server_on_request(void *ctx, struct http_exchange *x) {
    struct server *s = ctx;
    const struct http_request *r = &x->request;
    s->requests++;
    memcpy(s->last_peer, x->peer, sizeof s->last_peer);
    struct str body = {(const char *)r->body.p, r->body.n};
    if (str_is(r->path, "/hold")) {
        s->held[s->n_held] = x;
        s->n_held++;
    } else if (str_is(r->path, "/stream") || str_is(r->path, "/cut") || str_is(r->path, "/open")) {
        answer_stream(s, x);
    } else if (str_is(r->path, "/echo") || str_is(r->path, "/small")) {
        answer_text(x, 200, body, false);
    } else if (str_is(r->path, "/big")) {
        answer_big(x);
    } else if (str_is(r->path, "/bad")) {
        answer_bad(x);
    } else if (str_is(r->path, "/count")) {
        s->allocations = mem_count();
        answer_text(x, 200, LIT("counted"), false);
    } else {
        const char *text = arena_printf(&x->arena, "%.*s %.*s", STR(r->method), STR(r->target));
        answer_text(x, 200, str_of(text), str_is(r->path, "/close"));
    }
}

static void server_on_gone(void *ctx, struct http_exchange *x) {
    struct server *s = ctx;
    assert_true(x->gone);
    s->gone++;
}

static void server_on_done(void *ctx, struct http_exchange *x) {
    struct server *s = ctx;
    s->last_status = x->status;
    s->last_done_gone = x->gone;
    s->last_in = x->bytes_in;
    s->last_out = x->bytes_out;
    s->done++;
}

static void *server_run(void *arg) {
    struct server *s = arg;
    loop_run(s->loop);
    return NULL;
}

static inline void server_start(struct server *s) {
    struct err e;
    const struct http_handler h = {.ctx = s,
                                   .on_head = server_on_head,
                                   .on_request = server_on_request,
                                   .on_gone = server_on_gone,
                                   .on_writable = stream_on,
                                   .on_done = server_on_done};
    char address[64];
    assert_int_equal(loop_open(&s->loop, &e), OK);
    assert_int_equal(http_listen(s->loop, "127.0.0.1:0", false, &h, &s->limits, &s->listener, &e),
                     OK);
    http_listener_address(s->listener, address);
    s->port = (int)strtol(strrchr(address, ':') + 1, NULL, 10);
    assert_int_equal(thread_start(&s->thread, "server", server_run, s, &e), OK);
}

/* Runs fn on the loop's thread and waits for it. */
static void server_do(struct server *s, void (*fn)(struct loop_job *job)) {
    int before = s->jobs_done;
    s->job.fn = fn;
    loop_post(s->loop, &s->job);
    while (s->jobs_done == before)
        usleep(200);
}

#define SERVER_OF(job) ((struct server *)(void *)((char *)(job)-offsetof(struct server, job)))

static inline void release_job(struct loop_job *job) {
    struct server *s = SERVER_OF(job);
    int n = s->n_held;
    s->n_held = 0;
    for (int i = n - 1; i >= 0; i--) { /* last first: the order on the wire must not depend on it */
        const char *text =
            arena_printf(&s->held[i]->arena, "held %.*s", STR(s->held[i]->request.query));
        answer_text(s->held[i], 200, str_of(text), false);
    }
    s->jobs_done++;
}
#define server_release(s) server_do((s), release_job)

static inline void stats_job(struct loop_job *job) {
    struct server *s = SERVER_OF(job);
    http_listener_stats(s->listener, &s->stats);
    s->jobs_done++;
}
#define server_stats(s) server_do((s), stats_job)

static void on_drained(void *ctx) { ((struct server *)ctx)->drained++; }

static inline void drain_job(struct loop_job *job) {
    struct server *s = SERVER_OF(job);
    http_drain(s->listener, s->drain_ms, on_drained, s);
    s->jobs_done++;
}
static inline void server_drain(struct server *s, uint64_t deadline_ms) {
    s->drain_ms = deadline_ms;
    server_do(s, drain_job);
}

/* Waits at most ten seconds for a condition on the server's atomics. */
#define eventually(condition)                                                                      \
    do {                                                                                           \
        uint64_t until_ = clock_ns() + UINT64_C(10000000000);                                      \
        while (!(condition) && clock_ns() < until_)                                                \
            usleep(500);                                                                           \
        assert_true(condition);                                                                    \
    } while (0)

static inline void server_stop(struct server *s) {
    loop_stop(s->loop);
    pthread_join(s->thread, NULL);
    http_listener_close(s->listener);
    for (int i = 0; i < s->n_held; i++) /* their clients are gone now; they still must end */
        answer_text(s->held[i], 200, LIT(""), false);
    loop_close(s->loop);
}

/* ---- client ---- */

static inline int dial(const struct server *s) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)s->port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    return fd;
}

static inline void say_n(int fd, const void *bytes, size_t n) {
    for (size_t at = 0; at < n;) {
        ssize_t sent = send(fd, (const char *)bytes + at, n - at, MSG_NOSIGNAL);
        if (sent <= 0)
            return; /* the server closed: what it said is what the test looks at */
        at += (size_t)sent;
    }
}
#define say(fd, text) say_n((fd), "" text, sizeof(text) - 1)

/* Everything until the server closes, or `ms` without a byte. NUL-terminated; returns the length.
 */
static inline size_t hear_all(int fd, char *to, size_t room, int ms) {
    size_t n = 0;
    while (n + 1 < room) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (poll(&p, 1, ms) <= 0)
            break;
        ssize_t got = recv(fd, to + n, room - 1 - n, 0);
        if (got <= 0)
            break;
        n += (size_t)got;
    }
    to[n] = 0;
    return n;
}

/* True when the server has closed: end of stream or reset within `ms`. */
static inline bool is_closed(int fd, int ms) {
    char byte;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, ms) > 0 && recv(fd, &byte, 1, 0) <= 0;
}

/* One response: head and body by its Content-Length. `text` holds all of it, NUL-terminated;
 * returns the status. */
static inline int hear(int fd, char *text, size_t room) {
    size_t n = 0, want = SIZE_MAX;
    text[0] = 0;
    while (n < want && n + 1 < room) {
        size_t step = want == SIZE_MAX ? 1 : want - n < room - 1 - n ? want - n : room - 1 - n;
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (poll(&p, 1, 5000) <= 0)
            return -1;
        ssize_t got = recv(fd, text + n, step, 0);
        if (got <= 0)
            return -1;
        n += (size_t)got;
        text[n] = 0;
        if (want == SIZE_MAX && n >= 4 && memcmp(text + n - 4, CRLF CRLF, 4) == 0) {
            const char *length = strstr(text, "Content-Length: ");
            want = n + (length ? (size_t)strtoul(length + 16, NULL, 10) : 0);
        }
    }
    return (int)strtol(text + 9, NULL, 10);
}

static inline const char *body_of(const char *text) {
    const char *end = strstr(text, CRLF CRLF);
    return end ? end + 4 : "";
}
