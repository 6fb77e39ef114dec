/* SPDX-License-Identifier: Apache-2.0 */
/* ONNX GraphProto: walked once per kind of content, because protobuf lets the fields come in any
 * order and a node may name what a later one makes. Skipping over what is not wanted costs nothing:
 * its length is known. */
#include "format/onnx_read.h"

enum { /* GraphProto */
       NODE = 1,
       NAME = 2,
       INITIALIZER = 5,
       INPUT = 11,
       OUTPUT = 12,
       VALUE_INFO = 13,
       SPARSE_INITIALIZER = 15,
};

enum { IR_WITHOUT_WEIGHTS_IN_INPUTS = 4 };

/* --- what is common to the walks --- */

struct walk {
    struct onnx_reader *r;
    struct onnx_scope *s;
    size_t n; /* counted by count_one */
};
typedef enum code visit_fn(struct walk *w, struct span message, struct err *e);

static enum code each(struct walk *w, struct span graph, uint32_t field, visit_fn *visit,
                      struct err *e) {
    struct pb r;
    struct pb_field f;
    bool more;
    pb_init(&r, graph);
    for (;;) {
        struct span message;
        TRY(pb_next(&r, &f, &more, e));
        if (!more)
            return OK;
        if (f.number != field)
            continue;
        TRY(pb_bytes(&f, &message, e));
        TRY(visit(w, message, e));
    }
}

static enum code count_one(struct walk *w, struct span message, struct err *e) {
    (void)message, (void)e;
    w->n++;
    return OK;
}

/* Room for the ids of one field. */
static enum code new_list(struct walk *w, struct span graph, uint32_t field, value_id **out,
                          struct err *e) {
    w->n = 0;
    TRY(each(w, graph, field, count_one, e));
    *out = ARENA_ARRAY(w->r->a, w->n, value_id);
    return *out ? OK : arena_fail(w->r->a, w->n * sizeof **out, "inputs and outputs", e);
}

/* What is declared fills in what is not known yet; the data of a constant knows better. */
static enum code declare_type(struct value *v, const struct onnx_type *t, struct err *e) {
    if (v->constant && t->dtype != DT_NONE && t->dtype != v->constant->dtype)
        return fail(e, FORMAT, "value '%.*s' is declared %s, its constant is %s", STR(v->name),
                    dtype_name(t->dtype), dtype_name(v->constant->dtype));
    if (v->dtype == DT_NONE)
        v->dtype = t->dtype;
    if (v->ranked || !t->ranked)
        return OK;
    v->ranked = true;
    v->shape = t->shape;
    memcpy(v->dim_names, t->dim_names, sizeof v->dim_names);
    return OK;
}

/* --- inputs --- */

static enum code read_input(struct walk *w, struct span message, struct err *e) {
    struct graph *g = w->s->g;
    struct onnx_type t;
    value_id id;
    TRY(onnx_type_parse(message, &t, e));
    if (!t.name.n)
        return fail(e, FORMAT, "graph input %d has no name", g->n_inputs);
    if (t.too_deep)
        return fail(e, LIMIT, "graph input '%.*s' has more than %d dims", STR(t.name), SHAPE_MAX);
    TRY(onnx_scope_declare(w->r, w->s, t.name, &id, e));
    TRY(declare_type(&g->values[id], &t, e));
    g->inputs[g->n_inputs++] = id;
    return OK;
}

/* Before IR 4 every initializer had to be listed as an input: those are weights, not inputs with a
 * default. */
static void drop_weights_from_inputs(struct graph *g) {
    int kept = 0;
    for (int i = 0; i < g->n_inputs; i++)
        if (!g->values[g->inputs[i]].constant)
            g->inputs[kept++] = g->inputs[i];
    g->n_inputs = kept;
}

/* --- initializers --- */

static enum code add_initializer(struct walk *w, struct str name, const struct tensor *t,
                                 const struct origin *at, struct err *e) {
    struct graph *g = w->s->g;
    value_id id;
    if (!name.n)
        return OK; /* nobody can refer to it */
    if (!onnx_scope_has(w->s, name, &id))
        TRY(onnx_scope_declare(w->r, w->s, name, &id, e));
    struct value *v = &g->values[id];
    if (v->constant)
        return fail(e, FORMAT, "initializer '%.*s' is there twice", STR(name));
    struct onnx_type declared = {.dtype = v->dtype};
    v->constant = ARENA_NEW(w->r->a, struct tensor);
    if (!v->constant)
        return arena_fail(w->r->a, sizeof *t, "initializers", e);
    *v->constant = *t;
    v->origin = *at;
    TRY(declare_type(v, &declared, e));
    v->dtype = t->dtype;
    v->ranked = true;
    v->shape = t->shape;
    return OK;
}

