/* SPDX-License-Identifier: Apache-2.0 */
/* Tests (value is name), methods (value.name()) and functions (name()) of templates, one function
 * and one row each. */
#include "llm/jinja_in.h"
#include "llm/jinja_string.h"
#include "llm/unicode.h"

#include <time.h>

/* --- tests --- */

static bool is_kind(const struct call *c, enum datum_kind kind) { return c->self.kind == kind; }

static enum code t_kind(struct call *c, const char *name, bool *out) {
    struct str n = str_of(name);
    enum datum_kind k = c->self.kind;
    *out = str_is(n, "defined")     ? k != DATUM_UNDEFINED
           : str_is(n, "undefined") ? k == DATUM_UNDEFINED
           : str_is(n, "none")      ? k == DATUM_NULL
           : str_is(n, "string")    ? k == DATUM_TEXT
           : str_is(n, "integer")   ? k == DATUM_INT
           : str_is(n, "float")     ? k == DATUM_FLOAT
           : str_is(n, "number")    ? k == DATUM_INT || k == DATUM_FLOAT || k == DATUM_BOOL
           : str_is(n, "boolean")   ? k == DATUM_BOOL
           : str_is(n, "true")      ? k == DATUM_BOOL && c->self.b
           : str_is(n, "false")     ? k == DATUM_BOOL && !c->self.b
           : str_is(n, "mapping")   ? k == DATUM_DICT
           : str_is(n, "callable")  ? k == DATUM_MACRO || k == DATUM_GLOBAL
                                    : k == DATUM_LIST || k == DATUM_DICT || k == DATUM_TEXT ||
                                         (k == DATUM_UNDEFINED && str_is(n, "iterable"));
    return OK;
}

static enum code t_parity(struct call *c, const char *name, bool *out) {
    if (!is_kind(c, DATUM_INT))
        return render_fail(c->r, "%s of %s", c->what, datum_name(&c->self));
    *out = (c->self.i % 2 == 0) == str_is(str_of(name), "even");
    return OK;
}

static enum code t_divisible(struct call *c, const char *name, bool *out) {
    int64_t by;
    (void)name;
    TRY(call_int(c, 0, "num", 1, &by));
    if (!is_kind(c, DATUM_INT) || by == 0)
        return render_fail(c->r, "%s of %s", c->what, datum_name(&c->self));
    *out = by == -1 || c->self.i % by == 0;
    return OK;
}

static enum code t_compare(struct call *c, const char *name, bool *out) {
    const struct datum *other = call_arg(c, 0, "other");
    int order = 0;
    if (!other)
        return render_fail(c->r, "%s compares with nothing", c->what);
    bool equal = datum_equal(&c->self, other, 0);
    char a = name[0], b = name[1];
    if (a == 'e' || a == '=' || a == 's' || (a == 'n' && b == 'e') || a == '!') {
        bool negated = a == 'n' || a == '!';
        *out = a == 's' ? equal && c->self.kind == other->kind : equal != negated;
        return OK;
    }
    if (!datum_order(&c->self, other, &order))
        return render_fail(c->r, "%s and %s have no order", datum_name(&c->self),
                           datum_name(other));
    bool less = a == 'l' || a == '<', or_equal = (b == 'e' && name[2] == '\0') || b == '=';
    *out = (less ? order < 0 : order > 0) || (or_equal && order == 0);
    return OK;
}

static enum code t_in(struct call *c, const char *name, bool *out) {
    const struct datum *in = call_arg(c, 0, "seq");
    struct list items;
    (void)name;
    *out = false;
    if (!in)
        return render_fail(c->r, "%s: in what?", c->what);
    if (in->kind == DATUM_TEXT && is_kind(c, DATUM_TEXT)) {
        *out = string_find(in->s, c->self.s, 0) != SIZE_MAX;
        return OK;
    }
    TRY(datum_items(c->r, in, &items));
    TRY(render_step(c->r, items.n));
    for (size_t i = 0; i < items.n && !*out; i++)
        *out = datum_equal(&items.v[i], &c->self, 0);
    return OK;
}

static enum code t_case(struct call *c, const char *name, bool *out) {
    struct datum changed = {0};
    if (!is_kind(c, DATUM_TEXT))
        return render_fail(c->r, "%s of %s", c->what, datum_name(&c->self));
    TRY(string_case(c->r, c->self.s, name[0] == 'l' ? CASE_LOWER : CASE_UPPER, &changed));
    *out = c->self.s.n && datum_equal(&c->self, &changed, 0);
    return OK;
}

