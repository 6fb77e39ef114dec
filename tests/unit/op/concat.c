/* SPDX-License-Identifier: Apache-2.0 */
/* Cases of concat and split. */
#include "op/concat.c"

#include "op_case.h"

#include <math.h>

static void joins_along_any_axis(void **state) {
    (void)state;
    for (int64_t axis = -4; axis < 4; axis++) {
        struct op_case c = op_case("concat", 13);
        int at = (int)(axis < 0 ? axis + 4 : axis);
        struct tensor part[3], out;
        struct err e;
        struct shape shape = DIMS(2, 3, 4, 5), whole = shape;
        op_case_int(&c, "axis", axis);
        whole.dims[at] = 0;
        for (int k = 0; k < 3; k++) {
            shape.dims[at] = k + 1;
            whole.dims[at] += k + 1;
            part[k] = op_case_random(&c, DT_F32, shape, (uint64_t)k + 3);
            op_case_in(&c, part[k]);
        }
        assert_int_equal(tensor_new(&c.arena, DT_F32, &whole, &out, &e), OK);
        size_t inner = 1, outer = 1, to = 0;
        for (int k = 0; k < 4; k++)
            *(k < at ? &outer : k > at ? &inner : &(size_t){0}) *= (size_t)whole.dims[k];
        for (size_t o = 0; o < outer; o++)
            for (size_t k = 0; k < 3; k++)
                for (size_t i = 0; i < (k + 1) * inner; i++)
                    ((float *)out.data)[to++] =
                        ((const float *)part[k].data)[o * (k + 1) * inner + i];
        op_case_out(&c, out);
        op_case_check(&c);
    }
}

/* What dequantising, joining and quantising would give. */
static uint8_t requantised(int v, float x_scale, int x_zero, float y_scale, int y_zero, int low) {
    const float y = rintf((float)(v - x_zero) * x_scale / y_scale) + (float)y_zero;
    return (uint8_t)(int)fmaxf((float)low, fminf((float)low + 255, y));
}

/* Parts of other scales and zero points. */
static void joins_bytes_of_other_scales(void **state) {
    enum { MOST = 7 };
    (void)state;
    for (int form = 0; form < 4; form++) {
        const bool is_signed = form & 1;
        const enum dtype t = is_signed ? DT_I8 : DT_U8;
        const int n = form & 2 ? MOST : 3;
        struct op_case c = op_case("q_linear_concat", 13);
        static int8_t zeros[MOST + 1];
        struct tensor part, out;
        struct err e;
        op_case_int(&c, "axis", 1);
        assert_int_equal(tensor_new(&c.arena, t, &DIMS(2, 4 * n, 5, 6), &out, &e), OK);
        for (int k = 0; k < n; k++) {
            const float scale = k == 1 ? 0.25f : 0.1f + 0.05f * (float)k;
            zeros[k] = (int8_t)(k == 1 ? 7 : k);
            op_case_in(&c, part = op_case_random(&c, t, DIMS(2, 4, 5, 6), (uint64_t)k));
            for (size_t i = 0; i < 240; i++)
                ((uint8_t *)out.data)[i / 120 * 120 * (size_t)n + (size_t)k * 120 + i % 120] =
                    requantised((int)tensor_i64(&part, i), scale, zeros[k], 0.25f, 7,
                                is_signed ? -128 : 0);
        }
        zeros[n] = 7;
        for (int k = 0; k <= n; k++) {
            op_case_in(&c, T_F32(SCALAR, k == n || k == 1 ? 0.25f : 0.1f + 0.05f * (float)k));
            op_case_in(&c, (struct tensor){.dtype = t, .data = &zeros[k]});
        }
        op_case_out(&c, out);
        op_case_check(&c);
    }
}

static void refuses_bytes_without_a_meaning(void **state) {
    (void)state;
    struct op_case c = op_case("q_linear_concat", 13);
    op_case_int(&c, "axis", 0);
    op_case_in(&c, T_U8(DIMS(2), 1, 2));
    op_case_in(&c, T_F32(SCALAR, 1));
    op_case_in(&c, T_U8(SCALAR, 0));
    op_case_in(&c, T_F32(SCALAR, 0));
    op_case_in(&c, T_U8(SCALAR, 0));
    op_case_out(&c, T_U8(DIMS(2), 0, 0));
    op_case_refuse(&c, ERR_INVALID, "scale of the output");
    c = op_case("q_linear_concat", 13);
    op_case_int(&c, "axis", 0);
    for (int i = 0; i < 6; i++)
        op_case_in(&c, T_U8(DIMS(2), 1, 2));
    op_case_out(&c, T_U8(DIMS(2), 0, 0));
    op_case_refuse(&c, ERR_INVALID, "6 inputs");
    c = op_case("q_linear_concat", 13);
    op_case_int(&c, "axis", 0);
    for (int i = 0; i < 5; i++)
        op_case_in(&c, T_U8(DIMS(1), 1));
    op_case_out(&c, T_U8(DIMS(2), 0, 0));
    op_case_refuse(&c, ERR_INVALID, "f32 was expected");
}

