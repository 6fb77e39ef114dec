/* SPDX-License-Identifier: Apache-2.0 */
/* Filters: value | name(arguments). One function each, one row in the table at the bottom. */
#include "llm/jinja_in.h"
#include "llm/jinja_string.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* --- arguments --- */

const struct datum *call_arg(const struct call *c, int position, const char *name) {
    int at = 0;
    for (int i = 0; i < c->n; i++) {
        if (c->names[i].n ? str_is(c->names[i], name) : at++ == position)
            return &c->args[i];
    }
    return NULL;
}

enum code call_text(const struct call *c, int position, const char *name, const char *otherwise,
                    struct text *out) {
    const struct datum *v = call_arg(c, position, name);
    *out = (struct text){otherwise, NULL, otherwise ? strlen(otherwise) : 0};
    if (!v || (v->kind == DATUM_NULL && !otherwise))
        return OK;
    if (v->kind != DATUM_TEXT)
        return render_fail(c->r, "%s: '%s' is %s, not a string", c->what, name, datum_name(v));
    *out = v->s;
    return OK;
}

enum code call_int(const struct call *c, int position, const char *name, int64_t otherwise,
                   int64_t *out) {
    const struct datum *v = call_arg(c, position, name);
    *out = otherwise;
    if (!v || v->kind == DATUM_NULL)
        return OK;
    if (v->kind != DATUM_INT && v->kind != DATUM_BOOL)
        return render_fail(c->r, "%s: '%s' is %s, not an integer", c->what, name, datum_name(v));
    *out = v->kind == DATUM_INT ? v->i : v->b;
    return OK;
}

static bool flag(const struct call *c, int position, const char *name, bool otherwise) {
    const struct datum *v = call_arg(c, position, name);
    return v ? datum_true(v) : otherwise;
}

/* self as a string; what is none is printed, as Jinja's soft_str does. */
static enum code self_text(struct call *c, struct text *out) {
    struct sink s = {0};
    TRY(datum_print(c->r, &c->self, false, &s));
    *out = sink_datum(&s).s;
    return OK;
}

static enum code give_list(struct call *c, struct list l, struct datum *out) {
    *out = (struct datum){.kind = DATUM_LIST, .list = ARENA_NEW(c->r->arena, struct list)};
    if (!out->list)
        return render_full(c->r, sizeof l);
    *out->list = l;
    return OK;
}

static enum code add(struct call *c, struct list *l, struct datum v) {
    return list_add(l, v, c->r->arena) ? OK : render_full(c->r, sizeof v);
}

static enum code self_items(struct call *c, struct list *out) {
    TRY(datum_items(c->r, &c->self, out));
    return render_step(c->r, out->n);
}

static enum code pair(struct call *c, struct datum a, struct datum b, struct datum *out) {
    struct list l = {.tuple = true};
    TRY(add(c, &l, a));
    TRY(add(c, &l, b));
    return give_list(c, l, out);
}

/* --- text --- */

static enum code f_trim(struct call *c, struct datum *out) {
    struct text t, chars;
    TRY(self_text(c, &t));
    TRY(call_text(c, 0, "chars", NULL, &chars));
    *out = datum_of_text(string_strip(t, chars.p ? &chars : NULL, true, true));
    return OK;
}

static enum code change_case(struct call *c, enum string_case how, struct datum *out) {
    struct text t;
    TRY(self_text(c, &t));
    return string_case(c->r, t, how, out);
}
static enum code f_lower(struct call *c, struct datum *out) {
    return change_case(c, CASE_LOWER, out);
}
static enum code f_upper(struct call *c, struct datum *out) {
    return change_case(c, CASE_UPPER, out);
}
static enum code f_title(struct call *c, struct datum *out) {
    return change_case(c, CASE_TITLE, out);
}
static enum code f_capitalize(struct call *c, struct datum *out) {
    return change_case(c, CASE_CAPITAL, out);
}

static enum code f_replace(struct call *c, struct datum *out) {
    struct text t, from, to;
    int64_t most;
    TRY(self_text(c, &t));
    TRY(call_text(c, 0, "old", "", &from));
    TRY(call_text(c, 1, "new", "", &to));
    TRY(call_int(c, 2, "count", -1, &most));
    return string_replace(c->r, t, from, to, most, out);
}

static enum code f_string(struct call *c, struct datum *out) {
    struct text t;
    TRY(self_text(c, &t));
    *out = datum_of_text(t);
    return OK;
}

