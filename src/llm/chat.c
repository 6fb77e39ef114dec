/* SPDX-License-Identifier: Apache-2.0 */
/* Conversations: what clients send is brought into the shape templates were written for, rendered,
 * and tokenised with its marks.
 *
 * Clients and templates disagree in two places. Content may be a list of typed parts, which older
 * templates would print as a list: text parts become one string for a template that never asks for
 * a part's type. And the arguments of a tool call are JSON in a string, which templates put through
 * tojson as if they were an object: they become one. */
#include "llm/chat.h"

#include "base/mem.h"
#include "llm/jinja.h"

enum { TEMPLATE_BYTES = 64 << 20, SOURCE_MAX = 1 << 20 };

struct form {
    struct jinja *jinja; /* NULL: there is none */
    bool knows_parts;    /* the template looks at the type of content's parts */
};

struct chat_template {
    struct arena arena;
    const struct tokenizer *tokenizer;
    struct form plain, tools; /* tools: for requests that bring some, where it differs */
};

static bool mentions(struct str source, const char *what) {
    return source.p && memmem(source.p, source.n, what, strlen(what)) != NULL;
}

static enum code open_form(struct chat_template *c, struct str source, struct form *out,
                           struct err *e) {
    if (source.n > SOURCE_MAX)
        return fail(e, LIMIT, "a template of %zu bytes, limit %d", source.n, SOURCE_MAX);
    out->knows_parts =
        mentions(source, "'type'") || mentions(source, "\"type\"") || mentions(source, ".type");
    return jinja_parse(source, &c->arena, &out->jinja, e);
}

/* tools.n == 0: the same as source. */
static enum code open_forms(struct str source, struct str tools, const struct tokenizer *t,
                            struct chat_template **out, struct err *e) {
    struct chat_template *c = mem_zalloc(1, sizeof *c);
    if (!c)
        return fail(e, NOMEM, "out of memory");
    arena_init(&c->arena, TEMPLATE_BYTES);
    c->tokenizer = t;
    enum code code = open_form(c, source, &c->plain, e);
    if (code == OK && tools.n)
        code = open_form(c, tools, &c->tools, e);
    if (code != OK) {
        chat_close(c);
        return code;
    }
    *out = c;
    return OK;
}

enum code chat_open(struct str source, const struct tokenizer *t, struct chat_template **out,
                    struct err *e) {
    return open_forms(source, (struct str){0}, t, out, e);
}

struct str chat_source(const struct model *m, bool tools) {
    const struct attr *plain = model_fact(m, "chat.template"),
                      *other = tools ? model_fact(m, "chat.template.tools") : NULL;
    if (other && other->kind == ATTR_STR && other->s.n)
        return other->s;
    return plain && plain->kind == ATTR_STR ? plain->s : (struct str){0};
}

enum code chat_open_model(const struct model *m, const struct tokenizer *t,
                          struct chat_template **out, struct err *e) {
    struct str plain = chat_source(m, false), tools = chat_source(m, true);
    *out = NULL;
    if (plain.n == 0)
        return OK;
    if (open_forms(plain, str_eq(plain, tools) ? (struct str){0} : tools, t, out, e) != OK)
        return err_prefix(e, "chat template");
    return OK;
}

void chat_close(struct chat_template *c) {
    if (!c)
        return;
    arena_deinit(&c->arena);
    mem_free(c);
}

/* --- messages as templates want them --- */

static enum code no_room(struct arena *a, struct err *e) {
    return arena_fail(a, 64, "the request's messages", e);
}

static const struct datum *member(const struct datum *v, const char *name) {
    return v->kind == DATUM_DICT ? dict_get(v->dict, str_of(name)) : NULL;
}

static bool is_text(const struct datum *v, const char *text) {
    return v && v->kind == DATUM_TEXT && str_is((struct str){v->s.p, v->s.n}, text);
}

/* All parts of the list as one string, a line each; INVALID for a part that is no text. */
static enum code join_parts(const struct list *parts, struct arena *a, struct datum *out,
                            struct err *e) {
    size_t n = parts->n, at = 0;
    for (size_t i = 0; i < parts->n; i++) {
        const struct datum *text = member(&parts->v[i], "text");
        if (!is_text(member(&parts->v[i], "type"), "text") || !text || text->kind != DATUM_TEXT)
            return fail(e, INVALID,
                        "messages: part %zu of a content is no text; this model reads "
                        "text only",
                        i);
        n += text->s.n;
    }
    char *p = arena_push(a, n + 1);
    uint8_t *marks = arena_push(a, n + 1);
    if (!p || !marks)
        return no_room(a, e);
    memset(marks, 1, n);
    for (size_t i = 0; i < parts->n; i++) {
        struct text t = member(&parts->v[i], "text")->s;
        if (i)
            p[at++] = '\n';
        memcpy(p + at, t.p, t.n);
        at += t.n;
    }
    *out = (struct datum){.kind = DATUM_TEXT, .s = {p, marks, at}};
    return OK;
}

