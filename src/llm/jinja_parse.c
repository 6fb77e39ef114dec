/* SPDX-License-Identifier: Apache-2.0 */
/* Templates to trees: one function per level of the grammar, as in Jinja's own parser
 * (jinja2/parser.py). Names of filters, tests, methods and statements are looked up here, so that
 * what this build does not know is refused before anything runs. */
#include "llm/jinja_in.h"

struct parser {
    struct lexer l;
    struct arena *a;
    int depth, loops;
    struct err *e;
};

static enum code wrong(struct parser *p, const char *what) {
    struct jinja_token *t = &p->l.token;
    if (t->type == TK_END)
        return fail(p->e, INVALID, "line %d of the template: %s expected, the tag ends", p->l.line,
                    what);
    if (t->type == TK_TEXT)
        return fail(p->e, INVALID, "line %d of the template: %s expected, not a string", p->l.line,
                    what);
    return fail(p->e, INVALID, "line %d of the template: %s expected, not '%.*s'", p->l.line, what,
                STR(str_sub(t->text, 0, 40)));
}

static enum code unknown(struct parser *p, const char *what, struct str name) {
    return fail(p->e, UNSUPPORTED, "line %d of the template: %s '%.*s' is not supported", p->l.line,
                what, STR(str_sub(name, 0, 40)));
}

static enum code full(struct parser *p) { return arena_fail(p->a, 64, "template", p->e); }

static enum code next(struct parser *p) { return lexer_next(&p->l, p->e); }

static bool is_op(const struct parser *p, const char *op) {
    return p->l.token.type == TK_OP && str_is(p->l.token.text, op);
}
static bool is_name(const struct parser *p, const char *name) {
    return p->l.token.type == TK_NAME && str_is(p->l.token.text, name);
}

static enum code expect_op(struct parser *p, const char *op) {
    char what[8] = {'\'', op[0], '\''};
    return is_op(p, op) ? next(p) : wrong(p, what);
}

static enum code take_name(struct parser *p, const char *what, struct str *out) {
    if (p->l.token.type != TK_NAME)
        return wrong(p, what);
    *out = p->l.token.text;
    return next(p);
}

static enum code new_expr(struct parser *p, enum expr_kind kind, struct expr **out) {
    struct expr *x = ARENA_NEW(p->a, struct expr);
    if (!x)
        return full(p);
    x->kind = kind;
    x->line = p->l.line;
    *out = x;
    return OK;
}

static enum code add_arg(struct parser *p, struct expr *x, struct arg arg) {
    if ((x->n_args & (x->n_args - 1)) == 0) { /* full at powers of two */
        int room = x->n_args ? 2 * x->n_args : 1;
        struct arg *bigger = ARENA_ARRAY(p->a, (size_t)room, struct arg);
        if (!bigger)
            return full(p);
        if (x->n_args)
            memcpy(bigger, x->args, (size_t)x->n_args * sizeof *bigger);
        x->args = bigger;
    }
    x->args[x->n_args++] = arg;
    return OK;
}

static enum code parse_expr(struct parser *p, struct expr **out);
static enum code parse_unary(struct parser *p, bool filters, struct expr **out);

/* --- primary --- */

/* name(, name=value)* up to ')', whose '(' was taken */
static enum code parse_args(struct parser *p, struct expr *x) {
    while (!is_op(p, ")")) {
        struct arg arg = {0};
        struct lexer mark = p->l;
        if (p->l.token.type == TK_NAME) {
            struct str name = p->l.token.text;
            TRY(next(p));
            if (is_op(p, "=")) {
                arg.name = name;
                TRY(next(p));
            } else {
                p->l = mark;
            }
        }
        TRY(parse_expr(p, &arg.value));
        TRY(add_arg(p, x, arg));
        if (!is_op(p, ")"))
            TRY(expect_op(p, ","));
    }
    return next(p);
}

