/* SPDX-License-Identifier: Apache-2.0 */
/* Private to jinja_*.c: the tree of a template, and the state of a rendering. */
#pragma once

#include "llm/jinja.h"

enum { JINJA_DEPTH = 100, JINJA_STEPS = 20000000, JINJA_OUTPUT = 64 << 20 };

/* --- tokens (jinja_lex.c) --- */
enum token_type { TK_END, TK_NAME, TK_INT, TK_FLOAT, TK_TEXT, TK_OP };

struct jinja_token {
    enum token_type type;
    struct str text; /* name, operator; a string with its escapes undone */
    int64_t i;
    double f;
};

enum tag_type { TAG_NONE, TAG_PRINT, TAG_BLOCK };

struct lexer {
    struct str source;
    size_t at;
    int line;
    bool line_starts;         /* what was read last ended a line */
    enum tag_type tag;        /* inside of which we are */
    int brackets;             /* open inside the tag */
    struct jinja_token token; /* current, inside a tag */
    struct arena *arena;
};

void lexer_begin(struct lexer *l, struct str source, struct arena *a);
/* Text up to the next tag, trimmed as the tags around it ask; then l->tag says what follows, and
 * l->token is the tag's first. */
MUST_USE enum code lexer_text(struct lexer *l, struct str *out, struct err *e);
/* The next token of the tag; TK_END closes it. */
MUST_USE enum code lexer_next(struct lexer *l, struct err *e);
/* Text up to {% endraw %}, whose tag it takes; called when `raw` was read. */
MUST_USE enum code lexer_raw(struct lexer *l, struct str *out, struct err *e);

/* --- tree --- */
enum operator{
    OP_NONE,
    OP_ADD,
    OP_SUB,
    OP_MUL,
    OP_DIV,
    OP_FLOOR,
    OP_MOD,
    OP_POW,
    OP_JOIN,
    OP_EQ,
    OP_NE,
    OP_LT,
    OP_LE,
    OP_GT,
    OP_GE,
    OP_IN,
    OP_NOT_IN
};

enum expr_kind {
    EX_CONST,
    EX_NAME,
    EX_LIST,
    EX_TUPLE,
    EX_DICT,   /* args: key, value, key, value, ... */
    EX_ATTR,   /* a.name */
    EX_ITEM,   /* a[b] */
    EX_SLICE,  /* a[b:c:d] */
    EX_CALL,   /* a(args) */
    EX_METHOD, /* a.name(args) */
    EX_FILTER, /* a | name(args) */
    EX_TEST,   /* a is name(args); op OP_NOT_IN: is not */
    EX_NOT,
    EX_NEGATE,
    EX_BINARY,  /* a op b */
    EX_COMPARE, /* a op args[0] op args[1] ... */
    EX_AND,
    EX_OR,
    EX_IF /* a if b else c; c may be NULL */
};

struct arg {
    struct str name; /* .n == 0: by position */
    struct expr *value;
    enum operator op; /* of a comparison */
};

struct expr {
    enum expr_kind kind;
    enum operator op;
    int line, index; /* index: of the filter, test or method */
    struct str name;
    struct datum value;
    struct expr *a, *b, *c, *d;
    struct arg *args;
    int n_args;
};

enum stmt_kind {
    ST_TEXT,
    ST_PRINT,
    ST_IF,
    ST_FOR,
    ST_SET,
    ST_SET_BLOCK,
    ST_MACRO,
    ST_BREAK,
    ST_CONTINUE,
    ST_BODY
};

struct stmt {
    enum stmt_kind kind;
    int line;
    struct stmt *next;
    struct str text;            /* name of a macro */
    struct expr *expr, *filter; /* filter of a loop */
    struct expr *target;        /* EX_NAME, EX_ATTR, EX_TUPLE */
    struct stmt *body, *otherwise;
    struct arg *params; /* of a macro; value: default or NULL */
    int n_params;
};

struct jinja {
    struct stmt *body;
};

/* jinja_parse.c calls these for names; -1: unknown */
int filter_find(struct str name);
int test_find(struct str name);
int method_find(struct str name);
int function_find(struct str name);

/* --- rendering --- */
struct variable {
    struct str name;
    struct datum value;
    struct variable *next;
};

