/* SPDX-License-Identifier: Apache-2.0 */
/* Trace contexts, sticky keys, terms, origins. */
#include "serve/trace.c"

#include "stand.h"

static struct stand s;

static void header(const char *name, const char *value) {
    struct http_request *q = &s.x.request;
    q->headers[q->n_headers++] = (struct http_header){str_of(name), str_of(value)};
}

static int open_stand(void **state) {
    (void)state;
    stand_open(&s, NULL, 0, NULL, 0);
    stand_text(&s, "");
    s.r.ask.user = &s.r;
    return 0;
}

static int close_stand(void **state) {
    (void)state;
    stand_close(&s);
    return 0;
}

static void test_traces(void **state) {
    (void)state;
    static const char good[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    static const char *const bad[] = {"",
                                      "00",
                                      "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
                                      "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                                      "00-00000000000000000000000000000000-b7ad6b7169203331-01",
                                      "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
                                      "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        s.x.request.n_headers = 0;
        header("traceparent", bad[i]);
        trace_begin(&s.r, 7);
        assert_int_equal(s.r.trace.n, 0);
    }
    s.x.request.n_headers = 0;
    header("traceparent", good);
    trace_begin(&s.r, 7);
    assert_true(s.r.trace.n == 55 && memcmp(s.r.trace.p, good, 36) == 0);
    assert_true(str_is(str_sub(s.r.trace, 36, 55), "0700000000000000-01"));
    s.x.request.n_headers = 0;
    header("traceparent", "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what-comes");
    trace_begin(&s.r, 7);
    assert_true(str_starts(s.r.trace, "00-0af7"));
}

static struct str sticky(enum sticky_kind kind, const char *name) {
    return trace_sticky(&s.r.ask, kind, name);
}

static void body(const char *text) {
    s.r.body = (struct span){(const uint8_t *)text, strlen(text)};
}

static void test_sticky(void **state) {
    (void)state;
    header("X-User", "ann");
    header("Cookie", "a=1; session=two; sessions=3");
    assert_true(str_is(sticky(STICKY_HEADER, "x-user"), "ann"));
    assert_int_equal(sticky(STICKY_HEADER, "x-other").n, 0);
    assert_true(str_is(sticky(STICKY_COOKIE, "session"), "two"));
    assert_true(str_is(sticky(STICKY_COOKIE, "a"), "1"));
    assert_int_equal(sticky(STICKY_COOKIE, "b").n, 0);
    body("{\"inputs\": [[1]], \"parameters\": {\"user\": 7}, \"id\": \"x\"}");
    assert_true(str_is(sticky(STICKY_FIELD, "user"), "7"));
    assert_true(str_is(sticky(STICKY_FIELD, "id"), "\"x\""));
    body("{\"a\": [1, \"id\"");
    assert_int_equal(sticky(STICKY_FIELD, "id").n, 0);
    body("[1]");
    assert_int_equal(sticky(STICKY_FIELD, "id").n, 0);
}

static void test_terms(void **state) {
    (void)state;
    struct auth_key key = {.rights = {.priority = PRIORITY_LOW}};
    header("X-Priority", "high");
    header("X-Timeout-Ms", "250");
    s.x.started_ns = 1000;
    assert_int_equal(trace_terms(&s.r, &s.e), OK);
    assert_int_equal(s.r.ask.priority, PRIORITY_HIGH);
    assert_int_equal(s.r.ask.deadline_ns, 250001000);
    s.r.key = &key;
    assert_int_equal(trace_terms(&s.r, &s.e), OK);
    assert_int_equal(s.r.ask.priority, PRIORITY_LOW);
    s.x.request.n_headers = 0;
    header("X-Timeout-Ms", "soon");
    assert_int_equal(trace_terms(&s.r, &s.e), ERR_INVALID);
}

static const char *answered(const char *name) {
    for (int i = 0; i < s.r.response.n_headers; i++)
        if (str_is(s.r.response.headers[i].name, name))
            return s.r.response.headers[i].value.p;
    return NULL;
}

static void test_cors(void **state) {
    (void)state;
    header("Origin", "https://a.example");
    trace_cors(&s.r);
    assert_int_equal(s.r.response.n_headers, 0);
    s.options.cors = "https://b.example, https://a.example";
    trace_cors(&s.r);
    assert_non_null(answered("Access-Control-Allow-Origin"));
    assert_null(answered("Access-Control-Allow-Methods"));
    s.r.response.n_headers = 0;
    s.options.cors = "https://b.example";
    trace_cors(&s.r);
    assert_int_equal(s.r.response.n_headers, 0);
    s.options.cors = "*";
    s.r.allow = "POST, OPTIONS";
    header("Access-Control-Request-Method", "POST");
    trace_cors(&s.r);
    assert_string_equal(answered("Access-Control-Allow-Methods"), "POST, OPTIONS");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_traces, open_stand, close_stand),
        cmocka_unit_test_setup_teardown(test_sticky, open_stand, close_stand),
        cmocka_unit_test_setup_teardown(test_terms, open_stand, close_stand),
        cmocka_unit_test_setup_teardown(test_cors, open_stand, close_stand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
