/* SPDX-License-Identifier: Apache-2.0 */
/* The listener: addresses, limits, counts, drain, and many idle connections. */
#include "net/http.c"

#include "server.h"

#include <sys/resource.h>

#define GET(path) "GET " path " HTTP/1.1" CRLF "Host: h" CRLF CRLF

static char text[1 << 16];

static struct server *begin(unsigned connections) {
    struct server *s = mem_zalloc(1, sizeof *s);
    http_limits_default(&s->limits);
    if (connections)
        s->limits.connections = connections;
    server_start(s);
    return s;
}

static void end_server(struct server *s) {
    server_stop(s);
    mem_free(s);
}

static void test_bad_addresses(void **state) {
    (void)state;
    const char *bad[] = {
        "",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:70000",
        "127.0.0.1:-1",
        "localhost:80",
        "[::1:80",
        "::1:80",
        "1.2.3:80",
        "127.0.0.1:80x",
        "[]:80",
        "[aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa]:80"};
    struct http_limits limits;
    struct http_listener *l = NULL;
    struct loop *loop;
    struct err e;
    const struct http_handler h = {.on_head = server_on_head, .on_request = server_on_request};
    http_limits_default(&limits);
    assert_int_equal(loop_open(&loop, &e), OK);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(http_listen(loop, bad[i], false, &h, &limits, &l, &e), ERR_USAGE);
        assert_null(l);
    }
    assert_true(http_listen(loop, "192.0.2.1:1", false, &h, &limits, &l, &e) != OK);
    assert_non_null(strstr(e.text, "192.0.2.1:1"));
    loop_close(loop);
}

static void test_ports(void **state) {
    (void)state;
    struct http_limits limits;
    struct http_listener *a, *b, *c;
    struct loop *loop;
    struct err e;
    const struct http_handler h = {.on_head = server_on_head, .on_request = server_on_request};
    char address[64], again[64];
    http_limits_default(&limits);
    assert_int_equal(loop_open(&loop, &e), OK);
    assert_int_equal(http_listen(loop, "[::1]:0", true, &h, &limits, &a, &e), OK);
    http_listener_address(a, address);
    assert_memory_equal(address, "[::1]:", 6);
    assert_int_equal(http_listen(loop, address, true, &h, &limits, &b, &e), OK); /* shared */
    http_listener_address(b, again);
    assert_string_equal(address, again);
    assert_true(http_listen(loop, address, false, &h, &limits, &c, &e) != OK); /* taken */
    http_listener_close(a);
    http_listener_close(b);
    loop_close(loop);
}

static void test_request_parts(void **state) {
    (void)state;
    struct http_request r = {.query = LIT("a=1&text=x%0Ay+z&bad=%zz"), .n_headers = 2};
    struct arena a;
    struct str out;
    r.headers[0] = (struct http_header){LIT("Content-Type"), LIT("a/b")};
    r.headers[1] = (struct http_header){LIT("content-type"), LIT("c/d")};
    arena_init(&a, 1024);
    assert_true(str_is(http_header_get(&r, "CONTENT-TYPE"), "a/b"));
    assert_int_equal(http_header_get(&r, "Content").n, 0);
    assert_true(http_query_get(&r, "text", &a, &out));
    assert_true(str_is(out, "x\ny z"));
    assert_false(http_query_get(&r, "bad", &a, &out));
    assert_false(http_query_get(&r, "none", &a, &out));
    arena_deinit(&a);
}

static void test_connection_limit(void **state) {
    (void)state;
    struct server *s = begin(3);
    int fd[4];
    for (int i = 0; i < 3; i++) {
        fd[i] = dial(s);
        say(fd[i], GET("/x"));
        assert_int_equal(hear(fd[i], text, sizeof text), 200);
    }
    fd[3] = dial(s);
    say(fd[3], GET("/x")); /* sent into a connection that is not wanted: still reads why */
    assert_int_equal(hear(fd[3], text, sizeof text), 503);
    assert_non_null(strstr(text, "Retry-After: 1" CRLF));
    assert_int_equal(strlen(body_of(text)),
                     strtoul(strstr(text, "Content-Length: ") + 16, NULL, 10));
    assert_true(is_closed(fd[3], 5000));
    close(fd[3]);
    close(fd[0]);
    for (int i = 0; i < 100; i++) {
        server_stats(s);
        if (s->stats.open == 2)
            break;
        usleep(20000);
    }
    assert_int_equal(s->stats.refused, 1);
    fd[0] = dial(s); /* there is room again */
    say(fd[0], GET("/x"));
    assert_int_equal(hear(fd[0], text, sizeof text), 200);
    for (int i = 0; i < 3; i++)
        close(fd[i]);
    end_server(s);
}

static void test_stats(void **state) {
    (void)state;
    struct server *s = begin(0);
    int a = dial(s), b = dial(s);
    say(a, GET("/hold?1"));
    say(b, GET("/x"));
    assert_int_equal(hear(b, text, sizeof text), 200);
    eventually(s->n_held == 1);
    server_stats(s);
    assert_int_equal(s->stats.accepted, 2);
    assert_int_equal(s->stats.open, 2);
    assert_int_equal(s->stats.idle, 1);
    assert_int_equal(s->stats.requests, 2);
    assert_int_equal(s->stats.bytes_in, sizeof GET("/hold?1") - 1 + sizeof GET("/x") - 1);
    assert_int_equal(s->stats.bytes_out, strlen(text));
    close(a);
    close(b);
    end_server(s);
}

