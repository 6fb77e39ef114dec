/* SPDX-License-Identifier: Apache-2.0 */
/* Cases of slice, center_crop_pad, trilu, reverse_sequence. */
#include "op/slice.c"

#include "op_case.h"

/* numpy's x[start:end:step] of 0 .. 4 */
static void one_axis(int64_t start, int64_t end, int64_t step, int n, const float *want) {
    struct op_case c = op_case("slice", 13);
    op_case_in(&c, T_F32(DIMS(5), 0, 1, 2, 3, 4));
    op_case_in(&c, T_I64(DIMS(1), start));
    op_case_in(&c, T_I64(DIMS(1), end));
    op_case_in(&c, T_ABSENT);
    op_case_in(&c, T_I64(DIMS(1), step));
    op_case_out(
        &c, (struct tensor){.dtype = DT_F32, .shape = DIMS(n), .data = (float *)(uintptr_t)want});
    op_case_check(&c);
}

static void as_numpy_counts(void **state) {
    (void)state;
    one_axis(1, 3, 1, 2, (float[]){1, 2});
    one_axis(-3, INT64_MAX, 1, 3, (float[]){2, 3, 4});
    one_axis(-99, 99, 2, 3, (float[]){0, 2, 4});
    one_axis(3, 1, 1, 0, NULL);
    one_axis(4, 0, -1, 4, (float[]){4, 3, 2, 1});
    one_axis(-1, INT64_MIN, -2, 3, (float[]){4, 2, 0});
    one_axis(INT64_MAX, INT64_MIN, INT64_MIN, 1, (float[]){4});
    one_axis(0, INT64_MAX, INT64_MAX, 1, (float[]){0});
    one_axis(2, -2, -1, 0, NULL);
    one_axis(-99, INT64_MIN, -1, 1, (float[]){0});
}

static void several_axes(void **state) {
    (void)state;
    for (int opset = 1; opset <= 13; opset += 12) {
        struct op_case c = op_case("slice", opset);
        op_case_in(&c, T_U8(DIMS(2, 3, 2), 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11));
        if (opset < 10) {
            op_case_ints(&c, "starts", 2, (int64_t[]){1, 1});
            op_case_ints(&c, "ends", 2, (int64_t[]){3, 2});
            op_case_ints(&c, "axes", 2, (int64_t[]){1, 2});
        } else {
            op_case_in(&c, T_I32(DIMS(2), 1, 1));
            op_case_in(&c, T_I32(DIMS(2), 3, 2));
            op_case_in(&c, T_I32(DIMS(2), 1, -1));
        }
        op_case_out(&c, T_U8(DIMS(2, 2, 1), 3, 5, 9, 11));
        op_case_check(&c);
    }
}

static void slice_refuses(void **state) {
    (void)state;
    struct op_case zero = op_case("slice", 13), axis = op_case("slice", 13);
    op_case_in(&zero, T_F32(DIMS(1), 1));
    op_case_in(&zero, T_I64(DIMS(1), 0));
    op_case_in(&zero, T_I64(DIMS(1), 1));
    op_case_in(&zero, T_I64(DIMS(1), 0));
    op_case_in(&zero, T_I64(DIMS(1), 0));
    op_case_out(&zero, T_F32(DIMS(1), 1));
    op_case_refuse(&zero, ERR_INVALID, "step of axis 0 is 0");
    op_case_in(&axis, T_F32(DIMS(1), 1));
    op_case_in(&axis, T_I64(DIMS(1), 0));
    op_case_in(&axis, T_I64(DIMS(1), 1));
    op_case_in(&axis, T_I64(DIMS(1), 5));
    op_case_out(&axis, T_F32(DIMS(1), 1));
    op_case_refuse(&axis, ERR_INVALID, "axis 5 is outside a tensor of rank 1");
}

static void center_crop_pad_keeps_the_middle(void **state) {
    (void)state;
    struct op_case c = op_case("center_crop_pad", 18), one = op_case("center_crop_pad", 18);
    op_case_in(&c, T_F32(DIMS(3, 2), 1, 2, 3, 4, 5, 6));
    op_case_in(&c, T_I64(DIMS(2), 1, 5));
    op_case_out(&c, T_F32(DIMS(1, 5), 0, 3, 4, 0, 0));
    op_case_check(&c);
    op_case_ints(&one, "axes", 1, (int64_t[]){-1});
    op_case_in(&one, T_F32(DIMS(2, 3), 1, 2, 3, 4, 5, 6));
    op_case_in(&one, T_I64(DIMS(1), 2));
    op_case_out(&one, T_F32(DIMS(2, 2), 1, 2, 4, 5));
    op_case_check(&one);
}

static void trilu_keeps_a_triangle(void **state) {
    (void)state;
    struct op_case upper = op_case("trilu", 14), lower = op_case("trilu", 14),
                   far = op_case("trilu", 14);
    op_case_in(&upper, T_I64(DIMS(2, 3), 1, 2, 3, 4, 5, 6));
    op_case_out(&upper, T_I64(DIMS(2, 3), 1, 2, 3, 0, 5, 6));
    op_case_check(&upper);
    op_case_int(&lower, "upper", 0);
    op_case_in(&lower, T_I64(DIMS(2, 3), 1, 2, 3, 4, 5, 6));
    op_case_in(&lower, T_I64(SCALAR, -1));
    op_case_out(&lower, T_I64(DIMS(2, 3), 0, 0, 0, 4, 0, 0));
    op_case_check(&lower);
    op_case_in(&far, T_I64(DIMS(2, 3), 1, 2, 3, 4, 5, 6));
    op_case_in(&far, T_I64(SCALAR, INT64_MAX));
    op_case_out(&far, T_I64(DIMS(2, 3), 0, 0, 0, 0, 0, 0));
    op_case_check(&far);
}

static void reverse_sequence_turns_each_entry(void **state) {
    (void)state;
    struct op_case c = op_case("reverse_sequence", 10), wrong = op_case("reverse_sequence", 10);
    op_case_int(&c, "time_axis", 1);
    op_case_int(&c, "batch_axis", 0);
    op_case_in(&c, T_F32(DIMS(2, 3), 1, 2, 3, 4, 5, 6));
    op_case_in(&c, T_I64(DIMS(2), 2, 3));
    op_case_out(&c, T_F32(DIMS(2, 3), 2, 1, 3, 6, 5, 4));
    op_case_check(&c);
    op_case_in(&wrong, T_F32(DIMS(2, 1), 1, 2));
    op_case_in(&wrong, T_I64(DIMS(1), 3));
    op_case_out(&wrong, T_F32(DIMS(2, 1), 1, 2));
    op_case_refuse(&wrong, ERR_INVALID, "sequence_lens[0] is 3");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_numpy_counts),
        cmocka_unit_test(several_axes),
        cmocka_unit_test(slice_refuses),
        cmocka_unit_test(center_crop_pad_keeps_the_middle),
        cmocka_unit_test(trilu_keeps_a_triangle),
        cmocka_unit_test(reverse_sequence_turns_each_entry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
