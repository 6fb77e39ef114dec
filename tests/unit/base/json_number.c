/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json_number.c"

#include "check.h"

struct result {
    struct buf out;
    struct json_tensor shape;
};

/* Reads text as a tensor; what stands behind it must be `rest`. */
static enum code read_tensor(const char *text, enum json_number type, bool allow_nan,
                             struct result *got, struct err *e) {
    struct json r;
    json_init(&r, str_of(text), NULL);
    r.allow_nan = allow_nan;
    buf_init(&got->out, 1 << 20);
    TRY(json_tensor(&r, type, &got->out, &got->shape, e));
    return json_end(&r, e);
}

static void check_tensor(const char *text, enum json_number type, int rank, const int64_t *dims,
                         const void *want) {
    struct result got;
    struct err e;
    size_t count = 1;
    if (read_tensor(text, type, true, &got, &e) != OK)
        fail_msg("%s: %s", text, e.text);
    assert_int_equal(got.shape.rank, rank);
    for (int level = 0; level < rank; level++) {
        assert_int_equal(got.shape.dims[level], dims[level]);
        count *= (size_t)dims[level];
    }
    assert_int_equal(got.shape.count, count);
    assert_int_equal(got.out.n, count * json_number_size(type));
    if (count)
        assert_memory_equal(got.out.p, want, got.out.n);
    buf_deinit(&got.out);
}

#define DIMS(...) ((const int64_t[]){__VA_ARGS__})

static void floats(void **state) {
    (void)state;
    check_tensor("1.5", JN_F32, 0, NULL, (float[]){1.5f});
    check_tensor(" [ 1 , -2.5 ,3e2,\n4 ] ", JN_F32, 1, DIMS(4), (float[]){1, -2.5f, 300, 4});
    check_tensor("[[1,2,3],[4,5,6]]", JN_F32, 2, DIMS(2, 3), (float[]){1, 2, 3, 4, 5, 6});
    check_tensor("[[[1],[2]],[[3],[4]],[[5],[6]]]", JN_F64, 3, DIMS(3, 2, 1),
                 (double[]){1, 2, 3, 4, 5, 6});
    check_tensor("[[[[[[[[7]]]]]]]]", JN_F64, 8, DIMS(1, 1, 1, 1, 1, 1, 1, 1), (double[]){7});
    check_tensor("[true,false,1]", JN_F32, 1, DIMS(3), (float[]){1, 0, 1});
    check_tensor("[0.1,16777217.0000000000000001,1e-45]", JN_F32, 1, DIMS(3),
                 (float[]){0.1f, 16777218, 0x1p-149f});
    check_tensor("[Infinity,-Infinity]", JN_F64, 1, DIMS(2),
                 (double[]){(double)INFINITY, -(double)INFINITY});
    check_tensor("[1e-400,-1e-400]", JN_F64, 1, DIMS(2), (double[]){0, -0.0});
}

static void nan_is_a_number_where_allowed(void **state) {
    (void)state;
    struct result got;
    struct err e;
    float v;
    assert_ok(read_tensor("[NaN]", JN_F32, true, &got, &e));
    memcpy(&v, got.out.p, sizeof v);
    assert_true(isnan(v));
    buf_deinit(&got.out);
    assert_fails(read_tensor("[1,NaN]", JN_F32, false, &got, &e), INVALID,
                 "line 1 column 4: expected a number, found 'N'");
    buf_deinit(&got.out);
    assert_fails(read_tensor("[1,Infinity]", JN_I32, true, &got, &e), INVALID, "column 4");
    buf_deinit(&got.out);
}

static void empty_arrays(void **state) {
    (void)state;
    check_tensor("[]", JN_F32, 1, DIMS(0), NULL);
    check_tensor("[ ]", JN_F32, 1, DIMS(0), NULL);
    check_tensor("[[],[ ],[]]", JN_F32, 2, DIMS(3, 0), NULL);
    check_tensor("[[[],[]]]", JN_I8, 3, DIMS(1, 2, 0), NULL);
}

