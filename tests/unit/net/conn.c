/* SPDX-License-Identifier: Apache-2.0 */
/* What happens on one connection, over real sockets. */
#include "net/conn.c"

#include "server.h"

#define GET(path) "GET " path " HTTP/1.1" CRLF "Host: h" CRLF CRLF
#define POST(path, length, body)                                                                   \
    "POST " path " HTTP/1.1" CRLF "Host: h" CRLF "Content-Length: " length CRLF CRLF body

static char text[1 << 20];

static int start(void **state) {
    struct server *s = mem_zalloc(1, sizeof *s);
    http_limits_default(&s->limits);
    s->limits.header_ms = s->limits.body_ms = s->limits.idle_ms = s->limits.send_ms = 60000;
    server_start(s);
    *state = s;
    return 0;
}

static int stop(void **state) {
    server_stop(*state);
    mem_free(*state);
    return 0;
}

static void test_keep_alive(void **state) {
    struct server *s = *state;
    int fd = dial(s);
    for (int i = 0; i < 3; i++) {
        say(fd, GET("/a%20b?x=1"));
        assert_int_equal(hear(fd, text, sizeof text), 200);
        assert_string_equal(body_of(text), "GET /a%20b?x=1");
        assert_non_null(strstr(text, CRLF "Date: "));
        assert_null(strstr(text, "Connection:"));
    }
    eventually(s->done == 3);
    assert_int_equal(s->last_out, strlen(text));
    assert_int_equal(s->last_in, strlen(GET("/a%20b?x=1")));
    assert_memory_equal(s->last_peer, "127.0.0.1:", 10);
    close(fd);
}

static void test_connection_close(void **state) {
    struct server *s = *state;
    int fd = dial(s);
    say(fd, "GET / HTTP/1.1" CRLF "Host: h" CRLF "Connection: close" CRLF CRLF);
    hear_all(fd, text, sizeof text, 5000);
    assert_non_null(strstr(text, "Connection: close" CRLF));
    assert_true(is_closed(fd, 0));
    close(fd);
    fd = dial(s); /* the server's wish */
    say(fd, GET("/close"));
    assert_int_equal(hear(fd, text, sizeof text), 200);
    assert_non_null(strstr(text, "Connection: close" CRLF));
    assert_true(is_closed(fd, 5000));
    close(fd);
}

static void test_http_1_0(void **state) {
    int fd = dial(*state);
    say(fd, "GET / HTTP/1.0" CRLF "Connection: keep-alive" CRLF CRLF);
    assert_int_equal(hear(fd, text, sizeof text), 200);
    assert_non_null(strstr(text, "Connection: keep-alive" CRLF));
    say(fd, "GET / HTTP/1.0" CRLF CRLF);
    assert_int_equal(hear(fd, text, sizeof text), 200);
    assert_non_null(strstr(text, "Connection: close" CRLF));
    assert_true(is_closed(fd, 5000));
    close(fd);
}

static void test_head_and_options(void **state) {
    int fd = dial(*state);
    say(fd, "HEAD /big?n=1000 HTTP/1.1" CRLF "Host: h" CRLF CRLF "OPTIONS * HTTP/1.1" CRLF
            "Host: h" CRLF "Connection: close" CRLF CRLF);
    hear_all(fd, text, sizeof text, 5000);
    assert_non_null(strstr(text, "Content-Length: 1000" CRLF));
    assert_null(strstr(text, "xxx"));
    assert_string_equal(strstr(text, "OPTIONS *"), "OPTIONS *");
    close(fd);
}

static void test_bodies(void **state) {
    int fd = dial(*state);
    say(fd, POST("/echo", "5", "hello"));
    assert_int_equal(hear(fd, text, sizeof text), 200);
    assert_string_equal(body_of(text), "hello");
    say(fd, "POST /echo HTTP/1.1" CRLF "Host: h" CRLF "Transfer-Encoding: chunked" CRLF CRLF
            "3;x" CRLF "abc" CRLF "2" CRLF "de" CRLF "0" CRLF "T: r" CRLF CRLF);
    assert_int_equal(hear(fd, text, sizeof text), 200);
    assert_string_equal(body_of(text), "abcde");
    close(fd);
}