static const struct {
    const char *name;
    enum code (*fn)(struct call *c, const char *name, bool *out);
} tests[] = {
    {"defined", t_kind},
    {"undefined", t_kind},
    {"none", t_kind},
    {"string", t_kind},
    {"integer", t_kind},
    {"float", t_kind},
    {"number", t_kind},
    {"boolean", t_kind},
    {"true", t_kind},
    {"false", t_kind},
    {"mapping", t_kind},
    {"iterable", t_kind},
    {"sequence", t_kind},
    {"callable", t_kind},
    {"odd", t_parity},
    {"even", t_parity},
    {"divisibleby", t_divisible},
    {"eq", t_compare},
    {"equalto", t_compare},
    {"ne", t_compare},
    {"lt", t_compare},
    {"lessthan", t_compare},
    {"le", t_compare},
    {"gt", t_compare},
    {"greaterthan", t_compare},
    {"ge", t_compare},
    {"sameas", t_compare},
    {"==", t_compare},
    {"!=", t_compare},
    {"<", t_compare},
    {"<=", t_compare},
    {">", t_compare},
    {">=", t_compare},
    {"in", t_in},
    {"lower", t_case},
    {"upper", t_case},
};

int test_find(struct str name) {
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++)
        if (str_is(name, tests[i].name))
            return (int)i;
    return -1;
}

enum code call_test(struct call *c, int index, bool *out) {
    return tests[index].fn(c, tests[index].name, out);
}

/* --- methods of text --- */

static enum code self_is_text(struct call *c) {
    return is_kind(c, DATUM_TEXT) ? OK
                                  : render_fail(c->r, "%s of %s", c->what, datum_name(&c->self));
}

static enum code strip(struct call *c, bool front, bool back, struct datum *out) {
    struct text chars;
    TRY(self_is_text(c));
    TRY(call_text(c, 0, "chars", NULL, &chars));
    *out = datum_of_text(string_strip(c->self.s, chars.p ? &chars : NULL, front, back));
    return OK;
}
static enum code m_strip(struct call *c, struct datum *out) { return strip(c, true, true, out); }
static enum code m_lstrip(struct call *c, struct datum *out) { return strip(c, true, false, out); }
static enum code m_rstrip(struct call *c, struct datum *out) { return strip(c, false, true, out); }

static enum code split(struct call *c, bool back, struct datum *out) {
    struct text separator;
    int64_t most;
    TRY(self_is_text(c));
    TRY(call_text(c, 0, "sep", NULL, &separator));
    TRY(call_int(c, 1, "maxsplit", -1, &most));
    return string_split(c->r, c->self.s, separator.p ? &separator : NULL, most, back, out);
}
static enum code m_split(struct call *c, struct datum *out) { return split(c, false, out); }
static enum code m_rsplit(struct call *c, struct datum *out) { return split(c, true, out); }

static enum code m_splitlines(struct call *c, struct datum *out) {
    struct text newline = {"\n", NULL, 1}, t = c->self.s;
    TRY(self_is_text(c));
    if (t.n && t.p[t.n - 1] == '\n')
        t = text_sub(t, 0, t.n - 1);
    TRY(string_split(c->r, t, &newline, -1, false, out));
    if (c->self.s.n == 0)
        out->list->n = 0;
    return OK;
}

/* The argument, or one of a tuple of them. */
static enum code edge(struct call *c, bool front, struct datum *out) {
    const struct datum *v = call_arg(c, 0, "prefix");
    struct list one = {.v = (struct datum *)(uintptr_t)v, .n = v != NULL};
    const struct list *all = v && v->kind == DATUM_LIST ? v->list : &one;
    TRY(self_is_text(c));
    *out = (struct datum){.kind = DATUM_BOOL};
    for (size_t i = 0; i < all->n; i++) {
        if (all->v[i].kind != DATUM_TEXT)
            return render_fail(c->r, "%s: %s", c->what, datum_name(&all->v[i]));
        struct text t = c->self.s, e = all->v[i].s;
        if (e.n <= t.n && memcmp(front ? t.p : t.p + t.n - e.n, e.p, e.n) == 0)
            out->b = true;
    }
    return OK;
}
static enum code m_startswith(struct call *c, struct datum *out) { return edge(c, true, out); }
static enum code m_endswith(struct call *c, struct datum *out) { return edge(c, false, out); }

static enum code without(struct call *c, bool front, struct datum *out) {
    struct text e, t = c->self.s;
    struct datum has = {0};
    TRY(edge(c, front, &has));
    TRY(call_text(c, 0, "prefix", "", &e));
    *out = datum_of_text(!has.b ? t : front ? text_sub(t, e.n, t.n) : text_sub(t, 0, t.n - e.n));
    return OK;
}
static enum code m_removeprefix(struct call *c, struct datum *out) { return without(c, true, out); }
static enum code m_removesuffix(struct call *c, struct datum *out) {
    return without(c, false, out);
}

