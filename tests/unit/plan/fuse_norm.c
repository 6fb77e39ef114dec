/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/fuse_norm.c"

#include "toy.h"

static value_id begin(struct toy *t) {
    toy_init(t);
    return toy_input(t, "x", DT_F32, SHAPE(-1, 3, 16));
}

static void expect(struct toy *t, value_id out, const char *steps) {
    toy_output(t, out);
    struct tensor x = toy_tensor(t, SHAPE(2, 3, 16), 3);
    struct session *s = toy_open(t, 0);
    assert_string_equal(toy_steps(t, s, &x), steps);
    session_close(s);
    toy_equivalent(t, &x, 1e-5);
    toy_deinit(t);
}

/* reduce over an axis, as an attribute or an input by opset */
static value_id reduce(struct toy *t, const char *op, value_id x, int64_t axis) {
    value_id y = toy_node(t, op, IDS(x));
    ATTR_INTS_OF(t, "axes", axis);
    return y;
}

static value_id square(struct toy *t, value_id x, bool power) {
    return power ? toy_node(t, "pow", IDS(x, toy_number(t, 2))) : toy_node(t, "mul", IDS(x, x));
}

static value_id root(struct toy *t, value_id mean) {
    return toy_node(t, "sqrt", IDS(toy_node(t, "add", IDS(mean, toy_number(t, 1e-5F)))));
}

static value_id layer_norm(struct toy *t, value_id x, int64_t axis, bool power) {
    value_id d = toy_node(t, "sub", IDS(x, reduce(t, "reduce_mean", x, axis)));
    value_id v = reduce(t, "reduce_mean", square(t, d, power), axis);
    value_id y = toy_node(t, "div", IDS(d, root(t, v)));
    y = toy_node(t, "mul", IDS(y, toy_weights(t, SHAPE(16), 1)));
    return toy_node(t, "add", IDS(y, toy_weights(t, SHAPE(1, 1, 16), 2)));
}

static void layer_norms(void **unused) {
    (void)unused;
    for (int k = 0; k < 4; k++) {
        struct toy t;
        value_id x = begin(&t);
        expect(&t, layer_norm(&t, x, k & 1 ? -1 : 2, k & 2), "layer_normalization ");
    }
}

/* Over another axis it is none; the parts stay, and the answer too. */
static void other_axis(void **unused) {
    (void)unused;
    struct toy t;
    value_id x = begin(&t);
    toy_output(&t, layer_norm(&t, x, 1, true));
    struct tensor in = toy_tensor(&t, SHAPE(2, 3, 16), 3);
    struct session *s = toy_open(&t, 0);
    assert_null(strstr(toy_steps(&t, s, &in), "layer_norm"));
    session_close(s);
    toy_equivalent(&t, &in, 1e-5);
    toy_deinit(&t);
}

static void rms_norms(void **unused) {
    (void)unused;
    for (int k = 0; k < 3; k++) {
        struct toy t;
        value_id x = begin(&t), v = reduce(&t, "reduce_mean", square(&t, x, k == 1), -1), y;
        if (k == 2) {
            value_id sum = toy_node(&t, "add", IDS(v, toy_number(&t, 1e-5F)));
            y = toy_node(&t, "mul", IDS(toy_node(&t, "pow", IDS(sum, toy_number(&t, -0.5F))), x));
        } else {
            y = toy_node(&t, "mul", IDS(x, toy_node(&t, "reciprocal", IDS(root(&t, v)))));
        }
        expect(&t, toy_node(&t, "mul", IDS(toy_weights(&t, SHAPE(16), 1), y)),
               "rms_normalization ");
    }
}

static void softmax(void **unused) {
    (void)unused;
    struct toy t;
    value_id x = begin(&t), e = toy_node(&t, "sub", IDS(x, reduce(&t, "reduce_max", x, -1)));
    e = toy_node(&t, "exp", IDS(e));
    value_id sum = toy_node(&t, "reduce_sum", IDS(e, INTS(&t, -1)));
    expect(&t, toy_node(&t, "div", IDS(e, sum)), "softmax ");
}

/* The deviation of one value dividing another is no norm. */
static void of_another(void **unused) {
    (void)unused;
    struct toy t;
    value_id x = begin(&t), y = toy_node(&t, "exp", IDS(x));
    value_id v = root(&t, reduce(&t, "reduce_mean", square(&t, x, false), -1));
    value_id d = toy_node(&t, "div", IDS(y, v));
    toy_output(&t, toy_node(&t, "mul", IDS(d, toy_weights(&t, SHAPE(16), 1))));
    struct tensor in = toy_tensor(&t, SHAPE(2, 3, 16), 3);
    struct session *s = toy_open(&t, 0);
    assert_null(strstr(toy_steps(&t, s, &in), "rms"));
    session_close(s);
    toy_equivalent(&t, &in, 1e-5);
    toy_deinit(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layer_norms), cmocka_unit_test(other_axis), cmocka_unit_test(rms_norms),
        cmocka_unit_test(softmax),     cmocka_unit_test(of_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
