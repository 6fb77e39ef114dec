/* SPDX-License-Identifier: Apache-2.0 */
/* GBNF to rules over bytes: see grammar.h. Groups, repeated items and classes beyond ASCII become
 * rules of their own; code points become the byte sequences of their UTF-8.
 *
 * Checked at the end: every name defined, no rule that can begin with itself, no rule without an
 * end. */
#include "llm/grammar_in.h"

#include "base/buf.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/utf8.h"

#include <stdarg.h>

enum { CLASS_RANGES = 512, NAME_MAX_BYTES = 200, SETS_MAX = 1 << 14 };

struct reader {
    struct grammar *g;
    const char *p, *end, *begin;
    int depth;
    struct str name; /* of the rule being read */
    int32_t *table;  /* (table_mask + 1) owned: rule index + 1 by hash of its name */
    size_t table_mask;
};

static enum code PRINTF_LIKE(3, 4)
    wrong(const struct reader *r, struct err *e, const char *format, ...) {
    char text[300];
    int line = 1, column = 1;
    va_list args;
    for (const char *p = r->begin; p < r->p && p < r->end; p++) {
        column = *p == '\n' ? 1 : column + 1;
        line += *p == '\n';
    }
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return fail(e, INVALID, "grammar line %d column %d: %s", line, column, text);
}

/* --- growing arrays --- */

static bool grow(void **array, size_t *room, size_t n, size_t bytes, size_t most) {
    if (n < *room)
        return true;
    size_t more = *room ? *room * 2 : 64;
    if (n >= most)
        return false;
    void *p = mem_realloc(*array, more * bytes);
    if (!p)
        return false;
    *array = p;
    *room = more;
    return true;
}

static enum code add_part(struct reader *r, struct part part, struct err *e) {
    struct grammar *g = r->g;
    if (!grow((void **)&g->parts, &g->room_parts, g->n_parts, sizeof part, GRAMMAR_PARTS))
        return wrong(r, e, "more than %d elements", GRAMMAR_PARTS);
    g->parts[g->n_parts++] = part;
    return OK;
}

static enum code add_rule(struct reader *r, struct str name, int32_t *out, struct err *e) {
    struct grammar *g = r->g;
    if (!grow((void **)&g->rules, &g->room_rules, g->n_rules, sizeof *g->rules, GRAMMAR_RULES))
        return wrong(r, e, "more than %d rules", GRAMMAR_RULES);
    *out = (int32_t)g->n_rules;
    g->rules[g->n_rules++] = (struct rule){.name = name};
    return OK;
}

static enum code add_start(struct reader *r, struct err *e) {
    struct grammar *g = r->g;
    if (!grow((void **)&g->starts, &g->room_starts, g->n_starts, sizeof *g->starts, GRAMMAR_PARTS))
        return wrong(r, e, "more than %d alternatives", GRAMMAR_PARTS);
    g->starts[g->n_starts++] = (int32_t)g->n_parts;
    return OK;
}

static enum code add_set(struct reader *r, const struct byteset *s, int32_t *out, struct err *e) {
    struct grammar *g = r->g;
    for (size_t i = 0; i < g->n_sets; i++)
        if (memcmp(&g->sets[i], s, sizeof *s) == 0) {
            *out = (int32_t)i;
            return OK;
        }
    if (!grow((void **)&g->sets, &g->room_sets, g->n_sets, sizeof *s, SETS_MAX))
        return wrong(r, e, "more than %d different classes", SETS_MAX);
    *out = (int32_t)g->n_sets;
    g->sets[g->n_sets++] = *s;
    return OK;
}

/* --- alternatives under construction: parts that are copied to the rule when they are complete ---
 */

enum { LIST_BYTES = GRAMMAR_PARTS * (int)sizeof(struct part) };

static enum code put(struct buf *list, struct part part, struct err *e) {
    buf_put(list, &part, sizeof part);
    return buf_check(list, "grammar", e);
}

static size_t list_n(const struct buf *list) { return list->n / sizeof(struct part); }

/* Alternatives in `list`, each ended by PART_END, become those of the rule. */
static enum code define(struct reader *r, int32_t rule, const struct buf *list, struct err *e) {
    const struct part *parts = (const struct part *)(const void *)list->p;
    struct rule *k = &r->g->rules[rule];
    k->defined = true;
    k->first = (int32_t)r->g->n_starts;
    for (size_t i = 0, n = list_n(list); i < n; i++) {
        if (i == 0 || parts[i - 1].kind == PART_END)
            TRY(add_start(r, e));
        TRY(add_part(r, parts[i], e));
    }
    r->g->rules[rule].n = (int32_t)r->g->n_starts - r->g->rules[rule].first;
    return OK;
}