/* "arguments": "{...}" as an object. Text that is no JSON object stays text. */
static enum code open_arguments(const struct datum *calls, struct arena *a, struct err *e) {
    for (size_t i = 0; calls && calls->kind == DATUM_LIST && i < calls->list->n; i++) {
        const struct datum *function = member(&calls->list->v[i], "function");
        const struct datum *arguments = function ? member(function, "arguments") : NULL;
        struct datum v;
        struct err ignored;
        if (!arguments || arguments->kind != DATUM_TEXT ||
            datum_from_json((struct str){arguments->s.p, arguments->s.n}, a, &v, &ignored) != OK ||
            v.kind != DATUM_DICT)
            continue;
        if (!dict_put(function->dict, datum_text(LIT("arguments")), v, a))
            return no_room(a, e);
    }
    return OK;
}

static enum code settle_message(const struct form *f, const struct datum *m, struct arena *a,
                                struct err *e) {
    const struct datum *content = member(m, "content");
    const struct datum *role = member(m, "role"), *images = member(m, "images");
    struct datum joined;
    if (m->kind != DATUM_DICT || !role || role->kind != DATUM_TEXT)
        return fail(e, INVALID, "messages: each is an object with a role");
    if (images && images->kind == DATUM_LIST && images->list->n) /* Ollama's place for them */
        return fail(e, INVALID, "messages: \"images\": this model reads text only");
    TRY(open_arguments(member(m, "tool_calls"), a, e));
    if (!content || content->kind != DATUM_LIST || f->knows_parts)
        return OK;
    TRY(join_parts(content->list, a, &joined, e));
    return dict_put(m->dict, datum_text(LIT("content")), joined, a) ? OK : no_room(a, e);
}

static enum code read_messages(const struct form *f, struct str json, struct arena *a,
                               struct datum *out, struct err *e) {
    if (datum_from_json(json, a, out, e) != OK)
        return err_prefix(e, "messages");
    if (out->kind != DATUM_LIST || out->list->n == 0)
        return fail(e, INVALID, "messages: a list of at least one message expected");
    for (size_t i = 0; i < out->list->n; i++)
        TRY(settle_message(f, &out->list->v[i], a, e));
    return OK;
}

/* --- variables --- */

struct globals {
    struct dict dict;
    struct arena *a;
    struct err *e;
};

static enum code set(struct globals *g, const char *name, struct datum v) {
    return dict_put(&g->dict, datum_text(str_of(name)), v, g->a) ? OK : no_room(g->a, g->e);
}

static enum code set_token(struct globals *g, const char *name, const struct tokenizer *t,
                           int32_t id) {
    return id < 0 ? OK : set(g, name, datum_text(tokenizer_name(t, id)));
}

/* What the request adds, except what the template must not be told otherwise. */
static enum code set_extra(struct globals *g, struct str json) {
    struct datum extra = {.kind = DATUM_NULL};
    if (json.n == 0)
        return OK;
    if (datum_from_json(json, g->a, &extra, g->e) != OK)
        return err_prefix(g->e, "chat_template_kwargs");
    if (extra.kind != DATUM_DICT)
        return fail(g->e, INVALID, "chat_template_kwargs: an object expected");
    for (size_t i = 0; i < extra.dict->n; i++) {
        struct text name = extra.dict->keys[i].s;
        if (dict_get(&g->dict, (struct str){name.p, name.n}))
            return fail(g->e, INVALID, "chat_template_kwargs: '%.*s' is not the request's to set",
                        STR(((struct str){name.p, name.n})));
        if (!dict_put(&g->dict, extra.dict->keys[i], extra.dict->values[i], g->a))
            return no_room(g->a, g->e);
    }
    return OK;
}

static enum code set_all(struct globals *g, const struct chat_template *c, const struct form *f,
                         const struct chat_ask *ask) {
    struct datum messages = {0}, tools = {.kind = DATUM_NULL};
    TRY(read_messages(f, ask->messages_json, g->a, &messages, g->e));
    if (ask->tools_json.n && datum_from_json(ask->tools_json, g->a, &tools, g->e) != OK)
        return err_prefix(g->e, "tools");
    TRY(set(g, "messages", messages));
    TRY(set(g, "tools", tools));
    TRY(set(g, "documents", (struct datum){.kind = DATUM_NULL}));
    TRY(set(g, "add_generation_prompt",
            (struct datum){.kind = DATUM_BOOL, .b = ask->generation_prompt}));
    TRY(set_token(g, "bos_token", c->tokenizer, tokenizer_bos(c->tokenizer)));
    TRY(set_token(g, "eos_token", c->tokenizer, tokenizer_eos(c->tokenizer)));
    return set_extra(g, ask->extra_json);
}

enum code chat_tokens(const struct chat_template *c, const struct chat_ask *ask, struct arena *a,
                      int32_t **ids, size_t *n, struct str *rendered, struct err *e) {
    struct globals g = {.a = a, .e = e};
    struct text text = {0};
    const struct form *f = ask->tools_json.n && c->tools.jinja ? &c->tools : &c->plain;
    TRY(set_all(&g, c, f, ask));
    TRY(jinja_render(f->jinja, &g.dict, a, &text, e));
    if (rendered)
        *rendered = (struct str){text.p, text.n};
    return tokenizer_encode_marked(c->tokenizer, (struct str){text.p, text.n}, text.foreign, a, ids,
                                   n, e);
}