static enum code change(struct call *c, enum string_case how, struct datum *out) {
    TRY(self_is_text(c));
    return string_case(c->r, c->self.s, how, out);
}
static enum code m_lower(struct call *c, struct datum *out) { return change(c, CASE_LOWER, out); }
static enum code m_upper(struct call *c, struct datum *out) { return change(c, CASE_UPPER, out); }
static enum code m_title(struct call *c, struct datum *out) { return change(c, CASE_TITLE, out); }
static enum code m_capitalize(struct call *c, struct datum *out) {
    return change(c, CASE_CAPITAL, out);
}

static enum code m_replace(struct call *c, struct datum *out) {
    struct text from, to;
    int64_t most;
    TRY(self_is_text(c));
    TRY(call_text(c, 0, "old", "", &from));
    TRY(call_text(c, 1, "new", "", &to));
    TRY(call_int(c, 2, "count", -1, &most));
    return string_replace(c->r, c->self.s, from, to, most, out);
}

static enum code m_find(struct call *c, struct datum *out) {
    struct text what;
    TRY(self_is_text(c));
    TRY(call_text(c, 0, "sub", "", &what));
    size_t at = string_find(c->self.s, what, 0);
    *out = (struct datum){.kind = DATUM_INT, .i = -1};
    if (at != SIZE_MAX)
        out->i = (int64_t)text_length(text_sub(c->self.s, 0, at));
    return OK;
}

static enum code m_count(struct call *c, struct datum *out) {
    const struct datum *what = call_arg(c, 0, "sub");
    *out = (struct datum){.kind = DATUM_INT};
    if (is_kind(c, DATUM_LIST)) {
        for (size_t i = 0; what && i < c->self.list->n; i++)
            out->i += datum_equal(&c->self.list->v[i], what, 0);
        return OK;
    }
    TRY(self_is_text(c));
    if (!what || what->kind != DATUM_TEXT || what->s.n == 0)
        return render_fail(c->r, "%s of nothing", c->what);
    for (size_t at = 0; (at = string_find(c->self.s, what->s, at)) != SIZE_MAX; at += what->s.n)
        out->i++;
    return OK;
}

static enum code m_isdigit(struct call *c, struct datum *out) {
    TRY(self_is_text(c));
    *out = (struct datum){.kind = DATUM_BOOL, .b = c->self.s.n > 0};
    for (size_t at = 0; at < c->self.s.n && out->b;) {
        uint32_t p;
        at += unicode_next(text_str(c->self.s), at, &p);
        out->b = unicode_kind(p) == UNICODE_N;
    }
    return OK;
}

static enum code m_join(struct call *c, struct datum *out) {
    const struct datum *of = call_arg(c, 0, "iterable");
    struct list items;
    struct sink s = {0};
    TRY(self_is_text(c));
    if (!of)
        return render_fail(c->r, "join of nothing");
    TRY(datum_items(c->r, of, &items));
    for (size_t i = 0; i < items.n; i++) {
        if (items.v[i].kind != DATUM_TEXT)
            return render_fail(c->r, "join: %s", datum_name(&items.v[i]));
        if ((i && !sink_put(c->r, &s, c->self.s)) || !sink_put(c->r, &s, items.v[i].s))
            return c->r->e->code;
    }
    *out = sink_datum(&s);
    return OK;
}

/* --- methods of dicts and lists --- */

static enum code self_is_dict(struct call *c) {
    return is_kind(c, DATUM_DICT) ? OK
                                  : render_fail(c->r, "%s of %s", c->what, datum_name(&c->self));
}

static enum code give(struct call *c, struct list l, struct datum *out) {
    *out = (struct datum){.kind = DATUM_LIST, .list = ARENA_NEW(c->r->arena, struct list)};
    if (!out->list)
        return render_full(c->r, sizeof l);
    *out->list = l;
    return OK;
}

static enum code m_items(struct call *c, struct datum *out) {
    TRY(self_is_dict(c));
    return call_filter(c, filter_find(LIT("items")), out);
}

static enum code m_keys(struct call *c, struct datum *out) {
    TRY(self_is_dict(c));
    return give(c, (struct list){c->self.dict->keys, c->self.dict->n, c->self.dict->n, false}, out);
}

static enum code m_values(struct call *c, struct datum *out) {
    TRY(self_is_dict(c));
    return give(c, (struct list){c->self.dict->values, c->self.dict->n, c->self.dict->n, false},
                out);
}

