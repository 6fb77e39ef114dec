/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that runs out and sockets that fail while requests are served: a client gets a whole
 * answer, an error or a closed connection, never half an answer taken for a whole one; nothing
 * leaks, nothing hangs, and the next client is served as if nothing had happened. Server and
 * clients share one thread: the loop is turned by hand. */
#include "fault_loop.h"

#include "base/clock.h"
#include "net/conn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define CRLF "\r\n"
enum { HANDLES = 3, BODY = 30000 };

struct scene {
    struct loop *loop;
    struct http_listener *listener;
    int port;
    struct http_exchange *held[8];
    int n_held, n_heads, n_done;
};

static enum code on_head(void *ctx, struct http_exchange *x, size_t *body_limit, struct err *e) {
    (void)body_limit;
    ((struct scene *)ctx)->n_heads++;
    return str_is(x->request.path, "/no") ? err_set(e, ERR_NOT_FOUND, "", 0, "no such thing") : OK;
}

static void respond(struct http_exchange *x) {
    const struct http_header header = {LIT("X-Long"), {x->request.target.p, x->request.target.n}};
    struct http_response r = {.status = 200, .headers = &header, .n_headers = 1, .n_parts = 1};
    r.parts[0] = x->request.body;
    http_respond(x, &r);
}

static void on_request(void *ctx, struct http_exchange *x) {
    struct scene *s = ctx;
    if (str_starts(x->request.path, "/hold"))
        s->held[s->n_held++] = x;
    else
        respond(x);
}

static void on_done(void *ctx, struct http_exchange *x) {
    (void)x;
    ((struct scene *)ctx)->n_done++;
}

static void open_scene(struct scene *s) {
    const struct http_handler h = {
        .ctx = s, .on_head = on_head, .on_request = on_request, .on_done = on_done};
    struct http_limits limits;
    struct err e;
    char address[64];
    *s = (struct scene){0};
    http_limits_default(&limits);
    assert_int_equal(loop_open(&s->loop, &e), OK);
    assert_int_equal(http_listen(s->loop, "127.0.0.1:0", false, &h, &limits, &s->listener, &e), OK);
    http_listener_address(s->listener, address);
    s->port = (int)strtol(strrchr(address, ':') + 1, NULL, 10);
}

static void turn(struct scene *s) {
    uv_run(loop_uv(s->loop), UV_RUN_NOWAIT);
    int n = s->n_held;
    s->n_held = 0;
    for (int i = n - 1; i >= 0; i--)
        respond(s->held[i]);
}

/* ---- clients that never block ---- */

struct client {
    int fd;
    const char *request;
    size_t n_request, sent, got;
    bool closed;
    char text[4 * BODY];
};

static void dial(const struct scene *s, struct client *c, const char *request, size_t n) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)s->port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->request = request;
    c->n_request = n;
    c->sent = c->got = 0;
    c->closed = false;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(c->fd, (struct sockaddr *)&a, sizeof a),
                     0); /* the kernel answers, not the loop */
}

static void talk(struct client *c) {
    ssize_t n =
        send(c->fd, c->request + c->sent, c->n_request - c->sent, MSG_DONTWAIT | MSG_NOSIGNAL);
    c->sent += n > 0 ? (size_t)n : 0;
    n = recv(c->fd, c->text + c->got, sizeof c->text - 1 - c->got, MSG_DONTWAIT);
    c->got += n > 0 ? (size_t)n : 0;
    c->text[c->got] = 0;
    c->closed = c->closed || n == 0 || (n < 0 && errno != EAGAIN);
}

/* Whole answers at the front of what came; *status of the last of them. */
static int count_answers(const struct client *c, int *status) {
    int n = 0;
    for (const char *at = c->text; *at; n++) {
        const char *end = strstr(at, CRLF CRLF), *length = strstr(at, "Content-Length: ");
        if (!end || !length || length > end)
            break;
        size_t body = strtoul(length + 16, NULL, 10);
        if ((size_t)(c->text + c->got - (end + 4)) < body)
            break;
        *status = (int)strtol(at + 9, NULL, 10);
        at = end + 4 + body;
    }
    return n;
}

/* Until every client has `want` answers or a closed connection, or patience ends. */
static void play(struct scene *s, struct client *clients, int n, const int *want) {
    uint64_t until = clock_ns() + UINT64_C(400000000);
    for (bool over = false; !over && clock_ns() < until;) {
        over = true;
        turn(s);
        for (int i = 0; i < n; i++) {
            int status;
            talk(&clients[i]);
            over = over && (clients[i].closed || count_answers(&clients[i], &status) >= want[i]);
        }
        if (!over)
            usleep(100);
    }
}