static void integers_to_their_ends(void **state) {
    (void)state;
    check_tensor("[-128,127]", JN_I8, 1, DIMS(2), (int8_t[]){-128, 127});
    check_tensor("[0,255]", JN_U8, 1, DIMS(2), (uint8_t[]){0, 255});
    check_tensor("[-32768,32767]", JN_I16, 1, DIMS(2), (int16_t[]){-32768, 32767});
    check_tensor("[65535]", JN_U16, 1, DIMS(1), (uint16_t[]){65535});
    check_tensor("[-2147483648,2147483647]", JN_I32, 1, DIMS(2), (int32_t[]){INT32_MIN, INT32_MAX});
    check_tensor("[4294967295]", JN_U32, 1, DIMS(1), (uint32_t[]){UINT32_MAX});
    check_tensor("[-9223372036854775808,9223372036854775807]", JN_I64, 1, DIMS(2),
                 (int64_t[]){INT64_MIN, INT64_MAX});
    check_tensor("[18446744073709551615,-0]", JN_U64, 1, DIMS(2), (uint64_t[]){UINT64_MAX, 0});
    check_tensor("[3.0,3e2,-50e-1,true,false,1.0e0]", JN_I32, 1, DIMS(6),
                 (int32_t[]){3, 300, -5, 1, 0, 1});
    check_tensor("[true,false,1,0,1.0]", JN_BOOL, 1, DIMS(5), (uint8_t[]){1, 0, 1, 0, 1});
}

struct complaint {
    const char *text;
    enum json_number type;
    const char *says;
};

static const struct complaint complaints[] = {
    {"[1,2.5]", JN_I64, "column 4: 2.5 is no whole number, expected i64"},
    {"[-129]", JN_I8, "column 2: -129 is out of range of i8"},
    {"[128]", JN_I8, "128 is out of range of i8"},
    {"[256]", JN_U8, "out of range of u8"},
    {"[-1]", JN_U8, "-1 is out of range of u8"},
    {"[-1]", JN_U64, "out of range of u64"},
    {"[2147483648]", JN_I32, "out of range of i32"},
    {"[9223372036854775808]", JN_I64, "out of range of i64"},
    {"[-9223372036854775809]", JN_I64, "out of range of i64"},
    {"[18446744073709551616]", JN_U64, "out of range of u64"},
    {"[1e30]", JN_I64, "1e30 is out of range of i64"},
    {"[2]", JN_BOOL, "2 is out of range of bool"},
    {"[1e39]", JN_F32, "1e39 is out of range of f32"},
    {"[-3.4028236e38]", JN_F32, "out of range of f32"},
    {"[1e309]", JN_F64, "out of range of f64"},
    {"[1,null]", JN_F32, "column 4: expected a number, found null"},
    {"[1,\"2\"]", JN_F32, "expected a number, found a string"},
    {"[1,{}]", JN_F32, "expected a number, found an object"},
    {"[1,,2]", JN_F32, "column 4: expected a number, found ','"},
    {"[1,]", JN_F32, "column 4: expected a number, found ']'"},
    {"[,1]", JN_F32, "column 2: expected a number, found ','"},
    {"[1 2]", JN_F32, "column 4: expected ',' or ']', found a number"},
    {"[1", JN_F32, "column 3: expected ',' or ']', found the end of the text"},
    {"[", JN_F32, "expected a number, found the end of the text"},
    {"", JN_F32, "expected a number, found the end of the text"},
    {"[[1],[2]", JN_F32, "column 9: expected ',' or ']'"},
    {"[01]", JN_F32, "column 3: a number may not begin with 0"},
    {"[01]", JN_I32, "column 3: a number may not begin with 0"},
    {"[1.]", JN_F32, "column 4: a digit is missing"},
    {"[-]", JN_I32, "column 3: a digit is missing"},
    {"[tru]", JN_F32, "column 2: expected a number"},
    {"[[1,2],[3]]", JN_F32, "column 10: ragged nesting: 1 items at depth 2, others have 2"},
    {"[[1],[2,3]]", JN_F32, "ragged nesting: 2 items at depth 2, others have 1"},
    {"[[1],2]", JN_F32, "column 6: ragged nesting: a value at depth 1, others at depth 2"},
    {"[1,[2]]", JN_F32, "expected a number, found an array"},
    {"[[1],[[2]]]", JN_F32, "ragged nesting: an array at depth 2"},
    {"[[],[1]]", JN_F32, "ragged nesting: 1 items at depth 2, others have 0"},
    {"[[1],[]]", JN_F32, "ragged nesting: 0 items at depth 2, others have 1"},
    {"[[],[[]]]", JN_F32, "ragged nesting: an array at depth 2"},
    {"[[[1]],[]]", JN_F32, "ragged nesting: an empty array at depth 2, others at depth 3"},
    {"[[[1],[2]],[[3]]]", JN_F32, "ragged nesting: 1 items at depth 2, others have 2"},
    {"[[[[[[[[[1]]]]]]]]]", JN_F32, "column 9: nested deeper than 8"},
    {"[1,\n 2,\n x]", JN_F32, "line 3 column 2: expected a number, found 'x'"},
    {"[1] 2", JN_F32, "column 5: expected the end of the text"},
};

