/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/fuse_post.c"

#include "toy.h"

static value_id conv(struct toy *t, value_id x, int64_t c, unsigned seed) {
    return toy_node(t, "conv", IDS(x, toy_weights(t, SHAPE(c, c, 1, 1), seed)));
}

static value_id begin(struct toy *t) {
    toy_init(t);
    return toy_input(t, "x", DT_F32, SHAPE(-1, 4, 5, 6));
}

static void expect(struct toy *t, value_id out, const char *steps) {
    toy_output(t, out);
    struct tensor x = toy_tensor(t, SHAPE(2, 4, 5, 6), 3);
    struct session *s = toy_open(t, 0);
    assert_string_equal(toy_steps(t, s, &x), steps);
    session_close(s);
    toy_equivalent(t, &x, 2e-5);
    toy_deinit(t);
}

/* relu(conv(x) + x): the residual, then the activation. */
static void residual(void **unused) {
    (void)unused;
    struct toy t;
    value_id x = begin(&t), r = toy_node(&t, "relu", IDS(conv(&t, x, 4, 1)));
    value_id sum = toy_node(&t, "add", IDS(conv(&t, r, 4, 2), r));
    expect(&t, toy_node(&t, "relu", IDS(sum)), "reorder conv+relu conv+add+relu reorder ");
}

/* Two convolutions added: one of them takes the other, which must come first. */
static void two_branches(void **unused) {
    (void)unused;
    struct toy t;
    value_id x = begin(&t);
    value_id a = conv(&t, x, 4, 1), b = conv(&t, x, 4, 2);
    expect(&t, toy_node(&t, "add", IDS(a, b)), "reorder conv conv+add reorder ");
}

static value_id one_of(struct toy *t, int k, value_id x) {
    static const char *const names[] = {"relu", "sigmoid",      "tanh",  "hard_swish", "leaky_relu",
                                        "elu",  "hard_sigmoid", "swish", "gelu"};
    if (k < 9)
        return toy_node(t, names[k], IDS(x));
    return toy_node(t, "clip", IDS(x, toy_number(t, -0.5F), toy_number(t, 1.5F)));
}

static void activations(void **unused) {
    (void)unused;
    static const char *const steps[] = {
        "reorder conv+relu reorder ",         "reorder conv+sigmoid reorder ",
        "reorder conv+tanh reorder ",         "reorder conv+hard_swish reorder ",
        "reorder conv+leaky_relu reorder ",   "reorder conv+elu reorder ",
        "reorder conv+hard_sigmoid reorder ", "reorder conv+silu reorder ",
        "reorder conv+gelu reorder ",         "reorder conv+clip reorder ",
    };
    for (int k = 0; k < 10; k++) {
        struct toy t;
        value_id x = begin(&t);
        expect(&t, one_of(&t, k, conv(&t, x, 4, 1)), steps[k]);
    }
}

/* PP-OCR's learnable affine block behind an activation: numbers become posts too. */
static void affine_after_activation(void **unused) {
    (void)unused;
    struct toy t;
    value_id x = begin(&t), y = toy_node(&t, "relu", IDS(conv(&t, x, 4, 1)));
    y = toy_node(&t, "mul", IDS(toy_constant(&t, t.g, DT_F32, SHAPE(1), (float[]){1.5F}), y));
    y = toy_node(&t, "add", IDS(y, toy_constant(&t, t.g, DT_F32, SHAPE(1), (float[]){-0.25F})));
    expect(&t, y, "reorder conv+relu+mul+add reorder ");
}

/* Room for POST_MAX, and no more. */
static void many(void **unused) {
    (void)unused;
    struct toy t;
    value_id y = conv(&t, begin(&t), 4, 1);
    for (int i = 0; i < POST_MAX + 2; i++)
        y = toy_node(&t, i % 2 ? "tanh" : "sigmoid", IDS(y));
    expect(&t, y, "reorder conv+sigmoid+tanh+sigmoid+tanh+sigmoid+tanh sigmoid tanh reorder ");
}

/* A second reader of the convolution, or an operand that would make the result larger, keeps the
 * addition. */
static void not_fused(void **unused) {
    (void)unused;
    struct toy t;
    value_id x = begin(&t), y = conv(&t, x, 4, 1);
    value_id r = toy_node(&t, "relu", IDS(y)), s = toy_node(&t, "sigmoid", IDS(y));
    expect(&t, toy_node(&t, "sub", IDS(r, s)), "reorder conv relu sigmoid sub reorder ");
    x = begin(&t);
    y = toy_node(&t, "global_average_pool", IDS(x));
    expect(&t, toy_node(&t, "add", IDS(conv(&t, y, 4, 1), x)), "global_average_pool conv add ");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(residual),    cmocka_unit_test(two_branches),
        cmocka_unit_test(activations), cmocka_unit_test(affine_after_activation),
        cmocka_unit_test(many),        cmocka_unit_test(not_fused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
