/* SPDX-License-Identifier: Apache-2.0 */
/* Tables: pandas' forms and CSV, as named columns or as one matrix, and what is wrong with them. */
#include "serve/frame.c"

#include "stand.h"

static struct stand s;
static struct err e;
static struct live_io inputs[3];

static enum code table(enum code (*take)(struct request *, struct json *, struct err *),
                       const char *text) {
    struct json j;
    struct request *r = stand_text(&s, text);
    r->ask.live = &s.live;
    json_init(&j, str_of(text), r->arena);
    j.allow_nan = true;
    enum code code = take(r, &j, &e);
    return code == OK ? json_end(&j, &e) : code;
}

static enum code split(const char *text) { return table(frame_split, text); }
static enum code records(const char *text) { return table(frame_records, text); }

static enum code csv(const char *text) {
    struct request *r = stand_text(&s, text);
    r->ask.live = &s.live;
    return frame_csv(r, str_of(text), false, &e);
}

static void refused(enum code code, const char *why) {
    if (code != ERR_INVALID || !strstr(e.text, why))
        stop("%s \"%s\", expected \"%s\"", err_name(code), e.text, why);
}

static const struct tensor *input(const char *name) {
    for (size_t i = 0; i < s.r.ask.n_inputs; i++)
        if (str_is(s.r.ask.inputs[i].name, name))
            return &s.r.ask.inputs[i].tensor;
    stop("no input '%s'", name);
    return NULL;
}

static float f32(const char *name, size_t i) { return ((const float *)input(name)->data)[i]; }

static void open_columns(void) {
    inputs[0] = stand_io("a", DT_F32, STAND_DIMS(-1));
    inputs[1] = stand_io("b", DT_I64, STAND_DIMS(-1, 1));
    inputs[2] = stand_io("t", DT_STRING, STAND_DIMS(-1));
    inputs[2].optional = true;
    stand_open(&s, inputs, 3, NULL, 0);
}

static void open_matrix(int64_t columns) {
    inputs[0] = stand_io("x", DT_F32, STAND_DIMS(-1, columns));
    stand_open(&s, inputs, 1, NULL, 0);
}

static void test_split(void **state) {
    (void)state;
    open_columns();
    assert_ok(
        split("{\"columns\": [\"b\", \"a\"], \"index\": [0, 1], \"data\": [[1, 2], [3, 4]]}"));
    assert_int_equal(s.r.ask.n_inputs, 2);
    assert_shape(*input("a"), 2);
    assert_shape(*input("b"), 2, 1); /* scalars stand for [rows,1] */
    assert_true(f32("a", 1) == 4 && ((const int64_t *)input("b")->data)[1] == 3);
    assert_ok(split("{\"data\": [[1, 2]], \"columns\": [\"a\", \"b\"]}")); /* the other order */
    assert_true(f32("a", 0) == 1);
    refused(split("{\"columns\": [\"a\", \"b\"]}"), "a frame needs \"data\"");
    refused(split("{\"columns\": [\"a\", \"b\"], \"data\": []}"), "at least one row");
    refused(split("{\"columns\": [\"a\", \"b\"], \"data\": [[1]]}"), "less than 2 columns");
    refused(split("{\"columns\": [\"a\", \"b\"], \"data\": [[1, 2, 3]]}"), "more than 2 columns");
    refused(split("{\"columns\": [\"a\", \"b\"], \"data\": [[1, \"x\"]]}"), "column 'b'");
    refused(split("{\"columns\": [\"a\", \"x\"], \"data\": [[1, 2]]}"),
            "the columns must be the model's inputs: 'a'");
    refused(split("{\"columns\": [\"a\", \"a\"], \"data\": [[1, 2]]}"), "'a' is given twice");
    refused(split("{\"columns\": \"ab\", \"data\": [[1, 2]]}"), "array");
    refused(split("[[1, 2]]"), "object");
    refused(split("{\"columns\": [\"a\"], \"data\": [[1]"), "the end of the text");
    stand_close(&s);
}

static void test_matrix(void **state) {
    (void)state;
    open_matrix(2);
    assert_ok(split("{\"columns\": [0, 1], \"data\": [[1, 2], [3, NaN]]}"));
    assert_shape(*input("x"), 2, 2);
    assert_true(f32("x", 2) == 3 && f32("x", 3) != f32("x", 3));
    assert_ok(split("{\"data\": [[1, 2]]}"));
    assert_shape(*input("x"), 1, 2);
    refused(split("{\"columns\": [0], \"data\": [[1, 2]]}"), "rows of 1 columns");
    refused(split("{\"columns\": [0, 1], \"data\": [1, 2]}"), "rows of 2 columns");
    refused(split("{\"columns\": [0, 1], \"data\": [[1, 2], [3]]}"), "input 'x'");
    stand_close(&s);
    open_matrix(1); /* "x" names the input and is a column */
    assert_ok(split("{\"columns\": [\"x\"], \"data\": [[1], [2]]}"));
    assert_shape(*input("x"), 2, 1);
    stand_close(&s);
}

