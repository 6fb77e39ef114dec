/* SPDX-License-Identifier: Apache-2.0 */
#include "graph/graph.c"

#include "make_graph.h"

static void values_and_nodes_grow(void **state) {
    (void)state;
    struct arena a;
    arena_init(&a, 1 << 22);
    struct model *m = model_new(&a);
    value_id last = make_input(m->main, "x");
    char *names = arena_push(&a, 1000 * 8);
    for (int i = 0; i < 1000; i++) {
        snprintf(names + i * 8, 8, "v%d", i);
        last = make_node(m->main, "neg", last, VALUE_NONE, names + i * 8);
    }
    assert_int_equal(m->main->n_values, 1001);
    assert_int_equal(m->main->n_nodes, 1000);
    assert_int_equal(graph_find(m->main, LIT("v999")), 1000);
    assert_int_equal(graph_find(m->main, LIT("v1000")), VALUE_NONE);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(m->main->nodes[i].in[0], i);
    arena_deinit(&a);
}

static void a_full_arena_gives_none(void **state) {
    (void)state;
    for (size_t cap = 0; cap < 6000; cap += 8) {
        struct arena a;
        arena_init(&a, cap);
        struct model *m = model_new(&a);
        value_id v = m ? graph_add_value(m->main, LIT("x")) : VALUE_NONE;
        struct node *n = v == VALUE_NONE ? NULL : graph_add_node(m->main, 3, 2, 1);
        if (n)
            assert_int_equal(n->in[2], VALUE_NONE);
        if (n && cap > 5900)
            assert_int_equal(m->main->n_nodes, 1);
        arena_deinit(&a);
    }
}

static void a_copy_is_its_own(void **state) {
    (void)state;
    struct arena a, b;
    struct err e;
    arena_init(&a, 1 << 20);
    arena_init(&b, 1 << 20);
    struct model *m = make_model(&a), *copy = graph_copy(m, &b);
    assert_non_null(copy);
    assert_ok(graph_verify(copy, &e));
    assert_ptr_not_equal(copy->main->values[1].constant, m->main->values[1].constant);
    assert_ptr_equal(copy->main->values[1].constant->data, m->main->values[1].constant->data);
    assert_ptr_equal(copy->main->nodes[1].attrs[0].graph->parent, copy->main);
    copy->main->nodes[0].in[0] = VALUE_NONE;
    copy->main->nodes[1].attrs[0].graph->nodes[0].in[0] = VALUE_NONE;
    make_node(copy->main, "neg", 0, VALUE_NONE, "more");
    assert_ok(graph_verify(m, &e));
    assert_int_equal(m->main->nodes[0].in[0], 0);
    assert_int_equal(m->main->n_nodes, 2);
    arena_deinit(&b);
    for (size_t cap = 0; cap < 4000; cap += 64) {
        arena_init(&b, cap);
        if (!graph_copy(m, &b))
            assert_true(cap < 4000);
        arena_deinit(&b);
    }
    arena_deinit(&a);
}

static void lists_are_shared(void **state) {
    (void)state;
    struct arena a, b;
    arena_init(&a, 1 << 20);
    arena_init(&b, 1 << 20);
    struct model *m = make_model(&a);
    int64_t ints[2] = {4, 5};
    struct tensor t = {.dtype = DT_I64, .shape = {.rank = 1, .dims = {2}}, .data = ints};
    struct graph *graphs[1] = {graph_new(m, m->main)};
    struct attr kinds[] = {
        {.name = LIT("ints"), .kind = ATTR_INTS, .n = 2, .ints = ints},
        {.name = LIT("floats"), .kind = ATTR_FLOATS, .n = 1, .floats = (float[]){1}},
        {.name = LIT("strs"), .kind = ATTR_STRS, .n = 1, .strs = (struct str[]){{"s", 1}}},
        {.name = LIT("t"), .kind = ATTR_TENSOR, .tensor = &t},
        {.name = LIT("ts"), .kind = ATTR_TENSORS, .n = 1, .tensors = &t},
        {.name = LIT("gs"), .kind = ATTR_GRAPHS, .n = 1, .graphs = graphs},
    };
    m->main->nodes[0].attrs = kinds;
    m->main->nodes[0].n_attrs = 6;
    struct model *copy = graph_copy(m, &b);
    const struct attr *got = copy->main->nodes[0].attrs;
    assert_ptr_not_equal(got, kinds);
    assert_ptr_equal(got[0].ints, ints);
    assert_ptr_equal(got[1].floats, kinds[1].floats);
    assert_ptr_equal(got[2].strs, kinds[2].strs);
    assert_ptr_equal(got[3].tensor, &t);
    assert_ptr_equal(got[4].tensors, &t);
    assert_ptr_not_equal(got[5].graphs, graphs);
    assert_ptr_equal(got[5].graphs[0]->parent, copy->main);
    arena_deinit(&a);
    arena_deinit(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_and_nodes_grow),
        cmocka_unit_test(a_full_arena_gives_none),
        cmocka_unit_test(a_copy_is_its_own),
        cmocka_unit_test(lists_are_shared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
