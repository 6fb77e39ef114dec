/* SPDX-License-Identifier: Apache-2.0 */
#include "tensor/compare.c"

#include "../base/check.h"

static struct err e;

#define VECTOR(type, n, ...)                                                                       \
    (struct tensor) { .dtype = type, .shape = {.rank = 1, .dims = {n}}, .data = __VA_ARGS__ }

static void equal_is_equal(void **state) {
    (void)state;
    struct tensor a = VECTOR(DT_F32, 4, (float[]){1, -2, NAN, INFINITY});
    struct compare c;
    assert_ok(compare_tensors(&a, &a, 0, 0, &c, &e));
    assert_int_equal(c.count, 4);
    assert_int_equal(c.different, 0);
    assert_true(c.max_abs == 0 && c.rms == 0 && c.cosine > 0.999999);
}

static void differences_are_measured(void **state) {
    (void)state;
    struct tensor a = VECTOR(DT_F32, 3, (float[]){1, 2, 4}),
                  b = VECTOR(DT_F32, 3, (float[]){1, 2, 5});
    struct compare c;
    assert_ok(compare_tensors(&a, &b, 0.1, 0, &c, &e));
    assert_int_equal(c.different, 1);
    assert_int_equal(c.worst, 2);
    assert_true(c.max_abs == 1 && fabs(c.max_rel - 0.2) < 1e-12);
    assert_true(fabs(c.rms - sqrt(1.0 / 3)) < 1e-12);
    assert_true(c.cosine < 1 && c.cosine > 0.99);
    assert_ok(compare_tensors(&a, &b, 0.2, 0, &c, &e));
    assert_int_equal(c.different, 0);
    assert_ok(compare_tensors(&a, &b, 0, 1, &c, &e));
    assert_int_equal(c.different, 0);
}

static void what_is_not_a_number_is_far_away(void **state) {
    (void)state;
    struct tensor a = VECTOR(DT_F32, 2, (float[]){1, NAN}), b = VECTOR(DT_F32, 2, (float[]){1, 2});
    struct tensor inf = VECTOR(DT_F32, 2, (float[]){1, INFINITY});
    struct compare c;
    assert_ok(compare_tensors(&a, &b, 1, 1e9, &c, &e));
    assert_int_equal(c.different, 1);
    assert_int_equal(c.worst, 1);
    assert_ok(compare_tensors(&b, &inf, 1, 1e9, &c, &e));
    assert_int_equal(c.different, 1);
}

static void wide_integers_keep_their_last_bit(void **state) {
    (void)state;
    struct tensor a = VECTOR(DT_I64, 1, (int64_t[]){INT64_MAX}),
                  b = VECTOR(DT_I64, 1, (int64_t[]){INT64_MAX - 1});
    struct compare c;
    assert_ok(compare_tensors(&a, &b, 0, 0, &c, &e));
    assert_int_equal(c.different, 1);
    assert_true(c.max_abs == 1);
}

static void strings_and_complex(void **state) {
    (void)state;
    struct str x[] = {{"a", 1}, {"b", 1}}, y[] = {{"a", 1}, {"c", 1}};
    struct tensor a = VECTOR(DT_STRING, 2, x), b = VECTOR(DT_STRING, 2, y);
    struct compare c;
    assert_ok(compare_tensors(&a, &b, 1, 1, &c, &e));
    assert_int_equal(c.different, 1);
    assert_int_equal(c.worst, 1);
    struct tensor u = VECTOR(DT_C64, 2, (float[]){1, 2, 3, 4}),
                  v = VECTOR(DT_C64, 2, (float[]){1, 2, 3, 5});
    assert_ok(compare_tensors(&u, &v, 0, 0, &c, &e));
    assert_int_equal(c.count, 2);
    assert_int_equal(c.worst, 1);
}

static void unlike_things_are_not_compared(void **state) {
    (void)state;
    struct tensor a = VECTOR(DT_F32, 1, (float[]){1}), b = VECTOR(DT_F64, 1, (double[]){1});
    struct tensor s = {.dtype = DT_SEQUENCE};
    struct compare c;
    assert_fails(compare_tensors(&a, &b, 0, 0, &c, &e), INVALID,
                 "f32 [1] cannot be compared with f64 [1]");
    assert_fails(compare_tensors(&s, &s, 0, 0, &c, &e), INVALID, "sequence");
    struct tensor empty = {.dtype = DT_F32, .shape = {.rank = 1}};
    assert_ok(compare_tensors(&empty, &empty, 0, 0, &c, &e));
    assert_int_equal(c.count, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_is_equal),
        cmocka_unit_test(differences_are_measured),
        cmocka_unit_test(what_is_not_a_number_is_far_away),
        cmocka_unit_test(wide_integers_keep_their_last_bit),
        cmocka_unit_test(strings_and_complex),
        cmocka_unit_test(unlike_things_are_not_compared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