static enum code m_get(struct call *c, struct datum *out) {
    const struct datum *key = call_arg(c, 0, "key"), *otherwise = call_arg(c, 1, "default");
    TRY(self_is_dict(c));
    if (!key)
        return render_fail(c->r, "get of nothing");
    TRY(datum_item(c->r, &c->self, key, out));
    if (out->kind == DATUM_UNDEFINED)
        *out = otherwise ? *otherwise : (struct datum){.kind = DATUM_NULL};
    return OK;
}

static enum code m_update(struct call *c, struct datum *out) {
    const struct datum *other = call_arg(c, 0, "other");
    TRY(self_is_dict(c));
    *out = (struct datum){.kind = DATUM_NULL};
    for (size_t i = 0; other && other->kind == DATUM_DICT && i < other->dict->n; i++)
        if (!dict_put(c->self.dict, other->dict->keys[i], other->dict->values[i], c->r->arena))
            return render_full(c->r, 64);
    return OK;
}

static enum code m_append(struct call *c, struct datum *out) {
    const struct datum *v = call_arg(c, 0, "object");
    if (!is_kind(c, DATUM_LIST) || !v)
        return render_fail(c->r, "%s of %s", c->what, datum_name(&c->self));
    *out = (struct datum){.kind = DATUM_NULL};
    return list_add(c->self.list, *v, c->r->arena) ? OK : render_full(c->r, 64);
}

static enum code m_extend(struct call *c, struct datum *out) {
    const struct datum *v = call_arg(c, 0, "iterable");
    struct list items;
    if (!is_kind(c, DATUM_LIST) || !v)
        return render_fail(c->r, "%s of %s", c->what, datum_name(&c->self));
    TRY(datum_items(c->r, v, &items));
    *out = (struct datum){.kind = DATUM_NULL};
    for (size_t i = 0; i < items.n; i++) {
        TRY(render_step(c->r, 0));
        if (!list_add(c->self.list, items.v[i], c->r->arena))
            return render_full(c->r, 64);
    }
    return OK;
}

static enum code m_pop(struct call *c, struct datum *out) {
    int64_t i = -1;
    const struct datum *key = call_arg(c, 0, "key"), *otherwise = call_arg(c, 1, "default");
    if (is_kind(c, DATUM_DICT) && key) {
        struct dict *d = c->self.dict;
        for (size_t k = 0; k < d->n; k++)
            if (datum_equal(&d->keys[k], key, 0)) {
                *out = d->values[k];
                memmove(d->keys + k, d->keys + k + 1, (d->n - k - 1) * sizeof *d->keys);
                memmove(d->values + k, d->values + k + 1, (d->n - k - 1) * sizeof *d->values);
                d->n--;
                return OK;
            }
        *out = otherwise ? *otherwise : (struct datum){.kind = DATUM_UNDEFINED};
        return otherwise ? OK : render_fail(c->r, "pop: no such key");
    }
    TRY(call_int(c, 0, "index", -1, &i));
    struct list *l = is_kind(c, DATUM_LIST) ? c->self.list : NULL;
    if (l && i < 0)
        i += (int64_t)l->n;
    if (!l || i < 0 || (size_t)i >= l->n)
        return render_fail(c->r, "pop of %s", datum_name(&c->self));
    *out = l->v[i];
    memmove(l->v + i, l->v + i + 1, (l->n - (size_t)i - 1) * sizeof *l->v);
    l->n--;
    return OK;
}

static enum code m_index(struct call *c, struct datum *out) {
    const struct datum *v = call_arg(c, 0, "value");
    for (size_t i = 0; v && is_kind(c, DATUM_LIST) && i < c->self.list->n; i++)
        if (datum_equal(&c->self.list->v[i], v, 0)) {
            *out = (struct datum){.kind = DATUM_INT, .i = (int64_t)i};
            return OK;
        }
    return render_fail(c->r, "index: not in %s", datum_name(&c->self));
}

/* loop.cycle('a', 'b') */
static enum code m_cycle(struct call *c, struct datum *out) {
    if (!is_kind(c, DATUM_LOOP) || c->n == 0)
        return render_fail(c->r, "cycle of %s", datum_name(&c->self));
    *out = c->args[c->self.loop->index % (size_t)c->n];
    return OK;
}

