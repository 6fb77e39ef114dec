/* SPDX-License-Identifier: Apache-2.0 */
/* A whole HTTP/2 connection over a socket pair, scripted like http_conn.c: the input is what the
 * client sends and what the handler does, and when; the preface goes before it.
 *
 *   byte b: b % 8 = 0..3  the client sends the next b / 8 + 1 bytes of the script (times 16 for 3)
 *           4  the loop turns                      5  the handler ends the oldest it holds (all: b
 * >= 128) 6  the client shuts down its side      7  the client reads what has come
 *
 * Requests whose path has a 'p' take their body in pieces, those with an 's' are streamed, those
 * with an 'h' are held. At the end nothing may be left, and every callback kept its promises. */
#include "net/http2.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { HOLDS = 1024, HANDLES = 3 };

#define MUST(x)                                                                                    \
    do                                                                                             \
        if (!(x))                                                                                  \
            abort();                                                                               \
    while (0)

struct note {
    struct http_exchange *x;
    bool asked, answered, gone, held, begun;
};

static struct loop *loop;
static struct http_listener *listener;
static struct http_exchange *held[HOLDS];
static int n_held;
static long n_heads, n_done;

static bool has(const struct http_exchange *x, char c) {
    size_t at;
    return str_find(x->request.path, c, &at);
}

static enum code on_head(void *ctx, struct http_exchange *x, size_t *body_limit, struct err *e) {
    (void)ctx;
    struct note *n = ARENA_NEW(&x->arena, struct note);
    n_heads++;
    MUST(!x->user && x->duplex && !x->gone);
    if (!n)
        return fail(e, NOMEM, "note");
    x->user = n;
    *body_limit = 3000;
    x->pieces = has(x, 'p');
    return str_starts(x->request.path, "/no") ? fail(e, NOT_FOUND, "no") : OK;
}

static void drop(struct http_exchange *x) {
    for (int i = 0; i < n_held; i++)
        if (held[i] == x)
            held[i--] = held[--n_held];
}

static void finish(struct http_exchange *x) {
    const struct http_header trailer = {LIT("Grpc-Status"), LIT("0")};
    struct note *n = x->user;
    struct http_response r = {.status = 200, .headers = &trailer, .n_headers = 1, .n_parts = 1};
    r.parts[0] = x->request.body;
    MUST(!n->answered);
    drop(x);
    if (!has(x, 's') && !n->begun) {
        n->answered = true;
        if (has(x, 't')) {
            r.trailers = &trailer;
            r.n_trailers = 1;
        }
        http_respond(x, &r);
        return;
    }
    if (!n->begun)
        MUST(http_stream_begin(x, &r));
    n->begun = true;
    for (int i = 0; i < 3; i++)
        (void)http_stream_write(x, (struct span){(const uint8_t *)"0123456789", 10});
    n->answered = true;
    if (has(x, 'c'))
        http_stream_cut(x);
    else
        http_stream_end(x, &trailer, 1);
}

static void hold(struct http_exchange *x) {
    struct note *n = x->user;
    if (!n->held && n_held < HOLDS)
        held[n_held++] = x;
    n->held = true;
}

static void on_request(void *ctx, struct http_exchange *x) {
    struct note *n = x->user;
    (void)ctx;
    MUST(n && !n->asked && !n->answered);
    n->asked = true;
    if (has(x, 'h'))
        hold(x);
    else
        finish(x);
}

static void on_body(void *ctx, struct http_exchange *x, struct span piece) {
    struct note *n = x->user;
    (void)ctx;
    MUST(x->pieces && !n->answered);
    http_body_took(x, piece.n);
    if (has(x, 'e')) /* early: before the body is complete */
        finish(x);
    else
        hold(x);
}

static void on_gone(void *ctx, struct http_exchange *x) {
    struct note *n = x->user;
    (void)ctx;
    MUST(x->gone && !n->gone && !n->answered);
    n->gone = true;
    if (!n->held)
        hold(x);
}

static void on_done(void *ctx, struct http_exchange *x) {
    (void)ctx;
    n_done++;
    drop(x);
    x->user = NULL;
}

static void setup(void) {
    static const struct http_handler h = {.on_head = on_head,
                                          .on_request = on_request,
                                          .on_body = on_body,
                                          .on_gone = on_gone,
                                          .on_done = on_done};
    struct http_limits limits;
    struct err e;
    http_limits_default(&limits);
    limits.nap_ms = 0; /* whenever it may */
    limits.header_bytes = 1024;
    limits.bodies_bytes = 20000;
    limits.arena_bytes = 16384;
    MUST(loop_open(&loop, &e) == OK);
    MUST(http_listen(loop, "127.0.0.1:0", false, &h, &limits, &listener, &e) == OK);
}

static void turn(int times) {
    for (int i = 0; i < times; i++)
        uv_run(loop_uv(loop), UV_RUN_NOWAIT);
}

static void answer_held(bool all) {
    while (n_held) {
        finish(held[0]);
        if (!all)
            return;
    }
}

static void read_all(int fd) {
    char text[65536];
    while (recv(fd, text, sizeof text, MSG_DONTWAIT) > 0) {
    }
}

static void say(int fd, const void *bytes, size_t n) {
    if (n && send(fd, bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && errno == EAGAIN)
        turn(1);
    turn(1);
}

static void play(int fd, struct span script) {
    say(fd, http2_preface, HTTP2_PREFACE);
    while (script.n) {
        uint8_t b = script.p[0];
        script = (struct span){script.p + 1, script.n - 1};
        size_t n = (size_t)(b / 8 + 1) * (b % 8 == 3 ? 16 : 1);
        switch (b % 8) {
        case 4: turn(1 + b / 64); break;
        case 5: answer_held(b >= 128); break;
        case 6: shutdown(fd, SHUT_WR); break;
        case 7: read_all(fd); break;
        default:
            n = n < script.n ? n : script.n;
            say(fd, script.p, n);
            script = (struct span){script.p + n, script.n - n};
        }
    }
    turn(2);
    read_all(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!loop)
        setup();
    int pair[2];
    MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
    n_heads = n_done = 0;
    struct conn *c = conn_open(listener);
    MUST(c && uv_tcp_open(&c->tcp, pair[0]) == 0);
    conn_start(c);
    play(pair[1], (struct span){data, size});
    close(pair[1]);
    turn(2);
    answer_held(true);
    for (int i = 0; i < 100 && listener->stats.open; i++)
        turn(1);
    answer_held(true);
    MUST(listener->stats.open == 0 && listener->alive == HANDLES && listener->busy == 0);
    MUST(listener->bodies_bytes == 0 && n_done == n_heads && n_held == 0);
    return 0;
}
