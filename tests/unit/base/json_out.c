/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json_out.c"

#include "check.h"

#include <math.h>

static struct buf b;
static struct json_out w;

static void start(unsigned indent) {
    buf_deinit(&b);
    buf_init(&b, 1 << 20);
    json_out_init(&w, &b, indent);
}

static int teardown(void **state) {
    (void)state;
    buf_deinit(&b);
    return 0;
}

static void write_all_kinds(void) {
    json_put_object(&w);
    json_put_member_text(&w, "s", "x");
    json_put_member_i64(&w, "i", -1);
    json_put_member_f64(&w, "f", 0.5);
    json_put_member_bool(&w, "b", true);
    json_put_key(&w, "n");
    json_put_null(&w);
    json_put_key_str(&w, LIT("a"));
    json_put_array(&w);
    json_put_u64(&w, UINT64_MAX);
    json_put_f32(&w, 0.1f);
    json_put_raw(&w, LIT("[7]"));
    json_put_array_end(&w);
    json_put_key(&w, "e");
    json_put_object(&w);
    json_put_object_end(&w);
    json_put_member_str(&w, "z", LIT("\"q\""));
    json_put_object_end(&w);
}

static void compact(void **state) {
    (void)state;
    start(0);
    write_all_kinds();
    assert_str(buf_str(&b), "{\"s\":\"x\",\"i\":-1,\"f\":0.5,\"b\":true,\"n\":null,\"a\":["
                            "18446744073709551615,0.1,[7]],"
                            "\"e\":{},\"z\":\"\\\"q\\\"\"}");
    assert_int_equal(w.depth, 0);
}

static void indented(void **state) {
    (void)state;
    start(2);
    json_put_object(&w);
    json_put_member_text(&w, "s", "x");
    json_put_key(&w, "a");
    json_put_array(&w);
    json_put_i64(&w, 1);
    json_put_array(&w);
    json_put_array_end(&w);
    json_put_array_end(&w);
    json_put_object_end(&w);
    assert_str(buf_str(&b), "{\n  \"s\": \"x\",\n  \"a\": [\n    1,\n    []\n  ]\n}");
}

static void strings_are_escaped(void **state) {
    (void)state;
    start(0);
    json_put_array(&w);
    json_put_str(&w, (struct str){"a\0b", 3});
    json_put_text(&w, "\"\\\b\f\n\r\t\x1f\x7f/");
    json_put_text(&w, "gr\xc3\xbc\xc3\x9f\xf0\x9f\x98\x80");
    json_put_text(&w, "bad\xff\xc3(\xed\xa0\x80");
    json_put_text(&w, "");
    json_put_array_end(&w);
    assert_str(buf_str(&b),
               "[\"a\\u0000b\",\"\\\"\\\\\\b\\f\\n\\r\\t\\u001f\x7f/"
               "\",\"gr\xc3\xbc\xc3\x9f\xf0\x9f\x98\x80\","
               "\"bad\xef\xbf\xbd\xef\xbf\xbd(\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\",\"\"]");
}

static void tensors_by_rank(void **state) {
    (void)state;
    static const float f[6] = {1, 2, 3, 0.25f, -1e-7f, 6};
    start(0);
    json_put_array(&w);
    json_put_tensor(&w, JN_F32, f, 0, NULL);
    json_put_tensor(&w, JN_F32, f, 1, (int64_t[]){3});
    json_put_tensor(&w, JN_F32, f, 2, (int64_t[]){2, 3});
    json_put_tensor(&w, JN_F32, f, 3, (int64_t[]){1, 3, 2});
    json_put_tensor(&w, JN_F32, f, 2, (int64_t[]){2, 0});
    json_put_tensor(&w, JN_F32, f, 2, (int64_t[]){0, 2});
    json_put_tensor(&w, JN_F32, f, 1, (int64_t[]){0});
    json_put_array_end(&w);
    assert_str(
        buf_str(&b),
        "[1.0,[1.0,2.0,3.0],[[1.0,2.0,3.0],[0.25,-1e-7,6.0]],[[[1.0,2.0],[3.0,0.25],[-1e-7,6.0]]],"
        "[[],[]],[],[]]");
}

