/* SPDX-License-Identifier: Apache-2.0 */
/* POST /v1/responses: docs/protocols/openai.md. An answer is a list of items: thoughts, a message,
 * calls of functions. Nothing is kept: "store": true, "previous_response_id" and "conversation" are
 * refused. Streamed, each item comes as
 *
 *   output_item.added, [content_part.added], deltas, done, [content_part.done], output_item.done
 *
 * between response.created and response.completed. */
#include "serve/protocol/openai.h"

enum kind { NONE, THOUGHT, MESSAGE, CALL };

static const struct {
    const char *id, *part, *delta, *done, *text;
} kinds[] = {
    [THOUGHT] = {"rs_", "reasoning_text", "response.reasoning_text.delta",
                 "response.reasoning_text.done", "text"},
    [MESSAGE] = {"msg_", "output_text", "response.output_text.delta", "response.output_text.done",
                 "text"},
    [CALL] = {"fc_", NULL, "response.function_call_arguments.delta",
              "response.function_call_arguments.done", "arguments"},
};

struct responses { /* in openai->more */
    struct talk *t;
    struct str asked_tools; /* as they came */
    struct buf *out;        /* where events go; NULL: not streamed */
    int64_t sequence;       /* of the next event */
    /* the item being made */
    enum kind kind;
    int index, n_calls;
    struct buf *text, *name; /* name: JSON text without quotes */
    /* the items made */
    struct buf *items, *thoughts;
    struct json_out w; /* of items */
};

/* --- items --- */

static void put_item_id(const struct responses *r, const char *key, struct json_out *w) {
    char id[REQUEST_ID + 32];
    snprintf(id, sizeof id, "%s%.*s_%d", kinds[r->kind].id, STR(r->t->id), r->index);
    json_put_member_text(w, key, id);
}

static void put_part(const struct responses *r, struct str text, struct json_out *w) {
    json_put_object(w);
    json_put_member_text(w, "type", kinds[r->kind].part);
    json_put_member_str(w, "text", text);
    if (r->kind == MESSAGE) {
        json_put_key(w, "annotations");
        json_put_raw(w, LIT("[]"));
        json_put_key(w, "logprobs");
        json_put_raw(w, LIT("[]"));
    }
    json_put_object_end(w);
}

static void put_call(const struct responses *r, struct str arguments, struct json_out *w) {
    char id[REQUEST_ID + 32];
    snprintf(id, sizeof id, "call_%.*s_%d", STR(r->t->id), r->n_calls);
    json_put_member_text(w, "type", "function_call");
    json_put_member_text(w, "call_id", id);
    openai_put_name(w, buf_str(r->name));
    json_put_member_str(w, "arguments", arguments);
}

static void put_item(const struct responses *r, const char *status, struct json_out *w) {
    bool begun = strcmp(status, "in_progress") == 0; /* nothing is in it yet */
    struct str text = begun ? (struct str){0} : buf_str(r->text);
    json_put_object(w);
    put_item_id(r, "id", w);
    json_put_member_text(w, "status", status);
    if (r->kind == CALL) {
        put_call(r, text, w);
        json_put_object_end(w);
        return;
    }
    json_put_member_text(w, "type", r->kind == MESSAGE ? "message" : "reasoning");
    if (r->kind == MESSAGE) {
        json_put_member_text(w, "role", "assistant");
    } else {
        json_put_key(w, "summary");
        json_put_raw(w, LIT("[]"));
    }
    json_put_key(w, "content");
    json_put_array(w);
    if (!begun)
        put_part(r, text, w);
    json_put_array_end(w);
    json_put_object_end(w);
}

/* --- events --- */

struct event {
    struct buf json;
    struct json_out w;
    const char *type;
};

static void begin_event(struct responses *r, struct event *v, const char *type) {
    v->type = type;
    buf_init(&v->json, ANSWER_BYTES);
    json_out_init(&v->w, &v->json, 0);
    json_put_object(&v->w);
    json_put_member_text(&v->w, "type", type);
    json_put_member_i64(&v->w, "sequence_number", r->sequence++);
}

static void end_event(struct responses *r, struct event *v) {
    json_put_object_end(&v->w);
    buf_printf(r->out, "event: %s\n", v->type);
    openai_put_event(r->out, &v->json);
    buf_deinit(&v->json);
}

static void begin_item_event(struct responses *r, struct event *v, const char *type) {
    begin_event(r, v, type);
    put_item_id(r, "item_id", &v->w);
    json_put_member_i64(&v->w, "output_index", r->index);
    if (kinds[r->kind].part)
        json_put_member_i64(&v->w, "content_index", 0);
}

