/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/fold.c"

#include "toy.h"

/* Exporters' "flatten all but the first dim": Shape, Gather, Concat, Reshape. Nothing of it is left
 * in a plan. */
static void shape_arithmetic(void **unused) {
    (void)unused;
    struct toy t;
    toy_init(&t);
    value_id x = toy_input(&t, "x", DT_F32, SHAPE(-1, 3, -1));
    value_id shape = toy_node(&t, "shape", IDS(x));
    value_id n = toy_node(&t, "gather", IDS(shape, INTS(&t, 0)));
    value_id to = toy_node(&t, "concat", IDS(n, INTS(&t, -1)));
    toy_int(&t, "axis", 0);
    toy_output(&t, toy_node(&t, "abs", IDS(toy_node(&t, "reshape", IDS(x, to)))));
    struct tensor in = toy_tensor(&t, SHAPE(2, 3, 4), 3);
    struct session *s = toy_open(&t, 0);
    assert_string_equal(toy_steps(&t, s, &in), "abs ");
    struct tensor y = toy_answer(&t, s, &in);
    assert_int_equal(y.shape.dims[1], 12);
    session_close(s);
    toy_equivalent(&t, &in, 0);
    toy_deinit(&t);
}

/* Constants only: folded once, when the session opens, and the same for every plan. */
static void constant_arithmetic(void **unused) {
    (void)unused;
    struct toy t;
    toy_init(&t);
    value_id x = toy_input(&t, "x", DT_F32, SHAPE(-1, 4));
    value_id w = toy_node(
        &t, "exp", IDS(toy_node(&t, "add", IDS(toy_weights(&t, SHAPE(4), 1), toy_number(&t, 1)))));
    toy_output(&t, toy_node(&t, "mul", IDS(x, w)));
    struct tensor in = toy_tensor(&t, SHAPE(2, 4), 3);
    struct session *s = toy_open(&t, 0);
    assert_string_equal(toy_steps(&t, s, &in), "mul ");
    session_close(s);
    toy_equivalent(&t, &in, 1e-6);
    toy_deinit(&t);
}

/* A few numbers must not become gigabytes: the node stays, and the run decides. */
static void bombs_stay(void **unused) {
    (void)unused;
    struct toy t;
    toy_init(&t);
    value_id x = toy_input(&t, "x", DT_F32, SHAPE(-1));
    value_id big = toy_node(&t, "constant_of_shape", IDS(INTS(&t, 1024, 1024, 64)));
    toy_output(&t, toy_node(&t, "add",
                            IDS(x, toy_node(&t, "slice",
                                            IDS(big, INTS(&t, 0, 0, 0), INTS(&t, 1, 1, 1))))));
    struct tensor in = toy_tensor(&t, SHAPE(2), 3);
    struct session *s;
    struct err e;
    struct session_run run;
    assert_int_equal(
        session_open(t.g->model, &(struct session_options){.memory_bytes = 1 << 20}, &s, &e), OK);
    struct session_ask ask = {.inputs = &in, .threads = 1};
    assert_int_equal(session_begin(s, &ask, &run, &e), ERR_LIMIT);
    session_close(s);
    toy_deinit(&t);
}

/* Nor must a few numbers take hours: of three products, each of half the work that a load may do
 * for constants, one is made. */
static void work_ends(void **unused) {
    (void)unused;
    enum { N = 512 };
    struct toy t;
    toy_init(&t);
    value_id x = toy_input(&t, "x", DT_F32, SHAPE(1, N)), w = toy_weights(&t, SHAPE(N, N), 1);
    value_id y = toy_node(&t, "mat_mul", IDS(w, w));
    for (int i = 0; i < 2; i++)
        y = toy_node(&t, "mat_mul", IDS(y, w));
    toy_output(&t, toy_node(&t, "mat_mul", IDS(x, y)));
    struct tensor in = toy_tensor(&t, SHAPE(1, N), 3);
    struct session *s = toy_open(&t, 0);
    assert_string_equal(toy_steps(&t, s, &in), "mat_mul mat_mul mat_mul ");
    session_close(s);
    toy_deinit(&t);
}

/* A node that cannot run on its constants fails when it runs, not when the session opens. */
static void failures_wait(void **unused) {
    (void)unused;
    struct toy t;
    toy_init(&t);
    value_id x = toy_input(&t, "x", DT_F32, SHAPE(2));
    value_id bad = toy_node(&t, "gather", IDS(toy_weights(&t, SHAPE(2), 1), INTS(&t, 7)));
    toy_output(&t, toy_node(&t, "add", IDS(x, bad)));
    struct tensor in = toy_tensor(&t, SHAPE(2), 3);
    struct session *s = toy_open(&t, 0);
    struct err e;
    struct session_run run;
    struct session_ask ask = {.inputs = &in, .threads = 1};
    assert_int_not_equal(session_begin(s, &ask, &run, &e), OK);
    session_close(s);
    toy_deinit(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shape_arithmetic), cmocka_unit_test(constant_arithmetic),
        cmocka_unit_test(bombs_stay),       cmocka_unit_test(work_ends),
        cmocka_unit_test(failures_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
