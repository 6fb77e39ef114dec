/* SPDX-License-Identifier: Apache-2.0 */
/* Editing a graph inside one pass. Replacements are kept in a forwarding table and applied when a
 * node is visited, so a pass over n nodes stays linear however much it replaces; rewire_close
 * applies the rest in one sweep.
 *
 * 1. forward[v] == v unless v was replaced; chains are shortened when followed.
 * 2. A node whose outputs all lost their last use is dropped at once, and so are, in turn, the
 * makers of its inputs: use counts seen by later patterns are true. No operator has an effect
 * beyond its outputs, so none is kept for its own sake. */
#include "plan/rewire.h"

#include "base/mem.h"
#include "op/op_list.h"

enum { SCRATCH_CAP = 1 << 30 };

/* --- subgraphs: what a node's bodies take from this graph --- */

typedef void capture_fn(struct rewire *w, struct value *v);

static void each_capture_of(struct rewire *w, struct graph *body, capture_fn *fn) {
    for (int i = 0; i < body->n_values; i++)
        if (body->values[i].capture != VALUE_NONE)
            fn(w, &body->values[i]);
}

static void each_capture(struct rewire *w, struct node *n, capture_fn *fn) {
    for (int k = 0; k < n->n_attrs; k++) {
        struct attr *a = &n->attrs[k];
        if (a->kind == ATTR_GRAPH)
            each_capture_of(w, a->graph, fn);
        for (size_t i = 0; a->kind == ATTR_GRAPHS && i < a->n; i++)
            each_capture_of(w, a->graphs[i], fn);
    }
}

/* --- the tables --- */

static value_id follow(const struct rewire *w, value_id v) {
    if (v == VALUE_NONE)
        return v;
    value_id end = v;
    while (w->forward[end] != end)
        end = w->forward[end];
    while (w->forward[v] != end) {
        value_id next = w->forward[v];
        w->forward[v] = end;
        v = next;
    }
    return end;
}

static void count_capture(struct rewire *w, struct value *v) { w->uses[v->capture]++; }

static void count_uses(struct rewire *w) {
    struct graph *g = w->g;
    for (int i = 0; i < g->n_outputs; i++)
        if (g->outputs[i] != VALUE_NONE)
            w->uses[g->outputs[i]]++;
    for (int k = 0; k < g->n_nodes; k++) {
        struct node *n = &g->nodes[k];
        for (int i = 0; i < n->n_in; i++)
            if (n->in[i] != VALUE_NONE)
                w->uses[n->in[i]]++;
        each_capture(w, n, count_capture);
    }
}

static bool make_room(struct rewire *w, int room) {
    int *uses = ARENA_ARRAY(&w->scratch, (size_t)room, int);
    value_id *forward = ARENA_ARRAY(&w->scratch, (size_t)room, value_id);
    if (!uses || !forward)
        return false;
    if (w->room) {
        memcpy(uses, w->uses, (size_t)w->room * sizeof *uses);
        memcpy(forward, w->forward, (size_t)w->room * sizeof *forward);
    }
    for (int v = w->room; v < room; v++)
        forward[v] = v;
    w->uses = uses;
    w->forward = forward;
    w->room = room;
    return true;
}

enum code rewire_open(struct rewire *w, struct graph *g, struct arena *arena, struct err *e) {
    *w = (struct rewire){.g = g, .arena = arena};
    arena_init(&w->scratch, SCRATCH_CAP);
    w->dropped = ARENA_ARRAY(&w->scratch, (size_t)g->n_nodes + 1, bool);
    if (!w->dropped || !make_room(w, g->n_values + g->n_values / 4 + 16)) {
        enum code code = arena_fail(&w->scratch, (size_t)g->n_values, "tables of a pass", e);
        arena_deinit(&w->scratch);
        return code;
    }
    for (int k = 0; k < g->n_nodes; k++)
        for (int i = 0; i < g->nodes[k].n_out; i++)
            if (g->nodes[k].out[i] != VALUE_NONE)
                g->values[g->nodes[k].out[i]].producer = k;
    count_uses(w);
    return OK;
}

/* --- reading --- */

