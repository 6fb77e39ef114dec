/* SPDX-License-Identifier: Apache-2.0 */
/* Streams of messages, without a network: what comes in pieces, what is answered in order, when no
 * more is taken, how it ends. Each message is answered with itself by this file, at once or when
 * the test says so. */
#define http_respond note_answer
#define http_stream_begin note_begin
#define http_stream_write note_piece
#define http_stream_end note_end
#define http_body_took note_took
#define phase_begin_sub note_message
#include "serve/bidi.c"

#include "stand.h"

static struct stand s;
static struct err e;
static struct loop_thread thread;
static struct grpc grpc;
static const struct protocol protocol = {.name = "test"};
static const struct route route = {ROUTE_POST, "/test.Service/Method", ROUTE_GRPC | ROUTE_BIDI,
                                   NULL};

static struct buf out;           /* all that was written */
static int begun, ended, status; /* status: grpc-status of the end; -1: none */
static size_t took;
static bool full, away; /* the client's window; messages are answered by the test */
static struct request *message;

bool note_begin(struct http_exchange *x, const struct http_response *r) {
    (void)x;
    assert_int_equal(r->status, 200);
    begun++;
    return true;
}

enum http_window note_piece(struct http_exchange *x, struct span bytes) {
    (void)x;
    buf_put(&out, bytes.p, bytes.n);
    return full ? HTTP_FULL : HTTP_ROOM;
}

void note_end(struct http_exchange *x, const struct http_header *trailers, int n) {
    int64_t code;
    (void)x;
    ended++;
    status = -1;
    for (int i = 0; i < n; i++)
        if (str_is(trailers[i].name, "grpc-status") && str_to_i64(trailers[i].value, &code))
            status = (int)code;
}

void note_answer(struct http_exchange *x, const struct http_response *r) {
    (void)x, (void)r;
    fail_msg("the stream was begun");
}

void note_took(struct http_exchange *x, size_t bytes) {
    (void)x;
    took += bytes;
}

static void answer(enum code code) {
    struct request *sub = message;
    message = NULL;
    if (code == OK) {
        answer_span(sub, sub->body);
        assert_ok(grpc_frame(sub, &sub->err));
    } else {
        sub->err = (struct err){.code = code, .text = "no"};
    }
    bidi_answer(sub);
}

void note_message(struct request *sub) {
    assert_null(message);
    message = sub;
    if (!away)
        answer(str_is((struct str){(const char *)sub->body.p, sub->body.n}, "bad") ? ERR_INVALID
                                                                                   : OK);
}

static struct request *open_stream(enum grpc_kind kind) {
    struct request *r = stand_text(&s, "");
    grpc = (struct grpc){.kind = kind, .type = LIT("application/grpc")};
    r->grpc = &grpc;
    r->thread = &thread;
    r->protocol = &protocol;
    r->route = &route;
    s.x.pieces = s.x.gone = s.x.stays = false;
    s.x.user = r;
    buf_clear(&out);
    begun = ended = 0;
    took = 0;
    full = away = false;
    message = NULL;
    assert_ok(bidi_begin(r, &e));
    assert_int_equal(s.x.pieces, kind == GRPC_NATIVE);
    return r;
}

static int set_up(void **state) {
    (void)state;
    stand_open(&s, NULL, 0, NULL, 0);
    probes_init(&s.server.probes);
    thread = (struct loop_thread){.server = &s.server};
    thread.polled.next_polled = thread.polled.prev_polled = &thread.polled;
    buf_init(&out, 1 << 20);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    stand_close(&s); /* ends the arena, and the stream with it */
    buf_deinit(&out);
    assert_ptr_equal(thread.polled.next_polled, &thread.polled);
    return 0;
}

static void put(struct request *r, const char *bytes, size_t n) {
    bidi_body(r, (struct span){(const uint8_t *)bytes, n});
}

static bool wrote(const char *bytes, size_t n) {
    return out.n == n && memcmp(out.p, bytes, n) == 0;
}

#define AB "\0\0\0\0\1a\0\0\0\0\2bc"

/* However the bytes are cut, two messages are two answers. */
static void in_pieces(void **state) {
    (void)state;
    for (size_t step = 1; step <= sizeof AB; step++) {
        struct request *r = open_stream(GRPC_NATIVE);
        for (size_t at = 0; at < sizeof AB - 1; at += step)
            put(r, AB + at, at + step < sizeof AB - 1 ? step : sizeof AB - 1 - at);
        assert_true(wrote(AB, sizeof AB - 1) && begun == 1 && ended == 0);
        assert_int_equal(took, sizeof AB - 1);
        bidi_half_close(r);
        assert_true(ended == 1 && status == 0);
    }
}

