/* SPDX-License-Identifier: Apache-2.0 */
/* Topological order: depth first from each node in file order, so that an order which is right
 * already is kept.
 *
 * A node waits for the producers of its inputs and of everything its subgraphs capture. The stack
 * is explicit: a chain of a million nodes listed backwards must not exhaust the machine's. */
#include "graph/model.h"

enum state { NEW, OPEN, DONE };

struct sort {
    struct graph *g;
    unsigned char *state; /* (n_nodes) enum state */
    node_id *stack;       /* (n_nodes) */
    int *edge;            /* (n_nodes) next edge to follow, per open node */
    node_id *order;       /* (n_nodes) */
    int depth, done;
};

/* The producer that edge `at` of a node leads to, NODE_NONE for nobody; false past the last edge.
 * Edges: inputs first, then the values of every direct subgraph (a deeper one captures through its
 * parent). */
static bool edge_at(const struct graph *g, const struct node *n, int at, node_id *out) {
    *out = NODE_NONE;
    if (at < n->n_in) {
        if (n->in[at] != VALUE_NONE)
            *out = g->values[n->in[at]].producer;
        return true;
    }
    at -= n->n_in;
    for (int i = 0; i < n->n_attrs; i++) {
        const struct attr *a = &n->attrs[i];
        size_t count = a->kind == ATTR_GRAPH ? 1 : a->kind == ATTR_GRAPHS ? a->n : 0;
        for (size_t s = 0; s < count; s++) {
            const struct graph *sub = a->kind == ATTR_GRAPH ? a->graph : a->graphs[s];
            if (at < sub->n_values) {
                value_id v = sub->values[at].capture;
                if (v != VALUE_NONE)
                    *out = g->values[v].producer;
                return true;
            }
            at -= sub->n_values;
        }
    }
    return false;
}

static void open_node(struct sort *s, node_id id) {
    s->state[id] = OPEN;
    s->edge[id] = 0;
    s->stack[s->depth++] = id;
}

static enum code visit(struct sort *s, node_id from, struct err *e) {
    char label[160];
    open_node(s, from);
    while (s->depth) {
        node_id top = s->stack[s->depth - 1], next;
        if (!edge_at(s->g, &s->g->nodes[top], s->edge[top]++, &next)) {
            s->state[top] = DONE;
            s->order[s->done++] = top;
            s->depth--;
        } else if (next != NODE_NONE && s->state[next] == OPEN) {
            return fail(e, FORMAT, "cycle: %.*s depends on its own output",
                        STR(node_label(s->g, &s->g->nodes[next], label)));
        } else if (next != NODE_NONE && s->state[next] == NEW) {
            open_node(s, next);
        }
    }
    return OK;
}

/* The nodes in order[], and the producers that name them. */
static enum code rearrange(struct sort *s, struct err *e) {
    struct graph *g = s->g;
    size_t n = (size_t)g->n_nodes;
    struct node *old = ARENA_ARRAY(g->model->arena, n, struct node);
    if (!old)
        return arena_fail(g->model->arena, n * sizeof *old, "sorting nodes", e);
    if (n)
        memcpy(old, g->nodes, n * sizeof *old);
    for (node_id id = 0; id < g->n_nodes; id++) {
        struct node *to = &g->nodes[id];
        *to = old[s->order[id]];
        for (int i = 0; i < to->n_out; i++)
            if (to->out[i] != VALUE_NONE)
                g->values[to->out[i]].producer = id;
    }
    return OK;
}

static enum code sort_one(struct graph *g, struct err *e) {
    struct arena *a = g->model->arena;
    size_t n = (size_t)g->n_nodes;
    struct sort s = {.g = g,
                     .state = ARENA_ARRAY(a, n, unsigned char),
                     .stack = ARENA_ARRAY(a, n, node_id),
                     .edge = ARENA_ARRAY(a, n, int),
                     .order = ARENA_ARRAY(a, n, node_id)};
    if (!s.state || !s.stack || !s.edge || !s.order)
        return arena_fail(a, n * sizeof(node_id), "sorting nodes", e);
    for (node_id id = 0; id < g->n_nodes; id++)
        if (s.state[id] == NEW)
            TRY(visit(&s, id, e));
    return rearrange(&s, e);
}

static enum code sort_subgraphs(struct graph *g, struct err *e) {
    for (int n = 0; n < g->n_nodes; n++) {
        for (int i = 0; i < g->nodes[n].n_attrs; i++) {
            struct attr *a = &g->nodes[n].attrs[i];
            if (a->kind == ATTR_GRAPH)
                TRY(graph_sort(a->graph, e));
            for (size_t s = 0; a->kind == ATTR_GRAPHS && s < a->n; s++)
                TRY(graph_sort(a->graphs[s], e));
        }
    }
    return OK;
}

enum code graph_sort(struct graph *g, struct err *e) {
    struct arena_mark mark = arena_mark(g->model->arena);
    enum code code = sort_one(g, e);
    arena_reset(g->model->arena, mark);
    return code == OK ? sort_subgraphs(g, e) : code;
}
