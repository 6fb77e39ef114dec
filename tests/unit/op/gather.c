/* SPDX-License-Identifier: Apache-2.0 */
/* Cases of gather and its kin. */
#include "op/gather.c"

#include "op_case.h"

static void gather_takes_slices(void **state) {
    (void)state;
    struct op_case c = op_case("gather", 13), inner = op_case("gather", 13);
    op_case_in(&c, T_F32(DIMS(3, 2), 1, 2, 3, 4, 5, 6));
    op_case_in(&c, T_I64(DIMS(2, 2), 0, -1, 1, 2));
    op_case_out(&c, T_F32(DIMS(2, 2, 2), 1, 2, 5, 6, 3, 4, 5, 6));
    op_case_check(&c);
    op_case_int(&inner, "axis", -1);
    op_case_in(&inner, T_STR(DIMS(1, 3), LIT("a"), LIT("b"), LIT("c")));
    op_case_in(&inner, T_I32(SCALAR, 2));
    op_case_out(&inner, T_STR(DIMS(1), LIT("c")));
    op_case_check(&inner);
}

static void gather_checks_every_index(void **state) {
    (void)state;
    static const int64_t wrong[] = {2, -3, INT64_MAX, INT64_MIN};
    for (int k = 0; k < 4; k++) {
        struct op_case c = op_case("gather", 13), el = op_case("gather_elements", 13),
                       nd = op_case("gather_nd", 13),
                       columns = op_case("array_feature_extractor", 1);
        struct op_case *all[] = {&c, &el, &nd, &columns};
        for (int i = 0; i < 4; i++) {
            op_case_in(all[i], T_F32(DIMS(2), 1, 2));
            op_case_in(all[i], T_I64(DIMS(1), wrong[k]));
            op_case_out(all[i], i == 2   ? T_F32(SCALAR, 1)
                                : i == 3 ? T_F32(DIMS(1, 1), 1)
                                         : T_F32(DIMS(1), 1));
            op_case_refuse(all[i], ERR_INVALID, "at position 0 is outside an axis of 2");
        }
    }
}

static void gather_elements_picks_one_each(void **state) {
    (void)state;
    struct op_case c = op_case("gather_elements", 13), wide = op_case("gather_elements", 13);
    op_case_int(&c, "axis", 1);
    op_case_in(&c, T_I16(DIMS(2, 2), 1, 2, 3, 4));
    op_case_in(&c, T_I32(DIMS(2, 3), 0, 0, -1, 1, 0, 0));
    op_case_out(&c, T_I16(DIMS(2, 3), 1, 1, 2, 4, 3, 3));
    op_case_check(&c);
    op_case_in(&wide, T_F32(DIMS(1, 1), 1));
    op_case_in(&wide, T_I64(DIMS(1, 2), 0, 0));
    op_case_out(&wide, T_F32(DIMS(1, 2), 1, 1));
    op_case_refuse(&wide, ERR_INVALID, "do not fit data");
}

static void gather_nd_follows_coordinates(void **state) {
    (void)state;
    struct op_case c = op_case("gather_nd", 13), batch = op_case("gather_nd", 13);
    op_case_in(&c, T_F32(DIMS(2, 2), 1, 2, 3, 4));
    op_case_in(&c, T_I64(DIMS(2, 2), 0, 0, 1, -1));
    op_case_out(&c, T_F32(DIMS(2), 1, 4));
    op_case_check(&c);
    op_case_int(&batch, "batch_dims", 1);
    op_case_in(&batch, T_F32(DIMS(2, 2, 2), 0, 1, 2, 3, 4, 5, 6, 7));
    op_case_in(&batch, T_I64(DIMS(2, 1), 1, 0));
    op_case_out(&batch, T_F32(DIMS(2, 2), 2, 3, 4, 5));
    op_case_check(&batch);
    struct op_case wrong = op_case("gather_nd", 13);
    op_case_int(&wrong, "batch_dims", 3);
    op_case_in(&wrong, T_F32(DIMS(2), 1, 2));
    op_case_in(&wrong, T_I64(DIMS(1, 1), 0));
    op_case_out(&wrong, T_F32(DIMS(1), 1));
    op_case_refuse(&wrong, ERR_INVALID, "batch_dims 3");
}

static void compress_keeps_what_holds(void **state) {
    (void)state;
    struct op_case c = op_case("compress", 11), flat = op_case("compress", 11),
                   wrong = op_case("compress", 11);
    op_case_int(&c, "axis", 1);
    op_case_in(&c, T_F32(DIMS(2, 3), 1, 2, 3, 4, 5, 6));
    op_case_in(&c, T_BOOL(DIMS(2), 0, 1));
    op_case_out(&c, T_F32(DIMS(2, 1), 2, 5));
    op_case_check(&c);
    op_case_in(&flat, T_F32(DIMS(2, 3), 1, 2, 3, 4, 5, 6));
    op_case_in(&flat, T_BOOL(DIMS(5), 0, 1, 0, 0, 1));
    op_case_out(&flat, T_F32(DIMS(2), 2, 5));
    op_case_check(&flat);
    op_case_in(&wrong, T_F32(DIMS(1), 1));
    op_case_in(&wrong, T_BOOL(DIMS(3), 0, 0, 1));
    op_case_out(&wrong, T_F32(DIMS(1), 1));
    op_case_refuse(&wrong, ERR_INVALID, "selects position 2 of 1");
}

static void one_hot_ignores_what_is_outside(void **state) {
    (void)state;
    struct op_case c = op_case("one_hot", 11), bomb = op_case("one_hot", 11);
    op_case_int(&c, "axis", 0);
    op_case_in(&c, T_I64(DIMS(3), 1, -1, 7));
    op_case_in(&c, T_I64(SCALAR, 2));
    op_case_in(&c, T_F32(DIMS(2), 0, 5));
    op_case_out(&c, T_F32(DIMS(2, 3), 0, 0, 0, 5, 5, 0));
    op_case_check(&c);
    op_case_in(&bomb, T_I64(DIMS(2), 0, 0));
    op_case_in(&bomb, T_I64(SCALAR, INT64_MAX));
    op_case_in(&bomb, T_F32(DIMS(2), 0, 5));
    op_case_out(&bomb, T_F32(DIMS(2), 0, 5));
    op_case_refuse(&bomb, ERR_INVALID, "depth is");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gather_takes_slices),
        cmocka_unit_test(gather_checks_every_index),
        cmocka_unit_test(gather_elements_picks_one_each),
        cmocka_unit_test(gather_nd_follows_coordinates),
        cmocka_unit_test(compress_keeps_what_holds),
        cmocka_unit_test(one_hot_ignores_what_is_outside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
