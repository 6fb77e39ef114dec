/* SPDX-License-Identifier: Apache-2.0 */
/* The OpenAI API's shared part: see openai.h. */
#include "serve/protocol/openai.h"

#include "llm/grammar.h"
#include "llm/schema.h"

/* --- reading --- */

static enum code find_model(struct request *r, struct str *model, struct err *e) {
    struct json j;
    struct str key;
    bool more;
    json_init(&j, (struct str){(const char *)r->body.p, r->body.n}, r->arena);
    TRY(json_enter_object(&j, e));
    for (;;) {
        TRY(json_next_key(&j, &key, &more, e));
        if (!more)
            return json_end(&j, e);
        if (str_is(key, "model") && json_peek(&j) == JSON_STRING)
            TRY(json_string(&j, model, e));
        else
            TRY(json_skip(&j, NULL, e));
    }
}

static enum code take_stream_options(struct openai *o, struct json *j, struct err *e) {
    struct str key;
    bool more;
    if (json_peek(j) == JSON_NULL)
        return json_null(j, e);
    TRY(json_enter_object(j, e));
    for (;;) {
        TRY(json_next_key(j, &key, &more, e));
        if (!more)
            return OK;
        if (str_is(key, "include_usage") && json_peek(j) == JSON_BOOL)
            TRY(json_bool(j, &o->include_usage, e));
        else
            TRY(json_skip(j, NULL, e));
    }
}

static enum code take_choices(struct json *j, const char *name, int *out, struct err *e) {
    int64_t v = 1;
    if (json_peek(j) == JSON_NULL)
        return json_null(j, e);
    TRY(json_i64(j, &v, e));
    if (v < 1 || v > DECODE_CHOICES)
        return json_fail(j, e, "%s is %lld: it must be from 1 to %d", name, (long long)v,
                         DECODE_CHOICES);
    *out = (int)v;
    return OK;
}

static enum code take_logprobs(struct openai *o, struct json *j, struct err *e) {
    bool yes;
    if (json_peek(j) == JSON_NULL)
        return json_null(j, e);
    if (json_peek(j) != JSON_BOOL)
        return json_i64(j, &o->logprobs, e);
    TRY(json_bool(j, &yes, e));
    o->logprobs = yes ? 1 : -1;
    return OK;
}

static enum code take_raw(struct json *j, struct str *out, struct err *e) {
    return json_peek(j) == JSON_NULL ? json_null(j, e) : json_skip(j, out, e);
}

static enum code take_member(struct talk *t, struct openai *o, struct json *j, struct str key,
                             struct err *e) {
    static const struct {
        const char *name;
        size_t offset;
    } raws[] = {{"messages", offsetof(struct openai, messages)},
                {"tools", offsetof(struct openai, tools)},
                {"chat_template_kwargs", offsetof(struct openai, extra)},
                {"prompt", offsetof(struct openai, prompt)},
                {"input", offsetof(struct openai, input)},
                {"instructions", offsetof(struct openai, instructions)},
                {"tool_choice", offsetof(struct openai, tool_choice)},
                {"response_format", offsetof(struct openai, response_format)}};
    bool taken;
    for (size_t i = 0; i < sizeof raws / sizeof *raws; i++)
        if (str_is(key, raws[i].name))
            return take_raw(j, (struct str *)(void *)((char *)o + raws[i].offset), e);
    if (str_is(key, "stream_options"))
        return take_stream_options(o, j, e);
    if (str_is(key, "n"))
        return take_choices(j, "n", &t->ask.choices, e);
    if (str_is(key, "best_of"))
        return take_choices(j, "best_of", &t->ask.best_of, e);
    if (str_is(key, "logprobs"))
        return take_logprobs(o, j, e);
    if (str_is(key, "top_logprobs"))
        return json_peek(j) == JSON_NULL ? json_null(j, e) : json_i64(j, &o->top_logprobs, e);
    if (str_is(key, "echo") && json_peek(j) == JSON_BOOL)
        return json_bool(j, &o->echo, e);
    if (str_is(key, "parallel_tool_calls") && json_peek(j) == JSON_BOOL) {
        bool many;
        TRY(json_bool(j, &many, e));
        o->one_call = !many;
        return OK;
    }
    TRY(talk_option(t, j, key, &taken, e));
    return taken ? OK : json_skip(j, NULL, e);
}

