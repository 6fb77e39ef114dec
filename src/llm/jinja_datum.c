/* SPDX-License-Identifier: Apache-2.0 */
/* Values of templates: Python's, as far as templates can tell. */
#include "llm/jinja_in.h"

#include "base/json.h"
#include "base/shortest.h"
#include "base/utf8.h"

#include <stdlib.h>

/* --- making --- */

struct datum datum_text(struct str s) {
    return (struct datum){.kind = DATUM_TEXT, .s = {s.p, NULL, s.n}};
}

struct datum datum_of_text(struct text t) {
    return (struct datum){.kind = DATUM_TEXT, .s = t};
}

static bool grow(struct datum **v, size_t n, size_t room, struct arena *a) {
    struct datum *bigger = ARENA_ARRAY(a, room, struct datum);
    if (bigger && n)
        memcpy(bigger, *v, n * sizeof *bigger);
    *v = bigger ? bigger : *v;
    return bigger != NULL;
}

bool list_add(struct list *l, struct datum v, struct arena *a) {
    if (l->n == l->room) {
        size_t room = l->room ? 2 * l->room : 4;
        if (!grow(&l->v, l->n, room, a))
            return false;
        l->room = room;
    }
    l->v[l->n++] = v;
    return true;
}

static bool is_key(const struct datum *v, struct str key) {
    return v->kind == DATUM_TEXT && str_eq(text_str(v->s), key);
}

const struct datum *dict_get(const struct dict *d, struct str key) {
    for (size_t i = 0; i < d->n; i++)
        if (is_key(&d->keys[i], key))
            return &d->values[i];
    return NULL;
}

bool dict_put(struct dict *d, struct datum key, struct datum v, struct arena *a) {
    for (size_t i = 0; i < d->n; i++)
        if (datum_equal(&d->keys[i], &key, 0)) {
            d->values[i] = v;
            return true;
        }
    if (d->n == d->room) {
        size_t room = d->room ? 2 * d->room : 4;
        if (!grow(&d->keys, d->n, room, a) || !grow(&d->values, d->n, room, a))
            return false;
        d->room = room;
    }
    d->keys[d->n] = key;
    d->values[d->n++] = v;
    return true;
}

bool dict_put_str(struct rendering *r, struct dict *d, const char *key, struct datum v) {
    return dict_put(d, datum_text(str_of(key)), v, r->arena);
}

/* --- from JSON --- */

static enum code no_room(struct arena *a, struct err *e) {
    return arena_fail(a, 64, "the request's messages", e);
}

static enum code take_text(struct json *j, struct arena *a, struct datum *out, struct err *e) {
    struct str s;
    TRY(json_string(j, &s, e));
    uint8_t *marks = arena_push(a, s.n + 1);
    if (!marks)
        return no_room(a, e);
    memset(marks, 1, s.n);
    *out = datum_of_text((struct text){s.p ? s.p : "", marks, s.n});
    return OK;
}

static enum code take_value(struct json *j, struct arena *a, struct datum *out, struct err *e);

static enum code take_list(struct json *j, struct arena *a, struct datum *out, struct err *e) {
    struct list *l = ARENA_NEW(a, struct list);
    bool more;
    if (!l)
        return no_room(a, e);
    TRY(json_enter_array(j, e));
    for (;;) {
        struct datum v;
        TRY(json_next_item(j, &more, e));
        if (!more)
            break;
        TRY(take_value(j, a, &v, e));
        if (!list_add(l, v, a))
            return no_room(a, e);
    }
    *out = (struct datum){.kind = DATUM_LIST, .list = l};
    return OK;
}

enum { MEMBERS_MAX = 4096 }; /* members are found by walking */

static enum code take_dict(struct json *j, struct arena *a, struct datum *out, struct err *e) {
    struct dict *d = ARENA_NEW(a, struct dict);
    bool more;
    if (!d)
        return no_room(a, e);
    TRY(json_enter_object(j, e));
    for (;;) {
        struct str key;
        struct datum v;
        TRY(json_next_key(j, &key, &more, e));
        if (!more)
            break;
        if (d->n >= MEMBERS_MAX)
            return json_fail(j, e, "an object of more than %d members", MEMBERS_MAX);
        TRY(take_value(j, a, &v, e));
        uint8_t *marks = arena_push(a, key.n + 1);
        if (!marks)
            return no_room(a, e);
        memset(marks, 1, key.n);
        if (!dict_put(d, datum_of_text((struct text){key.p, marks, key.n}), v, a))
            return no_room(a, e);
    }
    *out = (struct datum){.kind = DATUM_DICT, .dict = d};
    return OK;
}

