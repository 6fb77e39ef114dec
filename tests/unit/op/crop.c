/* SPDX-License-Identifier: Apache-2.0 */
/* Cases of crop_and_resize. */
#include "op/crop.c"

#include "op_case.h"

static struct op_case crop_of(const char *mode, int64_t picture, int32_t height, int32_t width) {
    struct op_case c = op_case("crop_and_resize", 1);
    op_case_str(&c, "mode", mode);
    op_case_float(&c, "extrapolation_value", 9);
    op_case_in(&c, T_F32(DIMS(1, 1, 3, 3), 0, 1, 2, 3, 4, 5, 6, 7, 8));
    op_case_in(&c, T_F32(DIMS(1, 4), 0, 0.25F, 1, 1.25F));
    op_case_in(&c, T_I32(DIMS(1), (int32_t)picture));
    op_case_in(&c, T_I32(DIMS(2), height, width));
    return c;
}

static void between_pixels_and_outside(void **state) {
    (void)state;
    struct op_case c = crop_of("bilinear", 0, 2, 3), near = crop_of("nearest", 0, 2, 3),
                   one = crop_of("bilinear", 0, 1, 1);
    op_case_out(&c, T_F32(DIMS(1, 1, 2, 3), 0.5F, 1.5F, 9, 6.5F, 7.5F, 9));
    op_case_check(&c);
    op_case_out(&near, T_F32(DIMS(1, 1, 2, 3), 1, 2, 9, 7, 8, 9)); /* halves away from 0 */
    op_case_check(&near);
    op_case_out(&one, T_F32(DIMS(1, 1, 1, 1), 4.5F)); /* the middle */
    op_case_check(&one);
}

static void refuses(void **state) {
    (void)state;
    struct op_case far = crop_of("bilinear", 1, 2, 2), empty = crop_of("bilinear", 0, 0, 2),
                   mode = crop_of("cubic", 0, 1, 1);
    op_case_out(&far, T_F32(DIMS(1, 1, 2, 2), 0, 0, 0, 0));
    op_case_refuse(&far, ERR_INVALID, "box 0 is of picture 1 of 1");
    op_case_out(&empty, T_F32(DIMS(1, 1, 1, 2), 0, 0));
    op_case_refuse(&empty, ERR_INVALID, "a height and a width");
    op_case_out(&mode, T_F32(DIMS(1, 1, 1, 1), 0));
    op_case_refuse(&mode, ERR_FORMAT, "mode 'cubic'");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(between_pixels_and_outside),
        cmocka_unit_test(refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
