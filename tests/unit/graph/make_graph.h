/* SPDX-License-Identifier: Apache-2.0 */
/* Small models for the tests of this folder. Every function aborts the test when the arena is full.
 */
#pragma once

#include "graph/model.h"

#include "../base/check.h"

static inline value_id make_value(struct graph *g, const char *name) {
    value_id v = graph_add_value(g, str_of(name));
    assert_int_not_equal(v, VALUE_NONE);
    return v;
}

static inline value_id make_input(struct graph *g, const char *name) {
    value_id v = make_value(g, name);
    value_id *ids = ARENA_ARRAY(g->model->arena, (size_t)g->n_inputs + 1, value_id);
    assert_non_null(ids);
    if (g->n_inputs)
        memcpy(ids, g->inputs, (size_t)g->n_inputs * sizeof *ids);
    ids[g->n_inputs++] = v;
    g->inputs = ids;
    return v;
}

static inline void make_output(struct graph *g, value_id v) {
    value_id *ids = ARENA_ARRAY(g->model->arena, (size_t)g->n_outputs + 1, value_id);
    assert_non_null(ids);
    if (g->n_outputs)
        memcpy(ids, g->outputs, (size_t)g->n_outputs * sizeof *ids);
    ids[g->n_outputs++] = v;
    g->outputs = ids;
}

/* A node of two inputs (b may be VALUE_NONE) and one output. */
static inline value_id make_node(struct graph *g, const char *op, value_id a, value_id b,
                                 const char *out) {
    value_id v = make_value(g, out);
    struct node *n = graph_add_node(g, 2, 1, 1);
    assert_non_null(n);
    n->op_type = n->op_name = str_of(op);
    n->domain = LIT("ai.onnx");
    n->opset = 17;
    n->in[0] = a;
    n->in[1] = b;
    n->out[0] = v;
    n->attrs[0] =
        (struct attr){.name = LIT("axis"), .kind = ATTR_INT, .i = -3, .origin = {.file = -1}};
    g->values[v].producer = g->n_nodes - 1;
    return v;
}

static inline value_id make_constant(struct graph *g, const char *name, enum dtype t, int64_t n,
                                     void *data) {
    value_id v = make_value(g, name);
    struct tensor *c = ARENA_NEW(g->model->arena, struct tensor);
    assert_non_null(c);
    *c = (struct tensor){.dtype = t, .shape = {.rank = 1, .dims = {n}}, .data = data};
    g->values[v].constant = c;
    g->values[v].dtype = t;
    g->values[v].ranked = true;
    g->values[v].shape = c->shape;
    return v;
}

/* A node whose attribute "body" is a fresh subgraph. */
static inline struct graph *make_subgraph(struct graph *g, const char *op, const char *out) {
    struct graph *sub = graph_new(g->model, g);
    assert_non_null(sub);
    make_node(g, op, VALUE_NONE, VALUE_NONE, out);
    g->nodes[g->n_nodes - 1].attrs[0] = (struct attr){
        .name = LIT("body"), .kind = ATTR_GRAPH, .graph = sub, .origin = {.file = -1}};
    return sub;
}

static inline value_id make_capture(struct graph *sub, const char *name, value_id outer) {
    value_id v = make_value(sub, name);
    sub->values[v].capture = outer;
    return v;
}

/* x, w -> Add -> h; If(body: h -> Neg -> o) -> y. Node 1 owns the subgraph. */
static inline struct model *make_model(struct arena *a) {
    static float weights[3] = {1, 2, 3};
    struct model *m = model_new(a);
    assert_non_null(m);
    struct graph *g = m->main;
    m->format = LIT("test");
    m->opset = 17;
    value_id x = make_input(g, "x"), w = make_constant(g, "w", DT_F32, 3, weights);
    value_id h = make_node(g, "add", x, w, "h");
    struct graph *sub = make_subgraph(g, "if", "y");
    value_id inner = make_capture(sub, "h", h);
    make_output(sub, make_node(sub, "neg", inner, VALUE_NONE, "o"));
    make_output(g, graph_find(g, LIT("y")));
    return m;
}
