/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/records.c"

#include "stand.h"

static struct stand s;
static struct live_io inputs[3];

static enum code take(bool rows, const char *text) {
    struct json j;
    struct request *r = stand_text(&s, text);
    r->ask.live = &s.live;
    json_init(&j, str_of(text), r->arena);
    enum code code = rows ? records_rows(r, &j, &s.e) : records_columns(r, &j, &s.e);
    return code == OK ? json_end(&j, &s.e) : code;
}

static void refuses(bool rows, const char *text, const char *why) {
    enum code code = take(rows, text);
    if (code != ERR_INVALID || !strstr(s.e.text, why))
        stop("%s: %s \"%s\", expected \"%s\"", text, err_name(code), s.e.text, why);
}

static void open_with(size_t n) {
    inputs[0] = stand_io("a", DT_F32, STAND_DIMS(-1, 2));
    inputs[1] = stand_io("b", DT_I64, STAND_DIMS(-1));
    inputs[2] = stand_io("c", DT_F32, STAND_DIMS(-1));
    inputs[2].optional = true;
    stand_open(&s, inputs, n, NULL, 0);
}

static void test_one_input(void **state) {
    (void)state;
    struct err e = {0};
    open_with(1);
    assert_ok(take(true, "[[1, 2], [3, 4]]"));
    assert_shape(s.r.ask.inputs[0].tensor, 2, 2);
    assert_ok(take(true, "[{\"a\": [1, 2]}]"));
    assert_shape(s.r.ask.inputs[0].tensor, 1, 2);
    assert_ok(take(false, "[[1, 2]]"));
    assert_ok(take(false, "{\"a\": [[1, 2]], \"unknown\": {}}"));
    assert_shape(s.r.ask.inputs[0].tensor, 1, 2);
    refuses(true, "[]", "at least one row");
    refuses(true, "7", "expected an array of rows");
    refuses(false, "{}", "'a' is missing; the model takes 'a'");
    refuses(true, "[{\"x\": 1}]", "unexpected 'x'");
    stand_close(&s);
}

static void test_several(void **state) {
    (void)state;
    struct err e = {0};
    open_with(2);
    assert_ok(take(true, "[{\"a\": [1, 2], \"b\": 7}, {\"b\": 8, \"a\": [3, 4]}]"));
    assert_int_equal(s.r.ask.n_inputs, 2);
    assert_shape(s.r.ask.inputs[0].tensor, 2, 2);
    assert_shape(s.r.ask.inputs[1].tensor, 2);
    assert_int_equal(((int64_t *)s.r.ask.inputs[1].tensor.data)[1], 8);
    assert_ok(take(false, "{\"b\": [7], \"a\": [[1, 2]]}"));
    refuses(true, "[[1, 2]]", "each row must be an object of them: 'a', 'b'");
    refuses(false, "[[1, 2]]", "an object of them is expected");
    refuses(true, "[{\"a\": [1, 2]}]", "'b' is missing");
    refuses(true, "[{\"a\": [1, 2], \"b\": 1}, 5]", "row 1: expected an object");
    refuses(true, "[{\"a\": [1, 2], \"b\": 1, \"a\": [1, 2]}]", "'a' is given twice");
    refuses(true, "[{\"a\": [1, 2], \"b\": 1}, {\"a\": [1], \"b\": 1}]", "value 1 has shape [1]");
    stand_close(&s);
}

static void test_optional(void **state) {
    (void)state;
    struct err e = {0};
    open_with(3);
    assert_ok(take(true, "[{\"a\": [1, 2], \"b\": 1}]"));
    assert_int_equal(s.r.ask.n_inputs, 2);
    assert_ok(
        take(true, "[{\"a\": [1, 2], \"b\": 1, \"c\": 1}, {\"a\": [1, 2], \"b\": 1, \"c\": 2}]"));
    assert_int_equal(s.r.ask.n_inputs, 3);
    refuses(true, "[{\"a\": [1, 2], \"b\": 1}, {\"a\": [1, 2], \"b\": 1, \"c\": 1}]",
            "not in the rows before");
    refuses(true, "[{\"a\": [1, 2], \"b\": 1, \"c\": 1}, {\"a\": [1, 2], \"b\": 1}]",
            "'c' is in 1 of 2 rows");
    stand_close(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_input),
        cmocka_unit_test(test_several),
        cmocka_unit_test(test_optional),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