static const struct {
    const char *name;
    enum code (*fn)(struct call *c, struct datum *out);
} methods[] = {
    {"append", m_append},
    {"capitalize", m_capitalize},
    {"count", m_count},
    {"cycle", m_cycle},
    {"endswith", m_endswith},
    {"extend", m_extend},
    {"find", m_find},
    {"get", m_get},
    {"index", m_index},
    {"isdigit", m_isdigit},
    {"items", m_items},
    {"join", m_join},
    {"keys", m_keys},
    {"lower", m_lower},
    {"lstrip", m_lstrip},
    {"pop", m_pop},
    {"removeprefix", m_removeprefix},
    {"removesuffix", m_removesuffix},
    {"replace", m_replace},
    {"rsplit", m_rsplit},
    {"rstrip", m_rstrip},
    {"split", m_split},
    {"splitlines", m_splitlines},
    {"startswith", m_startswith},
    {"strip", m_strip},
    {"title", m_title},
    {"update", m_update},
    {"upper", m_upper},
    {"values", m_values},
};

int method_find(struct str name) {
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
        if (str_is(name, methods[i].name))
            return (int)i;
    return -1;
}

enum code call_method(struct call *c, int index, struct datum *out) {
    return methods[index].fn(c, out);
}

/* --- functions --- */

static enum code fn_raise(struct call *c, struct datum *out) {
    struct text message;
    (void)out;
    TRY(call_text(c, 0, "message", "", &message));
    enum code code = fail(c->r->e, INVALID, "the chat template says: %.*s",
                          STR(str_sub(text_str(message), 0, 300)));
    for (char *p = c->r->e->text; *p; p++) /* an error is one line */
        if ((unsigned char)*p < ' ')
            *p = ' ';
    return code;
}

static enum code fn_strftime(struct call *c, struct datum *out) {
    struct text format;
    char pattern[128], text[256];
    struct tm tm;
    time_t now = time(NULL);
    TRY(call_text(c, 0, "format", "%Y-%m-%d", &format));
    if (format.n >= sizeof pattern || !localtime_r(&now, &tm))
        return render_fail(c->r, "strftime_now: a format of %zu bytes", format.n);
    memcpy(pattern, format.p, format.n);
    pattern[format.n] = '\0';
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    size_t n = strftime(text, sizeof text, pattern, &tm);
#pragma GCC diagnostic pop
    char *kept = arena_strdup(c->r->arena, (struct str){text, n});
    if (!kept)
        return render_full(c->r, n);
    *out = datum_text((struct str){kept, n});
    return OK;
}

static enum code fn_namespace(struct call *c, struct datum *out) {
    struct dict *d = ARENA_NEW(c->r->arena, struct dict);
    if (!d)
        return render_full(c->r, sizeof *d);
    d->space = true;
    *out = (struct datum){.kind = DATUM_DICT, .dict = d};
    for (int i = 0; i < c->n; i++) {
        struct call one = {.r = c->r,
                           .self = *out,
                           .args = &c->args[i],
                           .names = &c->names[i],
                           .n = 1,
                           .what = "namespace"};
        struct datum ignored;
        if (c->names[i].n == 0)
            TRY(m_update(&one, &ignored));
        else if (!dict_put(d, datum_text(c->names[i]), c->args[i], c->r->arena))
            return render_full(c->r, 64);
    }
    return OK;
}

static enum code fn_dict(struct call *c, struct datum *out) {
    TRY(fn_namespace(c, out));
    out->dict->space = false;
    return OK;
}

enum { RANGE_MAX = 100000 }; /* as Jinja's sandbox has it */

static enum code fn_range(struct call *c, struct datum *out) {
    int64_t from, to, step;
    struct list l = {0};
    TRY(call_int(c, 0, "start", 0, &from));
    TRY(call_int(c, 1, "stop", 0, &to));
    TRY(call_int(c, 2, "step", 1, &step));
    if (c->n == 1) {
        to = from;
        from = 0;
    }
    if (step == 0)
        return render_fail(c->r, "range with step 0");
    for (int64_t i = from; step > 0 ? i < to : i > to;) {
        if (l.n == RANGE_MAX)
            return render_fail(c->r, "a range of more than %d steps", RANGE_MAX);
        if (!list_add(&l, (struct datum){.kind = DATUM_INT, .i = i}, c->r->arena))
            return render_full(c->r, 64);
        if (__builtin_add_overflow(i, step, &i))
            break;
    }
    return give(c, l, out);
}

static const struct {
    const char *name;
    enum code (*fn)(struct call *c, struct datum *out);
} functions[] = {
    {"raise_exception", fn_raise},
    {"strftime_now", fn_strftime},
    {"namespace", fn_namespace},
    {"range", fn_range},
    {"dict", fn_dict},
};

int function_find(struct str name) {
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++)
        if (str_is(name, functions[i].name))
            return (int)i;
    return -1;
}

enum code call_function(struct call *c, int index, struct datum *out) {
    return functions[index].fn(c, out);
}
