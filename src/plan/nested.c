/* SPDX-License-Identifier: Apache-2.0 */
/* Lifting a body out of its graph. What it captures becomes a constant when the outer plan knows
 * it, an input otherwise, so that a plan of the body is like any other plan: static, cached by
 * shapes. */
#include "plan/nested.h"

#include "plan/pass.h"
#include "plan/walk.h"

enum { PLANS_PER_BODY = 8 };

static int count_captures(const struct graph *outer, const struct graph *body) {
    int n = 0;
    for (int v = 0; v < body->n_values; v++)
        n += body->values[v].capture != VALUE_NONE &&
             !outer->values[body->values[v].capture].constant;
    return n;
}

/* Turns the captures of a copy into constants and inputs; n->captures gets the outer ids of the
 * latter. */
static enum code release_captures(struct nested *n, const struct graph *outer, struct arena *a,
                                  struct err *e) {
    struct graph *g = n->model->main;
    int room = g->n_inputs + count_captures(outer, g);
    value_id *inputs = ARENA_ARRAY(a, (size_t)room + 1, value_id);
    n->captures = ARENA_ARRAY(a, (size_t)room + 1, value_id);
    if (!inputs || !n->captures)
        return arena_fail(a, (size_t)room * sizeof *inputs, "captures of a body", e);
    for (int i = 0; i < g->n_inputs; i++)
        inputs[i] = g->inputs[i];
    n->n_formal = g->n_inputs;
    for (int v = 0; v < g->n_values; v++) {
        struct value *value = &g->values[v];
        if (value->capture == VALUE_NONE)
            continue;
        const struct value *from = &outer->values[value->capture];
        value->constant = from->constant;
        value->layout = LAYOUT_PLAIN;
        if (!from->constant) {
            inputs[g->n_inputs++] = v;
            n->captures[n->n_captures++] = value->capture;
            value->ranked = false;
        }
        value->capture = VALUE_NONE;
    }
    g->inputs = inputs;
    return OK;
}

static enum code lift(struct plan *p, const struct graph *body, struct err *e) {
    struct nested *n = ARENA_NEW(&p->arena, struct nested);
    struct model shell = *p->graph->model;
    shell.main =
        (struct graph *)(uintptr_t)body; /* read only: graph_copy takes it as the main graph */
    if (!n || !(n->model = graph_copy(&shell, &p->arena)))
        return arena_fail(&p->arena, sizeof *n, "a body", e);
    n->body = body;
    TRY(release_captures(n, p->graph, &p->arena, e));
    walk_forget(n->model->main);
    for (int i = 0; i < n->model->main->n_inputs;
         i++) /* what a file says of a body's inputs is not believed either */
        n->model->main->values[n->model->main->inputs[i]].ranked = false;
    struct pass_terms terms = {&p->arena, p->shop->o.passes_off, p->shop->o.memory_bytes,
                               p->shop->o.precision, NULL};
    TRY(pass_all(n->model->main, PASS_OPEN, &terms, e));
    shelf_init(&n->shelf, p->shop, n->model, PLANS_PER_BODY);
    n->next = p->nested;
    p->nested = n;
    return OK;
}

enum code nested_make(struct plan *p, struct err *e) {
    for (int k = 0; k < p->graph->n_nodes; k++) {
        const struct node *n = &p->graph->nodes[k];
        for (int i = 0; i < n->n_attrs; i++) {
            if (n->attrs[i].kind == ATTR_GRAPH)
                TRY(lift(p, n->attrs[i].graph, e));
            for (size_t b = 0; n->attrs[i].kind == ATTR_GRAPHS && b < n->attrs[i].n; b++)
                TRY(lift(p, n->attrs[i].graphs[b], e));
        }
    }
    return OK;
}

struct nested *nested_find(const struct plan *p, const struct graph *body) {
    struct nested *n = p->nested;
    while (n && n->body != body)
        n = n->next;
    return n;
}

void nested_free(struct plan *p) {
    for (; p->nested; p->nested = p->nested->next)
        shelf_deinit(&p->nested->shelf);
}