static void update_inputs(struct rewire *w, struct node *n) {
    for (int i = 0; i < n->n_in; i++)
        n->in[i] = follow(w, n->in[i]);
}

struct node *rewire_visit(struct rewire *w, node_id id) {
    if (w->dropped[id])
        return NULL;
    update_inputs(w, &w->g->nodes[id]);
    return &w->g->nodes[id];
}

enum code rewire_each(struct graph *g, struct arena *arena,
                      void (*visit)(struct rewire *w, struct node *n), bool *changed,
                      struct err *e) {
    struct rewire w;
    TRY(rewire_open(&w, g, arena, e));
    for (node_id id = 0; id < g->n_nodes; id++) {
        struct node *n = rewire_visit(&w, id);
        if (n)
            visit(&w, n);
    }
    return rewire_close(&w, changed, e);
}

value_id rewire_in(const struct rewire *w, const struct node *n, int i) {
    return i < n->n_in ? follow(w, n->in[i]) : VALUE_NONE;
}

int rewire_uses(const struct rewire *w, value_id v) { return v == VALUE_NONE ? 0 : w->uses[v]; }

struct node *rewire_producer(struct rewire *w, value_id v) {
    if (v == VALUE_NONE || w->g->values[v].producer == NODE_NONE || w->g->values[v].constant)
        return NULL;
    return rewire_visit(w, w->g->values[v].producer);
}

const struct tensor *rewire_constant_of(const struct rewire *w, value_id v) {
    return v == VALUE_NONE ? NULL : w->g->values[v].constant;
}

/* --- dropping --- */

static bool unneeded(const struct rewire *w, const struct node *n) {
    for (int i = 0; i < n->n_out; i++)
        if (n->out[i] != VALUE_NONE && w->uses[n->out[i]] > 0)
            return false;
    return true;
}

static void use_less(struct rewire *w, value_id v) {
    if (v == VALUE_NONE)
        return;
    w->uses[v]--;
    node_id p = w->g->values[v].producer;
    if (w->uses[v] == 0 && p != NODE_NONE && !w->dropped[p] && unneeded(w, &w->g->nodes[p]))
        rewire_drop(w, &w->g->nodes[p]);
}

static void release_capture(struct rewire *w, struct value *v) { w->uses[follow(w, v->capture)]--; }

/* Chains of nodes fall backwards: a worklist, not recursion, for a chain may be as long as the
 * model. The list is threaded through nodes already dropped: their n_post, unused from now on, is
 * not touched; `pending` keeps the ids. */
void rewire_drop(struct rewire *w, struct node *n) {
    struct arena_mark mark = arena_mark(&w->scratch);
    struct graph *g = w->g;
    node_id *pending = ARENA_ARRAY(&w->scratch, (size_t)g->n_nodes + 1, node_id);
    if (!pending) {
        w->full = true;
        return;
    }
    int n_pending = 0;
    pending[n_pending++] = (node_id)(n - g->nodes);
    w->dropped[n - g->nodes] = w->changed = true;
    while (n_pending) {
        struct node *dead = &g->nodes[pending[--n_pending]];
        each_capture(w, dead, release_capture);
        for (int i = 0; i < dead->n_in; i++) {
            value_id v = follow(w, dead->in[i]);
            if (v == VALUE_NONE)
                continue;
            w->uses[v]--;
            node_id p = g->values[v].producer;
            if (w->uses[v] == 0 && p != NODE_NONE && !w->dropped[p] && unneeded(w, &g->nodes[p])) {
                w->dropped[p] = true;
                pending[n_pending++] = p;
            }
        }
    }
    arena_reset(&w->scratch, mark);
}

/* --- changing --- */

void rewire_replace(struct rewire *w, value_id old, value_id new) {
    old = follow(w, old);
    new = follow(w, new);
    if (old == new)
        return;
    w->uses[new] += w->uses[old];
    w->uses[old] = 0;
    w->forward[old] = new;
    w->changed = true;
    node_id p = w->g->values[old].producer;
    if (p != NODE_NONE && !w->dropped[p] && unneeded(w, &w->g->nodes[p]))
        rewire_drop(w, &w->g->nodes[p]);
}

