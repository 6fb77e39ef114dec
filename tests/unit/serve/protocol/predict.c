/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/protocol/predict.c"

#include "../image_cases.h"
#include "../stand.h"

#include <math.h>

static struct stand s;
static struct live_io inputs[2];

static enum code take(const void *body, size_t n, const char *type) {
    ask_end(&s.r.ask);
    stand_ask(&s, body, n);
    if (type)
        stand_header(&s, "Content-Type", type);
    s.r.protocol = &protocol_predict;
    enum code code = decode(&s.r, &s.e);
    return code == OK ? media_inputs(&s.r, &s.e) : code;
}
static enum code text(const char *body) { return take(body, strlen(body), NULL); }

static void open_with(struct live_io first) {
    inputs[0] = first;
    stand_open(&s, inputs, 1, NULL, 0);
}

static void done(void) {
    ask_end(&s.r.ask);
    stand_close(&s);
}

static void test_batch_dim(void **state) {
    (void)state;
    struct err e = {0};
    open_with(stand_io("x", DT_F32, STAND_DIMS(-1, 1, 2, 3)));
    assert_ok(text("[[[[1, 2, 3], [4, 5, 6]]]]"));
    assert_shape(s.r.ask.inputs[0].tensor, 1, 1, 2, 3);
    assert_ok(text("[[[1, 2, 3], [4, 5, 6]]]"));
    assert_shape(s.r.ask.inputs[0].tensor, 1, 1, 2, 3);
    assert_ok(text("{\"flat\": [1, 2, 3, 4, 5, 6]}"));
    assert_shape(s.r.ask.inputs[0].tensor, 1, 1, 2, 3);
    assert_ok(text("[1, 2, 3, 4, 5]")); /* not made to fit: the host will say what is wrong */
    assert_shape(s.r.ask.inputs[0].tensor, 5);
    assert_ok(text("[[1, 2, 3], [4, 5, 6]]"));
    assert_shape(s.r.ask.inputs[0].tensor, 2, 3);
    done();
    open_with(stand_io("x", DT_F32, STAND_DIMS(4, 2))); /* a fixed first dim is no batch */
    assert_ok(text("[1, 2]"));
    assert_shape(s.r.ask.inputs[0].tensor, 2);
    done();
    open_with(stand_io("x", DT_I64, STAND_DIMS(-1)));
    assert_ok(text("5"));
    assert_shape(s.r.ask.inputs[0].tensor, 1);
    done();
}

static void test_told_by_bytes(void **state) {
    (void)state;
    struct err e;
    open_with(stand_io("x", DT_F32, STAND_DIMS(-1, 3, 6, 8)));
    assert_ok((e = s.e, take(jpeg_file, sizeof jpeg_file, "application/octet-stream")));
    assert_shape(s.r.ask.inputs[0].tensor, 1, 3, 6, 8);
    assert_ok(take(png_file, sizeof png_file, NULL));
    assert_int_equal(take("BM......", 8, "image/bmp"), ERR_MEDIA_TYPE);
    assert_non_null(strstr(s.e.text, "the body (image/bmp) is neither JSON"));
    assert_int_equal(take("", 0, NULL), ERR_INVALID);
    assert_int_equal(take("\0\0", 2, NULL), ERR_MEDIA_TYPE);
    done();
}

static void test_selector(void **state) {
    (void)state;
    struct err e = {0};
    open_with(stand_io("x", DT_F32, STAND_DIMS(-1)));
    static const struct {
        const char *name;
        enum code code;
    } cases[] = {
        {"m@3", OK},         {"m@prod", OK},       {"m@4", ERR_NOT_FOUND}, {"m@old", ERR_NOT_FOUND},
        {"m@", ERR_INVALID}, {"m@0", ERR_INVALID}, {"n", ERR_NOT_FOUND},   {"m@3x", ERR_INVALID}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        stand_text(&s, "[1]");
        s.r.ask.model = s.r.model = str_of(cases[i].name);
        assert_int_equal(decode(&s.r, &e), cases[i].code);
        ask_end(&s.r.ask);
    }
    stand_text(&s, "[1]");
    s.r.ask.model = s.r.model = (struct str){0}; /* the only one */
    assert_int_equal(decode(&s.r, &e), OK);
    done();
}

static void test_answer(void **state) {
    (void)state;
    struct err e;
    const float v[] = {0.25f, NAN, 0.5f};
    open_with(stand_io("x", DT_F32, STAND_DIMS(-1)));
    assert_ok((e = s.e, text("[1]")));
    stand_output(&s, "y", DT_F32, 2, (const int64_t[]){1, 3}, v);
    assert_ok(encode(&s.r, &e));
    assert_string_equal(
        stand_answer(&s),
        "{\"model\":\"m\",\"version\":3,\"top\":[{\"class\":2,\"score\":0.5},{\"class\":0,"
        "\"score\":0.25},{\"class\":1,"
        "\"score\":null}],\"outputs\":{\"y\":[[0.25,null,0.5]]},\"shapes\":{\"y\":[1,3]}}");
    stand_header(&s, "Accept", "application/x-npy");
    s.r.response.n_parts = 0;
    assert_ok(encode(&s.r, &e));
    assert_memory_equal(stand_answer(&s), "\x93NUMPY\x01\x00", 8);
    stand_output(&s, "z", DT_F32, 2, (const int64_t[]){1, 3}, v);
    assert_fails(encode(&s.r, &e), INVALID,
                 "the model has 2 outputs and .npy holds one: choose with ?output=NAME");
    done();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_batch_dim),
        cmocka_unit_test(test_told_by_bytes),
        cmocka_unit_test(test_selector),
        cmocka_unit_test(test_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