/* --- code points --- */

static size_t encode_at(uint32_t point, size_t n, uint8_t out[4]) { /* in n bytes, as given */
    static const uint8_t lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = n; i-- > 1; point >>= 6)
        out[i] = (uint8_t)(0x80 | (point & 0x3f));
    out[0] = (uint8_t)(lead[n] | point);
    return n;
}

static enum code put_ranges(struct reader *r, struct buf *list, const uint8_t *low,
                            const uint8_t *high, size_t n, struct err *e) {
    for (size_t i = 0; i < n; i++) {
        struct byteset s = {{0}};
        int32_t set;
        for (unsigned b = low[i]; b <= high[i]; b++)
            s.bits[b / 64] |= (uint64_t)1 << b % 64;
        TRY(add_set(r, &s, &set, e));
        TRY(put(list, (struct part){.kind = PART_SET, .what = set}, e));
    }
    return put(list, (struct part){.kind = PART_END}, e);
}

/* [low, high], all of n UTF-8 bytes, as alternatives of byte ranges. */
static enum code put_span(struct reader *r, struct buf *list, uint32_t low, uint32_t high, size_t n,
                          struct err *e) {
    for (size_t i = 1; i < n; i++) {
        uint32_t m = ((uint32_t)1 << (6 * i)) - 1;
        if ((low & ~m) == (high & ~m))
            continue;
        if (low & m) {
            TRY(put_span(r, list, low, low | m, n, e));
            return put_span(r, list, (low | m) + 1, high, n, e);
        }
        if ((high & m) != m) {
            TRY(put_span(r, list, low, (high & ~m) - 1, n, e));
            return put_span(r, list, high & ~m, high, n, e);
        }
    }
    uint8_t a[4], b[4];
    (void)encode_at(low, n, a);
    (void)encode_at(high, n, b);
    return put_ranges(r, list, a, b, n, e);
}

struct range {
    uint32_t low, high;
};

static int by_low(const void *a, const void *b) {
    const struct range *x = a, *y = b;
    return x->low < y->low ? -1 : x->low > y->low;
}

static size_t merge(struct range *all, size_t n) {
    size_t k = 0;
    qsort(all, n, sizeof *all, by_low);
    for (size_t i = 0; i < n; i++)
        if (k && all[i].low <= all[k - 1].high + 1)
            all[k - 1].high = all[i].high > all[k - 1].high ? all[i].high : all[k - 1].high;
        else
            all[k++] = all[i];
    return k;
}

static size_t complement(const struct range *all, size_t n, struct range *out) {
    uint32_t next = 0;
    size_t k = 0;
    for (size_t i = 0; i < n; i++) {
        if (all[i].low > next)
            out[k++] = (struct range){next, all[i].low - 1};
        next = all[i].high + 1;
    }
    if (next <= 0x10ffff)
        out[k++] = (struct range){next, 0x10ffff};
    return k;
}

/* Code points of a class as one part: a set of bytes when all are ASCII, else a rule. */
static enum code put_class(struct reader *r, struct buf *list, const struct range *all, size_t n,
                           struct err *e) {
    static const struct range lengths[] = {
        {0, 0x7f}, {0x80, 0x7ff}, {0x800, 0xd7ff}, {0xe000, 0xffff}, {0x10000, 0x10ffff}};
    static const size_t bytes[] = {1, 2, 3, 3, 4};
    struct byteset ascii = {{0}};
    struct buf alternatives;
    int32_t what, rule;
    bool wide = false, narrow = false;
    for (size_t i = 0; i < n; i++) {
        wide = wide || all[i].high > 0x7f;
        for (uint32_t c = all[i].low; c <= all[i].high && c < 0x80; c++) {
            ascii.bits[c / 64] |= (uint64_t)1 << c % 64;
            narrow = true;
        }
    }
    if (narrow)
        TRY(add_set(r, &ascii, &what, e));
    if (!wide && narrow)
        return put(list, (struct part){.kind = PART_SET, .what = what}, e);
    if (!wide)
        return wrong(r, e, "an empty class matches nothing");
    TRY(add_rule(r, r->name, &rule, e));
    buf_init(&alternatives, LIST_BYTES);
    enum code code = OK;
    if (narrow) {
        code = put(&alternatives, (struct part){.kind = PART_SET, .what = what}, e);
        if (code == OK)
            code = put(&alternatives, (struct part){.kind = PART_END}, e);
    }
    for (size_t i = 0; i < n; i++)
        for (size_t k = 1; code == OK && k < 5; k++) {
            uint32_t low = all[i].low > lengths[k].low ? all[i].low : lengths[k].low;
            uint32_t high = all[i].high < lengths[k].high ? all[i].high : lengths[k].high;
            if (low <= high)
                code = put_span(r, &alternatives, low, high, bytes[k], e);
        }
    if (code == OK)
        code = define(r, rule, &alternatives, e);
    buf_deinit(&alternatives);
    return code == OK ? put(list, (struct part){.kind = PART_RULE, .what = rule}, e) : code;
}