/* ---- drain ---- */

static void test_drain_waits_for_answers(void **state) {
    (void)state;
    struct server *s = begin(0);
    int idle = dial(s), busy = dial(s), half = dial(s);
    say(idle, GET("/x"));
    assert_int_equal(hear(idle, text, sizeof text), 200);
    say(busy, GET("/hold?1"));
    say(half, "GET /late HTTP/1.1" CRLF "Ho");
    eventually(s->n_held == 1);
    for (int i = 0; s->stats.idle != 1 && i < 100; i++, usleep(5000))
        server_stats(s); /* until the half request has come */
    server_drain(s, 20000);
    assert_true(is_closed(idle, 5000));
    usleep(20000);
    assert_int_equal(s->drained, 0);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)s->port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), -1);
    close(fd);
    say(half, "st: h" CRLF CRLF);
    assert_int_equal(hear(half, text, sizeof text), 200);
    assert_non_null(strstr(text, "Connection: close" CRLF));
    server_release(s);
    assert_int_equal(hear(busy, text, sizeof text), 200);
    assert_non_null(strstr(text, "Connection: close" CRLF));
    close(busy);
    close(half);
    eventually(s->drained == 1);
    close(idle);
    end_server(s);
}

static void test_drain_has_a_deadline(void **state) {
    (void)state;
    struct server *s = begin(0);
    int fd = dial(s);
    say(fd, GET("/hold?1"));
    eventually(s->n_held == 1);
    uint64_t from = clock_ns();
    server_drain(s, 100);
    eventually(s->drained == 1);
    assert_in_range((clock_ns() - from) / 1000000, 90, 1500);
    assert_int_equal(s->gone, 1);
    assert_true(is_closed(fd, 1000));
    close(fd);
    end_server(s); /* answers the one still held: the listener is freed with it */
}

static void test_drain_of_nothing(void **state) {
    (void)state;
    struct server *s = begin(0);
    server_drain(s, 1000);
    eventually(s->drained == 1);
    end_server(s);
}

struct hammer {
    struct server *s;
    pthread_t thread;
    int answered,
        torn; /* torn: a request was accepted (bytes of the answer came) but the answer was cut */
};

static void *hammer(void *arg) {
    struct hammer *h = arg;
    char got[4096];
    int fd = dial(h->s);
    for (;;) {
        say(fd, GET("/x"));
        int status = hear(fd, got, sizeof got);
        if (status != 200) {
            h->torn += got[0] != 0;
            break;
        }
        h->answered++;
        if (strstr(got, "Connection: close"))
            break;
    }
    close(fd);
    return NULL;
}

static void test_drain_under_load(void **state) {
    (void)state;
    enum { N = 8 };
    struct server *s = begin(0);
    struct hammer h[N] = {0};
    struct err e;
    for (int i = 0; i < N; i++) {
        h[i].s = s;
        assert_int_equal(thread_start(&h[i].thread, "hammer", hammer, &h[i], &e), OK);
    }
    eventually(s->requests > 500);
    server_drain(s, 10000);
    int answered = 0;
    for (int i = 0; i < N; i++) {
        pthread_join(h[i].thread, NULL);
        answered += h[i].answered;
        assert_int_equal(h[i].torn, 0);
    }
    eventually(s->drained == 1);
    assert_int_equal(answered, s->requests); /* everything accepted was answered, whole */
    assert_int_equal(s->done, s->requests);
    end_server(s);
}

/* ---- memory of idle connections ---- */

static int free_exchanges, kept_buffers;

static void look_job(struct loop_job *job) {
    struct server *s = SERVER_OF(job);
    free_exchanges = s->listener->pool.n_free;
    kept_buffers = 0;
    for (struct conn *c = s->listener->conns.next; c != &s->listener->conns; c = c->next)
        kept_buffers += c->kept != NULL;
    s->jobs_done++;
}

static void test_idle_connections_are_small(void **state) {
    (void)state;
    enum { N = 500 };
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    struct server *s = begin(0);
    int fd[N];
    for (int i = 0; i < N; i++) {
        fd[i] = dial(s);
        say(fd[i], GET("/x"));
        assert_int_equal(hear(fd[i], text, sizeof text), 200);
    }
    server_stats(s);
    assert_int_equal(s->stats.idle, N);
    assert_true(sizeof(struct conn) <= 1024);
    server_do(s, look_job);
    assert_true(free_exchanges <= 4);
    assert_int_equal(kept_buffers, 0);
    for (int i = 0; i < N; i++)
        close(fd[i]);
    end_server(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_addresses),
        cmocka_unit_test(test_ports),
        cmocka_unit_test(test_request_parts),
        cmocka_unit_test(test_connection_limit),
        cmocka_unit_test(test_stats),
        cmocka_unit_test(test_drain_waits_for_answers),
        cmocka_unit_test(test_drain_has_a_deadline),
        cmocka_unit_test(test_drain_of_nothing),
        cmocka_unit_test(test_drain_under_load),
        cmocka_unit_test(test_idle_connections_are_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
