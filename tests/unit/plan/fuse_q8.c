/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/fuse_q8.c"

#include "toy.h"

static value_id byte(struct toy *t, int v) {
    return toy_constant(t, t->g, DT_U8, SCALAR, (uint8_t[]){(uint8_t)v});
}

static value_id begin(struct toy *t) {
    toy_init(t);
    value_id x = toy_input(t, "x", DT_F32, SHAPE(-1, 4, 5, 6));
    return toy_node(t, "quantize_linear", IDS(x, toy_number(t, 0.02F), byte(t, 128)));
}

static value_id conv(struct toy *t, value_id x, float y_scale, int y_zero) {
    int8_t w[16];
    for (int i = 0; i < 16; i++)
        w[i] = (int8_t)(i * 37 % 255 - 127);
    value_id zero = toy_constant(t, t->g, DT_I8, SCALAR, (int8_t[]){0});
    return toy_node(t, "q_linear_conv",
                    IDS(x, toy_number(t, 0.02F), byte(t, 128),
                        toy_constant(t, t->g, DT_I8, SHAPE(4, 4, 1, 1), w), toy_number(t, 0.01F),
                        zero, toy_number(t, y_scale), byte(t, y_zero)));
}

static value_id add(struct toy *t, value_id a, float a_scale, int a_zero, value_id b) {
    return toy_node(t, "q_linear_add",
                    IDS(a, toy_number(t, a_scale), byte(t, a_zero), b, toy_number(t, 0.02F),
                        byte(t, 128), toy_number(t, 0.09F), byte(t, 3)));
}

/* The steps with the pass, and the same bytes without it. */
static void expect(struct toy *t, value_id out, const char *steps) {
    toy_output(t, out);
    struct tensor x = toy_tensor(t, SHAPE(2, 4, 5, 6), 3);
    struct session *s = toy_open(t, 0);
    assert_string_equal(toy_steps(t, s, &x), steps);
    session_close(s);
    toy_equivalent(t, &x, 0);
    toy_deinit(t);
}

static void residual(void **unused) {
    (void)unused;
    struct toy t;
    value_id x = begin(&t);
    expect(&t, add(&t, conv(&t, x, 0.05F, 70), 0.05F, 70, x),
           "quantize_linear reorder q_linear_conv+add reorder ");
    x = begin(&t); /* the convolution is the second operand */
    value_id y = conv(&t, x, 0.02F, 128);
    expect(&t, add(&t, x, 0.02F, 128, y), "quantize_linear reorder q_linear_conv+add reorder ");
}

static void two_branches(void **unused) {
    (void)unused;
    struct toy t;
    value_id x = begin(&t), a = conv(&t, x, 0.05F, 70), b = conv(&t, a, 0.02F, 128);
    expect(&t, add(&t, conv(&t, x, 0.05F, 60), 0.05F, 60, b),
           "quantize_linear reorder q_linear_conv q_linear_conv q_linear_conv+add reorder ");
}

/* Other parameters, another reader, an operand that is broadcast: two steps. */
static void left_alone(void **unused) {
    (void)unused;
    struct toy t;
    value_id x = begin(&t);
    expect(&t, add(&t, conv(&t, x, 0.05F, 70), 0.06F, 70, x),
           "quantize_linear reorder q_linear_conv q_linear_add reorder ");
    x = begin(&t);
    expect(&t, add(&t, conv(&t, x, 0.05F, 70), 0.05F, 71, x),
           "quantize_linear reorder q_linear_conv q_linear_add reorder ");
    x = begin(&t);
    value_id y = conv(&t, x, 0.05F, 70);
    toy_output(&t, y);
    expect(&t, add(&t, y, 0.05F, 70, x),
           "quantize_linear reorder q_linear_conv q_linear_add reorder reorder ");
    x = begin(&t);
    expect(&t, add(&t, conv(&t, x, 0.05F, 70), 0.05F, 70, byte(&t, 9)),
           "quantize_linear reorder q_linear_conv q_linear_add reorder ");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(residual), cmocka_unit_test(two_branches),
                                       cmocka_unit_test(left_alone)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
