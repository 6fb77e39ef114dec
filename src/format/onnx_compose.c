/* SPDX-License-Identifier: Apache-2.0 */
/* The builder behind onnx_ms*.c; see onnx_compose.h for the contract. */
#include "format/onnx_compose.h"

#include "op/op_list.h"

static bool going(const struct compose *c) { return c->code == OK; }

static void out_of_memory(struct compose *c) {
    if (going(c))
        c->code = arena_fail(c->r->a, sizeof(struct node), "nodes of a composition", c->e);
}

value_id compose_in(const struct compose *c, int i) { return i < c->n_in ? c->in[i] : VALUE_NONE; }

bool compose_wants(const struct compose *c, int i) {
    return i < c->n_out && c->out[i] != VALUE_NONE;
}

int compose_rank(const struct compose *c, value_id v) {
    const struct value *x = v == VALUE_NONE ? NULL : &c->s->g->values[v];
    return x && x->ranked ? x->shape.rank : -1;
}

void compose_refuse(struct compose *c, const char *why) {
    if (going(c))
        c->code = fail(c->e, UNSUPPORTED, "%s", why);
}

static struct node *last(struct compose *c) { return &c->s->g->nodes[c->s->g->n_nodes - 1]; }

static value_id new_value(struct compose *c) {
    struct str name = str_of(arena_printf(c->r->a, "%.*s%s%.*s.%.*s.%d.%d", STR(c->s->prefix),
                                          c->s->prefix.n ? "/" : "", STR(c->foreign->op_type),
                                          STR(c->foreign->name), c->r->n_calls, c->made++));
    value_id v = name.p ? graph_add_value(c->s->g, name) : VALUE_NONE;
    if (v == VALUE_NONE)
        out_of_memory(c);
    return v;
}

static value_id constant(struct compose *c, enum dtype t, const struct shape *shape,
                         const void *data) {
    if (!going(c))
        return VALUE_NONE;
    struct tensor *x = ARENA_NEW(c->r->a, struct tensor);
    value_id v = new_value(c);
    if (!x || v == VALUE_NONE) {
        out_of_memory(c);
        return VALUE_NONE;
    }
    if ((c->code = tensor_new(c->r->a, t, shape, x, c->e)) != OK)
        return VALUE_NONE;
    if (tensor_bytes(x))
        memcpy(x->data, data, tensor_bytes(x));
    struct value *made = &c->s->g->values[v];
    made->constant = x;
    made->origin.file = -1;
    made->dtype = t;
    made->ranked = true;
    made->shape = *shape;
    return v;
}

value_id compose_list(struct compose *c, int n, const int64_t *numbers) {
    return constant(c, DT_I64, &(struct shape){1, {n}}, numbers);
}
value_id compose_whole(struct compose *c, int64_t number) {
    return constant(c, DT_I64, &(struct shape){0}, &number);
}
value_id compose_real(struct compose *c, float number) {
    return constant(c, DT_F32, &(struct shape){0}, &number);
}

value_id compose_op(struct compose *c, const char *op, int n, const value_id *in) {
    struct graph *g = c->s->g;
    if (!going(c))
        return VALUE_NONE;
    if (++c->r->n_nodes > ONNX_NODES_MAX) {
        c->code = fail(c->e, LIMIT, "more than %d nodes", ONNX_NODES_MAX);
        return VALUE_NONE;
    }
    value_id v = new_value(c);
    struct node *node = v == VALUE_NONE ? NULL : graph_add_node(g, n, 1, COMPOSE_ATTRS);
    value_id *out = node ? ARENA_ARRAY(c->r->a, 4, value_id) : NULL; /* room for compose_more */
    if (!node || !out) {
        out_of_memory(c);
        return VALUE_NONE;
    }
    node->name = c->foreign->name;
    node->op_type = c->foreign->op_type;
    node->domain = LIT("ai.onnx");
    node->op_name = str_of(op);
    node->opset = ONNX_OPSET_NEWEST;
    node->n_attrs = 0;
    node->out = out;
    node->out[0] = v;
    for (int i = 0; i < n; i++)
        node->in[i] = in[i];
    g->values[v].producer = g->n_nodes - 1;
    return v;
}

value_id compose_more(struct compose *c) {
    value_id v = going(c) ? new_value(c) : VALUE_NONE;
    if (v == VALUE_NONE || last(c)->n_out == 4)
        return VALUE_NONE;
    struct node *n = last(c);
    n->out[n->n_out++] = v;
    c->s->g->values[v].producer = c->s->g->n_nodes - 1;
    return v;
}

void compose_opset(struct compose *c, int opset) {
    if (going(c))
        last(c)->opset = opset;
}

static struct attr *new_attr(struct compose *c, const char *name, enum attr_kind kind) {
    struct node *n = going(c) ? last(c) : NULL;
    if (!n || n->n_attrs == COMPOSE_ATTRS)
        return &c->nowhere;
    struct attr *a = &n->attrs[n->n_attrs++];
    *a = (struct attr){.name = str_of(name), .kind = kind, .origin = {.file = -1}};
    return a;
}

void compose_int(struct compose *c, const char *name, int64_t v) {
    new_attr(c, name, ATTR_INT)->i = v;
}
void compose_float(struct compose *c, const char *name, float v) {
    new_attr(c, name, ATTR_FLOAT)->f = v;
}
void compose_str(struct compose *c, const char *name, const char *v) {
    new_attr(c, name, ATTR_STR)->s = str_of(v);
}

void compose_ints(struct compose *c, const char *name, int n, const int64_t *v) {
    int64_t *copy = going(c) ? ARENA_ARRAY(c->r->a, (size_t)n, int64_t) : NULL;
    if (!copy) {
        out_of_memory(c);
        return;
    }
    memcpy(copy, v, (size_t)n * sizeof *v);
    struct attr *a = new_attr(c, name, ATTR_INTS);
    a->n = (size_t)n;
    a->ints = copy;
}

void compose_keep(struct compose *c) {
    if (!going(c))
        return;
    last(c)->attrs = c->node.attrs;
    last(c)->n_attrs = c->node.n_attrs;
}

void compose_give(struct compose *c, int i, value_id v) {
    if (!going(c) || !compose_wants(c, i) || v == VALUE_NONE)
        return;
    c->code = onnx_node_identity(c->r, c->s, v, c->out[i], c->e);
}

enum code compose_write_out(struct onnx_reader *r, struct onnx_scope *s, const struct onnx_node *n,
                            compose_fn *f, value_id *in, value_id *out, struct err *e) {
    struct compose c = {.r = r,
                        .s = s,
                        .foreign = n,
                        .in = in,
                        .out = out,
                        .n_in = n->n_in,
                        .n_out = n->n_out,
                        .e = e};
    enum { NODE_ATTRIBUTE = 5 };
    TRY(onnx_attr_read_all(r, s, n->message, NODE_ATTRIBUTE, &c.node.attrs, &c.node.n_attrs, e));
    r->n_calls++;
    f(&c);
    for (int i = 0; i < n->n_out && c.code == OK; i++)
        if (out[i] != VALUE_NONE && s->g->values[out[i]].producer == NODE_NONE)
            c.code = fail(e, UNSUPPORTED, "its output %d is not made here", i);
    return c.code;
}
