/* SPDX-License-Identifier: Apache-2.0 */
/* Cases of scaler, normalizer, imputer, feature_vectorizer, one_hot_encoder. */
#include "op/features.c"

#include "op_case.h"

static void scaler(void **state) {
    (void)state;
    struct op_case c = op_case("scaler", 1), bad = op_case("scaler", 1);
    op_case_floats(&c, "offset", 2, (float[]){1, 10});
    op_case_floats(&c, "scale", 1, (float[]){2});
    op_case_in(&c, T_I64(DIMS(2, 2), 1, 2, 3, 4));
    op_case_out(&c, T_F32(DIMS(2, 2), 0, -16, 4, -12));
    op_case_check(&c);
    op_case_floats(&bad, "offset", 3, (float[]){1, 10, 2});
    op_case_in(&bad, T_F32(DIMS(1, 2), 1, 2));
    op_case_out(&bad, T_F32(DIMS(1, 2), 0, 0));
    op_case_refuse(&bad, ERR_FORMAT, "3 numbers for 2 columns");
}

static void normalizer(void **state) {
    (void)state;
    static const char *const norms[] = {"MAX", "L1", "L2"};
    static const float by[] = {4, 7, 5};
    for (int k = 0; k < 3; k++) {
        struct op_case c = op_case("normalizer", 1);
        op_case_str(&c, "norm", norms[k]);
        op_case_in(&c, T_F32(DIMS(2, 2), -3, 4, 0, 0));
        op_case_out(&c, T_F32(DIMS(2, 2), -3 / by[k], 4 / by[k], 0, 0));
        op_case_check(&c);
    }
}

static void imputer(void **state) {
    (void)state;
    struct op_case c = op_case("imputer", 1);
    op_case_floats(&c, "imputed_value_floats", 2, (float[]){8, 9});
    op_case_float(&c, "replaced_value_float", NAN);
    op_case_in(&c, T_F32(DIMS(2, 2), 1, NAN, NAN, 4));
    op_case_out(&c, T_F32(DIMS(2, 2), 1, 9, 8, 4));
    op_case_check(&c);
}

static void vectorizer(void **state) {
    (void)state;
    struct op_case c = op_case("feature_vectorizer", 1);
    op_case_ints(&c, "inputdimensions", 2, (int64_t[]){1, 3});
    op_case_in(&c, T_F32(DIMS(2, 2), 1, 2, 3, 4));
    op_case_in(&c, T_I64(DIMS(2, 2), 5, 6, 7, 8));
    op_case_out(&c, T_F32(DIMS(2, 4), 1, 5, 6, 0, 3, 7, 8, 0));
    op_case_check(&c);
}

static void one_hot(void **state) {
    (void)state;
    struct op_case c = op_case("one_hot_encoder", 1), bad = op_case("one_hot_encoder", 1);
    op_case_ints(&c, "cats_int64s", 2, (int64_t[]){7, -1});
    op_case_in(&c, T_F32(DIMS(3), -1.5F, 7, 8));
    op_case_out(&c, T_F32(DIMS(3, 2), 0, 1, 1, 0, 0, 0));
    op_case_check(&c);
    op_case_ints(&bad, "cats_int64s", 2, (int64_t[]){7, -1});
    op_case_int(&bad, "zeros", 0);
    op_case_in(&bad, T_I64(DIMS(1), 8));
    op_case_out(&bad, T_F32(DIMS(1, 2), 0, 0));
    op_case_refuse(&bad, ERR_INVALID, "of no category");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(scaler), cmocka_unit_test(normalizer),
                                       cmocka_unit_test(imputer), cmocka_unit_test(vectorizer),
                                       cmocka_unit_test(one_hot)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
