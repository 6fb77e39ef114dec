/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/rewire.c"

#include "toy.h"

struct fixture {
    struct toy t;
    struct rewire w;
};

static void begin(struct fixture *f) {
    struct err e;
    assert_int_equal(rewire_open(&f->w, f->t.g, &f->t.arena, &e), OK);
}

static bool end(struct fixture *f) {
    struct err e = {0};
    bool changed = false;
    assert_int_equal(rewire_close(&f->w, &changed, &e), OK);
    assert_int_equal(graph_verify(f->t.g->model, &e), OK);
    return changed;
}

/* x -> relu -> relu -> neg: replacing the second relu by the first drops it, and readers follow. */
static void replace_drops_the_maker(void **unused) {
    (void)unused;
    struct fixture f;
    toy_init(&f.t);
    value_id x = toy_input(&f.t, "x", DT_F32, SHAPE(2));
    value_id a = toy_node(&f.t, "relu", IDS(x)), b = toy_node(&f.t, "relu", IDS(a)),
             c = toy_node(&f.t, "neg", IDS(b));
    toy_output(&f.t, c);
    begin(&f);
    assert_int_equal(rewire_uses(&f.w, a), 1);
    rewire_replace(&f.w, b, a);
    assert_int_equal(rewire_uses(&f.w, a), 1);
    assert_null(rewire_visit(&f.w, 1));
    assert_int_equal(rewire_in(&f.w, rewire_visit(&f.w, 2), 0), a);
    assert_true(end(&f));
    assert_int_equal(f.t.g->n_nodes, 2);
    assert_int_equal(f.t.g->nodes[1].in[0], a);
    assert_int_equal(f.t.g->values[c].producer, 1);
    toy_deinit(&f.t);
}

static void replaced_output(void **unused) {
    (void)unused;
    struct fixture f;
    toy_init(&f.t);
    value_id x = toy_input(&f.t, "x", DT_F32, SHAPE(2));
    value_id a = toy_node(&f.t, "identity", IDS(x));
    toy_output(&f.t, a);
    begin(&f);
    rewire_replace(&f.w, a, x);
    assert_true(end(&f));
    assert_int_equal(f.t.g->n_nodes, 0);
    assert_int_equal(f.t.g->outputs[0], x);
    toy_deinit(&f.t);
}

/* A node made into another lets go of a long chain that only it read. */
static void become_drops_chains(void **unused) {
    (void)unused;
    struct fixture f;
    toy_init(&f.t);
    value_id x = toy_input(&f.t, "x", DT_F32, SHAPE(2)), v = x;
    for (int i = 0; i < 5000; i++)
        v = toy_node(&f.t, "neg", IDS(v));
    value_id y = toy_node(&f.t, "add", IDS(v, x));
    toy_output(&f.t, y);
    begin(&f);
    struct node *n = rewire_visit(&f.w, 5000);
    assert_false(rewire_become(&f.w, n, "no_such_operator", 1, &x));
    assert_true(rewire_become(&f.w, n, "relu", 1, &x));
    assert_true(rewire_attr_float(&f.w, n, "alpha", 2));
    assert_true(rewire_attr_float(&f.w, n, "alpha", 3));
    assert_true(rewire_attr_int(&f.w, n, "k", 7));
    assert_true(end(&f));
    assert_int_equal(f.t.g->n_nodes, 1);
    assert_true(attr_float(&f.t.g->nodes[0], "alpha", 0) == 3);
    assert_int_equal(attr_int(&f.t.g->nodes[0], "k", 0), 7);
    toy_deinit(&f.t);
}

/* relu(add(x, y)) + late: add takes relu's place, behind what it needs. */
static void absorb_moves_down(void **unused) {
    (void)unused;
    struct fixture f;
    toy_init(&f.t);
    value_id x = toy_input(&f.t, "x", DT_F32, SHAPE(2));
    value_id a = toy_node(&f.t, "add", IDS(x, x)), other = toy_node(&f.t, "neg", IDS(x)),
             sum = toy_node(&f.t, "add", IDS(a, other));
    toy_output(&f.t, sum);
    begin(&f);
    struct node *host = rewire_producer(&f.w, a);
    assert_true(rewire_set_in(&f.w, host, 2, other));
    struct node *moved = rewire_absorb(&f.w, host, rewire_visit(&f.w, 2));
    assert_int_equal(moved->out[0], sum);
    assert_int_equal(rewire_uses(&f.w, other), 1);
    assert_true(end(&f));
    assert_int_equal(f.t.g->n_nodes, 2);
    assert_int_equal(f.t.g->nodes[1].n_in, 3);
    toy_deinit(&f.t);
}

/* What a body captures counts as read, and follows a replacement. */
static void captures_count(void **unused) {
    (void)unused;
    struct fixture f;
    toy_init(&f.t);
    value_id x = toy_input(&f.t, "x", DT_F32, SHAPE(2)), c = toy_input(&f.t, "c", DT_BOOL, SCALAR);
    value_id a = toy_node(&f.t, "identity", IDS(x));
    struct graph *body = graph_new(f.t.g->model, f.t.g);
    value_id inner = toy_value(&f.t, body, "a");
    body->values[inner].capture = a;
    value_id out = toy_node_in(&f.t, body, "neg", 1, &inner);
    toy_output_in(&f.t, body, out);
    toy_output(&f.t, toy_node(&f.t, "identity", IDS(c)));
    toy_attr(f.t.g, "body", ATTR_GRAPH)->graph = body;
    begin(&f);
    assert_int_equal(rewire_uses(&f.w, a), 1);
    rewire_replace(&f.w, a, x);
    assert_true(end(&f));
    assert_int_equal(body->values[inner].capture, x);
    assert_int_equal(f.t.g->n_nodes, 1);
    toy_deinit(&f.t);
}

/* Many new values in one pass: the tables grow. */
static void many_values(void **unused) {
    (void)unused;
    struct fixture f;
    toy_init(&f.t);
    value_id x = toy_input(&f.t, "x", DT_F32, SCALAR), v = VALUE_NONE;
    toy_output(&f.t, toy_node(&f.t, "add", IDS(x, x)));
    begin(&f);
    for (int i = 0; i < 1000; i++)
        v = rewire_new_scalar(&f.w, (float)i);
    struct node *n = rewire_visit(&f.w, 0);
    assert_true(rewire_set_in(&f.w, n, 1, v));
    assert_int_equal(rewire_uses(&f.w, v), 1);
    assert_true(end(&f));
    assert_true(tensor_f64(f.t.g->values[f.t.g->nodes[0].in[1]].constant, 0) == 999);
    toy_deinit(&f.t);
}

static void untouched(void **unused) {
    (void)unused;
    struct fixture f;
    toy_init(&f.t);
    value_id x = toy_input(&f.t, "x", DT_F32, SCALAR);
    toy_output(&f.t, toy_node(&f.t, "neg", IDS(x)));
    begin(&f);
    assert_false(end(&f));
    toy_deinit(&f.t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replace_drops_the_maker),
        cmocka_unit_test(replaced_output),
        cmocka_unit_test(become_drops_chains),
        cmocka_unit_test(absorb_moves_down),
        cmocka_unit_test(captures_count),
        cmocka_unit_test(many_values),
        cmocka_unit_test(untouched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
