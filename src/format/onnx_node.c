/* SPDX-License-Identifier: Apache-2.0 */
/* ONNX NodeProto: one node becomes one node of ours, a constant, or the body of a function. */
#include "format/onnx_compose.h"

#include "op/op_list.h"

enum { /* NodeProto */
       INPUT = 1,
       OUTPUT = 2,
       NAME = 3,
       OP_TYPE = 4,
       ATTRIBUTE = 5,
       DOMAIN = 7,
       OVERLOAD = 8,
};

/* --- the message --- */

static enum code take_field(const struct pb_field *f, struct onnx_node *n, struct err *e) {
    switch (f->number) {
    case INPUT: n->n_in++; return OK;
    case OUTPUT: n->n_out++; return OK;
    case ATTRIBUTE: n->n_attrs++; return OK;
    case NAME: return pb_str(f, &n->name, e);
    case OP_TYPE: return pb_str(f, &n->op_type, e);
    case DOMAIN: return pb_str(f, &n->domain, e);
    case OVERLOAD: return pb_str(f, &n->overload, e);
    default: return OK;
    }
}

enum code onnx_node_parse(const struct onnx_scope *s, struct span message, struct onnx_node *out,
                          struct err *e) {
    struct onnx_node n = {.message = message};
    struct pb r;
    struct pb_field f;
    bool more;
    if (message.n > INT32_MAX)
        return fail(e, LIMIT, "a node of more than 2 GiB");
    pb_init(&r, message);
    for (;;) {
        TRY(pb_next(&r, &f, &more, e));
        if (!more)
            break;
        TRY(take_field(&f, &n, e));
    }
    n.domain = onnx_ops_domain(n.domain);
    int64_t version = onnx_opsets_find(s->opsets, n.domain);
    if (!version && !str_is(n.domain, "ai.onnx"))
        version = onnx_ops_newest(n.domain); /* exporters forget to import small domains */
    n.opset = version > 0 && version < INT32_MAX ? (int)version : 0;
    *out = n;
    return OK;
}

enum code onnx_node_names(struct span message, uint32_t field, struct str *names, struct err *e) {
    struct pb r;
    struct pb_field f;
    bool more;
    pb_init(&r, message);
    for (size_t i = 0;;) {
        TRY(pb_next(&r, &f, &more, e));
        if (!more)
            return OK;
        if (f.number == field)
            TRY(pb_str(&f, &names[i++], e));
    }
}

/* Name of the node, or of its first output, as messages show it. */
static struct str label(const struct onnx_node *n, char text[160]) {
    struct str name = n->name;
    const char *before = "node";
    struct pb r;
    struct pb_field f;
    struct err ignored;
    bool more = true;
    pb_init(&r, n->message);
    while (!name.n && more && pb_next(&r, &f, &more, &ignored) == OK && more) {
        if (f.number == OUTPUT && pb_str(&f, &name, &ignored) == OK)
            before = "the node of";
    }
    int length = snprintf(text, 160, "%s '%.*s' (%.*s)", before, name.n < 90 ? (int)name.n : 90,
                          name.p ? name.p : "", n->op_type.n < 40 ? (int)n->op_type.n : 40,
                          n->op_type.p ? n->op_type.p : "");
    return (struct str){text, (size_t)length};
}

/* --- which operator --- */

static enum code unsupported(const struct onnx_node *n, const struct onnx_op *other,
                             struct err *e) {
    char text[160];
    struct str what = label(n, text);
    what.n -= what.n > 0; /* its closing parenthesis */
    int newest = onnx_ops_newest(n->domain);
    if (newest && n->opset > newest)
        return fail(e, UNSUPPORTED,
                    "%.*s, domain '%.*s' opset %d): this build knows opsets up to %d", STR(what),
                    STR(n->domain), n->opset, newest);
    if (other && n->opset < other->since)
        return fail(e, UNSUPPORTED, "%.*s, domain '%.*s' opset %d): exists since opset %d only",
                    STR(what), STR(n->domain), n->opset, other->since);
    if (other)
        return fail(e, UNSUPPORTED, "%.*s, domain '%.*s' opset %d): removed after opset %d",
                    STR(what), STR(n->domain), n->opset, other->until);
    return fail(e, UNSUPPORTED, "%.*s, domain '%.*s' opset %d): operator not supported", STR(what),
                STR(n->domain), n->opset);
}

