/* SPDX-License-Identifier: Apache-2.0 */
/* What need not be computed: nodes nobody reads, nodes that only hand on their input, and the
 * second of two equal ones.
 *
 * A node hands on its input when it is an Identity, a Dropout (in inference), a Cast to the type it
 * had, a view, slice, expand, pad or concat that leaves the shape as it was, or arithmetic with the
 * neutral element. */
#include "plan/pass.h"
#include "plan/match.h"

#include "base/hash.h"
#include "plan/walk.h"

/* --- nobody reads it --- */

static void drop_unread(struct rewire *w) {
    for (node_id id = w->g->n_nodes - 1; id >= 0; id--) {
        struct node *n = rewire_visit(w, id);
        if (!n)
            continue;
        bool read = false;
        for (int i = 0; i < n->n_out; i++) {
            if (rewire_uses(w, n->out[i]) == 0 && n->out[i] != VALUE_NONE && i > 0)
                n->out[i] = VALUE_NONE; /* an optional output nobody wants */
            else
                read |= rewire_uses(w, n->out[i]) > 0;
        }
        if (!read)
            rewire_drop(w, n);
    }
}

/* --- it hands on its input --- */

static bool same_shape(const struct graph *g, value_id a, value_id b) {
    const struct value *va = &g->values[a], *vb = &g->values[b];
    const struct shape *sa = va->constant ? &va->constant->shape : &va->shape;
    return walk_known(va) && walk_known(vb) && shape_eq(sa, &vb->shape);
}

static bool same_type(const struct graph *g, value_id a, value_id b) {
    enum dtype t = g->values[a].constant ? g->values[a].constant->dtype : g->values[a].dtype;
    return t != DT_NONE && t == g->values[b].dtype;
}