static void say_item(struct responses *r, const char *type, const char *status) {
    struct event v;
    begin_event(r, &v, type);
    json_put_member_i64(&v.w, "output_index", r->index);
    json_put_key(&v.w, "item");
    put_item(r, status, &v.w);
    end_event(r, &v);
}

static void say_part(struct responses *r, const char *type, struct str text) {
    struct event v;
    begin_item_event(r, &v, type);
    json_put_key(&v.w, "part");
    put_part(r, text, &v.w);
    end_event(r, &v);
}

static void say_text(struct responses *r, const char *type, const char *member, struct str text) {
    struct event v;
    begin_item_event(r, &v, type);
    json_put_member_str(&v.w, member, text);
    if (r->kind == MESSAGE) {
        json_put_key(&v.w, "logprobs");
        json_put_raw(&v.w, LIT("[]"));
    }
    end_event(r, &v);
}

/* --- what the answer is made of --- */

static void close_item(struct responses *r, const char *status) {
    if (r->kind == NONE)
        return;
    if (r->out) {
        say_text(r, kinds[r->kind].done, kinds[r->kind].text, buf_str(r->text));
        if (kinds[r->kind].part)
            say_part(r, "response.content_part.done", buf_str(r->text));
        say_item(r, "response.output_item.done", status);
    }
    put_item(r, status, &r->w);
    if (r->kind == THOUGHT)
        buf_put_str(r->thoughts, buf_str(r->text));
    r->kind = NONE;
    r->index++;
}

static void open_item(struct responses *r, enum kind kind) {
    close_item(r, "completed");
    r->kind = kind;
    buf_clear(r->text);
    if (!r->out)
        return;
    say_item(r, "response.output_item.added", "in_progress");
    if (kinds[kind].part)
        say_part(r, "response.content_part.added", (struct str){0});
}

static void add(struct responses *r, struct str text) {
    buf_put_str(r->text, text);
    if (r->out)
        say_text(r, kinds[r->kind].delta, "delta", text);
}

static void on_text(struct responses *r, enum kind kind, struct str text) {
    if (r->kind != kind)
        open_item(r, kind);
    add(r, text);
}

static void on_thought(void *ctx, struct str text) { on_text(ctx, THOUGHT, text); }
static void on_content(void *ctx, struct str text) { on_text(ctx, MESSAGE, text); }
static void on_arguments(void *ctx, int index, struct str text) {
    (void)index;
    add(ctx, text);
}
static void on_call(void *ctx, int index, struct str name) {
    struct responses *r = ctx;
    close_item(r, "completed");
    r->n_calls = index;
    buf_clear(r->name);
    buf_put_str(r->name, name);
    open_item(r, CALL);
}

static const char *status_of(const struct talk_choice *c) {
    return c->part.end == DECODE_LENGTH ? "incomplete" : "completed";
}

static void take(struct responses *r, struct talk_choice *c) {
    const struct talk_sink sink = {on_thought, {r, on_content, on_call, on_arguments}};
    talk_feed(c, &sink);
    if (!c->ended)
        return;
    if (r->kind == NONE && r->index == 0) /* an answer without a word is a message without one */
        open_item(r, MESSAGE);
    close_item(r, status_of(c));
}

/* --- the response --- */

static void put_raw(struct json_out *w, const char *key, struct str json, const char *otherwise) {
    json_put_key(w, key);
    json_put_raw(w, json.n ? json : str_of(otherwise));
}

static void put_float(struct json_out *w, const char *key, float v) {
    json_put_key(w, key);
    json_put_f32(w, v);
}

/* What was asked for, as the API repeats it. */
static void put_asked(const struct responses *r, struct json_out *w) {
    const struct openai *o = r->t->own;
    put_raw(w, "instructions", o->instructions, "null");
    put_raw(w, "metadata", o->metadata, "{}");
    json_put_key(w, "max_output_tokens");
    if (r->t->ask.max_tokens)
        json_put_i64(w, (int64_t)r->t->ask.max_tokens);
    else
        json_put_null(w);
    json_put_member_str(w, "model", o->model);
    json_put_member_bool(w, "parallel_tool_calls", !o->one_call);
    put_raw(w, "previous_response_id", (struct str){0}, "null");
    json_put_member_bool(w, "store", false);
    put_float(w, "temperature", r->t->ask.sample.temperature);
    put_float(w, "top_p", r->t->ask.sample.top_p);
    put_raw(w, "text", o->text, "{\"format\":{\"type\":\"text\"}}");
    put_raw(w, "tool_choice", o->tool_choice, "\"auto\"");
    put_raw(w, "tools", r->asked_tools, "[]");
    json_put_member_text(w, "truncation", "disabled");
}

