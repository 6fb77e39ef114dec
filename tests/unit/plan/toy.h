/* SPDX-License-Identifier: Apache-2.0 */
/* Small graphs for the tests of plan: built in a few lines, run through a session, compared.
 * Everything lives in the toy's arena. Included by each test after the .c under test. */
#pragma once

#include "op/op_list.h"
#include "plan/pass.h"
#include "plan/session.h"
#include "plan/walk.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct toy {
    struct arena arena;
    struct graph *g;
};

#define SHAPE(...)                                                                                 \
    (&(struct shape){sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t), {__VA_ARGS__}})
#define SCALAR (&(struct shape){0})
#define IDS(...)                                                                                   \
    sizeof((value_id[]){__VA_ARGS__}) / sizeof(value_id), (const value_id[]) { __VA_ARGS__ }

__attribute__((unused)) static void toy_init(struct toy *t) {
    arena_init(&t->arena, 256 << 20);
    struct model *m = model_new(&t->arena);
    assert_non_null(m);
    m->opset = 17;
    t->g = m->main;
}

__attribute__((unused)) static void toy_deinit(struct toy *t) { arena_deinit(&t->arena); }

static value_id toy_value(struct toy *t, struct graph *g, const char *name) {
    value_id v = graph_add_value(g, str_of(arena_strdup(&t->arena, str_of(name))));
    assert_int_not_equal(v, VALUE_NONE);
    return v;
}

static value_id *toy_list(struct toy *t, value_id *old, int n, value_id v) {
    value_id *list = ARENA_ARRAY(&t->arena, (size_t)n + 1, value_id);
    if (n)
        memcpy(list, old, (size_t)n * sizeof *list);
    list[n] = v;
    return list;
}

__attribute__((unused)) static value_id toy_input_in(struct toy *t, struct graph *g,
                                                     const char *name, enum dtype dtype,
                                                     const struct shape *s) {
    value_id v = toy_value(t, g, name);
    g->values[v].dtype = dtype;
    g->values[v].ranked = true;
    g->values[v].shape = *s;
    g->inputs = toy_list(t, g->inputs, g->n_inputs, v);
    g->n_inputs++;
    return v;
}

__attribute__((unused)) static value_id toy_input(struct toy *t, const char *name, enum dtype dtype,
                                                  const struct shape *s) {
    return toy_input_in(t, t->g, name, dtype, s);
}

__attribute__((unused)) static void toy_output_in(struct toy *t, struct graph *g, value_id v) {
    g->outputs = toy_list(t, g->outputs, g->n_outputs, v);
    g->n_outputs++;
}

__attribute__((unused)) static void toy_output(struct toy *t, value_id v) {
    toy_output_in(t, t->g, v);
}

__attribute__((unused)) static value_id toy_constant(struct toy *t, struct graph *g,
                                                     enum dtype dtype, const struct shape *s,
                                                     const void *data) {
    struct err e;
    struct tensor *c = ARENA_NEW(&t->arena, struct tensor);
    assert_int_equal(tensor_new(&t->arena, dtype, s, c, &e), OK);
    if (tensor_bytes(c))
        memcpy(c->data, data, tensor_bytes(c));
    value_id v = toy_value(t, g, "");
    g->values[v].constant = c;
    g->values[v].dtype = dtype;
    g->values[v].ranked = true;
    g->values[v].shape = *s;
    return v;
}

/* A constant whose elements are spread over [-1, 1) by position. */
__attribute__((unused)) static value_id toy_weights(struct toy *t, const struct shape *s,
                                                    unsigned seed) {
    size_t n;
    assert_true(shape_count(s, &n));
    float *data = ARENA_ARRAY(&t->arena, n + 1, float);
    for (size_t i = 0; i < n; i++)
        data[i] = (float)((i * 2654435761u + seed * 40503u) % 2003) / 1001.5F - 1;
    return toy_constant(t, t->g, DT_F32, s, data);
}

__attribute__((unused)) static value_id toy_number(struct toy *t, float v) {
    return toy_constant(t, t->g, DT_F32, SCALAR, &v);
}

__attribute__((unused)) static value_id toy_ints(struct toy *t, int n, const int64_t *v) {
    return toy_constant(t, t->g, DT_I64, &(struct shape){1, {n}}, v);
}
#define INTS(t, ...)                                                                               \
    toy_ints((t), sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t),                              \
             (const int64_t[]){__VA_ARGS__})

enum { TOY_ATTRS = 8 };

/* Adds a node with one output and room for a few attributes; returns the output. */
__attribute__((unused)) static value_id toy_node_in(struct toy *t, struct graph *g, const char *op,
                                                    size_t n_in, const value_id *in) {
    struct node *n = graph_add_node(g, (int)n_in, 1, TOY_ATTRS);
    assert_non_null(n);
    n->op_name = str_of(op);
    n->op_type = n->op_name;
    n->op = op_find(n->op_name);
    if (!n->op)
        fail_msg("no operator '%s'", op);
    n->opset = 17;
    n->n_attrs = 0;
    int at = g->n_nodes - 1;
    for (size_t i = 0; i < n_in; i++)
        n->in[i] = in[i];
    value_id out = toy_value(t, g, op);
    g->nodes[at].out[0] = out;
    g->values[out].producer = at;
    return out;
}

__attribute__((unused)) static value_id toy_node(struct toy *t, const char *op, size_t n_in,
                                                 const value_id *in) {
    return toy_node_in(t, t->g, op, n_in, in);
}

