/* SPDX-License-Identifier: Apache-2.0 */
/* Text in schemas: see schema_text.h. */
#include "llm/schema_text.h"

#include "base/utf8.h"

enum { PATTERN_DEPTH = 32, DIGITS = 16 };

/* --- literals --- */

static void put_point(struct buf *out, uint32_t c) {
    if (c == '"' || c == '\\' || c == '[' || c == ']')
        buf_printf(out, "\\%c", (char)c);
    else if (c == '\n')
        buf_put_text(out, "\\n");
    else if (c >= 0x20 && c < 0x7f && c != '^' && c != '-')
        buf_put_byte(out, (char)c);
    else
        buf_printf(out, c < 0x100 ? "\\x%02X" : "\\U%08X", c);
}

void schema_text_literal(struct buf *out, struct str text) {
    uint32_t c;
    buf_put_byte(out, '"');
    while (text.n) {
        size_t n = utf8_next(text, &c);
        if (n == 0) /* JSON strings are UTF-8: not met */
            break;
        put_point(out, c);
        text = str_sub(text, n, text.n);
    }
    buf_put_byte(out, '"');
}

struct str schema_text_name(struct schema_names *s, const char *prefix) {
    return str_of(arena_printf(s->arena, "%s%d", prefix, ++s->n));
}

/* --- words --- */

static int by_text(const void *a, const void *b) {
    const struct str *x = a, *y = b;
    size_t n = x->n < y->n ? x->n : y->n;
    int order = n ? memcmp(x->p, y->p, n) : 0;
    return order ? order : x->n < y->n ? -1 : x->n > y->n;
}

static size_t sort_words(struct str *words, size_t n) { /* returns how many differ */
    size_t k = 0;
    qsort(words, n, sizeof *words, by_text);
    for (size_t i = 0; i < n; i++)
        if (k == 0 || !str_eq(words[k - 1], words[i]))
            words[k++] = words[i];
    return k;
}

/* Bytes all words share from `at` on, whole characters. */
static size_t shared_from(const struct str *words, size_t n, size_t at) {
    struct str first = words[0], last = words[n - 1];
    size_t k = at;
    while (k < first.n && k < last.n && first.p[k] == last.p[k])
        k++;
    while (k > at && k < last.n && ((uint8_t)last.p[k] & 0xc0) == 0x80)
        k--;
    return k;
}

static size_t same_point(const struct str *words, size_t n, size_t at, uint32_t *c) {
    uint32_t other;
    size_t k = 1;
    (void)utf8_next(str_sub(words[0], at, words[0].n), c);
    while (k < n && utf8_next(str_sub(words[k], at, words[k].n), &other) && other == *c)
        k++;
    return k;
}

/* words[0..n) agree before `at`: a rule for what follows. */
static enum code put_words(struct schema_names *s, const struct str *words, size_t n, size_t at,
                           struct str *rule, struct err *e) {
    struct buf line;
    uint32_t c;
    enum code code = OK;
    buf_init(&line, s->out->cap_bytes);
    *rule = schema_text_name(s, "w");
    if (!rule->p)
        return arena_fail(s->arena, 16, "schema", e);
    buf_printf(&line, "%.*s ::= ", STR(*rule));
    for (size_t i = 0; code == OK && i < n;) {
        size_t k = words[i].n == at ? 1 : same_point(words + i, n - i, at, &c);
        size_t to = words[i].n == at ? at : shared_from(words + i, k, at);
        buf_put_text(&line, i ? " | " : "");
        schema_text_literal(&line, str_sub(words[i], at, to));
        if (k > 1) {
            struct str next;
            code = put_words(s, words + i, k, to, &next, e);
            if (code == OK)
                buf_printf(&line, " %.*s", STR(next));
        }
        i += k;
    }
    buf_put_byte(&line, '\n');
    buf_put_str(s->out, buf_str(&line));
    if (code == OK)
        code = buf_check(line.code == OK ? s->out : &line, "grammar of a schema", e);
    buf_deinit(&line);
    return code;
}