static void complaints_say_where(void **state) {
    (void)state;
    for (size_t at = 0; at < sizeof complaints / sizeof *complaints; at++) {
        const struct complaint *c = &complaints[at];
        struct result got;
        struct err e;
        if (read_tensor(c->text, c->type, false, &got, &e) != ERR_INVALID)
            fail_msg("%s is accepted", c->text);
        if (!strstr(e.text, c->says))
            fail_msg("%s: says \"%s\", expected \"%s\"", c->text, e.text, c->says);
        buf_deinit(&got.out);
    }
}

static void failure_leaves_the_buffer_as_it_was(void **state) {
    (void)state;
    struct json r;
    struct json_tensor shape = {.rank = 77};
    struct buf b;
    struct err e;
    buf_init(&b, 100);
    buf_put_text(&b, "odd"); /* elements then lie unaligned */
    json_init(&r, LIT("[1,2,x]"), NULL);
    assert_fails(json_tensor(&r, JN_F32, &b, &shape, &e), INVALID, "column 6");
    assert_true(b.n == 3 && shape.rank == 77);
    json_init(&r, LIT("[1,2]"), NULL);
    assert_ok(json_tensor(&r, JN_F32, &b, &shape, &e));
    assert_true(b.n == 11 && shape.count == 2 && memcmp(b.p, "odd", 3) == 0);
    assert_memory_equal(b.p + 3, ((float[]){1, 2}), 8);
    buf_deinit(&b);
    buf_init(&b, 10);
    json_init(&r, LIT("[1,2,3]"), NULL);
    assert_fails(json_tensor(&r, JN_F32, &b, &shape, &e), TOO_LARGE, "limit of 10 bytes");
    assert_int_equal(b.n, 0);
    buf_deinit(&b);
}

static void a_tensor_stands_among_members(void **state) {
    (void)state;
    struct json r;
    struct json_tensor shape;
    struct buf b;
    struct err e;
    struct str key;
    bool more;
    buf_init(&b, 100);
    json_init(&r, LIT("{\"s\":1,\"x\":[[1,2]] ,\"y\":3}"), NULL);
    assert_ok(json_enter_object(&r, &e));
    for (int member = 0; member < 3; member++) {
        assert_ok(json_next_key(&r, &key, &more, &e));
        assert_ok(json_tensor(&r, JN_I32, &b, &shape, &e));
    }
    assert_ok(json_next_key(&r, &key, &more, &e));
    assert_ok(json_end(&r, &e));
    assert_memory_equal(b.p, ((int32_t[]){1, 1, 2, 3}), 16);
    buf_deinit(&b);
}