static enum code parse_items(struct parser *p, struct expr *x, const char *end) {
    while (!is_op(p, end)) {
        struct arg arg = {0};
        TRY(parse_expr(p, &arg.value));
        TRY(add_arg(p, x, arg));
        if (!is_op(p, end))
            TRY(expect_op(p, ","));
    }
    return next(p);
}

static enum code parse_dict(struct parser *p, struct expr *x) {
    while (!is_op(p, "}")) {
        struct arg key = {0}, value = {0};
        TRY(parse_expr(p, &key.value));
        TRY(expect_op(p, ":"));
        TRY(parse_expr(p, &value.value));
        TRY(add_arg(p, x, key));
        TRY(add_arg(p, x, value));
        if (!is_op(p, "}"))
            TRY(expect_op(p, ","));
    }
    return next(p);
}

/* ( expression ) or a tuple */
static enum code parse_parens(struct parser *p, struct expr **out) {
    struct expr *tuple = NULL, *first = NULL;
    TRY(new_expr(p, EX_TUPLE, &tuple));
    *out = tuple;
    if (is_op(p, ")"))
        return next(p);
    TRY(parse_expr(p, &first));
    if (is_op(p, ")")) {
        *out = first;
        return next(p);
    }
    TRY(add_arg(p, tuple, (struct arg){.value = first}));
    TRY(expect_op(p, ","));
    return parse_items(p, tuple, ")");
}

static bool constant_name(struct str name, struct datum *out) {
    if (str_is(name, "true") || str_is(name, "True"))
        *out = (struct datum){.kind = DATUM_BOOL, .b = true};
    else if (str_is(name, "false") || str_is(name, "False"))
        *out = (struct datum){.kind = DATUM_BOOL};
    else if (str_is(name, "none") || str_is(name, "None"))
        *out = (struct datum){.kind = DATUM_NULL};
    else
        return false;
    return true;
}

/* Strings side by side are one. */
static enum code parse_text(struct parser *p, struct expr *x) {
    struct str s = p->l.token.text;
    TRY(next(p));
    while (p->l.token.type == TK_TEXT) {
        char *joined = arena_push(p->a, s.n + p->l.token.text.n + 1);
        if (!joined)
            return full(p);
        memcpy(joined, s.p, s.n);
        memcpy(joined + s.n, p->l.token.text.p, p->l.token.text.n);
        s = (struct str){joined, s.n + p->l.token.text.n};
        TRY(next(p));
    }
    x->value = datum_text(s);
    return OK;
}

static enum code parse_bracket(struct parser *p, struct expr **out) {
    if (is_op(p, "(")) {
        TRY(next(p));
        return parse_parens(p, out);
    }
    bool list = is_op(p, "[");
    if (!list && !is_op(p, "{"))
        return wrong(p, "an expression");
    TRY(new_expr(p, list ? EX_LIST : EX_DICT, out));
    TRY(next(p));
    return list ? parse_items(p, *out, "]") : parse_dict(p, *out);
}

static enum code parse_primary(struct parser *p, struct expr **out) {
    const struct jinja_token t = p->l.token;
    if (t.type == TK_OP || t.type == TK_END)
        return t.type == TK_OP ? parse_bracket(p, out) : wrong(p, "an expression");
    TRY(new_expr(p, EX_CONST, out));
    struct expr *x = *out;
    if (t.type == TK_TEXT)
        return parse_text(p, x);
    if (t.type == TK_INT)
        x->value = (struct datum){.kind = DATUM_INT, .i = t.i};
    else if (t.type == TK_FLOAT)
        x->value = (struct datum){.kind = DATUM_FLOAT, .f = t.f};
    else if (!constant_name(t.text, &x->value)) {
        x->kind = EX_NAME;
        x->name = t.text;
    }
    return next(p);
}

/* --- postfix --- */

