/* SPDX-License-Identifier: Apache-2.0 */
/* Ollama's API in its basic form: docs/protocols/ollama.md.
 *
 *   POST /api/chat, /api/generate   streamed as lines of JSON unless "stream" is false
 *
 * "name:latest" is the model "name"; any other tag is an alias. */
#include "serve/protocol/ollama.h"

#include "base/clock.h"
#include "serve/answer.h"
#include "serve/protocol/protocol.h"

struct ollama { /* in talk->own */
    struct str model, messages, tools, prompt, system, format;
    bool chat, raw;
    bool load; /* nothing is asked: the model is to be there */
    /* what the message is made of: of this piece, and the calls of all pieces */
    struct buf *thought, *text, *calls, *arguments;
    struct json_out w; /* of calls */
    bool open;
};

/* --- answers --- */

static void put_head(struct talk *t, struct json_out *w) {
    const struct ollama *o = t->own;
    char now[CLOCK_TEXT];
    size_t n = clock_print(clock_wall_us(), now);
    json_put_object(w);
    json_put_member_str(w, "model", o->model);
    json_put_member_str(w, "created_at", (struct str){now, n});
}

static void close_call(struct ollama *o) {
    if (!o->open)
        return;
    json_put_key(&o->w, "arguments");
    json_put_raw(&o->w, o->arguments->n ? buf_str(o->arguments) : LIT("{}"));
    json_put_object_end(&o->w);
    json_put_object_end(&o->w);
    buf_clear(o->arguments);
    o->open = false;
}
static void on_thought(void *ctx, struct str text) {
    buf_put_str(((struct ollama *)ctx)->thought, text);
}
static void on_content(void *ctx, struct str text) {
    buf_put_str(((struct ollama *)ctx)->text, text);
}
static void on_call(void *ctx, int index, struct str name) {
    struct ollama *o = ctx;
    close_call(o);
    if (index == 0)
        json_put_array(&o->w);
    o->open = true;
    json_put_object(&o->w);
    json_put_key(&o->w, "function");
    json_put_object(&o->w);
    json_put_member_str(&o->w, "name", name);
}
static void on_arguments(void *ctx, int index, struct str text) {
    (void)index;
    buf_put_str(((struct ollama *)ctx)->arguments, text);
}

/* Content as it comes; calls with the last piece: Ollama's clients expect each to be whole. */
static void put_message(struct ollama *o, struct talk_choice *c, struct json_out *w) {
    const struct talk_sink sink = {on_thought, {o, on_content, on_call, on_arguments}};
    buf_clear(o->thought);
    buf_clear(o->text);
    talk_feed(c, &sink);
    json_put_key(w, "message");
    json_put_object(w);
    json_put_member_text(w, "role", "assistant");
    json_put_member_str(w, "content", buf_str(o->text));
    if (o->thought->n)
        json_put_member_str(w, "thinking", buf_str(o->thought));
    if (c->ended && o->calls->n) {
        close_call(o);
        json_put_array_end(&o->w);
        json_put_key(w, "tool_calls");
        json_put_raw(w, buf_str(o->calls));
    }
    json_put_object_end(w);
}

static void put_answer(struct talk *t, struct talk_choice *c, struct json_out *w) {
    struct ollama *o = t->own;
    if (o->chat)
        put_message(o, c, w);
    else
        json_put_member_str(w, "response", buf_str(&c->part.text));
}

static void put_totals(struct talk *t, enum decode_end how, struct json_out *w) {
    const struct decode_ask *a = &t->ask;
    const struct ollama *o = t->own;
    uint64_t first = a->first_ns ? a->first_ns : a->ended_ns;
    json_put_member_bool(w, "done", true);
    json_put_member_text(w, "done_reason", o->load ? "load" : talk_end_name(how));
    json_put_member_i64(w, "total_duration", (int64_t)(a->ended_ns - a->queued_ns));
    json_put_member_i64(w, "load_duration", 0);
    json_put_member_i64(w, "prompt_eval_count", (int64_t)a->n_prompt);
    json_put_member_i64(w, "prompt_eval_duration", (int64_t)(first - a->queued_ns));
    json_put_member_i64(w, "eval_count", (int64_t)a->n_generated);
    json_put_member_i64(w, "eval_duration", (int64_t)(a->ended_ns - first));
    json_put_object_end(w);
}

