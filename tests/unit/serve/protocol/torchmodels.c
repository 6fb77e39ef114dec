/* SPDX-License-Identifier: Apache-2.0 */
/* TorchServe's management: where parameters come from, which files may be named, pages of lists.
 * What changes something is tests/clients/test_torchserve.py's. */
#include "serve/protocol/torchmodels.c"

#include "../stand.h"
#include "serve/grpc.h"

static struct stand s;
static struct err e;

static struct request *ask(const char *query, const char *body) {
    struct request *r = stand_text(&s, body);
    s.x.request.query = str_of(query);
    return r;
}

static const char *value(struct request *r, const char *name) {
    struct str text;
    return parameter(r, name, &text) ? arena_strdup(r->arena, text) : "-";
}

static void test_parameters(void **state) {
    (void)state;
    stand_open(&s, NULL, 0, NULL, 0);
    assert_string_equal(value(ask("url=a%2Bb.mar&limit=3", "{\"url\": \"c\"}"), "url"), "a+b.mar");
    assert_string_equal(value(ask("", "{\"x\": {}, \"url\": \"c\\u0041\"}"), "url"), "cA");
    assert_string_equal(value(ask("", "{\"initial_workers\": 2}"), "initial_workers"), "2");
    assert_string_equal(value(ask("", "{\"url\": \"c\"}"), "limit"), "-");
    const char *const wrong[] = {
        "", "[]", "{", "{\"url\"", "{\"url\": \"c", "{\"x\": tru, \"url\": 1}", "url=c"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_string_equal(value(ask("", wrong[i]), "url"), "-");
    stand_close(&s);
}

static void test_messages(void **state) {
    (void)state;
    static struct grpc g;
    static const struct route route = {ROUTE_POST, SERVICE "RegisterModel", ROUTE_GRPC, called};
    struct buf b;
    buf_init(&b, 1 << 12);
    stand_open(&s, NULL, 0, NULL, 0);
    pb_put_str(&b, 9, LIT("net.mar"));
    pb_put_i64(&b, 3, 2);
    pb_put_i64(&b, 77, 1); /* a field that nobody knows */
    struct request *r = stand_ask(&s, b.p, b.n);
    r->grpc = &g;
    r->route = &route;
    assert_string_equal(value(r, "url"), "net.mar");
    assert_string_equal(value(r, "initial_workers"), "2");
    assert_string_equal(value(r, "model_name"), "-");
    assert_ok(check_message(r, &e));
    r->body.n--; /* the message ends inside a field */
    assert_true(check_message(r, &e) != OK);
    assert_true(called(r, &e) != OK);
    buf_deinit(&b);
    stand_close(&s);
}

static enum code enlist(const char *url) {
    struct request *r = ask("", "");
    struct change *c = new_change(r, &e);
    return take_source(r, str_of(url), c, &e);
}

static void test_sources(void **state) {
    (void)state;
    stand_open(&s, NULL, 0, NULL, 0);
    assert_fails(enlist("net.mar"), UNAVAILABLE, "--model-store DIR");
    s.options.model_store = "/models";
    assert_ok(enlist("net.mar"));
    assert_string_equal(((struct change *)s.r.notes)->path, "/models/net.mar");
    assert_ok(enlist("https://h.example/n.onnx?x=1"));
    assert_null(((struct change *)s.r.notes)->arrival.path);
    const char *const wrong[] = {"../net.mar", "/etc/passwd",       "a/b", "..", ".hidden",
                                 "a\\b",       "file:///etc/passwd"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_fails(enlist(wrong[i]), INVALID, "Relative path is not allowed");
    assert_fails(enlist("s3://bucket/net.mar"), UNSUPPORTED, "http or https");
    char *longest = calloc(1, 5000);
    memset(longest, 'x', 4999);
    assert_fails(enlist(longest), INVALID, "too long");
    free(longest);
    assert_fails(enroll(ask("", ""), &e), INVALID, "Parameter url is required.");
    assert_fails(enroll(ask("url=a.mar&initial_workers=-1", ""), &e), INVALID, "'-1' is no number");
    stand_close(&s);
}

static const char *listed(const char *query) {
    assert_ok(list(ask(query, ""), &e));
    return stand_answer(&s);
}

static void test_pages_of_a_list(void **state) {
    (void)state;
    stand_open(&s, NULL, 0, NULL, 0);
    assert_non_null(strstr(listed(""), "{\"models\":[{\"modelName\":\"m\""));
    assert_non_null(strstr(listed("next_page_token=1"), "{\"models\":[]}"));
    assert_fails(list(ask("limit=0", ""), &e), INVALID, "limit: '0' is no number over 0");
    assert_fails(list(ask("limit=x", ""), &e), INVALID, "limit: 'x'");
    assert_fails(list(ask("next_page_token=-1", ""), &e), INVALID, "next_page_token");
    stand_close(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parameters),
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_sources),
        cmocka_unit_test(test_pages_of_a_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