static value_id *copy_ids(struct rewire *w, const value_id *ids, int n, int room) {
    value_id *to = ARENA_ARRAY(w->arena, (size_t)room + 1, value_id);
    if (!to) {
        w->full = true;
        return NULL;
    }
    for (int i = 0; i < room; i++)
        to[i] = i < n ? ids[i] : VALUE_NONE;
    return to;
}

bool rewire_become(struct rewire *w, struct node *n, const char *op_name, int n_in,
                   const value_id *in) {
    const struct op *op = op_find(str_of(op_name));
    if (!op)
        return false;
    value_id *ids = copy_ids(w, in, n_in, n_in);
    if (!ids)
        return false;
    value_id *old = n->in;
    int n_old = n->n_in;
    n->in = ids;
    n->n_in = n_in;
    for (int i = 0; i < n_in; i++)
        if ((ids[i] = follow(w, ids[i])) != VALUE_NONE)
            w->uses[ids[i]]++;
    for (int i = 0; i < n_old; i++)
        use_less(w, follow(w, old[i]));
    n->op = op;
    n->op_name = str_of(op->name);
    n->attrs = NULL;
    n->n_attrs = n->n_post = 0;
    w->changed = true;
    return true;
}

bool rewire_set_in(struct rewire *w, struct node *n, int i, value_id v) {
    value_id before = rewire_in(w, n, i);
    int n_in = i < n->n_in ? n->n_in : i + 1;
    value_id *ids = copy_ids(w, n->in, n->n_in, n_in);
    if (!ids)
        return false;
    n->in = ids;
    n->n_in = n_in;
    v = follow(w, v);
    n->in[i] = v;
    if (v != VALUE_NONE)
        w->uses[v]++;
    use_less(w, before);
    w->changed = true;
    return true;
}

struct node *rewire_absorb(struct rewire *w, struct node *into, struct node *from) {
    struct graph *g = w->g;
    value_id mid = into->out[0], end = from->out[0];
    node_id old = (node_id)(into - g->nodes), at = (node_id)(from - g->nodes);
    for (int i = 0; i < from->n_in;
         i++) { /* never the last use but of mid, whose maker is not dropped */
        value_id v = follow(w, from->in[i]);
        if (v != VALUE_NONE && v != mid)
            use_less(w, v);
    }
    w->uses[mid] = 0;
    struct node moved = *into;
    moved.out = copy_ids(w, into->out, into->n_out, into->n_out);
    if (!moved.out)
        return into;
    moved.out[0] = end;
    g->nodes[at] = moved;
    g->values[end].producer = at;
    g->values[mid].producer = NODE_NONE;
    w->dropped[old] = true;
    w->changed = true;
    return &g->nodes[at];
}

/* --- new values and attributes --- */

value_id rewire_new_value(struct rewire *w, struct str name) {
    value_id v = graph_add_value(w->g, name);
    if (v == VALUE_NONE || (v >= w->room && !make_room(w, w->room * 2))) {
        w->full = true;
        return VALUE_NONE;
    }
    return v;
}

value_id rewire_take_constant(struct rewire *w, const struct tensor *numbers) {
    struct tensor *t = ARENA_NEW(w->arena, struct tensor);
    value_id v = t ? rewire_new_value(w, LIT("")) : VALUE_NONE;
    if (v == VALUE_NONE) {
        w->full = true;
        return v;
    }
    *t = *numbers;
    struct value *value = &w->g->values[v];
    value->dtype = t->dtype;
    value->ranked = true;
    value->shape = t->shape;
    value->constant = t;
    value->origin.file = -1;
    return v;
}

value_id rewire_new_constant(struct rewire *w, enum dtype dtype, const struct shape *shape,
                             struct tensor **out) {
    struct tensor t;
    struct err e;
    value_id v = VALUE_NONE;
    if (tensor_new(w->arena, dtype, shape, &t, &e) == OK)
        v = rewire_take_constant(w, &t);
    w->full = w->full || v == VALUE_NONE;
    if (v != VALUE_NONE)
        *out = w->g->values[v].constant;
    return v;
}

value_id rewire_new_scalar(struct rewire *w, float v) {
    struct tensor *t;
    value_id id = rewire_new_constant(w, DT_F32, &(struct shape){.rank = 0}, &t);
    if (id != VALUE_NONE)
        memcpy(t->data, &v, sizeof v);
    return id;
}

