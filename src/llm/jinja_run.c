/* SPDX-License-Identifier: Apache-2.0 */
/* Statements: what a template does. A loop's body and a macro have scopes of their own; what they
 * set is gone with them, as in Jinja (namespace() exists to get around that). */
#include "llm/jinja_in.h"

bool variable_set(struct rendering *r, struct scope *s, struct str name, struct datum value) {
    for (struct variable *v = s->variables; v; v = v->next)
        if (str_eq(v->name, name)) {
            v->value = value;
            return true;
        }
    struct variable *v = ARENA_NEW(r->arena, struct variable);
    if (!v)
        return false;
    *v = (struct variable){name, value, s->variables};
    s->variables = v;
    return true;
}

static enum code assign(struct rendering *r, const struct expr *target, const struct datum *v);

/* a, b = pair */
static enum code unpack(struct rendering *r, const struct expr *target, const struct datum *v) {
    struct list items;
    TRY(datum_items(r, v, &items));
    if (items.n != (size_t)target->n_args)
        return render_fail(r, "%zu values for %d names", items.n, target->n_args);
    for (int i = 0; i < target->n_args; i++)
        TRY(assign(r, target->args[i].value, &items.v[i]));
    return OK;
}

static enum code assign(struct rendering *r, const struct expr *target, const struct datum *v) {
    if (target->kind == EX_TUPLE)
        return unpack(r, target, v);
    if (target->kind == EX_NAME)
        return variable_set(r, r->scope, target->name, *v) ? OK : render_full(r, sizeof *v);
    struct datum owner = {0};
    TRY(eval(r, target->a, &owner));
    if (owner.kind != DATUM_DICT || !owner.dict->space)
        return render_fail(r, "'%.*s' of %s cannot be set: only of a namespace()",
                           STR(target->name), datum_name(&owner));
    return dict_put(owner.dict, datum_text(target->name), *v, r->arena) ? OK
                                                                        : render_full(r, sizeof *v);
}

/* The items that pass the loop's filter, known before the first is run: `loop.length` counts them.
 */
static enum code pick_items(struct rendering *r, const struct stmt *s, struct list *items) {
    struct list picked = {0};
    struct datum v = {0};
    TRY(eval(r, s->expr, &v));
    TRY(datum_items(r, &v, items));
    if (!s->filter)
        return OK;
    for (size_t i = 0; i < items->n; i++) {
        TRY(assign(r, s->target, &items->v[i]));
        TRY(eval(r, s->filter, &v));
        if (datum_true(&v) && !list_add(&picked, items->v[i], r->arena))
            return render_full(r, 64);
    }
    *items = picked;
    return OK;
}

static enum code run_items(struct rendering *r, const struct stmt *s, struct loop *loop) {
    for (; loop->index < loop->n; loop->index++) {
        enum flow flow = FLOW_ON;
        r->scope->variables = NULL; /* each turn anew */
        TRY(render_step(r, 0));
        TRY(assign(r, s->target, &loop->items[loop->index]));
        if (!variable_set(r, r->scope, LIT("loop"),
                          (struct datum){.kind = DATUM_LOOP, .loop = loop}))
            return render_full(r, 64);
        TRY(run_body(r, s->body, &flow));
        if (flow == FLOW_BREAK)
            break;
    }
    return OK;
}

static enum code run_for(struct rendering *r, const struct stmt *s, enum flow *flow) {
    struct scope inner = {.outer = r->scope}, *outer = r->scope;
    struct list items = {0};
    struct loop *loop = ARENA_NEW(r->arena, struct loop);
    if (!loop)
        return render_full(r, sizeof *loop);
    r->scope = &inner;
    enum code code = pick_items(r, s, &items);
    *loop = (struct loop){.n = items.n, .items = items.v, .depth = r->loops++};
    if (code == OK)
        code = run_items(r, s, loop);
    r->loops--;
    r->scope = outer;
    if (code == OK && items.n == 0 && s->otherwise)
        code = run_body(r, s->otherwise, flow);
    return code;
}

/* What the body prints, as a value. */
static enum code capture(struct rendering *r, const struct stmt *body, struct datum *out) {
    struct sink inner = {0}, *outer = r->out;
    enum flow flow = FLOW_ON;
    r->out = &inner;
    enum code code = run_body(r, body, &flow);
    r->out = outer;
    *out = sink_datum(&inner);
    return code;
}

