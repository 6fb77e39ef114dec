/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/rows.c"

#include "toy.h"

static value_id begin(struct toy *t) {
    toy_init(t);
    return toy_input(t, "x", DT_F32, SHAPE(-1, 4, 6));
}

/* Whether a graph of x (N, 4, 6) that ends in `out` may be batched. */
static bool batched(struct toy *t, value_id out) {
    toy_output(t, out);
    value_id v = out;
    t->g->values[v].dtype = DT_F32;
    t->g->values[v].ranked = true;
    t->g->values[v].shape = (struct shape){2, {-1, -1}};
    struct session *s = toy_open(t, 0);
    bool yes = session_batches(s);
    session_close(s);
    toy_deinit(t);
    return yes;
}

static value_id turned(struct toy *t, value_id x, int64_t a, int64_t b, int64_t c) {
    value_id y = toy_node(t, "transpose", IDS(x));
    ATTR_INTS_OF(t, "perm", a, b, c);
    return y;
}

static void apart(void **unused) {
    (void)unused;
    struct toy t;
    value_id x = begin(&t);
    assert_true(batched(&t, toy_node(&t, "exp", IDS(x))));
    x = begin(&t);
    assert_true(batched(&t, toy_node(&t, "add", IDS(x, toy_weights(&t, SHAPE(4, 6), 1)))));
    x = begin(&t);
    assert_true(batched(&t, toy_node(&t, "mat_mul", IDS(x, toy_weights(&t, SHAPE(6, 5), 1)))));
    x = begin(&t);
    assert_true(batched(&t, toy_node(&t, "mat_mul", IDS(x, turned(&t, x, 0, 2, 1)))));
    x = begin(&t);
    assert_true(batched(&t, toy_node(&t, "reshape", IDS(x, INTS(&t, 0, -1)))));
    x = begin(&t);
    assert_true(batched(&t, turned(&t, turned(&t, x, 2, 0, 1), 1, 2, 0)));
    x = begin(&t); /* heads: (N, 4, 6) -> (N * 4, 6) -> (N, 4, 6) */
    value_id flat = toy_node(&t, "exp", IDS(toy_node(&t, "reshape", IDS(x, INTS(&t, -1, 6)))));
    assert_true(batched(&t, toy_node(&t, "reshape", IDS(flat, INTS(&t, -1, 4, 6)))));
    x = begin(&t);
    value_id y = toy_node(&t, "reduce_mean", IDS(x));
    ATTR_INTS_OF(&t, "axes", -1);
    assert_true(batched(&t, y));
}

/* Shapes taken from the input and used again: Shape, Gather, Concat, Reshape. */
static void apart_by_shape(void **unused) {
    (void)unused;
    struct toy t;
    value_id x = begin(&t);
    value_id n = toy_node(&t, "gather", IDS(toy_node(&t, "shape", IDS(x)), INTS(&t, 0)));
    value_id to = toy_node(&t, "concat", IDS(n, INTS(&t, -1)));
    toy_int(&t, "axis", 0);
    assert_true(batched(&t, toy_node(&t, "reshape", IDS(x, to))));
    x = begin(&t); /* zeros as large as the batch */
    n = toy_node(&t, "gather", IDS(toy_node(&t, "shape", IDS(x)), INTS(&t, 0)));
    to = toy_node(&t, "concat", IDS(n, INTS(&t, 1, 6)));
    toy_int(&t, "axis", 0);
    assert_true(
        batched(&t, toy_node(&t, "add", IDS(x, toy_node(&t, "constant_of_shape", IDS(to))))));
}

static void mixed(void **unused) {
    (void)unused;
    struct toy t;
    value_id x = begin(&t), y = toy_node(&t, "reduce_mean", IDS(x));
    ATTR_INTS_OF(&t, "axes", 0);
    assert_false(batched(&t, toy_node(&t, "add", IDS(x, y))));
    x = begin(&t);
    assert_false(
        batched(&t, toy_node(&t, "cum_sum",
                             IDS(x, toy_constant(&t, t.g, DT_I64, SCALAR, (int64_t[]){0})))));
    x = begin(&t);
    y = toy_node(&t, "slice", IDS(x, INTS(&t, -1), INTS(&t, -1000), INTS(&t, 0), INTS(&t, -1)));
    assert_false(batched(&t, y));
    x = begin(&t);
    y = toy_node(&t, "concat", IDS(x, x));
    toy_int(&t, "axis", 0);
    assert_false(batched(&t, y));
    x = begin(&t); /* (N, 4, 6) -> (4, N, 6) -> (N, 4, 6): the elements of other rows */
    y = toy_node(&t, "reshape", IDS(turned(&t, x, 1, 0, 2), INTS(&t, -1, 4, 6)));
    assert_false(batched(&t, y));
    x = begin(&t); /* row number: 0, 1, 2, ... */
    value_id n = toy_node(
        &t, "gather",
        IDS(toy_node(&t, "shape", IDS(x)), toy_constant(&t, t.g, DT_I64, SCALAR, (int64_t[]){0})));
    value_id range = toy_node(&t, "range",
                              IDS(toy_constant(&t, t.g, DT_I64, SCALAR, (int64_t[]){0}), n,
                                  toy_constant(&t, t.g, DT_I64, SCALAR, (int64_t[]){1})));
    value_id numbers =
        toy_node(&t, "reshape", IDS(toy_node(&t, "cast", IDS(range)), INTS(&t, -1, 1, 1)));
    for (int k = 0; k < t.g->n_nodes; k++)
        if (str_is(t.g->nodes[k].op_name, "cast")) {
            t.g->nodes[k].n_attrs = 1;
            t.g->nodes[k].attrs[0] = (struct attr){.name = LIT("to"), .kind = ATTR_INT, .i = 1};
        }
    assert_false(batched(&t, toy_node(&t, "add", IDS(x, numbers))));
}

/* Inputs without a free first dim, or beside one that has none. */
static void no_batch(void **unused) {
    (void)unused;
    struct toy t;
    toy_init(&t);
    value_id x = toy_input(&t, "x", DT_F32, SHAPE(2, 3));
    assert_false(batched(&t, toy_node(&t, "exp", IDS(x))));
    x = begin(&t);
    value_id k = toy_input(&t, "k", DT_F32, SCALAR);
    assert_false(batched(&t, toy_node(&t, "add", IDS(x, k))));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(apart),
        cmocka_unit_test(apart_by_shape),
        cmocka_unit_test(mixed),
        cmocka_unit_test(no_batch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