/* Operators that are the identity as soon as the shape stays: no element is changed or moved. */
static bool moves_nothing(const struct node *n) {
    static const char *const names[] = {"reshape", "flatten", "squeeze", "unsqueeze", "expand"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (str_is(n->op_name, names[i]))
            return true;
    return (str_is(n->op_name, "concat") || str_is(n->op_name, "sum") ||
            str_is(n->op_name, "max") || str_is(n->op_name, "min") || str_is(n->op_name, "mean")) &&
           n->n_in == 1;
}

/* Equal shapes and positive steps leave nothing to cut. */
static bool slice_whole(struct rewire *w, const struct node *n) {
    if (!str_is(n->op_name, "slice"))
        return false;
    const struct tensor *steps = rewire_constant_of(w, rewire_in(w, n, 4));
    if (rewire_in(w, n, 4) == VALUE_NONE)
        return true;
    for (size_t i = 0; steps && i < tensor_count(steps); i++)
        if (tensor_i64(steps, i) != 1)
            return false;
    return steps != NULL;
}

/* Pads of one sign leave the shape only when they are all zero; -1 before and 1 after shift. */
static bool pads_nothing(struct rewire *w, const struct node *n) {
    const int64_t *ints;
    size_t count = 0;
    const struct tensor *pads = rewire_constant_of(w, rewire_in(w, n, 1));
    if (!str_is(n->op_name, "pad"))
        return false;
    if (attr_ints(n, "pads", &ints, &count)) {
        while (count && ints[count - 1] == 0)
            count--;
        return count == 0;
    }
    count = pads ? tensor_count(pads) : 1;
    while (pads && count && tensor_i64(pads, count - 1) == 0)
        count--;
    return count == 0;
}

/* x + 0, x - 0, x * 1, x / 1, x ^ 1 */
static bool neutral(struct rewire *w, const struct node *n) {
    value_id x;
    double c;
    if (match_scalar_right(w, n, "sub", &x, &c))
        return c == 0 && x == n->in[0];
    if (match_scalar_right(w, n, "div", &x, &c) || match_scalar_right(w, n, "pow", &x, &c))
        return c == 1;
    if (match_scalar(w, n, "add", &x, &c))
        return c == 0 && x == n->in[0];
    return match_scalar(w, n, "mul", &x, &c) && c == 1 && x == n->in[0];
}

static bool hands_on(struct rewire *w, const struct node *n) {
    const struct graph *g = w->g;
    if (n->n_in < 1 || n->in[0] == VALUE_NONE || n->n_post || n->n_out < 1 ||
        n->out[0] == VALUE_NONE)
        return false;
    for (int i = 1; i < n->n_out; i++)
        if (n->out[i] != VALUE_NONE)
            return false;
    if (str_is(n->op_name, "identity"))
        return true;
    if (str_is(n->op_name, "dropout")) {
        const struct tensor *training = rewire_constant_of(w, rewire_in(w, n, 2));
        return rewire_in(w, n, 2) == VALUE_NONE || (training && tensor_i64(training, 0) == 0);
    }
    if (str_is(n->op_name, "cast"))
        return same_type(g, n->in[0], n->out[0]);
    if (!same_shape(g, n->in[0], n->out[0]) || !same_type(g, n->in[0], n->out[0]))
        return false;
    return moves_nothing(n) || slice_whole(w, n) || pads_nothing(w, n) || neutral(w, n);
}

/* --- it is the second of two equal ones --- */

static bool equal_attr(const struct attr *a, const struct attr *b) {
    if (!str_eq(a->name, b->name) || a->kind != b->kind || a->n != b->n)
        return false;
    switch (a->kind) {
    case ATTR_INT: return a->i == b->i;
    case ATTR_FLOAT: return memcmp(&a->f, &b->f, sizeof a->f) == 0;
    case ATTR_STR: return str_eq(a->s, b->s);
    case ATTR_INTS: return memcmp(a->ints, b->ints, a->n * sizeof *a->ints) == 0;
    case ATTR_FLOATS: return memcmp(a->floats, b->floats, a->n * sizeof *a->floats) == 0;
    default: return false;
    }
}

static bool equal_nodes(const struct node *a, const struct node *b) {
    if (a->op != b->op || a->opset != b->opset || a->n_in != b->n_in || a->n_out != b->n_out ||
        a->n_attrs != b->n_attrs || a->n_post || b->n_post)
        return false;
    if (memcmp(a->in, b->in, (size_t)a->n_in * sizeof *a->in) != 0)
        return false;
    for (int i = 0; i < a->n_out; i++)
        if (b->out[i] != VALUE_NONE && a->out[i] == VALUE_NONE)
            return false;
    for (int k = 0; k < a->n_attrs; k++)
        if (!equal_attr(&a->attrs[k], &b->attrs[k]))
            return false;
    return true;
}

static uint64_t hash_node(const struct node *n) {
    uint64_t h = (uint64_t)(uintptr_t)n->op;
    for (int i = 0; i < n->n_in; i++)
        h = (h ^ (uint64_t)(uint32_t)n->in[i]) * 0x9E3779B97F4A7C15u;
    return h ^ h >> 32;
}

struct table { /* open addressing: ids of nodes or values seen, -1: free */
    int32_t *slots;
    size_t room;
};

static bool table_init(struct table *t, struct arena *a, int n) {
    for (t->room = 16; t->room < (size_t)n * 2; t->room *= 2)
        ;
    t->slots = ARENA_ARRAY(a, t->room, int32_t);
    if (t->slots)
        memset(t->slots, -1, t->room * sizeof *t->slots);
    return t->slots != NULL;
}

static void merge_node(struct rewire *w, struct table *t, struct node *n, node_id id) {
    if (!(n->op->flags & OP_PURE) || n->op->flags & OP_RANDOM)
        return;
    for (size_t at = hash_node(n);; at++) {
        int32_t *slot = &t->slots[at & (t->room - 1)];
        if (*slot < 0) {
            *slot = id;
            return;
        }
        struct node *first = rewire_visit(w, *slot);
        if (!first || !equal_nodes(first, n))
            continue;
        for (int i = 0; i < n->n_out; i++)
            if (n->out[i] != VALUE_NONE)
                rewire_replace(w, n->out[i], first->out[i]);
        return;
    }
}

enum {
    SMALL_CONSTANT = 4096
}; /* bytes compared; larger ones are equal when they are the same memory */

static bool equal_constants(const struct tensor *a, const struct tensor *b) {
    if (a->dtype != b->dtype || a->layout != b->layout || !shape_eq(&a->shape, &b->shape))
        return false;
    return a->data == b->data ||
           (tensor_bytes(a) <= SMALL_CONSTANT && memcmp(a->data, b->data, tensor_bytes(a)) == 0);
}

static bool comparable(const struct value *v) {
    return v->constant && v->constant->dtype != DT_STRING && v->constant->dtype != DT_SEQUENCE &&
           v->constant->data;
}

static void merge_constants(struct rewire *w, struct table *t) {
    struct graph *g = w->g;
    for (value_id id = 0; id < g->n_values; id++) {
        const struct tensor *c = g->values[id].constant;
        if (!comparable(&g->values[id]) || rewire_uses(w, id) == 0)
            continue;
        size_t bytes = tensor_bytes(c);
        uint64_t h = bytes <= SMALL_CONSTANT ? hash_bytes(c->data, bytes)
                                             : (uint64_t)(uintptr_t)c->data >> 4;
        for (size_t at = h;; at++) {
            int32_t *slot = &t->slots[at & (t->room - 1)];
            if (*slot < 0) {
                *slot = id;
                break;
            }
            if (equal_constants(g->values[*slot].constant, c)) {
                rewire_replace(w, id, *slot);
                break;
            }
        }
    }
}

static enum code run(struct pass_run *r, struct err *e) {
    struct rewire w;
    struct table nodes, constants;
    TRY(rewire_open(&w, r->graph, r->arena, e));
    drop_unread(&w);
    if (!table_init(&nodes, &w.scratch, r->graph->n_nodes) ||
        !table_init(&constants, &w.scratch, r->graph->n_values)) {
        w.full = true;
        return rewire_close(&w, &r->changed, e);
    }
    merge_constants(&w, &constants);
    for (node_id id = 0; id < r->graph->n_nodes; id++) {
        struct node *n = rewire_visit(&w, id);
        if (!n)
            continue;
        if (hands_on(&w, n))
            rewire_replace(&w, n->out[0], n->in[0]);
        else
            merge_node(&w, &nodes, n, id);
    }
    return rewire_close(&w, &r->changed, e);
}

const struct pass pass_dead = {.name = "dead", .stages = PASS_OPEN | PASS_PLAN, .run = run};