static enum code parse_subscript(struct parser *p, struct expr *x) {
    struct expr **parts[] = {&x->b, &x->c, &x->d};
    int part = 0;
    x->kind = EX_ITEM;
    while (!is_op(p, "]")) {
        if (is_op(p, ":")) {
            x->kind = EX_SLICE;
            if (++part > 2)
                return wrong(p, "']'");
            TRY(next(p));
            continue;
        }
        if (*parts[part])
            return wrong(p, "']'");
        TRY(parse_expr(p, parts[part]));
    }
    if (x->kind == EX_ITEM && !x->b)
        return wrong(p, "an index");
    return next(p);
}

static enum code parse_attr(struct parser *p, struct expr *x) {
    if (p->l.token.type == TK_INT) { /* a.0 */
        x->kind = EX_ITEM;
        return parse_primary(p, &x->b);
    }
    x->kind = EX_ATTR;
    TRY(take_name(p, "a name", &x->name));
    if (!is_op(p, "("))
        return OK;
    x->kind = EX_METHOD;
    x->index = method_find(x->name);
    if (x->index < 0)
        return unknown(p, "method", x->name);
    TRY(next(p));
    return parse_args(p, x);
}

static enum code parse_postfix(struct parser *p, struct expr **out) {
    for (;;) {
        struct expr *x = NULL;
        bool dot = is_op(p, "."), bracket = is_op(p, "["), call = is_op(p, "(");
        if (!dot && !bracket && !call)
            return OK;
        TRY(new_expr(p, EX_CALL, &x));
        x->a = *out;
        *out = x;
        TRY(next(p));
        TRY(dot ? parse_attr(p, x) : bracket ? parse_subscript(p, x) : parse_args(p, x));
    }
}

static enum code parse_filter(struct parser *p, struct expr *x) {
    x->kind = EX_FILTER;
    TRY(take_name(p, "a filter", &x->name));
    x->index = filter_find(x->name);
    if (x->index < 0)
        return unknown(p, "filter", x->name);
    if (!is_op(p, "("))
        return OK;
    TRY(next(p));
    return parse_args(p, x);
}

static bool starts_argument(const struct parser *p) {
    const struct jinja_token *t = &p->l.token;
    if (t->type == TK_OP)
        return str_is(t->text, "[") || str_is(t->text, "{");
    static const char *const others[] = {"else", "or", "and", "if", "in", "is", "not"};
    for (size_t i = 0; t->type == TK_NAME && i < sizeof others / sizeof others[0]; i++)
        if (str_is(t->text, others[i]))
            return false;
    return t->type != TK_END;
}

static enum code parse_test(struct parser *p, struct expr *x) {
    x->kind = EX_TEST;
    if (is_name(p, "not")) {
        x->op = OP_NOT_IN;
        TRY(next(p));
    }
    TRY(take_name(p, "a test", &x->name));
    x->index = test_find(x->name);
    if (x->index < 0)
        return unknown(p, "test", x->name);
    if (is_op(p, "(")) {
        TRY(next(p));
        return parse_args(p, x);
    }
    if (!starts_argument(p))
        return OK;
    struct arg arg = {0};
    TRY(parse_unary(p, false, &arg.value));
    return add_arg(p, x, arg);
}

static enum code parse_filters(struct parser *p, struct expr **out) {
    for (;;) {
        struct expr *x = NULL;
        bool filter = is_op(p, "|"), test = is_name(p, "is"), call = is_op(p, "(");
        if (!filter && !test && !call)
            return OK;
        TRY(new_expr(p, EX_CALL, &x));
        x->a = *out;
        *out = x;
        TRY(next(p));
        TRY(filter ? parse_filter(p, x) : test ? parse_test(p, x) : parse_args(p, x));
    }
}

/* --- operators, the tightest first --- */

static enum code parse_unary(struct parser *p, bool filters, struct expr **out) {
    bool minus = is_op(p, "-");
    if (++p->depth > JINJA_DEPTH)
        return fail(p->e, LIMIT, "line %d of the template: nested deeper than %d", p->l.line,
                    JINJA_DEPTH);
    if (minus || is_op(p, "+")) {
        TRY(new_expr(p, EX_NEGATE, out));
        TRY(next(p));
        struct expr *a = NULL;
        TRY(parse_unary(p, false, &a));
        if (minus)
            (*out)->a = a;
        else
            *out = a;
    } else {
        TRY(parse_primary(p, out));
    }
    p->depth--;
    TRY(parse_postfix(p, out));
    return filters ? parse_filters(p, out) : OK;
}

