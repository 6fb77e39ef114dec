/* SPDX-License-Identifier: Apache-2.0 */
/* ONNX model-local functions (FunctionProto, IR 8 and later): each call is replaced by the body.
 *
 * The body's nodes go straight into the caller's graph. Its formal inputs are other names for the
 * caller's values, its formal outputs for the caller's outputs; everything else it makes gets a
 * name with the call's prefix. Attributes that refer to the call (ref_attr_name) are taken from it,
 * then from the function's defaults. A function that reaches itself is refused; so is a body that
 * grows past ONNX_NODES_MAX, by which functions that double at every level end. */
#include "format/onnx_read.h"

enum { /* FunctionProto */
       NAME = 1,
       INPUT = 4,
       OUTPUT = 5,
       NODE = 7,
       OPSET = 9,
       DOMAIN = 10,
       ATTRIBUTE_PROTO = 11,
       OVERLOAD = 13,
};
enum { NODE_INPUT = 1, NODE_OUTPUT = 2, NODE_ATTRIBUTE = 5, KEY_MAX = 512 };

static bool make_key(struct str domain, struct str name, struct str overload, char text[KEY_MAX],
                     struct str *out) {
    int n = snprintf(text, KEY_MAX, "%.*s\n%.*s\n%.*s", STR(domain), STR(name), STR(overload));
    *out = (struct str){text, (size_t)n};
    return n < KEY_MAX;
}

enum code onnx_function_index(struct onnx_reader *r, struct span message, struct err *e) {
    struct onnx_function *f = ARENA_NEW(r->a, struct onnx_function);
    struct pb p;
    struct pb_field g;
    struct str key;
    char text[KEY_MAX];
    bool more;
    if (!f)
        return arena_fail(r->a, sizeof *f, "functions", e);
    f->message = message;
    pb_init(&p, message);
    for (;;) {
        TRY(pb_next(&p, &g, &more, e));
        if (!more)
            break;
        if (g.number == NAME)
            TRY(pb_str(&g, &f->name, e));
        if (g.number == DOMAIN)
            TRY(pb_str(&g, &f->domain, e));
        if (g.number == OVERLOAD)
            TRY(pb_str(&g, &f->overload, e));
    }
    f->domain = onnx_ops_domain(f->domain);
    TRY(onnx_opsets_read(r, message, OPSET, &f->opsets, e));
    if (!make_key(f->domain, f->name, f->overload, text, &key))
        return fail(e, LIMIT, "the name of function '%.*s' is too long", STR(f->name));
    key = arena_str(r->a, key);
    if (!key.p)
        return arena_fail(r->a, KEY_MAX, "functions", e);
    if (map_has(&r->functions, key))
        return fail(e, FORMAT, "function '%.*s' of domain '%.*s' is defined twice", STR(f->name),
                    STR(f->domain));
    return map_put(&r->functions, key, f, e);
}

struct onnx_function *onnx_function_find(const struct onnx_reader *r, const struct onnx_node *n) {
    struct str key;
    char text[KEY_MAX];
    if (r->functions.n == 0 || !make_key(n->domain, n->op_type, n->overload, text, &key))
        return NULL;
    return map_get(&r->functions, key);
}

/* --- one call --- */

struct call {
    struct onnx_reader *r;
    struct onnx_scope *outer;
    const struct onnx_node *node;
    struct onnx_function *f;
    struct onnx_scope body;
    struct onnx_env env;
};

/* The attributes the call gives, then the function's defaults: the first of a name is found first.
 */
static enum code gather_attributes(struct call *c, struct err *e) {
    struct attr *given, *defaults, *all;
    int n_given, n_defaults;
    TRY(onnx_attr_read_all(c->r, c->outer, c->node->message, NODE_ATTRIBUTE, &given, &n_given, e));
    TRY(onnx_attr_read_all(c->r, c->outer, c->f->message, ATTRIBUTE_PROTO, &defaults, &n_defaults,
                           e));
    size_t n = (size_t)n_given + (size_t)n_defaults;
    all = ARENA_ARRAY(c->r->a, n, struct attr);
    if (!all)
        return arena_fail(c->r->a, n * sizeof *all, "attributes", e);
    if (n_given)
        memcpy(all, given, (size_t)n_given * sizeof *all);
    if (n_defaults)
        memcpy(all + n_given, defaults, (size_t)n_defaults * sizeof *all);
    c->env = (struct onnx_env){all, (int)n};
    return OK;
}

