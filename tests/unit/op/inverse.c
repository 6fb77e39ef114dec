/* SPDX-License-Identifier: Apache-2.0 */
/* Cases of inverse. */
#include "op/inverse.c"

#include "op_case.h"

static void batches(void **state) {
    (void)state;
    struct op_case c = op_case("inverse", 1);
    op_case_in(&c, T_F32(DIMS(2, 2, 2), 0, 2, 4, 0, 1, 2, 3, 4)); /* the first needs a pivot */
    op_case_out(&c, T_F32(DIMS(2, 2, 2), 0, 0.25F, 0.5F, 0, -2, 1, 1.5F, -0.5F));
    op_case_check(&c);
    struct op_case none = op_case("inverse", 1);
    op_case_in(&none, (struct tensor){.dtype = DT_F32, .shape = DIMS(0, 3, 3)});
    op_case_out(&none, (struct tensor){.dtype = DT_F32, .shape = DIMS(0, 3, 3)});
    op_case_check(&none);
}

static void what_has_none(void **state) {
    (void)state;
    struct op_case c = op_case("inverse", 1);
    op_case_in(&c, T_F32(DIMS(1, 1), 0));
    op_case_out(&c, T_F32(DIMS(1, 1), INFINITY));
    op_case_check(&c);
    struct op_case oblong = op_case("inverse", 1);
    op_case_in(&oblong, T_F32(DIMS(1, 2), 1, 2));
    op_case_out(&oblong, T_F32(DIMS(1, 2), 0, 0));
    op_case_refuse(&oblong, ERR_INVALID, "square");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(batches), cmocka_unit_test(what_has_none)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
