/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/typed.c"

#include "stand.h"

static struct stand s;

static enum code read(enum dtype dtype, const char *text, struct tensor *out) {
    struct json j;
    struct request *r = stand_text(&s, text);
    json_init(&j, str_of(text), r->arena);
    j.allow_nan = true;
    enum code code = typed_read(r, &j, dtype, out, &s.e);
    return code == OK ? json_end(&j, &s.e) : code;
}

static void test_numbers(void **state) {
    (void)state;
    struct err e;
    struct tensor t;
    stand_open(&s, NULL, 0, NULL, 0);
    assert_ok((e = s.e, read(DT_F32, "[[1, 2.5], [-3e2, NaN]]", &t)));
    assert_shape(t, 2, 2);
    assert_true(((float *)t.data)[2] == -300 && ((float *)t.data)[1] == 2.5f);
    assert_ok(read(DT_I8, "[-128, 127]", &t));
    assert_shape(t, 2);
    assert_ok(read(DT_BOOL, "[true, false, 1]", &t));
    assert_ok(read(DT_F64, "7", &t));
    assert_int_equal(t.shape.rank, 0);
    assert_ok(read(DT_F16, "[0.5, 65504, 1e-7]", &t));
    assert_int_equal(t.dtype, DT_F16);
    assert_int_equal(((uint16_t *)t.data)[0], 0x3800);
    assert_int_equal(((uint16_t *)t.data)[1], 0x7bff);
    assert_ok(read(DT_BF16, "[1]", &t));
    assert_int_equal(((uint16_t *)t.data)[0], 0x3f80);
    stand_close(&s);
}

static void test_strings(void **state) {
    (void)state;
    struct tensor t;
    struct err e = {0};
    stand_open(&s, NULL, 0, NULL, 0);
    assert_ok(read(DT_STRING, "[[\"a\", \"\"], [{\"b64\": \"aGk=\"}, \"\\u00e9\"]]", &t));
    assert_shape(t, 2, 2);
    const struct str *text = t.data;
    assert_true(str_is(text[0], "a") && text[1].n == 0 && str_is(text[2], "hi") &&
                str_is(text[3], "\xc3\xa9"));
    assert_ok(read(DT_STRING, "\"alone\"", &t));
    assert_int_equal(t.shape.rank, 0);
    assert_ok(read(DT_STRING, "[]", &t));
    assert_shape(t, 0);
    stand_close(&s);
}

static void refuses(enum dtype dtype, const char *text, const char *why) {
    struct tensor t;
    enum code code = read(dtype, text, &t);
    if (code != ERR_INVALID || !strstr(s.e.text, why))
        stop("%s: %s \"%s\", expected \"%s\"", text, err_name(code), s.e.text, why);
}

static void test_refused(void **state) {
    (void)state;
    struct tensor t;
    stand_open(&s, NULL, 0, NULL, 0);
    refuses(DT_F32, "[[1], [1, 2]]", "line 1 column");
    refuses(DT_F32, "[\"1\"]", "expected a number");
    refuses(DT_I32, "[1.5]", "no whole number");
    refuses(DT_U8, "[256]", "out of range");
    refuses(DT_STRING, "[\"a\", [\"b\"]]", "nested 2 deep here, 1 deep before");
    refuses(DT_STRING, "[[\"a\"], \"b\"]", "nested 1 deep here, 2 deep before");
    refuses(DT_STRING, "[[\"a\"], [\"b\", \"c\"]]", "an array of 2 here, of 1 before");
    refuses(DT_STRING, "[1]", "expected a string");
    refuses(DT_STRING, "[{\"b64\": \"?\"}]", "line 1 column");
    refuses(DT_STRING, "[{\"b64\": \"aGk=\", \"x\": 1}]", "holds nothing else");
    refuses(DT_STRING, "[{\"c\": \"aGk=\"}]", "expected a string or {\"b64\"");
    refuses(DT_STRING, "[[[[[[[[[\"deep\"]]]]]]]]]", "deeper than 8");
    assert_int_equal(read(DT_C64, "[1]", &t), ERR_UNSUPPORTED);
    stand_close(&s);
}

static void test_stacking(void **state) {
    (void)state;
    struct err e;
    struct typed t;
    struct tensor out;
    struct json j;
    stand_open(&s, NULL, 0, NULL, 0);
    struct request *r = stand_text(&s, "");
    assert_ok(typed_begin(&t, r, DT_I32, 0, &e));
    for (int i = 0; i < 3; i++) {
        json_init(&j, LIT("[1, 2]"), r->arena);
        assert_ok(typed_take(&t, &j, &e));
    }
    json_init(&j, LIT("[1, 2, 3]"), r->arena);
    struct typed broken = t;
    assert_fails(typed_take(&broken, &j, &e), INVALID,
                 "value 3 has shape [3], the ones before it [2]");
    assert_ok(typed_end(&t, true, &out, &e));
    assert_shape(out, 3, 2);
    stand_close(&s);
}

static void writes(const struct tensor *t, unsigned form, const char *want) {
    struct buf b;
    struct json_out w;
    buf_init(&b, 4096);
    json_out_init(&w, &b, 0);
    typed_put(&w, t, form);
    if (!str_is(buf_str(&b), want))
        stop("%.*s, expected %s", STR(buf_str(&b)), want);
    buf_deinit(&b);
}

static void test_writing(void **state) {
    (void)state;
    struct err e;
    float f[] = {1, 2.5f, NAN, INFINITY};
    double d[] = {0.1, -INFINITY};
    struct str text[] = {LIT("a\"b"), LIT("")};
    struct tensor t = {.dtype = DT_F32, .shape = {2, {2, 2}}, .data = f};
    writes(&t, TYPED_PLAIN, "[[1.0,2.5],[NaN,Infinity]]");
    writes(&t, TYPED_NULL, "[[1.0,2.5],[null,null]]");
    writes(&t, TYPED_FLAT, "[1.0,2.5,NaN,Infinity]");
    writes(&(struct tensor){.dtype = DT_F64, .shape = {1, {2}}, .data = d}, TYPED_NULL,
           "[0.1,null]");
    writes(&(struct tensor){.dtype = DT_F32, .data = f}, TYPED_PLAIN, "1.0");
    writes(&(struct tensor){.dtype = DT_F32, .shape = {2, {0, 3}}, .data = f}, TYPED_PLAIN, "[]");
    t = (struct tensor){.dtype = DT_STRING, .shape = {2, {1, 2}}, .data = text};
    writes(&t, TYPED_PLAIN, "[[\"a\\\"b\",\"\"]]");
    writes(&t, TYPED_B64, "[[{\"b64\":\"YSJi\"},{\"b64\":\"\"}]]");
    writes(&t, TYPED_FLAT, "[\"a\\\"b\",\"\"]");
    stand_open(&s, NULL, 0, NULL, 0);
    stand_text(&s, "");
    uint16_t half[] = {0x3c00, 0xc000};
    t = (struct tensor){.dtype = DT_F16, .shape = {1, {2}}, .data = half};
    assert_ok(typed_writable(s.r.arena, &t, &e));
    writes(&t, TYPED_PLAIN, "[1.0,-2.0]");
    t.dtype = DT_C64;
    assert_fails(typed_writable(s.r.arena, &t, &e), UNSUPPORTED, "c64");
    stand_close(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers), cmocka_unit_test(test_strings),
        cmocka_unit_test(test_refused), cmocka_unit_test(test_stacking),
        cmocka_unit_test(test_writing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
