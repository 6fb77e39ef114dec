/* SPDX-License-Identifier: Apache-2.0 */
/* A whole connection, from accepted socket to closed, over a socket pair: the input is a script of
 * what the client and the handler do, and when.
 *
 *   byte b: b % 8 = 0..3  the client sends the next b / 8 + 1 bytes of the script (times 16 for 3)
 *           4  the loop turns         5  the handler answers the oldest request it holds (all, when
 * b >= 128) 6  the client shuts down its sending side         7  the client reads what has come
 *
 * At the end the client leaves and everything held is answered. Then nothing may be left: no
 * connection, no exchange, no byte of a body accounted for; and the callbacks kept their promises
 * (http.h, 1 and 2). */
#include "net/conn.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { HOLDS = 256, HANDLES = 3 };

#define MUST(x)                                                                                    \
    do                                                                                             \
        if (!(x))                                                                                  \
            abort();                                                                               \
    while (0)

static struct loop *loop;
static struct http_listener *listener;
static struct http_exchange *held[HOLDS], *streaming;
static int n_held;
static long n_heads, n_done, n_requests, n_answered;

static enum code on_head(void *ctx, struct http_exchange *x, size_t *body_limit, struct err *e) {
    (void)ctx;
    n_heads++;
    MUST(!x->user && !x->gone && x->status == 0);
    x->user = &n_heads;
    *body_limit = 3000;
    if (str_starts(x->request.path, "/no"))
        return fail(e, NOT_FOUND, "no");
    return OK;
}

/* Half of these streams are cut. */
static void stream(struct http_exchange *x) {
    const struct http_response r = {.status = 200};
    n_answered++;
    streaming = x;
    MUST(http_stream_begin(x, &r));
    for (int i = 0; i < 3; i++)
        (void)http_stream_write(
            x, x->request.path.n
                   ? (struct span){(const uint8_t *)x->request.path.p, x->request.path.n}
                   : x->request.body);
    if (x->request.path.n % 2)
        http_stream_cut(x);
    else
        http_stream_end(x, NULL, 0);
    streaming = NULL;
}

static void respond(struct http_exchange *x) {
    if (x->request.path.n > 2 && x->request.path.p[2] == 's') {
        stream(x);
        return;
    }
    const struct http_header mirror = {LIT("X-Path"), x->request.path};
    struct http_response r = {.status = 200, .headers = &mirror, .n_headers = 1, .n_parts = 1};
    r.parts[0] = x->request.body;
    r.close = str_ends(x->request.path, "!");
    n_answered++;
    http_respond(x, &r);
}

static void on_request(void *ctx, struct http_exchange *x) {
    (void)ctx;
    MUST(x->user == &n_heads);
    x->user = &n_requests;
    n_requests++;
    if (str_starts(x->request.path, "/h") && n_held < HOLDS)
        held[n_held++] = x;
    else
        respond(x);
}

static void on_gone(void *ctx, struct http_exchange *x) {
    (void)ctx;
    MUST(x->gone && x->user == &n_requests);
    bool found = x == streaming;
    for (int i = 0; i < n_held; i++)
        found = found || held[i] == x;
    MUST(found);
}

static void on_done(void *ctx, struct http_exchange *x) {
    (void)ctx;
    MUST(x->user == &n_heads || x->user == &n_requests);
    x->user = NULL;
    n_done++;
}

static void setup(void) {
    static const struct http_handler h = {
        .on_head = on_head, .on_request = on_request, .on_gone = on_gone, .on_done = on_done};
    struct http_limits limits;
    struct err e;
    http_limits_default(&limits);
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
        struct http_exchange *x = held[0];
        memmove(held, held + 1, (size_t)--n_held * sizeof *held);
        respond(x);
        if (!all)
            return;
    }
}

/* Whatever comes, it begins like a response. */
static void read_all(int fd, bool *first) {
    char text[65536];
    ssize_t n;
    while ((n = recv(fd, text, sizeof text, MSG_DONTWAIT)) > 0) {
        MUST(!*first || n < 9 || memcmp(text, "HTTP/1.1 ", 9) == 0);
        *first = false;
    }
}

static void play(int fd, struct span script) {
    bool first = true;
    while (script.n) {
        uint8_t b = script.p[0];
        script = (struct span){script.p + 1, script.n - 1};
        switch (b % 8) {
        case 4: turn(1 + b / 64); break;
        case 5: answer_held(b >= 128); break;
        case 6: shutdown(fd, SHUT_WR); break;
        case 7: read_all(fd, &first); break;
        default: {
            size_t n = (size_t)(b / 8 + 1) * (b % 8 == 3 ? 16 : 1);
            n = n < script.n ? n : script.n;
            if (n && send(fd, script.p, n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && errno == EAGAIN)
                turn(1);
            script = (struct span){script.p + n, script.n - n};
            turn(1);
        }
        }
    }
    turn(2);
    read_all(fd, &first);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!loop)
        setup();
    int pair[2];
    MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
    n_heads = n_done = n_requests = n_answered = 0;
    struct conn *c = conn_open(listener);
    MUST(c && uv_tcp_open(&c->tcp, pair[0]) == 0);
    conn_start(c);
    play(pair[1], (struct span){data, size});
    close(pair[1]);
    turn(2);
    answer_held(true);
    for (int i = 0; i < 100 && listener->stats.open; i++)
        turn(1);
    MUST(listener->stats.open == 0 && listener->alive == HANDLES && listener->busy == 0);
    MUST(listener->bodies_bytes == 0 && n_done == n_heads && n_answered == n_requests);
    return 0;
}
