/* SPDX-License-Identifier: Apache-2.0 */
#include "graph/node.c"

#include "make_graph.h"

static void labels_name_the_node_or_its_output(void **state) {
    (void)state;
    struct arena a;
    char text[160];
    arena_init(&a, 1 << 20);
    struct model *m = make_model(&a);
    struct node *n = &m->main->nodes[0];
    assert_str(node_label(m->main, n, text), "the node of 'h' (add)");
    n->name = LIT("sum");
    n->op_type = LIT("Add");
    assert_str(node_label(m->main, n, text), "node 'sum' (Add)");
    n->name = (struct str){arena_push(&a, 5000), 5000};
    n->op_type = n->name;
    memset((void *)(uintptr_t)n->name.p, 'x', 5000);
    struct str label = node_label(m->main, n, text);
    assert_true(label.n < 160 && label.n == strlen(text));
    struct node bare = {0};
    assert_str(node_label(m->main, &bare, text), "node '' ()");
    arena_deinit(&a);
}

static void totals_include_subgraphs(void **state) {
    (void)state;
    struct arena a;
    arena_init(&a, 1 << 20);
    struct model *m = make_model(&a);
    assert_int_equal(graph_total_nodes(m->main), 3);
    assert_int_equal(model_parameters(m), 3);
    make_constant(m->main->nodes[1].attrs[0].graph, "c", DT_I8, 5, "12345");
    assert_int_equal(model_parameters(m), 8);
    arena_deinit(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(labels_name_the_node_or_its_output),
        cmocka_unit_test(totals_include_subgraphs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