struct level {
    const char *text;
    enum operator op;
};

static enum operator find_op(const struct parser *p, const struct level *ops) {
    for (; ops->text; ops++)
        if (is_op(p, ops->text))
            return ops->op;
    return OP_NONE;
}

static const struct level levels[][5] = {
    {{"+", OP_ADD}, {"-", OP_SUB}},
    {{"~", OP_JOIN}},
    {{"*", OP_MUL}, {"/", OP_DIV}, {"//", OP_FLOOR}, {"%", OP_MOD}},
    {{"**", OP_POW}},
};

/* Left to right on each level. */
static enum code parse_binary(struct parser *p, size_t level, struct expr **out) {
    if (level == sizeof levels / sizeof levels[0])
        return parse_unary(p, true, out);
    TRY(parse_binary(p, level + 1, out));
    for (enum operator op; (op = find_op(p, levels[level])) != OP_NONE;) {
        struct expr *x = NULL;
        TRY(new_expr(p, EX_BINARY, &x));
        x->op = op;
        x->a = *out;
        TRY(next(p));
        TRY(parse_binary(p, level + 1, &x->b));
        *out = x;
    }
    return OK;
}

static enum code find_comparison(struct parser *p, enum operator* op) {
    static const struct level ops[] = {{"==", OP_EQ}, {"!=", OP_NE}, {"<", OP_LT},   {"<=", OP_LE},
                                       {">", OP_GT},  {">=", OP_GE}, {NULL, OP_NONE}};
    *op = find_op(p, ops);
    if (*op != OP_NONE)
        return next(p);
    if (is_name(p, "in")) {
        *op = OP_IN;
        return next(p);
    }
    if (!is_name(p, "not"))
        return OK;
    struct lexer mark = p->l;
    TRY(next(p));
    if (!is_name(p, "in")) {
        p->l = mark;
        return OK;
    }
    *op = OP_NOT_IN;
    return next(p);
}

static enum code parse_compare(struct parser *p, struct expr **out) {
    struct expr *x = NULL;
    TRY(parse_binary(p, 0, out));
    for (;;) {
        struct arg arg = {0};
        TRY(find_comparison(p, &arg.op));
        if (arg.op == OP_NONE)
            return OK;
        if (!x) {
            TRY(new_expr(p, EX_COMPARE, &x));
            x->a = *out;
            *out = x;
        }
        TRY(parse_binary(p, 0, &arg.value));
        TRY(add_arg(p, x, arg));
    }
}

static enum code parse_not(struct parser *p, struct expr **out) {
    if (!is_name(p, "not"))
        return parse_compare(p, out);
    if (++p->depth > JINJA_DEPTH)
        return fail(p->e, LIMIT, "line %d of the template: nested deeper than %d", p->l.line,
                    JINJA_DEPTH);
    TRY(new_expr(p, EX_NOT, out));
    TRY(next(p));
    TRY(parse_not(p, &(*out)->a));
    p->depth--;
    return OK;
}

static enum code parse_logic(struct parser *p, bool is_or, struct expr **out) {
    TRY(is_or ? parse_logic(p, false, out) : parse_not(p, out));
    while (is_name(p, is_or ? "or" : "and")) {
        struct expr *x = NULL;
        TRY(new_expr(p, is_or ? EX_OR : EX_AND, &x));
        x->a = *out;
        TRY(next(p));
        TRY(is_or ? parse_logic(p, false, &x->b) : parse_not(p, &x->b));
        *out = x;
    }
    return OK;
}