struct scope {
    struct scope *outer;
    struct variable *variables;
};

struct loop {
    size_t index, n; /* from 0 */
    const struct datum *items;
    int depth;
    struct datum *changed; /* of the last loop.changed(); NULL: not asked yet */
};

struct macro {
    const struct stmt *stmt;
    struct scope *scope; /* where it was defined */
};

enum flow { FLOW_ON, FLOW_BREAK, FLOW_CONTINUE };

struct sink { /* text being put together */
    char *p;
    uint8_t *foreign;
    size_t n, room;
};

struct rendering {
    struct arena *arena;
    const struct dict *globals;
    struct scope *scope;
    struct sink *out;
    size_t steps;
    int depth, line, loops;
    struct err *e;
};

struct call { /* of a filter, test, method, function: arguments evaluated */
    struct rendering *r;
    struct datum self;
    const struct datum *args;
    const struct str *names; /* .n == 0: by position */
    int n;
    const char *what; /* for messages: "filter 'join'" */
};

/* All functions below return OK or have written r->e. */
enum code render_fail(struct rendering *r, const char *format, ...) PRINTF_LIKE(2, 3);
enum code render_full(struct rendering *r, size_t bytes);
MUST_USE enum code render_step(struct rendering *r, size_t steps);
MUST_USE enum code eval(struct rendering *r, const struct expr *x, struct datum *out);
MUST_USE enum code run_body(struct rendering *r, const struct stmt *body, enum flow *flow);
MUST_USE enum code call_macro(struct rendering *r, const struct macro *m, const struct call *c,
                              struct datum *out);
MUST_USE enum code call_filter(struct call *c, int index, struct datum *out);
MUST_USE enum code call_test(struct call *c, int index, bool *out);
MUST_USE enum code call_method(struct call *c, int index, struct datum *out);
MUST_USE enum code call_function(struct call *c, int index, struct datum *out);
bool variable_set(struct rendering *r, struct scope *s, struct str name, struct datum v);

/* Argument by position or name; NULL: not given. */
const struct datum *call_arg(const struct call *c, int position, const char *name);
MUST_USE enum code call_text(const struct call *c, int position, const char *name,
                             const char *otherwise, struct text *out);
MUST_USE enum code call_int(const struct call *c, int position, const char *name, int64_t otherwise,
                            int64_t *out);

/* --- values (jinja_datum.c) --- */
bool sink_put(struct rendering *r, struct sink *s, struct text t); /* false: r->e is written */
bool sink_ours(struct rendering *r, struct sink *s, const char *text);
struct datum sink_datum(const struct sink *s);
bool datum_true(const struct datum *v);
bool datum_number(const struct datum *v, double *out); /* bool, int, float */
bool datum_equal(const struct datum *a, const struct datum *b, int depth);
/* < 0, 0, > 0; false: there is no order between them */
bool datum_order(const struct datum *a, const struct datum *b, int *out);
const char *datum_name(const struct datum *v); /* "a list" */
/* As str() does; repr: as repr(). */
MUST_USE enum code datum_print(struct rendering *r, const struct datum *v, bool repr,
                               struct sink *out);
struct json_style {
    int64_t indent; /* -1: one line */
    struct text item, colon;
    bool ascii, sorted;
};
MUST_USE enum code datum_json(struct rendering *r, const struct datum *v,
                              const struct json_style *style, int depth, struct sink *out);
/* What a loop or a filter walks: items of a list, keys of a dict, characters of a text. */
MUST_USE enum code datum_items(struct rendering *r, const struct datum *v, struct list *out);
size_t text_length(struct text t);                           /* characters */
struct text text_sub(struct text t, size_t from, size_t to); /* bytes */
struct datum datum_of_text(struct text t);
static inline struct str text_str(struct text t) { return (struct str){t.p, t.n}; }
bool dict_put_str(struct rendering *r, struct dict *d, const char *key, struct datum v);
MUST_USE enum code datum_attr(struct rendering *r, const struct datum *v, struct str name,
                              struct datum *out);
MUST_USE enum code datum_item(struct rendering *r, const struct datum *v, const struct datum *key,
                              struct datum *out);
