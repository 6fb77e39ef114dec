/* SPDX-License-Identifier: Apache-2.0 */
/* Regular expressions: see regex.h.
 *
 * The parser emits the program as it reads; a piece that must be repeated or put into an
 * alternative is copied or moved within the program, for instructions name their targets relative
 * to themselves. The matcher keeps the set of instructions that the text read so far leads to. */
#include "op/regex.h"

#include "base/mem.h"
#include "base/utf8.h"

enum {
    PROGRAM_MAX = 1 << 14,
    REPEAT_MAX = 1000,
    NESTING_MAX = 100,
    RANGES_MAX = 1 << 14,
    CODE_MAX = 0x10FFFF
};

enum opcode { CODE_RANGES, CODE_SPLIT, CODE_JUMP, CODE_ASSERT, CODE_MATCH };
enum assert_kind { ASSERT_BEGIN, ASSERT_END, ASSERT_WORD, ASSERT_NOT_WORD };

struct instruction {
    enum opcode code;
    int32_t a, b; /* RANGES: first range, number; SPLIT: two targets; JUMP: target; ASSERT: kind */
};

struct range {
    uint32_t low, high;
};

struct regex {
    struct instruction *program;
    struct range *ranges;
    int n, n_ranges;
};

struct parser {
    struct str text;
    size_t at;
    struct regex *r;
    struct arena *a;
    int depth;
    bool fold, dot_all; /* (?i), (?s) */
    struct err *e;
};

/* --- emitting --- */

static enum code wrong(struct parser *p, const char *what) {
    return fail(p->e, INVALID, "pattern '%.*s': %s at byte %zu", STR(p->text), what, p->at);
}

static enum code emit(struct parser *p, enum opcode code, int a, int b) {
    if (p->r->n == PROGRAM_MAX)
        return fail(p->e, LIMIT, "pattern '%.*s' is too large", STR(p->text));
    p->r->program[p->r->n++] = (struct instruction){code, a, b};
    return OK;
}

/* Opens a gap of one instruction at `at`; targets are relative, so what moves stays right. */
static enum code insert(struct parser *p, int at, enum opcode code, int a, int b) {
    TRY(emit(p, code, a, b));
    for (int k = p->r->n - 1; k > at; k--)
        p->r->program[k] = p->r->program[k - 1];
    p->r->program[at] = (struct instruction){code, a, b};
    return OK;
}

static enum code add_range(struct parser *p, uint32_t low, uint32_t high) {
    if (p->r->n_ranges == RANGES_MAX)
        return fail(p->e, LIMIT, "pattern '%.*s' is too large", STR(p->text));
    p->r->ranges[p->r->n_ranges++] = (struct range){low, high};
    return OK;
}

static bool is_letter(uint32_t c) { return (c | 32) >= 'a' && (c | 32) <= 'z'; }

/* A range as read: with (?i) ASCII letters stand for both cases. */
static enum code add_folded(struct parser *p, uint32_t low, uint32_t high) {
    TRY(add_range(p, low, high));
    for (uint32_t c = 'A'; p->fold && c <= 'Z'; c++) {
        if (low <= c && c <= high)
            TRY(add_range(p, c | 32, c | 32));
        if (low <= (c | 32) && (c | 32) <= high)
            TRY(add_range(p, c, c));
    }
    return OK;
}

/* Replaces the ranges from `first` on by what they leave out. */
static enum code negate(struct parser *p, int first) {
    struct range *r = p->r->ranges + first;
    int n = p->r->n_ranges - first;
    for (int i = 1; i < n; i++) /* by low */
        for (int k = i; k > 0 && r[k].low < r[k - 1].low; k--) {
            struct range swap = r[k];
            r[k] = r[k - 1];
            r[k - 1] = swap;
        }
    uint32_t next = 0;
    int kept = 0;
    bool full = false;
    for (int i = 0; i < n; i++) {
        struct range was = r[i];
        if (was.low > next)
            r[kept++] = (struct range){next, was.low - 1};
        full = full || was.high >= CODE_MAX;
        next = was.high + 1 > next ? was.high + 1 : next;
    }
    p->r->n_ranges = first + kept;
    return full ? OK : add_range(p, next, CODE_MAX);
}

/* --- classes --- */

