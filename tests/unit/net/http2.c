/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/2 over real sockets, by frames written here byte by byte (RFC 9113 §4, HPACK without
 * tables). */
#include "net/http2.c"

#include "server.h"

enum { DATA_, HEADERS_, PRIORITY_, RST_, SETTINGS_, PUSH_, PING_, GOAWAY_, WINDOW_, CONTINUATION_ };
enum { END_STREAM = 1, ACK = 1, END_HEADERS = 4 };

struct frame {
    int type, flags;
    uint32_t stream;
    size_t n;
    uint8_t bytes[70000];
};

static struct frame got;

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

static void put_frame(int fd, int type, int flags, uint32_t stream, const void *bytes, size_t n) {
    uint8_t head[9] = {(uint8_t)(n >> 16),      (uint8_t)(n >> 8),      (uint8_t)n,
                       (uint8_t)type,           (uint8_t)flags,         (uint8_t)(stream >> 24),
                       (uint8_t)(stream >> 16), (uint8_t)(stream >> 8), (uint8_t)stream};
    say_n(fd, head, sizeof head);
    say_n(fd, bytes, n);
}

static void put_number(int fd, int type, uint32_t stream, uint32_t v) {
    uint8_t b[4] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};
    put_frame(fd, type, 0, stream, b, sizeof b);
}

static bool take(int fd, uint8_t *to, size_t n) {
    for (size_t at = 0; at < n;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (poll(&p, 1, 5000) <= 0)
            return false;
        ssize_t k = recv(fd, to + at, n - at, 0);
        if (k <= 0)
            return false;
        at += (size_t)k;
    }
    return true;
}

/* The next frame of a type; SETTINGS and others in between are read over. */
static bool hear_frame(int fd, int type) {
    uint8_t h[9];
    while (take(fd, h, sizeof h)) {
        got = (struct frame){.type = h[3],
                             .flags = h[4],
                             .stream = (uint32_t)h[5] << 24 | (uint32_t)h[6] << 16 |
                                       (uint32_t)h[7] << 8 | h[8],
                             .n = (size_t)h[0] << 16 | (size_t)h[1] << 8 | h[2]};
        assert_true(got.n < sizeof got.bytes);
        if (!take(fd, got.bytes, got.n))
            return false;
        if (got.type == type && !(type == SETTINGS_ && got.flags & ACK))
            return true;
    }
    return false;
}