static enum code find_op(const struct onnx_reader *r, const struct onnx_node *n,
                         const struct onnx_op **out, struct err *e) {
    const struct onnx_op *other = NULL;
    char text[160];
    if (!n->opset && onnx_ops_newest(n->domain))
        return fail(e, FORMAT, "%.*s: the model does not import domain '%.*s'", STR(label(n, text)),
                    STR(n->domain));
    int newest = onnx_ops_newest(n->domain);
    const struct onnx_op *row = onnx_ops_find(&r->ops, n->domain, n->op_type, n->opset, &other);
    if (!row || n->opset > newest || !op_find(str_of(row->name)))
        return unsupported(n, row ? NULL : other, e);
    *out = row;
    return OK;
}

/* --- making it --- */

/* Ids of the names in one field; absent ones stay VALUE_NONE. */
static enum code resolve_names(struct onnx_reader *r, struct onnx_scope *s,
                               const struct onnx_node *n, uint32_t field, value_id *ids,
                               struct err *e) {
    char text[160];
    struct pb p;
    struct pb_field f;
    bool more, found;
    pb_init(&p, n->message);
    for (int i = 0;;) {
        struct str name;
        TRY(pb_next(&p, &f, &more, e));
        if (!more)
            return OK;
        if (f.number != field)
            continue;
        TRY(pb_str(&f, &name, e));
        ids[i] = VALUE_NONE;
        if (name.n) {
            TRY(onnx_scope_resolve(r, s, name, &ids[i], &found, e));
            if (!found)
                return fail(e, FORMAT, "%.*s: input '%.*s' is made by nothing", STR(label(n, text)),
                            STR(name));
        }
        i++;
    }
}

/* Marks the node that is about to be added as the maker of its outputs. */
static enum code claim_outputs(struct graph *g, const struct onnx_node *n, const value_id *out,
                               struct err *e) {
    char text[160];
    for (int i = 0; i < n->n_out; i++) {
        if (out[i] == VALUE_NONE)
            continue;
        struct value *v = &g->values[out[i]];
        if (v->producer != NODE_NONE || v->constant || v->capture != VALUE_NONE)
            return fail(e, FORMAT, "%.*s: '%.*s' is made twice", STR(label(n, text)), STR(v->name));
        v->producer = g->n_nodes;
    }
    return OK;
}

static enum code count_node(struct onnx_reader *r, struct err *e) {
    if (++r->n_nodes > ONNX_NODES_MAX)
        return fail(e, LIMIT, "more than %d nodes", ONNX_NODES_MAX);
    return OK;
}

static enum code full(const struct onnx_reader *r, const struct graph *g, struct err *e) {
    return arena_fail(r->a, 2 * sizeof(struct node) * (size_t)(g->room_nodes + 8),
                      "nodes of a graph", e);
}

static enum code prefixed(const struct onnx_reader *r, const struct onnx_scope *s, struct str *name,
                          struct err *e) {
    if (!s->prefix.n || !name->n)
        return OK;
    *name = str_of(arena_printf(r->a, "%.*s/%.*s", STR(s->prefix), STR(*name)));
    return name->p ? OK : full(r, s->g, e);
}

static enum code add_node(struct onnx_reader *r, struct onnx_scope *s, const struct onnx_node *n,
                          struct str op_name, struct err *e) {
    struct attr *attrs;
    int n_attrs;
    char text[160];
    if (onnx_attr_read_all(r, s, n->message, ATTRIBUTE, &attrs, &n_attrs, e) != OK)
        return strncmp(e->text, "node '", 6) == 0 || strncmp(e->text, "the node ", 9) == 0
                   ? e->code /* said by a node of a subgraph */
                   : err_prefix(e, "%.*s", STR(label(n, text)));
    value_id *in = ARENA_ARRAY(r->a, (size_t)n->n_in, value_id);
    value_id *out = ARENA_ARRAY(r->a, (size_t)n->n_out, value_id);
    if (!in || !out)
        return full(r, s->g, e);
    TRY(resolve_names(r, s, n, INPUT, in, e));
    TRY(resolve_names(r, s, n, OUTPUT, out, e));
    TRY(claim_outputs(s->g, n, out, e));
    struct node *to = graph_add_node(s->g, 0, 0, 0);
    if (!to)
        return full(r, s->g, e);
    to->name = n->name;
    TRY(prefixed(r, s, &to->name, e));
    to->op_type = n->op_type;
    to->domain = n->domain;
    to->op_name = op_name;
    to->opset = n->opset;
    to->in = in;
    to->n_in = n->n_in;
    to->out = out;
    to->n_out = n->n_out;
    to->attrs = attrs;
    to->n_attrs = n_attrs;
    return OK;
}

