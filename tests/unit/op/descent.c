/* SPDX-License-Identifier: Apache-2.0 */
/* Cases of adagrad, adam, momentum. */
#include "op/descent.c"

#include "op_case.h"

static void one_step_each(void **state) {
    (void)state;
    struct op_case ada = op_case("adagrad", 1), adam_ = op_case("adam", 1),
                   heavy = op_case("momentum", 1);
    struct op_case *all[] = {&ada, &adam_, &heavy};
    for (int k = 0; k < 3; k++) {
        op_case_in(all[k], T_F32(SCALAR, 0.5F));
        op_case_in(all[k], T_I64(SCALAR, 0));
        op_case_in(all[k], T_F32(DIMS(1), 1));
        op_case_in(all[k], T_F32(DIMS(1), 3));
        op_case_in(all[k], T_F32(DIMS(1), k == 0 ? 7 : 2));
    }
    op_case_float(&ada, "epsilon", 0);
    op_case_out(&ada, T_F32(DIMS(1), 1 - 0.5F * 3 / 4));
    op_case_out(&ada, T_F32(DIMS(1), 16));
    op_case_check(&ada);
    op_case_float(&adam_, "alpha", 0.5F);
    op_case_float(&adam_, "beta", 0.5F);
    op_case_float(&adam_, "epsilon", 0);
    op_case_in(&adam_, T_F32(DIMS(1), 9)); /* H */
    op_case_out(&adam_, T_F32(DIMS(1), 1 - 0.5F * 2.5F / 3));
    op_case_out(&adam_, T_F32(DIMS(1), 2.5F));
    op_case_out(&adam_, T_F32(DIMS(1), 9));
    op_case_check(&adam_);
    op_case_float(&heavy, "alpha", 0.5F);
    op_case_float(&heavy, "beta", 0.1F); /* taken as 1 in the first step */
    op_case_float(&heavy, "norm_coefficient", 1);
    op_case_str(&heavy, "mode", "standard");
    op_case_out(&heavy, T_F32(DIMS(1), 1 - 0.5F * 5));
    op_case_out(&heavy, T_F32(DIMS(1), 5));
    op_case_check(&heavy);
}

static void operands_must_come_in_sets(void **state) {
    (void)state;
    struct op_case c = op_case("adagrad", 1);
    op_case_in(&c, T_F32(SCALAR, 0.5F));
    op_case_in(&c, T_I64(SCALAR, 0));
    op_case_in(&c, T_F32(DIMS(1), 1));
    op_case_in(&c, T_F32(DIMS(1), 1));
    op_case_out(&c, T_F32(DIMS(1), 1));
    op_case_refuse(&c, ERR_FORMAT, "4 inputs and 1 outputs");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(one_step_each),
                                       cmocka_unit_test(operands_must_come_in_sets)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