static const struct {
    const char *name;
    const char *pairs; /* low and high, one after the other */
} named[] = {
    {"alnum", "09AZaz"}, {"alpha", "AZaz"}, {"blank", "\t\t  "},  {"digit", "09"},
    {"graph", "!~"},     {"lower", "az"},   {"print", " ~"},      {"punct", "!/:@[`{~"},
    {"space", "\t\r  "}, {"upper", "AZ"},   {"word", "09AZaz__"}, {"xdigit", "09AFaf"},
    {"d", "09"},         {"w", "09AZaz__"}, {"s", "\t\n\f\r  "},
};

static enum code add_named(struct parser *p, struct str name) {
    for (size_t k = 0; k < sizeof named / sizeof named[0]; k++)
        if (str_is(name, named[k].name)) {
            for (const char *c = named[k].pairs; *c; c += 2)
                TRY(add_folded(p, (uint8_t)c[0], (uint8_t)c[1]));
            return OK;
        }
    return wrong(p, "unknown class");
}

/* \d and its like, negated when upper case; false: c is no such letter. */
static bool is_class_letter(char c) { return c && strchr("dDwWsS", c) != NULL; }

static enum code add_class_letter(struct parser *p, char c) {
    int first = p->r->n_ranges;
    char lower = (char)(c | 32);
    bool fold = p->fold;
    p->fold = false;
    TRY(add_named(p, (struct str){&lower, 1}));
    p->fold = fold;
    return c == lower ? OK : negate(p, first);
}

/* --- characters --- */

static bool more(const struct parser *p) { return p->at < p->text.n; }
static char peek(const struct parser *p) { return more(p) ? p->text.p[p->at] : '\0'; }
static bool accept(struct parser *p, const char *what) {
    struct str rest = str_sub(p->text, p->at, p->text.n);
    if (!str_starts(rest, what))
        return false;
    p->at += strlen(what);
    return true;
}

static int hex_digit(char c) {
    return c >= '0' && c <= '9'                       ? c - '0'
           : is_letter((uint8_t)c) && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                                      : -1;
}

static enum code read_hex(struct parser *p, uint32_t *out) {
    bool braces = accept(p, "{");
    uint32_t v = 0;
    int digits = 0;
    for (; hex_digit(peek(p)) >= 0 && digits < (braces ? 6 : 2); digits++)
        v = v * 16 + (uint32_t)hex_digit(p->text.p[p->at++]);
    if (!digits || v > CODE_MAX || (braces && !accept(p, "}")))
        return wrong(p, "bad \\x");
    *out = v;
    return OK;
}

/* One code point, escapes included; p is behind a backslash when `escaped`. */
static enum code read_code(struct parser *p, bool escaped, uint32_t *out) {
    static const char letters[] = "aftnrv", values[] = "\a\f\t\n\r\v";
    if (!more(p))
        return wrong(p, "nothing follows");
    if (!escaped) {
        size_t n = utf8_next(str_sub(p->text, p->at, p->text.n), out);
        p->at += n;
        return n ? OK : wrong(p, "not UTF-8");
    }
    char c = p->text.p[p->at++];
    const char *letter = c ? strchr(letters, c) : NULL;
    if (c == 'x')
        return read_hex(p, out);
    if (!letter && (is_letter((uint8_t)c) || (c >= '0' && c <= '9') || (c & 0x80)))
        return wrong(p, "unknown escape");
    *out = letter ? (uint8_t)values[letter - letters] : (uint8_t)c;
    return OK;
}

/* One end of a range within [...] */
static enum code read_member(struct parser *p, uint32_t *out) {
    return read_code(p, accept(p, "\\"), out);
}

static enum code read_set_item(struct parser *p) {
    uint32_t low, high;
    if (accept(p, "[:")) {
        size_t begin = p->at;
        while (more(p) && peek(p) != ':')
            p->at++;
        struct str name = str_sub(p->text, begin, p->at);
        TRY(add_named(p, name));
        return accept(p, ":]") ? OK : wrong(p, "':]' is missing");
    }
    if (peek(p) == '\\' && p->at + 1 < p->text.n && is_class_letter(p->text.p[p->at + 1])) {
        p->at += 2;
        return add_class_letter(p, p->text.p[p->at - 1]);
    }
    TRY(read_member(p, &low));
    high = low;
    if (peek(p) == '-' && p->at + 1 < p->text.n && p->text.p[p->at + 1] != ']') {
        p->at++;
        TRY(read_member(p, &high));
    }
    return low <= high ? add_folded(p, low, high) : wrong(p, "a range runs backwards");
}

