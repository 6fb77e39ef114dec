/* SPDX-License-Identifier: Apache-2.0 */
/* Cases of constant, constant_of_shape, eye_like, range. */
#include "op/constant.c"

#include "op_case.h"

static void constant_of_shape_fills(void **state) {
    (void)state;
    struct op_case c = op_case("constant_of_shape", 9), zero = op_case("constant_of_shape", 9);
    int32_t seven = 7;
    struct tensor value = {.dtype = DT_I32, .shape = DIMS(1), .data = &seven};
    op_case_attr(&c, "value", ATTR_TENSOR)->tensor = &value;
    op_case_in(&c, T_I64(DIMS(2), 1, 3));
    op_case_out(&c, T_I32(DIMS(1, 3), 7, 7, 7));
    op_case_check(&c);
    op_case_in(&zero, T_EMPTY(DT_I64, DIMS(0)));
    op_case_out(&zero, T_F32(SCALAR, 0));
    op_case_check(&zero);
}

static void constant_of_shape_refuses_bombs(void **state) {
    (void)state;
    static const int64_t dims[][2] = {{-1, 1}, {INT64_MAX, INT64_MAX}, {INT64_C(1) << 47, 4}};
    for (int k = 0; k < 3; k++) {
        struct op_case c = op_case("constant_of_shape", 9);
        op_case_in(&c, T_I64(DIMS(2), dims[k][0], dims[k][1]));
        op_case_out(&c, T_F32(SCALAR, 0));
        op_case_refuse(&c, k ? ERR_LIMIT : ERR_INVALID, "would have the shape");
    }
}

static void eye_like_draws_a_diagonal(void **state) {
    (void)state;
    struct op_case c = op_case("eye_like", 9), low = op_case("eye_like", 9);
    op_case_int(&c, "k", 1);
    op_case_in(&c, T_F32(DIMS(2, 3), 1, 2, 3, 4, 5, 6));
    op_case_out(&c, T_F32(DIMS(2, 3), 0, 1, 0, 0, 0, 1));
    op_case_check(&c);
    op_case_int(&low, "k", -1);
    op_case_in(&low, T_I64(DIMS(3, 2), 1, 2, 3, 4, 5, 6));
    op_case_out(&low, T_I64(DIMS(3, 2), 0, 0, 1, 0, 0, 1));
    op_case_check(&low);
}

static void range_counts(void **state) {
    (void)state;
    struct op_case up = op_case("range", 11), down = op_case("range", 11),
                   none = op_case("range", 11), zero = op_case("range", 11),
                   bomb = op_case("range", 11);
    op_case_in(&up, T_F32(SCALAR, 1));
    op_case_in(&up, T_F32(SCALAR, 5));
    op_case_in(&up, T_F32(SCALAR, 1.5F));
    op_case_out(&up, T_F32(DIMS(3), 1, 2.5F, 4));
    op_case_check(&up);
    op_case_in(&down, T_I32(SCALAR, 10));
    op_case_in(&down, T_I32(SCALAR, 6));
    op_case_in(&down, T_I32(SCALAR, -3));
    op_case_out(&down, T_I32(DIMS(2), 10, 7));
    op_case_check(&down);
    op_case_in(&none, T_I64(SCALAR, INT64_MIN + 2));
    op_case_in(&none, T_I64(SCALAR, INT64_MIN));
    op_case_in(&none, T_I64(SCALAR, 1));
    op_case_out(&none, T_EMPTY(DT_I64, DIMS(0)));
    op_case_check(&none);
    op_case_in(&zero, T_I64(SCALAR, 0));
    op_case_in(&zero, T_I64(SCALAR, 1));
    op_case_in(&zero, T_I64(SCALAR, 0));
    op_case_out(&zero, T_EMPTY(DT_I64, DIMS(0)));
    op_case_refuse(&zero, ERR_INVALID, "from 0 to 1 by 0");
    op_case_in(&bomb, T_I64(SCALAR, INT64_MIN));
    op_case_in(&bomb, T_I64(SCALAR, INT64_MAX));
    op_case_in(&bomb, T_I64(SCALAR, 1));
    op_case_out(&bomb, T_EMPTY(DT_I64, DIMS(0)));
    op_case_refuse(&bomb, ERR_INVALID, "from -9223372036854775808");
}

static void a_constant_is_its_attribute(void **state) {
    (void)state;
    struct op_case c = op_case("constant", 13), list = op_case("constant", 13);
    op_case_float(&c, "value_float", 2.5F);
    op_case_out(&c, T_F32(SCALAR, 2.5F));
    op_case_check(&c);
    op_case_strs(&list, "value_strings", 2, (struct str[]){LIT("a"), LIT("b")});
    op_case_out(&list, T_STR(DIMS(2), LIT("a"), LIT("b")));
    op_case_check(&list);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(constant_of_shape_fills),
        cmocka_unit_test(constant_of_shape_refuses_bombs),
        cmocka_unit_test(eye_like_draws_a_diagonal),
        cmocka_unit_test(range_counts),
        cmocka_unit_test(a_constant_is_its_attribute),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