/* --- reading --- */

static void skip_space(struct reader *r, bool newlines) {
    while (r->p < r->end) {
        if (*r->p == '#')
            while (r->p < r->end && *r->p != '\n' && *r->p != '\r')
                r->p++;
        else if (*r->p == ' ' || *r->p == '\t' || (newlines && (*r->p == '\n' || *r->p == '\r')))
            r->p++;
        else
            return;
    }
}

static bool is_name(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

static enum code read_name(struct reader *r, struct str *out, struct err *e) {
    const char *from = r->p;
    while (r->p < r->end && is_name(*r->p))
        r->p++;
    *out = (struct str){from, (size_t)(r->p - from)};
    if (out->n == 0)
        return wrong(r, e, "a name is expected");
    return out->n <= NAME_MAX_BYTES ? OK : wrong(r, e, "a name has %zu bytes", out->n);
}

static enum code find_rule(struct reader *r, struct str name, int32_t *out, struct err *e) {
    size_t at = hash_bytes(name.p, name.n) & r->table_mask;
    for (; r->table[at]; at = (at + 1) & r->table_mask)
        if (str_eq(r->g->rules[r->table[at] - 1].name, name)) {
            *out = r->table[at] - 1;
            return OK;
        }
    TRY(add_rule(r, name, out, e));
    r->table[at] = *out + 1;
    return OK;
}

static enum code read_hex(struct reader *r, int digits, uint32_t *out, struct err *e) {
    uint32_t v = 0;
    for (int i = 0; i < digits; i++, r->p++) {
        char c = r->p < r->end ? *r->p : 0;
        int d = c >= '0' && c <= '9'   ? c - '0'
                : c >= 'a' && c <= 'f' ? c - 'a' + 10
                : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                       : -1;
        if (d < 0)
            return wrong(r, e, "%d hexadecimal digits are expected", digits);
        v = v << 4 | (uint32_t)d;
    }
    if (v > 0x10ffff || (v >= 0xd800 && v < 0xe000))
        return wrong(r, e, "U+%X is no character", v);
    *out = v;
    return OK;
}

static enum code read_char(struct reader *r, uint32_t *out, struct err *e) {
    if (r->p < r->end && *r->p == '\\') {
        static const char from[] = "nrt\\\"[]-^/", to[] = "\n\r\t\\\"[]-^/";
        char c = r->p + 1 < r->end ? r->p[1] : 0;
        r->p += 2;
        if (c == 'x' || c == 'u' || c == 'U')
            return read_hex(r, c == 'x' ? 2 : c == 'u' ? 4 : 8, out, e);
        const char *at = c ? strchr(from, c) : NULL;
        if (!at)
            return wrong(r, e, "unknown escape '\\%c'", c);
        *out = (uint32_t)(unsigned char)to[at - from];
        return OK;
    }
    size_t n = utf8_next((struct str){r->p, (size_t)(r->end - r->p)}, out);
    if (n == 0)
        return wrong(r, e, r->p < r->end ? "the text is not UTF-8" : "it ends too early");
    r->p += n;
    return OK;
}

static enum code read_literal(struct reader *r, struct buf *list, struct err *e) {
    for (r->p++;;) {
        uint32_t point;
        char bytes[4];
        if (r->p < r->end && *r->p == '"') {
            r->p++;
            return OK;
        }
        TRY(read_char(r, &point, e));
        size_t n = utf8_put(point, bytes);
        for (size_t i = 0; i < n; i++)
            TRY(put(list, (struct part){.kind = PART_BYTE, .what = (uint8_t)bytes[i]}, e));
    }
}

static enum code read_class(struct reader *r, struct buf *list, struct err *e) {
    struct range all[CLASS_RANGES + 1], inverse[CLASS_RANGES + 2];
    size_t n = 0;
    r->p++;
    bool negated = r->p < r->end && *r->p == '^';
    r->p += negated;
    while (r->p < r->end && *r->p != ']') {
        struct range k;
        if (n == CLASS_RANGES)
            return wrong(r, e, "a class has more than %d ranges", CLASS_RANGES);
        TRY(read_char(r, &k.low, e));
        k.high = k.low;
        if (r->p + 1 < r->end && *r->p == '-' && r->p[1] != ']') {
            r->p++;
            TRY(read_char(r, &k.high, e));
        }
        if (k.high < k.low)
            return wrong(r, e, "a range ends before it begins");
        all[n++] = k;
    }
    if (r->p == r->end)
        return wrong(r, e, "']' is missing");
    r->p++;
    n = merge(all, n);
    if (!negated)
        return put_class(r, list, all, n, e);
    return put_class(r, list, inverse, complement(all, n, inverse), e);
}

static enum code read_alternatives(struct reader *r, int32_t rule, struct err *e);

static enum code read_group(struct reader *r, struct buf *list, struct err *e) {
    int32_t rule;
    if (++r->depth > GRAMMAR_NESTING)
        return wrong(r, e, "groups nest deeper than %d", GRAMMAR_NESTING);
    r->p++;
    skip_space(r, true);
    TRY(add_rule(r, r->name, &rule, e));
    TRY(read_alternatives(r, rule, e));
    if (r->p == r->end || *r->p != ')')
        return wrong(r, e, "')' is expected");
    r->p++;
    r->depth--;
    return put(list, (struct part){.kind = PART_RULE, .what = rule}, e);
}

static enum code read_count(struct reader *r, int32_t *out, bool *there, struct err *e) {
    int64_t v = 0;
    *there = false;
    for (; r->p < r->end && *r->p >= '0' && *r->p <= '9'; r->p++) {
        v = v * 10 + (*r->p - '0');
        *there = true;
        if (v > GRAMMAR_REPEAT)
            return wrong(r, e, "a repetition is over the limit of %d", GRAMMAR_REPEAT);
    }
    *out = (int32_t)v;
    return OK;
}

static enum code read_braces(struct reader *r, int32_t *min, int32_t *max, struct err *e) {
    bool there, comma;
    r->p++;
    skip_space(r, false);
    TRY(read_count(r, min, &there, e));
    skip_space(r, false);
    comma = r->p < r->end && *r->p == ',';
    if (!there && !comma)
        return wrong(r, e, "a number is expected in { }");
    *max = *min;
    if (comma) {
        r->p++;
        skip_space(r, false);
        TRY(read_count(r, max, &there, e));
        if (!there)
            *max = -1;
        skip_space(r, false);
    }
    if (r->p == r->end || *r->p != '}')
        return wrong(r, e, "'}' is expected");
    r->p++;
    if (*max >= 0 && *max < *min)
        return wrong(r, e, "{%d,%d} ends before it begins", (int)*min, (int)*max);
    return OK;
}

/* What the list holds from `from` on, min to max times. */
static enum code repeat(struct reader *r, struct buf *list, size_t from, int32_t min, int32_t max,
                        struct err *e) {
    const struct part *parts = (const struct part *)(const void *)list->p;
    int32_t rule;
    if (list_n(list) - from == 1 && parts[from].kind == PART_RULE) {
        rule = parts[from].what;
    } else {
        struct buf one;
        TRY(add_rule(r, r->name, &rule, e));
        buf_init(&one, LIST_BYTES);
        if (list_n(list) > from)
            buf_put(&one, parts + from, (list_n(list) - from) * sizeof *parts);
        enum code code = put(&one, (struct part){.kind = PART_END}, e);
        if (code == OK)
            code = define(r, rule, &one, e);
        buf_deinit(&one);
        if (code != OK)
            return code;
    }
    list->n = from * sizeof *parts;
    return put(list, (struct part){PART_REPEAT, rule, min, max}, e);
}

static enum code read_postfix(struct reader *r, struct buf *list, size_t from, struct err *e) {
    for (;;) {
        int32_t min = 0, max = -1;
        char c = r->p < r->end ? *r->p : 0;
        if (c == '{') {
            TRY(read_braces(r, &min, &max, e));
        } else if (c == '*' || c == '+' || c == '?') {
            min = c == '+';
            max = c == '?' ? 1 : -1;
            r->p++;
        } else {
            return OK;
        }
        TRY(repeat(r, list, from, min, max, e));
        skip_space(r, r->depth > 0);
    }
}

static enum code read_item(struct reader *r, struct buf *list, struct err *e) {
    static const struct range any = {0, 0x10ffff};
    struct str name;
    int32_t rule;
    switch (*r->p) {
    case '"': return read_literal(r, list, e);
    case '[': return read_class(r, list, e);
    case '(': return read_group(r, list, e);
    case '.': r->p++; return put_class(r, list, &any, 1, e);
    default:
        TRY(read_name(r, &name, e));
        TRY(find_rule(r, name, &rule, e));
        return put(list, (struct part){.kind = PART_RULE, .what = rule}, e);
    }
}

static bool item_follows(const struct reader *r) {
    if (r->p == r->end)
        return false;
    return is_name(*r->p) || *r->p == '"' || *r->p == '[' || *r->p == '(' || *r->p == '.';
}

static enum code read_list(struct reader *r, struct buf *list, struct err *e) {
    for (;;) {
        while (item_follows(r)) {
            size_t from = list_n(list);
            TRY(read_item(r, list, e));
            skip_space(r, r->depth > 0);
            TRY(read_postfix(r, list, from, e));
        }
        TRY(put(list, (struct part){.kind = PART_END}, e));
        if (r->p == r->end || *r->p != '|')
            return OK;
        r->p++;
        skip_space(r, true);
    }
}

static enum code read_alternatives(struct reader *r, int32_t rule, struct err *e) {
    struct buf list;
    buf_init(&list, LIST_BYTES);
    enum code code = read_list(r, &list, e);
    if (code == OK)
        code = define(r, rule, &list, e);
    buf_deinit(&list);
    return code;
}

static enum code read_rule(struct reader *r, struct err *e) {
    int32_t rule;
    TRY(read_name(r, &r->name, e));
    skip_space(r, false);
    if (r->end - r->p < 3 || memcmp(r->p, "::=", 3) != 0)
        return wrong(r, e, "'::=' is expected after '%.*s'", STR(r->name));
    r->p += 3;
    skip_space(r, true);
    TRY(find_rule(r, r->name, &rule, e));
    if (r->g->rules[rule].defined)
        return wrong(r, e, "rule '%.*s' is there twice", STR(r->name));
    TRY(read_alternatives(r, rule, e));
    skip_space(r, false);
    if (r->p < r->end && *r->p != '\n' && *r->p != '\r')
        return wrong(r, e,
                     *r->p > ' ' && *r->p < 0x7f ? "unexpected '%c' in rule '%.*s'"
                                                 : "unexpected byte '\\%03o' in rule '%.*s'",
                     (unsigned char)*r->p, STR(r->name));
    return OK;
}

/* --- checking --- */

static bool part_is_empty(const struct grammar *g, const struct part *p) {
    return (p->kind == PART_RULE && g->rules[p->what].empty) ||
           (p->kind == PART_REPEAT && (p->min == 0 || g->rules[p->what].empty));
}

static bool part_is_finite(const struct grammar *g, const struct part *p) {
    return p->kind == PART_BYTE || p->kind == PART_SET || (p->kind == PART_REPEAT && p->min == 0) ||
           g->rules[p->what].finite;
}

static void look_at(const struct grammar *g, const struct rule *k, bool *empty, bool *finite) {
    *empty = *finite = false;
    for (int32_t a = 0; a < k->n; a++) {
        bool all_empty = true, all_finite = true;
        for (const struct part *p = &g->parts[g->starts[k->first + a]]; p->kind != PART_END; p++) {
            all_empty = all_empty && part_is_empty(g, p);
            all_finite = all_finite && part_is_finite(g, p);
        }
        *empty = *empty || all_empty;
        *finite = *finite || all_finite;
    }
}

/* Which rules may take nothing, and which can end: the least fixed point. */
static void settle(struct grammar *g) {
    for (bool changed = true; changed;) {
        changed = false;
        for (size_t i = g->n_rules; i-- > 0;) {
            bool empty, finite;
            look_at(g, &g->rules[i], &empty, &finite);
            changed = changed || empty != g->rules[i].empty || finite != g->rules[i].finite;
            g->rules[i].empty = empty;
            g->rules[i].finite = finite;
        }
    }
}

struct visit { /* of a rule: where its walk over what it may begin with has come to */
    int32_t rule, alternative;
    const struct part *part;
};

/* The next rule that v's may begin with, or -1. */
static int32_t next_left(const struct grammar *g, struct visit *v) {
    const struct rule *k = &g->rules[v->rule];
    for (;;) {
        if (!v->part) {
            if (v->alternative == k->n)
                return -1;
            v->part = &g->parts[g->starts[k->first + v->alternative++]];
        }
        const struct part *p = v->part;
        bool on = part_is_empty(g, p);
        v->part = p->kind != PART_END && on ? p + 1 : NULL;
        if (p->kind == PART_RULE || p->kind == PART_REPEAT)
            return p->what;
    }
}

static enum code check_left(const struct grammar *g, struct visit *stack, uint8_t *color,
                            struct err *e) {
    enum { NEW, OPEN, DONE };
    for (size_t i = 0; i < g->n_rules; i++) {
        size_t n = 0;
        if (color[i] != NEW)
            continue;
        stack[n++] = (struct visit){.rule = (int32_t)i};
        color[i] = OPEN;
        while (n) {
            int32_t next = next_left(g, &stack[n - 1]);
            if (next < 0) {
                color[stack[--n].rule] = DONE;
            } else if (color[next] == OPEN) {
                return fail(e, INVALID,
                            "grammar: rule '%.*s' can begin with itself and would recur without "
                            "end; put what it begins with first",
                            STR(g->rules[next].name));
            } else if (color[next] == NEW) {
                color[next] = OPEN;
                stack[n++] = (struct visit){.rule = next};
            }
        }
    }
    return OK;
}

static enum code check(struct reader *r, struct err *e) {
    struct grammar *g = r->g;
    for (size_t i = 0; i < g->n_rules; i++)
        if (!g->rules[i].defined)
            return fail(e, INVALID, "grammar: rule '%.*s' is used and not defined",
                        STR(g->rules[i].name));
    settle(g);
    for (size_t i = 0; i < g->n_rules; i++)
        if (!g->rules[i].finite)
            return fail(e, INVALID, "grammar: rule '%.*s' recurs without end: no text completes it",
                        STR(g->rules[i].name));
    struct visit *stack = mem_zalloc(g->n_rules, sizeof *stack);
    uint8_t *color = mem_zalloc(g->n_rules, 1);
    enum code code =
        stack && color ? check_left(g, stack, color, e) : fail(e, NOMEM, "no memory for a grammar");
    mem_free(stack);
    mem_free(color);
    return code;
}

static enum code parse(struct reader *r, struct err *e) {
    for (skip_space(r, true); r->p < r->end; skip_space(r, true))
        TRY(read_rule(r, e));
    TRY(find_rule(r, LIT("root"), &r->g->root, e));
    return check(r, e);
}

enum code grammar_parse(struct str text, struct grammar **out, struct err *e) {
    if (text.n > GRAMMAR_BYTES)
        return fail(e, INVALID, "the grammar has %zu bytes, the limit is %d", text.n,
                    GRAMMAR_BYTES);
    struct grammar *g = mem_zalloc(1, sizeof *g);
    struct reader r = {.g = g, .table_mask = 2 * GRAMMAR_RULES - 1};
    if (g)
        g->text = mem_alloc(text.n + 1);
    r.table = mem_zalloc(r.table_mask + 1, sizeof *r.table);
    if (!g || !g->text || !r.table) {
        mem_free(r.table);
        grammar_close(g);
        return fail(e, NOMEM, "no memory for a grammar");
    }
    if (text.n)
        memcpy(g->text, text.p, text.n);
    g->text_n = text.n;
    r.p = r.begin = g->text;
    r.end = g->text + text.n;
    enum code code = parse(&r, e);
    mem_free(r.table);
    if (code == OK)
        *out = g;
    else
        grammar_close(g);
    return code;
}

void grammar_close(struct grammar *g) {
    if (!g)
        return;
    mem_free(g->text);
    mem_free(g->parts);
    mem_free(g->starts);
    mem_free(g->rules);
    mem_free(g->sets);
    mem_free(g);
}

struct str grammar_text(const struct grammar *g) {
    return (struct str){g->text, g->text_n};
}