static void one_at_a_time(void **state) {
    (void)state;
    struct request *r = open_stream(GRPC_NATIVE);
    away = true;
    put(r, AB, sizeof AB - 1);
    assert_true(message && out.n == 0);
    size_t before = took;
    put(r, AB, 6); /* more than it is ready for: the client is not given room */
    assert_int_equal(took, before);
    bidi_half_close(r);
    answer(OK);
    assert_true(wrote(AB, 6) && message && ended == 0);
    answer(OK);
    answer(OK);
    assert_true(out.n == sizeof AB - 1 + 6 && ended == 1 && status == 0);
    assert_int_equal(took, sizeof AB - 1 + 6);
}

static void a_client_that_reads_slowly(void **state) {
    (void)state;
    struct request *r = open_stream(GRPC_NATIVE);
    full = true;
    put(r, AB, sizeof AB - 1);
    assert_true(wrote(AB, 6)); /* the second one waits */
    full = false;
    bidi_writable(r);
    assert_true(wrote(AB, sizeof AB - 1));
    bidi_half_close(r);
    assert_int_equal(ended, 1);
}

static void how_it_ends(void **state) {
    (void)state;
    struct request *r = open_stream(GRPC_NATIVE);
    put(r, AB "\0\0\0\0\3bad\0\0\0\0\1x", sizeof AB - 1 + 8 + 6);
    assert_true(wrote(AB, sizeof AB - 1) && ended == 1 && status == 3); /* INVALID_ARGUMENT */
    put(r, AB, 6);                                                      /* nobody listens */
    assert_true(out.n == sizeof AB - 1 && ended == 1);
    r = open_stream(GRPC_NATIVE);
    put(r, AB, 9);
    bidi_half_close(r); /* within a message */
    assert_true(wrote(AB, 6) && ended == 1 && status == 13);
    r = open_stream(GRPC_NATIVE);
    put(r, "\2\0\0\0\0", 5);
    assert_true(ended == 1 && status == 13);
    r = open_stream(GRPC_NATIVE);
    put(r, "\0\377\0\0\0", 5);
    assert_true(ended == 1 && status == 8);
    r = open_stream(GRPC_NATIVE);
    bidi_half_close(r); /* nothing was asked */
    assert_true(begun == 1 && ended == 1 && status == 0);
}

static void a_client_that_leaves(void **state) {
    (void)state;
    struct request *r = open_stream(GRPC_NATIVE);
    away = true;
    put(r, AB, 6);
    s.x.gone = true;
    bidi_gone(r);
    assert_true(message->ask.cancel && ended == 0); /* it is away: it comes back first */
    answer(OK);
    assert_true(ended == 1 && status == 1);
    r = open_stream(GRPC_NATIVE);
    s.x.gone = true;
    bidi_gone(r);
    assert_int_equal(ended, 1);
}

/* Messages are one body; trailers are the last frame of the answer. */
static void over_the_web(void **state) {
    static const char trailers[] = "\200\0\0\0\17grpc-status:0\r\n";
    (void)state;
    struct request *r = open_stream(GRPC_WEB);
    r->body = (struct span){(const uint8_t *)AB, sizeof AB - 1};
    bidi_whole(r, OK);
    assert_true(ended == 1 && out.n == sizeof AB - 1 + sizeof trailers - 1);
    assert_memory_equal(out.p, AB, sizeof AB - 1);
    assert_memory_equal(out.p + sizeof AB - 1, trailers, sizeof trailers - 1);
    r = open_stream(GRPC_WEB_TEXT);
    r->body = (struct span){(const uint8_t *)"AAAAAAFh", 8};
    bidi_whole(r, OK);
    assert_true(ended == 1 && out.n > 8);
    assert_memory_equal(out.p, "AAAAAAFh", 8);
    r = open_stream(GRPC_WEB_TEXT);
    r->body = (struct span){(const uint8_t *)"****", 4};
    bidi_whole(r, OK);
    assert_int_equal(ended, 1);
    r->err = (struct err){.code = OK};
}

static void speak(struct bidi *b) {
    if (b->told++ < 2)
        bidi_push(b, (struct span){(const uint8_t *)"hey", 3});
}

static void a_stream_that_speaks(void **state) {
    (void)state;
    struct request *r = open_stream(GRPC_NATIVE);
    away = true;
    put(r, AB, 6);
    bidi_poll(message, speak);
    bidi_poll(message, speak); /* once is enough */
    answer(OK);
    assert_true(s.x.stays && ended == 0);
    for (int i = 0; i < 5; i++)
        bidi_tick(&thread.polled);
    assert_true(wrote("\0\0\0\0\1a\0\0\0\0\3hey\0\0\0\0\3hey", 6 + 8 + 8));
    bidi_half_close(r); /* it goes on listening */
    assert_int_equal(ended, 0);
    atomic_store(&s.server.refusing, true);
    bidi_tick(&thread.polled);
    assert_true(ended == 1 && status == 14); /* UNAVAILABLE */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(in_pieces, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_at_a_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_client_that_reads_slowly, set_up, tear_down),
        cmocka_unit_test_setup_teardown(how_it_ends, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_client_that_leaves, set_up, tear_down),
        cmocka_unit_test_setup_teardown(over_the_web, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_stream_that_speaks, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
