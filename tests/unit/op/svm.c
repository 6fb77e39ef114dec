/* SPDX-License-Identifier: Apache-2.0 */
/* Cases of svm_classifier and svm_regressor, worked out by hand. */
#include "op/svm.c"

#include "op_case.h"

static void floats(struct op_case *c, const char *name, size_t n, const float *v) {
    op_case_floats(c, name, n, v);
}
#define FLOATS(c, name, ...)                                                                       \
    floats((c), (name), sizeof((float[]){__VA_ARGS__}) / sizeof(float), (float[]){__VA_ARGS__})

/* Two vectors, exp(-|x - v|^2). */
static struct op_case rbf(void) {
    struct op_case c = op_case("svm_regressor", 1);
    op_case_str(&c, "kernel_type", "RBF");
    FLOATS(&c, "kernel_params", 1, 0, 3);
    FLOATS(&c, "support_vectors", 0, 0, 1, 0);
    FLOATS(&c, "coefficients", 1, -1);
    FLOATS(&c, "rho", 0.5F);
    op_case_int(&c, "n_supports", 2);
    op_case_in(&c, T_F32(DIMS(2, 2), 0, 0, 1, 0));
    return c;
}

static void regression(void **state) {
    (void)state;
    struct op_case c = rbf(), one = rbf();
    op_case_out(&c, T_F32(DIMS(2, 1), 1.1321206F, -0.13212056F));
    op_case_check(&c);
    op_case_int(&one, "one_class", 1);
    op_case_out(&one, T_F32(DIMS(2, 1), 1, -1));
    op_case_check(&one);
}

static void other_kernels(void **state) {
    (void)state;
    static const struct {
        const char *kernel;
        float params[3], answer;
    } kinds[] = {{"POLY", {2, 1, 2}, 25.5F},               /* 1 + 0.5 * (2 * 3 + 1)^2 */
                 {"SIGMOID", {0.1F, 0.2F, 0}, 1.2310586F}, /* 1 + 0.5 * tanh(0.5) */
                 {"LINEAR", {0, 0, 0}, 2.5F}};             /* 1 + 0.5 * 3 */
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        struct op_case c = op_case("svm_regressor", 1);
        op_case_str(&c, "kernel_type", kinds[k].kernel);
        op_case_floats(&c, "kernel_params", 3, kinds[k].params);
        FLOATS(&c, "support_vectors", 1, 1);
        FLOATS(&c, "coefficients", 0.5F);
        FLOATS(&c, "rho", 1);
        op_case_int(&c, "n_supports", 1);
        op_case_in(&c, T_I64(DIMS(1, 2), 1, 2));
        op_case_out(&c, T_F32(DIMS(1, 1), kinds[k].answer));
        op_case_check(&c);
    }
}

/* Without vectors the coefficients are the model. */
static void linear_models(void **state) {
    (void)state;
    struct op_case r = op_case("svm_regressor", 1), c = op_case("svm_classifier", 1);
    FLOATS(&r, "coefficients", 2, 3);
    FLOATS(&r, "rho", 1);
    op_case_in(&r, T_F32(DIMS(2), 1, 2)); /* one row */
    op_case_out(&r, T_F32(DIMS(1, 1), 9));
    op_case_check(&r);
    FLOATS(&c, "coefficients", 1, 0, 0, 1);
    FLOATS(&c, "rho", 0.5F);
    op_case_strs(&c, "classlabels_strings", 2, (struct str[]){LIT("a"), LIT("b")});
    op_case_in(&c, T_F64(DIMS(2, 2), 3, 1, 1, 3));
    op_case_out(&c, T_STR(DIMS(2), LIT("a"), LIT("b")));
    op_case_out(&c, T_F32(DIMS(2, 2), 3.5F, 1.5F, 1.5F, 3.5F));
    op_case_check(&c);
}

/* Two classes, a vector of each, decision x0 - x1 + 0.25. */
static struct op_case two_classes(void) {
    struct op_case c = op_case("svm_classifier", 1);
    FLOATS(&c, "support_vectors", 1, 0, 0, 1);
    FLOATS(&c, "coefficients", 1, -1);
    FLOATS(&c, "rho", 0.25F);
    op_case_ints(&c, "vectors_per_class", 2, (int64_t[]){1, 1});
    op_case_ints(&c, "classlabels_ints", 2, (int64_t[]){7, 9});
    op_case_in(&c, T_F32(DIMS(2, 2), 1, 0, 0, 1));
    return c;
}