enum code schema_text_words(struct schema_names *s, struct str *words, size_t n, struct str *rule,
                            struct err *e) {
    return put_words(s, words, sort_words(words, n), 0, rule, e);
}

/* The words agree before `at`; a rule for what may follow so that none of them comes out. */
static enum code put_others(struct schema_names *s, const struct str *words, size_t n, size_t at,
                            struct str *rule, struct err *e) {
    struct buf line, class;
    uint32_t c;
    enum code code = OK;
    buf_init(&line, s->out->cap_bytes);
    buf_init(&class, s->out->cap_bytes);
    *rule = schema_text_name(s, "o");
    if (!rule->p)
        return arena_fail(s->arena, 16, "schema", e);
    bool terminal = words[0].n == at;
    buf_printf(&line, "%.*s ::= ", STR(*rule));
    buf_put_text(&class, "[^\"\\\\\\x00-\\x1F\\x7F");
    for (size_t i = terminal; code == OK && i < n;) {
        struct str next;
        size_t k = same_point(words + i, n - i, at, &c);
        char bytes[4];
        size_t width = utf8_put(c, bytes);
        put_point(&class, c);
        code = put_others(s, words + i, k, at + width, &next, e);
        if (code == OK) {
            schema_text_literal(&line, (struct str){bytes, width});
            buf_printf(&line, " %.*s | ", STR(next));
        }
        i += k;
    }
    buf_printf(&line, "%.*s] plain*%s\n", STR(buf_str(&class)), terminal ? "" : " | \"\"");
    buf_put_str(s->out, buf_str(&line));
    if (code == OK)
        code = buf_check(line.code == OK ? s->out : &line, "grammar of a schema", e);
    buf_deinit(&line);
    buf_deinit(&class);
    return code;
}

enum code schema_text_others(struct schema_names *s, struct str *words, size_t n, struct str *rule,
                             struct err *e) {
    if (n == 0) {
        *rule = LIT("plain*");
        return OK;
    }
    return put_others(s, words, sort_words(words, n), 0, rule, e);
}

/* --- patterns (the part of ECMA 262 that schemas use) --- */

struct pattern {
    struct buf *out;
    const char *p, *end;
    int depth;
};

static enum code unknown(const struct pattern *k, const char *what, struct err *e) {
    return fail(e, INVALID,
                "pattern: %s at '%.*s' is not supported (literals, classes, groups, |, * + ? {m,n} "
                "are)",
                what, (int)(k->end - k->p < 20 ? k->end - k->p : 20), k->p);
}

static const char *shorthand(char c, bool in_class) { /* \d \w \s, inside or as a class */
    switch (c) {
    case 'd': return in_class ? "0-9" : "[0-9]";
    case 'w': return in_class ? "a-zA-Z0-9_" : "[a-zA-Z0-9_]";
    case 's': return in_class ? " " : "\" \""; /* the only white space a string holds unescaped */
    default: return NULL;
    }
}

static enum code put_escape(struct pattern *k, bool in_class, struct err *e) {
    char c = k->p + 1 < k->end ? k->p[1] : 0;
    const char *class = shorthand(c, in_class);
    if (class) {
        buf_put_text(k->out, class);
    } else if (c && strchr(".^$*+?()[]{}|/-", c)) {
        if (!in_class)
            buf_put_byte(k->out, '"');
        put_point(k->out, (uint32_t)c);
        if (!in_class)
            buf_put_byte(k->out, '"');
    } else {
        return unknown(k, "an escape", e);
    }
    k->p += 2;
    return OK;
}

