/* SPDX-License-Identifier: Apache-2.0 */
#include "graph/verify.c"

#include "make_graph.h"

static struct arena a;
static struct err e;
static struct model *m;
static struct graph *g, *sub;

static int fresh(void **state) {
    (void)state;
    arena_init(&a, 1 << 20);
    m = make_model(&a);
    g = m->main;
    sub = g->nodes[1].attrs[0].graph;
    return 0;
}

static int drop(void **state) {
    (void)state;
    arena_deinit(&a);
    return 0;
}

/* Breaks one thing, expects the complaint, mends it again. */
#define BROKEN(thing, bad, part)                                                                   \
    do {                                                                                           \
        __auto_type kept_ = thing;                                                                 \
        thing = bad;                                                                               \
        assert_fails(graph_verify(m, &e), FORMAT, part);                                           \
        thing = kept_;                                                                             \
        assert_ok(graph_verify(m, &e));                                                            \
    } while (0)

static void ids_are_in_range(void **state) {
    (void)state;
    assert_ok(graph_verify(m, &e));
    BROKEN(g->nodes[0].in[0], 999, "input 0 names no value");
    BROKEN(g->nodes[0].in[0], -2, "input 0 names no value");
    BROKEN(g->nodes[0].out[0], 999, "output 0 names no value");
    BROKEN(g->inputs[0], -1, "input 0 of the main graph names no value");
    BROKEN(g->outputs[0], 999, "output 0 of the main graph");
    BROKEN(sub->outputs[0], 999, "output 0 of subgraph");
    BROKEN(sub->values[0].capture, 999, "from outside");
    BROKEN(g->values[0].producer, 0, "does not make it");
    BROKEN(g->values[0].producer, 77, "does not make it");
    BROKEN(g->n_nodes, -1, "negative");
    BROKEN(g->nodes[0].n_in, -1, "negative");
}

static void everything_is_made_once_and_before_use(void **state) {
    (void)state;
    value_id y = graph_find(g, LIT("y")), h = graph_find(g, LIT("h")),
             loose = make_value(g, "loose");
    BROKEN(g->nodes[0].in[0], loose, "input 'loose' is made by nothing");
    BROKEN(g->nodes[0].in[0], y, "uses 'y' before the node of 'y' (if) makes it");
    BROKEN(g->nodes[1].out[0], h, "'h' is made twice");
    BROKEN(g->outputs[0], loose, "output 'loose' of the main graph is made by nothing");
    BROKEN(g->nodes[0].out[0], g->inputs[0], "'x' is made twice");
    BROKEN(sub->values[0].capture, y, "takes 'h' from outside");
    BROKEN(g->inputs[0], h, "'x' is made by nothing");
    make_input(g, "again");
    BROKEN(g->inputs[1], g->inputs[0], "input 'x' of the main graph is made twice");
}

static void a_constant_may_be_an_inputs_default(void **state) {
    (void)state;
    value_id w = graph_find(g, LIT("w"));
    make_input(g, "spare");
    g->inputs[1] = w;
    assert_ok(graph_verify(m, &e));
    make_input(g, "spare2");
    g->inputs[2] = w;
    assert_fails(graph_verify(m, &e), FORMAT, "input 'w' of the main graph is made twice");
}

static void constants_have_the_size_of_their_shape(void **state) {
    (void)state;
    struct value *w = &g->values[graph_find(g, LIT("w"))];
    struct model_file file = {.name = LIT("f"), .size = 100};
    BROKEN(w->constant->data, NULL, "constant 'w' has no data");
    BROKEN(w->constant->shape.dims[0], INT64_MAX, "impossible shape");
    BROKEN(w->constant->shape.dims[0], -1, "impossible shape");
    BROKEN(w->constant->shape.rank, 9, "impossible shape");
    BROKEN(w->constant->dtype, DT_NONE, "no usable type");
    BROKEN(w->constant->dtype, DT_SEQUENCE, "no usable type");
    BROKEN(w->constant->layout, LAYOUT_NHWC, "plainly");
    BROKEN(w->dtype, DT_I32, "declared i32, its constant is f32");
    BROKEN(w->dtype, (enum dtype)77, "impossible type");
    BROKEN(w->shape.rank, -1, "impossible type or shape");
    BROKEN(w->shape.dims[0], -2, "impossible type or shape");
    BROKEN(w->origin, ((struct origin){0, 0, 12}), "a file the model does not have");
    m->files = &file;
    m->n_files = 1;
    BROKEN(w->origin, ((struct origin){0, 0, 13}), "not inside 'f'");
    BROKEN(w->origin, ((struct origin){0, 89, 12}), "not inside 'f'");
    BROKEN(w->origin, ((struct origin){0, UINT64_MAX - 3, 12}), "not inside 'f'");
    w->origin = (struct origin){0, 88, 12};
    assert_ok(graph_verify(m, &e));
    w->constant->dtype = w->dtype = DT_I4; /* packed in the file: two bytes for three elements */
    assert_fails(graph_verify(m, &e), FORMAT, "not inside");
    w->origin.length = 2;
    assert_ok(graph_verify(m, &e));
}

static void attributes_and_posts_are_sound(void **state) {
    (void)state;
    struct node *n = &g->nodes[0];
    n->attrs[0] = (struct attr){.name = LIT("k"), .kind = ATTR_INTS, .n = 3};
    assert_fails(graph_verify(m, &e), FORMAT, "attribute 'k' is broken");
    n->attrs[0].n = 0;
    assert_ok(graph_verify(m, &e));
    BROKEN(n->attrs[0].kind, (enum attr_kind)99, "attribute 'k' is broken");
    BROKEN(n->attrs[0].kind, ATTR_TENSOR, "attribute 'k' is broken");
    BROKEN(n->n_post, POST_MAX + 1, "post");
    n->n_post = 1;
    n->post[0] = (struct post){.kind = POST_ADD, .input = 1};
    assert_ok(graph_verify(m, &e));
    BROKEN(n->post[0].input, 2, "post");
    BROKEN(n->post[0].kind, POST_NONE, "post");
}

static void subgraphs_belong_to_their_graph(void **state) {
    (void)state;
    BROKEN(sub->parent, NULL, "not attached");
    BROKEN(g->parent, sub, "not attached");
    BROKEN(m->main, NULL, "no graph");
    struct graph *at = g;
    for (int depth = 0; depth <= DEPTH_MAX; depth++)
        at = make_subgraph(at, "if", "nested");
    assert_fails(graph_verify(m, &e), LIMIT, "nested deeper");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(ids_are_in_range, fresh, drop),
        cmocka_unit_test_setup_teardown(everything_is_made_once_and_before_use, fresh, drop),
        cmocka_unit_test_setup_teardown(a_constant_may_be_an_inputs_default, fresh, drop),
        cmocka_unit_test_setup_teardown(constants_have_the_size_of_their_shape, fresh, drop),
        cmocka_unit_test_setup_teardown(attributes_and_posts_are_sound, fresh, drop),
        cmocka_unit_test_setup_teardown(subgraphs_belong_to_their_graph, fresh, drop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