static void test_records(void **state) {
    (void)state;
    open_columns();
    assert_ok(records("[{\"a\": 1, \"b\": 2, \"t\": \"\\u00e4,\\\"\"}, {\"t\": \"y\", \"b\": 4, "
                      "\"a\": 3}]"));
    assert_int_equal(s.r.ask.n_inputs, 3);
    assert_true(f32("a", 1) == 3 && ((const int64_t *)input("b")->data)[0] == 2);
    assert_str(((const struct str *)input("t")->data)[0], "\xc3\xa4,\"");
    refused(records("[]"), "at least one row");
    refused(records("[{}]"), "at least one row");
    refused(records("{\"a\": 1}"), "array");
    refused(records("[{\"a\": 1, \"b\": 2}, {\"a\": 1}]"), "has 1 columns, the first 2");
    refused(records("[{\"a\": 1, \"b\": 2}, {\"a\": 1, \"a\": 2}]"), "'a' is given twice");
    refused(records("[{\"a\": 1, \"a\": 2}]"), "'a' is given twice");
    refused(records("[{\"a\": 1, \"b\": 2}, {\"a\": 1, \"c\": 2}]"), "'c' is not in the rows");
    refused(records("[{\"a\": 1, \"b\": 2}, 7]"), "object");
    stand_close(&s);
}

static void test_csv(void **state) {
    (void)state;
    open_matrix(2);
    assert_ok(csv("1,2\n3,4\n")); /* all numbers: no header */
    assert_shape(*input("x"), 2, 2);
    assert_ok(csv("left,right\r\n1,2\r\n3,\r\n")); /* an empty cell is missing */
    assert_shape(*input("x"), 2, 2);
    assert_true(f32("x", 2) == 3 && f32("x", 3) != f32("x", 3));
    assert_ok(csv("a,\"b, \"\"c\"\"\"\n1,2")); /* a quoted name, no line end */
    assert_shape(*input("x"), 1, 2);
    struct request *r = stand_text(&s, "1,2\n3,4");
    r->ask.live = &s.live;
    assert_ok(frame_csv(r, LIT("1,2\n3,4"), true, &e)); /* it is said that there is one */
    assert_shape(*input("x"), 1, 2);
    refused(csv(""), "there are no rows");
    refused(csv("a,b\n"), "there are no rows");
    refused(csv("a,b\n1\n"), "row 1 has 1 cells, the first line 2");
    refused(csv("a,b\n1,2\n1,2,3\n"), "row 2 has 3 cells");
    refused(csv("a,b\n1,\"2"), "does not end");
    refused(csv("a,b\n1,\"2\"3\n"), "text follows a quoted cell");
    refused(csv("a,b\n1,zwei\n"), "input 'x'");
    stand_close(&s);
}

static void test_csv_columns(void **state) {
    (void)state;
    open_columns();
    assert_ok(csv("t,a,b\n\"two\nlines\",0.5,7\nplain,-1e3,8\n"));
    assert_str(((const struct str *)input("t")->data)[0], "two\nlines");
    assert_str(((const struct str *)input("t")->data)[1], "plain");
    assert_true(f32("a", 1) == -1000 && ((const int64_t *)input("b")->data)[1] == 8);
    refused(csv("a,b\n1,0.5\n"), "column 'b'");
    stand_close(&s);
}

/* Names are found one by one: so many of them would take for ever. */
static void test_columns_are_bounded(void **state) {
    (void)state;
    enum { N = COLUMNS_MAX + 1 };
    char *text = malloc(2 * N + 16), *p = text;
    open_matrix(2);
    for (int i = 0; i < N; i++) {
        *p++ = i ? ',' : 'a';
        *p++ = '1';
    }
    *p = '\0';
    refused(csv(text), "more than 65536 columns");
    free(text);
    stand_close(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_split),       cmocka_unit_test(test_matrix),
        cmocka_unit_test(test_records),     cmocka_unit_test(test_csv),
        cmocka_unit_test(test_csv_columns), cmocka_unit_test(test_columns_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
