/* SPDX-License-Identifier: Apache-2.0 */
/* Expressions to values. */
#include "llm/jinja_in.h"

#include <math.h>
#include <stdio.h>

enum code render_fail(struct rendering *r, const char *format, ...) {
    char text[300];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return fail(r->e, INVALID, "line %d of the template: %s", r->line, text);
}

enum code render_full(struct rendering *r, size_t bytes) {
    if (bytes < r->arena->used_bytes) /* lists and texts grow by doubling */
        bytes = r->arena->used_bytes;
    return arena_fail(r->arena, bytes, "rendering of the template", r->e);
}

enum code render_step(struct rendering *r, size_t steps) {
    r->steps += steps + 1;
    if (r->steps > JINJA_STEPS)
        return fail(r->e, LIMIT, "line %d of the template: more than %d steps", r->line,
                    JINJA_STEPS);
    return OK;
}

/* --- names --- */

static const struct datum *find_variable(const struct rendering *r, struct str name) {
    for (const struct scope *s = r->scope; s; s = s->outer)
        for (const struct variable *v = s->variables; v; v = v->next)
            if (str_eq(v->name, name))
                return &v->value;
    return dict_get(r->globals, name);
}

static enum code eval_name(struct rendering *r, const struct expr *x, struct datum *out) {
    const struct datum *v = find_variable(r, x->name);
    int function = v ? -1 : function_find(x->name);
    *out = v ? *v : (struct datum){.kind = DATUM_UNDEFINED};
    if (function >= 0)
        *out = (struct datum){.kind = DATUM_GLOBAL, .function = function};
    return OK;
}

/* --- parts of values --- */

static bool loop_attr(struct rendering *r, const struct loop *l, struct str name,
                      struct datum *out) {
    int64_t i = (int64_t)l->index, n = (int64_t)l->n;
    const struct {
        const char *name;
        int64_t number;
    } numbers[] = {
        {"index", i + 1},         {"index0", i},           {"length", n},       {"revindex", n - i},
        {"revindex0", n - i - 1}, {"depth", l->depth + 1}, {"depth0", l->depth}};
    (void)r;
    for (size_t k = 0; k < sizeof numbers / sizeof numbers[0]; k++)
        if (str_is(name, numbers[k].name)) {
            *out = (struct datum){.kind = DATUM_INT, .i = numbers[k].number};
            return true;
        }
    bool first = str_is(name, "first"), previous = str_is(name, "previtem");
    if (first || str_is(name, "last")) {
        *out = (struct datum){.kind = DATUM_BOOL, .b = first ? i == 0 : i == n - 1};
        return true;
    }
    if (!previous && !str_is(name, "nextitem"))
        return false;
    if (previous ? i > 0 : i + 1 < n)
        *out = l->items[previous ? i - 1 : i + 1];
    return true;
}

enum code datum_attr(struct rendering *r, const struct datum *v, struct str name,
                     struct datum *out) {
    *out = (struct datum){.kind = DATUM_UNDEFINED};
    if (v->kind == DATUM_UNDEFINED)
        return render_fail(r, "'%.*s' is asked of an undefined value", STR(name));
    TRY(render_step(r, v->kind == DATUM_DICT ? v->dict->n / 16 : 0));
    const struct datum *found = v->kind == DATUM_DICT ? dict_get(v->dict, name) : NULL;
    if (found)
        *out = *found;
    else if (v->kind == DATUM_LOOP)
        (void)loop_attr(r, v->loop, name, out);
    return OK;
}

static bool index_of(const struct datum *key, size_t n, size_t *out) {
    if (key->kind != DATUM_INT && key->kind != DATUM_BOOL)
        return false;
    int64_t i = key->kind == DATUM_INT ? key->i : key->b;
    if (i < 0)
        i += (int64_t)n;
    *out = (size_t)i;
    return i >= 0 && (size_t)i < n;
}

