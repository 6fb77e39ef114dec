/* SPDX-License-Identifier: Apache-2.0 */
/* JSON schemas to grammars: see schema.h. A schema object is read into its keywords (raw JSON
 * texts, in any order), then written as one rule; what it holds becomes rules of their own. */
#include "llm/schema.h"

#include "base/json.h"
#include "base/map.h"
#include "base/mem.h"
#include "llm/schema_text.h"

enum { PARTS = 16, POINTER = 512 };

enum type { /* bits */
            TYPE_NULL = 1,
            TYPE_BOOL = 2,
            TYPE_INTEGER = 4,
            TYPE_NUMBER = 8,
            TYPE_STRING = 16,
            TYPE_ARRAY = 32,
            TYPE_OBJECT = 64,
            TYPE_ANY = 127
};

struct schema {
    struct schema_names names;
    struct map refs; /* pointer (within the root) -> struct str *, its rule */
    struct str root;
    int depth;
};

struct property {
    struct str name, schema;
    bool required;
};

struct keywords {
    unsigned types; /* 0: not said */
    struct str all_properties[PARTS], all_required[PARTS];
    int n_properties, n_required;
    struct str additional, items, prefix_items, enumeration, constant, any_of, one_of, reference,
        pattern, format;
    int64_t min_items, max_items, min_length, max_length, low, high;
    bool has_low, has_high, nullable;
};

static enum code put_schema(struct schema *s, struct str json, struct str *rule, struct err *e);

/* --- reading keywords --- */

static enum code take_type(struct json *j, unsigned *types, struct err *e) {
    static const char *const names[] = {"null",   "boolean", "integer", "number",
                                        "string", "array",   "object"};
    struct str name;
    TRY(json_string(j, &name, e));
    for (unsigned i = 0; i < 7; i++)
        if (str_is(name, names[i])) {
            *types |= 1u << i;
            return OK;
        }
    return json_fail(j, e, "type '%.*s' is unknown", STR(str_sub(name, 0, 60)));
}

static enum code take_types(struct json *j, unsigned *types, struct err *e) {
    bool more;
    *types = 0;
    if (json_peek(j) != JSON_ARRAY)
        return take_type(j, types, e);
    TRY(json_enter_array(j, e));
    for (;;) {
        TRY(json_next_item(j, &more, e));
        if (!more)
            return *types ? OK : json_fail(j, e, "type is an empty list");
        TRY(take_type(j, types, e));
    }
}

static enum code take_length(struct json *j, int64_t *out, struct err *e) {
    TRY(json_i64(j, out, e));
    return *out >= 0 ? OK : json_fail(j, e, "must not be negative");
}

/* A bound may be written 1.0, or be no whole number: then it is moved inwards. */
static enum code take_bound(struct json *j, int64_t step, bool low, bool *has, int64_t *out,
                            struct err *e) {
    double v;
    TRY(json_f64(j, &v, e));
    if (v < -9e15 || v > 9e15)
        return json_fail(j, e, "a bound is over 9e15");
    int64_t whole = (int64_t)v;
    bool exact = (double)whole == v;
    if (!exact && low && v > 0)
        whole++;
    if (!exact && !low && v < 0)
        whole--;
    whole += exact ? step : 0;
    if (!*has || (low ? whole > *out : whole < *out))
        *out = whole;
    *has = true;
    return OK;
}

static enum code add_part(struct json *j, struct str *parts, int *n, const char *what,
                          struct err *e) {
    if (*n == PARTS)
        return json_fail(j, e, "allOf joins more than %d %s", PARTS, what);
    return json_skip(j, &parts[(*n)++], e);
}

