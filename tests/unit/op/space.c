/* SPDX-License-Identifier: Apache-2.0 */
/* Cases of depth_to_space, space_to_depth, col2im. */
#include "op/space.c"

#include "op_case.h"

/* Both directions, both modes: the flat image must hold what the definition says. */
static void moves_blocks(void **state) {
    (void)state;
    for (int crd = 0; crd < 2; crd++) {
        struct op_case to = op_case("depth_to_space", 13), back = op_case("space_to_depth", 28);
        struct tensor deep = op_case_random(&to, DT_F32, DIMS(2, 12, 3, 5), 5), flat;
        struct err e;
        assert_int_equal(tensor_new(&to.arena, DT_F32, &DIMS(2, 3, 6, 10), &flat, &e), OK);
        for (int n = 0; n < 2; n++)
            for (int ch = 0; ch < 12; ch++)
                for (int y = 0; y < 3; y++)
                    for (int x = 0; x < 5; x++) {
                        int c = crd ? ch / 4 : ch % 3, by = crd ? ch / 2 % 2 : ch / 6,
                            bx = crd ? ch % 2 : ch / 3 % 2;
                        ((float *)flat.data)[((n * 3 + c) * 6 + y * 2 + by) * 10 + x * 2 + bx] =
                            ((const float *)deep.data)[((n * 12 + ch) * 3 + y) * 5 + x];
                    }
        op_case_int(&to, "blocksize", 2);
        op_case_int(&back, "blocksize", 2);
        op_case_str(&to, "mode", crd ? "CRD" : "DCR");
        op_case_str(&back, "mode", crd ? "CRD" : "DCR");
        op_case_in(&back, flat);
        op_case_out(&back, deep);
        op_case_in(&to, deep);
        op_case_out(&to, flat);
        op_case_check(&to);
        op_case_check(&back);
    }
}

static void refuses_blocks_that_do_not_fit(void **state) {
    (void)state;
    struct op_case c = op_case("depth_to_space", 13), zero = op_case("space_to_depth", 13);
    op_case_int(&c, "blocksize", 2);
    op_case_in(&c, T_F32(DIMS(1, 2, 1, 1), 1, 2));
    op_case_out(&c, T_F32(DIMS(1, 2, 1, 1), 1, 2));
    op_case_refuse(&c, ERR_INVALID, "2 channels are not a multiple of 4");
    op_case_in(&zero, T_F32(DIMS(1, 2, 1, 1), 1, 2));
    op_case_out(&zero, T_F32(DIMS(1, 2, 1, 1), 1, 2));
    op_case_refuse(&zero, ERR_INVALID, "blocksize is 0");
}

static void col2im_adds_overlaps(void **state) {
    (void)state;
    struct op_case c = op_case("col2im", 18), wrong = op_case("col2im", 18);
    op_case_in(
        &c, T_F32(DIMS(1, 2, 2), 1, 2, 3, 4)); /* blocks (1,2) at columns 0 and 1 of a row of 3 */
    op_case_in(&c, T_I64(DIMS(2), 1, 3));
    op_case_in(&c, T_I64(DIMS(2), 1, 2));
    op_case_out(&c, T_F32(DIMS(1, 1, 1, 3), 1, 2 + 3, 4));
    op_case_check(&c);
    op_case_in(&wrong, T_F32(DIMS(1, 2, 2), 1, 2, 3, 4));
    op_case_in(&wrong, T_I64(DIMS(2), 1, 4));
    op_case_in(&wrong, T_I64(DIMS(2), 1, 2));
    op_case_out(&wrong, T_F32(DIMS(1, 1, 1, 3), 1, 1, 1));
    op_case_refuse(&wrong, ERR_INVALID, "does not hold 3 columns of 2");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(moves_blocks),
        cmocka_unit_test(refuses_blocks_that_do_not_fit),
        cmocka_unit_test(col2im_adds_overlaps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
