/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/fuse_act.c"

#include "toy.h"

/* Every case: a graph of x (2, 7) whose plan must be these steps, with the same answer as without
 * passes. */
static void expect(struct toy *t, value_id out, const char *steps) {
    toy_output(t, out);
    struct tensor x = toy_tensor(t, SHAPE(2, 7), 3);
    struct session *s = toy_open(t, 0);
    assert_string_equal(toy_steps(t, s, &x), steps);
    session_close(s);
    toy_equivalent(t, &x, 2e-6);
    toy_deinit(t);
}

static value_id begin(struct toy *t) {
    toy_init(t);
    return toy_input(t, "x", DT_F32, SHAPE(-1, 7));
}

static value_id clip(struct toy *t, value_id x, float low, float high) {
    return toy_node(t, "clip", IDS(x, toy_number(t, low), toy_number(t, high)));
}

static value_id ramp(struct toy *t, value_id x) {
    return clip(t, toy_node(t, "add", IDS(x, toy_number(t, 3))), 0, 6);
}

static void silu(void **unused) {
    (void)unused;
    struct toy t;
    value_id x = begin(&t);
    expect(&t, toy_node(&t, "mul", IDS(toy_node(&t, "sigmoid", IDS(x)), x)), "swish ");
}

/* PaddlePaddle: x * sigmoid(1 * x) */
static void swish_beta(void **unused) {
    (void)unused;
    struct toy t;
    value_id x = begin(&t);
    value_id scaled_x = toy_node(&t, "mul", IDS(x, toy_number(&t, 1.702F)));
    expect(&t, toy_node(&t, "mul", IDS(x, toy_node(&t, "sigmoid", IDS(scaled_x)))), "swish ");
}

static void hard_swish_div_last(void **unused) {
    (void)unused;
    struct toy t;
    value_id x = begin(&t);
    value_id m = toy_node(&t, "mul", IDS(x, ramp(&t, x)));
    expect(&t, toy_node(&t, "div", IDS(m, toy_number(&t, 6))), "hard_swish ");
}

static void hard_swish_div_inside(void **unused) {
    (void)unused;
    struct toy t;
    value_id x = begin(&t);
    value_id d = toy_node(&t, "div", IDS(ramp(&t, x), toy_number(&t, 6)));
    expect(&t, toy_node(&t, "mul", IDS(x, d)), "hard_swish ");
}

static void hard_swish_mul_sixth(void **unused) {
    (void)unused;
    struct toy t;
    value_id x = begin(&t);
    value_id m = toy_node(&t, "mul", IDS(toy_number(&t, 1 / 6.0F), ramp(&t, x)));
    expect(&t, toy_node(&t, "mul", IDS(m, x)), "hard_swish ");
}

static void hard_swish_of_hard_sigmoid(void **unused) {
    (void)unused;
    struct toy t;
    value_id x = begin(&t);
    value_id h = toy_node(&t, "hard_sigmoid", IDS(x));
    toy_float(&t, "alpha", 1 / 6.0F);
    toy_float(&t, "beta", 0.5F);
    expect(&t, toy_node(&t, "mul", IDS(x, h)), "hard_swish ");
}

static void hard_sigmoid(void **unused) {
    (void)unused;
    struct toy t;
    value_id x = begin(&t);
    expect(&t, toy_node(&t, "div", IDS(ramp(&t, x), toy_number(&t, 6))), "hard_sigmoid ");
}

static void gelu_erf(void **unused) {
    (void)unused;
    struct toy t;
    value_id x = begin(&t);
    value_id d = toy_node(&t, "div", IDS(x, toy_number(&t, 1.41421356F)));
    value_id one = toy_node(&t, "add", IDS(toy_node(&t, "erf", IDS(d)), toy_number(&t, 1)));
    value_id m = toy_node(&t, "mul", IDS(x, one));
    expect(&t, toy_node(&t, "mul", IDS(m, toy_number(&t, 0.5F))), "gelu ");
}

