/* SPDX-License-Identifier: Apache-2.0 */
#include "tensor/shape.c"

#include "../base/check.h"

#define SHAPE(...)                                                                                 \
    (struct shape) {                                                                               \
        .rank = sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t), .dims = { __VA_ARGS__ }        \
    }

static void products_are_checked(void **state) {
    (void)state;
    size_t n = 77;
    assert_true(shape_count(&(struct shape){0}, &n));
    assert_int_equal(n, 1);
    assert_true(shape_count(&SHAPE(2, 3, 4), &n));
    assert_int_equal(n, 24);
    assert_true(shape_count(&SHAPE(INT64_MAX, 0, INT64_MAX), &n));
    assert_int_equal(n, 0);
    n = 77;
    assert_false(shape_count(&SHAPE(2, -1), &n));
    assert_false(shape_count(&SHAPE(0, -1), &n));
    assert_false(shape_count(&SHAPE(1 << 24, 1 << 25), &n)); /* 2^49 */
    assert_false(shape_count(&SHAPE(INT64_MAX, INT64_MAX), &n));
    assert_false(shape_bytes(&SHAPE((int64_t)1 << 48), (size_t)1 << 20, &n));
    assert_int_equal(n, 77);
    assert_true(shape_count(&SHAPE(1 << 24, 1 << 24), &n)); /* 2^48 */
    assert_true(shape_bytes(&SHAPE(5, 7), 8, &n));
    assert_int_equal(n, 280);
}

static void broadcasting_is_numpys(void **state) {
    (void)state;
    struct {
        struct shape a, b, out;
        bool ok;
    } cases[] = {
        {SHAPE(3, 1), SHAPE(1, 4), SHAPE(3, 4), true},
        {SHAPE(2, 3, 4), SHAPE(4), SHAPE(2, 3, 4), true},
        {SHAPE(5), {0}, SHAPE(5), true},
        {SHAPE(0, 2), SHAPE(1, 2), SHAPE(0, 2), true},
        {SHAPE(2, 3), SHAPE(2), {0}, false},
        {SHAPE(0), SHAPE(2), {0}, false},
        {SHAPE(8, 1, 6, 1), SHAPE(7, 1, 5), SHAPE(8, 7, 6, 5), true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct shape out = {0};
        assert_int_equal(shape_broadcast(&cases[i].a, &cases[i].b, &out), cases[i].ok);
        assert_true(shape_eq(&out, &cases[i].out));
        out = (struct shape){0};
        assert_int_equal(shape_broadcast(&cases[i].b, &cases[i].a, &out), cases[i].ok);
        assert_true(shape_eq(&out, &cases[i].out));
    }
}

static void strides_repeat_dims_of_one(void **state) {
    (void)state;
    int64_t s[SHAPE_MAX];
    shape_strides(&SHAPE(2, 3, 4), s);
    assert_int_equal(s[0], 12);
    assert_int_equal(s[1], 4);
    assert_int_equal(s[2], 1);
    shape_strides_to(&SHAPE(3, 1), &SHAPE(2, 3, 4), s);
    assert_int_equal(s[0], 0);
    assert_int_equal(s[1], 1);
    assert_int_equal(s[2], 0);
    shape_strides_to(&SHAPE(1), &SHAPE(1), s);
    assert_int_equal(s[0], 1);
}

static void axes_count_from_the_end(void **state) {
    (void)state;
    int axis = 9;
    assert_true(shape_axis(-1, 4, &axis));
    assert_int_equal(axis, 3);
    assert_true(shape_axis(0, 1, &axis));
    assert_int_equal(axis, 0);
    assert_false(shape_axis(4, 4, &axis));
    assert_false(shape_axis(-5, 4, &axis));
    assert_false(shape_axis(0, 0, &axis));
    assert_false(shape_axis(INT64_MIN, 8, &axis));
}

static void text_of_the_largest_fits(void **state) {
    (void)state;
    char text[SHAPE_TEXT];
    assert_string_equal(shape_print(&(struct shape){0}, text), "[]");
    assert_string_equal(shape_print(&SHAPE(1, 3, -1), text), "[1,3,-1]");
    struct shape s = {.rank = SHAPE_MAX};
    for (int d = 0; d < SHAPE_MAX; d++)
        s.dims[d] = INT64_MIN;
    assert_true(strlen(shape_print(&s, text)) == 8 * 20 + 7 + 2);
}

static void known_and_equal(void **state) {
    (void)state;
    assert_true(shape_known(&SHAPE(0, 5)));
    assert_false(shape_known(&SHAPE(0, -1)));
    assert_false(shape_eq(&SHAPE(1, 2), &SHAPE(1, 3)));
    assert_false(shape_eq(&SHAPE(1), &SHAPE(1, 1)));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_are_checked),       cmocka_unit_test(broadcasting_is_numpys),
        cmocka_unit_test(strides_repeat_dims_of_one), cmocka_unit_test(axes_count_from_the_end),
        cmocka_unit_test(text_of_the_largest_fits),   cmocka_unit_test(known_and_equal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
