/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies at run time (nested.c) and branches known before (branch.c). */
#include "plan/nested.c"

#include "toy.h"

static void branch_by_data(void **unused) {
    (void)unused;
    struct toy t;
    toy_init(&t);
    value_id x = toy_input(&t, "x", DT_F32, SHAPE(-1)), c = toy_input(&t, "c", DT_BOOL, SCALAR);
    toy_output(&t, toy_node(&t, "abs", IDS(toy_choose(&t, c, toy_node(&t, "mul", IDS(x, x))))));
    for (unsigned off = 0; off <= 1; off++) {
        struct session *s = toy_open(&t, off ? ~0u : 0);
        for (int round = 0; round < 6; round++) {
            uint8_t yes = round & 1;
            struct tensor in[2] = {toy_tensor(&t, SHAPE(3 + round / 2), 1),
                                   {DT_BOOL, LAYOUT_PLAIN, {0}, &yes}};
            struct tensor y = toy_answer(&t, s, in);
            for (size_t i = 0; i < tensor_count(&y); i++) {
                double v = tensor_f64(in, i) * tensor_f64(in, i);
                assert_true(fabs(tensor_f64(&y, i) - (yes ? v : exp(v))) < 1e-4 * exp(v));
            }
        }
        session_close(s);
    }
    toy_deinit(&t);
}

/* "has x rank 1?" is known when the shapes are: the branch taken is part of the plan. */
static void branch_by_shape(void **unused) {
    (void)unused;
    struct toy t;
    toy_init(&t);
    value_id x = toy_input(&t, "x", DT_F32, SHAPE(-1));
    value_id n = toy_node(&t, "gather", IDS(toy_node(&t, "shape", IDS(x)), INTS(&t, 0)));
    value_id five = toy_node(&t, "equal", IDS(n, INTS(&t, 5)));
    toy_output(&t, toy_node(&t, "abs", IDS(toy_choose(&t, five, x))));
    struct tensor in = toy_tensor(&t, SHAPE(5), 1);
    struct session *s = toy_open(&t, 0);
    assert_string_equal(toy_steps(&t, s, &in), "neg abs ");
    toy_equivalent(&t, &in, 1e-6);
    in = toy_tensor(&t, SHAPE(4), 1);
    assert_string_equal(toy_steps(&t, s, &in), "exp abs ");
    toy_equivalent(&t, &in, 1e-6);
    session_close(s);
    toy_deinit(&t);
}

/* A branch inside a branch: captures of captures. */
static void branch_in_branch(void **unused) {
    (void)unused;
    struct toy t;
    toy_init(&t);
    value_id x = toy_input(&t, "x", DT_F32, SHAPE(-1)), c = toy_input(&t, "c", DT_BOOL, SCALAR);
    struct graph *outer = graph_new(t.g->model, t.g), *yes, *no;
    value_id ox = toy_value(&t, outer, "x"), oc = toy_value(&t, outer, "c");
    outer->values[ox].capture = x;
    outer->values[oc].capture = c;
    value_id twice = toy_node_in(&t, outer, "add", IDS(ox, ox));
    struct toy inside = {.g = outer};
    arena_init(&inside.arena, 1 << 20);
    yes = toy_body(&inside, "neg", twice);
    no = toy_body(&inside, "exp", ox);
    value_id y = toy_node_in(&t, outer, "if", 1, &oc);
    toy_attr(outer, "then_branch", ATTR_GRAPH)->graph = yes;
    toy_attr(outer, "else_branch", ATTR_GRAPH)->graph = no;
    toy_output_in(&t, outer, y);
    value_id z = toy_node(&t, "if", IDS(c));
    toy_attr(t.g, "then_branch", ATTR_GRAPH)->graph = outer;
    toy_attr(t.g, "else_branch", ATTR_GRAPH)->graph = toy_body(&t, "abs", x);
    toy_output(&t, z);
    for (unsigned off = 0; off <= 1; off++) {
        struct session *s = toy_open(&t, off ? ~0u : 0);
        uint8_t on = 1;
        struct tensor in[2] = {toy_tensor(&t, SHAPE(3), 1), {DT_BOOL, LAYOUT_PLAIN, {0}, &on}};
        struct tensor out = toy_answer(&t, s, in);
        assert_true(tensor_f64(&out, 1) == -2 * tensor_f64(in, 1));
        session_close(s);
    }
    arena_deinit(&inside.arena);
    toy_deinit(&t);
}

