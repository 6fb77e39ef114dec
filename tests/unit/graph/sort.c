/* SPDX-License-Identifier: Apache-2.0 */
#include "graph/sort.c"

#include "make_graph.h"

static struct err e;

static void swap_nodes(struct graph *g, int a, int b) {
    struct node n = g->nodes[a];
    g->nodes[a] = g->nodes[b];
    g->nodes[b] = n;
    for (int i = 0; i < g->n_nodes; i++)
        g->values[g->nodes[i].out[0]].producer = i;
}

static void a_right_order_is_kept(void **state) {
    (void)state;
    struct arena a;
    arena_init(&a, 1 << 20);
    struct model *m = make_model(&a);
    make_node(m->main, "neg", 0, VALUE_NONE, "other");
    size_t used = a.used_bytes;
    assert_ok(graph_sort(m->main, &e));
    assert_str(m->main->nodes[0].op_name, "add");
    assert_str(m->main->nodes[1].op_name, "if");
    assert_str(m->main->nodes[2].op_name, "neg");
    assert_int_equal(a.used_bytes, used);
    arena_deinit(&a);
}

/* What a subgraph captures must come first, too. */
static void captures_are_edges(void **state) {
    (void)state;
    struct arena a;
    arena_init(&a, 1 << 20);
    struct model *m = make_model(&a);
    swap_nodes(m->main, 0, 1);
    assert_fails(graph_verify(m, &e), FORMAT, "takes 'h' from outside");
    assert_ok(graph_sort(m->main, &e));
    assert_str(m->main->nodes[0].op_name, "add");
    assert_ok(graph_verify(m, &e));
    arena_deinit(&a);
}

static void a_long_chain_backwards(void **state) {
    (void)state;
    enum { N = 50000 };
    struct arena a;
    arena_init(&a, 1 << 28);
    struct model *m = model_new(&a);
    value_id last = make_input(m->main, "x");
    for (int i = 0; i < N; i++)
        last = make_node(m->main, "neg", last, VALUE_NONE, "v");
    make_output(m->main, last);
    struct node *backwards = ARENA_ARRAY(&a, N, struct node);
    for (int i = 0; i < N; i++) {
        backwards[i] = m->main->nodes[N - 1 - i];
        m->main->values[backwards[i].out[0]].producer = i;
    }
    m->main->nodes = backwards;
    assert_fails(graph_verify(m, &e), FORMAT, "before");
    assert_ok(graph_sort(m->main, &e));
    assert_ok(graph_verify(m, &e));
    arena_deinit(&a);
}

static void cycles_are_named(void **state) {
    (void)state;
    struct arena a;
    arena_init(&a, 1 << 20);
    struct model *m = make_model(&a);
    struct graph *g = m->main;
    g->nodes[0].in[0] = graph_find(g, LIT("y")); /* add <- if <- (capture) add */
    assert_fails(graph_sort(g, &e), FORMAT,
                 "cycle: the node of 'h' (add) depends on its own output");
    g->nodes[0].in[0] = graph_find(g, LIT("h"));
    assert_fails(graph_sort(g, &e), FORMAT, "cycle");
    arena_deinit(&a);
}

static void a_full_arena_is_said(void **state) {
    (void)state;
    struct arena a;
    arena_init(&a, 1 << 20);
    struct model *m = make_model(&a);
    a.cap_bytes = a.used_bytes + 8;
    assert_fails(graph_sort(m->main, &e), LIMIT, "sorting");
    arena_deinit(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_right_order_is_kept),  cmocka_unit_test(captures_are_edges),
        cmocka_unit_test(a_long_chain_backwards), cmocka_unit_test(cycles_are_named),
        cmocka_unit_test(a_full_arena_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