/* Undoes the chunks of text's body into `to`; returns its length, -1 when they do not end. */
static long unchunk(const char *body, char *to) {
    long n = 0;
    for (char *end; *body; body = end) {
        long size = strtol(body, &end, 16);
        if (memcmp(end, CRLF, 2) != 0)
            return -1;
        if (size == 0)
            return n;
        memcpy(to + n, end + 2, (size_t)size);
        n += size;
        end += 2 + size + 2;
    }
    return -1;
}

static void test_streamed(void **state) {
    struct server *s = *state;
    static char got[200000];
    int fd = dial(s);
    say(fd, GET("/stream?n=100") GET("/stream?n=1") GET("/after"));
    hear_all(fd, text, sizeof text, 300);
    assert_non_null(strstr(text, "Transfer-Encoding: chunked" CRLF));
    assert_null(strstr(text, "Content-Length: 100"));
    assert_int_equal(unchunk(body_of(text), got), 100000);
    for (int i = 0; i < 100; i++)
        assert_int_equal(got[1000 * i + 999], 'a' + i % 26);
    assert_non_null(strstr(text, "0" CRLF "X-Count: all" CRLF CRLF "HTTP/1.1 200"));
    assert_non_null(strstr(text, "GET /after"));
    eventually(s->done == 3);
    close(fd);
}

static void test_streamed_without_chunks(void **state) {
    struct server *s = *state;
    int fd = dial(s);
    say(fd, "GET /stream?n=2 HTTP/1.0" CRLF "Connection: keep-alive" CRLF CRLF);
    size_t n = hear_all(fd, text, sizeof text, 5000);
    assert_null(strstr(text, "chunked"));
    assert_non_null(strstr(text, "Connection: close"));
    assert_int_equal(n - (size_t)(body_of(text) - text), 2000);
    assert_true(is_closed(fd, 0));
    close(fd);
    fd = dial(s);
    say(fd, "HEAD /stream?n=2 HTTP/1.1" CRLF "Host: h" CRLF CRLF GET("/x"));
    hear_all(fd, text, sizeof text, 300);
    assert_null(strstr(text, "aaa"));
    assert_non_null(strstr(text, "GET /x"));
    close(fd);
}

/* Far more than the socket and the window hold, and a client that does not read at first. */
static void test_stream_window(void **state) {
    enum { N = 20000 };
    struct server *s = *state;
    char *all = mem_alloc(N * 1020 + 1000), *got = mem_alloc(N * 1000);
    int fd = dial(s);
    say(fd, GET("/stream?n=20000"));
    eventually(s->fulls > 0);
    usleep(20000);
    assert_true(s->streamed < N);
    hear_all(fd, all, N * 1020 + 1000, 1000);
    assert_int_equal(unchunk(body_of(all), got), N * 1000);
    assert_int_equal(s->streamed, N);
    mem_free(all);
    mem_free(got);
    close(fd);
}

static void test_stream_cut(void **state) {
    struct server *s = *state;
    int fd = dial(s);
    say(fd, GET("/cut"));
    hear_all(fd, text, sizeof text, 5000);
    assert_non_null(strstr(text, "4" CRLF "part" CRLF));
    assert_null(strstr(text, CRLF "0" CRLF));
    assert_true(is_closed(fd, 0));
    eventually(s->done == 1);
    assert_int_equal(s->gone, 0);
    close(fd);
}

static void end_streams_job(struct loop_job *job) {
    struct server *s = SERVER_OF(job);
    for (int i = 0; i < s->n_held; i++) {
        assert_int_equal(http_stream_write(s->held[i], (struct span){(const uint8_t *)"x", 1}),
                         HTTP_GONE);
        http_stream_end(s->held[i], NULL, 0);
    }
    s->n_held = 0;
    s->jobs_done++;
}

static void test_client_leaves_a_stream(void **state) {
    struct server *s = *state;
    struct linger hard = {1, 0};
    int fd = dial(s);
    say(fd, GET("/open"));
    eventually(s->n_held == 1);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    close(fd);
    eventually(s->gone == 1);
    assert_int_equal(s->done, 0);
    server_do(s, end_streams_job);
    eventually(s->done == 1);
    assert_true(s->last_done_gone);
}

