/* SPDX-License-Identifier: Apache-2.0 */
/* Models and graphs: made, grown, searched, copied. Arrays grow by doubling inside the model's
 * arena. */
#include "graph/model.h"

enum { FIRST_ROOM = 16 };

struct model *model_new(struct arena *a) {
    struct model *m = ARENA_NEW(a, struct model);
    if (!m)
        return NULL;
    m->arena = a;
    m->main = graph_new(m, NULL);
    return m->main ? m : NULL;
}

struct graph *graph_new(struct model *m, struct graph *parent) {
    struct graph *g = ARENA_NEW(m->arena, struct graph);
    if (g) {
        g->model = m;
        g->parent = parent;
    }
    return g;
}

/* A larger copy of `old`, n of room elements used; NULL: arena full. */
static void *grown(struct arena *a, const void *old, int n, int room, size_t bytes) {
    void *bigger = arena_push_array(a, (size_t)room, bytes);
    if (bigger && n)
        memcpy(bigger, old, (size_t)n * bytes);
    return bigger;
}

static int next_room(int room) {
    return room ? (room > INT32_MAX / 2 ? -1 : room * 2) : FIRST_ROOM;
}

value_id graph_add_value(struct graph *g, struct str name) {
    if (g->n_values == g->room_values) {
        int room = next_room(g->room_values);
        struct value *v =
            room < 0 ? NULL : grown(g->model->arena, g->values, g->n_values, room, sizeof *v);
        if (!v)
            return VALUE_NONE;
        g->values = v;
        g->room_values = room;
    }
    g->values[g->n_values] = (struct value){
        .name = name, .origin = {.file = -1}, .capture = VALUE_NONE, .producer = NODE_NONE};
    return g->n_values++;
}

static value_id *new_ids(struct arena *a, int n) {
    value_id *ids = ARENA_ARRAY(a, (size_t)n, value_id);
    for (int i = 0; ids && i < n; i++)
        ids[i] = VALUE_NONE;
    return ids;
}

struct node *graph_add_node(struct graph *g, int n_in, int n_out, int n_attrs) {
    struct arena *a = g->model->arena;
    if (g->n_nodes == g->room_nodes) {
        int room = next_room(g->room_nodes);
        struct node *bigger =
            room < 0 ? NULL : grown(a, g->nodes, g->n_nodes, room, sizeof *bigger);
        if (!bigger)
            return NULL;
        g->nodes = bigger;
        g->room_nodes = room;
    }
    struct node n = {.n_in = n_in, .n_out = n_out, .n_attrs = n_attrs};
    n.in = new_ids(a, n_in);
    n.out = new_ids(a, n_out);
    n.attrs = ARENA_ARRAY(a, (size_t)n_attrs, struct attr);
    if (!n.in || !n.out || !n.attrs)
        return NULL;
    for (int i = 0; i < n_attrs; i++)
        n.attrs[i].origin.file = -1;
    g->nodes[g->n_nodes] = n;
    return &g->nodes[g->n_nodes++];
}

value_id graph_find(const struct graph *g, struct str name) {
    for (value_id v = 0; v < g->n_values; v++)
        if (str_eq(g->values[v].name, name))
            return v;
    return VALUE_NONE;
}

/* --- copy --- */

static void *copied(struct arena *a, const void *from, size_t n, size_t bytes) {
    void *to = arena_push_array(a, n, bytes);
    if (to && n)
        memcpy(to, from, n * bytes);
    return to;
}

static struct graph *copy_graph(struct model *m, struct graph *parent, const struct graph *from);

/* Graphs, one by one. What else is behind a pointer nobody writes to: it is shared. */
static bool copy_attr(struct graph *owner, struct attr *to, const struct attr *from) {
    struct arena *a = owner->model->arena;
    switch ((int)from->kind) {
    case ATTR_GRAPH: return (to->graph = copy_graph(owner->model, owner, from->graph));
    case ATTR_GRAPHS:
        to->graphs = ARENA_ARRAY(a, from->n, struct graph *);
        for (size_t i = 0; to->graphs && i < from->n; i++)
            if (!(to->graphs[i] = copy_graph(owner->model, owner, from->graphs[i])))
                return false;
        return to->graphs != NULL;
    default: return true;
    }
}

static bool copy_node(struct graph *owner, struct node *to, const struct node *from) {
    struct arena *a = owner->model->arena;
    to->in = copied(a, from->in, (size_t)from->n_in, sizeof *from->in);
    to->out = copied(a, from->out, (size_t)from->n_out, sizeof *from->out);
    to->attrs = copied(a, from->attrs, (size_t)from->n_attrs, sizeof *from->attrs);
    if (!to->in || !to->out || !to->attrs)
        return false;
    for (int i = 0; i < from->n_attrs; i++)
        if (!copy_attr(owner, &to->attrs[i], &from->attrs[i]))
            return false;
    return true;
}

static struct graph *copy_graph(struct model *m, struct graph *parent, const struct graph *from) {
    struct arena *a = m->arena;
    struct graph *g = copied(a, from, 1, sizeof *from);
    if (!g)
        return NULL;
    g->model = m;
    g->parent = parent;
    g->room_values = g->n_values;
    g->room_nodes = g->n_nodes;
    g->values = copied(a, from->values, (size_t)from->n_values, sizeof *from->values);
    g->nodes = copied(a, from->nodes, (size_t)from->n_nodes, sizeof *from->nodes);
    g->inputs = copied(a, from->inputs, (size_t)from->n_inputs, sizeof *from->inputs);
    g->outputs = copied(a, from->outputs, (size_t)from->n_outputs, sizeof *from->outputs);
    if (!g->values || !g->nodes || !g->inputs || !g->outputs)
        return NULL;
    for (int v = 0; v < g->n_values; v++) {
        struct value *value = &g->values[v];
        if (value->constant &&
            !(value->constant = copied(a, value->constant, 1, sizeof *value->constant)))
            return NULL;
    }
    for (int n = 0; n < g->n_nodes; n++)
        if (!copy_node(g, &g->nodes[n], &from->nodes[n]))
            return NULL;
    return g;
}

struct model *graph_copy(const struct model *m, struct arena *a) {
    struct model *to = copied(a, m, 1, sizeof *m);
    if (!to)
        return NULL;
    to->arena = a;
    to->files = copied(a, m->files, (size_t)m->n_files, sizeof *m->files);
    to->meta = copied(a, m->meta, (size_t)m->n_meta, sizeof *m->meta);
    to->main = copy_graph(to, NULL, m->main);
    to->facts = copied(a, m->facts, (size_t)m->n_facts, sizeof *m->facts);
    if (!to->files || !to->meta || !to->main || !to->facts)
        return NULL;
    for (int i = 0; i < m->n_facts; i++)
        if (!copy_attr(to->main, &to->facts[i], &m->facts[i]))
            return NULL;
    return to;
}
