/* SPDX-License-Identifier: Apache-2.0 */
/* Cases of linear_classifier and linear_regressor. */
#include "op/linear.c"

#include "op_case.h"

static struct op_case model(const char *name, size_t n, const float *coefficients, size_t m,
                            const float *intercepts) {
    struct op_case c = op_case(name, 1);
    op_case_floats(&c, "coefficients", n, coefficients);
    if (m)
        op_case_floats(&c, "intercepts", m, intercepts);
    return c;
}

static void regressor(void **state) {
    (void)state;
    struct op_case c = model("linear_regressor", 4, (float[]){1, 2, 3, 4}, 2, (float[]){10, 20});
    op_case_int(&c, "targets", 2);
    op_case_in(&c, T_I64(DIMS(2, 2), 1, 1, 0, 2));
    op_case_out(&c, T_F32(DIMS(2, 2), 13, 27, 14, 28));
    op_case_check(&c);
    struct op_case one = model("linear_regressor", 2, (float[]){1, 2}, 0, NULL);
    op_case_in(&one, T_F64(DIMS(2), 3, 4)); /* a row without a dim for it */
    op_case_out(&one, T_F32(DIMS(1, 1), 11));
    op_case_check(&one);
}

static void classes(void **state) {
    (void)state;
    const struct str labels[] = {LIT("a"), LIT("b"), LIT("c")};
    struct op_case c =
        model("linear_classifier", 6, (float[]){1, 0, 0, 1, 1, 1}, 3, (float[]){0, 0, -1});
    op_case_strs(&c, "classlabels_strings", 3, labels);
    op_case_in(&c, T_F32(DIMS(2, 2), 3, 0, 2, 2));
    op_case_out(&c, T_STR(DIMS(2), LIT("a"), LIT("c")));
    op_case_out(&c, T_F32(DIMS(2, 3), 3, 0, 2, 2, 2, 3));
    op_case_check(&c);
    struct op_case soft = model("linear_classifier", 2, (float[]){1, -1}, 0, NULL);
    op_case_ints(&soft, "classlabels_ints", 2, (int64_t[]){4, 5});
    op_case_str(&soft, "post_transform", "SOFTMAX");
    op_case_in(&soft, T_F32(DIMS(1, 1), 0.5F));
    op_case_out(&soft, T_I64(DIMS(1), 4));
    op_case_out(&soft, T_F32(DIMS(1, 2), 0.7310586F, 0.26894143F));
    op_case_check(&soft);
}

/* One row of coefficients and two labels. */
static struct op_case binary(const char *after) {
    struct op_case c = model("linear_classifier", 1, (float[]){1}, 1, (float[]){0.25F});
    op_case_ints(&c, "classlabels_ints", 2, (int64_t[]){0, 1});
    op_case_str(&c, "post_transform", after);
    op_case_in(&c, T_F32(DIMS(2, 1), 0.5F, -0.5F));
    op_case_out(&c, T_I64(DIMS(2), 1, 0));
    return c;
}

static void one_score_for_two(void **state) {
    (void)state;
    struct op_case plain = binary("NONE"), logistic = binary("LOGISTIC");
    op_case_out(&plain, T_F32(DIMS(2, 2), 0.25F, 0.75F, 1.25F, -0.25F));
    op_case_check(&plain);
    op_case_out(&logistic, T_F32(DIMS(2, 2), 0.3208213F, 0.6791787F, 0.5621765F, 0.4378235F));
    op_case_check(&logistic);
}

static void refusals(void **state) {
    (void)state;
    struct op_case wide = binary("NONE"), word = binary("SOFTMAXIMUM"),
                   odd = model("linear_regressor", 3, (float[]){1, 2, 3}, 0, NULL),
                   none = model("linear_classifier", 1, (float[]){1}, 0, NULL),
                   text = binary("NONE");
    wide.in[0] = op_case_tensor(&wide, T_F32(DIMS(1, 2), 1, 2));
    op_case_refuse(&wide, ERR_INVALID, "2 features, the model has 1");
    op_case_refuse(&word, ERR_FORMAT, "post_transform 'SOFTMAXIMUM' is not known");
    op_case_int(&odd, "targets", 2);
    op_case_in(&odd, T_F32(DIMS(1, 1), 1));
    op_case_out(&odd, T_F32(DIMS(1, 2), 0, 0));
    op_case_refuse(&odd, ERR_FORMAT, "3 coefficients and 0 intercepts for 2 targets");
    op_case_in(&none, T_F32(DIMS(1, 1), 1));
    op_case_out(&none, T_I64(DIMS(1), 0));
    op_case_refuse(&none, ERR_FORMAT, "labels of the classes are missing");
    text.in[0] = op_case_tensor(&text, T_STR(DIMS(1, 1), LIT("x")));
    op_case_refuse(&text, ERR_INVALID, "features of type string");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(regressor),
        cmocka_unit_test(classes),
        cmocka_unit_test(one_score_for_two),
        cmocka_unit_test(refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