static enum code f_same(struct call *c, struct datum *out) {
    *out = c->self;
    return OK;
}

/* As markupsafe writes it; nothing is escaped that the template does not ask for. */
static enum code f_escape(struct call *c, struct datum *out) {
    static const char *const pairs[][2] = {
        {"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"'", "&#39;"}, {"\"", "&#34;"}};
    struct text t;
    TRY(self_text(c, &t));
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        struct datum v = {0};
        struct text from = {pairs[i][0], NULL, 1}, to = {pairs[i][1], NULL, strlen(pairs[i][1])};
        TRY(string_replace(c->r, t, from, to, -1, &v));
        t = v.s;
    }
    *out = datum_of_text(t);
    return OK;
}

static enum code f_indent(struct call *c, struct datum *out) {
    struct text t, given = {0};
    struct sink s = {0};
    char blanks[256];
    const struct datum *width = call_arg(c, 0, "width");
    int64_t n = 4;
    TRY(self_text(c, &t));
    if (width && width->kind == DATUM_TEXT)
        given = width->s;
    else
        TRY(call_int(c, 0, "width", 4, &n));
    n = n < 0 ? 0 : n > (int64_t)sizeof blanks ? (int64_t)sizeof blanks : n;
    memset(blanks, ' ', sizeof blanks);
    struct text indent = given.p ? given : (struct text){blanks, NULL, (size_t)n};
    bool first = flag(c, 1, "first", false), blank = flag(c, 2, "blank", false);
    for (size_t at = 0, end; at < t.n; at = end) {
        const char *line = memchr(t.p + at, '\n', t.n - at);
        end = line ? (size_t)(line - t.p) + 1 : t.n;
        bool empty = t.p[at] == '\n';
        if ((at ? (blank || !empty) : first) && !sink_put(c->r, &s, indent))
            return c->r->e->code;
        if (!sink_put(c->r, &s, text_sub(t, at, end)))
            return c->r->e->code;
    }
    *out = sink_datum(&s);
    return OK;
}

static enum code f_tojson(struct call *c, struct datum *out) {
    struct json_style style = {.indent = -1, .item = {", ", NULL, 2}, .colon = {": ", NULL, 2}};
    struct sink s = {0};
    const struct datum *separators = call_arg(c, 3, "separators");
    TRY(call_int(c, 0, "indent", -1, &style.indent));
    if (style.indent > 64)
        return render_fail(c->r, "tojson: an indent of %lld", (long long)style.indent);
    if (style.indent >= 0)
        style.item.n = 1;
    style.ascii = flag(c, 1, "ensure_ascii", false);
    style.sorted = flag(c, 2, "sort_keys", false);
    if (separators && separators->kind == DATUM_LIST && separators->list->n == 2 &&
        separators->list->v[0].kind == DATUM_TEXT && separators->list->v[1].kind == DATUM_TEXT) {
        style.item = separators->list->v[0].s;
        style.colon = separators->list->v[1].s;
    }
    TRY(datum_json(c->r, &c->self, &style, 0, &s));
    *out = sink_datum(&s);
    return OK;
}

/* --- numbers --- */

static enum code f_int(struct call *c, struct datum *out) {
    double f = 0;
    *out = (struct datum){.kind = DATUM_INT};
    TRY(call_int(c, 0, "default", 0, &out->i));
    if (c->self.kind == DATUM_TEXT) {
        struct text t = string_strip(c->self.s, NULL, true, true);
        if (str_to_i64(text_str(t), &out->i) || !str_to_f64(text_str(t), &f))
            return OK;
    } else if (!datum_number(&c->self, &f)) {
        return OK;
    }
    if (f > -0x1p63 && f < 0x1p63)
        out->i = c->self.kind == DATUM_INT ? c->self.i : (int64_t)f;
    return OK;
}

static enum code f_float(struct call *c, struct datum *out) {
    const struct datum *otherwise = call_arg(c, 0, "default");
    *out = (struct datum){.kind = DATUM_FLOAT};
    if (otherwise)
        (void)datum_number(otherwise, &out->f);
    if (c->self.kind == DATUM_TEXT)
        (void)str_to_f64(text_str(string_strip(c->self.s, NULL, true, true)), &out->f);
    else
        (void)datum_number(&c->self, &out->f);
    return OK;
}

static enum code f_round(struct call *c, struct datum *out) {
    double f;
    int64_t digits;
    struct text method;
    if (!datum_number(&c->self, &f))
        return render_fail(c->r, "round: %s is no number", datum_name(&c->self));
    TRY(call_int(c, 0, "precision", 0, &digits));
    TRY(call_text(c, 1, "method", "common", &method));
    double scale = pow(10, (double)digits), scaled = f * scale;
    bool up = str_is(text_str(method), "ceil"), down = str_is(text_str(method), "floor");
    if (!up && !down) { /* correctly rounded decimals, as Python's round() */
        char text[64];
        snprintf(text, sizeof text, "%.*f", digits < 0 ? 0 : digits > 20 ? 20 : (int)digits, f);
        *out = (struct datum){.kind = DATUM_FLOAT, .f = strtod(text, NULL)};
        return OK;
    }
    *out = (struct datum){.kind = DATUM_FLOAT, .f = (up ? ceil(scaled) : floor(scaled)) / scale};
    return OK;
}

static enum code f_abs(struct call *c, struct datum *out) {
    *out = c->self;
    if (out->kind == DATUM_INT && out->i != INT64_MIN)
        out->i = out->i < 0 ? -out->i : out->i;
    else if (out->kind == DATUM_FLOAT)
        out->f = fabs(out->f);
    else
        return render_fail(c->r, "abs: %s", datum_name(out));
    return OK;
}

/* --- collections --- */

static enum code f_length(struct call *c, struct datum *out) {
    *out = (struct datum){.kind = DATUM_INT};
    switch (c->self.kind) {
    case DATUM_TEXT: out->i = (int64_t)text_length(c->self.s); return OK;
    case DATUM_LIST: out->i = (int64_t)c->self.list->n; return OK;
    case DATUM_DICT: out->i = (int64_t)c->self.dict->n; return OK;
    case DATUM_UNDEFINED: return OK;
    default: return render_fail(c->r, "length of %s", datum_name(&c->self));
    }
}

static enum code f_default(struct call *c, struct datum *out) {
    const struct datum *otherwise = call_arg(c, 0, "default_value");
    bool missing =
        c->self.kind == DATUM_UNDEFINED || (flag(c, 1, "boolean", false) && !datum_true(&c->self));
    *out = !missing ? c->self : otherwise ? *otherwise : datum_text(LIT(""));
    return OK;
}

static enum code f_first(struct call *c, struct datum *out) {
    struct list items;
    TRY(self_items(c, &items));
    *out = items.n ? items.v[0] : (struct datum){.kind = DATUM_UNDEFINED};
    return OK;
}

static enum code f_last(struct call *c, struct datum *out) {
    struct list items;
    TRY(self_items(c, &items));
    *out = items.n ? items.v[items.n - 1] : (struct datum){.kind = DATUM_UNDEFINED};
    return OK;
}

static enum code f_list(struct call *c, struct datum *out) {
    struct list items, copy = {0};
    TRY(self_items(c, &items));
    for (size_t i = 0; i < items.n; i++)
        TRY(add(c, &copy, items.v[i]));
    return give_list(c, copy, out);
}

static enum code f_reverse(struct call *c, struct datum *out) {
    struct list items, turned = {0};
    struct sink s = {0};
    TRY(self_items(c, &items));
    for (size_t i = items.n; i > 0; i--) {
        if (c->self.kind != DATUM_TEXT)
            TRY(add(c, &turned, items.v[i - 1]));
        else if (!sink_put(c->r, &s, items.v[i - 1].s))
            return c->r->e->code;
    }
    if (c->self.kind != DATUM_TEXT)
        return give_list(c, turned, out);
    *out = sink_datum(&s);
    return OK;
}

/* The attribute "a.b" of an item; NULL name: the item itself. */
static enum code attr_of(struct call *c, const struct datum *v, struct str name,
                         struct datum *out) {
    *out = *v;
    while (name.n) {
        size_t dot;
        struct datum here = *out;
        struct str part = str_find(name, '.', &dot) ? str_sub(name, 0, dot) : name;
        if (here.kind == DATUM_UNDEFINED)
            return OK;
        TRY(datum_attr(c->r, &here, part, out));
        name = str_sub(name, part.n + 1, name.n);
    }
    return OK;
}

static enum code f_join(struct call *c, struct datum *out) {
    struct list items;
    struct text between, attr;
    struct sink s = {0};
    TRY(self_items(c, &items));
    TRY(call_text(c, 0, "d", "", &between));
    TRY(call_text(c, 1, "attribute", "", &attr));
    for (size_t i = 0; i < items.n; i++) {
        struct datum v = {0};
        TRY(attr_of(c, &items.v[i], text_str(attr), &v));
        if (i && !sink_put(c->r, &s, between))
            return c->r->e->code;
        TRY(datum_print(c->r, &v, false, &s));
    }
    *out = sink_datum(&s);
    return OK;
}

static enum code f_items(struct call *c, struct datum *out) {
    struct list l = {0};
    if (c->self.kind == DATUM_UNDEFINED)
        return give_list(c, l, out);
    if (c->self.kind != DATUM_DICT)
        return render_fail(c->r, "items of %s", datum_name(&c->self));
    for (size_t i = 0; i < c->self.dict->n; i++) {
        struct datum p = {0};
        TRY(pair(c, c->self.dict->keys[i], c->self.dict->values[i], &p));
        TRY(add(c, &l, p));
    }
    return give_list(c, l, out);
}

/* Stable; case counts only when asked, as in Jinja. by: what is compared. */
struct sorting {
    struct datum *by, *items;
    bool reverse;
};

static enum code sort_key(struct call *c, const struct datum *v, bool cased, struct datum *out) {
    *out = *v;
    return v->kind == DATUM_TEXT && !cased ? string_case(c->r, v->s, CASE_LOWER, out) : OK;
}

static enum code merge_sort(struct call *c, struct sorting *s, size_t from, size_t to,
                            struct datum *by, struct datum *items) {
    if (to - from < 2)
        return OK;
    size_t middle = (from + to) / 2, a = from, b = middle;
    TRY(merge_sort(c, s, from, middle, by, items));
    TRY(merge_sort(c, s, middle, to, by, items));
    TRY(render_step(c->r, to - from));
    for (size_t k = from; k < to; k++) {
        int order = 0;
        bool both = a < middle && b < to;
        if (both && !datum_order(&s->by[a], &s->by[b], &order))
            return render_fail(c->r, "sort: %s and %s have no order", datum_name(&s->by[a]),
                               datum_name(&s->by[b]));
        size_t take = (both ? (s->reverse ? order >= 0 : order <= 0) : a < middle) ? a++ : b++;
        by[k] = s->by[take];
        items[k] = s->items[take];
    }
    memcpy(s->by + from, by + from, (to - from) * sizeof *by);
    memcpy(s->items + from, items + from, (to - from) * sizeof *items);
    return OK;
}

static enum code sorted(struct call *c, const struct list *items, const struct list *keys,
                        bool reverse, struct datum *out) {
    struct arena *a = c->r->arena;
    struct sorting s = {ARENA_ARRAY(a, items->n + 1, struct datum),
                        ARENA_ARRAY(a, items->n + 1, struct datum), reverse};
    struct datum *by = ARENA_ARRAY(a, items->n + 1, struct datum);
    struct datum *spare = ARENA_ARRAY(a, items->n + 1, struct datum);
    if (!s.by || !s.items || !by || !spare)
        return render_full(c->r, items->n * sizeof *by);
    for (size_t i = 0; i < items->n; i++) {
        s.by[i] = keys->v[i];
        s.items[i] = items->v[i];
    }
    TRY(merge_sort(c, &s, 0, items->n, by, spare));
    return give_list(c, (struct list){s.items, items->n, items->n + 1, false}, out);
}

static enum code f_sort(struct call *c, struct datum *out) {
    struct list items, keys = {0};
    struct text attr;
    bool cased = flag(c, 1, "case_sensitive", false);
    TRY(self_items(c, &items));
    TRY(call_text(c, 2, "attribute", "", &attr));
    for (size_t i = 0; i < items.n; i++) {
        struct datum v = {0}, key = {0};
        TRY(attr_of(c, &items.v[i], text_str(attr), &v));
        TRY(sort_key(c, &v, cased, &key));
        TRY(add(c, &keys, key));
    }
    return sorted(c, &items, &keys, flag(c, 0, "reverse", false), out);
}

static enum code f_dictsort(struct call *c, struct datum *out) {
    struct datum pairs = {0};
    struct list keys = {0};
    struct text by;
    bool cased = flag(c, 0, "case_sensitive", false);
    TRY(call_text(c, 1, "by", "key", &by));
    TRY(f_items(c, &pairs));
    for (size_t i = 0; i < pairs.list->n; i++) {
        struct datum key = {0};
        TRY(sort_key(c, &pairs.list->v[i].list->v[str_is(text_str(by), "value")], cased, &key));
        TRY(add(c, &keys, key));
    }
    return sorted(c, pairs.list, &keys, flag(c, 2, "reverse", false), out);
}

static enum code f_unique(struct call *c, struct datum *out) {
    struct list items, kept = {0}, keys = {0};
    struct text attr;
    bool cased = flag(c, 0, "case_sensitive", false);
    TRY(self_items(c, &items));
    TRY(call_text(c, 1, "attribute", "", &attr));
    for (size_t i = 0, k; i < items.n; i++) {
        struct datum v = {0}, key = {0};
        TRY(attr_of(c, &items.v[i], text_str(attr), &v));
        TRY(sort_key(c, &v, cased, &key));
        TRY(render_step(c->r, keys.n));
        for (k = 0; k < keys.n && !datum_equal(&keys.v[k], &key, 0);)
            k++;
        if (k < keys.n)
            continue;
        TRY(add(c, &keys, key));
        TRY(add(c, &kept, items.v[i]));
    }
    return give_list(c, kept, out);
}

static enum code extreme(struct call *c, int sign, struct datum *out) {
    struct list items;
    struct text attr;
    struct datum best_key = {0};
    TRY(self_items(c, &items));
    TRY(call_text(c, 1, "attribute", "", &attr));
    *out = (struct datum){.kind = DATUM_UNDEFINED};
    for (size_t i = 0; i < items.n; i++) {
        struct datum v = {0}, key = {0};
        int order = 0;
        TRY(attr_of(c, &items.v[i], text_str(attr), &v));
        TRY(sort_key(c, &v, flag(c, 0, "case_sensitive", false), &key));
        if (i && !datum_order(&key, &best_key, &order))
            return render_fail(c->r, "%s: values without an order", c->what);
        if (i && order * sign <= 0)
            continue;
        best_key = key;
        *out = items.v[i];
    }
    return OK;
}
static enum code f_max(struct call *c, struct datum *out) { return extreme(c, 1, out); }
static enum code f_min(struct call *c, struct datum *out) { return extreme(c, -1, out); }

static enum code f_sum(struct call *c, struct datum *out) {
    struct list items;
    struct text attr;
    double total = 0;
    bool whole = true;
    TRY(self_items(c, &items));
    TRY(call_text(c, 0, "attribute", "", &attr));
    for (size_t i = 0; i < items.n; i++) {
        struct datum v = {0};
        double f;
        TRY(attr_of(c, &items.v[i], text_str(attr), &v));
        if (!datum_number(&v, &f))
            return render_fail(c->r, "sum: %s is no number", datum_name(&v));
        whole &= v.kind != DATUM_FLOAT;
        total += f;
    }
    *out = whole ? (struct datum){.kind = DATUM_INT, .i = (int64_t)total}
                 : (struct datum){.kind = DATUM_FLOAT, .f = total};
    return OK;
}

/* --- filters that take a filter or a test by name --- */

static enum code by_name(struct call *c, int first, struct call *inner, struct str *name) {
    const struct datum *v = call_arg(c, first, "");
    *inner = (struct call){.r = c->r, .what = c->what};
    if (!v || v->kind != DATUM_TEXT)
        return render_fail(c->r, "%s: a name expected", c->what);
    *name = text_str(v->s);
    inner->args = c->args + first + 1;
    inner->names = c->names + first + 1;
    inner->n = c->n - first - 1;
    return OK;
}

/* What map and select walk through: nothing at all where there is nothing, like Jinja. */
static enum code items_if_any(struct call *c, struct list *out) {
    return datum_true(&c->self) ? self_items(c, out) : OK;
}

static enum code f_map(struct call *c, struct datum *out) {
    struct list items = {0}, mapped = {0};
    struct call inner = {0};
    struct str name = {0};
    struct text attr;
    const struct datum *otherwise = call_arg(c, 99, "default");
    bool by_attr = call_arg(c, 99, "attribute") != NULL;
    int index = -1;
    TRY(items_if_any(c, &items));
    TRY(call_text(c, 99, "attribute", "", &attr));
    if (!by_attr) {
        TRY(by_name(c, 0, &inner, &name));
        index = filter_find(name);
        if (index < 0)
            return render_fail(c->r, "map: filter '%.*s' is not supported", STR(name));
    }
    for (size_t i = 0; i < items.n; i++) {
        struct datum v = {0};
        inner.self = items.v[i];
        TRY(by_attr ? attr_of(c, &items.v[i], text_str(attr), &v) : call_filter(&inner, index, &v));
        if (by_attr && v.kind == DATUM_UNDEFINED && otherwise)
            v = *otherwise;
        TRY(add(c, &mapped, v));
    }
    return give_list(c, mapped, out);
}

static enum code pick(struct call *c, bool by_attr, bool wanted, struct datum *out) {
    struct list items = {0}, kept = {0};
    struct call inner = {0};
    struct str name = {0};
    struct text attr = {0};
    int first = by_attr, index = -1;
    TRY(items_if_any(c, &items));
    if (by_attr)
        TRY(call_text(c, 0, "attr", "", &attr));
    if (c->n > first) {
        TRY(by_name(c, first, &inner, &name));
        index = test_find(name);
        if (index < 0)
            return render_fail(c->r, "%s: test '%.*s' is not supported", c->what, STR(name));
    }
    for (size_t i = 0; i < items.n; i++) {
        TRY(attr_of(c, &items.v[i], text_str(attr), &inner.self));
        bool holds = datum_true(&inner.self);
        if (index >= 0)
            TRY(call_test(&inner, index, &holds));
        if (holds == wanted)
            TRY(add(c, &kept, items.v[i]));
    }
    return give_list(c, kept, out);
}
static enum code f_select(struct call *c, struct datum *out) { return pick(c, false, true, out); }
static enum code f_reject(struct call *c, struct datum *out) { return pick(c, false, false, out); }
static enum code f_selectattr(struct call *c, struct datum *out) {
    return pick(c, true, true, out);
}
static enum code f_rejectattr(struct call *c, struct datum *out) {
    return pick(c, true, false, out);
}

static enum code f_attr(struct call *c, struct datum *out) {
    struct text name;
    TRY(call_text(c, 0, "name", "", &name));
    return datum_attr(c->r, &c->self, text_str(name), out);
}

static enum code f_batch(struct call *c, struct datum *out) {
    struct list items, rows = {0}, row = {0};
    int64_t n;
    TRY(self_items(c, &items));
    TRY(call_int(c, 0, "linecount", 1, &n));
    if (n < 1)
        return render_fail(c->r, "batch: rows of %lld", (long long)n);
    for (size_t i = 0; i < items.n; i++) {
        struct datum v = {0};
        TRY(add(c, &row, items.v[i]));
        if (row.n < (size_t)n && i + 1 < items.n)
            continue;
        TRY(give_list(c, row, &v));
        TRY(add(c, &rows, v));
        row = (struct list){0};
    }
    return give_list(c, rows, out);
}

static const struct {
    const char *name;
    enum code (*fn)(struct call *c, struct datum *out);
} filters[] = {
    {"abs", f_abs},
    {"attr", f_attr},
    {"batch", f_batch},
    {"capitalize", f_capitalize},
    {"count", f_length},
    {"d", f_default},
    {"default", f_default},
    {"dictsort", f_dictsort},
    {"e", f_escape},
    {"escape", f_escape},
    {"first", f_first},
    {"float", f_float},
    {"indent", f_indent},
    {"int", f_int},
    {"items", f_items},
    {"join", f_join},
    {"last", f_last},
    {"length", f_length},
    {"list", f_list},
    {"lower", f_lower},
    {"map", f_map},
    {"max", f_max},
    {"min", f_min},
    {"reject", f_reject},
    {"rejectattr", f_rejectattr},
    {"replace", f_replace},
    {"reverse", f_reverse},
    {"round", f_round},
    {"safe", f_same},
    {"select", f_select},
    {"selectattr", f_selectattr},
    {"sort", f_sort},
    {"string", f_string},
    {"sum", f_sum},
    {"title", f_title},
    {"tojson", f_tojson},
    {"trim", f_trim},
    {"unique", f_unique},
    {"upper", f_upper},
};

int filter_find(struct str name) {
    for (size_t i = 0; i < sizeof filters / sizeof filters[0]; i++)
        if (str_is(name, filters[i].name))
            return (int)i;
    return -1;
}

enum code call_filter(struct call *c, int index, struct datum *out) {
    return filters[index].fn(c, out);
}
