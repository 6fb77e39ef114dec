/* SPDX-License-Identifier: Apache-2.0 */
/* A session under failing allocations: opening, the first run of a plan, a second one. Whatever
 * fails leaves a clear error and nothing behind, and the session goes on answering. */
#include "../unit/plan/toy.h"
#include "fault_loop.h"

/* A convolution with its batch norm and activation, a branch by data, and a shape that only data
 * tells. */
static void model(struct toy *t) {
    toy_init(t);
    value_id x = toy_input(t, "x", DT_F32, SHAPE(-1, 2, 6, 6)),
             c = toy_input(t, "c", DT_BOOL, SCALAR);
    value_id y = toy_node(t, "conv", IDS(x, toy_weights(t, SHAPE(4, 2, 3, 3), 1)));
    y = toy_node(t, "mul", IDS(y, toy_weights(t, SHAPE(4, 1, 1), 2)));
    y = toy_node(t, "relu", IDS(toy_node(t, "add", IDS(y, toy_weights(t, SHAPE(4, 1, 1), 3)))));
    struct graph *bodies[2];
    for (int k = 0; k < 2; k++) {
        bodies[k] = graph_new(t->g->model, t->g);
        value_id inner = toy_value(t, bodies[k], "y");
        bodies[k]->values[inner].capture = y;
        toy_output_in(t, bodies[k], toy_node_in(t, bodies[k], k ? "neg" : "exp", 1, &inner));
    }
    value_id z = toy_node(t, "if", IDS(c));
    toy_attr(t->g, "then_branch", ATTR_GRAPH)->graph = bodies[0];
    toy_attr(t->g, "else_branch", ATTR_GRAPH)->graph = bodies[1];
    toy_output(t, z);
    toy_output(t, toy_node(t, "non_zero", IDS(y)));
}

static enum code run_once(struct session *s, const struct tensor *inputs, struct err *e) {
    struct session_run run;
    struct session_ask ask = {.inputs = inputs, .threads = 2};
    enum code code = session_begin(s, &ask, &run, e);
    if (code == OK)
        session_end(s, &run);
    return code;
}

static void opening(void **unused) {
    (void)unused;
    struct toy t;
    model(&t);
    FAULT_LOOP(f) {
        struct session *s = NULL;
        struct err e = {0};
        enum code code = OK;
        FAULT_BODY(f) { code = session_open(t.g->model, NULL, &s, &e); }
        assert_true(code == OK || (f.fired && e.text[0]));
        if (code == OK)
            session_close(s);
    }
    toy_deinit(&t);
}

static void first_run(void **unused) {
    (void)unused;
    struct toy t;
    model(&t);
    uint8_t yes = 1;
    struct tensor in[2] = {toy_tensor(&t, SHAPE(2, 2, 6, 6), 1),
                           {DT_BOOL, LAYOUT_PLAIN, {0}, &yes}};
    FAULT_LOOP(f) {
        struct session *s = toy_open(&t, 0);
        struct err e = {0};
        enum code code = OK;
        FAULT_BODY(f) { code = run_once(s, in, &e); }
        assert_true(code == OK || (f.fired && e.text[0]));
        assert_int_equal(run_once(s, in, &e), OK); /* and it goes on */
        session_close(s);
    }
    toy_deinit(&t);
}

int main(void) {
    fault_leaks_at_exit = true;
    const struct CMUnitTest tests[] = {cmocka_unit_test(opening), cmocka_unit_test(first_run)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
