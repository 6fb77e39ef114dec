/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/layout.c"

#include "toy.h"

static value_id begin(struct toy *t) {
    toy_init(t);
    return toy_input(t, "x", DT_F32, SHAPE(-1, 4, 6, 8));
}

static value_id conv(struct toy *t, value_id x, int64_t c) {
    return toy_node(t, "conv", IDS(x, toy_weights(t, SHAPE(c, c, 1, 1), 1)));
}

static void expect(struct toy *t, value_id out, const char *steps) {
    toy_output(t, out);
    struct tensor x = toy_tensor(t, SHAPE(2, 4, 6, 8), 3);
    struct session *s = toy_open(t, 0);
    assert_string_equal(toy_steps(t, s, &x), steps);
    session_close(s);
    toy_equivalent(t, &x, 2e-5);
    toy_deinit(t);
}

/* One reorder in, one out, whatever lies between. */
static void chain(void **unused) {
    (void)unused;
    struct toy t;
    value_id x = begin(&t), a = conv(&t, x, 4), b = toy_node(&t, "exp", IDS(conv(&t, a, 4)));
    value_id c = toy_node(&t, "concat", IDS(a, b));
    toy_int(&t, "axis", 1);
    expect(&t, toy_node(&t, "sub", IDS(c, toy_weights(&t, SHAPE(8, 1, 1), 2))),
           "reorder conv conv exp concat sub reorder ");
}

/* Element-wise work far from any convolution stays plain. */
static void plain_chain(void **unused) {
    (void)unused;
    struct toy t;
    value_id x = begin(&t);
    expect(&t, toy_node(&t, "exp", IDS(toy_node(&t, "abs", IDS(x)))), "abs exp ");
}

/* Readers of a reordered value share the reorder. */
static void shared_reorder(void **unused) {
    (void)unused;
    struct toy t;
    value_id x = begin(&t);
    expect(&t,
           toy_node(&t, "sub",
                    IDS(conv(&t, x, 4),
                        toy_node(&t, "exp", IDS(conv(&t, toy_node(&t, "abs", IDS(x)), 4))))),
           "reorder conv abs conv exp sub reorder ");
}

/* A squeeze-and-excite block: one number per channel and row stays what it is; with one pixel both
 * layouts are one. */
static void gate(void **unused) {
    (void)unused;
    struct toy t;
    value_id x = begin(&t), a = conv(&t, x, 4), g = toy_node(&t, "global_average_pool", IDS(a));
    expect(&t, toy_node(&t, "mul", IDS(a, toy_node(&t, "sigmoid", IDS(conv(&t, g, 4))))),
           "reorder conv global_average_pool conv+sigmoid mul reorder ");
}

/* A constant picture cannot be brought to another layout: its convolution stays plain. */
static void constant_picture_stays(void **unused) {
    (void)unused;
    struct toy t;
    value_id x = begin(&t),
             w = toy_node(&t, "slice", IDS(x, INTS(&t, 0), INTS(&t, 1), INTS(&t, 0)));
    w = toy_node(&t, "reshape", IDS(w, INTS(&t, 3, 4, 2, 8)));
    value_id c = toy_node(&t, "conv", IDS(toy_weights(&t, SHAPE(1, 4, 6, 8), 1), w));
    expect(&t, c, "slice conv ");
}

/* What needs plain tensors ends a chain: a view of the elements in their order. */
static void views_are_plain(void **unused) {
    (void)unused;
    struct toy t;
    value_id x = begin(&t), r = toy_node(&t, "reshape", IDS(conv(&t, x, 4), INTS(&t, 0, 8, -1)));
    expect(&t, toy_node(&t, "exp", IDS(r)), "reorder conv reorder exp ");
}

/* A residual from outside the chain joins it. */
static void residual_from_outside(void **unused) {
    (void)unused;
    struct toy t;
    value_id x = begin(&t), a = conv(&t, x, 4);
    expect(&t, toy_node(&t, "add", IDS(a, toy_node(&t, "exp", IDS(x)))),
           "exp reorder reorder conv+add reorder ");
}

/* Transposes that are changes of layout: free on the side of the chain. */
static void transposes(void **unused) {
    (void)unused;
    struct toy t;
    toy_init(&t);
    value_id x = toy_input(&t, "x", DT_F32, SHAPE(2, 6, 8, 4));
    value_id in = toy_node(&t, "transpose", IDS(x));
    ATTR_INTS_OF(&t, "perm", 0, 3, 1, 2);
    value_id out = toy_node(&t, "transpose", IDS(conv(&t, in, 4)));
    ATTR_INTS_OF(&t, "perm", 0, 2, 3, 1);
    toy_output(&t, toy_node(&t, "exp", IDS(out)));
    struct tensor data = toy_tensor(&t, SHAPE(2, 6, 8, 4), 3);
    struct session *s = toy_open(&t, 0);
    assert_string_equal(toy_steps(&t, s, &data), "conv exp ");
    session_close(s);
    toy_equivalent(&t, &data, 2e-5);
    toy_deinit(&t);
}

/* Three and five dims have channels too. */
static void other_ranks(void **unused) {
    (void)unused;
    struct toy t;
    toy_init(&t);
    value_id x = toy_input(&t, "x", DT_F32, SHAPE(2, 3, 20));
    toy_output(&t, toy_node(&t, "exp",
                            IDS(toy_node(&t, "conv", IDS(x, toy_weights(&t, SHAPE(5, 3, 3), 1))))));
    struct tensor data = toy_tensor(&t, SHAPE(2, 3, 20), 3);
    toy_equivalent(&t, &data, 2e-5);
    toy_deinit(&t);
    toy_init(&t);
    x = toy_input(&t, "x", DT_F32, SHAPE(1, 2, 4, 5, 6));
    toy_output(
        &t, toy_node(&t, "exp",
                     IDS(toy_node(&t, "conv", IDS(x, toy_weights(&t, SHAPE(3, 2, 2, 2, 2), 1))))));
    data = toy_tensor(&t, SHAPE(1, 2, 4, 5, 6), 3);
    toy_equivalent(&t, &data, 2e-5);
    toy_deinit(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(constant_picture_stays),
        cmocka_unit_test(chain),
        cmocka_unit_test(plain_chain),
        cmocka_unit_test(shared_reorder),
        cmocka_unit_test(gate),
        cmocka_unit_test(views_are_plain),
        cmocka_unit_test(residual_from_outside),
        cmocka_unit_test(transposes),
        cmocka_unit_test(other_ranks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