/* a if b else c */
static enum code parse_expr(struct parser *p, struct expr **out) {
    if (++p->depth > JINJA_DEPTH)
        return fail(p->e, LIMIT, "line %d of the template: nested deeper than %d", p->l.line,
                    JINJA_DEPTH);
    TRY(parse_logic(p, true, out));
    while (is_name(p, "if")) {
        struct expr *x = NULL;
        TRY(new_expr(p, EX_IF, &x));
        x->a = *out;
        TRY(next(p));
        TRY(parse_logic(p, true, &x->b));
        if (is_name(p, "else")) {
            TRY(next(p));
            TRY(parse_expr(p, &x->c));
        }
        *out = x;
    }
    p->depth--;
    return OK;
}

/* a, b, c without parentheses: a tuple */
static enum code parse_tuple(struct parser *p, struct expr **out) {
    TRY(parse_expr(p, out));
    if (!is_op(p, ","))
        return OK;
    struct expr *tuple = NULL;
    TRY(new_expr(p, EX_TUPLE, &tuple));
    TRY(add_arg(p, tuple, (struct arg){.value = *out}));
    while (is_op(p, ",")) {
        struct arg arg = {0};
        TRY(next(p));
        if (p->l.token.type == TK_END || is_op(p, "="))
            break;
        TRY(parse_expr(p, &arg.value));
        TRY(add_arg(p, tuple, arg));
    }
    *out = tuple;
    return OK;
}

/* --- statements --- */

static enum code parse_body(struct parser *p, const char *const *ends, struct stmt **out);

static enum code new_stmt(struct parser *p, enum stmt_kind kind, struct stmt **out) {
    struct stmt *s = ARENA_NEW(p->a, struct stmt);
    if (!s)
        return full(p);
    s->kind = kind;
    s->line = p->l.line;
    *out = s;
    return OK;
}

static enum code end_tag(struct parser *p) {
    return p->l.token.type == TK_END ? OK : wrong(p, "the end of the tag");
}

/* The end word was read: takes it. */
static enum code end_word(struct parser *p) {
    TRY(next(p));
    return end_tag(p);
}

static enum code parse_if(struct parser *p, struct stmt *s) {
    static const char *const ends[] = {"elif", "else", "endif", NULL};
    static const char *const last[] = {"endif", NULL};
    TRY(parse_tuple(p, &s->expr));
    TRY(end_tag(p));
    TRY(parse_body(p, ends, &s->body));
    if (is_name(p, "elif")) {
        TRY(new_stmt(p, ST_IF, &s->otherwise));
        TRY(next(p));
        if (++p->depth > JINJA_DEPTH)
            return fail(p->e, LIMIT, "line %d of the template: too many 'elif'", p->l.line);
        TRY(parse_if(p, s->otherwise));
        p->depth--;
        return OK;
    }
    if (is_name(p, "else")) {
        TRY(end_word(p));
        TRY(parse_body(p, last, &s->otherwise));
    }
    return end_word(p);
}

static enum code parse_target_part(struct parser *p, struct expr **out) {
    struct str name;
    if (is_op(p, "(")) {
        TRY(next(p));
        TRY(new_expr(p, EX_TUPLE, out));
        while (!is_op(p, ")")) {
            struct arg arg = {0};
            TRY(parse_target_part(p, &arg.value));
            TRY(add_arg(p, *out, arg));
            if (!is_op(p, ")"))
                TRY(expect_op(p, ","));
        }
        return next(p);
    }
    TRY(take_name(p, "a name", &name));
    TRY(new_expr(p, EX_NAME, out));
    (*out)->name = name;
    if (!is_op(p, "."))
        return OK;
    struct expr *x = NULL;
    TRY(next(p));
    TRY(new_expr(p, EX_ATTR, &x));
    x->a = *out;
    *out = x;
    return take_name(p, "a name", &x->name);
}

static enum code parse_target(struct parser *p, struct expr **out) {
    TRY(parse_target_part(p, out));
    if (!is_op(p, ","))
        return OK;
    struct expr *tuple = NULL;
    TRY(new_expr(p, EX_TUPLE, &tuple));
    TRY(add_arg(p, tuple, (struct arg){.value = *out}));
    while (is_op(p, ",")) {
        struct arg arg = {0};
        TRY(next(p));
        TRY(parse_target_part(p, &arg.value));
        TRY(add_arg(p, tuple, arg));
    }
    *out = tuple;
    return OK;
}