static void gelu_erf_half_first(void **unused) {
    (void)unused;
    struct toy t;
    value_id x = begin(&t);
    value_id d = toy_node(&t, "mul", IDS(x, toy_number(&t, 0.70710678F)));
    value_id one = toy_node(&t, "add", IDS(toy_number(&t, 1), toy_node(&t, "erf", IDS(d))));
    value_id half = toy_node(&t, "mul", IDS(toy_number(&t, 0.5F), x));
    expect(&t, toy_node(&t, "mul", IDS(half, one)), "gelu ");
}

static value_id tanh_form(struct toy *t, value_id x, value_id cubic) {
    value_id in = toy_node(t, "mul", IDS(toy_number(t, 0.79788456F), cubic));
    value_id one = toy_node(t, "add", IDS(toy_node(t, "tanh", IDS(in)), toy_number(t, 1)));
    return toy_node(t, "mul", IDS(x, toy_node(t, "mul", IDS(toy_number(t, 0.5F), one))));
}

static void gelu_tanh_pow(void **unused) {
    (void)unused;
    struct toy t;
    value_id x = begin(&t);
    value_id cube = toy_node(&t, "pow", IDS(x, toy_number(&t, 3)));
    value_id sum =
        toy_node(&t, "add", IDS(x, toy_node(&t, "mul", IDS(cube, toy_number(&t, 0.044715F)))));
    expect(&t, tanh_form(&t, x, sum), "gelu ");
}

/* jax: 0.044715 * x * x * x, bracketed from the number on */
static void gelu_tanh_products(void **unused) {
    (void)unused;
    struct toy t;
    value_id x = begin(&t);
    value_id m = toy_node(&t, "mul", IDS(toy_number(&t, 0.044715F), x));
    m = toy_node(&t, "mul", IDS(x, m));
    m = toy_node(&t, "mul", IDS(x, m));
    expect(&t, tanh_form(&t, x, toy_node(&t, "add", IDS(x, m))), "gelu ");
}

static void mish(void **unused) {
    (void)unused;
    struct toy t;
    value_id x = begin(&t);
    value_id s = toy_node(&t, "softplus", IDS(x));
    expect(&t, toy_node(&t, "mul", IDS(x, toy_node(&t, "tanh", IDS(s)))), "mish ");
}

static void limits(void **unused) {
    (void)unused;
    struct toy t;
    value_id x = begin(&t);
    value_id m = toy_node(&t, "max", IDS(x, toy_number(&t, 0)));
    expect(&t, toy_node(&t, "min", IDS(m, toy_number(&t, 2))), "clip ");
}

/* Near misses stay what they are: another number, another operand, a second reader. */
static void not_hard_swish(void **unused) {
    (void)unused;
    struct toy t;
    value_id x = begin(&t);
    value_id m = toy_node(&t, "mul", IDS(x, ramp(&t, x)));
    expect(&t, toy_node(&t, "div", IDS(m, toy_number(&t, 5))), "add+clip+mul div ");
}

static void not_silu(void **unused) {
    (void)unused;
    struct toy t;
    value_id x = begin(&t), y = toy_node(&t, "neg", IDS(x));
    expect(&t, toy_node(&t, "mul", IDS(toy_node(&t, "sigmoid", IDS(x)), y)), "neg sigmoid mul ");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(silu),
        cmocka_unit_test(swish_beta),
        cmocka_unit_test(hard_swish_div_last),
        cmocka_unit_test(hard_swish_div_inside),
        cmocka_unit_test(hard_swish_mul_sixth),
        cmocka_unit_test(hard_swish_of_hard_sigmoid),
        cmocka_unit_test(hard_sigmoid),
        cmocka_unit_test(gelu_erf),
        cmocka_unit_test(gelu_erf_half_first),
        cmocka_unit_test(gelu_tanh_pow),
        cmocka_unit_test(gelu_tanh_products),
        cmocka_unit_test(mish),
        cmocka_unit_test(limits),
        cmocka_unit_test(not_hard_swish),
        cmocka_unit_test(not_silu),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
