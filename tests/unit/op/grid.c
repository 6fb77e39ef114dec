/* SPDX-License-Identifier: Apache-2.0 */
/* Cases of grid_sample, affine_grid, deform_conv. */
#include "op/grid.c"

#include "op_case.h"

static void one_point(const char *mode, const char *pad, bool corners, float x, float want) {
    struct op_case c = op_case("grid_sample", 20);
    op_case_str(&c, "mode", mode);
    op_case_str(&c, "padding_mode", pad);
    op_case_int(&c, "align_corners", corners);
    op_case_in(&c, T_F32(DIMS(1, 1, 1, 4), 0, 10, 20, 30));
    op_case_in(&c, T_F32(DIMS(1, 1, 1, 2), x, 0));
    op_case_out(&c, T_F32(DIMS(1, 1, 1, 1), want));
    op_case_check(&c);
}

static void samples_of_a_row(void **state) {
    (void)state;
    one_point("linear", "zeros", true, -1, 0);
    one_point("linear", "zeros", true, 0, 15);
    one_point("linear", "zeros", false, 0.5F, 25);
    one_point("linear", "zeros", false, 1, 15); /* half of it lies outside */
    one_point("linear", "border", false, 1, 30);
    one_point("linear", "border", false, 99, 30);
    one_point("linear", "reflection", true, 5.0F / 3, 20);
    one_point("nearest", "zeros", true, 0.9F, 30);
    one_point("nearest", "zeros", true, 9, 0);
    one_point("cubic", "border", true, 1.0F / 3, 20);
    one_point("bicubic", "zeros", true, 0, 15 + 0.09375F * 10 * 0);
}

static void coordinates_are_hostile(void **state) {
    (void)state;
    static const char *const modes[] = {"linear", "nearest", "cubic"}, *const pads[] = {
                                                                           "zeros", "border",
                                                                           "reflection"};
    static const float wrong[] = {NAN, INFINITY, -INFINITY, 1e30F, -1e30F, 1e9F};
    for (int m = 0; m < 3; m++)
        for (int p = 0; p < 3; p++)
            for (int k = 0; k < 6; k++) {
                struct op_case c = op_case("grid_sample", 20);
                op_case_str(&c, "mode", modes[m]);
                op_case_str(&c, "padding_mode", pads[p]);
                op_case_in(&c, T_F32(DIMS(1, 1, 1, 2), 1, 2));
                op_case_in(&c, T_F32(DIMS(1, 1, 1, 2), wrong[k], wrong[5 - k]));
                op_case_out(&c, T_EMPTY(DT_F32, DIMS(1, 1, 1, 1)));
                op_case_run(&c);
                assert_true(isfinite(*(const float *)c.got[0].data));
                arena_deinit(&c.arena);
            }
}

static void a_volume_and_a_signal(void **state) {
    (void)state;
    struct op_case volume = op_case("grid_sample", 20), wrong = op_case("grid_sample", 20);
    op_case_int(&volume, "align_corners", 1);
    op_case_in(&volume, T_F32(DIMS(1, 1, 2, 2, 2), 0, 1, 2, 3, 4, 5, 6, 7));
    op_case_in(&volume, T_F32(DIMS(1, 1, 1, 2, 3), 1, -1, -1, 0, 0, 0)); /* x y z */
    op_case_out(&volume, T_F32(DIMS(1, 1, 1, 1, 2), 1, 3.5F));
    op_case_check(&volume);
    op_case_in(&wrong, T_F32(DIMS(1, 1, 1, 1), 0));
    op_case_in(&wrong, T_F32(DIMS(1, 1, 1, 3), 0, 0, 0));
    op_case_out(&wrong, T_F32(DIMS(1, 1, 1, 1), 0));
    op_case_refuse(&wrong, ERR_INVALID, "a grid of shape [1,1,1,3]");
}

static void affine_grid_of_the_identity(void **state) {
    (void)state;
    struct op_case c = op_case("affine_grid", 20);
    op_case_int(&c, "align_corners", 1);
    op_case_in(&c, T_F32(DIMS(1, 2, 3), 1, 0, 0, 0, 1, 0.5F));
    op_case_in(&c, T_I64(DIMS(4), 1, 1, 2, 2));
    op_case_out(&c, T_F32(DIMS(1, 2, 2, 2), -1, -0.5F, 1, -0.5F, -1, 1.5F, 1, 1.5F));
    op_case_check(&c);
}

static void deform_conv_without_offsets_is_a_convolution(void **state) {
    (void)state;
    struct op_case c = op_case("deform_conv", 19), moved = op_case("deform_conv", 19),
                   wrong = op_case("deform_conv", 19);
    op_case_in(&c, T_F32(DIMS(1, 1, 2, 3), 1, 2, 3, 4, 5, 6));
    op_case_in(&c, T_F32(DIMS(1, 1, 2, 2), 1, 10, 100, 1000));
    op_case_in(&c, T_F32(DIMS(1, 8, 1, 2), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0));
    op_case_in(&c, T_F32(DIMS(1), 0.5F));
    op_case_in(&c, T_F32(DIMS(1, 4, 1, 2), 1, 1, 1, 1, 1, 1, 1, 0));
    op_case_out(&c, T_F32(DIMS(1, 1, 1, 2), 5421.5F, 532.5F));
    op_case_check(&c);
    op_case_in(&moved, T_F32(DIMS(1, 1, 1, 3), 1, 2, 3));
    op_case_in(&moved, T_F32(DIMS(1, 1, 1, 1), 2));
    op_case_in(&moved, T_F32(DIMS(1, 2, 1, 3), 0, 0, 9, 0.5F, 1, 0)); /* rows, then columns */
    op_case_out(&moved, T_F32(DIMS(1, 1, 1, 3), 3, 6, 0));
    op_case_check(&moved);
    op_case_in(&wrong, T_F32(DIMS(1, 1, 1, 1), 1));
    op_case_in(&wrong, T_F32(DIMS(1, 1, 1, 1), 2));
    op_case_in(&wrong, T_F32(DIMS(1, 4, 1, 1), 0, 0, 0, 0));
    op_case_out(&wrong, T_F32(DIMS(1, 1, 1, 1), 0));
    op_case_refuse(&wrong, ERR_INVALID, "do not fit each other");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_of_a_row),
        cmocka_unit_test(coordinates_are_hostile),
        cmocka_unit_test(a_volume_and_a_signal),
        cmocka_unit_test(affine_grid_of_the_identity),
        cmocka_unit_test(deform_conv_without_offsets_is_a_convolution),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