static enum code parse_for(struct parser *p, struct stmt *s) {
    static const char *const ends[] = {"else", "endfor", NULL};
    static const char *const last[] = {"endfor", NULL};
    TRY(parse_target(p, &s->target));
    if (!is_name(p, "in"))
        return wrong(p, "'in'");
    TRY(next(p));
    TRY(parse_logic(p, true, &s->expr)); /* no "a if b": the 'if' here filters */
    if (is_op(p, ",")) {
        struct expr *tuple = NULL;
        TRY(new_expr(p, EX_TUPLE, &tuple));
        TRY(add_arg(p, tuple, (struct arg){.value = s->expr}));
        while (is_op(p, ",")) {
            struct arg arg = {0};
            TRY(next(p));
            TRY(parse_logic(p, true, &arg.value));
            TRY(add_arg(p, tuple, arg));
        }
        s->expr = tuple;
    }
    if (is_name(p, "if")) {
        TRY(next(p));
        TRY(parse_expr(p, &s->filter));
    }
    if (is_name(p, "recursive"))
        return unknown(p, "statement", LIT("for ... recursive"));
    TRY(end_tag(p));
    p->loops++;
    TRY(parse_body(p, ends, &s->body));
    p->loops--;
    if (is_name(p, "else")) {
        TRY(end_word(p));
        TRY(parse_body(p, last, &s->otherwise));
    }
    return end_word(p);
}

static enum code parse_set(struct parser *p, struct stmt *s) {
    static const char *const ends[] = {"endset", NULL};
    TRY(parse_target(p, &s->target));
    if (is_op(p, "=")) {
        TRY(next(p));
        TRY(parse_tuple(p, &s->expr));
        return end_tag(p);
    }
    s->kind = ST_SET_BLOCK;
    if (is_op(p, "|"))
        return unknown(p, "statement", LIT("set with a filter"));
    TRY(end_tag(p));
    TRY(parse_body(p, ends, &s->body));
    return end_word(p);
}

static enum code parse_macro(struct parser *p, struct stmt *s) {
    static const char *const ends[] = {"endmacro", NULL};
    struct expr params = {0};
    TRY(take_name(p, "the macro's name", &s->text));
    TRY(expect_op(p, "("));
    while (!is_op(p, ")")) {
        struct arg arg = {0};
        TRY(take_name(p, "a parameter", &arg.name));
        if (is_op(p, "=")) {
            TRY(next(p));
            TRY(parse_expr(p, &arg.value));
        }
        TRY(add_arg(p, &params, arg));
        if (!is_op(p, ")"))
            TRY(expect_op(p, ","));
    }
    s->params = params.args;
    s->n_params = params.n_args;
    TRY(next(p));
    TRY(end_tag(p));
    int loops = p->loops;
    p->loops = 0;
    TRY(parse_body(p, ends, &s->body));
    p->loops = loops;
    return end_word(p);
}

/* Marks what an assistant wrote, for training: here only its body counts. */
static enum code parse_generation(struct parser *p, struct stmt *s) {
    static const char *const ends[] = {"endgeneration", NULL};
    TRY(end_tag(p));
    TRY(parse_body(p, ends, &s->body));
    return end_word(p);
}

static enum code parse_raw(struct parser *p, struct stmt *s) {
    TRY(end_tag(p));
    TRY(lexer_raw(&p->l, &s->text, p->e));
    return end_tag(p);
}

static enum code parse_jump(struct parser *p, struct stmt *s) {
    if (p->loops == 0)
        return fail(p->e, INVALID, "line %d of the template: '%s' outside of a loop", s->line,
                    s->kind == ST_BREAK ? "break" : "continue");
    return end_tag(p);
}

