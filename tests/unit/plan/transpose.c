/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/transpose.c"

#include "toy.h"

static value_id turn(struct toy *t, value_id x, const int64_t perm[4]) {
    value_id y = toy_node(t, "transpose", IDS(x));
    toy_attr_ints(t, "perm", 4, perm);
    return y;
}

static const int64_t LAST[4] = {0, 2, 3, 1}, FIRST[4] = {0, 3, 1, 2}, SWAP[4] = {0, 1, 3, 2};

static value_id begin(struct toy *t) {
    toy_init(t);
    return toy_input(t, "x", DT_F32, SHAPE(2, 3, 4, 5));
}

static void expect(struct toy *t, value_id out, const char *steps) {
    toy_output(t, out);
    struct tensor x = toy_tensor(t, SHAPE(2, 3, 4, 5), 3);
    struct session *s = toy_open(t, 0);
    assert_string_equal(toy_steps(t, s, &x), steps);
    session_close(s);
    toy_equivalent(t, &x, 1e-6);
    toy_deinit(t);
}

static void there_and_back(void **unused) {
    (void)unused;
    struct toy t;
    value_id x = begin(&t);
    expect(&t, toy_node(&t, "abs", IDS(turn(&t, turn(&t, x, LAST), FIRST))), "abs ");
}

static void two_become_one(void **unused) {
    (void)unused;
    struct toy t;
    value_id x = begin(&t);
    expect(&t, turn(&t, turn(&t, x, LAST), SWAP), "transpose ");
}

/* Through element-wise operators, the affine kind with numbers among them. */
static void through_elementwise(void **unused) {
    (void)unused;
    struct toy t;
    value_id x = begin(&t), y = turn(&t, x, LAST);
    y = toy_node(&t, "exp", IDS(y));
    y = toy_node(&t, "sub", IDS(toy_number(&t, 1), y));
    expect(&t, turn(&t, y, FIRST), "exp sub ");
}

/* Per-channel operands would have to turn too: left alone. */
static void not_through_channels(void **unused) {
    (void)unused;
    struct toy t;
    value_id x = begin(&t), y = turn(&t, x, LAST);
    y = toy_node(&t, "sub", IDS(y, toy_weights(&t, SHAPE(3), 1)));
    expect(&t, turn(&t, y, FIRST), "transpose sub reorder ");
}

static void moves_only_ones(void **unused) {
    (void)unused;
    struct toy t;
    toy_init(&t);
    value_id x = toy_input(&t, "x", DT_F32, SHAPE(2, 1, 4, 5));
    toy_output(&t, toy_node(&t, "abs", IDS(turn(&t, x, LAST))));
    struct tensor in = toy_tensor(&t, SHAPE(2, 1, 4, 5), 3);
    struct session *s = toy_open(&t, 0);
    assert_string_equal(toy_steps(&t, s, &in), "abs ");
    session_close(s);
    toy_equivalent(&t, &in, 0);
    toy_deinit(&t);
}

/* ShuffleNet: channels turned between two convolutions, in their layout. */
static void channel_shuffle(void **unused) {
    (void)unused;
    struct toy t;
    toy_init(&t);
    value_id x = toy_input(&t, "x", DT_F32, SHAPE(-1, 6, 4, 5));
    value_id y = toy_node(&t, "conv", IDS(x, toy_weights(&t, SHAPE(6, 6, 1, 1), 1)));
    y = toy_node(&t, "reshape", IDS(y, INTS(&t, -1, 2, 3, 4, 5)));
    y = toy_node(&t, "transpose", IDS(y));
    ATTR_INTS_OF(&t, "perm", 0, 2, 1, 3, 4);
    y = toy_node(&t, "reshape", IDS(y, INTS(&t, -1, 6, 4, 5)));
    toy_output(&t, toy_node(&t, "conv", IDS(y, toy_weights(&t, SHAPE(6, 6, 1, 1), 2))));
    struct tensor in = toy_tensor(&t, SHAPE(2, 6, 4, 5), 3);
    struct session *s = toy_open(&t, 0);
    assert_string_equal(toy_steps(&t, s, &in), "reorder conv channel_shuffle conv reorder ");
    session_close(s);
    toy_equivalent(&t, &in, 2e-5);
    toy_deinit(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_and_back),      cmocka_unit_test(two_become_one),
        cmocka_unit_test(through_elementwise), cmocka_unit_test(not_through_channels),
        cmocka_unit_test(moves_only_ones),     cmocka_unit_test(channel_shuffle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