/* A Constant node makes no node: its output is the constant. */
static enum code add_constant(struct onnx_reader *r, struct onnx_scope *s,
                              const struct onnx_node *n, struct err *e) {
    char text[160];
    struct tensor *t;
    struct origin at;
    value_id out;
    if (n->n_out != 1)
        return fail(e, FORMAT, "%.*s: a Constant has one output", STR(label(n, text)));
    if (onnx_constant_of_node(r, s, n, &t, &at, e) != OK)
        return err_prefix(e, "%.*s", STR(label(n, text)));
    TRY(resolve_names(r, s, n, OUTPUT, &out, e));
    TRY(claim_outputs(s->g, n, &out, e));
    if (out == VALUE_NONE)
        return OK;
    struct value *v = &s->g->values[out];
    v->producer = NODE_NONE;
    v->constant = t;
    v->origin = at;
    v->dtype = t->dtype;
    v->ranked = true;
    v->shape = t->shape;
    return OK;
}

enum code onnx_node_identity(struct onnx_reader *r, struct onnx_scope *s, value_id from,
                             value_id to, struct err *e) {
    const struct value *v = &s->g->values[to];
    if (v->producer != NODE_NONE || v->constant || v->capture != VALUE_NONE)
        return fail(e, FORMAT, "'%.*s' is made twice", STR(v->name));
    TRY(count_node(r, e));
    struct node *n = graph_add_node(s->g, 1, 1, 0);
    if (!n)
        return full(r, s->g, e);
    n->op_type = LIT("Identity");
    n->domain = LIT("ai.onnx");
    n->op_name = LIT("identity");
    n->opset = r->m->opset;
    n->in[0] = from;
    n->out[0] = to;
    s->g->values[to].producer = s->g->n_nodes - 1;
    return OK;
}

/* A foreign operator written out as nodes of ours. */
static enum code compose_node(struct onnx_reader *r, struct onnx_scope *s,
                              const struct onnx_node *n, compose_fn *f, struct err *e) {
    char text[160];
    value_id *in = ARENA_ARRAY(r->a, (size_t)n->n_in, value_id);
    value_id *out = ARENA_ARRAY(r->a, (size_t)n->n_out, value_id);
    if (!in || !out)
        return full(r, s->g, e);
    TRY(resolve_names(r, s, n, INPUT, in, e));
    TRY(resolve_names(r, s, n, OUTPUT, out, e));
    if (compose_write_out(r, s, n, f, in, out, e) != OK)
        return err_prefix(e, "%.*s", STR(label(n, text)));
    return OK;
}

/* ONNX Runtime's optimiser writes this one into the default domain. */
static bool is_simplified_norm(const struct onnx_node *n) {
    return str_is(n->domain, "ai.onnx") && str_is(n->op_type, "SimplifiedLayerNormalization");
}

enum code onnx_node_read(struct onnx_reader *r, struct onnx_scope *s, struct span message,
                         struct err *e) {
    struct onnx_node n;
    const struct onnx_op *op;
    TRY(onnx_node_parse(s, message, &n, e));
    TRY(count_node(r, e));
    struct onnx_function *f = onnx_function_find(r, &n);
    if (f)
        return onnx_function_write_out(r, s, &n, f, e);
    if (str_is(n.op_type, "Constant") && str_is(n.domain, "ai.onnx"))
        return add_constant(r, s, &n, e);
    if (str_is(n.domain, "com.microsoft") && onnx_ms_find(n.op_type))
        return compose_node(r, s, &n, onnx_ms_find(n.op_type), e);
    if (is_simplified_norm(&n))
        return compose_node(r, s, &n, onnx_ms_find(n.op_type), e);
    TRY(find_op(r, &n, &op, e));
    return add_node(r, s, &n, str_of(op->name), e);
}