static void refuses_what_does_not_join(void **state) {
    (void)state;
    struct op_case c = op_case("concat", 13);
    op_case_int(&c, "axis", 0);
    op_case_in(&c, T_F32(DIMS(1, 2), 1, 2));
    op_case_in(&c, T_F32(DIMS(1, 1), 1));
    op_case_out(&c, T_F32(DIMS(1), 1));
    op_case_refuse(&c, ERR_INVALID, "input 1 of shape [1,1] does not join [1,2] along axis 0");
    struct op_case types = op_case("concat", 13);
    op_case_int(&types, "axis", 0);
    op_case_in(&types, T_F32(DIMS(1), 1));
    op_case_in(&types, T_I64(DIMS(1), 1));
    op_case_out(&types, T_F32(DIMS(2), 1, 1));
    op_case_refuse(&types, ERR_INVALID, "input 1 is i64, input 0 is f32");
}

static void split_by_sizes(void **state) {
    (void)state;
    for (int opset = 11; opset <= 13; opset += 2) {
        struct op_case c = op_case("split", opset);
        op_case_int(&c, "axis", 1);
        op_case_in(&c, T_F32(DIMS(2, 3), 1, 2, 3, 4, 5, 6));
        if (opset < 13)
            op_case_ints(&c, "split", 2, (int64_t[]){1, 2});
        else
            op_case_in(&c, T_I64(DIMS(2), 1, 2));
        op_case_out(&c, T_F32(DIMS(2, 1), 1, 4));
        op_case_out(&c, T_F32(DIMS(2, 2), 2, 3, 5, 6));
        op_case_check(&c);
    }
}

static void split_evenly(void **state) {
    (void)state;
    struct op_case even = op_case("split", 13), uneven = op_case("split", 18),
                   wrong = op_case("split", 13);
    op_case_in(&even, T_I32(DIMS(4), 1, 2, 3, 4));
    op_case_out(&even, T_I32(DIMS(2), 1, 2));
    op_case_out(&even, T_I32(DIMS(2), 3, 4));
    op_case_check(&even);
    op_case_int(&uneven, "num_outputs", 3);
    op_case_in(&uneven, T_I32(DIMS(5), 1, 2, 3, 4, 5));
    op_case_out(&uneven, T_ABSENT);
    op_case_out(&uneven, T_I32(DIMS(2), 3, 4));
    op_case_out(&uneven, T_I32(DIMS(1), 5));
    op_case_check(&uneven);
    op_case_in(&wrong, T_I32(DIMS(3), 1, 2, 3));
    op_case_out(&wrong, T_I32(DIMS(1), 1));
    op_case_out(&wrong, T_I32(DIMS(2), 2, 3));
    op_case_refuse(&wrong, ERR_INVALID, "do not split into 2 equal parts");
}

static void split_sizes_are_hostile(void **state) {
    (void)state;
    static const int64_t sizes[][2] = {{-1, 4}, {2, 2}, {1, 1}, {INT64_MAX, 3}};
    for (int k = 0; k < 4; k++) {
        struct op_case c = op_case("split", 13);
        op_case_in(&c, T_F32(DIMS(3), 1, 2, 3));
        op_case_in(&c, T_I64(DIMS(2), sizes[k][0], sizes[k][1]));
        op_case_out(&c, T_F32(DIMS(1), 1));
        op_case_out(&c, T_F32(DIMS(2), 2, 3));
        op_case_refuse(&c, ERR_INVALID, "split");
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(joins_along_any_axis),
        cmocka_unit_test(refuses_what_does_not_join),
        cmocka_unit_test(joins_bytes_of_other_scales),
        cmocka_unit_test(refuses_bytes_without_a_meaning),
        cmocka_unit_test(split_by_sizes),
        cmocka_unit_test(split_evenly),
        cmocka_unit_test(split_sizes_are_hostile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