/* Long enough to be read in place, in several pieces, with the next request right behind. */
static void test_long_body(void **state) {
    enum { N = 700000 };
    struct server *s = *state;
    int fd = dial(s);
    char *body = mem_alloc(N), *got = mem_alloc(N + 1000);
    for (int i = 0; i < N; i++)
        body[i] = (char)('a' + i % 26);
    for (int round = 0; round < 3; round++) {
        int n =
            snprintf(text, sizeof text,
                     "POST /echo HTTP/1.1" CRLF "Host: h" CRLF "Content-Length: %d" CRLF CRLF, N);
        say_n(fd, text, (size_t)n);
        say_n(fd, body, N);
        say(fd, GET("/next"));
        assert_int_equal(hear(fd, got, N + 1000), 200);
        assert_memory_equal(body_of(got), body, N);
        assert_int_equal(hear(fd, text, sizeof text), 200);
        assert_string_equal(body_of(text), "GET /next");
    }
    mem_free(body);
    mem_free(got);
    close(fd);
}

static void test_byte_by_byte(void **state) {
    int fd = dial(*state);
    const char request[] = POST("/echo", "5", "hello") GET("/x");
    for (size_t i = 0; i < sizeof request - 1; i++) {
        say_n(fd, request + i, 1);
        if (i % 8 == 0)
            usleep(300);
    }
    assert_int_equal(hear(fd, text, sizeof text), 200);
    assert_string_equal(body_of(text), "hello");
    assert_int_equal(hear(fd, text, sizeof text), 200);
    assert_string_equal(body_of(text), "GET /x");
    close(fd);
}

/* ---- pipelining ---- */

static void test_pipelined_in_order(void **state) {
    struct server *s = *state;
    int fd = dial(s);
    say(fd, GET("/hold?a") GET("/1") GET("/hold?b") POST("/echo", "2", "hi") GET("/hold?c"));
    eventually(s->n_held == 3);
    assert_int_equal(s->requests, 5);
    server_release(s); /* answers c, b, a */
    const char *want[] = {"held a", "GET /1", "held b", "hi", "held c"};
    for (int i = 0; i < 5; i++) {
        assert_int_equal(hear(fd, text, sizeof text), 200);
        assert_string_equal(body_of(text), want[i]);
    }
    close(fd);
}

/* More than HTTP_PIPELINE at once: the rest waits outside, nothing is lost. */
static void test_back_pressure(void **state) {
    struct server *s = *state;
    enum { N = 3 * HTTP_PIPELINE + 5 };
    int fd = dial(s), heard = 0;
    for (int i = 0; i < N; i++) {
        int n = snprintf(text, sizeof text, "GET /hold?%d HTTP/1.1" CRLF "Host: h" CRLF CRLF, i);
        say_n(fd, text, (size_t)n);
    }
    while (heard < N) {
        int left = N - heard, window = left < HTTP_PIPELINE ? left : HTTP_PIPELINE;
        eventually(s->n_held == window);
        usleep(2000);
        assert_int_equal(s->n_held, window);
        server_release(s);
        for (int i = 0; i < window; i++, heard++) {
            char want[32];
            snprintf(want, sizeof want, "held %d", heard);
            assert_int_equal(hear(fd, text, sizeof text), 200);
            assert_string_equal(body_of(text), want);
        }
    }
    close(fd);
}

static void test_many_pipelined_answered_at_once(void **state) {
    enum { N = 5000 };
    int fd = dial(*state);
    char *all = mem_alloc(N * sizeof GET("/p"));
    size_t n = 0;
    for (int i = 0; i < N; i++, n += sizeof GET("/p") - 1)
        memcpy(all + n, GET("/p"), sizeof GET("/p") - 1);
    for (size_t at = 0; at < n;) { /* keep the answers flowing out while the requests flow in */
        struct pollfd p = {.fd = fd, .events = POLLOUT};
        assert_true(poll(&p, 1, 5000) > 0);
        size_t piece = n - at < 20000 ? n - at : 20000;
        say_n(fd, all + at, piece);
        at += piece;
    }
    for (int i = 0; i < N; i++) {
        assert_int_equal(hear(fd, text, sizeof text), 200);
        assert_string_equal(body_of(text), "GET /p");
    }
    mem_free(all);
    close(fd);
}

