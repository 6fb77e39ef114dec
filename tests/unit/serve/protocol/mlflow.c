/* SPDX-License-Identifier: Apache-2.0 */
/* MLflow's forms and errors; frames: ../frame.c, its own client: tests/clients/test_mlflow.py. */
#include "serve/protocol/mlflow.c"

#include "../stand.h"

#include <math.h>

static struct stand s;
static struct err e;
static struct live_io inputs[2];

static enum code ask(const char *type, const char *body) {
    ask_end(&s.r.ask);
    struct request *r = stand_text(&s, body);
    stand_header(&s, "Content-Type", type);
    r->ask.model = r->model = (struct str){0};
    return decode(r, &e);
}
static enum code json(const char *body) { return ask("application/json", body); }

static void open_with(size_t n) {
    inputs[0] = stand_io("a", DT_F32, STAND_DIMS(-1));
    inputs[1] = stand_io("b", DT_F32, STAND_DIMS(-1));
    stand_open(&s, inputs, n, NULL, 0);
}

static void done(void) {
    ask_end(&s.r.ask);
    stand_close(&s);
}

static void test_forms(void **state) {
    (void)state;
    static const struct {
        const char *body;
        bool rows;
    } forms[] = {
        {"{\"dataframe_split\": {\"columns\": [\"b\", \"a\"], \"data\": [[2, 1]]}}", true},
        {"{\"dataframe_records\": [{\"a\": 1, \"b\": 2}], \"params\": {\"x\": [1]}}", true},
        {"{\"instances\": [{\"a\": 1, \"b\": 2}]}", true},
        {"{\"inputs\": {\"a\": [1], \"b\": [2]}}", false},
        {"[{\"a\": 1, \"b\": 2}]", true},
        {"{\"parameters\": {}, \"instances\": [{\"b\": 2, \"a\": 1}]}", true},
    };
    open_with(2);
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        assert_ok(json(forms[i].body));
        assert_int_equal(s.r.ask.n_inputs, 2);
        for (size_t k = 0; k < 2; k++) {
            const struct ask_tensor *t = &s.r.ask.inputs[k];
            assert_true(*(const float *)t->tensor.data == (str_is(t->name, "a") ? 1 : 2));
        }
        assert_int_equal(((struct notes *)s.r.notes)->rows, forms[i].rows);
    }
    assert_ok(ask("text/csv; charset=utf-8", "b,a\n2,1\n"));
    assert_ok(ask("Application/JSON", forms[0].body));
    done();
}

static void test_refusals(void **state) {
    (void)state;
    open_with(2);
    assert_fails(json("{}"), INVALID, "exactly one of the input fields");
    assert_fails(json("{\"columns\": [\"a\"], \"data\": [[1]]}"), INVALID, "exactly one of");
    assert_fails(json("{\"instances\": [{\"a\": 1, \"b\": 1}], \"inputs\": {\"a\": [1], \"b\": "
                      "[1]}}"),
                 INVALID, "exactly one of");
    assert_fails(json("{\"instances\": [{\"a\": 1, \"b\": 1}]} x"), INVALID, "");
    assert_fails(json("7"), INVALID, "");
    assert_fails(json(""), INVALID, "");
    assert_fails(ask("text/plain", "1"), MEDIA_TYPE, "Got 'text/plain'");
    assert_fails(ask("text/csvx", "1"), MEDIA_TYPE, "Got 'text/csvx'");
    assert_fails(ask("", "1"), MEDIA_TYPE, "content types");
    done();
}

static void test_which_model(void **state) {
    (void)state;
    static const char body[] = "{\"inputs\": [1]}";
    open_with(1);
    ask_end(&s.r.ask);
    struct request *r = stand_text(&s, body);
    stand_header(&s, "Content-Type", "application/json");
    stand_header(&s, "x-amzn-sagemaker-target-model", "m@prod");
    assert_ok(decode(r, &e));
    assert_ptr_equal(r->ask.live, &s.live);
    ask_end(&s.r.ask);
    r = stand_text(&s, body);
    stand_header(&s, "Content-Type", "application/json");
    stand_header(&s, "x-amzn-sagemaker-target-model", "n");
    s.x.request.query = LIT("model=m%403"); /* stronger than the header */
    assert_ok(decode(r, &e));
    assert_ptr_equal(r->ask.live, &s.live);
    s.x.request.query = (struct str){0};
    assert_fails(decode(r, &e), NOT_FOUND, "'n'");
    done();
}

static const char *answer(enum code code) {
    assert_ok(code);
    const float one[] = {0.5f, NAN}, two[] = {1, INFINITY};
    stand_output(&s, "y", DT_F32, 1, (const int64_t[]){2}, one);
    stand_output(&s, "z", DT_F32, 1, (const int64_t[]){2}, two);
    assert_ok(encode(&s.r, &e));
    return stand_answer(&s);
}

static void test_answers(void **state) {
    (void)state;
    open_with(1);
    assert_string_equal(answer(json("{\"instances\": [1, 2]}")),
                        "{\"predictions\":[{\"y\":0.5,\"z\":1.0},{\"y\":NaN,\"z\":Infinity}]}");
    assert_string_equal(answer(json("{\"inputs\": [1, 2]}")),
                        "{\"predictions\":{\"y\":[0.5,NaN],\"z\":[1.0,Infinity]}}");
    assert_ok(json("{\"instances\": [1, 2]}"));
    stand_output(&s, "y", DT_F32, 2, (const int64_t[]){2, 1}, (const float[]){3, 4});
    assert_ok(encode(&s.r, &e));
    assert_string_equal(stand_answer(&s), "{\"predictions\":[[3.0],[4.0]]}");
    assert_ok(json("{\"instances\": [1, 2]}")); /* outputs of different lengths: no rows */
    stand_output(&s, "y", DT_F32, 1, (const int64_t[]){1}, (const float[]){3});
    stand_output(&s, "z", DT_F32, 0, NULL, (const float[]){4});
    assert_ok(encode(&s.r, &e));
    assert_string_equal(stand_answer(&s), "{\"predictions\":{\"y\":[3.0],\"z\":4.0}}");
    done();
}

static void test_errors(void **state) {
    (void)state;
    static const struct {
        enum code code;
        const char *name;
    } rows[] = {{ERR_INVALID, "BAD_REQUEST"},
                {ERR_MEDIA_TYPE, "BAD_REQUEST"},
                {ERR_TOO_LARGE, "BAD_REQUEST"},
                {ERR_NOT_FOUND, "RESOURCE_DOES_NOT_EXIST"},
                {ERR_DENIED, "PERMISSION_DENIED"},
                {ERR_OVERLOAD, "REQUEST_LIMIT_EXCEEDED"},
                {ERR_UNAVAILABLE, "TEMPORARILY_UNAVAILABLE"},
                {ERR_UNSUPPORTED, "NOT_IMPLEMENTED"},
                {ERR_INTERNAL, "INTERNAL_ERROR"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char want[160];
        struct json_out w;
        struct buf b;
        buf_init(&b, 1 << 12);
        json_out_init(&w, &b, 0);
        put_error(NULL, &(struct err){.code = rows[i].code, .text = "why \"so\""}, &w);
        snprintf(want, sizeof want, "{\"error_code\":\"%s\",\"message\":\"why \\\"so\\\"\"}",
                 rows[i].name);
        assert_str(buf_str(&b), want);
        buf_deinit(&b);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),       cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_which_model), cmocka_unit_test(test_answers),
        cmocka_unit_test(test_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