/* sum = 0; for i in 0..n: sum += x — carried state, a trip count from data, a scan output. */
static void loop(void **unused) {
    (void)unused;
    struct toy t;
    toy_init(&t);
    value_id x = toy_input(&t, "x", DT_F32, SHAPE(-1)), n = toy_input(&t, "n", DT_I64, SCALAR);
    struct graph *body = graph_new(t.g->model, t.g);
    (void)toy_input_in(&t, body, "i", DT_I64, SCALAR);
    value_id go = toy_input_in(&t, body, "go", DT_BOOL, SCALAR),
             sum = toy_input_in(&t, body, "sum", DT_F32, SHAPE(-1));
    value_id bx = toy_value(&t, body, "x");
    body->values[bx].capture = x;
    value_id more = toy_node_in(&t, body, "add", IDS(sum, bx));
    toy_output_in(&t, body, go);
    toy_output_in(&t, body, more);
    value_id zero = toy_node(&t, "sub", IDS(x, x));
    value_id y = toy_node(&t, "loop", IDS(n, VALUE_NONE, zero));
    toy_attr(t.g, "body", ATTR_GRAPH)->graph = body;
    toy_output(&t, y);
    struct session *s = toy_open(&t, 0);
    for (int64_t count = 0; count < 6; count++) {
        struct tensor in[2] = {toy_tensor(&t, SHAPE(3), 1), {DT_I64, LAYOUT_PLAIN, {0}, &count}};
        struct tensor out = toy_answer(&t, s, in);
        for (size_t i = 0; i < 3; i++)
            assert_true(fabs(tensor_f64(&out, i) - (double)count * tensor_f64(in, i)) < 1e-5);
    }
    session_close(s);
    toy_deinit(&t);
}

/* x after n rounds of n rounds of ... negations, `depth` loops within each other. */
static value_id loops_within(struct toy *t, struct graph *g, value_id x, int64_t n, int depth) {
    struct graph *body = graph_new(t->g->model, g);
    (void)toy_input_in(t, body, "i", DT_I64, SCALAR);
    value_id go = toy_input_in(t, body, "go", DT_BOOL, SCALAR);
    value_id state = toy_input_in(t, body, "state", DT_F32, SHAPE(-1));
    toy_output_in(t, body, go);
    toy_output_in(t, body,
                  depth > 1 ? loops_within(t, body, state, n, depth - 1)
                            : toy_node_in(t, body, "neg", 1, &state));
    value_id count = toy_constant(t, g, DT_I64, SCALAR, &n);
    value_id y = toy_node_in(t, g, "loop", IDS(count, VALUE_NONE, x));
    toy_attr(g, "body", ATTR_GRAPH)->graph = body;
    return y;
}

/* Each loop keeps its limit; all of them together must end too. */
static void loops_within_loops_end(void **unused) {
    (void)unused;
    for (int depth = 1; depth <= 4; depth++) {
        struct toy t;
        struct session *s;
        struct session_run run;
        struct err e;
        toy_init(&t);
        value_id x = toy_input(&t, "x", DT_F32, SHAPE(-1));
        toy_output(&t, loops_within(&t, t.g, x, 9, depth));
        struct session_options o = {.loop_limit = 10};
        assert_int_equal(session_open(t.g->model, &o, &s, &e), OK);
        struct tensor in = toy_tensor(&t, SHAPE(3), 1);
        struct session_ask ask = {.inputs = &in, .threads = 1};
        enum code code = session_begin(s, &ask, &run, &e);
        if (depth < 3) { /* 9 + 81 bodies of 640 */
            assert_int_equal(code, OK);
            assert_true(tensor_f64(&run.outputs[0], 1) == -tensor_f64(&in, 1));
            session_end(s, &run);
        } else { /* 9 + 81 + 729 */
            assert_int_equal(code, ERR_LIMIT);
            assert_non_null(strstr(e.text, "loops of a run go round more than 64 times 10 times"));
        }
        session_close(s);
        toy_deinit(&t);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(branch_by_data),         cmocka_unit_test(branch_by_shape),
        cmocka_unit_test(branch_in_branch),       cmocka_unit_test(loop),
        cmocka_unit_test(loops_within_loops_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