enum code openai_read(struct request *r, const struct talk_form *form, struct talk **out,
                      struct err *e) {
    struct json j;
    struct str key, model = {0};
    bool more;
    TRY(find_model(r, &model, e));
    TRY(talk_route(r, model, e));
    TRY(talk_new(r, form, out, e));
    struct openai *o = ARENA_NEW(r->arena, struct openai);
    if (!o)
        return arena_fail(r->arena, sizeof *o, "request", e);
    (*out)->own = o;
    o->model = model.n ? model : r->ask.model;
    o->logprobs = o->top_logprobs = -1;
    json_init(&j, (struct str){(const char *)r->body.p, r->body.n}, r->arena);
    TRY(json_enter_object(&j, e));
    for (;;) {
        TRY(json_next_key(&j, &key, &more, e));
        if (!more)
            break;
        TRY(take_member(*out, o, &j, key, e));
    }
    if ((*out)->streamed && (*out)->ask.best_of > (*out)->ask.choices)
        return fail(e, INVALID, "best_of cannot be streamed: the best is known at the end");
    return OK;
}

/* --- messages --- */

/* [{"type": "text", "text": "..."}] */
static enum code join_parts(struct json *j, struct buf *text, struct err *e) {
    struct str key, type, piece;
    bool more;
    TRY(json_enter_array(j, e));
    for (;;) {
        TRY(json_next_item(j, &more, e));
        if (!more)
            return buf_check(text, "message", e);
        type = piece = (struct str){0};
        TRY(json_enter_object(j, e));
        for (;;) {
            TRY(json_next_key(j, &key, &more, e));
            if (!more)
                break;
            if (str_is(key, "type") && json_peek(j) == JSON_STRING)
                TRY(json_string(j, &type, e));
            else if (str_is(key, "text") && json_peek(j) == JSON_STRING)
                TRY(json_string(j, &piece, e));
            else
                TRY(json_skip(j, NULL, e));
        }
        if (type.n && !str_is(type, "text") && !str_is(type, "input_text") &&
            !str_is(type, "output_text") && !str_is(type, "refusal"))
            return json_fail(j, e, "content of type '%.*s' is not supported: text only",
                             STR(str_sub(type, 0, 60)));
        buf_put_str(text, piece);
    }
}

static enum code put_content(struct talk *t, struct json *j, struct json_out *w, struct err *e) {
    struct str raw;
    if (json_peek(j) == JSON_NULL) { /* beside tool calls; templates join it to text */
        json_put_text(w, "");
        return json_null(j, e);
    }
    if (json_peek(j) != JSON_ARRAY) {
        TRY(json_skip(j, &raw, e));
        json_put_raw(w, raw);
        return OK;
    }
    struct buf *text = answer_buf(t->r, 256, e);
    if (!text)
        return e->code;
    TRY(join_parts(j, text, e));
    json_put_str(w, buf_str(text));
    return OK;
}

/* A string that holds an object is written as that object. */
static enum code put_arguments(struct talk *t, struct json *j, struct json_out *w, struct err *e) {
    struct json inner;
    struct str text, raw;
    struct err ignored;
    if (json_peek(j) != JSON_STRING) {
        TRY(json_skip(j, &raw, e));
        json_put_raw(w, raw);
        return OK;
    }
    TRY(json_string(j, &text, e));
    json_init(&inner, text, t->r->arena);
    if (json_peek(&inner) == JSON_OBJECT && json_skip(&inner, &raw, &ignored) == OK &&
        json_end(&inner, &ignored) == OK)
        json_put_raw(w, raw);
    else
        json_put_str(w, text);
    return OK;
}