static struct attr *toy_attr(struct graph *g, const char *name, enum attr_kind kind) {
    struct node *n = &g->nodes[g->n_nodes - 1];
    assert_true(n->n_attrs < TOY_ATTRS);
    struct attr *a = &n->attrs[n->n_attrs++];
    *a = (struct attr){.name = str_of(name), .kind = kind};
    return a;
}

/* A body with one capture: op(outer). */
__attribute__((unused)) static struct graph *toy_body(struct toy *t, const char *op,
                                                      value_id outer) {
    struct graph *body = graph_new(t->g->model, t->g);
    value_id inner = toy_value(t, body, "captured");
    body->values[inner].capture = outer;
    toy_output_in(t, body, toy_node_in(t, body, op, 1, &inner));
    return body;
}

/* y = cond ? neg(x) : exp(x) */
__attribute__((unused)) static value_id toy_choose(struct toy *t, value_id cond, value_id x) {
    struct graph *yes = toy_body(t, "neg", x), *no = toy_body(t, "exp", x);
    value_id y = toy_node(t, "if", IDS(cond));
    toy_attr(t->g, "then_branch", ATTR_GRAPH)->graph = yes;
    toy_attr(t->g, "else_branch", ATTR_GRAPH)->graph = no;
    return y;
}

/* Attributes of the node added last. */
__attribute__((unused)) static void toy_int(struct toy *t, const char *name, int64_t v) {
    toy_attr(t->g, name, ATTR_INT)->i = v;
}
__attribute__((unused)) static void toy_float(struct toy *t, const char *name, float v) {
    toy_attr(t->g, name, ATTR_FLOAT)->f = v;
}
__attribute__((unused)) static void toy_attr_ints(struct toy *t, const char *name, size_t n,
                                                  const int64_t *v) {
    struct attr *a = toy_attr(t->g, name, ATTR_INTS);
    int64_t *copy = ARENA_ARRAY(&t->arena, n + 1, int64_t);
    memcpy(copy, v, n * sizeof *v);
    a->n = n;
    a->ints = copy;
}
#define ATTR_INTS_OF(t, name, ...)                                                                 \
    toy_attr_ints((t), (name), sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t),                 \
                  (const int64_t[]){__VA_ARGS__})

/* A tensor of the shape with elements spread over [-3, 3). */
__attribute__((unused)) static struct tensor toy_tensor(struct toy *t, const struct shape *s,
                                                        unsigned seed) {
    struct tensor x;
    struct err e;
    assert_int_equal(tensor_new(&t->arena, DT_F32, s, &x, &e), OK);
    for (size_t i = 0; i < tensor_count(&x); i++)
        ((float *)x.data)[i] = (float)((i * 2246822519u + seed * 3266489917u) % 6007) / 1001.2F - 3;
    return x;
}

__attribute__((unused)) static struct session *toy_open(struct toy *t, unsigned passes_off) {
    struct session *s = NULL;
    struct err e = {0};
    struct session_options o = {.passes_off = passes_off};
    if (session_open(t->g->model, &o, &s, &e) != OK)
        fail_msg("session_open: %s", e.text);
    return s;
}

/* The first output of a run, copied into the toy's arena. */
__attribute__((unused)) static struct tensor toy_answer(struct toy *t, struct session *s,
                                                        const struct tensor *inputs) {
    struct session_run run;
    struct err e = {0};
    struct session_ask ask = {.inputs = inputs, .threads = 2};
    if (session_begin(s, &ask, &run, &e) != OK)
        fail_msg("session_begin: %s", e.text);
    struct tensor out = run.outputs[0];
    out.data = arena_push_aligned(&t->arena, tensor_bytes(&out) + 1, 64);
    if (tensor_bytes(&out))
        memcpy(out.data, run.outputs[0].data, tensor_bytes(&out));
    session_end(s, &run);
    return out;
}

__attribute__((unused)) static void toy_same(const struct tensor *a, const struct tensor *b,
                                             double tolerance) {
    assert_int_equal(a->dtype, b->dtype);
    assert_true(shape_eq(&a->shape, &b->shape));
    for (size_t i = 0; i < tensor_count(a); i++) {
        double x = tensor_f64(a, i), y = tensor_f64(b, i);
        if (!(fabs(x - y) <= tolerance * (1 + fabs(y))))
            fail_msg("element %zu: %g and %g", i, x, y);
    }
}

/* The graph gives the same answer with all passes and with none. */
__attribute__((unused)) static void toy_equivalent(struct toy *t, const struct tensor *inputs,
                                                   double tolerance) {
    struct session *with = toy_open(t, 0), *without = toy_open(t, ~0u);
    struct tensor a = toy_answer(t, with, inputs), b = toy_answer(t, without, inputs);
    toy_same(&a, &b, tolerance);
    session_close(with);
    session_close(without);
}

/* Steps of the plan for these inputs, by operator ("conv+relu"); the text ends with a space. */
__attribute__((unused)) static const char *toy_steps(struct toy *t, struct session *s,
                                                     const struct tensor *inputs) {
    struct session_step *rows;
    size_t n;
    struct err e = {0};
    struct session_ask ask = {.inputs = inputs, .threads = 2};
    if (session_explain(s, &ask, &t->arena, &rows, &n, &e) != OK)
        fail_msg("session_explain: %s", e.text);
    struct buf b;
    buf_init(&b, 1 << 20);
    for (size_t i = 0; i < n; i++) {
        buf_put_str(&b, rows[i].op);
        buf_put_byte(&b, ' ');
    }
    const char *text = arena_strdup(&t->arena, buf_str(&b));
    buf_deinit(&b);
    return text;
}