/* Whole numbers stay whole, as Python reads them. */
static enum code take_number(struct json *j, struct datum *out, struct err *e) {
    struct str raw;
    TRY(json_skip(j, &raw, e));
    *out = (struct datum){.kind = DATUM_INT};
    if (str_to_i64(raw, &out->i))
        return OK;
    out->kind = DATUM_FLOAT;
    return str_to_f64(raw, &out->f) ? OK : json_fail(j, e, "a number out of range");
}

static enum code take_value(struct json *j, struct arena *a, struct datum *out, struct err *e) {
    *out = (struct datum){.kind = DATUM_NULL};
    switch (json_peek(j)) {
    case JSON_STRING: return take_text(j, a, out, e);
    case JSON_ARRAY: return take_list(j, a, out, e);
    case JSON_OBJECT: return take_dict(j, a, out, e);
    case JSON_NUMBER: return take_number(j, out, e);
    case JSON_BOOL: out->kind = DATUM_BOOL; return json_bool(j, &out->b, e);
    case JSON_NULL: return json_null(j, e);
    default: return json_fail(j, e, "a value expected");
    }
}

enum code datum_from_json(struct str json, struct arena *a, struct datum *out, struct err *e) {
    struct json j;
    json_init(&j, json, a);
    TRY(take_value(&j, a, out, e));
    return json_end(&j, e);
}

/* --- text being put together --- */

static bool sink_reserve(struct rendering *r, struct sink *s, size_t n) {
    if (s->n + n > JINJA_OUTPUT) {
        (void)fail(r->e, LIMIT, "the template makes more than %d bytes", JINJA_OUTPUT);
        return false;
    }
    if (s->n + n <= s->room)
        return true;
    size_t room = 2 * s->room + n + 64;
    char *p = arena_push(r->arena, room);
    uint8_t *marks = arena_push(r->arena, room);
    if (!p || !marks) {
        (void)render_full(r, 2 * room);
        return false;
    }
    if (s->n) {
        memcpy(p, s->p, s->n);
        memcpy(marks, s->foreign, s->n);
    }
    s->p = p;
    s->foreign = marks;
    s->room = room;
    return true;
}

bool sink_put(struct rendering *r, struct sink *s, struct text t) {
    if (!sink_reserve(r, s, t.n))
        return false;
    if (t.n) {
        memcpy(s->p + s->n, t.p, t.n);
        if (t.foreign)
            memcpy(s->foreign + s->n, t.foreign, t.n);
        else
            memset(s->foreign + s->n, 0, t.n);
    }
    s->n += t.n;
    return true;
}

bool sink_ours(struct rendering *r, struct sink *s, const char *text) {
    return sink_put(r, s, (struct text){text, NULL, strlen(text)});
}

struct datum sink_datum(const struct sink *s) {
    return datum_of_text((struct text){s->p ? s->p : "", s->foreign, s->n});
}

/* --- looking --- */

const char *datum_name(const struct datum *v) {
    static const char *const names[] = {
        "an undefined value", "none",   "a boolean", "an integer", "a float",
        "a string",           "a list", "a dict",    "the loop",   "a macro",
        "a function"};
    return names[v->kind];
}

bool datum_true(const struct datum *v) {
    switch (v->kind) {
    case DATUM_UNDEFINED:
    case DATUM_NULL: return false;
    case DATUM_BOOL: return v->b;
    case DATUM_INT: return v->i != 0;
    case DATUM_FLOAT: return v->f != 0;
    case DATUM_TEXT: return v->s.n > 0;
    case DATUM_LIST: return v->list->n > 0;
    case DATUM_DICT: return v->dict->n > 0 || v->dict->space;
    default: return true;
    }
}

bool datum_number(const struct datum *v, double *out) {
    switch (v->kind) {
    case DATUM_BOOL: *out = v->b; return true;
    case DATUM_INT: *out = (double)v->i; return true;
    case DATUM_FLOAT: *out = v->f; return true;
    default: return false;
    }
}

static bool dicts_equal(const struct dict *a, const struct dict *b, int depth) {
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++) {
        size_t k = 0;
        while (k < b->n && !datum_equal(&a->keys[i], &b->keys[k], depth + 1))
            k++;
        if (k == b->n || !datum_equal(&a->values[i], &b->values[k], depth + 1))
            return false;
    }
    return true;
}