/* A closing answer in front: what was pipelined behind it is told gone and never sent. */
static void test_close_in_front_of_others(void **state) {
    struct server *s = *state;
    int fd = dial(s);
    say(fd, GET("/hold?a") GET("/close") GET("/hold?b") GET("/x"));
    eventually(s->n_held == 2);
    server_release(s);
    hear_all(fd, text, sizeof text, 5000);
    assert_non_null(strstr(text, "held a"));
    assert_non_null(strstr(text, "GET /close"));
    assert_null(strstr(text, "held b"));
    assert_null(strstr(text, "GET /x"));
    eventually(s->done == 4);
    close(fd);
}

/* ---- slow readers ---- */

static void test_large_answer_to_slow_reader(void **state) {
    struct server *s = *state;
    enum { N = 20 << 20 };
    int fd = dial(s);
    say(fd, "GET /big?n=20971520 HTTP/1.1" CRLF "Host: h" CRLF CRLF GET("/after"));
    usleep(20000);
    size_t n = 0;
    char *got = mem_alloc(N + 4096);
    while (n < N + 200) {
        ssize_t k = recv(fd, got + n, n + 100000 < N + 4096 ? 100000 : N + 4096 - n, 0);
        assert_true(k > 0);
        n += (size_t)k;
        got[n] = 0;
        if (n > N && strstr(got + N, "GET /after"))
            break;
    }
    assert_non_null(strstr(got + N, "GET /after"));
    eventually(s->done == 2);
    mem_free(got);
    close(fd);
}

/* ---- clients that go ---- */

static void test_half_closed_client_is_answered(void **state) {
    struct server *s = *state;
    int fd = dial(s);
    say(fd, GET("/hold?a") GET("/b"));
    shutdown(fd, SHUT_WR);
    eventually(s->n_held == 1);
    usleep(600000); /* longer than a probe */
    assert_int_equal(s->gone, 0);
    server_release(s);
    hear_all(fd, text, sizeof text, 5000);
    assert_non_null(strstr(text, "held a"));
    assert_non_null(strstr(text, "GET /b"));
    assert_true(is_closed(fd, 0));
    eventually(s->done == 2);
    assert_int_equal(s->gone, 0);
    close(fd);
}

static void test_half_closed_1_0_client_sees_no_interim(void **state) {
    struct server *s = *state;
    int fd = dial(s);
    say(fd, "GET /hold?a HTTP/1.0" CRLF CRLF);
    shutdown(fd, SHUT_WR);
    eventually(s->n_held == 1);
    usleep(50000);
    server_release(s);
    hear_all(fd, text, sizeof text, 5000);
    assert_memory_equal(text, "HTTP/1.1 200", 12);
    close(fd);
}

static void test_client_that_leaves_is_noticed(void **state) {
    struct server *s = *state;
    int fd = dial(s);
    say(fd, GET("/hold?a") GET("/hold?b"));
    eventually(s->n_held == 2);
    close(fd);
    eventually(s->gone == 2);
    assert_int_equal(s->done, 0);
    server_release(s);
    assert_int_equal(s->done, 2);
    assert_int_equal(s->last_done_gone, 1);
    assert_int_equal(s->last_status, 0);
}

static void test_reset_is_noticed_at_once(void **state) {
    struct server *s = *state;
    int fd = dial(s);
    struct linger hard = {.l_onoff = 1};
    say(fd, GET("/hold?a"));
    eventually(s->n_held == 1);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    close(fd);
    eventually(s->gone == 1);
}