static void piece(struct talk *t, struct talk_choice *c, struct buf *out) {
    struct json_out w;
    json_out_init(&w, out, 0);
    put_head(t, &w);
    put_answer(t, c, &w);
    json_put_member_bool(&w, "done", false);
    json_put_object_end(&w);
    buf_put_byte(out, '\n');
}

static void put_empty(struct json_out *w) {
    json_put_key(w, "message");
    json_put_raw(w, LIT("{\"role\":\"assistant\",\"content\":\"\"}"));
}

static void end(struct talk *t, struct buf *out) {
    const struct ollama *o = t->own;
    struct json_out w;
    json_out_init(&w, out, 0);
    put_head(t, &w);
    if (o->chat)
        put_empty(&w);
    else
        json_put_member_text(&w, "response", "");
    put_totals(t, t->choices[0].part.end, &w);
    buf_put_byte(out, '\n');
}

static void failed(struct talk *t, const struct err *e, struct buf *out) {
    struct json_out w;
    (void)t;
    json_out_init(&w, out, 0);
    json_put_object(&w);
    json_put_member_text(&w, "error", e->text);
    json_put_object_end(&w);
    buf_put_byte(out, '\n');
}

static enum code whole(struct talk *t, struct err *e) {
    struct answer_json j;
    TRY(answer_json(t->r, &j, e));
    put_head(t, &j.w);
    put_answer(t, &t->choices[0], &j.w);
    put_totals(t, t->choices[0].part.end, &j.w);
    return answer_json_end(t->r, &j, e);
}

static const struct talk_form form = {
    .type = "application/x-ndjson",
    .piece = piece,
    .end = end,
    .failed = failed,
    .whole = whole,
};

/* --- questions --- */

/* What would change the answer is not passed over; empty forms of it change nothing. */
static enum code refuse_given(struct json *j, const char *what, struct err *e) {
    struct str raw;
    TRY(json_skip(j, &raw, e));
    if (str_is(raw, "null") || str_is(raw, "\"\"") || str_is(raw, "[]"))
        return OK;
    return json_fail(j, e, "\"%s\" is not supported", what);
}

static enum code take_member(struct talk *t, struct ollama *o, struct json *j, struct str key,
                             struct err *e) {
    static const char *const beyond[] = {"images", "suffix", "template", "context"};
    bool text = json_peek(j) == JSON_STRING;
    for (size_t i = 0; i < sizeof beyond / sizeof beyond[0]; i++)
        if (str_is(key, beyond[i]))
            return refuse_given(j, beyond[i], e);
    if (str_is(key, "options"))
        return talk_options(t, j, e);
    if (str_is(key, "messages"))
        return json_skip(j, &o->messages, e);
    if (str_is(key, "tools") && json_peek(j) == JSON_ARRAY)
        return json_skip(j, &o->tools, e);
    if (str_is(key, "prompt") && text)
        return json_string(j, &o->prompt, e);
    if (str_is(key, "system") && text)
        return json_string(j, &o->system, e);
    if (str_is(key, "raw") && json_peek(j) == JSON_BOOL)
        return json_bool(j, &o->raw, e);
    if (str_is(key, "format") && json_peek(j) != JSON_NULL)
        return json_skip(j, &o->format, e);
    if (str_is(key, "stream") && json_peek(j) == JSON_BOOL)
        return json_bool(j, &t->streamed, e);
    return json_skip(j, NULL, e);
}

