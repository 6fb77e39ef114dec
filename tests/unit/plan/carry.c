/* SPDX-License-Identifier: Apache-2.0 */
/* Loops that carry weights: what the pass takes out of the loop, what it leaves, and the answer
 * however often the loop runs. */
#include "plan/carry.c"

#include "toy.h"

enum { WIDE = 8 };

struct looped {
    struct toy t;
    struct graph *body;
    value_id state, weights, once; /* outputs of the loop */
};

/* for i in 0..n: (state, weights, once) = (state * weights, Identity(weights), state); weights are
 * constant. */
static void build(struct looped *l) {
    struct toy *t = &l->t;
    toy_init(t);
    value_id x = toy_input(t, "x", DT_F32, SHAPE(-1, WIDE)), n = toy_input(t, "n", DT_I64, SCALAR),
             w = toy_weights(t, SHAPE(WIDE, WIDE), 1);
    struct graph *body = l->body = graph_new(t->g->model, t->g);
    (void)toy_input_in(t, body, "i", DT_I64, SCALAR);
    value_id go = toy_input_in(t, body, "go", DT_BOOL, SCALAR),
             state = toy_input_in(t, body, "state", DT_F32, SHAPE(-1, WIDE)),
             weights = toy_input_in(t, body, "weights", DT_F32, SHAPE(WIDE, WIDE));
    (void)toy_input_in(t, body, "once", DT_F32, SHAPE(-1, WIDE));
    value_id next = toy_node_in(t, body, "mat_mul", IDS(state, weights)),
             same = toy_node_in(t, body, "identity", 1, &weights);
    toy_output_in(t, body, go);
    toy_output_in(t, body, next);
    toy_output_in(t, body, same);
    toy_output_in(t, body, state);
    struct node *loop = graph_add_node(t->g, 5, 3, TOY_ATTRS);
    loop->op_name = LIT("loop");
    loop->op = op_find(loop->op_name);
    loop->opset = 17;
    loop->n_attrs = 0;
    loop->in[0] = n, loop->in[2] = x, loop->in[3] = w, loop->in[4] = x;
    for (int i = 0; i < 3; i++) {
        value_id out = toy_value(t, t->g, "out");
        t->g->nodes[0].out[i] = out;
        t->g->values[out].producer = 0;
    }
    toy_attr(t->g, "body", ATTR_GRAPH)->graph = body;
    l->state = t->g->nodes[0].out[0];
    l->weights = t->g->nodes[0].out[1];
    l->once = t->g->nodes[0].out[2];
}

static void weights_leave(void **unused) {
    (void)unused;
    struct looped l;
    struct err e = {0};
    build(&l);
    struct graph *g = l.t.g;
    toy_output(&l.t, l.state);
    toy_output(&l.t, l.weights);
    struct pass_run r = {.graph = g, .arena = &l.t.arena, .stage = PASS_OPEN};
    const value_id w = g->nodes[0].in[3], inside = l.body->inputs[3];
    assert_int_equal(run(&r, &e), OK);
    assert_true(r.changed);
    assert_int_equal(g->nodes[0].n_in, 4);
    assert_int_equal(g->nodes[0].n_out, 2);
    assert_int_equal(l.body->n_inputs, 4);
    assert_int_equal(l.body->n_outputs, 3);
    assert_int_equal(l.body->values[inside].capture, w);
    assert_int_equal(g->outputs[0], l.state);
    assert_int_equal(g->outputs[1], w);
    r.changed = false; /* "once" changes: it stays */
    assert_int_equal(run(&r, &e), OK);
    assert_false(r.changed);
    toy_deinit(&l.t);
}

static void check_answer(value_id (*which)(const struct looped *)) {
    for (int64_t n = 0; n < 5; n++) {
        struct looped l;
        build(&l);
        toy_output(&l.t, which(&l));
        struct tensor in[2] = {toy_tensor(&l.t, SHAPE(3, WIDE), 1),
                               {DT_I64, LAYOUT_PLAIN, {0}, &n}};
        toy_equivalent(&l.t, in, 1e-4);
        toy_deinit(&l.t);
    }
}

static value_id state_of(const struct looped *l) { return l->state; }
static value_id once_of(const struct looped *l) { return l->once; }

static void same_answer(void **unused) {
    (void)unused;
    check_answer(state_of);
    check_answer(once_of);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(weights_leave),
                                       cmocka_unit_test(same_answer)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
