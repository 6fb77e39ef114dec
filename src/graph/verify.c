/* SPDX-License-Identifier: Apache-2.0 */
/* The gate every model passes before anything else touches it: whatever a reader, the wire or a
 * pass produced, what gets through here can be walked without checking an index again.
 *
 * One walk in node order. `ready` marks the values that exist at that point: inputs, constants,
 * captures, and outputs of the nodes already passed. A subgraph is walked when its node is reached,
 * so its captures are checked against exactly what the node itself may use. */
#include "graph/model.h"

#include "tensor/nibble.h"

#include <stdio.h>

enum { DEPTH_MAX = 24 }; /* of subgraphs; importers allow 16, passes add none */

enum { READY = 1, INPUT = 2, MADE = 4 };

struct frame {
    const struct graph *graph;
    uint8_t *ready; /* (n_values) READY, INPUT, MADE (by a node) */
    const struct frame *up;
    int depth;
};

static bool id_ok(const struct graph *g, value_id v) { return v >= 0 && v < g->n_values; }

static const char *name_of(const struct graph *g, char text[96]) {
    if (!g->parent)
        return "the main graph";
    snprintf(text, 96, "subgraph '%.*s'", g->name.n < 70 ? (int)g->name.n : 70,
             g->name.p ? g->name.p : "");
    return text;
}

static bool shape_sound(const struct shape *s) {
    if (s->rank < 0 || s->rank > SHAPE_MAX)
        return false;
    for (int d = 0; d < s->rank; d++)
        if (s->dims[d] < -1)
            return false;
    return true;
}

/* origin may be NULL; what: for messages. */
static enum code check_tensor(const struct model *m, const struct tensor *t,
                              const struct origin *from, struct str what, struct err *e) {
    size_t bytes;
    if (t->dtype <= DT_NONE || t->dtype >= DT_N || t->dtype == DT_SEQUENCE)
        return fail(e, FORMAT, "constant '%.*s' has no usable type", STR(what));
    if (!shape_sound(&t->shape) || !tensor_size(t->dtype, &t->shape, &bytes))
        return fail(e, FORMAT, "constant '%.*s' has an impossible shape", STR(what));
    if (bytes && !t->data)
        return fail(e, FORMAT, "constant '%.*s' has no data", STR(what));
    if (t->layout != LAYOUT_PLAIN)
        return fail(e, FORMAT, "constant '%.*s' is not laid out plainly", STR(what));
    if (!from || from->file < 0)
        return OK;
    if (from->file >= m->n_files)
        return fail(e, FORMAT, "constant '%.*s' lies in a file the model does not have", STR(what));
    const struct model_file *f = &m->files[from->file];
    if (!nibble_bytes(t->dtype, tensor_count(t), &bytes) || from->length != bytes ||
        from->offset > f->size || from->length > f->size - from->offset)
        return fail(e, FORMAT, "constant '%.*s': its bytes are not inside '%.*s'", STR(what),
                    STR(f->name));
    return OK;
}

static enum code check_value(const struct graph *g, const struct value *v, const struct frame *up,
                             struct err *e) {
    char text[96];
    if ((unsigned)v->dtype >= DT_N || (v->ranked && !shape_sound(&v->shape)))
        return fail(e, FORMAT, "value '%.*s' has an impossible type or shape", STR(v->name));
    if (v->constant) {
        TRY(check_tensor(g->model, v->constant, &v->origin, v->name, e));
        if (v->dtype != DT_NONE && v->dtype != v->constant->dtype)
            return fail(e, FORMAT, "value '%.*s' is declared %s, its constant is %s", STR(v->name),
                        dtype_name(v->dtype), dtype_name(v->constant->dtype));
    }
    if (v->capture == VALUE_NONE)
        return OK;
    if (v->constant || !up || !id_ok(up->graph, v->capture) || !up->ready[v->capture])
        return fail(e, FORMAT, "%s takes '%.*s' from outside, where it does not exist yet",
                    name_of(g, text), STR(v->name));
    return OK;
}

