/* SPDX-License-Identifier: Apache-2.0 */
/* Cases of cum_sum, cum_prod, det. */
#include "op/cumulate.c"

#include "op_case.h"

static void running(const char *op, bool exclusive, bool reverse, float a, float b, float d) {
    struct op_case c = op_case(op, 26), columns = op_case(op, 26);
    struct op_case *both[] = {&c, &columns};
    for (int k = 0; k < 2; k++) {
        op_case_int(both[k], "exclusive", exclusive);
        op_case_int(both[k], "reverse", reverse);
    }
    op_case_in(&c, T_F32(DIMS(1, 3), 2, 3, 4));
    op_case_in(&c, T_I32(SCALAR, -1));
    op_case_out(&c, T_F32(DIMS(1, 3), a, b, d));
    op_case_check(&c);
    op_case_in(&columns, T_I64(DIMS(3, 2), 2, 2, 3, 3, 4, 4));
    op_case_in(&columns, T_I64(SCALAR, 0));
    op_case_out(&columns, T_I64(DIMS(3, 2), (int64_t)a, (int64_t)a, (int64_t)b, (int64_t)b,
                                (int64_t)d, (int64_t)d));
    op_case_check(&columns);
}

static void totals_every_way(void **state) {
    (void)state;
    running("cum_sum", false, false, 2, 5, 9);
    running("cum_sum", true, false, 0, 2, 5);
    running("cum_sum", false, true, 9, 7, 4);
    running("cum_sum", true, true, 7, 4, 0);
    running("cum_prod", false, false, 2, 6, 24);
    running("cum_prod", true, false, 1, 2, 6);
    running("cum_prod", false, true, 24, 12, 4);
    running("cum_prod", true, true, 12, 4, 1);
}

static void an_axis_outside_is_refused(void **state) {
    (void)state;
    struct op_case c = op_case("cum_sum", 14);
    op_case_in(&c, T_F32(DIMS(2), 2, 3));
    op_case_in(&c, T_I64(SCALAR, 1));
    op_case_out(&c, T_F32(DIMS(2), 2, 5));
    op_case_refuse(&c, ERR_INVALID, "axis 1 is outside a tensor of rank 1");
}

static void determinants(void **state) {
    (void)state;
    struct op_case c = op_case("det", 22), wrong = op_case("det", 22);
    op_case_in(&c, T_F32(DIMS(3, 2, 2), 0, 1, 2, 3, 1, 2, 2, 4, 5, 0, 0, 2));
    op_case_out(&c, T_F32(DIMS(3), -2, 0, 10));
    op_case_check(&c);
    op_case_in(&wrong, T_F32(DIMS(1, 2), 1, 2));
    op_case_out(&wrong, T_F32(SCALAR, 1));
    op_case_refuse(&wrong, ERR_INVALID, "square");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(totals_every_way),
        cmocka_unit_test(an_axis_outside_is_refused),
        cmocka_unit_test(determinants),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