static enum code read_initializer(struct walk *w, struct span message, struct err *e) {
    struct str name;
    struct tensor t;
    struct origin at;
    TRY(onnx_constant_read(w->r, message, &name, &t, &at, e));
    return add_initializer(w, name, &t, &at, e);
}

static enum code read_sparse_initializer(struct walk *w, struct span message, struct err *e) {
    struct str name;
    struct tensor t;
    TRY(onnx_constant_read_sparse(w->r, message, &name, &t, e));
    return add_initializer(w, name, &t, &(struct origin){.file = -1}, e);
}

/* --- nodes --- */

static enum code declare_outputs(struct walk *w, struct span message, struct err *e) {
    struct pb r;
    struct pb_field f;
    bool more;
    pb_init(&r, message);
    for (;;) {
        struct str name;
        value_id id;
        TRY(pb_next(&r, &f, &more, e));
        if (!more)
            return OK;
        if (f.number != 2) /* NodeProto.output */
            continue;
        TRY(pb_str(&f, &name, e));
        /* A function body's outputs are bound to the caller's values already; who else makes one
         * twice is told later. */
        if (name.n && !(w->s->env && onnx_scope_has(w->s, name, &id)))
            TRY(onnx_scope_declare(w->r, w->s, name, &id, e));
    }
}

static enum code read_node(struct walk *w, struct span message, struct err *e) {
    return onnx_node_read(w->r, w->s, message, e);
}

enum code onnx_graph_declare_nodes(struct onnx_reader *r, struct onnx_scope *s, struct span message,
                                   uint32_t field, struct err *e) {
    return each(&(struct walk){.r = r, .s = s}, message, field, declare_outputs, e);
}

enum code onnx_graph_read_nodes(struct onnx_reader *r, struct onnx_scope *s, struct span message,
                                uint32_t field, struct err *e) {
    return each(&(struct walk){.r = r, .s = s}, message, field, read_node, e);
}

/* --- outputs, declared types, the name --- */

static enum code read_output(struct walk *w, struct span message, struct err *e) {
    struct graph *g = w->s->g;
    struct onnx_type t;
    value_id id = VALUE_NONE;
    bool found;
    TRY(onnx_type_parse(message, &t, e));
    if (!t.name.n)
        return fail(e, FORMAT, "graph output %d has no name", g->n_outputs);
    TRY(onnx_scope_resolve(w->r, w->s, t.name, &id, &found, e));
    if (!found || id == VALUE_NONE)
        return fail(e, FORMAT, "graph output '%.*s' is made by nothing", STR(t.name));
    TRY(declare_type(&g->values[id], &t, e));
    g->outputs[g->n_outputs++] = id;
    return OK;
}

static enum code read_value_info(struct walk *w, struct span message, struct err *e) {
    struct onnx_type t;
    value_id id;
    TRY(onnx_type_parse(message, &t, e));
    if (!onnx_scope_has(w->s, t.name, &id) || id == VALUE_NONE)
        return OK;
    return declare_type(&w->s->g->values[id], &t, e);
}

static enum code read_name(struct walk *w, struct span message, struct err *e) {
    (void)e;
    w->s->g->name = (struct str){(const char *)message.p, message.n};
    return OK;
}

enum code onnx_graph_read(struct onnx_reader *r, struct onnx_scope *s, struct span message,
                          struct err *e) {
    struct walk w = {.r = r, .s = s};
    TRY(each(&w, message, NAME, read_name, e));
    TRY(new_list(&w, message, INPUT, &s->g->inputs, e));
    TRY(each(&w, message, INPUT, read_input, e));
    TRY(each(&w, message, INITIALIZER, read_initializer, e));
    TRY(each(&w, message, SPARSE_INITIALIZER, read_sparse_initializer, e));
    if (!s->up && r->ir_version < IR_WITHOUT_WEIGHTS_IN_INPUTS)
        drop_weights_from_inputs(s->g);
    TRY(onnx_graph_declare_nodes(r, s, message, NODE, e));
    TRY(onnx_graph_read_nodes(r, s, message, NODE, e));
    TRY(new_list(&w, message, OUTPUT, &s->g->outputs, e));
    TRY(each(&w, message, OUTPUT, read_output, e));
    return each(&w, message, VALUE_INFO, read_value_info, e);
}