bool datum_equal(const struct datum *a, const struct datum *b, int depth) {
    double x, y;
    if (depth > JINJA_DEPTH)
        return false;
    if (datum_number(a, &x) && datum_number(b, &y))
        return a->kind == DATUM_INT && b->kind == DATUM_INT ? a->i == b->i : x == y;
    if (a->kind != b->kind)
        return false;
    switch (a->kind) {
    case DATUM_TEXT: return str_eq(text_str(a->s), text_str(b->s));
    case DATUM_DICT: return dicts_equal(a->dict, b->dict, depth);
    case DATUM_LIST:
        if (a->list->n != b->list->n)
            return false;
        for (size_t i = 0; i < a->list->n; i++)
            if (!datum_equal(&a->list->v[i], &b->list->v[i], depth + 1))
                return false;
        return true;
    case DATUM_MACRO: return a->macro == b->macro;
    case DATUM_LOOP: return a->loop == b->loop;
    case DATUM_GLOBAL: return a->function == b->function;
    default: return true;
    }
}

bool datum_order(const struct datum *a, const struct datum *b, int *out) {
    double x, y;
    if (datum_number(a, &x) && datum_number(b, &y)) {
        *out = x < y ? -1 : x > y;
        return true;
    }
    if (a->kind != DATUM_TEXT || b->kind != DATUM_TEXT)
        return false;
    *out = str_cmp(text_str(a->s), text_str(b->s)); /* UTF-8 sorts as code points do */
    return true;
}

size_t text_length(struct text t) {
    size_t n = 0;
    for (size_t i = 0; i < t.n; i++)
        n += ((uint8_t)t.p[i] & 0xc0) != 0x80;
    return n;
}

struct text text_sub(struct text t, size_t from, size_t to) {
    if (to > t.n)
        to = t.n;
    if (from >= to)
        return (struct text){"", NULL, 0};
    return (struct text){t.p + from, t.foreign ? t.foreign + from : NULL, to - from};
}

enum code datum_items(struct rendering *r, const struct datum *v, struct list *out) {
    *out = (struct list){0};
    switch (v->kind) {
    case DATUM_UNDEFINED: return OK;
    case DATUM_LIST: *out = *v->list; return OK;
    case DATUM_DICT: *out = (struct list){v->dict->keys, v->dict->n, v->dict->n, false}; return OK;
    case DATUM_TEXT:
        TRY(render_step(r, v->s.n));
        for (size_t at = 0, end; at < v->s.n; at = end) {
            for (end = at + 1; end < v->s.n && ((uint8_t)v->s.p[end] & 0xc0) == 0x80;)
                end++;
            if (!list_add(out, datum_of_text(text_sub(v->s, at, end)), r->arena))
                return render_full(r, 64);
        }
        return OK;
    default: return render_fail(r, "%s cannot be walked through", datum_name(v));
    }
}

/* --- str() and repr() --- */

static bool put_float(struct rendering *r, double f, struct sink *out) {
    char text[SHORTEST_ROOM + 1], *end = shortest_f64(f, text);
    *end = '\0';
    if (f != f)
        return sink_ours(r, out, "nan");
    if (f - f != 0)
        return sink_ours(r, out, f > 0 ? "inf" : "-inf");
    char *e = strchr(text, 'e');
    if (!e)
        return sink_ours(r, out, text);
    /* Python writes at least two digits of an exponent, and its sign */
    char exponent[32];
    long n = strtol(e + 1, NULL, 10);
    *e = '\0';
    char *dot = strstr(text, ".0");
    if (dot && dot + 2 == e)
        *dot = '\0';
    snprintf(exponent, sizeof exponent, "e%c%02ld", n < 0 ? '-' : '+', labs(n));
    return sink_ours(r, out, text) && sink_ours(r, out, exponent);
}

static bool put_int(struct rendering *r, int64_t i, struct sink *out) {
    char text[SHORTEST_ROOM + 1];
    *shortest_i64(i, text) = '\0';
    return sink_ours(r, out, text);
}

static bool put_mark(struct rendering *r, char c, const struct text *from, size_t at,
                     struct sink *out) {
    return sink_put(r, out, (struct text){&c, from->foreign ? from->foreign + at : NULL, 1});
}