/* Copies an object; members named "arguments" as put_arguments says, "function" likewise. */
static enum code put_call(struct talk *t, struct json *j, struct json_out *w, struct err *e) {
    struct str key, raw;
    bool more;
    TRY(json_enter_object(j, e));
    json_put_object(w);
    for (;;) {
        TRY(json_next_key(j, &key, &more, e));
        if (!more)
            break;
        json_put_key_str(w, key);
        if (str_is(key, "arguments")) {
            TRY(put_arguments(t, j, w, e));
        } else if (str_is(key, "function") && json_peek(j) == JSON_OBJECT) {
            TRY(put_call(t, j, w, e));
        } else {
            TRY(json_skip(j, &raw, e));
            json_put_raw(w, raw);
        }
    }
    json_put_object_end(w);
    return OK;
}

static enum code put_calls(struct talk *t, struct json *j, struct json_out *w, struct err *e) {
    bool more;
    TRY(json_enter_array(j, e));
    json_put_array(w);
    for (;;) {
        TRY(json_next_item(j, &more, e));
        if (!more)
            break;
        TRY(put_call(t, j, w, e));
    }
    json_put_array_end(w);
    return OK;
}

static enum code put_role(struct json *j, struct json_out *w, bool *has_role, struct err *e) {
    struct str role;
    TRY(json_string(j, &role, e));
    *has_role = true;
    json_put_str(w, str_is(role, "developer") ? LIT("system") : role);
    return OK;
}

static enum code put_message(struct talk *t, struct json *j, struct json_out *w, struct err *e) {
    struct str key, raw;
    bool more, has_role = false;
    if (json_peek(j) != JSON_OBJECT)
        return json_fail(j, e, "a message must be an object");
    TRY(json_enter_object(j, e));
    json_put_object(w);
    for (;;) {
        TRY(json_next_key(j, &key, &more, e));
        if (!more)
            break;
        if (str_is(key, "tool_calls") && json_peek(j) != JSON_ARRAY) {
            TRY(json_skip(j, NULL, e));
            continue;
        }
        json_put_key_str(w, key);
        if (str_is(key, "content")) {
            TRY(put_content(t, j, w, e));
        } else if (str_is(key, "role")) {
            TRY(put_role(j, w, &has_role, e));
        } else if (str_is(key, "tool_calls")) {
            TRY(put_calls(t, j, w, e));
        } else {
            TRY(json_skip(j, &raw, e));
            json_put_raw(w, raw);
        }
    }
    json_put_object_end(w);
    return has_role ? OK : json_fail(j, e, "a message has no \"role\"");
}

enum code openai_messages(struct talk *t, struct str messages, struct str *out, struct err *e) {
    struct json j;
    struct json_out w;
    size_t n = 0;
    bool more;
    if (messages.n == 0)
        return fail(e, INVALID, "\"messages\" is missing");
    struct buf *b = answer_buf(t->r, messages.n + 64, e);
    if (!b)
        return e->code;
    json_init(&j, messages, t->r->arena);
    json_out_init(&w, b, 0);
    if (json_peek(&j) != JSON_ARRAY)
        return fail(e, INVALID, "\"messages\" must be an array");
    TRY(json_enter_array(&j, e));
    json_put_array(&w);
    for (;; n++) {
        TRY(json_next_item(&j, &more, e));
        if (!more)
            break;
        if (put_message(t, &j, &w, e) != OK)
            return err_prefix(e, "messages[%zu]", n);
    }
    json_put_array_end(&w);
    TRY(buf_check(b, "messages", e));
    *out = buf_str(b);
    return n ? OK : fail(e, INVALID, "\"messages\" is empty");
}

/* --- tools and formats --- */

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