static void test_leaving_in_the_middle(void **state) {
    struct server *s = *state;
    int fd = dial(s); /* of a head: nobody was told about it */
    say(fd, "GET / HT");
    close(fd);
    fd = dial(s); /* of a body */
    say(fd, POST("/echo", "100", "some"));
    eventually(s->heads == 1);
    close(fd);
    eventually(s->done == 1);
    assert_int_equal(s->requests, 0);
    assert_int_equal(s->gone, 0);
    fd = dial(s); /* only the sending side: is told */
    say(fd, POST("/echo", "100", "some"));
    shutdown(fd, SHUT_WR);
    assert_int_equal(hear(fd, text, sizeof text), 400);
    assert_non_null(strstr(text, "after 4 bytes of its body"));
    close(fd);
}

/* ---- refusals ---- */

static void test_malformed(void **state) {
    struct server *s = *state;
    int fd = dial(s);
    say(fd, GET("/ok") "GET / HTTP/1.1\nHost: h\n\n" GET("/never"));
    assert_int_equal(hear(fd, text, sizeof text), 200);
    assert_int_equal(hear(fd, text, sizeof text), 400);
    assert_non_null(strstr(text, "Connection: close"));
    assert_non_null(strstr(text, "line feed without carriage return"));
    assert_true(is_closed(fd, 5000));
    assert_int_equal(s->requests, 1);
    close(fd);
}

static void test_smuggling(void **state) {
    struct server *s = *state;
    int fd = dial(s);
    say(fd, "POST / HTTP/1.1" CRLF "Host: h" CRLF "Content-Length: 4" CRLF
            "Transfer-Encoding: chunked" CRLF CRLF "0" CRLF CRLF GET("/smuggled"));
    hear_all(fd, text, sizeof text, 5000);
    assert_memory_equal(text, "HTTP/1.1 400", 12);
    assert_null(strstr(text + 12, "HTTP/1.1"));
    assert_int_equal(s->heads, 0);
    close(fd);
}

static void test_too_large(void **state) {
    struct server *s = *state;
    int fd = dial(s);
    say(fd, "POST /small HTTP/1.1" CRLF "Host: h" CRLF "Content-Length: 300000" CRLF CRLF);
    memset(text, 'b', 300000);
    say_n(fd, text, 300000); /* a client that talks first still gets to read its answer */
    assert_int_equal(hear(fd, text, sizeof text), 413);
    assert_true(is_closed(fd, 5000));
    close(fd);
    fd = dial(s);
    say(fd, "POST /small HTTP/1.1" CRLF "Host: h" CRLF "Transfer-Encoding: chunked" CRLF CRLF
            "8" CRLF "12345678" CRLF "8" CRLF "12345678");
    assert_int_equal(hear(fd, text, sizeof text), 413);
    assert_non_null(strstr(text, "limit of 10 bytes"));
    close(fd);
    eventually(s->done == 2);
    assert_int_equal(s->requests, 0);
    assert_int_equal(s->last_status, 413);
}

static void test_on_head_refuses(void **state) {
    struct server *s = *state;
    int fd = dial(s);
    say(fd, GET("/refuse") POST("/refuse", "5", "hello") GET("/after"));
    for (int i = 0; i < 2; i++) {
        assert_int_equal(hear(fd, text, sizeof text), 404);
        assert_string_equal(body_of(text), "{\"error\":\"nothing \\\"here\\\"\"}");
        assert_null(strstr(text, "Connection: close"));
    }
    assert_int_equal(hear(fd, text, sizeof text), 200);
    assert_string_equal(body_of(text), "GET /after");
    say(fd, "POST /refuse HTTP/1.1" CRLF "Host: h" CRLF "Content-Length: 10000000" CRLF CRLF);
    assert_int_equal(hear(fd, text, sizeof text), 404);
    assert_non_null(strstr(text, "Connection: close"));
    assert_true(is_closed(fd, 5000));
    close(fd);
    eventually(s->done == 4);
    assert_int_equal(s->requests, 1);
}

