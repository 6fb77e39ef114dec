/* SPDX-License-Identifier: Apache-2.0 */
/* Cases of arg_max and arg_min. */
#include "op/extreme.c"

#include "op_case.h"

static void one(const char *op, struct tensor x, int64_t axis, bool keep, bool last,
                struct tensor y) {
    struct op_case c = op_case(op, 13);
    op_case_int(&c, "axis", axis);
    op_case_int(&c, "keepdims", keep);
    op_case_int(&c, "select_last_index", last);
    op_case_in(&c, x);
    op_case_out(&c, y);
    op_case_check(&c);
}

static void both_ends(void **state) {
    (void)state;
    struct tensor x = T_F32(DIMS(2, 3), 1, 5, 5, -3, -7, 0);
    one("arg_max", x, 1, true, false, T_I64(DIMS(2, 1), 1, 2));
    one("arg_max", x, 1, false, true, T_I64(DIMS(2), 2, 2));
    one("arg_min", x, -1, false, false, T_I64(DIMS(2), 0, 1));
    one("arg_max", x, 0, false, false, T_I64(DIMS(3), 0, 0, 0));
    one("arg_min", x, 0, true, false, T_I64(DIMS(1, 3), 1, 1, 1));
    struct tensor same = T_F32(DIMS(2, 2), 4, 4, 4, 4);
    one("arg_max", same, 0, false, true, T_I64(DIMS(2), 1, 1));
    one("arg_min", same, 0, false, true, T_I64(DIMS(2), 1, 1));
    one("arg_min", same, 1, false, true, T_I64(DIMS(2), 1, 1));
    one("arg_min", same, 0, false, false, T_I64(DIMS(2), 0, 0));
}

static void other_types(void **state) {
    (void)state;
    one("arg_max", T_I64(DIMS(3), INT64_MIN, 3, INT64_MAX), 0, false, false, T_I64(SCALAR, 2));
    one("arg_min", T_I8(DIMS(3), 3, -3, -3), 0, false, true, T_I64(SCALAR, 2));
    one("arg_max", T_U8(DIMS(3), 3, 200, 1), 0, false, false, T_I64(SCALAR, 1));
    one("arg_max", T_F64(DIMS(3), 3, 1, 3), 0, false, false, T_I64(SCALAR, 0));
    one("arg_max", T_F16(DIMS(3), 0x3c00, 0x4000, 0xc000), 0, false, false, T_I64(SCALAR, 1));
}

static void nan_is_the_most_extreme(void **state) {
    (void)state;
    struct tensor x = T_F32(DIMS(4), 1, NAN, 3, NAN), column = T_F32(DIMS(4, 1), 1, NAN, 3, NAN),
                  two = T_F32(DIMS(3, 2), 1, 2, NAN, 2, 3, 1);
    one("arg_max", x, 0, false, false, T_I64(SCALAR, 1));
    one("arg_min", x, 0, false, true, T_I64(SCALAR, 3));
    one("arg_max", column, 0, false, false, T_I64(DIMS(1), 1));
    one("arg_max", two, 0, false, false, T_I64(DIMS(2), 1, 0));
    one("arg_max", two, 0, false, true, T_I64(DIMS(2), 1, 1));
}

static void along_every_axis(void **state) {
    (void)state;
    static const int64_t n[] = {1, 3, 7, 16, 31, 300};
    for (size_t k = 0; k < sizeof n / sizeof *n; k++)
        for (int axis = 0; axis < 4; axis++)
            for (int keep = 0; keep < 2; keep++) {
                struct op_case c = op_case("arg_max", 13);
                struct shape in = DIMS(2, 3, 2, n[k]), out = {0};
                struct tensor x = op_case_random(&c, DT_F32, in, n[k] + axis), y;
                int64_t strides[SHAPE_MAX];
                shape_strides(&in, strides);
                for (int a = 0; a < 4; a++)
                    if (a != axis || keep)
                        out.dims[out.rank++] = a == axis ? 1 : in.dims[a];
                struct err e;
                assert_int_equal(tensor_new(&c.arena, DT_I64, &out, &y, &e), OK);
                size_t inner = (size_t)strides[axis], dim = (size_t)in.dims[axis];
                for (size_t r = 0; r < tensor_count(&y); r++) {
                    size_t base = r / inner * inner * dim + r % inner, best = 0;
                    for (size_t p = 1; p < dim; p++)
                        if (tensor_f64(&x, base + p * inner) > tensor_f64(&x, base + best * inner))
                            best = p;
                    ((int64_t *)y.data)[r] = (int64_t)best;
                }
                op_case_int(&c, "axis", axis);
                op_case_int(&c, "keepdims", keep);
                op_case_in(&c, x);
                op_case_out(&c, y);
                op_case_check(&c);
            }
}

static void an_empty_axis_is_refused(void **state) {
    (void)state;
    struct op_case c = op_case("arg_max", 13);
    op_case_in(&c, T_EMPTY(DT_F32, DIMS(0, 2)));
    op_case_out(&c, T_I64(DIMS(1, 2), 0, 0));
    op_case_refuse(&c, ERR_INVALID, "no elements to choose from");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ends),
        cmocka_unit_test(other_types),
        cmocka_unit_test(nan_is_the_most_extreme),
        cmocka_unit_test(along_every_axis),
        cmocka_unit_test(an_empty_axis_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
