/* SPDX-License-Identifier: Apache-2.0 */
/* Activations: values, defaults, attributes, the opsets of clip and prelu. */
#include "op/activation.c"

#include "op_case.h"

static void one(const char *name, struct tensor x, struct tensor y) {
    struct op_case c = op_case(name, 24);
    op_case_in(&c, x);
    op_case_out(&c, y);
    op_case_check(&c);
}

#define X T_F32(DIMS(5), -2, -0.5f, 0, 0.5f, 2)
#define Y(...) T_F32(DIMS(5), __VA_ARGS__)

static void test_values(void **state) {
    (void)state;
    one("relu", X, Y(0, 0, 0, 0.5f, 2));
    one("relu", T_I32(DIMS(2), -3, 4), T_I32(DIMS(2), 0, 4));
    one("leaky_relu", X, Y(-0.02f, -0.005f, 0, 0.5f, 2));
    one("elu", X, Y(-0.86466472f, -0.39346934f, 0, 0.5f, 2));
    one("selu", X, Y(-1.52016652f, -0.69175819f, 0, 0.52535051f, 2.10140204f));
    one("celu", X, Y(-0.86466472f, -0.39346934f, 0, 0.5f, 2));
    one("sigmoid", X, Y(0.11920292f, 0.37754067f, 0.5f, 0.62245933f, 0.88079708f));
    one("hard_sigmoid", X, Y(0.1f, 0.4f, 0.5f, 0.6f, 0.9f));
    one("hard_swish", X, Y(-0.33333333f, -0.20833333f, 0, 0.29166667f, 1.66666667f));
    one("silu", X, Y(-0.23840584f, -0.18877033f, 0, 0.31122967f, 1.76159416f));
    one("swish", X, Y(-0.23840584f, -0.18877033f, 0, 0.31122967f, 1.76159416f));
    one("mish", X, Y(-0.25250149f, -0.22074306f, 0, 0.37524524f, 1.94395912f));
    one("softplus", X, Y(0.12692801f, 0.47407698f, 0.69314718f, 0.97407698f, 2.12692801f));
    one("softsign", X, Y(-0.66666667f, -0.33333333f, 0, 0.33333333f, 0.66666667f));
    one("tanh", X, Y(-0.96402758f, -0.46211716f, 0, 0.46211716f, 0.96402758f));
    one("thresholded_relu", X, Y(0, 0, 0, 0, 2));
    one("gelu", X, Y(-0.04550026f, -0.15426877f, 0, 0.34573123f, 1.95449974f));
    one("shrink", X, Y(-2, 0, 0, 0, 2));
    one("sigmoid", T_F64(DIMS(1), 2), T_F64(DIMS(1), 0.8807970779778823));
}

static void test_attributes(void **state) {
    (void)state;
    struct op_case c = op_case("leaky_relu", 16);
    op_case_float(&c, "alpha", 0.5f);
    op_case_in(&c, X);
    op_case_out(&c, Y(-1, -0.25f, 0, 0.5f, 2));
    op_case_check(&c);
    c = op_case("gelu", 20);
    op_case_str(&c, "approximate", "tanh");
    op_case_in(&c, X);
    op_case_out(&c, Y(-0.04540229f, -0.15428599f, 0, 0.34571401f, 1.95459771f));
    op_case_check(&c);
    c = op_case("shrink", 9);
    op_case_float(&c, "lambd", 1);
    op_case_float(&c, "bias", 1.5f);
    op_case_in(&c, X);
    op_case_out(&c, Y(-0.5f, 0, 0, 0, 0.5f));
    op_case_check(&c);
    c = op_case("gelu", 20);
    op_case_str(&c, "approximate", "fast");
    op_case_in(&c, X);
    op_case_out(&c, X);
    op_case_refuse(&c, ERR_INVALID, "approximate 'fast'");
}

static void test_clip(void **state) {
    (void)state;
    struct op_case c = op_case("clip", 6);
    op_case_float(&c, "min", -1);
    op_case_in(&c, X);
    op_case_out(&c, Y(-1, -0.5f, 0, 0.5f, 2));
    op_case_check(&c);
    c = op_case("clip", 13);
    op_case_in(&c, X);
    op_case_in(&c, T_ABSENT);
    op_case_in(&c, T_F32(SCALAR, 1));
    op_case_out(&c, Y(-2, -0.5f, 0, 0.5f, 1));
    op_case_check(&c);
    c = op_case("clip", 13); /* low above high: high */
    op_case_in(&c, X);
    op_case_in(&c, T_F32(SCALAR, 2));
    op_case_in(&c, T_F32(SCALAR, 1));
    op_case_out(&c, Y(1, 1, 1, 1, 1));
    op_case_check(&c);
    c = op_case("clip", 13);
    op_case_in(&c, T_I8(DIMS(3), -100, 5, 100));
    op_case_in(&c, T_I8(SCALAR, -2));
    op_case_in(&c, T_I8(SCALAR, 10));
    op_case_out(&c, T_I8(DIMS(3), -2, 5, 10));
    op_case_check(&c);
}

static void test_prelu(void **state) {
    (void)state;
    struct op_case c = op_case("p_relu", 16);
    op_case_in(&c, T_F32(DIMS(1, 2, 2), -1, 2, -3, 4));
    op_case_in(&c, T_F32(DIMS(2, 1), 0.5f, 2));
    op_case_out(&c, T_F32(DIMS(1, 2, 2), -0.5f, 2, -6, 4));
    op_case_check(&c);
    c = op_case("p_relu", 6);
    op_case_in(&c, T_F32(DIMS(1, 2, 2), -1, 2, -3, 4));
    op_case_in(&c, T_F32(DIMS(2), 0.5f, 2));
    op_case_out(&c, T_F32(DIMS(1, 2, 2), -0.5f, 2, -6, 4));
    op_case_check(&c);
    c = op_case("p_relu", 16);
    op_case_in(&c, T_F32(DIMS(2), -1, 2));
    op_case_in(&c, T_F32(DIMS(2, 2), 1, 1, 1, 1));
    op_case_out(&c, T_F32(DIMS(2), 0, 0));
    op_case_refuse(&c, ERR_INVALID, "slope");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_attributes),
        cmocka_unit_test(test_clip),
        cmocka_unit_test(test_prelu),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
