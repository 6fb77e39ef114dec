/* SPDX-License-Identifier: Apache-2.0 */
/* A producer's thread pushes pieces through a real listener to a client of sockets. */
#include "serve/stream.c"

#include "../base/check.h"
#include "../net/server.h"

enum { PIECES = 5000, PIECE = 700 };

static struct http_listener *listener;
static pthread_t producer;
static _Atomic int rooms, fulls, last, requests_done;
static char path[32];
static char heard[PIECES * (PIECE + 20)];

static void on_room(struct request *r) {
    (void)r;
    rooms++;
}

static void *produce(void *arg) {
    struct request *r = arg;
    char piece[PIECE];
    bool bad = str_is(r->x->request.path, "/bad"), cut = str_is(r->x->request.path, "/cut");
    static const struct http_header injects = {{"X", 1}, {"a\r\nB: c", 7}};
    answer_type(r, 200, LIT("text/event-stream"));
    if (bad) {
        r->response.headers = &injects;
        r->response.n_headers = 1;
    }
    stream_begin(r);
    for (int i = 0; i < PIECES; i++) {
        memset(piece, 'a' + i % 26, PIECE);
        int before = rooms;
        enum stream_state state = stream_push(r, (struct span){(const uint8_t *)piece, PIECE});
        last = (int)state;
        fulls += state == STREAM_FULL;
        if (state == STREAM_GONE)
            break;
        while (state == STREAM_FULL && rooms == before &&
               !__atomic_load_n(&r->ask.cancel, __ATOMIC_RELAXED))
            usleep(100);
    }
    if (cut)
        stream_cut(r);
    else
        stream_end(r);
    return NULL;
}

static enum code head(void *ctx, struct http_exchange *x, size_t *limit, struct err *e) {
    (void)ctx;
    (void)limit;
    struct request *r = ARENA_NEW(&x->arena, struct request);
    if (!r)
        return err_set(e, ERR_NOMEM, __FILE__, __LINE__, "request");
    r->x = x;
    r->arena = &x->arena;
    r->stream.on_room = on_room;
    r->id = LIT("the-id");
    x->user = r;
    return OK;
}

static void request(void *ctx, struct http_exchange *x) {
    struct err e;
    (void)ctx;
    snprintf(path, sizeof path, "%.*s", STR(x->request.path));
    assert_ok(thread_start(&producer, "producer", produce, x->user, &e));
}

static void gone(void *ctx, struct http_exchange *x) {
    struct request *r = x->user;
    (void)ctx;
    __atomic_store_n(&r->ask.cancel, true, __ATOMIC_RELAXED);
}

static void writable(void *ctx, struct http_exchange *x) {
    (void)ctx;
    stream_note_room(x->user);
}

static void done(void *ctx, struct http_exchange *x) {
    (void)ctx;
    (void)x;
    requests_done++;
}

static struct server server;

static int open_all(void **state) {
    const struct http_handler h = {.on_head = head,
                                   .on_request = request,
                                   .on_gone = gone,
                                   .on_writable = writable,
                                   .on_done = done};
    struct err e;
    char address[64];
    (void)state;
    http_limits_default(&server.limits);
    assert_ok(loop_open(&server.loop, &e));
    assert_ok(http_listen(server.loop, "127.0.0.1:0", false, &h, &server.limits, &listener, &e));
    http_listener_address(listener, address);
    server.port = (int)strtol(strrchr(address, ':') + 1, NULL, 10);
    rooms = fulls = requests_done = 0;
    assert_ok(thread_start(&server.thread, "server", server_run, &server, &e));
    return 0;
}

static int close_all(void **state) {
    (void)state;
    pthread_join(producer, NULL);
    eventually(requests_done == 1);
    loop_stop(server.loop);
    pthread_join(server.thread, NULL);
    http_listener_close(listener);
    loop_close(server.loop);
    return 0;
}

static size_t ask(const char *what, int wait_before_ms) {
    int fd = dial(&server), n = snprintf(heard, sizeof heard, "GET %s HTTP/1.0\r\n\r\n", what);
    say_n(fd, heard, (size_t)n);
    usleep((useconds_t)wait_before_ms * 1000);
    size_t got = hear_all(fd, heard, sizeof heard, 3000);
    close(fd);
    return got - (size_t)(body_of(heard) - heard);
}

/* The client sleeps first: the producer is told FULL, waits for room, and all of it arrives. */
static void test_pieces_in_order(void **state) {
    (void)state;
    assert_int_equal(ask("/", 200), PIECES * PIECE);
    assert_non_null(strstr(heard, "X-Request-Id: the-id\r\n"));
    assert_non_null(strstr(heard, "text/event-stream"));
    for (int i = 0; i < PIECES; i++)
        assert_int_equal(body_of(heard)[i * PIECE + PIECE - 1], 'a' + i % 26);
    assert_true(fulls > 0 && rooms > 0);
}

static void test_head_that_cannot_be_sent(void **state) {
    (void)state;
    assert_true(ask("/bad", 0) > 0);
    assert_memory_equal(heard + 9, "500", 3);
    assert_null(strstr(heard, "B: c"));
}

static void test_client_leaves(void **state) {
    (void)state;
    struct linger hard = {1, 0};
    int fd = dial(&server);
    say(fd, "GET / HTTP/1.0\r\n\r\n");
    eventually(fulls > 0);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    close(fd);
    eventually(requests_done == 1);
    assert_int_equal(last, STREAM_GONE);
}

static void test_cut(void **state) {
    (void)state;
    int fd = dial(&server);
    say(fd, "GET /cut HTTP/1.1\r\nHost: h\r\n\r\n");
    size_t n = hear_all(fd, heard, sizeof heard, 3000);
    assert_true(n > 1000);
    assert_memory_not_equal(heard + n - 5, "0\r\n\r\n", 5);
    close(fd);
}

#define T(name) cmocka_unit_test_setup_teardown(test_##name, open_all, close_all)
int main(void) {
    const struct CMUnitTest tests[] = {T(pieces_in_order), T(head_that_cannot_be_sent),
                                       T(client_leaves), T(cut)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