/* Quoted as repr() does: single quotes unless only double ones spare an escape. */
static bool put_repr(struct rendering *r, struct text t, struct sink *out) {
    bool single = t.n && memchr(t.p, '\'', t.n), twice = t.n && memchr(t.p, '"', t.n);
    const char *quote = single && !twice ? "\"" : "'";
    if (!sink_ours(r, out, quote))
        return false;
    for (size_t i = 0; i < t.n; i++) {
        char c = t.p[i], code[8];
        const char *escape = c == '\n'     ? "\\n"
                             : c == '\t'   ? "\\t"
                             : c == '\r'   ? "\\r"
                             : c == '\\'   ? "\\\\"
                             : c == *quote ? "\\'"
                                           : NULL;
        if (!escape && ((uint8_t)c < ' ' || c == 0x7f)) {
            snprintf(code, sizeof code, "\\x%02x", (uint8_t)c);
            escape = code;
        }
        for (size_t k = 0; k < (escape ? strlen(escape) : 1); k++)
            if (!put_mark(r, escape ? escape[k] : c, &t, i, out))
                return false;
    }
    return sink_ours(r, out, quote);
}

static enum code print_list(struct rendering *r, const struct list *l, struct sink *out) {
    bool ok = sink_ours(r, out, l->tuple ? "(" : "[");
    for (size_t i = 0; ok && i < l->n; i++) {
        ok = i == 0 || sink_ours(r, out, ", ");
        if (ok)
            TRY(datum_print(r, &l->v[i], true, out));
    }
    ok = ok && sink_ours(r, out, l->tuple ? (l->n == 1 ? ",)" : ")") : "]");
    return ok ? OK : r->e->code;
}

static enum code print_dict(struct rendering *r, const struct dict *d, struct sink *out) {
    bool ok = sink_ours(r, out, "{");
    for (size_t i = 0; ok && i < d->n; i++) {
        ok = i == 0 || sink_ours(r, out, ", ");
        if (!ok)
            break;
        TRY(datum_print(r, &d->keys[i], true, out));
        ok = sink_ours(r, out, ": ");
        if (ok)
            TRY(datum_print(r, &d->values[i], true, out));
    }
    ok = ok && sink_ours(r, out, "}");
    return ok ? OK : r->e->code;
}

enum code datum_print(struct rendering *r, const struct datum *v, bool repr, struct sink *out) {
    bool ok = true;
    TRY(render_step(r, 1));
    switch (v->kind) {
    case DATUM_UNDEFINED: break;
    case DATUM_NULL: ok = sink_ours(r, out, "None"); break;
    case DATUM_BOOL: ok = sink_ours(r, out, v->b ? "True" : "False"); break;
    case DATUM_INT: ok = put_int(r, v->i, out); break;
    case DATUM_FLOAT: ok = put_float(r, v->f, out); break;
    case DATUM_TEXT: ok = repr ? put_repr(r, v->s, out) : sink_put(r, out, v->s); break;
    case DATUM_LIST:
    case DATUM_DICT: {
        if (++r->depth > JINJA_DEPTH)
            return render_fail(r, "a value nested deeper than %d", JINJA_DEPTH);
        enum code code =
            v->kind == DATUM_LIST ? print_list(r, v->list, out) : print_dict(r, v->dict, out);
        r->depth--;
        return code;
    }
    default: return render_fail(r, "%s cannot be printed", datum_name(v));
    }
    return ok ? OK : r->e->code;
}

/* --- json.dumps() --- */

static bool put_json_char(struct rendering *r, const struct text *t, size_t at, bool ascii,
                          struct sink *out, size_t *bytes) {
    char code[16];
    uint8_t c = (uint8_t)t->p[at];
    uint32_t point = c;
    *bytes = 1;
    const char *escape = c == '"'    ? "\\\""
                         : c == '\\' ? "\\\\"
                         : c == '\n' ? "\\n"
                         : c == '\r' ? "\\r"
                         : c == '\t' ? "\\t"
                         : c == '\b' ? "\\b"
                         : c == '\f' ? "\\f"
                                     : NULL;
    if (c >= 0x80 && ascii) {
        size_t n = utf8_next((struct str){t->p + at, t->n - at}, &point);
        *bytes = n ? n : 1;
    }
    if (!escape && point >= 0x10000 && ascii) {
        point -= 0x10000;
        snprintf(code, sizeof code, "\\u%04x\\u%04x", 0xd800 + (point >> 10),
                 0xdc00 + (point & 0x3ff));
        escape = code;
    } else if (!escape && (c < 0x20 || (c >= 0x80 && ascii))) {
        snprintf(code, sizeof code, "\\u%04x", point);
        escape = code;
    }
    if (!escape)
        return put_mark(r, (char)c, t, at, out);
    for (; *escape; escape++)
        if (!put_mark(r, *escape, t, at, out))
            return false;
    return true;
}

