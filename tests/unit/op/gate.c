/* SPDX-License-Identifier: Apache-2.0 */
/* Cases of swi_glu. */
#include "op/gate.c"

#include "op_case.h"

static void gates(void **state) {
    (void)state;
    struct op_case c = op_case("swi_glu", 28), wide = op_case("swi_glu", 28),
                   wrong = op_case("swi_glu", 28);
    op_case_in(&c, T_F32(DIMS(3), 0, 2, -2));
    op_case_in(&c, T_F32(DIMS(3), 5, 10, 1));
    op_case_out(&c, T_F32(DIMS(3), 0, 17.615942F, -0.23840584F));
    op_case_check(&c);
    op_case_float(&wide, "alpha", 0.5F);
    op_case_in(&wide, T_F64(DIMS(1), 2));
    op_case_in(&wide, T_F64(DIMS(1), 3));
    op_case_out(&wide, T_F64(DIMS(1), 4.386351471783549));
    op_case_check(&wide);
    op_case_in(&wrong, T_F32(DIMS(2), 1, 2));
    op_case_in(&wrong, T_F32(DIMS(1), 1));
    op_case_out(&wrong, T_F32(DIMS(2), 1, 2));
    op_case_refuse(&wrong, ERR_INVALID, "differ in shape");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(gates)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
