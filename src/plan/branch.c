/* SPDX-License-Identifier: Apache-2.0 */
/* An If whose condition is known (often after the shapes are: "has the input rank 1?") is replaced
 * by the nodes of the branch taken, so that the plan stays static and nothing is looked up at run
 * time.
 *
 * Values of the branch become values of the graph around it: what it captured is that value itself,
 * what it owned is a new one. Bodies inside the branch get the outer graph as parent and their
 * captures renamed. */
#include "plan/pass.h"

#include "op/op_list.h"

/* Where each value of the branch went, by id. */
static value_id *adopt_values(struct graph *g, const struct graph *body, struct arena *a) {
    value_id *map = ARENA_ARRAY(a, (size_t)body->n_values + 1, value_id);
    for (int v = 0; map && v < body->n_values; v++) {
        const struct value *from = &body->values[v];
        map[v] = from->capture;
        if (from->capture != VALUE_NONE)
            continue;
        map[v] = graph_add_value(g, from->name);
        if (map[v] == VALUE_NONE)
            return NULL;
        g->values[map[v]] = *from;
        g->values[map[v]].producer = NODE_NONE;
    }
    return map;
}

static void rename_captures(struct graph *inner, struct graph *g, const value_id *map) {
    inner->parent = g;
    for (int v = 0; v < inner->n_values; v++)
        if (inner->values[v].capture != VALUE_NONE)
            inner->values[v].capture = map[inner->values[v].capture];
}

static void adopt_node(struct node *n, struct graph *g, const value_id *map) {
    for (int i = 0; i < n->n_in; i++)
        n->in[i] = n->in[i] == VALUE_NONE ? VALUE_NONE : map[n->in[i]];
    for (int i = 0; i < n->n_out; i++)
        n->out[i] = n->out[i] == VALUE_NONE ? VALUE_NONE : map[n->out[i]];
    for (int k = 0; k < n->n_attrs; k++) {
        if (n->attrs[k].kind == ATTR_GRAPH)
            rename_captures(n->attrs[k].graph, g, map);
        for (size_t i = 0; n->attrs[k].kind == ATTR_GRAPHS && i < n->attrs[k].n; i++)
            rename_captures(n->attrs[k].graphs[i], g, map);
    }
}

/* out = Identity(in): the dead pass dissolves it. */
static bool make_identity(struct node *n, value_id in, value_id out, const struct op *identity,
                          struct arena *a) {
    *n = (struct node){.op = identity, .op_name = str_of(identity->name), .n_in = 1, .n_out = 1};
    n->in = ARENA_NEW(a, value_id);
    n->out = ARENA_NEW(a, value_id);
    if (!n->in || !n->out)
        return false;
    *n->in = in;
    *n->out = out;
    return true;
}

static bool splice(struct graph *g, int at, const struct graph *body, struct arena *a) {
    const struct op *identity = op_find(LIT("identity"));
    const struct node gone = g->nodes[at];
    value_id *map = identity ? adopt_values(g, body, a) : NULL;
    int room = g->n_nodes + body->n_nodes + body->n_outputs;
    struct node *nodes = map ? ARENA_ARRAY(a, (size_t)room + 1, struct node) : NULL;
    if (!nodes)
        return false;
    int n = at;
    memcpy(nodes, g->nodes, (size_t)at * sizeof *nodes);
    for (int k = 0; k < body->n_nodes; k++) {
        nodes[n] = body->nodes[k];
        adopt_node(&nodes[n++], g, map);
    }
    for (int i = 0; i < gone.n_out && i < body->n_outputs; i++)
        if (gone.out[i] != VALUE_NONE &&
            !make_identity(&nodes[n++], map[body->outputs[i]], gone.out[i], identity, a))
            return false;
    memcpy(nodes + n, g->nodes + at + 1, (size_t)(g->n_nodes - at - 1) * sizeof *nodes);
    g->n_nodes += n - at - 1;
    g->nodes = nodes;
    g->room_nodes = room;
    return true;
}

/* The branch an If takes for certain, or NULL. */
static const struct graph *known_branch(const struct graph *g, const struct node *n) {
    if (!str_is(n->op_name, "if") || n->n_in != 1 || n->in[0] == VALUE_NONE)
        return NULL;
    const struct tensor *cond = g->values[n->in[0]].constant;
    if (!cond || cond->dtype != DT_BOOL || tensor_count(cond) != 1)
        return NULL;
    const struct graph *body =
        attr_graph(n, *(const uint8_t *)cond->data ? "then_branch" : "else_branch");
    return body && body->n_outputs >= n->n_out ? body : NULL;
}

static enum code run(struct pass_run *r, struct err *e) {
    struct graph *g = r->graph;
    for (int k = 0; k < g->n_nodes; k++) {
        const struct graph *body = known_branch(g, &g->nodes[k]);
        if (!body)
            continue;
        if (!splice(g, k, body, r->arena))
            return arena_fail(r->arena, sizeof(struct node), "a branch", e);
        r->changed = true;
        k--; /* the branch may begin with another If */
    }
    for (int k = 0; k < g->n_nodes && r->changed; k++)
        for (int i = 0; i < g->nodes[k].n_out; i++)
            if (g->nodes[k].out[i] != VALUE_NONE)
                g->values[g->nodes[k].out[i]].producer = k;
    return OK;
}

const struct pass pass_branch = {.name = "branch", .stages = PASS_OPEN | PASS_PLAN, .run = run};
