/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/protocol/tfserving.c"

#include "../stand.h"

static struct stand s;
static struct live_io inputs[1], outputs[2];

static enum code take(const char *body) {
    ask_end(&s.r.ask);
    stand_text(&s, body);
    return decode(&s.r, &s.e);
}

static void open_one(enum dtype dtype) {
    inputs[0] = stand_io("x", dtype, STAND_DIMS(-1, 2));
    stand_open(&s, inputs, 1, outputs, 0);
}

static void done(void) {
    ask_end(&s.r.ask);
    stand_close(&s);
}

static void answers(const char *want) {
    struct err e = {0};
    s.r.response.n_parts = 0;
    assert_ok(encode(&s.r, &s.e));
    assert_string_equal(stand_answer(&s), want);
}

static void test_rows_and_columns(void **state) {
    (void)state;
    struct err e = {0};
    const float v[] = {1, 2.5f, -3, 4e-9f};
    const int64_t n[] = {7, 8};
    open_one(DT_F32);
    assert_ok(take(" {\"signature_name\": \"serving_default\", \"instances\": [[1, 2], [3, 4]], "
                   "\"more\": [{}]} "));
    assert_shape(s.r.ask.inputs[0].tensor, 2, 2);
    stand_output(&s, "y", DT_F32, 2, (const int64_t[]){2, 2}, v);
    answers("{\"predictions\":[[1.0,2.5],[-3.0,4e-9]]}");
    stand_output(&s, "n", DT_I64, 1, (const int64_t[]){2}, n);
    answers("{\"predictions\":[{\"y\":[1.0,2.5],\"n\":7},{\"y\":[-3.0,4e-9],\"n\":8}]}");
    assert_ok(take("{\"inputs\": [[1, 2]]}"));
    stand_output(&s, "y", DT_F32, 2, (const int64_t[]){2, 2}, v);
    answers("{\"outputs\":[[1.0,2.5],[-3.0,4e-9]]}");
    stand_output(&s, "n", DT_I64, 0, NULL, n);
    answers("{\"outputs\":{\"y\":[[1.0,2.5],[-3.0,4e-9]],\"n\":7}}");
    done();
}

static void test_bytes_outputs(void **state) {
    (void)state;
    struct err e = {0};
    const struct str v[] = {LIT("a"), LIT("\xff\x00")};
    open_one(DT_F32);
    assert_ok(take("{\"instances\": [[1, 2], [3, 4]]}"));
    stand_output(&s, "image_bytes", DT_STRING, 1, (const int64_t[]){2}, v);
    answers("{\"predictions\":[{\"b64\":\"YQ==\"},{\"b64\":\"/wA=\"}]}");
    done();
}

static void test_rows_must_agree(void **state) {
    (void)state;
    struct err e = {0};
    const float v[] = {1, 2, 3};
    open_one(DT_F32);
    assert_ok(take("{\"instances\": [[1, 2]]}"));
    stand_output(&s, "y", DT_F32, 1, (const int64_t[]){2}, v);
    stand_output(&s, "z", DT_F32, 1, (const int64_t[]){3}, v);
    assert_fails(encode(&s.r, &e), INVALID, "output 'z' of shape [3] has no row per instance");
    assert_ok(take("{\"instances\": [[1, 2]]}"));
    stand_output(&s, "y", DT_F32, 0, NULL, v);
    assert_fails(encode(&s.r, &e), INVALID, "has no row per instance");
    done();
}

static void test_who(void **state) {
    (void)state;
    struct err e = {0};
    open_one(DT_F32);
    stand_text(&s, "{}");
    s.r.ask.model = s.r.model = LIT("other");
    assert_fails(decode(&s.r, &e), NOT_FOUND, "Servable not found for request: Latest(other)");
    stand_text(&s, "{}");
    s.r.ask.version = 9;
    assert_fails(decode(&s.r, &e), NOT_FOUND, "Servable not found for request: Specific(m, 9)");
    stand_text(&s, "{}");
    s.r.ask.alias = s.r.label = LIT("gone");
    assert_fails(decode(&s.r, &e), INVALID, "Unrecognized servable version label: gone");
    stand_text(&s, "{\"instances\": [[1, 2]]}");
    s.r.ask.alias = s.r.label = LIT("prod");
    assert_ok(decode(&s.r, &s.e));
    atomic_store(&s.live.state, LIVE_DRAINING);
    assert_fails(take("{}") == OK ? OK : (e = s.e, s.e.code), UNAVAILABLE, "not at ready state");
    done();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_and_columns),
        cmocka_unit_test(test_bytes_outputs),
        cmocka_unit_test(test_rows_must_agree),
        cmocka_unit_test(test_who),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