/* Thoughts are counted by tokenising them again: pieces of text are not pieces of tokens. */
static int64_t count_thoughts(const struct responses *r) {
    struct err ignored;
    int32_t *ids;
    size_t n = 0;
    if (r->thoughts->n && tokenizer_encode(r->t->language->tokenizer, buf_str(r->thoughts), 0,
                                           r->t->r->arena, &ids, &n, &ignored) != OK)
        n = 0;
    return (int64_t)n;
}

static void put_usage(const struct responses *r, struct json_out *w) {
    const struct decode_ask *a = &r->t->ask;
    json_put_key(w, "usage");
    json_put_object(w);
    json_put_member_i64(w, "input_tokens", (int64_t)a->n_prompt);
    json_put_key(w, "input_tokens_details");
    json_put_object(w);
    json_put_member_i64(w, "cached_tokens", (int64_t)a->n_cached);
    json_put_member_i64(w, "cache_write_tokens", 0);
    json_put_object_end(w);
    json_put_member_i64(w, "output_tokens", (int64_t)a->n_generated);
    json_put_key(w, "output_tokens_details");
    json_put_object(w);
    json_put_member_i64(w, "reasoning_tokens", count_thoughts(r));
    json_put_object_end(w);
    json_put_member_i64(w, "total_tokens", (int64_t)(a->n_prompt + a->n_generated));
    json_put_object_end(w);
}

/* Its members. failure: NULL, or why it failed. */
static void put_members(const struct responses *r, const char *status, const struct err *failure,
                        struct json_out *w) {
    char id[REQUEST_ID + 32];
    bool over = strcmp(status, "in_progress") != 0;
    snprintf(id, sizeof id, "resp_%.*s", STR(r->t->id));
    json_put_member_text(w, "id", id);
    json_put_member_text(w, "object", "response");
    json_put_member_i64(w, "created_at", (int64_t)r->t->created);
    json_put_member_text(w, "status", status);
    json_put_key(w, "error");
    if (failure) {
        json_put_object(w);
        json_put_member_text(w, "code", "server_error");
        json_put_member_text(w, "message", failure->text);
        json_put_object_end(w);
    } else {
        json_put_null(w);
    }
    put_raw(w, "incomplete_details", (struct str){0},
            strcmp(status, "incomplete") == 0 ? "{\"reason\":\"max_output_tokens\"}" : "null");
    put_asked(r, w);
    json_put_key(w, "output");
    json_put_array(w);
    if (over && r->items->n)
        json_put_raw(w, buf_str(r->items));
    json_put_array_end(w);
    if (over && !failure)
        put_usage(r, w);
    else
        put_raw(w, "usage", (struct str){0}, "null");
}

static struct responses *of(const struct talk *t) { return ((const struct openai *)t->own)->more; }

static void say_response(struct responses *r, const char *type, const char *status,
                         const struct err *failure) {
    struct event v;
    begin_event(r, &v, type);
    json_put_key(&v.w, "response");
    json_put_object(&v.w);
    put_members(r, status, failure, &v.w);
    json_put_object_end(&v.w);
    end_event(r, &v);
}

static void begin(struct talk *t, struct buf *out) {
    struct responses *r = of(t);
    r->out = out;
    say_response(r, "response.created", "in_progress", NULL);
    say_response(r, "response.in_progress", "in_progress", NULL);
}

static void piece(struct talk *t, struct talk_choice *c, struct buf *out) {
    of(t)->out = out;
    take(of(t), c);
}

static void end(struct talk *t, struct buf *out) {
    struct responses *r = of(t);
    const char *status = status_of(&t->choices[0]);
    r->out = out;
    say_response(r, strcmp(status, "completed") == 0 ? "response.completed" : "response.incomplete",
                 status, NULL);
}

static void failed(struct talk *t, const struct err *e, struct buf *out) {
    struct responses *r = of(t);
    r->out = out;
    close_item(r, "incomplete");
    say_response(r, "response.failed", "failed", e);
}

static enum code whole(struct talk *t, struct err *e) {
    struct answer_json j;
    take(of(t), &t->choices[0]);
    TRY(answer_json(t->r, &j, e));
    json_put_object(&j.w);
    put_members(of(t), status_of(&t->choices[0]), NULL, &j.w);
    json_put_object_end(&j.w);
    return answer_json_end(t->r, &j, e);
}

static const struct talk_form form = {
    .type = "text/event-stream",
    .begin = begin,
    .piece = piece,
    .end = end,
    .failed = failed,
    .whole = whole,
};