/* Behind '['. */
static enum code read_set(struct parser *p) {
    int first = p->r->n_ranges;
    bool not = accept(p, "^"), any = false;
    while (more(p) && (peek(p) != ']' || !any)) {
        TRY(read_set_item(p));
        any = true;
    }
    if (!accept(p, "]"))
        return wrong(p, "']' is missing");
    if (not )
        TRY(negate(p, first));
    return emit(p, CODE_RANGES, first, p->r->n_ranges - first);
}

static enum code emit_range(struct parser *p, uint32_t low, uint32_t high) {
    int first = p->r->n_ranges;
    TRY(add_folded(p, low, high));
    return emit(p, CODE_RANGES, first, p->r->n_ranges - first);
}

/* --- the grammar --- */

static enum code read_choice(struct parser *p);

/* Behind '(?': flags up to ':' (a group follows) or ')' (they hold from here on). */
static enum code read_flags(struct parser *p, bool *group) {
    bool on = true;
    for (; more(p); p->at++) {
        char c = peek(p);
        *group = c == ':';
        if (c == ':' || c == ')') {
            p->at++;
            return OK;
        }
        if (c == '-')
            on = false;
        else if (c == 'i')
            p->fold = on;
        else if (c == 's')
            p->dot_all = on;
        else if (c != 'U')
            return wrong(p, "unknown flag");
    }
    return wrong(p, "')' is missing");
}

/* Behind '('. */
static enum code read_group(struct parser *p) {
    bool fold = p->fold, dot_all = p->dot_all, group = true;
    if (accept(p, "?P<") || accept(p, "?<")) {
        while (more(p) && peek(p) != '>')
            p->at++;
        if (!accept(p, ">"))
            return wrong(p, "'>' is missing");
    } else if (accept(p, "?")) {
        TRY(read_flags(p, &group));
    }
    if (!group)
        return OK;
    if (++p->depth > NESTING_MAX)
        return fail(p->e, LIMIT, "pattern '%.*s': groups nest too deep", STR(p->text));
    TRY(read_choice(p));
    p->depth--;
    p->fold = fold;
    p->dot_all = dot_all;
    return accept(p, ")") ? OK : wrong(p, "')' is missing");
}

/* Behind a backslash, outside of [...] */
static enum code read_escape(struct parser *p) {
    static const char asserts[] = "AzbB";
    static const enum assert_kind kinds[] = {ASSERT_BEGIN, ASSERT_END, ASSERT_WORD,
                                             ASSERT_NOT_WORD};
    uint32_t c;
    char letter = peek(p);
    const char *assert = letter ? strchr(asserts, letter) : NULL;
    if (assert) {
        p->at++;
        return emit(p, CODE_ASSERT, (int)kinds[assert - asserts], 0);
    }
    if (is_class_letter(letter)) {
        int first = p->r->n_ranges;
        p->at++;
        TRY(add_class_letter(p, letter));
        return emit(p, CODE_RANGES, first, p->r->n_ranges - first);
    }
    TRY(read_code(p, true, &c));
    return emit_range(p, c, c);
}

static enum code read_dot(struct parser *p) {
    int first = p->r->n_ranges;
    TRY(add_range(p, p->dot_all ? 0 : '\n' + 1, CODE_MAX));
    if (!p->dot_all)
        TRY(add_range(p, 0, '\n' - 1));
    return emit(p, CODE_RANGES, first, p->r->n_ranges - first);
}

static enum code read_atom(struct parser *p) {
    uint32_t c;
    if (accept(p, "("))
        return read_group(p);
    if (accept(p, "["))
        return read_set(p);
    if (accept(p, "\\"))
        return read_escape(p);
    if (accept(p, "^"))
        return emit(p, CODE_ASSERT, ASSERT_BEGIN, 0);
    if (accept(p, "$"))
        return emit(p, CODE_ASSERT, ASSERT_END, 0);
    if (accept(p, "."))
        return read_dot(p);
    if (peek(p) && strchr("*+?", peek(p)))
        return wrong(p, "nothing to repeat");
    TRY(read_code(p, false, &c));
    return emit_range(p, c, c);
}

