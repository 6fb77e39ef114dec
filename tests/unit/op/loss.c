/* SPDX-License-Identifier: Apache-2.0 */
/* Cases of the losses. */
#include "op/loss.c"

#include "op_case.h"

static void nll_reductions(void **state) {
    (void)state;
    struct op_case none = op_case("negative_log_likelihood_loss", 13),
                   sum = op_case("negative_log_likelihood_loss", 13),
                   mean = op_case("negative_log_likelihood_loss", 13);
    struct op_case *all[] = {&none, &sum, &mean};
    static const char *const names[] = {"none", "sum", "mean"};
    for (int k = 0; k < 3; k++) {
        op_case_str(all[k], "reduction", names[k]);
        op_case_int(all[k], "ignore_index", -1);
        op_case_in(all[k], T_F32(DIMS(3, 2), -1, -2, -3, -4, -5, -6));
        op_case_in(all[k], T_I64(DIMS(3), 1, 0, -1));
        op_case_in(all[k], T_F32(DIMS(2), 0.5F, 2));
    }
    op_case_out(&none, T_F32(DIMS(3), 4, 1.5F, 0));
    op_case_out(&sum, T_F32(SCALAR, 5.5F));
    op_case_out(&mean, T_F32(SCALAR, 5.5F / 2.5F));
    for (int k = 0; k < 3; k++)
        op_case_check(all[k]);
}

static void cross_entropy_over_positions(void **state) {
    (void)state;
    struct op_case c = op_case("softmax_cross_entropy_loss", 13);
    op_case_str(&c, "reduction", "none");
    op_case_in(&c, T_F32(DIMS(1, 2, 2), 0, 1000, 0, 0)); /* (N, C, D) */
    op_case_in(&c, T_I32(DIMS(1, 2), 0, 1));
    op_case_out(&c, T_F32(DIMS(1, 2), logf(2), 1000));
    op_case_out(&c, T_F32(DIMS(1, 2, 2), -logf(2), 0, -logf(2), -1000));
    op_case_check(&c);
}

static void targets_are_hostile(void **state) {
    (void)state;
    static const int64_t wrong[] = {2, -1, INT64_MAX};
    for (int k = 0; k < 3; k++) {
        struct op_case c = op_case("negative_log_likelihood_loss", 13);
        op_case_in(&c, T_F32(DIMS(1, 2), 0, 0));
        op_case_in(&c, T_I64(DIMS(1), wrong[k]));
        op_case_out(&c, T_F32(SCALAR, 0));
        op_case_refuse(&c, ERR_INVALID, "at position 0 of 2 classes");
    }
    struct op_case shape = op_case("softmax_cross_entropy_loss", 13);
    op_case_in(&shape, T_F32(DIMS(2, 2), 0, 0, 0, 0));
    op_case_in(&shape, T_I64(DIMS(1), 0));
    op_case_out(&shape, T_F32(SCALAR, 0));
    op_case_refuse(&shape, ERR_INVALID, "scores [2,2] do not fit targets [1]");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nll_reductions),
        cmocka_unit_test(cross_entropy_over_positions),
        cmocka_unit_test(targets_are_hostile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