/* --- the question --- */

/* {"type": "function", "name": ...} as {"type": "function", "function": {"name": ...}}, which is
 * how chat templates know them. */
static enum code nest_tool(struct json *j, struct json_out *w, struct err *e) {
    struct str key, raw, type = {0};
    bool more;
    TRY(json_enter_object(j, e));
    json_put_object(w);
    json_put_member_text(w, "type", "function");
    json_put_key(w, "function");
    json_put_object(w);
    for (;;) {
        TRY(json_next_key(j, &key, &more, e));
        if (!more)
            break;
        if (str_is(key, "type") && json_peek(j) == JSON_STRING) {
            TRY(json_string(j, &type, e));
            continue;
        }
        TRY(json_skip(j, &raw, e));
        json_put_key_str(w, key);
        json_put_raw(w, raw);
    }
    json_put_object_end(w);
    json_put_object_end(w);
    return str_is(type, "function")
               ? OK
               : fail(e, INVALID, "tools of type '%.*s' are not supported: functions only",
                      STR(str_sub(type, 0, 60)));
}

static enum code nest_tools(struct talk *t, struct openai *o, struct err *e) {
    struct json j;
    struct json_out w;
    bool more;
    if (o->tools.n == 0)
        return OK;
    struct buf *b = answer_buf(t->r, o->tools.n + 256, e);
    if (!b)
        return e->code;
    json_init(&j, o->tools, t->r->arena);
    json_out_init(&w, b, 0);
    TRY(json_enter_array(&j, e));
    json_put_array(&w);
    for (size_t n = 0;; n++) {
        TRY(json_next_item(&j, &more, e));
        if (!more)
            break;
        if (nest_tool(&j, &w, e) != OK)
            return err_prefix(e, "tools[%zu]", n);
    }
    json_put_array_end(&w);
    o->tools = buf_str(b);
    return buf_check(b, "tools", e);
}

/* "text": {"format": ...} */
static enum code take_text(struct talk *t, struct openai *o, struct err *e) {
    struct json j;
    struct str key;
    bool more;
    if (o->text.n == 0)
        return OK;
    json_init(&j, o->text, t->r->arena);
    TRY(json_enter_object(&j, e));
    for (;;) {
        TRY(json_next_key(&j, &key, &more, e));
        if (!more)
            return OK;
        TRY(json_skip(&j, str_is(key, "format") ? &o->response_format : NULL, e));
    }
}

static enum code refuse_kept(const struct openai *o, struct err *e) {
    const char *what = o->previous.n                   ? "previous_response_id"
                       : o->conversation.n             ? "conversation"
                       : o->prompt.n                   ? "prompt"
                       : str_is(o->store, "true")      ? "store"
                       : str_is(o->background, "true") ? "background"
                                                       : NULL;
    return what ? fail(e, INVALID,
                       "%s is not supported: nothing is kept here; send the whole conversation as "
                       "\"input\"",
                       what)
                : OK;
}

static enum code make_state(struct talk *t, struct openai *o, struct err *e) {
    struct responses *r = ARENA_NEW(t->r->arena, struct responses);
    if (!r)
        return arena_fail(t->r->arena, sizeof *r, "request", e);
    struct buf **all[] = {&r->text, &r->name, &r->items, &r->thoughts};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (!(*all[i] = answer_buf(t->r, 0, e)))
            return e->code;
    json_out_init(&r->w, r->items, 0);
    r->t = t;
    r->asked_tools = o->tools;
    o->more = r;
    return OK;
}

static const struct openai_kind kind = {"response", "response", "resp_"};

static enum code decode(struct request *r, struct err *e) {
    struct talk *t;
    struct str messages;
    TRY(openai_read(r, &form, &kind, &t, e));
    struct openai *o = t->own;
    t->ask.choices = t->ask.best_of = 1;
    TRY(refuse_kept(o, e));
    TRY(make_state(t, o, e));
    TRY(nest_tools(t, o, e));
    TRY(take_text(t, o, e));
    TRY(openai_items(t, o->instructions, o->input, &messages, e));
    TRY(openai_constrain(t, e));
    TRY(talk_chat(t, messages, o->tools, o->extra, e));
    r->talk = t;
    return OK;
}

static const struct route routes[] = {
    {ROUTE_POST, "/v1/responses", ROUTE_TEXT, NULL},
    {ROUTE_POST, "/responses", ROUTE_TEXT, NULL},
};

const struct protocol protocol_openai_responses = {
    .name = "openai",
    .routes = routes,
    .n_routes = sizeof routes / sizeof *routes,
    .decode = decode,
    .error = openai_error,
};