static bool is_annotation(struct str key) {
    static const char *const known[] = {
        "title",     "description",   "default",  "examples",    "example",
        "$schema",   "$id",           "$comment", "deprecated",  "readOnly",
        "writeOnly", "definitions",   "$defs",    "$anchor",     "strict",
        "name",      "discriminator", "xml",      "externalDocs"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (str_is(key, known[i]))
            return true;
    return str_starts(key, "x-");
}

static enum code read_schema(struct schema *s, struct str json, struct keywords *k, struct err *e);

static enum code take_all(struct schema *s, struct json *j, struct keywords *k, struct err *e) {
    struct str part;
    bool more;
    TRY(json_enter_array(j, e));
    for (;;) {
        TRY(json_next_item(j, &more, e));
        if (!more)
            return OK;
        TRY(json_skip(j, &part, e));
        TRY(read_schema(s, part, k, e));
    }
}

static enum code find_reference(const struct schema *s, struct str pointer, struct str *out,
                                struct err *e);

/* Members of a schema that is part of another (allOf): a reference is read in place. */
static enum code take_reference(struct schema *s, struct json *j, struct keywords *k, bool inner,
                                struct err *e) {
    struct str pointer, target;
    TRY(json_string(j, &pointer, e));
    if (!inner) {
        k->reference = pointer;
        return OK;
    }
    TRY(find_reference(s, pointer, &target, e));
    return read_schema(s, target, k, e);
}

static enum code take_raw(struct json *j, struct str *out, const char *name, struct err *e) {
    if (out->n)
        return json_fail(j, e, "allOf says '%s' twice", name);
    return json_skip(j, out, e);
}

static enum code take_keyword(struct schema *s, struct json *j, struct str key, struct keywords *k,
                              bool inner, struct err *e) {
    static const struct {
        const char *name;
        size_t offset;
    } raws[] = {{"additionalProperties", offsetof(struct keywords, additional)},
                {"items", offsetof(struct keywords, items)},
                {"prefixItems", offsetof(struct keywords, prefix_items)},
                {"enum", offsetof(struct keywords, enumeration)},
                {"const", offsetof(struct keywords, constant)},
                {"anyOf", offsetof(struct keywords, any_of)},
                {"oneOf", offsetof(struct keywords, one_of)}};
    for (size_t i = 0; i < sizeof raws / sizeof *raws; i++)
        if (str_is(key, raws[i].name))
            return take_raw(j, (struct str *)(void *)((char *)k + raws[i].offset), raws[i].name, e);
    if (str_is(key, "type"))
        return take_types(j, &k->types, e);
    if (str_is(key, "properties"))
        return add_part(j, k->all_properties, &k->n_properties, "properties", e);
    if (str_is(key, "required"))
        return add_part(j, k->all_required, &k->n_required, "required", e);
    if (str_is(key, "$ref"))
        return take_reference(s, j, k, inner, e);
    if (str_is(key, "allOf"))
        return take_all(s, j, k, e);
    if (str_is(key, "pattern"))
        return json_string(j, &k->pattern, e);
    if (str_is(key, "format"))
        return json_string(j, &k->format, e);
    if (str_is(key, "minItems"))
        return take_length(j, &k->min_items, e);
    if (str_is(key, "maxItems"))
        return take_length(j, &k->max_items, e);
    if (str_is(key, "minLength"))
        return take_length(j, &k->min_length, e);
    if (str_is(key, "maxLength"))
        return take_length(j, &k->max_length, e);
    if (str_is(key, "minimum") || str_is(key, "exclusiveMinimum"))
        return take_bound(j, str_is(key, "minimum") ? 0 : 1, true, &k->has_low, &k->low, e);
    if (str_is(key, "maximum") || str_is(key, "exclusiveMaximum"))
        return take_bound(j, str_is(key, "maximum") ? 0 : -1, false, &k->has_high, &k->high, e);
    if (str_is(key, "nullable"))
        return json_bool(j, &k->nullable, e);
    if (is_annotation(key))
        return json_skip(j, NULL, e);
    return fail(e, INVALID, "keyword '%.*s' is not supported", STR(str_sub(key, 0, 60)));
}

static enum code read_members(struct schema *s, struct str json, struct keywords *k, bool inner,
                              struct err *e) {
    struct json j;
    struct str key;
    bool more;
    json_init(&j, json, s->names.arena);
    if (json_peek(&j) != JSON_OBJECT)
        return json_fail(&j, e, "a schema must be an object");
    TRY(json_enter_object(&j, e));
    for (;;) {
        TRY(json_next_key(&j, &key, &more, e));
        if (!more)
            return json_end(&j, e);
        TRY(take_keyword(s, &j, key, k, inner, e));
    }
}

static enum code read_schema(struct schema *s, struct str json, struct keywords *k, struct err *e) {
    if (++s->depth > SCHEMA_DEPTH)
        return fail(e, INVALID, "schemas nest deeper than %d", SCHEMA_DEPTH);
    TRY(read_members(s, json, k, true, e));
    s->depth--;
    return OK;
}

/* --- references --- */

static enum code member_of(const struct schema *s, struct str json, struct str key, struct str *out,
                           bool *found, struct err *e) {
    struct json j;
    struct str name;
    bool more;
    *found = false;
    json_init(&j, json, s->names.arena);
    if (json_peek(&j) != JSON_OBJECT)
        return OK;
    TRY(json_enter_object(&j, e));
    for (;;) {
        TRY(json_next_key(&j, &name, &more, e));
        if (!more)
            return OK;
        struct str raw;
        TRY(json_skip(&j, &raw, e));
        if (str_eq(name, key)) {
            *out = raw;
            *found = true;
        }
    }
}

/* RFC 6901: "~1" is '/', "~0" is '~'. */
static size_t unescape_pointer(struct str part, char *out) {
    size_t n = 0;
    for (size_t i = 0; i < part.n && n < POINTER; i++) {
        char c = part.p[i];
        if (c == '~' && i + 1 < part.n)
            c = part.p[++i] == '1' ? '/' : '~';
        out[n++] = c;
    }
    return n;
}

static enum code find_reference(const struct schema *s, struct str pointer, struct str *out,
                                struct err *e) {
    struct str at = s->root, rest;
    if (pointer.n == 0 || pointer.p[0] != '#' || pointer.n > POINTER)
        return fail(e, INVALID, "$ref '%.*s' is not supported: only references within the schema",
                    STR(str_sub(pointer, 0, 100)));
    rest = str_sub(pointer, 1, pointer.n);
    while (rest.n) {
        char key[POINTER];
        size_t end;
        bool found;
        rest = str_sub(rest, 1, rest.n); /* '/' */
        if (!str_find(rest, '/', &end))
            end = rest.n;
        size_t n = unescape_pointer(str_sub(rest, 0, end), key);
        TRY(member_of(s, at, (struct str){key, n}, &at, &found, e));
        if (!found)
            return fail(e, INVALID, "$ref '%.*s' leads nowhere", STR(str_sub(pointer, 0, 100)));
        rest = str_sub(rest, end, rest.n);
    }
    *out = at;
    return OK;
}

static enum code put_reference(struct schema *s, struct str pointer, struct str *rule,
                               struct err *e) {
    const struct str *known = map_get(&s->refs, pointer);
    struct str target;
    if (known) {
        *rule = *known;
        return OK;
    }
    TRY(find_reference(s, pointer, &target, e));
    struct str *name = ARENA_NEW(s->names.arena, struct str);
    struct str key = arena_str(s->names.arena, pointer);
    if (!name || !key.p)
        return arena_fail(s->names.arena, pointer.n, "schema", e);
    *name = schema_text_name(&s->names, "r");
    TRY(map_put(&s->refs, key, name, e)); /* before its rule: it may refer to itself */
    *rule = *name;
    struct str inner;
    TRY(put_schema(s, target, &inner, e));
    buf_printf(s->names.out, "%.*s ::= %.*s\n", STR(*name), STR(inner));
    return OK;
}

/* --- writing: every function appends to `line`, the right side of the schema's rule --- */

static void put_or(struct buf *line, bool *any) {
    buf_put_text(line, *any ? " | " : "");
    *any = true;
}

/* A JSON value as text that no white space or escape makes longer than it need be. */
static enum code canonical(struct schema *s, struct json *j, struct str *out, struct err *e) {
    struct str text;
    struct json_out w;
    struct buf b;
    if (json_peek(j) != JSON_STRING)
        return json_skip(j, out, e);
    TRY(json_string(j, &text, e));
    buf_init(&b, SIZE_MAX / 2);
    json_out_init(&w, &b, 0);
    json_put_str(&w, text);
    *out = arena_str(s->names.arena, buf_str(&b));
    buf_deinit(&b);
    return out->p ? OK : arena_fail(s->names.arena, text.n, "schema", e);
}

static enum code put_enum(struct schema *s, struct str json, struct buf *line, struct err *e) {
    struct json j;
    struct str rule, *words = NULL;
    size_t n = 0, room = 0;
    bool more = true;
    enum code code;
    json_init(&j, json, s->names.arena);
    code = json_enter_array(&j, e);
    while (code == OK && (code = json_next_item(&j, &more, e)) == OK && more) {
        if (n == room) {
            room = room ? room * 2 : 16;
            struct str *p = room <= SCHEMA_ENUM ? mem_realloc(words, room * sizeof *p) : NULL;
            if (!p) {
                code = fail(e, INVALID, "enum has more than %d values", SCHEMA_ENUM / 2);
                break;
            }
            words = p;
        }
        code = canonical(s, &j, &words[n++], e);
    }
    if (code == OK && n == 0)
        code = fail(e, INVALID, "enum is empty");
    if (code == OK)
        code = schema_text_words(&s->names, words, n, &rule, e);
    mem_free(words);
    if (code == OK)
        buf_put_str(line, rule);
    return code;
}

static enum code put_constant(struct schema *s, struct str json, struct buf *line, struct err *e) {
    struct json j;
    struct str text;
    json_init(&j, json, s->names.arena);
    TRY(canonical(s, &j, &text, e));
    schema_text_literal(line, text);
    return OK;
}

static void put_count(struct buf *line, int64_t min, int64_t max) {
    if (max < 0)
        buf_printf(line, "{%lld,}", (long long)min);
    else
        buf_printf(line, "{%lld,%lld}", (long long)min, (long long)max);
}

static enum code put_string(const struct keywords *k, struct buf *line, struct err *e) {
    if (k->max_length >= 0 && k->max_length < k->min_length)
        return fail(e, INVALID, "maxLength is less than minLength");
    buf_put_text(line, "\"\\\"\" ");
    if (k->pattern.n) {
        if (k->min_length || k->max_length >= 0)
            return fail(e, INVALID,
                        "pattern together with minLength or maxLength is not supported");
        TRY(schema_text_pattern(line, k->pattern, e));
    } else if (!k->format.n || !schema_text_format(line, k->format)) {
        buf_put_text(line, "char");
        put_count(line, k->min_length, k->max_length);
    }
    buf_put_text(line, " \"\\\"\"");
    return OK;
}

static enum code put_tuple(struct schema *s, const struct keywords *k, struct str rest,
                           struct buf *line, struct err *e) {
    struct json j;
    struct str item, rule;
    int64_t n = 0;
    bool more;
    json_init(&j, k->prefix_items, s->names.arena);
    TRY(json_enter_array(&j, e));
    buf_put_text(line, "\"[\" ws");
    for (;; n++) {
        TRY(json_next_item(&j, &more, e));
        if (!more)
            break;
        TRY(json_skip(&j, &item, e));
        TRY(put_schema(s, item, &rule, e));
        buf_printf(line, "%s %.*s", n ? " \",\" ws" : "", STR(rule));
    }
    if (k->min_items > n && !rest.n)
        return fail(e, INVALID, "minItems is over the number of prefixItems");
    if (rest.n) {
        buf_printf(line, " (\",\" ws %.*s)", STR(rest));
        put_count(line, k->min_items > n ? k->min_items - n : 0,
                  k->max_items < 0   ? -1
                  : k->max_items > n ? k->max_items - n
                                     : 0);
    }
    buf_put_text(line, " ws \"]\"");
    return OK;
}

static enum code put_array(struct schema *s, const struct keywords *k, struct buf *line,
                           struct err *e) {
    struct str item = LIT("value");
    bool none = str_is(k->items, "false");
    if (k->max_items >= 0 && k->max_items < k->min_items)
        return fail(e, INVALID, "maxItems is less than minItems");
    if (k->items.n && !none && !str_is(k->items, "true"))
        TRY(put_schema(s, k->items, &item, e));
    if (k->prefix_items.n)
        return put_tuple(s, k, k->items.n && !none ? item : (struct str){0}, line, e);
    if (none || k->max_items == 0) {
        buf_put_text(line, "\"[\" ws \"]\"");
        return OK;
    }
    buf_printf(line, "\"[\" ws %s%.*s (\",\" ws %.*s)", k->min_items ? "" : "(", STR(item),
               STR(item));
    put_count(line, k->min_items > 1 ? k->min_items - 1 : 0,
              k->max_items < 0 ? -1 : k->max_items - 1);
    buf_printf(line, "%s ws \"]\"", k->min_items ? "" : ")?");
    return OK;
}

/* --- objects --- */

static enum code find_required(const struct schema *s, const struct keywords *k, struct property *p,
                               size_t n, struct err *e) {
    for (int r = 0; r < k->n_required; r++) {
        struct json j;
        struct str name;
        bool more;
        json_init(&j, k->all_required[r], s->names.arena);
        TRY(json_enter_array(&j, e));
        for (;;) {
            bool known = false;
            TRY(json_next_item(&j, &more, e));
            if (!more)
                break;
            TRY(json_string(&j, &name, e));
            for (size_t i = 0; i < n; i++)
                if (str_eq(p[i].name, name))
                    known = p[i].required = true;
            if (!known)
                return fail(e, INVALID, "required names '%.*s', which is not among the properties",
                            STR(str_sub(name, 0, 100)));
        }
    }
    return OK;
}

static enum code read_properties(const struct schema *s, const struct keywords *k,
                                 struct property *p, size_t *n, struct err *e) {
    *n = 0;
    for (int r = 0; r < k->n_properties; r++) {
        struct json j;
        struct str name;
        bool more;
        json_init(&j, k->all_properties[r], s->names.arena);
        TRY(json_enter_object(&j, e));
        for (;;) {
            size_t at = 0;
            TRY(json_next_key(&j, &name, &more, e));
            if (!more)
                break;
            while (at < *n && !str_eq(p[at].name, name))
                at++;
            if (at < *n)
                return fail(e, INVALID, "property '%.*s' is there twice",
                            STR(str_sub(name, 0, 100)));
            if (*n == SCHEMA_PROPERTIES)
                return fail(e, INVALID, "more than %d properties", SCHEMA_PROPERTIES);
            p[*n] = (struct property){.name = name};
            TRY(json_skip(&j, &p[(*n)++].schema, e));
        }
    }
    return find_required(s, k, p, *n, e);
}

/* "name": value as a rule */
static enum code put_property(struct schema *s, const struct property *p, struct str *rule,
                              struct err *e) {
    struct json_out w;
    struct str value;
    struct buf name;
    TRY(put_schema(s, p->schema, &value, e));
    *rule = schema_text_name(&s->names, "p");
    buf_init(&name, SIZE_MAX / 2);
    json_out_init(&w, &name, 0);
    json_put_str(&w, p->name);
    buf_put_byte(&name, ':');
    buf_printf(s->names.out, "%.*s ::= ", STR(*rule));
    schema_text_literal(s->names.out, buf_str(&name));
    buf_printf(s->names.out, " ws %.*s\n", STR(value));
    buf_deinit(&name);
    return OK;
}

/* The rule of one property more that the schema does not name; .n == 0: there may be none. */
static enum code put_additional(struct schema *s, const struct keywords *k,
                                const struct property *p, size_t n, struct str *rule,
                                struct err *e) {
    struct str value = LIT("value"), key, words[SCHEMA_PROPERTIES];
    *rule = (struct str){0};
    if (str_is(k->additional, "false") || (!k->additional.n && n))
        return OK;
    if (k->additional.n && !str_is(k->additional, "true"))
        TRY(put_schema(s, k->additional, &value, e));
    for (size_t i = 0; i < n; i++)
        words[i] = p[i].name;
    TRY(schema_text_others(&s->names, words, n, &key, e));
    *rule = schema_text_name(&s->names, "a");
    buf_printf(s->names.out, "%.*s ::= \"\\\"\" %.*s \"\\\":\" ws %.*s\n", STR(*rule), STR(key),
               STR(value));
    return OK;
}

/* Two chains of rules over the properties from the last to the first: `first` when nothing is
 * written yet, `then` behind something. */
static enum code put_object(struct schema *s, const struct keywords *k, struct buf *line,
                            struct err *e) {
    struct property *p = ARENA_ARRAY(s->names.arena, SCHEMA_PROPERTIES, struct property);
    struct str more, rule, first = LIT("\"\""), then = LIT("\"\"");
    size_t n;
    if (!p)
        return arena_fail(s->names.arena, SCHEMA_PROPERTIES * sizeof *p, "schema", e);
    TRY(read_properties(s, k, p, &n, e));
    TRY(put_additional(s, k, p, n, &more, e));
    struct buf *out = s->names.out;
    if (more.n) {
        then = schema_text_name(&s->names, "t");
        first = schema_text_name(&s->names, "f");
        buf_printf(out, "%.*s ::= (\",\" ws %.*s)*\n%.*s ::= (%.*s %.*s)?\n", STR(then), STR(more),
                   STR(first), STR(more), STR(then));
    }
    for (size_t i = n; i-- > 0;) {
        TRY(put_property(s, &p[i], &rule, e));
        struct str a = schema_text_name(&s->names, "f"), b = schema_text_name(&s->names, "t");
        if (!a.p || !b.p)
            return arena_fail(s->names.arena, 16, "schema", e);
        buf_printf(out, "%.*s ::= %.*s %.*s", STR(a), STR(rule), STR(then));
        if (!p[i].required)
            buf_printf(out, " | %.*s", STR(first));
        buf_printf(out, "\n%.*s ::= (\",\" ws %.*s)%s %.*s\n", STR(b), STR(rule),
                   p[i].required ? "" : "?", STR(then));
        first = a;
        then = b;
    }
    buf_printf(line, "\"{\" ws %.*s ws \"}\"", STR(first));
    return buf_check(out, "grammar of a schema", e);
}

/* --- alternatives --- */

/* Kinds of values a schema may have, by its type alone; integers are numbers, too. */
static enum code kinds_of(struct schema *s, struct str json, unsigned *types, struct err *e) {
    struct keywords k = {0};
    struct json j;
    TRY(read_schema(s, json, &k, e));
    *types = k.types ? k.types : TYPE_ANY;
    if (k.constant.n) {
        static const unsigned of[] = {[JSON_NULL] = TYPE_NULL,
                                      [JSON_BOOL] = TYPE_BOOL,
                                      [JSON_NUMBER] = TYPE_NUMBER,
                                      [JSON_STRING] = TYPE_STRING,
                                      [JSON_ARRAY] = TYPE_ARRAY,
                                      [JSON_OBJECT] = TYPE_OBJECT,
                                      [JSON_END] = 0,
                                      [JSON_BAD] = 0};
        json_init(&j, k.constant, s->names.arena);
        *types = of[json_peek(&j)];
    }
    if (*types & TYPE_INTEGER)
        *types |= TYPE_NUMBER;
    if (k.n_properties && !k.types)
        *types = TYPE_OBJECT;
    return OK;
}

/* Both objects require a property whose constants differ. */
static enum code told_apart(struct schema *s, struct str a, struct str b, bool *yes,
                            struct err *e) {
    struct keywords ka = {0}, kb = {0};
    struct property *pa = ARENA_ARRAY(s->names.arena, SCHEMA_PROPERTIES, struct property);
    struct property *pb = ARENA_ARRAY(s->names.arena, SCHEMA_PROPERTIES, struct property);
    size_t na, nb;
    *yes = false;
    if (!pa || !pb)
        return arena_fail(s->names.arena, sizeof *pa, "schema", e);
    TRY(read_schema(s, a, &ka, e));
    TRY(read_schema(s, b, &kb, e));
    if (ka.constant.n && kb.constant.n) {
        *yes = !str_eq(ka.constant, kb.constant);
        return OK;
    }
    TRY(read_properties(s, &ka, pa, &na, e));
    TRY(read_properties(s, &kb, pb, &nb, e));
    for (size_t i = 0; i < na; i++)
        for (size_t q = 0; q < nb; q++) {
            struct str x, y;
            bool has_x, has_y;
            if (!str_eq(pa[i].name, pb[q].name) || !pa[i].required || !pb[q].required)
                continue;
            TRY(member_of(s, pa[i].schema, LIT("const"), &x, &has_x, e));
            TRY(member_of(s, pb[q].schema, LIT("const"), &y, &has_y, e));
            *yes = *yes || (has_x && has_y && !str_eq(x, y));
        }
    return OK;
}

static enum code check_exclusive(struct schema *s, const struct str *all, size_t n, struct err *e) {
    for (size_t i = 0; i < n; i++)
        for (size_t q = i + 1; q < n; q++) {
            unsigned a, b;
            bool apart;
            TRY(kinds_of(s, all[i], &a, e));
            TRY(kinds_of(s, all[q], &b, e));
            if ((a & b) == 0)
                continue;
            TRY(told_apart(s, all[i], all[q], &apart, e));
            if (!apart)
                return fail(e, INVALID,
                            "oneOf: branches %zu and %zu may both hold; use anyOf, or give each a "
                            "required property with its own const",
                            i, q);
        }
    return OK;
}

static enum code put_branches(struct schema *s, struct str json, bool exclusive, struct buf *line,
                              struct err *e) {
    enum { BRANCHES = 256 };
    struct json j;
    struct str all[BRANCHES], rule;
    size_t n = 0;
    bool more, any = false;
    json_init(&j, json, s->names.arena);
    TRY(json_enter_array(&j, e));
    for (;; n++) {
        TRY(json_next_item(&j, &more, e));
        if (!more)
            break;
        if (n == BRANCHES)
            return fail(e, INVALID, "more than %d branches", BRANCHES);
        TRY(json_skip(&j, &all[n], e));
    }
    if (n == 0)
        return fail(e, INVALID, "anyOf and oneOf must not be empty");
    if (exclusive)
        TRY(check_exclusive(s, all, n, e));
    for (size_t i = 0; i < n; i++) {
        TRY(put_schema(s, all[i], &rule, e));
        put_or(line, &any);
        buf_put_str(line, rule);
    }
    return OK;
}

/* What the keywords say of the type when "type" does not. */
static unsigned guess_types(const struct keywords *k) {
    unsigned types = 0;
    if (k->n_properties || k->n_required || k->additional.n)
        types |= TYPE_OBJECT;
    if (k->items.n || k->prefix_items.n || k->min_items || k->max_items >= 0)
        types |= TYPE_ARRAY;
    if (k->pattern.n || k->format.n || k->min_length || k->max_length >= 0)
        types |= TYPE_STRING;
    if (k->has_low || k->has_high)
        types |= TYPE_INTEGER;
    return types;
}

static enum code put_numbers(const struct keywords *k, unsigned types, struct buf *line,
                             struct err *e) {
    bool bounded = k->has_low || k->has_high;
    if ((types & TYPE_NUMBER) && bounded)
        return fail(e, INVALID,
                    "keyword 'minimum' or 'maximum' is supported for integers, not for numbers");
    if (!bounded) {
        buf_put_text(line, types & TYPE_NUMBER ? "number" : "integer");
        return OK;
    }
    if (k->has_low && k->has_high && k->low > k->high)
        return fail(e, INVALID, "no integer is from minimum to maximum");
    schema_text_range(line, k->has_low, k->low, k->has_high, k->high);
    return OK;
}

static enum code put_types(struct schema *s, const struct keywords *k, struct buf *line,
                           struct err *e) {
    unsigned types = k->types ? k->types : guess_types(k);
    bool any = false;
    if (types == 0) {
        buf_put_text(line, "value");
        return OK;
    }
    if (types & TYPE_OBJECT) {
        put_or(line, &any);
        TRY(put_object(s, k, line, e));
    }
    if (types & TYPE_ARRAY) {
        put_or(line, &any);
        TRY(put_array(s, k, line, e));
    }
    if (types & TYPE_STRING) {
        put_or(line, &any);
        TRY(put_string(k, line, e));
    }
    if (types & (TYPE_NUMBER | TYPE_INTEGER)) {
        put_or(line, &any);
        TRY(put_numbers(k, types, line, e));
    }
    if (types & TYPE_BOOL) {
        put_or(line, &any);
        buf_put_text(line, "\"true\" | \"false\"");
    }
    if (types & TYPE_NULL) {
        put_or(line, &any);
        buf_put_text(line, "\"null\"");
    }
    return OK;
}

static enum code put_body(struct schema *s, const struct keywords *k, struct buf *line,
                          struct err *e) {
    struct str rule;
    if (k->reference.n) {
        TRY(put_reference(s, k->reference, &rule, e));
        buf_put_str(line, rule);
    } else if (k->enumeration.n) {
        TRY(put_enum(s, k->enumeration, line, e));
    } else if (k->constant.n) {
        TRY(put_constant(s, k->constant, line, e));
    } else if (k->any_of.n || k->one_of.n) {
        if (guess_types(k))
            return fail(e, INVALID,
                        "anyOf or oneOf beside other constraints is not supported: put them into "
                        "the branches");
        TRY(put_branches(s, k->any_of.n ? k->any_of : k->one_of, k->one_of.n > 0, line, e));
    } else {
        TRY(put_types(s, k, line, e));
    }
    if (k->nullable)
        buf_put_text(line, " | \"null\"");
    return OK;
}

static enum code put_schema(struct schema *s, struct str json, struct str *rule, struct err *e) {
    struct keywords k = {.max_items = -1, .max_length = -1};
    struct buf line;
    if (str_is(json, "true")) {
        *rule = LIT("value");
        return OK;
    }
    if (str_is(json, "false"))
        return fail(e, INVALID, "the schema 'false' matches nothing");
    if (++s->depth > SCHEMA_DEPTH)
        return fail(e, INVALID, "schemas nest deeper than %d", SCHEMA_DEPTH);
    TRY(read_members(s, json, &k, false, e));
    *rule = schema_text_name(&s->names, "s");
    if (!rule->p)
        return arena_fail(s->names.arena, 16, "schema", e);
    buf_init(&line, s->names.out->cap_bytes);
    enum code code = put_body(s, &k, &line, e);
    if (code == OK) {
        buf_printf(s->names.out, "%.*s ::= %.*s\n", STR(*rule), STR(buf_str(&line)));
        code = buf_check(s->names.out, "grammar of a schema", e);
    }
    buf_deinit(&line);
    s->depth--;
    return code;
}

/* --- outwards --- */

static const char shared_rules[] =
    "ws ::= (\" \" | \"\\n\" [ \\t]{0,20})?\n"
    "hex ::= [0-9a-fA-F]\n"
    "plain ::= [^\"\\\\\\x00-\\x1F\\x7F]\n"
    "char ::= plain | \"\\\\\" ([\"\\\\/bfnrt] | \"u\" ([0-9a-cA-CefEF] hex{3} | [dD] [0-7] "
    "hex{2}))\n"
    "string ::= \"\\\"\" char* \"\\\"\"\n"
    "integer ::= \"-\"? (\"0\" | [1-9] [0-9]{0,15})\n"
    "number ::= integer (\".\" [0-9]{1,16})? ([eE] [+\\-]? [0-9]{1,2})?\n"
    "object ::= \"{\" ws (member (\",\" ws member)*)? ws \"}\"\n"
    "member ::= string \":\" ws value\n"
    "array ::= \"[\" ws (value (\",\" ws value)*)? ws \"]\"\n"
    "value ::= object | array | string | number | \"true\" | \"false\" | \"null\"\n";

enum code schema_begin(struct buf *out, struct arena *a, struct schema **s, struct err *e) {
    struct schema *k = ARENA_NEW(a, struct schema);
    if (!k)
        return arena_fail(a, sizeof *k, "schema", e);
    k->names = (struct schema_names){.out = out, .arena = a};
    map_init(&k->refs, a);
    *s = k;
    return OK;
}

enum code schema_add(struct schema *s, struct str json, struct str *rule, struct err *e) {
    s->root = json;
    s->depth = 0;
    map_init(&s->refs, s->names.arena);
    return put_schema(s, json, rule, e) == OK ? OK : err_prefix(e, "schema");
}

enum code schema_add_object(struct schema *s, struct str *rule, struct err *e) {
    (void)s;
    (void)e;
    *rule = LIT("object");
    return OK;
}

enum code schema_end(struct schema *s, struct err *e) {
    buf_put_text(s->names.out, shared_rules);
    return buf_check(s->names.out, "grammar of a schema", e);
}

enum code schema_grammar(struct str json, struct buf *out, struct err *e) {
    enum { ARENA_BYTES = 64 << 20 };
    struct schema *s = NULL;
    struct arena a;
    struct str rule;
    arena_init(&a, ARENA_BYTES);
    enum code code = schema_begin(out, &a, &s, e);
    if (code == OK)
        code = schema_add(s, json, &rule, e);
    if (code == OK) {
        buf_printf(out, "root ::= %.*s\n", STR(rule));
        code = schema_end(s, e);
    }
    arena_deinit(&a);
    return code;
}

enum code schema_any_object(struct buf *out, struct err *e) {
    buf_put_text(out, shared_rules);
    buf_put_text(out, "root ::= object\n");
    return buf_check(out, "grammar", e);
}
