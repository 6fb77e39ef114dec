/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/dead.c"

#include "toy.h"

/* A graph of x (2, 3, 4) whose plan must be these steps, with the same answer as without passes. */
static void expect(struct toy *t, value_id out, const char *steps) {
    toy_output(t, out);
    struct tensor x = toy_tensor(t, SHAPE(2, 3, 4), 3);
    struct session *s = toy_open(t, 0);
    assert_string_equal(toy_steps(t, s, &x), steps);
    session_close(s);
    toy_equivalent(t, &x, 1e-6);
    toy_deinit(t);
}

static value_id begin(struct toy *t) {
    toy_init(t);
    return toy_input(t, "x", DT_F32, SHAPE(2, -1, 4));
}

static void unread(void **unused) {
    (void)unused;
    struct toy t;
    value_id x = begin(&t);
    (void)toy_node(&t, "exp", IDS(toy_node(&t, "neg", IDS(x))));
    expect(&t, toy_node(&t, "abs", IDS(x)), "abs ");
}

static void handed_on(void **unused) {
    (void)unused;
    struct toy t;
    value_id x = begin(&t), v = toy_node(&t, "identity", IDS(x));
    v = toy_node(&t, "add", IDS(v, toy_number(&t, 0)));
    v = toy_node(&t, "mul", IDS(v, toy_number(&t, 1)));
    v = toy_node(&t, "reshape", IDS(v, INTS(&t, 2, -1, 4)));
    v = toy_node(&t, "expand", IDS(v, INTS(&t, 2, 3, 1)));
    v = toy_node(&t, "slice", IDS(v, INTS(&t, 0), INTS(&t, 1000), INTS(&t, 1)));
    v = toy_node(&t, "concat", IDS(v));
    toy_int(&t, "axis", 1);
    v = toy_node(&t, "cast", IDS(v));
    toy_int(&t, "to", 1);
    expect(&t, toy_node(&t, "abs", IDS(v)), "abs ");
}

/* A slice of the same shape may still turn the order round. */
static void reversed_slice_stays(void **unused) {
    (void)unused;
    struct toy t;
    value_id x = begin(&t);
    value_id v =
        toy_node(&t, "slice", IDS(x, INTS(&t, -1), INTS(&t, -1000), INTS(&t, 1), INTS(&t, -1)));
    expect(&t, v, "slice ");
}

/* So may a pad that takes in front what it gives behind. */
static void shifting_pad_stays(void **unused) {
    (void)unused;
    struct toy t;
    value_id x = begin(&t);
    expect(&t, toy_node(&t, "pad", IDS(x, INTS(&t, 0, -1, 0, 0, 1, 0))), "pad ");
    x = begin(&t);
    x = toy_node(&t, "pad", IDS(x, INTS(&t, 0, 0, 0, 0, 0, 0)));
    expect(&t, toy_node(&t, "abs", IDS(x)), "abs ");
}

/* 0 - x and 1 / x are not x; neither is 0 + x when it broadcasts. */
static void not_neutral(void **unused) {
    (void)unused;
    struct toy t;
    value_id x = begin(&t);
    value_id v = toy_node(&t, "sub", IDS(toy_number(&t, 0), x));
    v = toy_node(&t, "div", IDS(toy_number(&t, 1), v));
    v = toy_node(&t, "add",
                 IDS(v, toy_constant(&t, t.g, DT_F32, SHAPE(2, 1, 1, 1), (float[2]){0, 0})));
    toy_output(&t, v);
    struct tensor in = toy_tensor(&t, SHAPE(2, 3, 4), 3);
    struct session *s = toy_open(&t, 0);
    struct tensor y = toy_answer(&t, s, &in);
    assert_int_equal(y.shape.rank, 4);
    session_close(s);
    toy_equivalent(&t, &in, 1e-6);
    toy_deinit(&t);
}

/* Two equal chains, over equal constants that are not the same memory, become one. */
static void equal_twice(void **unused) {
    (void)unused;
    struct toy t;
    value_id x = begin(&t), v[2];
    for (int i = 0; i < 2; i++) {
        v[i] = toy_node(&t, "exp", IDS(toy_node(&t, "sub", IDS(x, toy_number(&t, 2)))));
        v[i] = toy_node(&t, "leaky_relu", IDS(v[i]));
        toy_float(&t, "alpha", 0.25F);
    }
    expect(&t, toy_node(&t, "div", IDS(v[0], v[1])), "sub exp leaky_relu div ");
}

static void equal_but_for_an_attribute(void **unused) {
    (void)unused;
    struct toy t;
    value_id x = begin(&t), v[2];
    for (int i = 0; i < 2; i++) {
        v[i] = toy_node(&t, "leaky_relu", IDS(x));
        toy_float(&t, "alpha", (float)i * 0.5F);
    }
    expect(&t, toy_node(&t, "div", IDS(v[0], v[1])), "leaky_relu leaky_relu div ");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unread),
        cmocka_unit_test(handed_on),
        cmocka_unit_test(reversed_slice_stays),
        cmocka_unit_test(shifting_pad_stays),
        cmocka_unit_test(not_neutral),
        cmocka_unit_test(equal_twice),
        cmocka_unit_test(equal_but_for_an_attribute),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
