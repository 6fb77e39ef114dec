/* SPDX-License-Identifier: Apache-2.0 */
/* The shape walk: see walk.h. */
#include "plan/walk.h"

enum { SCRATCH_CAP = 64 << 20 };

void walk_forget(struct graph *g) {
    for (int k = 0; k < g->n_nodes; k++)
        for (int i = 0; i < g->nodes[k].n_out; i++) {
            value_id v = g->nodes[k].out[i];
            if (v == VALUE_NONE)
                continue;
            g->values[v].dtype = DT_NONE;
            g->values[v].ranked = false;
            g->values[v].shape = (struct shape){0};
        }
}

static void know_value(const struct graph *g, value_id id, struct op_value *out) {
    if (id == VALUE_NONE)
        return;
    const struct value *v = &g->values[id];
    out->dtype = v->constant ? v->constant->dtype : v->dtype;
    out->known = walk_known(v);
    out->shape = v->constant ? v->constant->shape : v->shape;
    out->layout = v->constant ? v->constant->layout : v->layout;
    out->data = v->constant;
}

enum code walk_values(const struct graph *g, const struct node *n, struct arena *scratch,
                      struct walk_values *out, struct err *e) {
    struct op_value *in = ARENA_ARRAY(scratch, (size_t)n->n_in + 1, struct op_value);
    struct op_value *made = ARENA_ARRAY(scratch, (size_t)n->n_out + 1, struct op_value);
    if (!in || !made)
        return arena_fail(scratch, (size_t)n->n_in * sizeof *in, "operands of a node", e);
    for (int i = 0; i < n->n_in; i++)
        know_value(g, n->in[i], &in[i]);
    for (int i = 0; i < n->n_out; i++)
        know_value(g, n->out[i], &made[i]);
    *out = (struct walk_values){in, made};
    return OK;
}

/* An absent input is ready; one without a type yet, or without a shape, is not. */
bool walk_ready(const struct node *n, const struct op_value *in) {
    for (int i = 0; i < n->n_in; i++)
        if (n->in[i] != VALUE_NONE && !in[i].known)
            return false;
    return true;
}

enum code walk_node(struct graph *g, const struct node *n, struct arena *scratch, struct err *e) {
    struct walk_values w;
    TRY(walk_values(g, n, scratch, &w, e));
    for (int i = 0; i < n->n_out; i++)
        w.out[i] = (struct op_value){0};
    if (walk_ready(n, w.in)) {
        struct op_infer c = {.graph = g, .node = n, .in = w.in, .out = w.out, .scratch = scratch};
        TRY(n->op->infer(&c, e));
    }
    for (int i = 0; i < n->n_out; i++) {
        if (n->out[i] == VALUE_NONE)
            continue;
        struct value *v = &g->values[n->out[i]];
        v->dtype = w.out[i].dtype;
        v->ranked = w.out[i].known;
        v->shape = w.out[i].known ? w.out[i].shape : (struct shape){0};
    }
    return OK;
}

enum code walk_graph(struct graph *g, struct err *e) {
    struct arena scratch;
    arena_init(&scratch, SCRATCH_CAP);
    struct arena_mark mark = arena_mark(&scratch);
    enum code code = OK;
    for (int k = 0; k < g->n_nodes && code == OK; k++) {
        code = walk_node(g, &g->nodes[k], &scratch, e);
        arena_reset(&scratch, mark);
    }
    arena_deinit(&scratch);
    return code;
}