enum code datum_item(struct rendering *r, const struct datum *v, const struct datum *key,
                     struct datum *out) {
    size_t i;
    struct list items;
    *out = (struct datum){.kind = DATUM_UNDEFINED};
    if (v->kind == DATUM_DICT) {
        TRY(render_step(r, v->dict->n / 16));
        for (size_t k = 0; k < v->dict->n; k++)
            if (datum_equal(&v->dict->keys[k], key, 0))
                *out = v->dict->values[k];
        return OK;
    }
    if (key->kind == DATUM_TEXT && v->kind != DATUM_LIST)
        return datum_attr(r, v, text_str(key->s), out);
    if (v->kind != DATUM_LIST && v->kind != DATUM_TEXT)
        return v->kind == DATUM_UNDEFINED ? render_fail(r, "an item is asked of an undefined value")
                                          : OK;
    TRY(datum_items(r, v, &items));
    if (index_of(key, items.n, &i))
        *out = items.v[i];
    return OK;
}

/* --- slices: Python's rules for [from:to:step] --- */

static enum code slice_bound(struct rendering *r, const struct expr *x, int64_t otherwise,
                             int64_t *out) {
    struct datum v = {0};
    *out = otherwise;
    if (!x)
        return OK;
    TRY(eval(r, x, &v));
    if (v.kind == DATUM_NULL)
        return OK;
    if (v.kind != DATUM_INT)
        return render_fail(r, "a slice by %s", datum_name(&v));
    *out = v.i;
    return OK;
}

static int64_t clamp_bound(int64_t i, int64_t n, bool back) {
    if (i < 0)
        i += n;
    int64_t low = back ? -1 : 0, high = back ? n - 1 : n;
    return i < low ? low : i > high ? high : i;
}

static enum code eval_slice(struct rendering *r, const struct expr *x, struct datum *out) {
    struct datum v = {0};
    struct list items, picked = {0};
    int64_t from, to, step, n;
    TRY(eval(r, x->a, &v));
    if (v.kind != DATUM_LIST && v.kind != DATUM_TEXT)
        return render_fail(r, "%s has no slices", datum_name(&v));
    TRY(datum_items(r, &v, &items));
    n = (int64_t)items.n;
    TRY(slice_bound(r, x->d, 1, &step));
    if (step == 0 || step < -n - 1 || step > n + 1)
        step = step == 0 ? 0 : step < 0 ? -n - 1 : n + 1;
    if (step == 0)
        return render_fail(r, "a slice with step 0");
    TRY(slice_bound(r, x->b, step > 0 ? 0 : INT64_MAX, &from));
    TRY(slice_bound(r, x->c, step > 0 ? INT64_MAX : INT64_MIN, &to));
    from = clamp_bound(from, n, step < 0);
    to = to == INT64_MIN ? -1 : clamp_bound(to, n, step < 0);
    for (int64_t i = from; step > 0 ? i < to : i > to; i += step)
        if (!list_add(&picked, items.v[i], r->arena))
            return render_full(r, 64);
    if (v.kind == DATUM_TEXT) {
        struct sink s = {0};
        for (size_t i = 0; i < picked.n; i++)
            if (!sink_put(r, &s, picked.v[i].s))
                return r->e->code;
        *out = sink_datum(&s);
        return OK;
    }
    picked.tuple = v.list->tuple;
    *out = (struct datum){.kind = DATUM_LIST, .list = ARENA_NEW(r->arena, struct list)};
    if (!out->list)
        return render_full(r, sizeof picked);
    *out->list = picked;
    return OK;
}

/* --- operators --- */

static enum code no_operator(struct rendering *r, const struct datum *a, const struct datum *b) {
    return render_fail(r, "no such operation on %s and %s", datum_name(a), datum_name(b));
}

static enum code add_other(struct rendering *r, const struct datum *a, const struct datum *b,
                           struct datum *out) {
    if (a->kind == DATUM_TEXT && b->kind == DATUM_TEXT) {
        struct sink s = {0};
        if (!sink_put(r, &s, a->s) || !sink_put(r, &s, b->s))
            return r->e->code;
        *out = sink_datum(&s);
        return OK;
    }
    if (a->kind != DATUM_LIST || b->kind != DATUM_LIST)
        return no_operator(r, a, b);
    struct list *l = ARENA_NEW(r->arena, struct list);
    for (size_t i = 0; l && i < a->list->n + b->list->n; i++)
        if (!list_add(l, i < a->list->n ? a->list->v[i] : b->list->v[i - a->list->n], r->arena))
            l = NULL;
    if (!l)
        return render_full(r, 64);
    *out = (struct datum){.kind = DATUM_LIST, .list = l};
    return render_step(r, l->n);
}