static char long_request[BODY + 200];
static size_t n_long;

static const char pipelined[] =
    "GET /a%20b HTTP/1.1" CRLF "Host: h" CRLF CRLF "GET /hold?1 HTTP/1.1" CRLF "Host: h" CRLF CRLF
    "POST /no HTTP/1.1" CRLF "Host: h" CRLF "Content-Length: 3" CRLF CRLF "abc"
    "POST /c HTTP/1.1" CRLF "Host: h" CRLF "Transfer-Encoding: chunked" CRLF CRLF "3" CRLF
    "abc" CRLF "0" CRLF CRLF "GET /hold?2 HTTP/1.1" CRLF "Host: h" CRLF CRLF "BAD" CRLF;
enum { PIPELINED = 6 };

static void make_long_request(void) {
    int n =
        snprintf(long_request, sizeof long_request,
                 "POST /hold HTTP/1.1" CRLF "Host: h" CRLF "Content-Length: %d" CRLF CRLF, BODY);
    memset(long_request + n, 'b', BODY);
    n_long = (size_t)n + BODY;
}

static void check_client(const struct client *c, int want, int last_status, bool fired) {
    int status = 0, n = count_answers(c, &status);
    assert_true(n <= want);
    assert_true(n == want ? fired || status == last_status : fired);
    assert_true(n == 0 || status == last_status || status == 200 || status == 404 || status == 503);
}

static void close_scene(struct scene *s) {
    for (int i = 0; i < 1000 && s->listener->stats.open; i++, usleep(100))
        turn(s);
    assert_int_equal(s->listener->stats.open, 0);
    assert_int_equal(s->listener->alive, HANDLES);
    assert_int_equal(s->listener->bodies_bytes, 0);
    assert_int_equal(s->n_done, s->n_heads);
    http_listener_close(s->listener);
    loop_close(s->loop);
}

static struct client clients[2];

static void serves(void **state) {
    (void)state;
    const int want[2] = {PIPELINED, 1};
    make_long_request();
    FAULT_LOOP(f) {
        struct scene s;
        open_scene(&s);
        dial(&s, &clients[0], pipelined, sizeof pipelined - 1);
        dial(&s, &clients[1], long_request, n_long);
        FAULT_BODY(f) { play(&s, clients, 2, want); }
        check_client(&clients[0], PIPELINED, 400, f.fired);
        check_client(&clients[1], 1, 200, f.fired);
        close(clients[0].fd);
        close(clients[1].fd);
        dial(&s, &clients[0], long_request, n_long); /* the next one notices nothing */
        play(&s, clients, 1, &want[1]);
        check_client(&clients[0], 1, 200, false);
        close(clients[0].fd);
        close_scene(&s);
    }
}

static enum code open_all(struct loop **loop, struct http_listener **l, struct loop_timer **t,
                          struct err *e) {
    const struct http_handler h = {.on_head = on_head, .on_request = on_request};
    struct http_limits limits;
    http_limits_default(&limits);
    TRY(loop_open(loop, e));
    TRY(loop_timer_open(*loop, 1000, free, NULL, t, e));
    TRY(loop_on_signal(*loop, 10, NULL, NULL, e));
    return http_listen(*loop, "127.0.0.1:0", false, &h, &limits, l, e);
}

static void opens(void **state) {
    (void)state;
    FAULT_LOOP(f) {
        struct loop *loop = NULL;
        struct http_listener *l = NULL;
        struct loop_timer *t = NULL;
        struct err e = {0};
        enum code code = OK;
        FAULT_BODY(f) { code = open_all(&loop, &l, &t, &e); }
        assert_true(code == OK ? l != NULL : f.fired && l == NULL && e.code == code && e.text[0]);
        http_listener_close(l);
        if (loop)
            loop_close(loop);
    }
}

int main(void) {
    struct loop *first; /* libuv keeps a pipe for signals and a thread key for ever: not a leak of
                           the first round */
    struct err e;
    if (loop_open(&first, &e) != OK || loop_on_signal(first, 10, NULL, NULL, &e) != OK)
        return 1;
    loop_close(first);
    const struct CMUnitTest tests[] = {cmocka_unit_test(opens), cmocka_unit_test(serves)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
