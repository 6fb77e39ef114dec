/* SPDX-License-Identifier: Apache-2.0 */
/* Tools, tool_choice and response_format: what they make of an answer's grammar. */
#include "serve/protocol/openai.h"

#include "llm/grammar.h"
#include "llm/schema.h"

static enum code take_function(struct json *j, struct openai_tool *tool, struct err *e) {
    struct str key;
    bool more;
    TRY(json_enter_object(j, e));
    for (;;) {
        TRY(json_next_key(j, &key, &more, e));
        if (!more)
            return OK;
        if (str_is(key, "function") && json_peek(j) == JSON_OBJECT)
            TRY(take_function(j, tool, e));
        else if (str_is(key, "name") && json_peek(j) == JSON_STRING)
            TRY(json_string(j, &tool->name, e));
        else if (str_is(key, "parameters") && json_peek(j) == JSON_OBJECT)
            TRY(json_skip(j, &tool->schema, e));
        else
            TRY(json_skip(j, NULL, e));
    }
}

static enum code read_tools(struct talk *t, struct str json, struct openai_tool *tools, size_t *n,
                            struct err *e) {
    struct json j;
    bool more;
    json_init(&j, json, t->r->arena);
    TRY(json_enter_array(&j, e));
    for (*n = 0;; ++*n) {
        TRY(json_next_item(&j, &more, e));
        if (!more)
            return OK;
        if (*n == OPENAI_TOOLS)
            return fail(e, INVALID, "more than %d tools", OPENAI_TOOLS);
        if (json_peek(&j) != JSON_OBJECT)
            return fail(e, INVALID, "tools[%zu] must be an object", *n);
        tools[*n] = (struct openai_tool){0};
        TRY(take_function(&j, &tools[*n], e));
        if (tools[*n].name.n == 0)
            return fail(e, INVALID, "tools[%zu] has no function name", *n);
    }
}

static bool usable_name(struct str name) {
    for (size_t i = 0; i < name.n; i++)
        if (!(name.p[i] == '_' || name.p[i] == '-' || (name.p[i] >= '0' && name.p[i] <= '9') ||
              (name.p[i] >= 'a' && name.p[i] <= 'z') || (name.p[i] >= 'A' && name.p[i] <= 'Z')))
            return false;
    return name.n > 0 && name.n <= 64;
}

/* A grammar that leaves no choice but calling one of the tools (`only`: that one). */
static enum code force_call(struct talk *t, const struct openai_tool *tools, size_t n,
                            struct str only, bool many, struct err *e) {
    struct toolcall_rule rules[OPENAI_TOOLS];
    struct schema *s;
    size_t k = 0;
    struct buf *text = answer_buf(t->r, 4096, e);
    if (!text)
        return e->code;
    TRY(schema_begin(text, t->r->arena, &s, e));
    for (size_t i = 0; i < n; i++) {
        if (only.n && !str_eq(only, tools[i].name))
            continue;
        if (!usable_name(tools[i].name))
            return fail(e, INVALID, "tools[%zu]: a name has 1 to 64 letters, digits, '_' and '-'",
                        i);
        rules[k].name = tools[i].name;
        enum code code = tools[i].schema.n ? schema_add(s, tools[i].schema, &rules[k].rule, e)
                                           : schema_add_object(s, &rules[k].rule, e);
        if (code != OK)
            return err_prefix(e, "tools[%zu]", i);
        k++;
    }
    if (k == 0)
        return fail(e, INVALID, "tool_choice names '%.*s', which is not among the tools",
                    STR(only));
    TRY(schema_end(s, e));
    toolcall_grammar(t->tools, rules, k, many, text);
    TRY(buf_check(text, "grammar", e));
    t->grammar_text = buf_str(text);
    return OK;
}

/* Nothing to call: fine, but for who wants a call. */
static enum code without_tools(struct openai *o, bool wanted, struct err *e) {
    o->tools = (struct str){0};
    return wanted ? fail(e, INVALID, "tool_choice asks for a call, and there are no tools") : OK;
}

static enum code apply_tools(struct talk *t, struct openai *o, struct err *e) {
    struct json j;
    struct openai_tool chosen = {0};
    struct str choice = LIT("auto");
    size_t n;
    json_init(&j, o->tool_choice, t->r->arena);
    if (o->tool_choice.n && json_peek(&j) == JSON_STRING)
        TRY(json_string(&j, &choice, e));
    else if (o->tool_choice.n) {
        TRY(take_function(&j, &chosen, e));
        if (chosen.name.n == 0)
            return fail(e, INVALID, "tool_choice: an object must name a function");
    }
    bool wanted = chosen.name.n || str_is(choice, "required");
    if (o->tools.n == 0 || str_is(choice, "none"))
        return without_tools(o, wanted, e);
    struct openai_tool *tools = ARENA_ARRAY(t->r->arena, OPENAI_TOOLS, struct openai_tool);
    if (!tools)
        return arena_fail(t->r->arena, OPENAI_TOOLS * sizeof *tools, "tools", e);
    TRY(read_tools(t, o->tools, tools, &n, e));
    if (n == 0)
        return without_tools(o, wanted, e);
    t->tools = toolcall_family_of(t->language->tool_template);
    if (chosen.name.n)
        return force_call(t, tools, n, chosen.name, false, e);
    if (str_is(choice, "required"))
        return force_call(t, tools, n, (struct str){0}, !o->one_call, e);
    return str_is(choice, "auto")
               ? OK
               : fail(e, INVALID, "tool_choice '%.*s': auto, none, required or a function",
                      STR(str_sub(choice, 0, 60)));
}

/* {"type": "text" | "json_object" | "json_schema", "json_schema": {"schema": S}}; llama.cpp also
 * puts "schema" beside the type, the responses API leaves the middle level out. */
static enum code read_format(struct json *j, struct talk *t, struct str *type, struct err *e) {
    struct str key, ignored;
    bool more;
    TRY(json_enter_object(j, e));
    for (;;) {
        TRY(json_next_key(j, &key, &more, e));
        if (!more)
            return OK;
        if (str_is(key, "type") && json_peek(j) == JSON_STRING)
            TRY(json_string(j, type, e));
        else if (str_is(key, "schema") && json_peek(j) != JSON_NULL)
            TRY(json_skip(j, &t->schema_text, e));
        else if (str_is(key, "json_schema") && json_peek(j) == JSON_OBJECT)
            TRY(read_format(j, t, &ignored, e));
        else
            TRY(json_skip(j, NULL, e));
    }
}

static enum code apply_format(struct talk *t, const struct openai *o, struct err *e) {
    struct json j;
    struct str type = {0};
    if (o->response_format.n == 0)
        return OK;
    json_init(&j, o->response_format, t->r->arena);
    TRY(read_format(&j, t, &type, e));
    t->json_mode = str_is(type, "json_object");
    if (str_is(type, "json_schema") && t->schema_text.n == 0)
        return fail(e, INVALID, "response_format: json_schema has no \"schema\"");
    if (str_is(type, "text"))
        t->schema_text = (struct str){0};
    else if (!t->json_mode && !str_is(type, "json_schema"))
        return fail(e, INVALID, "response_format '%.*s': text, json_object or json_schema",
                    STR(str_sub(type, 0, 60)));
    return OK;
}

enum code openai_constrain(struct talk *t, struct err *e) {
    struct openai *o = t->own;
    TRY(apply_tools(t, o, e));
    TRY(apply_format(t, o, e));
    return talk_constrain(t, e);
}