static void two_of_a_kind(void **state) {
    (void)state;
    struct op_case c = two_classes(), sure = two_classes();
    op_case_out(&c, T_I64(DIMS(2), 7, 9));
    op_case_out(&c, T_F32(DIMS(2, 2), -1.25F, 1.25F, 0.75F, -0.75F));
    op_case_check(&c);
    FLOATS(&sure, "prob_a", -1);
    FLOATS(&sure, "prob_b", 0);
    op_case_out(&sure, T_I64(DIMS(2), 7, 9));
    op_case_out(&sure, T_F32(DIMS(2, 2), 0.7773F, 0.2227F, 0.32082F, 0.67918F));
    sure.absolute = 5e-3; /* where the joining of pairs stops */
    op_case_check(&sure);
}

/* Three classes on a line at -1, 0, 1: the pairs vote, and are the scores. */
static void pairs_vote(void **state) {
    (void)state;
    struct op_case c = op_case("svm_classifier", 1);
    FLOATS(&c, "support_vectors", -1, 0, 1);
    /* row j - 1 of class i's column, row i of class j's: (-1 | 0), (-1 | 1), (0 | 1) */
    FLOATS(&c, "coefficients", 1, 0, -1, 1, 1, -1);
    FLOATS(&c, "rho", -0.5F, 0, 0.5F);
    op_case_ints(&c, "vectors_per_class", 3, (int64_t[]){1, 1, 1});
    op_case_ints(&c, "classlabels_ints", 3, (int64_t[]){0, 1, 2});
    op_case_in(&c, T_F32(DIMS(3, 1), -2, 0, 2));
    op_case_out(&c, T_I64(DIMS(3), 0, 1, 2));
    op_case_out(&c, T_F32(DIMS(3, 3), 1.5F, 4, 2.5F, -0.5F, 0, 0.5F, -2.5F, -4, -1.5F));
    op_case_check(&c);
}

static void what_does_not_fit(void **state) {
    (void)state;
    struct op_case wide = two_classes(), few = op_case("svm_classifier", 1), bad = rbf(),
                   less = op_case("svm_classifier", 1);
    wide.in[0] = op_case_tensor(&wide, T_F32(DIMS(1, 3), 1, 2, 3));
    op_case_out(&wide, T_I64(DIMS(1), 7));
    op_case_refuse(&wide, ERR_INVALID, "3 features, the model has 2");
    FLOATS(&few, "coefficients", 1, 2, 3);
    FLOATS(&few, "support_vectors", 1, 2, 3, 4);
    FLOATS(&few, "rho", 0);
    op_case_ints(&few, "vectors_per_class", 2, (int64_t[]){1, 1});
    op_case_ints(&few, "classlabels_ints", 2, (int64_t[]){0, 1});
    op_case_in(&few, T_F32(DIMS(1, 2), 1, 2));
    op_case_out(&few, T_I64(DIMS(1), 0));
    op_case_refuse(&few, ERR_FORMAT, "3 coefficients, 4 numbers of vectors and 1 of rho");
    bad.attrs[0].s = LIT("CHEBYSHEV");
    op_case_out(&bad, T_F32(DIMS(2, 1), 0, 0));
    op_case_refuse(&bad, ERR_FORMAT, "kernel 'CHEBYSHEV'");
    FLOATS(&less, "coefficients", 1);
    FLOATS(&less, "rho", 0);
    op_case_ints(&less, "vectors_per_class", 1, (int64_t[]){-1});
    op_case_ints(&less, "classlabels_ints", 1, (int64_t[]){0});
    op_case_in(&less, T_F32(DIMS(1, 1), 1));
    op_case_out(&less, T_I64(DIMS(1), 0));
    op_case_refuse(&less, ERR_FORMAT, "vectors_per_class[0] is -1");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(regression),    cmocka_unit_test(other_kernels),
        cmocka_unit_test(linear_models), cmocka_unit_test(two_of_a_kind),
        cmocka_unit_test(pairs_vote),    cmocka_unit_test(what_does_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