static enum code put_class(struct pattern *k, struct err *e) {
    bool negated;
    buf_put_byte(k->out, '[');
    k->p++;
    negated = k->p < k->end && *k->p == '^';
    if (negated) {
        buf_put_text(k->out, "^\"\\\\\\x00-\\x1F\\x7F");
        k->p++;
    }
    while (k->p < k->end && *k->p != ']') {
        uint32_t c;
        if (*k->p == '\\') {
            TRY(put_escape(k, true, e));
            continue;
        }
        if (*k->p == '"' || *k->p == '[')
            return unknown(k, "this character in a class", e);
        size_t n = utf8_next((struct str){k->p, (size_t)(k->end - k->p)}, &c);
        if (*k->p == '-' && k->p[1] != ']' && k->p[-1] != '[')
            buf_put_byte(k->out, '-');
        else
            put_point(k->out, c);
        k->p += n ? n : 1;
    }
    if (k->p == k->end)
        return unknown(k, "a class without ']'", e);
    k->p++;
    buf_put_byte(k->out, ']');
    return OK;
}

static enum code put_alternatives(struct pattern *k, struct err *e);

static enum code put_group(struct pattern *k, struct err *e) {
    if (++k->depth > PATTERN_DEPTH)
        return unknown(k, "so deep a group", e);
    k->p++;
    if (k->end - k->p >= 2 && k->p[0] == '?') {
        if (k->p[1] != ':')
            return unknown(k, "a look-around or named group", e);
        k->p += 2;
    }
    buf_put_byte(k->out, '(');
    TRY(put_alternatives(k, e));
    if (k->p == k->end || *k->p != ')')
        return unknown(k, "a group without ')'", e);
    k->p++;
    k->depth--;
    buf_put_byte(k->out, ')');
    return OK;
}

static enum code put_quantifier(struct pattern *k, struct err *e) {
    if (k->p < k->end && strchr("*+?", *k->p)) {
        buf_put_byte(k->out, *k->p++);
    } else if (k->p < k->end && *k->p == '{') {
        while (k->p < k->end && *k->p != '}') {
            if (!strchr("{0123456789,", *k->p))
                return unknown(k, "a count", e);
            buf_put_byte(k->out, *k->p++);
        }
        if (k->p == k->end)
            return unknown(k, "a count without '}'", e);
        buf_put_byte(k->out, *k->p++);
    }
    if (k->p < k->end && strchr("*+?", *k->p))
        return unknown(k, "a lazy or possessive quantifier", e);
    return OK;
}

static enum code put_atom(struct pattern *k, struct err *e) {
    uint32_t c;
    switch (*k->p) {
    case '\\': TRY(put_escape(k, false, e)); break;
    case '[': TRY(put_class(k, e)); break;
    case '(': TRY(put_group(k, e)); break;
    case '.':
        buf_put_text(k->out, "plain");
        k->p++;
        break;
    case '^':
    case '$':
    case '*':
    case '+':
    case '?':
    case '{':
    case '"': return unknown(k, "this character", e);
    default: {
        size_t n = utf8_next((struct str){k->p, (size_t)(k->end - k->p)}, &c);
        schema_text_literal(k->out, (struct str){k->p, n ? n : 1});
        k->p += n ? n : 1;
    }
    }
    return put_quantifier(k, e);
}

static enum code put_alternatives(struct pattern *k, struct err *e) {
    bool any = false;
    for (; k->p < k->end && *k->p != ')'; any = true) {
        if (*k->p == '|') {
            buf_put_text(k->out, any ? " | " : "\"\" | ");
            k->p++;
            if (k->p == k->end || *k->p == ')' || *k->p == '|')
                buf_put_text(k->out, "\"\"");
            continue;
        }
        TRY(put_atom(k, e));
        buf_put_byte(k->out, ' ');
    }
    if (!any)
        buf_put_text(k->out, "\"\"");
    return OK;
}

enum code schema_text_pattern(struct buf *out, struct str pattern, struct err *e) {
    struct pattern k = {.out = out};
    if (pattern.n < 2 || pattern.p[0] != '^' || pattern.p[pattern.n - 1] != '$' ||
        (pattern.n > 2 && pattern.p[pattern.n - 2] == '\\'))
        return fail(e, INVALID, "pattern '%.*s' must be anchored: ^...$",
                    STR(str_sub(pattern, 0, 100)));
    k.p = pattern.p + 1;
    k.end = pattern.p + pattern.n - 1;
    buf_put_byte(out, '(');
    TRY(put_alternatives(&k, e));
    if (k.p < k.end)
        return unknown(&k, "a ')'", e);
    buf_put_byte(out, ')');
    return OK;
}