static void test_expect_continue(void **state) {
    struct server *s = *state;
    int fd = dial(s);
    say(fd, GET("/hold?x") "POST /echo HTTP/1.1" CRLF "Host: h" CRLF "Expect: 100-continue" CRLF
                           "Content-Length: 5" CRLF CRLF);
    eventually(s->heads == 2);
    server_release(s); /* the interim answer may not overtake the one before it */
    assert_int_equal(hear(fd, text, sizeof text), 200);
    assert_int_equal(hear(fd, text, sizeof text), 100);
    say(fd, "hello");
    assert_int_equal(hear(fd, text, sizeof text), 200);
    assert_string_equal(body_of(text), "hello");
    say(fd, "POST /echo HTTP/1.1" CRLF "Host: h" CRLF "Expect: 100-continue" CRLF
            "Content-Length: 2" CRLF CRLF "hi");
    assert_int_equal(hear(fd, text, sizeof text),
                     200); /* the body came unasked: no interim answer */
    assert_string_equal(body_of(text), "hi");
    say(fd, "POST /refuse HTTP/1.1" CRLF "Host: h" CRLF "Expect: 100-continue" CRLF
            "Content-Length: 5" CRLF CRLF);
    assert_int_equal(hear(fd, text, sizeof text), 404);
    assert_true(is_closed(fd, 5000));
    close(fd);
}

static void test_header_injection(void **state) {
    int fd = dial(*state);
    say(fd, GET("/bad") GET("/good"));
    assert_int_equal(hear(fd, text, sizeof text), 500);
    assert_null(strstr(text, "Injected"));
    assert_int_equal(hear(fd, text, sizeof text), 200);
    close(fd);
}

/* ---- memory ---- */

static void test_steady_state_allocates_nothing(void **state) {
    struct server *s = *state;
    int fd = dial(s);
    uint64_t before = 0;
    for (int i = 0; i < 1100; i++) {
        if (i == 100 || i == 1099) {
            say(fd, GET("/count"));
            assert_int_equal(hear(fd, text, sizeof text), 200);
            if (i == 1099)
                assert_int_equal(s->allocations - before, 0);
            before = s->allocations;
        }
        say(fd, POST("/echo", "20", "01234567890123456789"));
        assert_int_equal(hear(fd, text, sizeof text), 200);
    }
    close(fd);
}

static void test_all_bodies_together_are_limited(void **state) {
    struct server *s = *state;
    server_stop(s);
    *s = (struct server){.limits = s->limits};
    s->limits.bodies_bytes = 1000;
    server_start(s);
    int a = dial(s), b = dial(s);
    say(a, POST("/hold", "10", "0123456789"));
    eventually(s->n_held == 1);
    say(b, "POST /echo HTTP/1.1" CRLF "Host: h" CRLF "Content-Length: 995" CRLF CRLF);
    assert_int_equal(hear(b, text, sizeof text), 503);
    assert_non_null(strstr(text, "Retry-After: 1" CRLF));
    close(b);
    server_release(s);
    assert_int_equal(hear(a, text, sizeof text), 200);
    b = dial(s);
    memset(text, 'x', 995);
    say(b, "POST /echo HTTP/1.1" CRLF "Host: h" CRLF "Content-Length: 995" CRLF CRLF);
    say_n(b, text, 995);
    assert_int_equal(hear(b, text, sizeof text), 200);
    close(a);
    close(b);
}

#define T(name) cmocka_unit_test_setup_teardown(test_##name, start, stop)
int main(void) {
    const struct CMUnitTest tests[] = {
        T(keep_alive),
        T(connection_close),
        T(http_1_0),
        T(head_and_options),
        T(bodies),
        T(long_body),
        T(streamed),
        T(streamed_without_chunks),
        T(stream_window),
        T(stream_cut),
        T(client_leaves_a_stream),
        T(byte_by_byte),
        T(pipelined_in_order),
        T(back_pressure),
        T(many_pipelined_answered_at_once),
        T(close_in_front_of_others),
        T(large_answer_to_slow_reader),
        T(half_closed_client_is_answered),
        T(half_closed_1_0_client_sees_no_interim),
        T(client_that_leaves_is_noticed),
        T(reset_is_noticed_at_once),
        T(leaving_in_the_middle),
        T(malformed),
        T(smuggling),
        T(too_large),
        T(on_head_refuses),
        T(expect_continue),
        T(header_injection),
        T(steady_state_allocates_nothing),
        T(all_bodies_together_are_limited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