/* Names of one field, counted; list in the arena. */
static enum code names_of(struct call *c, struct span message, uint32_t field, struct str **out,
                          size_t *n, struct err *e) {
    struct pb p;
    struct pb_field f;
    bool more;
    pb_init(&p, message);
    for (*n = 0;; *n += f.number == field) {
        TRY(pb_next(&p, &f, &more, e));
        if (!more)
            break;
    }
    *out = ARENA_ARRAY(c->r->a, *n, struct str);
    if (!*out)
        return arena_fail(c->r->a, *n * sizeof **out, "names of a function", e);
    return onnx_node_names(message, field, *out, e);
}

static enum code bind_inputs(struct call *c, struct err *e) {
    struct str *formal, *given;
    size_t n_formal, n_given;
    TRY(names_of(c, c->f->message, INPUT, &formal, &n_formal, e));
    TRY(names_of(c, c->node->message, NODE_INPUT, &given, &n_given, e));
    if (n_given > n_formal)
        return fail(e, FORMAT, "%zu inputs given, the function has %zu", n_given, n_formal);
    for (size_t i = 0; i < n_formal; i++) {
        value_id id = VALUE_NONE;
        bool found = true;
        if (i < n_given && given[i].n)
            TRY(onnx_scope_resolve(c->r, c->outer, given[i], &id, &found, e));
        if (!found)
            return fail(e, FORMAT, "input '%.*s' is made by nothing", STR(given[i]));
        if (onnx_scope_has(&c->body, formal[i], &(value_id){0}))
            return fail(e, FORMAT, "the function names input '%.*s' twice", STR(formal[i]));
        TRY(onnx_scope_bind(&c->body, formal[i], id, e));
    }
    return OK;
}

/* The caller's value that formal output i stands for; VALUE_NONE when the caller does not want it.
 */
static enum code bind_outputs(struct call *c, struct err *e) {
    struct str *formal, *given;
    size_t n_formal, n_given;
    TRY(names_of(c, c->f->message, OUTPUT, &formal, &n_formal, e));
    TRY(names_of(c, c->node->message, NODE_OUTPUT, &given, &n_given, e));
    if (n_given > n_formal)
        return fail(e, FORMAT, "%zu outputs wanted, the function has %zu", n_given, n_formal);
    for (size_t i = 0; i < n_formal; i++) {
        value_id to = VALUE_NONE, from;
        bool wanted = i < n_given && given[i].n;
        if (wanted && (!onnx_scope_has(c->outer, given[i], &to) || to == VALUE_NONE))
            return fail(e, FORMAT, "output '%.*s' was not declared", STR(given[i]));
        if (onnx_scope_has(&c->body, formal[i], &from)) { /* straight through, or named twice */
            if (wanted && from != VALUE_NONE)
                TRY(onnx_node_identity(c->r, c->outer, from, to, e));
        } else if (wanted)
            TRY(onnx_scope_bind(&c->body, formal[i], to, e));
    }
    return OK;
}

static enum code write_out(struct call *c, struct err *e) {
    TRY(gather_attributes(c, e));
    TRY(bind_inputs(c, e));
    TRY(bind_outputs(c, e));
    TRY(onnx_graph_declare_nodes(c->r, &c->body, c->f->message, NODE, e));
    return onnx_graph_read_nodes(c->r, &c->body, c->f->message, NODE, e);
}

enum code onnx_function_write_out(struct onnx_reader *r, struct onnx_scope *s,
                                  const struct onnx_node *n, struct onnx_function *f,
                                  struct err *e) {
    struct call c = {.r = r, .outer = s, .node = n, .f = f};
    if (f->active)
        return fail(e, FORMAT, "function '%.*s' calls itself", STR(f->name));
    if (s->calls == ONNX_CALLS_MAX)
        return fail(e, LIMIT, "functions are nested deeper than %d", ONNX_CALLS_MAX);
    struct str call_name = n->name.n ? n->name : f->name;
    c.body = (struct onnx_scope){
        .g = s->g, .opsets = &f->opsets, .env = &c.env, .depth = s->depth, .calls = s->calls + 1};
    map_init(&c.body.names, r->a);
    c.body.prefix = str_of(arena_printf(r->a, "%.*s%s%.*s.%d", STR(s->prefix),
                                        s->prefix.n ? "/" : "", STR(call_name), r->n_calls++));
    if (!c.body.prefix.p)
        return arena_fail(r->a, call_name.n, "names of a function body", e);
    f->active = true;
    enum code code = write_out(&c, e);
    f->active = false;
    if (code != OK && strncmp(e->text, "function '", 10) != 0)
        return err_prefix(e, "function '%.*s'", STR(f->name));
    return code;
}
