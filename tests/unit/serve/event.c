/* SPDX-License-Identifier: Apache-2.0 */
/* CloudEvents around a request: which are events, what is taken of them, what is put around the
 * answer. */
#include "serve/event.c"

#include "stand.h"

static struct stand s;
static struct err e;

static int begin(void **state) {
    (void)state;
    stand_open(&s, NULL, 0, NULL, 0);
    return 0;
}

static int end(void **state) {
    (void)state;
    stand_close(&s);
    return 0;
}

static struct request *ask(const char *type, const char *body) {
    struct request *r = stand_text(&s, body);
    stand_header(&s, "content-type", type);
    r->ask.live = &s.live;
    return r;
}

#define ATTRIBUTES "\"id\": \"7\", \"source\": \"a\", \"type\": \"t\", \"specversion\": \"1.0\""

static void data_of_either_kind(void **state) {
    static const char *const types[] = {STRUCTURED, STRUCTURED "; charset=utf-8",
                                        "Application/CloudEvents+JSON"};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct request *r =
            ask(types[i], "{" ATTRIBUTES ", \"data\": {\"x\": [NaN]}, \"ext\": {}}");
        assert_ok(event_take(r, &e));
        assert_true(r->event && str_is(r->event->id, "7"));
        assert_true(r->body.n == 12 && memcmp(r->body.p, "{\"x\": [NaN]}", 12) == 0);
        assert_ok(event_take(r, &e)); /* once: the body is the data by now */
    }
    struct request *r = ask(STRUCTURED, "{\"data_base64\": \"e30=\", " ATTRIBUTES "}");
    assert_ok(event_take(r, &e));
    assert_true(r->body.n == 2 && memcmp(r->body.p, "{}", 2) == 0);
    r = ask("application/json", "{" ATTRIBUTES "}"); /* which is no event */
    assert_ok(event_take(r, &e));
    assert_true(!r->event && r->body.n > 60);
}

static void what_is_no_event(void **state) {
    static const struct {
        const char *body, *why;
        enum code code;
    } cases[] = {
        {"{\"id\": \"1\", \"data\": 1}", "needs id, source, type and specversion", ERR_INVALID},
        {"{" ATTRIBUTES "}", "in one of 'data' and 'data_base64'", ERR_INVALID},
        {"{" ATTRIBUTES ", \"data\": 1, \"data_base64\": \"\"}", "in one of", ERR_INVALID},
        {"{" ATTRIBUTES ", \"data_base64\": \"*\"}", "data_base64", ERR_INVALID},
        {"{" ATTRIBUTES ", \"data\": 1, \"datacontenttype\": \"text/xml\"}", "'text/xml'",
         ERR_UNSUPPORTED},
        {"{\"id\": \"1\", \"source\": \"a\", \"type\": \"t\", \"specversion\": \"2.0\", \"data\": "
         "1}",
         "specversion '2.0'", ERR_UNSUPPORTED},
        {"[]", "expected an object", ERR_INVALID},
        {"{" ATTRIBUTES ", \"data\": 1} x", "end of the text", ERR_INVALID},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(event_take(ask(STRUCTURED, cases[i].body), &e), cases[i].code);
        assert_non_null(strstr(e.text, cases[i].why));
        assert_null(s.r.event);
    }
    assert_fails(event_take(ask("application/cloudevents-batch+json", "[]"), &e), UNSUPPORTED,
                 "one a request");
}

static struct request *answer(const char *type) {
    struct request *r = ask(type, "{" ATTRIBUTES ", \"data\": 1}");
    assert_ok(event_take(r, &e));
    answer_type(r, 200, ANSWER_JSON);
    answer_span(r, (struct span){(const uint8_t *)"[2]", 3});
    return r;
}

static void answers(void **state) {
    (void)state;
    struct request *r = answer(STRUCTURED);
    assert_ok(event_put(r, &e));
    const char *text = stand_answer(&s);
    assert_true(str_is(r->response.content_type, STRUCTURED));
    assert_non_null(strstr(text, "{\"specversion\":\"1.0\",\"id\":\"7\","
                                 "\"source\":\"io.kserve.inference.m\",\"type\":\"" TYPE "\""));
    assert_non_null(strstr(text, "\"data\":[2]}"));
    r = answer(STRUCTURED);
    answer_type(r, 200, LIT("application/octet-stream"));
    assert_fails(event_put(r, &e), INVALID, "binary tensors");
    r = answer("application/json");
    stand_header(&s, "ce-id", "nine");
    assert_ok(event_put(r, &e));
    assert_string_equal(stand_answer(&s), "[2]"); /* of the binary mode headers only */
    assert_memory_equal(stand_answer_header(&s, "ce-id"), "nine", 5);
    assert_memory_equal(stand_answer_header(&s, "ce-source"), "io.kserve.inference.m", 22);
    r = answer("application/json");
    assert_ok(event_put(r, &e));
    assert_string_equal(stand_answer_header(&s, "ce-id"), "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(data_of_either_kind, begin, end),
        cmocka_unit_test_setup_teardown(what_is_no_event, begin, end),
        cmocka_unit_test_setup_teardown(answers, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
