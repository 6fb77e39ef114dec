/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/fuse_conv.c"

#include "toy.h"

/* x (2, 3, 8, 8) through a convolution to m channels. */
static value_id conv(struct toy *t, value_id x, int64_t c, int64_t m, int64_t k, bool bias) {
    value_id w = toy_weights(t, SHAPE(m, c, k, k), 1);
    value_id y = bias ? toy_node(t, "conv", IDS(x, w, toy_weights(t, SHAPE(m), 2)))
                      : toy_node(t, "conv", IDS(x, w));
    return y;
}

static value_id begin(struct toy *t) {
    toy_init(t);
    return toy_input(t, "x", DT_F32, SHAPE(-1, 3, 8, 8));
}

static void expect(struct toy *t, value_id out, const char *steps) {
    toy_output(t, out);
    struct tensor x = toy_tensor(t, SHAPE(2, 3, 8, 8), 3);
    struct session *s = toy_open(t, 0);
    assert_string_equal(toy_steps(t, s, &x), steps);
    session_close(s);
    toy_equivalent(t, &x, 2e-5);
    toy_deinit(t);
}

static value_id positive(struct toy *t, int64_t n) {
    value_id v = toy_weights(t, SHAPE(n), 7);
    float *data = t->g->values[v].constant->data;
    for (int64_t i = 0; i < n; i++)
        data[i] = fabsf(data[i]) + 0.1F;
    return v;
}

static void batch_norm(void **unused) {
    (void)unused;
    for (int bias = 0; bias < 2; bias++) {
        struct toy t;
        value_id x = begin(&t), y = conv(&t, x, 3, 5, 3, bias);
        y = toy_node(&t, "batch_normalization",
                     IDS(y, toy_weights(&t, SHAPE(5), 3), toy_weights(&t, SHAPE(5), 4),
                         toy_weights(&t, SHAPE(5), 5), positive(&t, 5)));
        expect(&t, toy_node(&t, "relu", IDS(y)), "reorder conv+relu reorder ");
    }
}

/* PaddlePaddle: x * a + b, then a number, then a division */
static void arithmetic(void **unused) {
    (void)unused;
    struct toy t;
    value_id x = begin(&t), y = conv(&t, x, 3, 4, 1, false);
    y = toy_node(&t, "mul", IDS(toy_weights(&t, SHAPE(1, 4, 1, 1), 3), y));
    y = toy_node(&t, "add", IDS(y, toy_weights(&t, SHAPE(4, 1, 1), 4)));
    y = toy_node(&t, "sub", IDS(y, toy_number(&t, 0.5F)));
    expect(&t, toy_node(&t, "div", IDS(y, toy_number(&t, 3))), "reorder conv reorder ");
}

/* c - x, c / x and a map of pixels are no map of channels. */
static void other_arithmetic(void **unused) {
    (void)unused;
    struct toy t;
    value_id x = begin(&t), y = conv(&t, x, 3, 4, 1, false);
    y = toy_node(&t, "sub", IDS(toy_number(&t, 1), y));
    toy_output(
        &t, toy_node(&t, "add", IDS(conv(&t, x, 3, 4, 1, false), toy_weights(&t, SHAPE(8, 8), 4))));
    toy_output(&t, y);
    struct tensor in = toy_tensor(&t, SHAPE(2, 3, 8, 8), 3);
    toy_equivalent(&t, &in, 2e-5);
    toy_deinit(&t);
}

static void groups(void **unused) {
    (void)unused;
    struct toy t;
    value_id x = begin(&t), y = toy_node(&t, "conv", IDS(x, toy_weights(&t, SHAPE(6, 1, 3, 3), 1)));
    toy_int(&t, "group", 3);
    expect(&t, toy_node(&t, "mul", IDS(y, toy_weights(&t, SHAPE(6, 1, 1), 3))),
           "reorder conv reorder ");
}

/* Read twice: the map would change what the other reader sees. */
static void shared(void **unused) {
    (void)unused;
    struct toy t;
    value_id x = begin(&t), y = conv(&t, x, 3, 4, 1, true);
    value_id z = toy_node(&t, "mul", IDS(y, toy_weights(&t, SHAPE(4, 1, 1), 3)));
    toy_output(&t, toy_node(&t, "sub", IDS(z, y)));
    struct tensor in = toy_tensor(&t, SHAPE(2, 3, 8, 8), 3);
    toy_equivalent(&t, &in, 2e-5);
    toy_deinit(&t);
}

/* Two convolutions share their weights; only one is scaled. */
static void shared_weights(void **unused) {
    (void)unused;
    struct toy t;
    value_id x = begin(&t), w = toy_weights(&t, SHAPE(3, 3, 1, 1), 1);
    value_id a = toy_node(&t, "conv", IDS(x, w)),
             b = toy_node(&t, "mul", IDS(a, toy_weights(&t, SHAPE(3, 1, 1), 3)));
    toy_output(&t, toy_node(&t, "conv", IDS(b, w)));
    struct tensor in = toy_tensor(&t, SHAPE(2, 3, 8, 8), 3);
    toy_equivalent(&t, &in, 2e-5);
    toy_deinit(&t);
}

static void pads(void **unused) {
    (void)unused;
    struct toy t;
    value_id x = begin(&t);
    x = toy_node(&t, "pad", IDS(x, INTS(&t, 0, 0, 1, 2, 0, 0, 3, 0)));
    expect(&t, conv(&t, x, 3, 4, 3, true), "reorder conv reorder ");
}

/* Padding with something else, or channels, is not a convolution's. */
static void other_pads(void **unused) {
    (void)unused;
    for (int kind = 0; kind < 2; kind++) {
        struct toy t;
        value_id x = begin(&t);
        x = kind ? toy_node(&t, "pad", IDS(x, INTS(&t, 0, 0, 1, 2, 0, 0, 3, 0), toy_number(&t, 1)))
                 : toy_node(&t, "pad", IDS(x, INTS(&t, 0, 1, 1, 1, 0, 0, 1, 1)));
        toy_output(&t, conv(&t, x, kind ? 3 : 4, 4, 3, true));
        struct tensor in = toy_tensor(&t, SHAPE(2, 3, 8, 8), 3);
        toy_equivalent(&t, &in, 2e-5);
        toy_deinit(&t);
    }
}

/* DenseNet's order: no convolution before the norm, Caffe's scale and shift behind it. */
static void behind_norm(void **unused) {
    (void)unused;
    struct toy t;
    value_id x = begin(&t);
    value_id y = toy_node(&t, "batch_normalization",
                          IDS(x, toy_weights(&t, SHAPE(3), 3), toy_weights(&t, SHAPE(3), 4),
                              toy_weights(&t, SHAPE(3), 5), positive(&t, 3)));
    y = toy_node(&t, "mul", IDS(y, toy_weights(&t, SHAPE(3, 1, 1), 6)));
    y = toy_node(&t, "add", IDS(y, toy_weights(&t, SHAPE(3, 1, 1), 7)));
    expect(&t, toy_node(&t, "relu", IDS(y)), "batch_normalization+relu ");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batch_norm),       cmocka_unit_test(arithmetic),
        cmocka_unit_test(other_arithmetic), cmocka_unit_test(groups),
        cmocka_unit_test(shared),           cmocka_unit_test(shared_weights),
        cmocka_unit_test(behind_norm),      cmocka_unit_test(pads),
        cmocka_unit_test(other_pads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