/* x{n,m}; false: the brace is an ordinary character. */
static bool read_counts(struct parser *p, int *low, int *high) {
    size_t begin = p->at++;
    int v[2] = {-1, -1}, which = 0;
    for (; more(p) && peek(p) != '}'; p->at++) {
        char c = peek(p);
        if (c == ',' && which == 0)
            which = 1;
        else if (c >= '0' && c <= '9' && v[which] <= REPEAT_MAX)
            v[which] = (v[which] < 0 ? 0 : v[which]) * 10 + (c - '0');
        else
            break;
    }
    if (v[0] < 0 || !accept(p, "}")) {
        p->at = begin;
        return false;
    }
    *low = v[0];
    *high = which ? v[1] : v[0]; /* -1: no end */
    return true;
}

static enum code copy_piece(struct parser *p, int begin, int n) {
    for (int k = 0; k < n; k++) {
        struct instruction i = p->r->program[begin + k];
        TRY(emit(p, i.code, i.a, i.b));
    }
    return OK;
}

/* Makes the piece from `begin` to the end into low to high copies of itself. */
static enum code repeat(struct parser *p, int begin, int low, int high) {
    int n = p->r->n - begin;
    if (low > REPEAT_MAX || high > REPEAT_MAX || (high >= 0 && high < low))
        return wrong(p, "bad repetition");
    if (high == 0) {
        p->r->n = begin;
        return OK;
    }
    for (int k = 1; k < low; k++)
        TRY(copy_piece(p, begin, n));
    if (low == 0) { /* the piece itself is optional */
        TRY(insert(p, begin, CODE_SPLIT, 1, n + (high < 0 ? 2 : 1)));
        if (high < 0)
            TRY(emit(p, CODE_JUMP, -(n + 1), 0));
        begin++;
        low = 1;
    } else if (high < 0) { /* the last copy may come again */
        TRY(emit(p, CODE_SPLIT, -n, 1));
    }
    for (int k = low; k < high; k++) {
        TRY(emit(p, CODE_SPLIT, 1, n + 1));
        TRY(copy_piece(p, begin, n));
    }
    return OK;
}

static enum code read_repeat(struct parser *p) {
    int begin = p->r->n, low, high;
    TRY(read_atom(p));
    for (int times = 0;; times++) {
        if (accept(p, "*"))
            low = 0, high = -1;
        else if (accept(p, "+"))
            low = 1, high = -1;
        else if (accept(p, "?"))
            low = 0, high = 1;
        else if (peek(p) != '{' || !read_counts(p, &low, &high))
            return OK;
        if (times == NESTING_MAX)
            return wrong(p, "too many repetitions");
        accept(p, "?"); /* which match comes first does not matter here */
        TRY(repeat(p, begin, low, high));
    }
}

static enum code read_choice(struct parser *p) {
    int begin = p->r->n;
    while (more(p) && peek(p) != ')') {
        if (!accept(p, "|")) {
            TRY(read_repeat(p));
            continue;
        }
        int n = p->r->n - begin; /* x|rest: split to x, jump over rest */
        TRY(insert(p, begin, CODE_SPLIT, 1, n + 2));
        TRY(emit(p, CODE_JUMP, 0, 0));
        int jump = p->r->n - 1;
        TRY(read_choice(p));
        p->r->program[jump].a = p->r->n - jump;
    }
    return OK;
}

enum code regex_compile(struct str pattern, struct arena *a, const struct regex **out,
                        struct err *e) {
    struct regex *r = ARENA_NEW(a, struct regex);
    struct parser p = {.text = pattern, .r = r, .a = a, .e = e};
    if (!r || !(r->program = ARENA_ARRAY(a, PROGRAM_MAX, struct instruction)) ||
        !(r->ranges = ARENA_ARRAY(a, RANGES_MAX, struct range)))
        return arena_fail(a, sizeof *r, "a regular expression", e);
    TRY(read_choice(&p));
    if (more(&p))
        return wrong(&p, "')' without '('");
    TRY(emit(&p, CODE_MATCH, 0, 0));
    *out = r;
    return OK;
}

/* --- matching --- */

