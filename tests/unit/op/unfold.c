/* SPDX-License-Identifier: Apache-2.0 */
/* Cases of unfold. */
#include "op/unfold.c"

#include "op_case.h"

static void slices(void **state) {
    (void)state;
    struct op_case last = op_case("unfold", 1), first = op_case("unfold", 1),
                   words = op_case("unfold", 1);
    op_case_int(&last, "size", 2);
    op_case_int(&last, "step", 2);
    op_case_in(&last, T_F32(DIMS(1, 5), 1, 2, 3, 4, 5));
    op_case_out(&last, T_F32(DIMS(1, 2, 2), 1, 2, 3, 4));
    op_case_check(&last);
    op_case_int(&first, "size", 2);
    op_case_int(&first, "dim", 0);
    op_case_in(&first, T_I8(DIMS(3, 2), 1, 2, 3, 4, 5, 6));
    op_case_out(&first, T_I8(DIMS(2, 2, 2), 1, 3, 2, 4, 3, 5, 4, 6));
    op_case_check(&first);
    op_case_int(&words, "size", 2);
    op_case_in(&words, T_STR(DIMS(3), LIT("a"), LIT("bc"), LIT("d")));
    op_case_out(&words, T_STR(DIMS(2, 2), LIT("a"), LIT("bc"), LIT("bc"), LIT("d")));
    op_case_check(&words);
}

static void refuses(void **state) {
    (void)state;
    const int64_t wrong[][3] = {{3, 1, -1}, {0, 1, -1}, {1, 0, -1}, {INT64_MAX, 1, -1}, {1, 1, 2}};
    for (size_t k = 0; k < sizeof wrong / sizeof *wrong; k++) {
        struct op_case c = op_case("unfold", 1);
        op_case_int(&c, "size", wrong[k][0]);
        op_case_int(&c, "step", wrong[k][1]);
        op_case_int(&c, "dim", wrong[k][2]);
        op_case_in(&c, T_F32(DIMS(1, 2), 1, 2));
        op_case_out(&c, T_F32(DIMS(1, 1, 1), 1));
        op_case_refuse(&c, ERR_INVALID, k == 4 ? "axis" : "every");
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slices),
        cmocka_unit_test(refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