static bool put_json_text(struct rendering *r, struct text t, bool ascii, struct sink *out) {
    if (!sink_ours(r, out, "\""))
        return false;
    for (size_t i = 0, bytes; i < t.n; i += bytes)
        if (!put_json_char(r, &t, i, ascii, out, &bytes))
            return false;
    return sink_ours(r, out, "\"");
}

static bool put_line(struct rendering *r, const struct json_style *s, int depth, struct sink *out) {
    if (s->indent < 0)
        return true;
    bool ok = sink_ours(r, out, "\n");
    for (int64_t i = 0; ok && i < s->indent * depth; i++)
        ok = sink_ours(r, out, " ");
    return ok;
}

/* Between two items; with an indent Python's separator loses its blank. */
static bool put_comma(struct rendering *r, const struct json_style *s, int depth, bool first,
                      struct sink *out) {
    return (first || sink_put(r, out, s->item)) && put_line(r, s, depth, out);
}

static int by_key(const void *a, const void *b) {
    const struct datum *x = *(const struct datum *const *)a, *y = *(const struct datum *const *)b;
    return str_cmp(text_str(x->s), text_str(y->s));
}

static enum code json_members(struct rendering *r, const struct dict *d, const struct json_style *s,
                              int depth, struct sink *out) {
    const struct datum **keys = ARENA_ARRAY(r->arena, d->n + 1, const struct datum *);
    if (!keys)
        return render_full(r, d->n * sizeof *keys);
    for (size_t i = 0; i < d->n; i++) {
        keys[i] = &d->keys[i];
        if (keys[i]->kind != DATUM_TEXT)
            return render_fail(r, "tojson: a key that is no string");
    }
    if (s->sorted)
        qsort(keys, d->n, sizeof *keys, by_key);
    for (size_t i = 0; i < d->n; i++) {
        if (!put_comma(r, s, depth + 1, i == 0, out) ||
            !put_json_text(r, keys[i]->s, s->ascii, out) || !sink_put(r, out, s->colon))
            return r->e->code;
        TRY(datum_json(r, &d->values[keys[i] - d->keys], s, depth + 1, out));
    }
    return d->n == 0 || put_line(r, s, depth, out) ? OK : r->e->code;
}

static enum code json_items(struct rendering *r, const struct list *l, const struct json_style *s,
                            int depth, struct sink *out) {
    for (size_t i = 0; i < l->n; i++) {
        if (!put_comma(r, s, depth + 1, i == 0, out))
            return r->e->code;
        TRY(datum_json(r, &l->v[i], s, depth + 1, out));
    }
    return l->n == 0 || put_line(r, s, depth, out) ? OK : r->e->code;
}

enum code datum_json(struct rendering *r, const struct datum *v, const struct json_style *s,
                     int depth, struct sink *out) {
    bool ok;
    TRY(render_step(r, 1));
    if (depth > JINJA_DEPTH)
        return render_fail(r, "a value nested deeper than %d", JINJA_DEPTH);
    switch (v->kind) {
    case DATUM_NULL: ok = sink_ours(r, out, "null"); break;
    case DATUM_BOOL: ok = sink_ours(r, out, v->b ? "true" : "false"); break;
    case DATUM_INT: ok = put_int(r, v->i, out); break;
    case DATUM_FLOAT: ok = put_float(r, v->f, out); break;
    case DATUM_TEXT: ok = put_json_text(r, v->s, s->ascii, out); break;
    case DATUM_LIST:
        if (!sink_ours(r, out, "["))
            return r->e->code;
        TRY(json_items(r, v->list, s, depth, out));
        ok = sink_ours(r, out, "]");
        break;
    case DATUM_DICT:
        if (!sink_ours(r, out, "{"))
            return r->e->code;
        TRY(json_members(r, v->dict, s, depth, out));
        ok = sink_ours(r, out, "}");
        break;
    default: return render_fail(r, "tojson: %s is not JSON", datum_name(v));
    }
    return ok ? OK : r->e->code;
}