static enum code apply_tools(struct talk *t, struct openai *o, struct err *e) {
    struct json j;
    struct openai_tool chosen = {0};
    struct str choice = LIT("auto");
    size_t n;
    json_init(&j, o->tool_choice, t->r->arena);
    if (o->tool_choice.n && json_peek(&j) == JSON_STRING)
        TRY(json_string(&j, &choice, e));
    else if (o->tool_choice.n)
        TRY(take_function(&j, &chosen, e));
    if (o->tools.n == 0 || str_is(choice, "none")) {
        o->tools = (struct str){0};
        return OK;
    }
    struct openai_tool *tools = ARENA_ARRAY(t->r->arena, OPENAI_TOOLS, struct openai_tool);
    if (!tools)
        return arena_fail(t->r->arena, OPENAI_TOOLS * sizeof *tools, "tools", e);
    TRY(read_tools(t, o->tools, tools, &n, e));
    if (n == 0) {
        o->tools = (struct str){0};
        return OK;
    }
    t->tools = toolcall_family_of(t->language->template);
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

/* --- writing --- */

struct str openai_spelling(const struct talk *t, int32_t token) {
    struct str piece = tokenizer_piece(t->language->tokenizer, token);
    return piece.n ? piece : tokenizer_name(t->language->tokenizer, token);
}

void openai_put_head(struct talk *t, struct json_out *w, const char *object, const char *prefix) {
    const struct openai *o = t->own;
    char id[REQUEST_ID + 32];
    snprintf(id, sizeof id, "%s%.*s", prefix, STR(t->id));
    json_put_object(w);
    json_put_member_text(w, "id", id);
    json_put_member_text(w, "object", object);
    json_put_member_i64(w, "created", (int64_t)t->created);
    json_put_member_str(w, "model", o->model);
    snprintf(id, sizeof id, "%.*s@%llu", STR(live_model(t->r->ask.live)),
             (unsigned long long)live_version(t->r->ask.live));
    json_put_member_text(w, "system_fingerprint", id);
}

void openai_put_usage(struct talk *t, struct json_out *w) {
    json_put_key(w, "usage");
    json_put_object(w);
    json_put_member_i64(w, "prompt_tokens", (int64_t)t->ask.n_prompt);
    json_put_member_i64(w, "completion_tokens", (int64_t)t->ask.n_generated);
    json_put_member_i64(w, "total_tokens", (int64_t)(t->ask.n_prompt + t->ask.n_generated));
    json_put_key(w, "prompt_tokens_details");
    json_put_object(w);
    json_put_member_i64(w, "cached_tokens", (int64_t)t->ask.n_cached);
    json_put_object_end(w);
    json_put_object_end(w);
}

void openai_put_event(struct buf *out, const struct buf *json) {
    buf_put_text(out, "data: ");
    buf_put_str(out, buf_str(json));
    buf_put_text(out, "\n\n");
}

void openai_put_done(struct buf *out) { buf_put_text(out, "data: [DONE]\n\n"); }

/* What OpenAI calls the code; clients choose their exception by the HTTP status. */
static const char *error_type(const struct err *e) {
    switch (err_http(e->code)) {
    case 401: return "authentication_error";
    case 403: return "permission_error";
    case 404: return "not_found_error";
    case 429: return "rate_limit_error";
    default: return err_http(e->code) < 500 ? "invalid_request_error" : "server_error";
    }
}

static const char *error_code(const struct err *e) {
    if (e->code == ERR_NOT_FOUND)
        return "model_not_found";
    if (e->code == ERR_INVALID && strstr(e->text, "maximum context length"))
        return "context_length_exceeded";
    return e->code == ERR_OVERLOAD ? "rate_limit_exceeded" : NULL;
}

void openai_error(const struct request *r, const struct err *e, struct json_out *w) {
    const char *code = error_code(e);
    (void)r;
    json_put_object(w);
    json_put_key(w, "error");
    json_put_object(w);
    json_put_member_text(w, "message", e->text);
    json_put_member_text(w, "type", error_type(e));
    json_put_key(w, "param");
    json_put_null(w);
    json_put_key(w, "code");
    if (code)
        json_put_text(w, code);
    else
        json_put_null(w);
    json_put_object_end(w);
    json_put_object_end(w);
}

void openai_fail(struct talk *t, const struct err *e, struct buf *out) {
    struct json_out w;
    struct buf b;
    buf_init(&b, 4096);
    json_out_init(&w, &b, 0);
    openai_error(t->r, e, &w);
    openai_put_event(out, &b);
    buf_deinit(&b);
}