static enum code read_body(struct request *r, struct talk *t, struct ollama *o, struct err *e) {
    struct json j;
    struct str key;
    bool more;
    json_init(&j, (struct str){(const char *)r->body.p, r->body.n}, r->arena);
    TRY(json_enter_object(&j, e));
    for (;;) {
        TRY(json_next_key(&j, &key, &more, e));
        if (!more)
            return json_end(&j, e);
        TRY(take_member(t, o, &j, key, e));
    }
}

enum code ollama_route(struct request *r, struct str name, struct err *e) {
    size_t at;
    if (str_find(name, ':', &at)) {
        struct str tag = str_sub(name, at + 1, name.n);
        name = str_sub(name, 0, at);
        TRY(talk_route(r, name, e));
        if (str_is(tag, "latest"))
            return OK;
        ask_end(&r->ask);
        r->ask.live = NULL;
        r->ask.alias = tag;
        return request_route(r, e);
    }
    return talk_route(r, name, e);
}

/* prompt and system as turns */
static enum code prompt_turns(struct talk *t, struct ollama *o, struct str *messages,
                              struct err *e) {
    struct json_out w;
    struct buf *b = answer_buf(t->r, o->prompt.n + 64, e);
    if (!b)
        return e->code;
    json_out_init(&w, b, 0);
    json_put_array(&w);
    for (int k = o->system.n ? 0 : 1; k < 2; k++) {
        json_put_object(&w);
        json_put_member_text(&w, "role", k ? "user" : "system");
        json_put_member_str(&w, "content", k ? o->prompt : o->system);
        json_put_object_end(&w);
    }
    json_put_array_end(&w);
    *messages = buf_str(b);
    return buf_check(b, "prompt", e);
}

static enum code make_bufs(struct request *r, struct ollama *o, struct err *e) {
    struct buf **all[] = {&o->thought, &o->text, &o->calls, &o->arguments};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (!(*all[i] = answer_buf(r, 0, e)))
            return e->code;
    json_out_init(&o->w, o->calls, 0);
    return OK;
}

static enum code decode(struct request *r, struct err *e) {
    struct talk *t;
    struct ollama *o = ARENA_NEW(r->arena, struct ollama);
    if (!o)
        return arena_fail(r->arena, sizeof *o, "request", e);
    TRY(talk_find_model(r, &o->model, e));
    TRY(ollama_route(r, o->model, e));
    TRY(talk_new(r, &form, &t, e));
    talk_like_llama(t->language, 0.9f, &t->ask.sample);
    t->streamed = true;
    t->own = o;
    TRY(make_bufs(r, o, e));
    o->chat = str_is(r->x->request.path, "/api/chat");
    TRY(read_body(r, t, o, e));
    if (o->format.n && o->format.p[0] == '{')
        t->schema_text = o->format;
    else
        t->json_mode = str_is(o->format, "\"json\"");
    if (o->tools.n)
        t->tools = toolcall_family_of(t->language->tool_template);
    if (o->chat && o->messages.n == 0)
        return fail(e, INVALID, "\"messages\" is missing");
    o->load = o->chat ? str_is(o->messages, "[]") : o->prompt.n == 0;
    t->ask.no_answer = o->load;
    if (!o->chat && !o->load && !o->raw && t->language->chat)
        TRY(prompt_turns(t, o, &o->messages, e));
    TRY(talk_constrain(t, e));
    if (o->load) /* one token is read */
        TRY(talk_text(t, LIT(" "), e));
    else
        TRY(o->messages.n ? talk_chat(t, o->messages, o->tools, (struct str){0}, e)
                          : talk_text(t, o->prompt, e));
    r->talk = t;
    return OK;
}

static const struct route routes[] = {
    {ROUTE_POST, "/api/chat", ROUTE_TEXT, NULL},
    {ROUTE_POST, "/api/generate", ROUTE_TEXT, NULL},
};

const struct protocol protocol_ollama = {
    .name = "ollama",
    .routes = routes,
    .n_routes = sizeof routes / sizeof *routes,
    .decode = decode,
};