static enum code check_inputs(struct frame *f, struct err *e) {
    const struct graph *g = f->graph;
    char text[96];
    for (int i = 0; i < g->n_inputs; i++) {
        if (!id_ok(g, g->inputs[i]))
            return fail(e, FORMAT, "input %d of %s names no value", i, name_of(g, text));
        const struct value *v = &g->values[g->inputs[i]];
        uint8_t *ready = &f->ready[g->inputs[i]];
        if (*ready & INPUT || (*ready && !v->constant)) /* a constant is the input's default */
            return fail(e, FORMAT, "input '%.*s' of %s is made twice", STR(v->name),
                        name_of(g, text));
        *ready = READY | INPUT;
    }
    return OK;
}

static enum code check_values(struct frame *f, struct err *e) {
    const struct graph *g = f->graph;
    for (int v = 0; v < g->n_values; v++) {
        TRY(check_value(g, &g->values[v], f->up, e));
        f->ready[v] = g->values[v].constant || g->values[v].capture != VALUE_NONE;
    }
    return check_inputs(f, e);
}

static enum code check_graph(const struct graph *g, const struct frame *up, struct err *e);

static enum code check_attr(const struct frame *f, const struct node *n, const struct attr *a,
                            struct err *e) {
    char label[160];
    bool list = a->kind == ATTR_INTS || a->kind == ATTR_FLOATS || a->kind == ATTR_STRS ||
                a->kind == ATTR_TENSORS || a->kind == ATTR_GRAPHS;
    if ((unsigned)a->kind > ATTR_GRAPHS || (list && a->n && !a->ints) ||
        ((a->kind == ATTR_TENSOR || a->kind == ATTR_GRAPH) && !a->tensor))
        return fail(e, FORMAT, "%.*s: attribute '%.*s' is broken",
                    STR(node_label(f->graph, n, label)), STR(a->name));
    if (a->kind == ATTR_TENSOR)
        return check_tensor(f->graph->model, a->tensor, &a->origin, a->name, e);
    if (a->kind == ATTR_GRAPH)
        return check_graph(a->graph, f, e);
    for (size_t i = 0; a->kind == ATTR_TENSORS && i < a->n; i++)
        TRY(check_tensor(f->graph->model, &a->tensors[i], NULL, a->name, e));
    for (size_t i = 0; a->kind == ATTR_GRAPHS && i < a->n; i++)
        TRY(check_graph(a->graphs[i], f, e));
    return OK;
}

static enum code check_posts(const struct graph *g, const struct node *n, struct err *e) {
    char label[160];
    bool ok = n->n_post >= 0 && n->n_post <= POST_MAX;
    for (int i = 0; ok && i < n->n_post; i++) {
        const struct post *p = &n->post[i];
        bool binary = p->kind == POST_ADD || p->kind == POST_MUL;
        ok = p->kind > POST_NONE && p->kind <= POST_MUL &&
             (!binary || (p->input >= 0 && p->input < n->n_in && n->in[p->input] != VALUE_NONE));
    }
    return ok ? OK : fail(e, FORMAT, "%.*s: broken post-operation", STR(node_label(g, n, label)));
}

static enum code check_node_inputs(const struct frame *f, const struct node *n, struct err *e) {
    const struct graph *g = f->graph;
    char label[160], other[160];
    for (int i = 0; i < n->n_in; i++) {
        if (n->in[i] == VALUE_NONE)
            continue;
        if (!id_ok(g, n->in[i]))
            return fail(e, FORMAT, "%.*s: input %d names no value", STR(node_label(g, n, label)),
                        i);
        const struct value *v = &g->values[n->in[i]];
        if (f->ready[n->in[i]])
            continue;
        if (v->producer >= 0 && v->producer < g->n_nodes)
            return fail(e, FORMAT, "%.*s uses '%.*s' before %.*s makes it",
                        STR(node_label(g, n, label)), STR(v->name),
                        STR(node_label(g, &g->nodes[v->producer], other)));
        return fail(e, FORMAT, "%.*s: input '%.*s' is made by nothing",
                    STR(node_label(g, n, label)), STR(v->name));
    }
    return OK;
}

