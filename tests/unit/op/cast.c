/* SPDX-License-Identifier: Apache-2.0 */
/* cast, cast_like, bit_cast: attributes and outputs; the conversions are tests/unit/tensor's. */
#include "op/cast.c"

#include "op_case.h"

static void cast_to(int64_t number, struct tensor x, struct tensor y) {
    struct op_case c = op_case("cast", 19);
    op_case_int(&c, "to", number);
    op_case_in(&c, x);
    op_case_out(&c, y);
    op_case_check(&c);
}

static void test_cast(void **state) {
    (void)state;
    cast_to(7, T_F32(DIMS(3), 1.9f, -1.9f, 0), T_I64(DIMS(3), 1, -1, 0));
    cast_to(9, T_F32(DIMS(3), 0.1f, 0, -3), T_BOOL(DIMS(3), 1, 0, 1));
    cast_to(10, T_F32(DIMS(2), 1, 2), T_F16(DIMS(2), 0x3c00, 0x4000));
    cast_to(1, T_BOOL(DIMS(2), 0, 1), T_F32(DIMS(2), 0, 1));
    cast_to(1, T_STR(DIMS(2), LIT("3.5"), LIT("-INF")), T_F32(DIMS(2), 3.5f, -__builtin_inff()));
    cast_to(8, T_I64(DIMS(2), 12, -7), T_STR(DIMS(2), LIT("12"), LIT("-7")));
}

static void test_like_and_bits(void **state) {
    (void)state;
    struct op_case c = op_case("cast_like", 19);
    op_case_in(&c, T_F32(DIMS(2), 1.5f, 2));
    op_case_in(&c, T_I32(DIMS(1), 0));
    op_case_out(&c, T_I32(DIMS(2), 1, 2));
    op_case_check(&c);
    c = op_case("bit_cast", 26);
    op_case_int(&c, "to", 6);
    op_case_in(&c, T_F32(DIMS(1), 1));
    op_case_out(&c, T_I32(DIMS(1), 0x3f800000));
    op_case_check(&c);
    c = op_case("bit_cast", 26);
    op_case_int(&c, "to", 7);
    op_case_in(&c, T_F32(DIMS(1), 1));
    op_case_out(&c, T_I64(DIMS(1), 0));
    op_case_refuse(&c, ERR_INVALID, "one size");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cast),
        cmocka_unit_test(test_like_and_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