static void tensors_by_type(void **state) {
    (void)state;
    start(0);
    json_put_object(&w);
#define PUT(TYPE, type, ...)                                                                       \
    json_put_key(&w, #TYPE);                                                                       \
    json_put_tensor(&w, JN_##TYPE, (type[]){__VA_ARGS__}, 1, (int64_t[]){2})
    PUT(I8, int8_t, INT8_MIN, INT8_MAX);
    PUT(I16, int16_t, INT16_MIN, INT16_MAX);
    PUT(I32, int32_t, INT32_MIN, INT32_MAX);
    PUT(I64, int64_t, INT64_MIN, INT64_MAX);
    PUT(U8, uint8_t, 0, UINT8_MAX);
    PUT(U16, uint16_t, 0, UINT16_MAX);
    PUT(U32, uint32_t, 0, UINT32_MAX);
    PUT(U64, uint64_t, 0, UINT64_MAX);
    PUT(BOOL, uint8_t, 0, 2);
    PUT(F64, double, 0.1, (double)NAN);
    PUT(F32, float, INFINITY, -INFINITY);
    json_put_object_end(&w);
    assert_str(
        buf_str(&b),
        "{\"I8\":[-128,127],\"I16\":[-32768,32767],\"I32\":[-2147483648,2147483647],"
        "\"I64\":[-9223372036854775808,9223372036854775807],\"U8\":[0,255],\"U16\":[0,65535],"
        "\"U32\":[0,4294967295],\"U64\":[0,18446744073709551615],\"BOOL\":[false,true],\"F64\":[0."
        "1,NaN],"
        "\"F32\":[Infinity,-Infinity]}");
}

/* Rows around the chunk, and read back. */
static void long_rows_come_back(void **state) {
    (void)state;
    static double values[3 * CHUNK + 5];
    uint64_t seed = 4;
    for (size_t at = 0; at < sizeof values / sizeof *values; at++)
        values[at] = (double)(int64_t)check_random(&seed) / 1e12;
    for (int64_t n = CHUNK - 2; n < 3 * CHUNK + 5; n += CHUNK / 2 + 1) {
        struct json r;
        struct json_tensor shape;
        struct buf back;
        struct err e;
        start(0);
        buf_init(&back, 1 << 20);
        json_put_tensor(&w, JN_F64, values, 1, &n);
        json_init(&r, buf_str(&b), NULL);
        assert_ok(json_tensor(&r, JN_F64, &back, &shape, &e));
        assert_int_equal(shape.count, n);
        assert_memory_equal(back.p, values, back.n);
        buf_deinit(&back);
    }
}

/* The cap is a limit of the text itself, not of the room the loop would like to have. */
static void the_cap_is_exact(void **state) {
    (void)state;
    static const float values[100] = {0};
    const int64_t n = 100;
    const size_t whole = 100 * 4 + 1; /* [0.0,0.0,...] */
    for (size_t cap = whole - 3; cap <= whole + 3; cap++) {
        struct err e;
        buf_deinit(&b);
        buf_init(&b, cap);
        json_out_init(&w, &b, 0);
        json_put_tensor(&w, JN_F32, values, 1, &n);
        assert_int_equal(buf_check(&b, "answer", &e), cap < whole ? ERR_TOO_LARGE : OK);
        assert_true(b.n <= cap && (cap < whole || b.n == whole));
    }
}

static void too_deep_sticks(void **state) {
    (void)state;
    start(0);
    for (int level = 0; level < JSON_DEPTH; level++)
        json_put_array(&w);
    assert_int_equal(b.code, OK);
    json_put_array(&w);
    assert_int_equal(b.code, ERR_LIMIT);
    for (int level = 0; level < JSON_DEPTH + 5; level++)
        json_put_array_end(&w);
    assert_int_equal(w.depth, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compact),
        cmocka_unit_test(indented),
        cmocka_unit_test(strings_are_escaped),
        cmocka_unit_test(tensors_by_rank),
        cmocka_unit_test(tensors_by_type),
        cmocka_unit_test(long_rows_come_back),
        cmocka_unit_test(the_cap_is_exact),
        cmocka_unit_test(too_deep_sticks),
    };
    return cmocka_run_group_tests(tests, NULL, teardown);
}