static enum code check_node_outputs(const struct frame *f, node_id id, struct err *e) {
    const struct graph *g = f->graph;
    const struct node *n = &g->nodes[id];
    char label[160];
    for (int i = 0; i < n->n_out; i++) {
        if (n->out[i] == VALUE_NONE)
            continue;
        if (!id_ok(g, n->out[i]))
            return fail(e, FORMAT, "%.*s: output %d names no value", STR(node_label(g, n, label)),
                        i);
        const struct value *v = &g->values[n->out[i]];
        if (f->ready[n->out[i]] || v->producer != id)
            return fail(e, FORMAT, "%.*s: '%.*s' is made twice", STR(node_label(g, n, label)),
                        STR(v->name));
        f->ready[n->out[i]] = READY | MADE;
    }
    return OK;
}

static enum code check_node(const struct frame *f, node_id id, struct err *e) {
    const struct node *n = &f->graph->nodes[id];
    if (n->n_in < 0 || n->n_out < 0 || n->n_attrs < 0)
        return fail(e, FORMAT, "node %d has a negative count", id);
    TRY(check_node_inputs(f, n, e));
    TRY(check_posts(f->graph, n, e));
    for (int i = 0; i < n->n_attrs; i++)
        TRY(check_attr(f, n, &n->attrs[i], e));
    return check_node_outputs(f, id, e);
}

/* A value that names a producer was made by it: check_node_outputs compared the two. */
static enum code check_producers(const struct frame *f, struct err *e) {
    for (int v = 0; v < f->graph->n_values; v++) {
        const struct value *value = &f->graph->values[v];
        if (value->producer != NODE_NONE && !(f->ready[v] & MADE))
            return fail(e, FORMAT, "value '%.*s' names a producer that does not make it",
                        STR(value->name));
    }
    return OK;
}

static enum code walk(struct frame *f, struct err *e) {
    const struct graph *g = f->graph;
    char text[96];
    TRY(check_values(f, e));
    for (node_id n = 0; n < g->n_nodes; n++)
        TRY(check_node(f, n, e));
    TRY(check_producers(f, e));
    for (int i = 0; i < g->n_outputs; i++) {
        if (!id_ok(g, g->outputs[i]))
            return fail(e, FORMAT, "output %d of %s names no value", i, name_of(g, text));
        if (!f->ready[g->outputs[i]])
            return fail(e, FORMAT, "output '%.*s' of %s is made by nothing",
                        STR(g->values[g->outputs[i]].name), name_of(g, text));
    }
    return OK;
}

static enum code check_graph(const struct graph *g, const struct frame *up, struct err *e) {
    struct frame f = {.graph = g, .up = up, .depth = up ? up->depth + 1 : 0};
    if (!g || g->parent != (up ? up->graph : NULL) || (up && g->model != up->graph->model))
        return fail(e, FORMAT, "a subgraph is not attached to its graph");
    if (f.depth > DEPTH_MAX)
        return fail(e, LIMIT, "subgraphs are nested deeper than %d", DEPTH_MAX);
    if (g->n_values < 0 || g->n_nodes < 0 || g->n_inputs < 0 || g->n_outputs < 0)
        return fail(e, FORMAT, "a graph has a negative count");
    f.ready = mem_zalloc((size_t)g->n_values + 1, sizeof *f.ready);
    if (!f.ready)
        return fail(e, NOMEM, "no memory to check a graph of %d values", g->n_values);
    enum code code = walk(&f, e);
    mem_free(f.ready);
    return code;
}

static enum code check_facts(const struct model *m, struct err *e) {
    if (m->n_facts < 0)
        return fail(e, FORMAT, "the model has a negative count of facts");
    for (int i = 0; i < m->n_facts; i++) {
        const struct attr *a = &m->facts[i];
        bool list = a->kind == ATTR_INTS || a->kind == ATTR_FLOATS || a->kind == ATTR_STRS;
        bool one = a->kind == ATTR_INT || a->kind == ATTR_FLOAT || a->kind == ATTR_STR;
        if ((!list && !one) || (list && a->n && !a->ints))
            return fail(e, FORMAT, "fact '%.*s' of the model is broken", STR(a->name));
    }
    return OK;
}

enum code graph_verify(const struct model *m, struct err *e) {
    if (!m->main || m->main->model != m)
        return fail(e, FORMAT, "the model has no graph");
    TRY(check_facts(m, e));
    return check_graph(m->main, NULL, e);
}
