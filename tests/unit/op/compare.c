/* SPDX-License-Identifier: Apache-2.0 */
/* Comparisons, logic, bits, where. */
#include "op/compare.c"

#include "op_case.h"

static void two(const char *name, struct tensor a, struct tensor b, struct tensor y) {
    struct op_case c = op_case(name, 19);
    op_case_in(&c, a);
    op_case_in(&c, b);
    op_case_out(&c, y);
    op_case_check(&c);
}

static void test_compare(void **state) {
    (void)state;
    two("equal", T_F32(DIMS(3), 1, NAN, 0), T_F32(DIMS(3), 1, NAN, -0.0f),
        T_BOOL(DIMS(3), 1, 0, 1));
    two("equal", T_I64(DIMS(2, 1), 1, 2), T_I64(DIMS(2), 1, 2), T_BOOL(DIMS(2, 2), 1, 0, 0, 1));
    two("equal", T_STR(DIMS(2), LIT("a"), LIT("b")), T_STR(DIMS(1), LIT("b")),
        T_BOOL(DIMS(2), 0, 1));
    two("less", T_F32(DIMS(3), 1, 2, 3), T_F32(SCALAR, 2), T_BOOL(DIMS(3), 1, 0, 0));
    two("less_or_equal", T_U8(DIMS(3), 1, 2, 3), T_U8(SCALAR, 2), T_BOOL(DIMS(3), 1, 1, 0));
    two("greater", T_F16(DIMS(2), 0x3c00, 0x4000), T_F16(SCALAR, 0x3c00), T_BOOL(DIMS(2), 0, 1));
    two("greater_or_equal", T_I8(DIMS(3), -1, 0, 1), T_I8(SCALAR, 0), T_BOOL(DIMS(3), 0, 1, 1));
}

static void test_logic(void **state) {
    (void)state;
    two("and", T_BOOL(DIMS(4), 0, 0, 1, 1), T_BOOL(DIMS(4), 0, 1, 0, 1),
        T_BOOL(DIMS(4), 0, 0, 0, 1));
    two("or", T_BOOL(DIMS(2, 1), 0, 1), T_BOOL(DIMS(2), 0, 1), T_BOOL(DIMS(2, 2), 0, 1, 1, 1));
    two("xor", T_BOOL(DIMS(4), 0, 0, 1, 1), T_BOOL(DIMS(4), 0, 1, 0, 1),
        T_BOOL(DIMS(4), 0, 1, 1, 0));
    struct op_case c = op_case("not", 1);
    op_case_in(&c, T_BOOL(DIMS(2), 0, 1));
    op_case_out(&c, T_BOOL(DIMS(2), 1, 0));
    op_case_check(&c);
}

static void test_bits(void **state) {
    (void)state;
    two("bitwise_and", T_I32(DIMS(2), 12, -1), T_I32(DIMS(2), 10, 5), T_I32(DIMS(2), 8, 5));
    two("bitwise_or", T_U8(DIMS(2), 12, 1), T_U8(DIMS(2), 10, 5), T_U8(DIMS(2), 14, 5));
    two("bitwise_xor", T_I16(DIMS(1), 12), T_I16(DIMS(1), 10), T_I16(DIMS(1), 6));
    struct op_case not = op_case("bitwise_not", 18);
    op_case_in(&not, T_I8(DIMS(3), 0, -1, 5));
    op_case_out(&not, T_I8(DIMS(3), -1, 0, -6));
    op_case_check(&not );
    for (int left = 0; left < 2; left++) {
        struct op_case c = op_case("bit_shift", 11);
        op_case_str(&c, "direction", left ? "LEFT" : "RIGHT");
        op_case_in(&c, T_U8(DIMS(3), 16, 4, 1));
        op_case_in(&c, T_U8(DIMS(3), 1, 2, 9));
        op_case_out(&c, left ? T_U8(DIMS(3), 32, 16, 0) : T_U8(DIMS(3), 8, 1, 0));
        op_case_check(&c);
    }
}

static void test_kinds(void **state) {
    (void)state;
    struct op_case c = op_case("is_nan", 13);
    op_case_in(&c, T_F32(DIMS(3), 1, NAN, INFINITY));
    op_case_out(&c, T_BOOL(DIMS(3), 0, 1, 0));
    op_case_check(&c);
    c = op_case("is_inf", 10);
    op_case_int(&c, "detect_negative", 0);
    op_case_in(&c, T_F32(DIMS(3), -INFINITY, NAN, INFINITY));
    op_case_out(&c, T_BOOL(DIMS(3), 0, 0, 1));
    op_case_check(&c);
}

static void test_where(void **state) {
    (void)state;
    struct op_case c = op_case("where", 16);
    op_case_in(&c, T_BOOL(DIMS(2, 1), 1, 0));
    op_case_in(&c, T_I64(DIMS(2), 1, 2));
    op_case_in(&c, T_I64(SCALAR, 9));
    op_case_out(&c, T_I64(DIMS(2, 2), 1, 2, 9, 9));
    op_case_check(&c);
    c = op_case("where", 16);
    op_case_in(&c, T_BOOL(DIMS(2), 1, 0));
    op_case_in(&c, T_STR(DIMS(2), LIT("a"), LIT("b")));
    op_case_in(&c, T_STR(DIMS(2), LIT("c"), LIT("d")));
    op_case_out(&c, T_STR(DIMS(2), LIT("a"), LIT("d")));
    op_case_check(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_compare), cmocka_unit_test(test_logic), cmocka_unit_test(test_bits),
        cmocka_unit_test(test_kinds),   cmocka_unit_test(test_where),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