static void single_numbers(void **state) {
    (void)state;
    struct json r;
    struct err e;
    double d = 5;
    int64_t i = 5;
    json_init(&r, LIT(" -9223372036854775808 "), NULL);
    assert_ok(json_i64(&r, &i, &e));
    assert_true(i == INT64_MIN);
    i = 5;
    json_init(&r, LIT("9223372036854775808"), NULL);
    assert_fails(json_i64(&r, &i, &e), INVALID,
                 "column 1: 9223372036854775808 is out of range of i64");
    json_init(&r, LIT("3.5"), NULL);
    assert_fails(json_i64(&r, &i, &e), INVALID, "3.5 is no whole number");
    json_init(&r, LIT("true"), NULL);
    assert_fails(json_i64(&r, &i, &e), INVALID, "expected a number, found true or false");
    json_init(&r, LIT("1e400"), NULL);
    assert_fails(json_f64(&r, &d, &e), INVALID, "1e400 is out of range of f64");
    json_init(&r, LIT("1000000000000000000000000000000000000000000000000000000000000e999"), NULL);
    assert_fails(json_f64(&r, &d, &e), INVALID,
                 "1000000000000000000000000000000000000000... is out of range");
    assert_true(d == 5 && i == 5);
    json_init(&r, LIT("-Infinity"), NULL);
    r.allow_nan = true;
    assert_ok(json_f64(&r, &d, &e));
    assert_true(isinf(d) && d < 0);
}

static void nested_strings(void **state) {
    (void)state;
    struct json r;
    struct json_tensor shape;
    struct arena a;
    struct buf b;
    struct err e;
    arena_init(&a, 1000);
    buf_init(&b, 1000);
    json_init(&r, LIT("[[\"a\", \"\\u0062\"],[\"\",\"d\"]]"), &a);
    assert_ok(json_strings(&r, &b, &shape, &e));
    assert_true(shape.rank == 2 && shape.dims[0] == 2 && shape.dims[1] == 2 && shape.count == 4);
    struct str got[4];
    memcpy(got, b.p, sizeof got);
    assert_str(got[0], "a");
    assert_str(got[1], "b");
    assert_str(got[3], "d");
    json_init(&r, LIT("\"alone\""), &a);
    buf_clear(&b);
    assert_ok(json_strings(&r, &b, &shape, &e));
    assert_true(shape.rank == 0 && shape.count == 1);
    json_init(&r, LIT("[\"a\",1]"), &a);
    assert_fails(json_strings(&r, &b, &shape, &e), INVALID,
                 "column 6: expected a string, found a number");
    buf_deinit(&b);
    arena_deinit(&a);
}

/* The same numbers through the tensor and one by one, every prefix of the text refused without a
 * read beyond it. */
static void prefixes_and_single_reads_agree(void **state) {
    (void)state;
    const struct str text =
        LIT("[[0.1234567890123, -1.5e-7 ,123456789],[1e22,0,  9007199254740993]]");
    struct buf b;
    struct json_tensor shape;
    struct json r;
    struct err e;
    bool more;
    double one, many[6];
    buf_init(&b, 1000);
    for (size_t n = 0; n < text.n; n++) {
        char *copy = test_malloc(n ? n : 1);
        memcpy(copy, text.p, n);
        json_init(&r, (struct str){copy, n}, NULL);
        assert_fails(json_tensor(&r, JN_F64, &b, &shape, &e), INVALID, "line 1 column");
        test_free(copy);
    }
    json_init(&r, text, NULL);
    assert_ok(json_tensor(&r, JN_F64, &b, &shape, &e));
    memcpy(many, b.p, sizeof many);
    json_init(&r, text, NULL);
    assert_ok(json_enter_array(&r, &e));
    for (int row = 0; row < 2; row++) {
        assert_ok(json_next_item(&r, &more, &e));
        assert_ok(json_enter_array(&r, &e));
        for (int column = 0; column < 3; column++) {
            assert_ok(json_next_item(&r, &more, &e));
            assert_ok(json_f64(&r, &one, &e));
            assert_true(one == many[3 * row + column]);
        }
        assert_ok(json_next_item(&r, &more, &e));
    }
    buf_deinit(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(floats),
        cmocka_unit_test(nan_is_a_number_where_allowed),
        cmocka_unit_test(empty_arrays),
        cmocka_unit_test(integers_to_their_ends),
        cmocka_unit_test(complaints_say_where),
        cmocka_unit_test(failure_leaves_the_buffer_as_it_was),
        cmocka_unit_test(a_tensor_stands_among_members),
        cmocka_unit_test(single_numbers),
        cmocka_unit_test(nested_strings),
        cmocka_unit_test(prefixes_and_single_reads_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
