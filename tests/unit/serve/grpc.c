/* SPDX-License-Identifier: Apache-2.0 */
/* gRPC around a request: heads that make sense and others, frames, what goes out, statuses; the
 * forms of gRPC-Web. */
#include "serve/grpc.c"

#include "stand.h"

static struct stand s;
static struct err e;

static int begin(void **state) {
    (void)state;
    stand_open(&s, NULL, 0, NULL, 0);
    s.options.http.body_bytes = 1000;
    return 0;
}

static int end_all(void **state) {
    (void)state;
    stand_close(&s);
    return 0;
}

static struct request *ask(const char *type, const void *body, size_t n) {
    struct request *r = stand_ask(&s, body, n);
    s.x.duplex = true;
    stand_header(&s, "content-type", type);
    return r;
}

static void which_requests_are_grpc(void **state) {
    static const struct {
        const char *type;
        enum code code;
        int kind; /* -1: none */
    } cases[] = {
        {"application/json", OK, -1},
        {"application/grpc", OK, GRPC_NATIVE},
        {"application/grpc+proto", OK, GRPC_NATIVE},
        {"application/grpc;charset=utf-8", OK, GRPC_NATIVE},
        {"application/grpc-web", OK, GRPC_WEB},
        {"application/grpc-web+proto", OK, GRPC_WEB},
        {"application/grpc-web-text", OK, GRPC_WEB_TEXT},
        {"application/grpc-web-text+proto", OK, GRPC_WEB_TEXT},
        {"application/grpc+json", ERR_MEDIA_TYPE, -1},
        {"application/grpcweb", ERR_MEDIA_TYPE, -1},
        {"application/grpc-web-textual", ERR_MEDIA_TYPE, -1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct request *r = ask(cases[i].type, NULL, 0);
        assert_int_equal(grpc_begin(r, &e), cases[i].code);
        assert_int_equal(r->grpc ? (int)r->grpc->kind : -1, cases[i].kind);
    }
    struct request *r = ask("application/grpc", NULL, 0);
    s.x.duplex = false;
    assert_fails(grpc_begin(r, &e), MEDIA_TYPE, "gRPC needs HTTP/2");
    r = ask("application/grpc-web", NULL, 0);
    s.x.duplex = false; /* its trailers are in the body */
    assert_ok(grpc_begin(r, &e));
}

static void deadlines(void **state) {
    static const struct {
        const char *text;
        uint64_t ns; /* 0: refused */
    } cases[] = {
        {"1H", 3600000000000},
        {"2M", 120000000000},
        {"3S", 3000000000},
        {"40m", 40000000},
        {"50u", 50000},
        {"99999999n", 99999999},
        {"2562047H", 2562047 * 3600000000000},
        {"1", 0},
        {"m", 0},
        {"123456789m", 0},
        {"-1m", 0},
        {"1x", 0},
        {"1.5S", 0},
        {" 1S", 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct request *r = ask("application/grpc", NULL, 0);
        stand_header(&s, "grpc-timeout", cases[i].text);
        uint64_t before = clock_ns();
        enum code code = grpc_begin(r, &e);
        assert_int_equal(code, cases[i].ns ? OK : ERR_INVALID);
        if (code == OK)
            assert_in_range(r->grpc->deadline_ns, before + cases[i].ns, clock_ns() + cases[i].ns);
    }
    for (int given = 0; given < 2; given++) { /* none, and one that no clock can tell */
        struct request *r = ask("application/grpc", NULL, 0);
        if (given)
            stand_header(&s, "grpc-timeout", "99999999H");
        assert_ok(grpc_begin(r, &e));
        assert_int_equal(r->grpc->deadline_ns, 0);
    }
}

static void codings(void **state) {
    static const char *const known[] = {"identity", "gzip", "deflate"};
    static const char *const others[] = {"zstd", "br", "gzip, deflate", "x"};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct request *r = ask("application/grpc", NULL, 0);
        stand_header(&s, "grpc-encoding", known[i]);
        assert_ok(grpc_begin(r, &e));
    }
    for (size_t i = 0; i < 4; i++) {
        struct request *r = ask("application/grpc", NULL, 0);
        stand_header(&s, "grpc-encoding", others[i]);
        assert_fails(grpc_begin(r, &e), UNSUPPORTED, "send identity, deflate, gzip");
    }
}

/* --- messages --- */

static enum code open_body(const char *type, const void *body, size_t n) {
    struct request *r = ask(type, body, n);
    assert_ok(grpc_begin(r, &e));
    return grpc_open(r, &e);
}

static void one_message(void **state) {
    (void)state;
    assert_ok(open_body("application/grpc", "\0\0\0\0\3abc", 8));
    assert_true(s.r.body.n == 3 && memcmp(s.r.body.p, "abc", 3) == 0);
    assert_ok(open_body("application/grpc", "\0\0\0\0\0", 5));
    assert_int_equal(s.r.body.n, 0);
    for (size_t n = 0; n < 8; n++) /* cut anywhere */
        assert_fails(open_body("application/grpc", "\0\0\0\0\3abc", n), INTERNAL, "ends inside");
    assert_fails(open_body("application/grpc", "\0\0\0\0\1ab", 7), UNSUPPORTED, "1 bytes follow");
    assert_fails(open_body("application/grpc", "\2\0\0\0\1a", 6), INTERNAL, "flags 0x02");
    assert_fails(open_body("application/grpc", "\0\0\0\4\0", 5), OVERLOAD,
                 "Received message larger than max (1024 vs. 1000)");
    assert_fails(open_body("application/grpc", "\0\377\377\377\377", 5), OVERLOAD, "larger than");
    assert_fails(open_body("application/grpc", "\1\0\0\0\1a", 6), INTERNAL, "no grpc-encoding");
}

static void compressed_messages(void **state) {
    static uint8_t zeros[4000];
    struct span part = {zeros, 900};
    struct buf b;
    (void)state;
    for (int large = 0; large < 2; large++) {
        buf_init(&b, 1 << 20);
        part.n = large ? 4000 : 900;
        buf_extend(&b, GRPC_FRAME);
        assert_ok(coding_apply(CODING_GZIP, &part, 1, &b, &e));
        put_frame_head((uint8_t *)b.p, COMPRESSED, b.n - GRPC_FRAME);
        struct request *r = ask("application/grpc", b.p, b.n);
        stand_header(&s, "grpc-encoding", "gzip");
        assert_ok(grpc_begin(r, &e));
        if (large)
            assert_fails(grpc_open(r, &e), TOO_LARGE, "beyond the limit of 1000");
        else
            assert_ok(grpc_open(r, &e));
        assert_true(large || (r->body.n == 900 && r->body.p[0] == 0));
        buf_deinit(&b);
    }
}

/* Base64 of pieces, each padded for itself, as clients send that write more than once. */
static void text_form(void **state) {
    (void)state;
    assert_ok(open_body("application/grpc-web-text", "AAAAAANhYmM=", 12));
    assert_true(s.r.body.n == 3 && memcmp(s.r.body.p, "abc", 3) == 0);
    assert_ok(open_body("application/grpc-web-text", "AAAAAAM=YWJj", 12));
    assert_true(s.r.body.n == 3 && memcmp(s.r.body.p, "abc", 3) == 0);
    assert_true(open_body("application/grpc-web-text", "AAAA*AM=", 8) != OK);
}

/* --- answers --- */

static struct request *answer(const char *type, const char *accepted, size_t n) {
    static uint8_t zeros[900];
    struct request *r = ask(type, NULL, 0);
    if (accepted) {
        stand_header(&s, "grpc-encoding", "gzip");
        stand_header(&s, "grpc-accept-encoding", accepted);
    }
    assert_ok(grpc_begin(r, &e));
    answer_span(r, (struct span){zeros, n});
    assert_ok(grpc_close(r, &e));
    return r;
}

static const char *trailer(const char *name) {
    for (int i = 0; i < s.r.grpc->n_trailers; i++)
        if (str_is(s.r.grpc->trailers[i].name, name))
            return arena_strdup(s.r.arena, s.r.grpc->trailers[i].value);
    return "";
}

static void answers(void **state) {
    (void)state;
    struct request *r = answer("application/grpc", NULL, 900);
    const char *body = stand_answer(&s);
    assert_true(answer_bytes(r) == 905 && memcmp(body, "\0\0\0\3\204", 5) == 0);
    assert_string_equal(trailer("grpc-status"), "0");
    assert_ptr_equal(r->response.trailers, r->grpc->trailers);
    r = answer("application/grpc", "identity,deflate, gzip", 900); /* as it was asked */
    body = stand_answer(&s);
    assert_true(answer_bytes(r) < 100 && body[0] == COMPRESSED);
    assert_string_equal(stand_answer_header(&s, "grpc-encoding"), "gzip");
    r = answer("application/grpc", "identity,deflate", 900); /* which the client does not take */
    assert_true(answer_bytes(r) == 905 && stand_answer(&s)[0] == 0);
    r = answer("application/grpc", "gzip", 0); /* nothing is not compressed */
    assert_true(answer_bytes(r) == 5 && stand_answer(&s)[0] == 0);
}

static void web_answers(void **state) {
    static const char trailers[] = "\200\0\0\0\17grpc-status:0\r\n";
    (void)state;
    struct request *r = answer("application/grpc-web", NULL, 2);
    const char *body = stand_answer(&s);
    assert_int_equal(answer_bytes(r), 7 + sizeof trailers - 1);
    assert_memory_equal(body + 7, trailers, sizeof trailers - 1);
    assert_int_equal(r->response.n_trailers, 0);
    r = answer("application/grpc-web-text", NULL, 2);
    assert_int_equal(answer_bytes(r), (7 + sizeof trailers - 1 + 2) / 3 * 4);
    assert_memory_equal(stand_answer(&s), "AAAAAAIAAIAAAAAP", 16);
}

static void failures(void **state) {
    struct err bad = {.code = ERR_INVALID, .text = "gr\303\266\303\237e\n100%"};
    (void)state;
    struct request *r = ask("application/grpc", NULL, 0);
    assert_ok(grpc_begin(r, &e));
    answer_span(r, (struct span){(const uint8_t *)"half", 4});
    grpc_fail(r, &bad);
    assert_true(r->response.status == 200 && answer_bytes(r) == 0 && !r->response.n_trailers);
    assert_memory_equal(stand_answer_header(&s, "grpc-status"), "3", 2);
    assert_memory_equal(stand_answer_header(&s, "grpc-message"), "gr%C3%B6%C3%9Fe%0A100%25", 24);
    assert_true(strlen(trailer("grpc-status-details-bin")) > 40);
    size_t plain = strlen(trailer("grpc-status-details-bin"));
    bad.code = ERR_OVERLOAD; /* with when to come again */
    grpc_fail(r, &bad);
    assert_string_equal(trailer("grpc-status"), "8");
    assert_true(strlen(trailer("grpc-status-details-bin")) > plain + 40);
    r = ask("application/grpc-web", NULL, 0);
    assert_ok(grpc_begin(r, &e));
    grpc_fail(r, &bad);
    assert_true(answer_bytes(r) > 40 && (uint8_t)stand_answer(&s)[0] == TRAILERS_FRAME);
    memset(bad.text, '%', sizeof bad.text - 1); /* the longest there is, thrice as long */
    grpc_trailers(r, &bad);
    assert_true(strlen(trailer("grpc-message")) == 3 * strlen(bad.text));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(which_requests_are_grpc, begin, end_all),
        cmocka_unit_test_setup_teardown(deadlines, begin, end_all),
        cmocka_unit_test_setup_teardown(codings, begin, end_all),
        cmocka_unit_test_setup_teardown(one_message, begin, end_all),
        cmocka_unit_test_setup_teardown(compressed_messages, begin, end_all),
        cmocka_unit_test_setup_teardown(text_form, begin, end_all),
        cmocka_unit_test_setup_teardown(answers, begin, end_all),
        cmocka_unit_test_setup_teardown(web_answers, begin, end_all),
        cmocka_unit_test_setup_teardown(failures, begin, end_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