static uint32_t number_at(size_t at) {
    const uint8_t *b = got.bytes + at;
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static int dial2(const struct server *s) {
    int fd = dial(s);
    say_n(fd, http2_preface, HTTP2_PREFACE);
    put_frame(fd, SETTINGS_, 0, 0, "", 0);
    return fd;
}

/* :method, :scheme http, :path, :authority h */
static void ask(int fd, uint32_t stream, bool post, const char *path, bool end) {
    uint8_t b[300] = {post ? 0x83 : 0x82, 0x86, 0x04, (uint8_t)strlen(path)};
    size_t n = 4 + strlen(path);
    memcpy(b + 4, path, strlen(path));
    memcpy(b + n, "\x01\x01h", 3);
    put_frame(fd, HEADERS_, END_HEADERS | (end ? END_STREAM : 0), stream, b, n + 3);
}

/* Bytes of DATA until the stream ends. */
static size_t hear_body(int fd, uint32_t stream) {
    size_t n = 0;
    do {
        assert_true(hear_frame(fd, DATA_));
        assert_int_equal(got.stream, stream);
        n += got.n;
    } while (!(got.flags & END_STREAM));
    return n;
}

static void test_preface_in_pieces(void **state) {
    struct server *s = *state;
    int fd = dial(s);
    for (int i = 0; i < HTTP2_PREFACE; i++) {
        say_n(fd, http2_preface + i, 1);
        usleep(300);
    }
    put_frame(fd, SETTINGS_, 0, 0, "", 0);
    ask(fd, 1, false, "/x?y", true);
    assert_true(hear_frame(fd, HEADERS_));
    assert_int_equal(got.bytes[0], 0x88); /* :status 200 */
    assert_int_equal(hear_body(fd, 1), 8);
    assert_memory_equal(got.bytes, "GET /x?y", 8);
    close(fd);
}

static void test_not_a_preface(void **state) {
    static char text[1000];
    int fd = dial(*state);
    say(fd, "PRI");
    usleep(2000);
    say(fd, "NT / HTTP/1.1" CRLF "Host: h" CRLF CRLF);
    assert_int_equal(hear(fd, text, sizeof text), 200);
    assert_string_equal(body_of(text), "PRINT /");
    close(fd);
    fd = dial(*state);
    say(fd, "PRI * HTTP/2.0" CRLF CRLF "XX");
    assert_int_equal(hear(fd, text, sizeof text), 505);
    close(fd);
}

static void test_many_streams(void **state) {
    enum { N = 100 };
    struct server *s = *state;
    int fd = dial2(s);
    for (uint32_t i = 0; i < N; i++)
        ask(fd, 2 * i + 1, false, "/hold?z", true);
    eventually(s->n_held == N);
    server_release(s);
    for (int ends = 0; ends < N; ends += got.flags & END_STREAM)
        assert_true(hear_frame(fd, DATA_));
    eventually(s->done == N);
    close(fd);
}

static void test_bodies_and_windows(void **state) {
    struct server *s = *state;
    static uint8_t block[16000];
    int fd = dial2(s);
    put_number(fd, WINDOW_, 0, 10 << 20);
    memset(block, 'b', sizeof block);
    ask(fd, 1, true, "/echo", false);
    for (int i = 0; i < 20; i++)
        put_frame(fd, DATA_, i == 19 ? END_STREAM : 0, 1, block, sizeof block);
    size_t n = 0; /* 320,000 bytes: the stream's window opens step by step */
    while (n < 320000) {
        assert_true(hear_frame(fd, DATA_));
        n += got.n;
        put_number(fd, WINDOW_, 1, (uint32_t)got.n);
    }
    assert_int_equal(n, 320000);
    eventually(s->done == 1);
    close(fd);
}

static void test_streamed_with_trailers(void **state) {
    struct server *s = *state;
    int fd = dial2(s);
    put_number(fd, WINDOW_, 0, 10 << 20);
    ask(fd, 1, false, "/stream?n=1000", true);
    eventually(s->fulls > 0);
    size_t n = 0;
    while (n < 1000000) {
        assert_true(hear_frame(fd, DATA_));
        assert_int_equal(got.flags & END_STREAM, 0);
        n += got.n;
        put_number(fd, WINDOW_, 1, (uint32_t)got.n);
    }
    assert_true(hear_frame(fd, HEADERS_)); /* the trailers */
    assert_int_equal(got.flags & END_STREAM, END_STREAM);
    eventually(s->done == 1);
    ask(fd, 3, false, "/cut", true);
    assert_true(hear_frame(fd, RST_));
    assert_int_equal(number_at(0), NGHTTP2_INTERNAL_ERROR);
    close(fd);
}

static void test_reset_is_a_client_that_left(void **state) {
    struct server *s = *state;
    int fd = dial2(s);
    ask(fd, 1, false, "/hold", true);
    eventually(s->n_held == 1);
    put_number(fd, RST_, 1, NGHTTP2_CANCEL);
    eventually(s->gone == 1);
    server_release(s);
    eventually(s->done == 1);
    ask(fd, 3, false, "/alive", true);
    assert_int_equal(hear_body(fd, 3), 10);
    close(fd);
}

static void test_refusals(void **state) {
    struct server *s = *state;
    static uint8_t fields[16000];
    int fd = dial2(s);
    ask(fd, 1, true, "/refuse", false); /* the body never comes: the answer ends the request */
    assert_true(hear_frame(fd, HEADERS_));
    assert_int_equal(got.bytes[0], 0x8d); /* :status 404 */
    assert_true(hear_frame(fd, RST_));
    assert_int_equal(number_at(0), NGHTTP2_NO_ERROR);
    ask(fd, 3, true, "/small", false);
    put_frame(fd, DATA_, 0, 3, "0123456789+", 11);
    assert_true(hear_frame(fd, HEADERS_)); /* 413 */
    assert_int_equal(got.stream, 3);
    size_t n = 0;
    memcpy(fields, "\x82\x86\x84\x01\x01h", 6);
    for (n = 6; n < 15800; n += 119) { /* far over the limit of 16 KiB with 32 a field */
        memcpy(fields + n,
               "\x00\x03"
               "abc"
               "\x71",
               6);
        memset(fields + n + 6, 'v', 113);
    }
    s->limits.header_bytes = 16 << 10;
    put_frame(fd, HEADERS_, END_HEADERS | END_STREAM, 5, fields, n);
    assert_true(hear_frame(fd, HEADERS_)); /* 431 */
    assert_int_equal(got.stream, 5);
    assert_int_equal(s->heads, 2);
    close(fd);
}

static uint32_t goaway_of(int fd) {
    assert_true(hear_frame(fd, GOAWAY_));
    return number_at(4);
}

/* Whatever one connection did, another is served. */
static void is_alive(struct server *s) {
    int fd = dial2(s);
    ask(fd, 1, false, "/alive", true);
    assert_int_equal(hear_body(fd, 1), 10);
    close(fd);
}

/* One frame, far more often than anybody needs it. */
static void flood(struct server *s, int type, uint32_t stream, const char *bytes, size_t n) {
    int fd = dial2(s);
    ask(fd, 1, true, "/echo", false);
    for (int i = 0; i < 3 * NOISE; i++)
        put_frame(fd, type, 0, stream, bytes, n);
    assert_int_equal(goaway_of(fd), NGHTTP2_ENHANCE_YOUR_CALM);
    assert_true(is_closed(fd, 5000));
    close(fd);
    is_alive(s);
}

static void test_floods_end_the_connection(void **state) {
    struct server *s = *state;
    flood(s, PRIORITY_, 1, "\0\0\0\0\1", 5);
    flood(s, SETTINGS_, 0, "", 0);
    flood(s, SETTINGS_, 0, "\0\1\0\0\0\0", 6); /* the table of names made small, again and again */
    flood(s, WINDOW_, 0, "\0\0\0\1", 4);
    flood(s, DATA_, 1, "", 0);
}

/* Who never reads the answers of its pings is let go before they pile up. */
static void test_pings_that_nobody_reads(void **state) {
    struct server *s = *state;
    int fd = dial2(s);
    uint64_t before = mem_count();
    for (int i = 0; i < 300000; i++)
        put_frame(fd, PING_, 0, 0, "deafness", 8);
    eventually((server_stats(s), s->stats.open == 0));
    assert_true(mem_count() - before < 100000);
    close(fd);
    is_alive(s);
}

/* CVE-2023-44487: requests that are taken back at once. */
static void test_rapid_resets(void **state) {
    struct server *s = *state;
    int fd = dial2(s);
    for (uint32_t i = 0; i < 3 * RESETS; i++) {
        ask(fd, 2 * i + 1, false, "/hold", true);
        put_number(fd, RST_, 2 * i + 1, NGHTTP2_CANCEL);
    }
    assert_int_equal(goaway_of(fd), NGHTTP2_ENHANCE_YOUR_CALM);
    assert_true(s->requests < 2 * RESETS);
    close(fd);
    is_alive(s);
}

/* CVE-2025-8671: requests that the server is made to take back: a window may not grow beyond
 * 2^31 - 1 (RFC 9113 §6.9.1). */
static void test_made_to_reset(void **state) {
    struct server *s = *state;
    int fd = dial2(s);
    for (uint32_t i = 0; i < 20 * RESETS; i++) { /* at most STREAMS of one read are taken */
        ask(fd, 2 * i + 1, false, "/hold", true);
        put_number(fd, WINDOW_, 2 * i + 1, 0x7fffffff);
    }
    assert_int_equal(goaway_of(fd), NGHTTP2_ENHANCE_YOUR_CALM);
    assert_true(s->requests < 2 * RESETS);
    close(fd);
    is_alive(s);
}

/* A head without an end (CVE-2024-28182), of empty pieces and of fields. */
static void test_heads_without_an_end(void **state) {
    struct server *s = *state;
    static const char piece[] = "\x00\x01"
                                "a\x01"
                                "b";
    for (size_t n = 0; n < sizeof piece; n += sizeof piece - 1) {
        int fd = dial2(s);
        put_frame(fd, HEADERS_, END_STREAM, 1, "\x82\x86\x84\x01\x01h", 6);
        for (int i = 0; i < 100000; i++)
            put_frame(fd, CONTINUATION_, 0, 1, piece, n);
        eventually((server_stats(s), s->stats.open == 0));
        assert_int_equal(s->stats.requests, 0);
        close(fd);
        is_alive(s);
        s->limits.header_bytes = 16 << 10;
        server_stop(s);
        server_start(s);
    }
}

/* A field of 3 KB is kept once in the client's table and named by one byte 10,000 times: 30 MB in
 * 14 KB. */
static void test_a_bomb_of_names(void **state) {
    struct server *s = *state;
    static uint8_t fields[14000];
    int fd = dial2(s);
    memcpy(fields, "\x82\x86\x84\x01\x01h\x40\x01x\x7f\xb9\x16",
           12); /* 127 + 0x39 + 0x16 * 128 = 3000 */
    memset(fields + 12, 'v', 3000);
    memset(fields + 3012, 0xbe, sizeof fields - 3012); /* the newest of the table */
    put_frame(fd, HEADERS_, END_HEADERS | END_STREAM, 1, fields, sizeof fields);
    assert_true(hear_frame(fd, HEADERS_)); /* 431 */
    assert_int_equal(got.stream, 1);
    assert_int_equal(s->heads, 0);
    close(fd);
    is_alive(s);
}

static void test_drain(void **state) {
    struct server *s = *state;
    int fd = dial2(s);
    ask(fd, 1, false, "/hold", true);
    eventually(s->n_held == 1);
    server_drain(s, 5000);
    assert_true(hear_frame(fd, PING_)); /* overtakes the GOAWAY */
    uint8_t ping[8];
    memcpy(ping, got.bytes, sizeof ping);
    assert_int_equal(goaway_of(fd), NGHTTP2_NO_ERROR);
    assert_int_equal(number_at(0), 0x7fffffff);
    ask(fd, 3, false, "/late", true); /* sent before the client saw it */
    assert_true(hear_frame(fd, DATA_));
    put_frame(fd, PING_, ACK, 0, ping, sizeof ping);
    assert_int_equal(goaway_of(fd), NGHTTP2_NO_ERROR);
    assert_int_equal(number_at(0), 3);
    server_release(s);
    assert_true(hear_frame(fd, DATA_));
    assert_int_equal(got.stream, 1);
    assert_true(is_closed(fd, 5000));
    close(fd);
    eventually(s->drained == 1);
}

static bool has_napped(struct server *s, uint64_t times) {
    server_stats(s);
    return s->stats.naps >= times;
}

static void hear_pong(int fd, const char *text) {
    put_frame(fd, PING_, 0, 0, text, 8);
    assert_true(hear_frame(fd, PING_));
    assert_memory_equal(got.bytes, text, 8);
}

/* The tables of both sides outlive the memory they stand in: the second request names its path by
 * its place in the client's. */
static void test_naps(void **state) {
    struct server *s = *state;
    static const uint8_t first[] = {0x82, 0x86, 0x44, 4, '/', 'n', 'a', 'p', 0x41, 1, 'h'},
                         second[] = {0x82, 0x86, 0xbf, 0xbe};
    int fd = dial2(s);
    put_frame(fd, HEADERS_, END_HEADERS | END_STREAM, 1, first, sizeof first);
    assert_int_equal(hear_body(fd, 1), 8);
    eventually(has_napped(s, 1));
    hear_pong(fd, "in sleep");
    eventually(has_napped(s, 2));
    put_frame(fd, HEADERS_, END_HEADERS | END_STREAM, 3, second, sizeof second);
    assert_int_equal(hear_body(fd, 3), 8);
    assert_memory_equal(got.bytes, "GET /nap", 8);
    eventually(has_napped(s, 3));
    server_drain(s, 5000); /* speaks to those that sleep */
    assert_true(hear_frame(fd, PING_));
    assert_int_equal(goaway_of(fd), NGHTTP2_NO_ERROR);
    close(fd);
    eventually(s->drained == 1);
}

static void test_left_in_sleep(void **state) {
    struct server *s = *state;
    int fd = dial2(s);
    eventually(has_napped(s, 1));
    close(fd);
    eventually((server_stats(s), s->stats.open == 0));
}

/* A client that opens no window for its answers does not live on by pings. */
static void test_window_that_never_opens(void **state) {
    struct server *s = *state;
    int fd = dial2(s);
    put_frame(fd, SETTINGS_, 0, 0, "\0\4\0\0\0\0", 6); /* SETTINGS_INITIAL_WINDOW_SIZE 0 */
    for (uint32_t i = 0; i < 20; i++)
        ask(fd, 2 * i + 1, false, "/big?n=100000", true);
    eventually(s->requests == 20);
    for (int i = 0; i < 100 && s->done < 20; i++) {
        put_frame(fd, PING_, 0, 0, "patience", 8);
        usleep(50000);
    }
    assert_int_equal(s->done, 20);
    assert_int_equal(s->last_done_gone, 1);
    close(fd);
    is_alive(s);
}

/* What comes for one request is no patience with the others of its connection. */
static void test_streams_that_say_nothing(void **state) {
    struct server *s = *state;
    int fd = dial2(s);
    for (uint32_t i = 0; i < 10; i++)
        ask(fd, 2 * i + 1, true, "/echo", false);
    eventually(s->heads == 10);
    for (int i = 0; i < 100 && s->done < 9; i++) {
        put_frame(fd, DATA_, 0, 1, "0123456789012345678901234567890123456789", 40);
        usleep(20000);
    }
    assert_int_equal(s->done, 9);
    assert_int_equal(s->last_status, 408);
    assert_int_equal(s->requests, 0);
    put_frame(fd, DATA_, END_STREAM, 1, "end", 3);
    eventually(s->requests == 1 && s->done == 10);
    assert_int_equal(s->last_status, 200);
    close(fd);
}

static int start_brief(void **state) {
    struct server *s = mem_zalloc(1, sizeof *s);
    http_limits_default(&s->limits);
    s->limits.send_ms = s->limits.body_ms = 300;
    server_start(s);
    *state = s;
    return 0;
}

static int start_sleepy(void **state) {
    struct server *s = mem_zalloc(1, sizeof *s);
    http_limits_default(&s->limits);
    s->limits.nap_ms = 1;
    server_start(s);
    *state = s;
    return 0;
}

#define T(name) cmocka_unit_test_setup_teardown(test_##name, start, stop)
int main(void) {
    const struct CMUnitTest tests[] = {
        T(preface_in_pieces),
        T(not_a_preface),
        T(many_streams),
        T(bodies_and_windows),
        T(streamed_with_trailers),
        T(reset_is_a_client_that_left),
        T(refusals),
        T(floods_end_the_connection),
        T(pings_that_nobody_reads),
        T(rapid_resets),
        T(made_to_reset),
        T(heads_without_an_end),
        T(a_bomb_of_names),
        cmocka_unit_test_setup_teardown(test_window_that_never_opens, start_brief, stop),
        cmocka_unit_test_setup_teardown(test_streams_that_say_nothing, start_brief, stop),
        T(drain),
        cmocka_unit_test_setup_teardown(test_naps, start_sleepy, stop),
        cmocka_unit_test_setup_teardown(test_left_in_sleep, start_sleepy, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