static enum code repeat(struct rendering *r, struct text t, int64_t times, struct datum *out) {
    struct sink s = {0};
    for (int64_t i = 0; i < times; i++) {
        TRY(render_step(r, 0));
        if (!sink_put(r, &s, t))
            return r->e->code;
    }
    *out = sink_datum(&s);
    return OK;
}

static int64_t floor_div(int64_t a, int64_t b) {
    return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

static enum code int_operator(struct rendering *r, enum operator op, int64_t a, int64_t b,
                              struct datum *out) {
    bool over = false;
    *out = (struct datum){.kind = DATUM_INT};
    if ((op == OP_FLOOR || op == OP_MOD) && b == 0)
        return render_fail(r, "division by zero");
    if (b == -1 && (op == OP_FLOOR || op == OP_MOD)) {
        over = __builtin_sub_overflow((int64_t)0, a, &out->i);
        out->i = op == OP_MOD ? 0 : out->i;
        return over && op == OP_FLOOR ? render_fail(r, "a number beyond 64 bits") : OK;
    }
    switch (op) {
    case OP_ADD: over = __builtin_add_overflow(a, b, &out->i); break;
    case OP_SUB: over = __builtin_sub_overflow(a, b, &out->i); break;
    case OP_MUL: over = __builtin_mul_overflow(a, b, &out->i); break;
    case OP_FLOOR: out->i = floor_div(a, b); break;
    case OP_MOD: out->i = a - floor_div(a, b) * b; break;
    default: break;
    }
    return over ? render_fail(r, "a number beyond 64 bits") : OK;
}

static enum code float_operator(struct rendering *r, enum operator op, double a, double b,
                                struct datum *out) {
    if ((op == OP_DIV || op == OP_FLOOR || op == OP_MOD) && b == 0)
        return render_fail(r, "division by zero");
    double f = op == OP_ADD     ? a + b
               : op == OP_SUB   ? a - b
               : op == OP_MUL   ? a * b
               : op == OP_DIV   ? a / b
               : op == OP_FLOOR ? floor(a / b)
               : op == OP_MOD   ? a - floor(a / b) * b
                                : pow(a, b);
    *out = (struct datum){.kind = DATUM_FLOAT, .f = f};
    return OK;
}

static enum code power(struct rendering *r, int64_t a, int64_t b, struct datum *out) {
    if (b < 0)
        return float_operator(r, OP_POW, (double)a, (double)b, out);
    struct datum v = {.kind = DATUM_INT, .i = 1};
    if (b > 64 && a != 0 && a != 1 && a != -1)
        return render_fail(r, "a number beyond 64 bits");
    for (int64_t i = 0; i < (b > 64 ? b % 2 + 64 : b); i++)
        TRY(int_operator(r, OP_MUL, v.i, a, &v));
    *out = v;
    return OK;
}

static int64_t whole(const struct datum *v) { return v->kind == DATUM_BOOL ? v->b : v->i; }

static enum code join_operator(struct rendering *r, const struct datum *a, const struct datum *b,
                               struct datum *out) {
    struct sink s = {0};
    TRY(datum_print(r, a, false, &s));
    TRY(datum_print(r, b, false, &s));
    *out = sink_datum(&s);
    return OK;
}

static enum code eval_binary(struct rendering *r, const struct expr *x, struct datum *out) {
    struct datum a = {0}, b = {0};
    double f, g;
    TRY(eval(r, x->a, &a));
    TRY(eval(r, x->b, &b));
    if (x->op == OP_JOIN)
        return join_operator(r, &a, &b, out);
    if (x->op == OP_MUL && a.kind == DATUM_TEXT && b.kind == DATUM_INT)
        return repeat(r, a.s, b.i, out);
    if (!datum_number(&a, &f) || !datum_number(&b, &g))
        return x->op == OP_ADD ? add_other(r, &a, &b, out) : no_operator(r, &a, &b);
    if (a.kind == DATUM_FLOAT || b.kind == DATUM_FLOAT || x->op == OP_DIV)
        return float_operator(r, x->op, f, g, out);
    return x->op == OP_POW ? power(r, whole(&a), whole(&b), out)
                           : int_operator(r, x->op, whole(&a), whole(&b), out);
}

static enum code contains(struct rendering *r, const struct datum *v, const struct datum *in,
                          bool *out) {
    *out = false;
    if (in->kind == DATUM_TEXT) {
        if (v->kind != DATUM_TEXT)
            return render_fail(r, "%s in a string", datum_name(v));
        *out = v->s.n == 0 || memmem(in->s.p, in->s.n, v->s.p, v->s.n) != NULL;
        return render_step(r, in->s.n / 64);
    }
    struct list items;
    TRY(datum_items(r, in, &items));
    TRY(render_step(r, items.n));
    for (size_t i = 0; i < items.n && !*out; i++)
        *out = datum_equal(&items.v[i], v, 0);
    return OK;
}

static enum code compare(struct rendering *r, enum operator op, const struct datum *a,
                         const struct datum *b, bool *out) {
    int order;
    switch (op) {
    case OP_EQ: *out = datum_equal(a, b, 0); return OK;
    case OP_NE: *out = !datum_equal(a, b, 0); return OK;
    case OP_IN: return contains(r, a, b, out);
    case OP_NOT_IN:
        TRY(contains(r, a, b, out));
        *out = !*out;
        return OK;
    default: break;
    }
    if (!datum_order(a, b, &order))
        return render_fail(r, "%s and %s have no order", datum_name(a), datum_name(b));
    *out = op == OP_LT   ? order < 0
           : op == OP_LE ? order <= 0
           : op == OP_GT ? order > 0
                         : order >= 0;
    return OK;
}

static enum code eval_compare(struct rendering *r, const struct expr *x, struct datum *out) {
    struct datum a = {0}, b = {0};
    bool holds = true;
    TRY(eval(r, x->a, &a));
    for (int i = 0; holds && i < x->n_args; i++) {
        TRY(eval(r, x->args[i].value, &b));
        TRY(compare(r, x->args[i].op, &a, &b, &holds));
        a = b;
    }
    *out = (struct datum){.kind = DATUM_BOOL, .b = holds};
    return OK;
}

/* --- calls --- */

static enum code eval_args(struct rendering *r, const struct expr *x, struct call *c) {
    struct datum *args = ARENA_ARRAY(r->arena, (size_t)x->n_args, struct datum);
    struct str *names = ARENA_ARRAY(r->arena, (size_t)x->n_args, struct str);
    if (!args || !names)
        return render_full(r, 64);
    for (int i = 0; i < x->n_args; i++) {
        TRY(eval(r, x->args[i].value, &args[i]));
        names[i] = x->args[i].name;
    }
    c->args = args;
    c->names = names;
    c->n = x->n_args;
    return OK;
}

static enum code eval_call(struct rendering *r, const struct expr *x, struct datum *out) {
    struct datum callee = {0};
    struct call c = {.r = r, .what = "function"};
    TRY(eval(r, x->a, &callee));
    TRY(eval_args(r, x, &c));
    if (callee.kind == DATUM_MACRO)
        return call_macro(r, callee.macro, &c, out);
    if (callee.kind == DATUM_GLOBAL)
        return call_function(&c, callee.function, out);
    if (x->a->kind == EX_NAME)
        return render_fail(r, "'%.*s' is %s and cannot be called", STR(x->a->name),
                           datum_name(&callee));
    return render_fail(r, "%s cannot be called", datum_name(&callee));
}

static enum code eval_with(struct rendering *r, const struct expr *x, struct datum *out) {
    struct call c = {.r = r};
    char what[64];
    bool holds = false;
    snprintf(what, sizeof what, "%s '%.*s'",
             x->kind == EX_FILTER ? "filter"
             : x->kind == EX_TEST ? "test"
                                  : "method",
             STR(str_sub(x->name, 0, 40)));
    c.what = what;
    TRY(eval(r, x->a, &c.self));
    TRY(eval_args(r, x, &c));
    if (x->kind == EX_FILTER)
        return call_filter(&c, x->index, out);
    if (x->kind == EX_METHOD)
        return call_method(&c, x->index, out);
    TRY(call_test(&c, x->index, &holds));
    *out = (struct datum){.kind = DATUM_BOOL, .b = holds != (x->op == OP_NOT_IN)};
    return OK;
}

/* --- literals --- */

static enum code eval_list(struct rendering *r, const struct expr *x, struct datum *out) {
    struct list *l = ARENA_NEW(r->arena, struct list);
    if (!l)
        return render_full(r, sizeof *l);
    l->tuple = x->kind == EX_TUPLE;
    for (int i = 0; i < x->n_args; i++) {
        struct datum v = {0};
        TRY(eval(r, x->args[i].value, &v));
        if (!list_add(l, v, r->arena))
            return render_full(r, sizeof v);
    }
    *out = (struct datum){.kind = DATUM_LIST, .list = l};
    return OK;
}

static enum code eval_dict(struct rendering *r, const struct expr *x, struct datum *out) {
    struct dict *d = ARENA_NEW(r->arena, struct dict);
    if (!d)
        return render_full(r, sizeof *d);
    for (int i = 0; i + 1 < x->n_args; i += 2) {
        struct datum k = {0}, v = {0};
        TRY(eval(r, x->args[i].value, &k));
        TRY(eval(r, x->args[i + 1].value, &v));
        if (!dict_put(d, k, v, r->arena))
            return render_full(r, sizeof v);
    }
    *out = (struct datum){.kind = DATUM_DICT, .dict = d};
    return OK;
}

static enum code eval_negate(struct rendering *r, const struct expr *x, struct datum *out) {
    struct datum v = {0};
    TRY(eval(r, x->a, &v));
    if (v.kind == DATUM_FLOAT)
        *out = (struct datum){.kind = DATUM_FLOAT, .f = -v.f};
    else if (v.kind == DATUM_INT || v.kind == DATUM_BOOL)
        return int_operator(r, OP_SUB, 0, whole(&v), out);
    else
        return render_fail(r, "%s has no negative", datum_name(&v));
    return OK;
}

static enum code eval_choice(struct rendering *r, const struct expr *x, struct datum *out) {
    struct datum v = {0};
    if (x->kind == EX_IF) {
        TRY(eval(r, x->b, &v));
        if (datum_true(&v))
            return eval(r, x->a, out);
        *out = (struct datum){.kind = DATUM_UNDEFINED};
        return x->c ? eval(r, x->c, out) : OK;
    }
    TRY(eval(r, x->a, &v));
    if (x->kind == EX_NOT)
        v = (struct datum){.kind = DATUM_BOOL, .b = !datum_true(&v)};
    else if (datum_true(&v) == (x->kind == EX_AND))
        return eval(r, x->b, out);
    *out = v;
    return OK;
}

static enum code eval_part(struct rendering *r, const struct expr *x, struct datum *out) {
    struct datum v = {0}, key = {0};
    TRY(eval(r, x->a, &v));
    if (x->kind == EX_ATTR)
        return datum_attr(r, &v, x->name, out);
    TRY(eval(r, x->b, &key));
    return datum_item(r, &v, &key, out);
}

static enum code eval_kind(struct rendering *r, const struct expr *x, struct datum *out) {
    switch (x->kind) {
    case EX_CONST: *out = x->value; return OK;
    case EX_NAME: return eval_name(r, x, out);
    case EX_LIST:
    case EX_TUPLE: return eval_list(r, x, out);
    case EX_DICT: return eval_dict(r, x, out);
    case EX_ATTR:
    case EX_ITEM: return eval_part(r, x, out);
    case EX_SLICE: return eval_slice(r, x, out);
    case EX_CALL: return eval_call(r, x, out);
    case EX_METHOD:
    case EX_FILTER:
    case EX_TEST: return eval_with(r, x, out);
    case EX_NEGATE: return eval_negate(r, x, out);
    case EX_BINARY: return eval_binary(r, x, out);
    case EX_COMPARE: return eval_compare(r, x, out);
    case EX_NOT:
    case EX_AND:
    case EX_OR:
    case EX_IF: return eval_choice(r, x, out);
    }
    return OK;
}

enum code eval(struct rendering *r, const struct expr *x, struct datum *out) {
    r->line = x->line;
    TRY(render_step(r, 0));
    if (++r->depth > 4 * JINJA_DEPTH)
        return render_fail(r, "nested deeper than %d", 4 * JINJA_DEPTH);
    enum code code = eval_kind(r, x, out);
    r->depth--;
    return code;
}