struct threads {    /* a set of instructions */
    int *list;      /* (n) */
    uint32_t *seen; /* per instruction: the step at which it was added */
    int n;
};

struct moment {
    bool first, last, word_before, word_after;
};

size_t regex_room(const struct regex *r) { return (size_t)r->n * 6 * sizeof(int); }

static bool holds(int kind, const struct moment *m) {
    switch ((enum assert_kind)kind) {
    case ASSERT_BEGIN: return m->first;
    case ASSERT_END: return m->last;
    case ASSERT_WORD: return m->word_before != m->word_after;
    case ASSERT_NOT_WORD: return m->word_before == m->word_after;
    }
    return false;
}

/* Adds an instruction and all that follows from it without reading. stack: (2n) */
static void add_thread(const struct regex *r, struct threads *t, int at, uint32_t step,
                       const struct moment *m, int *stack) {
    int depth = 0;
    stack[depth++] = at;
    while (depth) {
        int k = stack[--depth];
        const struct instruction *i = &r->program[k];
        if (t->seen[k] == step)
            continue;
        t->seen[k] = step;
        t->list[t->n++] = k;
        if (i->code == CODE_JUMP)
            stack[depth++] = k + i->a;
        if (i->code == CODE_ASSERT && holds(i->a, m))
            stack[depth++] = k + 1;
        if (i->code == CODE_SPLIT) {
            stack[depth++] = k + i->b;
            stack[depth++] = k + i->a;
        }
    }
}

static bool in_ranges(const struct regex *r, const struct instruction *i, uint32_t c) {
    for (int k = 0; k < i->b; k++)
        if (c >= r->ranges[i->a + k].low && c <= r->ranges[i->a + k].high)
            return true;
    return false;
}

static bool is_word(uint32_t c) { return is_letter(c) || (c >= '0' && c <= '9') || c == '_'; }

/* The next code point; a byte that is not UTF-8 counts as U+FFFD. */
static size_t next_code(struct str text, size_t at, uint32_t *out) {
    size_t n = at < text.n ? utf8_next(str_sub(text, at, text.n), out) : 0;
    if (n || at >= text.n)
        return n;
    *out = 0xFFFD;
    return 1;
}

static bool word_ends_at(struct str text, size_t at) {
    uint32_t c = 0;
    size_t begin = at;
    while (begin > 0 && at - begin < 4)
        if (begin--, ((unsigned char)text.p[begin] & 0xC0) != 0x80)
            break;
    return begin < at && next_code(text, begin, &c) == at - begin && is_word(c);
}

static bool is_match(const struct regex *r, const struct threads *t) {
    for (int k = 0; k < t->n; k++)
        if (r->program[t->list[k]].code == CODE_MATCH)
            return true;
    return false;
}

size_t regex_longest(const struct regex *r, struct str text, size_t from, void *room) {
    struct threads now = {.list = room}, next;
    now.seen = (uint32_t *)now.list + r->n;
    next = (struct threads){.list = (int *)now.seen + r->n};
    next.seen = (uint32_t *)next.list + r->n;
    int *stack = (int *)next.seen + r->n;
    memset(room, 0, regex_room(r));
    uint32_t c = 0, step = 1;
    size_t at = from, n = next_code(text, from, &c);
    struct moment m = {.first = from == 0,
                       .last = n == 0,
                       .word_before = word_ends_at(text, from),
                       .word_after = n && is_word(c)};
    add_thread(r, &now, 0, step, &m, stack);
    size_t end = is_match(r, &now) ? at : SIZE_MAX;
    while (n && now.n) {
        uint32_t read = c;
        at += n;
        n = next_code(text, at, &c);
        m = (struct moment){
            .last = n == 0, .word_before = is_word(read), .word_after = n && is_word(c)};
        next.n = 0;
        step++;
        for (int k = 0; k < now.n; k++) {
            const struct instruction *i = &r->program[now.list[k]];
            if (i->code == CODE_RANGES && in_ranges(r, i, read))
                add_thread(r, &next, now.list[k] + 1, step, &m, stack);
        }
        struct threads swap = now;
        now = next;
        next = swap;
        end = is_match(r, &now) ? at : end;
    }
    return end;
}

bool regex_matches(const struct regex *r, struct str text, void *room) {
    return regex_longest(r, text, 0, room) == text.n;
}
