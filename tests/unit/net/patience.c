/* SPDX-License-Identifier: Apache-2.0 */
/* Clients that keep the server waiting, with limits short enough to wait for. */
#include "net/patience.c"

#include "server.h"

static char text[1 << 16];

static int start(void **state) {
    struct server *s = mem_zalloc(1, sizeof *s);
    http_limits_default(&s->limits);
    s->limits.header_ms = 600;
    s->limits.body_ms = 400;
    s->limits.send_ms = 600;
    s->limits.idle_ms = 900;
    s->limits.body_rate = 20;
    server_start(s);
    *state = s;
    return 0;
}

static int stop(void **state) {
    server_stop(*state);
    mem_free(*state);
    return 0;
}

static uint64_t ms_since(uint64_t start_ns) { return (clock_ns() - start_ns) / 1000000; }

/* A byte every 20 ms: progress, but the head as a whole is late. */
static void test_slow_loris(void **state) {
    int fd = dial(*state);
    uint64_t from = clock_ns();
    const char head[] =
        "GET / HTTP/1.1" CRLF "Host: h" CRLF "X: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    bool answered = false;
    for (size_t i = 0; i < sizeof head && !answered; i++) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        say_n(fd, head + i, 1);
        answered = poll(&p, 1, 20) > 0;
    }
    assert_true(answered);
    assert_int_equal(hear(fd, text, sizeof text), 408);
    assert_non_null(strstr(text, "Connection: close"));
    assert_in_range(ms_since(from), 590, 5000);
    close(fd);
}

static void test_idle_is_closed_without_a_word(void **state) {
    int fd = dial(*state), other = dial(*state);
    say(other, "GET / HTTP/1.1" CRLF "Host: h" CRLF CRLF);
    assert_int_equal(hear(other, text, sizeof text), 200);
    uint64_t from = clock_ns();
    assert_int_equal(hear_all(fd, text, sizeof text, 5000), 0);
    assert_in_range(ms_since(from), 700, 5000);
    assert_int_equal(hear_all(other, text, sizeof text, 5000), 0);
    close(fd);
    close(other);
}

static void test_empty_lines_are_no_request(void **state) {
    int fd = dial(*state);
    say(fd, CRLF CRLF);
    assert_int_equal(hear_all(fd, text, sizeof text, 5000), 0);
    close(fd);
}

static void test_stalled_body(void **state) {
    struct server *s = *state;
    int fd = dial(s);
    uint64_t from = clock_ns();
    say(fd, "POST /echo HTTP/1.1" CRLF "Host: h" CRLF "Content-Length: 100" CRLF CRLF "some");
    assert_int_equal(hear(fd, text, sizeof text), 408);
    assert_in_range(ms_since(from), 390, 5000);
    close(fd);
    eventually(s->done == 1);
    assert_int_equal(s->last_status, 408);
    assert_int_equal(s->requests, 0);
}

/* 10 bytes in 60 ms is above the rate of 20 a second: slow, but for as long as it likes. */
static void test_slow_but_steady_body(void **state) {
    int fd = dial(*state);
    say(fd, "POST /echo HTTP/1.1" CRLF "Host: h" CRLF "Content-Length: 200" CRLF CRLF);
    for (int i = 0; i < 20; i++) {
        say(fd, "0123456789");
        usleep(60000);
    }
    assert_int_equal(hear(fd, text, sizeof text), 200);
    close(fd);
}

/* The head's time begins with its own first byte, not with the connection's. */
static void test_each_head_has_its_own_time(void **state) {
    int fd = dial(*state);
    for (int i = 0; i < 4; i++) {
        say(fd, "GET / HTTP/1.1" CRLF "Ho");
        usleep(350000);
        say(fd, "st: h" CRLF CRLF);
        assert_int_equal(hear(fd, text, sizeof text), 200);
    }
    close(fd);
}

static void test_client_that_does_not_read(void **state) {
    struct server *s = *state;
    int fd = dial(s);
    say(fd, "GET /big?n=50000000 HTTP/1.1" CRLF "Host: h" CRLF CRLF);
    eventually(s->done == 1);
    assert_int_equal(s->last_done_gone, 1);
    assert_true(s->last_out > 0 && s->last_out < 50000000);
    close(fd);
}

static void test_slow_reader_that_reads_is_served(void **state) {
    struct server *s = *state;
    int fd = dial(s);
    say(fd, "GET /big?n=12000000 HTTP/1.1" CRLF "Host: h" CRLF CRLF);
    uint64_t from = clock_ns();
    size_t n = 0;
    while (n < 12000000) {
        ssize_t got = recv(fd, text, sizeof text, 0);
        assert_true(got > 0);
        n += (size_t)got;
        usleep(6000);
    }
    assert_true(ms_since(from) > 600); /* longer than send_ms */
    eventually(s->done == 1);
    assert_int_equal(s->last_done_gone, 0);
    close(fd);
}

static void test_waiting_for_the_handler_has_no_limit(void **state) {
    struct server *s = *state;
    int fd = dial(s);
    say(fd, "GET /hold?x HTTP/1.1" CRLF "Host: h" CRLF CRLF);
    eventually(s->n_held == 1);
    usleep(1300000); /* longer than every limit */
    server_release(s);
    assert_int_equal(hear(fd, text, sizeof text), 200);
    close(fd);
}

/* After a refusal the client may go on talking for LINGER_MS, not for ever. */
static void test_lingering_ends(void **state) {
    struct server *s = *state;
    int fd = dial(s);
    uint64_t from = clock_ns();
    say(fd, "BAD" CRLF);
    assert_int_equal(hear(fd, text, sizeof text), 400);
    while (ms_since(from) < 10000) {
        server_stats(s);
        if (s->stats.open == 0)
            break;
        say(fd, "more");
        usleep(50000);
    }
    assert_in_range(ms_since(from), 1500, 8000);
    close(fd);
}

#define T(name) cmocka_unit_test_setup_teardown(test_##name, start, stop)
int main(void) {
    const struct CMUnitTest tests[] = {
        T(slow_loris),
        T(idle_is_closed_without_a_word),
        T(empty_lines_are_no_request),
        T(stalled_body),
        T(slow_but_steady_body),
        T(each_head_has_its_own_time),
        T(client_that_does_not_read),
        T(slow_reader_that_reads_is_served),
        T(waiting_for_the_handler_has_no_limit),
        T(lingering_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