static const struct {
    const char *name;
    enum stmt_kind kind;
    enum code (*parse)(struct parser *p, struct stmt *s);
} statements[] = {
    {"if", ST_IF, parse_if},         {"for", ST_FOR, parse_for},
    {"set", ST_SET, parse_set},      {"macro", ST_MACRO, parse_macro},
    {"break", ST_BREAK, parse_jump}, {"continue", ST_CONTINUE, parse_jump},
    {"raw", ST_TEXT, parse_raw},     {"generation", ST_BODY, parse_generation},
};

static enum code parse_block(struct parser *p, struct stmt **out) {
    struct str name;
    struct stmt *s = NULL;
    if (p->l.token.type != TK_NAME)
        return wrong(p, "a statement");
    name = p->l.token.text;
    for (size_t i = 0; i < sizeof statements / sizeof statements[0]; i++)
        if (str_is(name, statements[i].name)) {
            TRY(new_stmt(p, statements[i].kind, &s));
            TRY(next(p));
            *out = s;
            return statements[i].parse(p, s);
        }
    if (str_starts(name, "end") || str_is(name, "else") || str_is(name, "elif"))
        return wrong(p, "another statement");
    return unknown(p, "statement", name);
}

static enum code parse_print(struct parser *p, struct stmt **out) {
    TRY(new_stmt(p, ST_PRINT, out));
    TRY(parse_tuple(p, &(*out)->expr));
    return end_tag(p);
}

static bool at_end_word(const struct parser *p, const char *const *ends) {
    for (; *ends; ends++)
        if (is_name(p, *ends))
            return true;
    return false;
}

static enum code ends_early(struct parser *p, const char *const *ends) {
    while (ends[1])
        ends++;
    return fail(p->e, INVALID, "the template ends before '%s'", *ends);
}

/* Statements up to one of the end words, which stays the current token; without end words, to the
 * end of the template. */
static enum code parse_body(struct parser *p, const char *const *ends, struct stmt **out) {
    struct stmt **tail = out;
    if (++p->depth > JINJA_DEPTH)
        return fail(p->e, LIMIT, "line %d of the template: nested deeper than %d", p->l.line,
                    JINJA_DEPTH);
    for (;;) {
        struct str text = {0};
        TRY(lexer_text(&p->l, &text, p->e));
        if (text.n) {
            TRY(new_stmt(p, ST_TEXT, tail));
            (*tail)->text = text;
            tail = &(*tail)->next;
        }
        p->depth--;
        if (p->l.tag == TAG_NONE)
            return *ends ? ends_early(p, ends) : OK;
        if (p->l.tag == TAG_BLOCK && at_end_word(p, ends))
            return OK;
        p->depth++;
        TRY(p->l.tag == TAG_PRINT ? parse_print(p, tail) : parse_block(p, tail));
        tail = &(*tail)->next;
    }
}

/* Newlines as "\n", and not the last one: Jinja drops it. */
static enum code normalise(struct str source, struct arena *a, struct str *out, struct err *e) {
    char *p = arena_push(a, source.n + 1);
    size_t n = 0;
    if (!p)
        return arena_fail(a, source.n, "template", e);
    for (size_t i = 0; i < source.n; i++) {
        if (source.p[i] == '\r' && i + 1 < source.n && source.p[i + 1] == '\n')
            continue;
        p[n++] = source.p[i] == '\r' ? '\n' : source.p[i];
    }
    if (n && p[n - 1] == '\n')
        n--;
    *out = (struct str){p, n};
    return OK;
}

enum code jinja_parse(struct str source, struct arena *a, struct jinja **out, struct err *e) {
    static const char *const no_ends[] = {NULL};
    struct parser p = {.a = a, .e = e};
    struct jinja *j = ARENA_NEW(a, struct jinja);
    struct str text;
    if (!j)
        return arena_fail(a, sizeof *j, "template", e);
    TRY(normalise(source, a, &text, e));
    lexer_begin(&p.l, text, a);
    TRY(parse_body(&p, no_ends, &j->body));
    *out = j;
    return OK;
}