bool schema_text_format(struct buf *out, struct str format) {
    static const char date[] = "[0-9]{4} \"-\" (\"0\" [1-9] | \"1\" [0-2]) \"-\" (\"0\" [1-9] | "
                               "[1] [0-9] | \"2\" [0-8])";
    static const char time[] = "([01] [0-9] | \"2\" [0-3]) \":\" [0-5] [0-9] \":\" [0-5] [0-9] "
                               "(\".\" [0-9]{3})? (\"Z\" | [+\\-] ([01] [0-9] | \"2\" [0-3]) "
                               "\":\" [0-5] [0-9])";
    if (str_is(format, "date"))
        buf_put_text(out, date);
    else if (str_is(format, "time"))
        buf_put_text(out, time);
    else if (str_is(format, "date-time"))
        buf_printf(out, "%s \"T\" %s", date, time);
    else if (str_is(format, "uuid"))
        buf_put_text(out, "[0-9a-f]{8} (\"-\" [0-9a-f]{4}){3} \"-\" [0-9a-f]{12}");
    else
        return false;
    return true;
}

/* --- integers --- */

/* Digit strings of equal length n from low to high, as alternatives. */
static void put_same_length(struct buf *out, const char *low, const char *high, int n) {
    int k = 0;
    while (k < n && low[k] == high[k])
        k++;
    if (k)
        buf_printf(out, "\"%.*s\" ", k, low);
    if (k == n)
        return;
    int rest = n - k - 1;
    if (rest == 0) {
        buf_printf(out, "[%c-%c]", low[k], high[k]);
        return;
    }
    char zeros[DIGITS + 1], nines[DIGITS + 1];
    memset(zeros, '0', sizeof zeros);
    memset(nines, '9', sizeof nines);
    buf_printf(out, "(\"%c\" (", low[k]);
    put_same_length(out, low + k + 1, nines, rest);
    buf_put_text(out, ")");
    if (high[k] - low[k] > 1)
        buf_printf(out, " | [%c-%c] [0-9]{%d}", low[k] + 1, high[k] - 1, rest);
    buf_printf(out, " | \"%c\" (", high[k]);
    put_same_length(out, zeros, high + k + 1, rest);
    buf_put_text(out, "))");
}

/* From low to high, both not negative. */
static void put_naturals(struct buf *out, uint64_t low, uint64_t high) {
    char a[24], b[24], from[24], to[24];
    int n = snprintf(a, sizeof a, "%llu", (unsigned long long)low);
    int m = snprintf(b, sizeof b, "%llu", (unsigned long long)high);
    for (int k = n; k <= m; k++) {
        memset(from, '0', sizeof from);
        from[0] = k == 1 ? '0' : '1';
        memset(to, '9', sizeof to);
        buf_put_text(out, k > n ? " | " : "");
        put_same_length(out, k == n ? a : from, k == m ? b : to, k);
    }
}

void schema_text_range(struct buf *out, bool has_low, int64_t low, bool has_high, int64_t high) {
    static const int64_t most = 9999999999999999; /* DIGITS of them */
    if (!has_low || low < -most)
        low = -most;
    if (!has_high || high > most)
        high = most;
    buf_put_byte(out, '(');
    if (high >= 0)
        put_naturals(out, low > 0 ? (uint64_t)low : 0, (uint64_t)high);
    if (low < 0) {
        buf_put_text(out, high >= 0 ? " | \"-\" (" : "\"-\" (");
        put_naturals(out, high < 0 ? (uint64_t)-high : 1, (uint64_t)-low);
        buf_put_byte(out, ')');
    }
    buf_put_byte(out, ')');
}
