/* SPDX-License-Identifier: Apache-2.0 */
/* See weave.h. */
#include "plan/weave.h"

enum code weave_open(struct weave *x, struct graph *g, struct arena *arena, struct err *e) {
    *x = (struct weave){
        .g = g, .arena = arena, .room = g->n_nodes + g->n_nodes / 4 + 16, .n_twins = g->n_values};
    x->nodes = ARENA_ARRAY(arena, (size_t)x->room, struct node);
    x->twin = ARENA_ARRAY(arena, (size_t)x->n_twins + 1, value_id);
    if (!x->nodes || !x->twin)
        return arena_fail(arena, (size_t)x->room * sizeof *x->nodes, "a plan's nodes", e);
    for (int v = 0; v < x->n_twins; v++)
        x->twin[v] = VALUE_NONE;
    return OK;
}

struct node *weave_push(struct weave *x, const struct node *n) {
    if (x->n == x->room) {
        int room = x->room * 2;
        struct node *nodes = ARENA_ARRAY(x->arena, (size_t)room, struct node);
        if (!nodes) {
            x->full = true;
            return NULL;
        }
        memcpy(nodes, x->nodes, (size_t)x->n * sizeof *nodes);
        x->nodes = nodes;
        x->room = room;
    }
    x->nodes[x->n] = *n;
    return &x->nodes[x->n++];
}

static value_id new_value(struct weave *x, value_id like) {
    value_id made = graph_add_value(x->g, x->g->values[like].name);
    if (made == VALUE_NONE)
        return made;
    struct value *t = &x->g->values[made];
    t->dtype = weave_dtype(x, like);
    t->shape = *weave_shape(x, like);
    t->ranked = true;
    return made;
}

value_id weave_twin(struct weave *x, value_id v, const struct node *conversion, bool *made) {
    *made = false;
    if (v < x->n_twins && x->twin[v] != VALUE_NONE)
        return x->twin[v];
    struct node n = *conversion;
    n.n_in = n.n_out = 1;
    n.in = ARENA_NEW(x->arena, value_id);
    n.out = ARENA_NEW(x->arena, value_id);
    value_id twin = new_value(x, v);
    if (!n.in || !n.out || twin == VALUE_NONE || !weave_push(x, &n)) {
        x->full = true;
        return v;
    }
    *n.in = v;
    *n.out = twin;
    if (v < x->n_twins)
        x->twin[v] = twin;
    x->changed = *made = true;
    return twin;
}

enum code weave_close(struct weave *x, struct err *e) {
    struct graph *g = x->g;
    if (x->full)
        return arena_fail(x->arena, sizeof(struct node), "a plan's nodes", e);
    g->nodes = x->nodes;
    g->n_nodes = x->n;
    g->room_nodes = x->room;
    for (int k = 0; k < g->n_nodes; k++)
        for (int i = 0; i < g->nodes[k].n_out; i++)
            if (g->nodes[k].out[i] != VALUE_NONE)
                g->values[g->nodes[k].out[i]].producer = k;
    return OK;
}