/* The attribute of this name, or a fresh one; NULL: full. */
static struct attr *attr_slot(struct rewire *w, struct node *n, const char *name) {
    for (int k = 0; k < n->n_attrs; k++)
        if (str_is(n->attrs[k].name, name))
            return &n->attrs[k];
    struct attr *attrs = ARENA_ARRAY(w->arena, (size_t)n->n_attrs + 1, struct attr);
    char *text = arena_strdup(w->arena, str_of(name));
    if (!attrs || !text) {
        w->full = true;
        return NULL;
    }
    if (n->n_attrs)
        memcpy(attrs, n->attrs, (size_t)n->n_attrs * sizeof *attrs);
    n->attrs = attrs;
    attrs[n->n_attrs].name = str_of(text);
    return &attrs[n->n_attrs++];
}

bool rewire_attr_int(struct rewire *w, struct node *n, const char *name, int64_t v) {
    struct attr *a = attr_slot(w, n, name);
    if (a)
        *a = (struct attr){.name = a->name, .kind = ATTR_INT, .i = v};
    return a != NULL;
}

bool rewire_attr_float(struct rewire *w, struct node *n, const char *name, float v) {
    struct attr *a = attr_slot(w, n, name);
    if (a)
        *a = (struct attr){.name = a->name, .kind = ATTR_FLOAT, .f = v};
    return a != NULL;
}

bool rewire_attr_str(struct rewire *w, struct node *n, const char *name, const char *v) {
    struct attr *a = attr_slot(w, n, name);
    char *text = arena_strdup(w->arena, str_of(v));
    if (!a || !text) {
        w->full = true;
        return false;
    }
    *a = (struct attr){.name = a->name, .kind = ATTR_STR, .s = str_of(text)};
    return true;
}

bool rewire_attr_ints(struct rewire *w, struct node *n, const char *name, const int64_t *v,
                      size_t count) {
    int64_t *copy = ARENA_ARRAY(w->arena, count + 1, int64_t);
    struct attr *a = attr_slot(w, n, name);
    if (!a || !copy) {
        w->full = true;
        return false;
    }
    memcpy(copy, v, count * sizeof *v);
    *a = (struct attr){.name = a->name, .kind = ATTR_INTS, .n = count, .ints = copy};
    return true;
}

bool rewire_attr_all(struct rewire *w, struct node *n, const struct node *of) {
    struct attr *attrs = ARENA_ARRAY(w->arena, (size_t)of->n_attrs + 1, struct attr);
    if (!attrs) {
        w->full = true;
        return false;
    }
    if (of->n_attrs)
        memcpy(attrs, of->attrs, (size_t)of->n_attrs * sizeof *attrs);
    n->attrs = attrs;
    n->n_attrs = of->n_attrs;
    return true;
}

/* --- the end --- */

static void follow_capture(struct rewire *w, struct value *v) {
    v->capture = follow(w, v->capture);
}

static void compact(struct rewire *w) {
    struct graph *g = w->g;
    int kept = 0;
    for (int k = 0; k < g->n_nodes; k++) {
        if (w->dropped[k])
            continue;
        if (kept != k)
            g->nodes[kept] = g->nodes[k];
        struct node *n = &g->nodes[kept];
        update_inputs(w, n);
        each_capture(w, n, follow_capture);
        for (int i = 0; i < n->n_out; i++)
            if (n->out[i] != VALUE_NONE)
                g->values[n->out[i]].producer = kept;
        kept++;
    }
    g->n_nodes = kept;
}

enum code rewire_close(struct rewire *w, bool *changed, struct err *e) {
    struct graph *g = w->g;
    for (int v = 0; w->changed && v < g->n_values; v++)
        g->values[v].producer = NODE_NONE;
    if (w->changed)
        compact(w);
    for (int i = 0; i < g->n_outputs; i++)
        g->outputs[i] = follow(w, g->outputs[i]);
    if (w->changed)
        *changed = true;
    bool full = w->full;
    arena_deinit(&w->scratch);
    return full ? arena_fail(w->arena, 1, "what a pass makes", e) : OK;
}