static enum code run_set(struct rendering *r, const struct stmt *s) {
    struct datum v = {0};
    if (s->kind == ST_SET_BLOCK)
        TRY(capture(r, s->body, &v));
    else
        TRY(eval(r, s->expr, &v));
    return assign(r, s->target, &v);
}

/* A macro sees what the template's outermost level sets: scopes of loops end with their turn, and a
 * macro may be called after it. */
static enum code run_macro(struct rendering *r, const struct stmt *s) {
    struct macro *m = ARENA_NEW(r->arena, struct macro);
    struct scope *root = r->scope;
    if (!m)
        return render_full(r, sizeof *m);
    while (root->outer)
        root = root->outer;
    *m = (struct macro){s, root};
    return variable_set(r, r->scope, s->text, (struct datum){.kind = DATUM_MACRO, .macro = m})
               ? OK
               : render_full(r, sizeof *m);
}

static enum code bind_params(struct rendering *r, const struct macro *m, const struct call *c) {
    const struct stmt *s = m->stmt;
    for (int i = 0; i < s->n_params; i++) {
        struct datum v = {.kind = DATUM_UNDEFINED};
        char name[64] = {0};
        memcpy(name, s->params[i].name.p, s->params[i].name.n < 63 ? s->params[i].name.n : 63);
        const struct datum *given = call_arg(c, i, name);
        if (given)
            v = *given;
        else if (s->params[i].value)
            TRY(eval(r, s->params[i].value, &v));
        if (!variable_set(r, r->scope, s->params[i].name, v))
            return render_full(r, sizeof v);
    }
    return OK;
}

enum code call_macro(struct rendering *r, const struct macro *m, const struct call *c,
                     struct datum *out) {
    struct scope inner = {.outer = m->scope}, *outer = r->scope;
    if (++r->depth > JINJA_DEPTH)
        return render_fail(r, "macros call each other deeper than %d", JINJA_DEPTH);
    r->scope = &inner;
    enum code code = bind_params(r, m, c);
    if (code == OK)
        code = capture(r, m->stmt->body, out);
    r->scope = outer;
    r->depth--;
    return code;
}

static enum code run_print(struct rendering *r, const struct stmt *s) {
    struct datum v = {0};
    TRY(eval(r, s->expr, &v));
    return datum_print(r, &v, false, r->out);
}

static enum code run_if(struct rendering *r, const struct stmt *s, enum flow *flow) {
    struct datum v = {0};
    TRY(eval(r, s->expr, &v));
    return run_body(r, datum_true(&v) ? s->body : s->otherwise, flow);
}

static enum code run_one(struct rendering *r, const struct stmt *s, enum flow *flow) {
    struct text text = {s->text.p, NULL, s->text.n};
    r->line = s->line;
    TRY(render_step(r, 0));
    switch (s->kind) {
    case ST_TEXT: return sink_put(r, r->out, text) ? OK : r->e->code;
    case ST_PRINT: return run_print(r, s);
    case ST_IF: return run_if(r, s, flow);
    case ST_FOR: return run_for(r, s, flow);
    case ST_SET:
    case ST_SET_BLOCK: return run_set(r, s);
    case ST_MACRO: return run_macro(r, s);
    case ST_BREAK: *flow = FLOW_BREAK; return OK;
    case ST_CONTINUE: *flow = FLOW_CONTINUE; return OK;
    case ST_BODY: return run_body(r, s->body, flow);
    }
    return OK;
}

enum code run_body(struct rendering *r, const struct stmt *body, enum flow *flow) {
    if (++r->depth > 4 * JINJA_DEPTH)
        return render_fail(r, "nested deeper than %d", 4 * JINJA_DEPTH);
    for (const struct stmt *s = body; s && *flow == FLOW_ON; s = s->next)
        TRY(run_one(r, s, flow));
    r->depth--;
    return OK;
}

enum code jinja_render(const struct jinja *j, const struct dict *globals, struct arena *a,
                       struct text *out, struct err *e) {
    struct sink sink = {0};
    struct scope root = {0};
    struct rendering r = {
        .arena = a, .globals = globals, .scope = &root, .out = &sink, .line = 1, .e = e};
    enum flow flow = FLOW_ON;
    TRY(run_body(&r, j->body, &flow));
    *out = sink_datum(&sink).s;
    return OK;
}
