/* SPDX-License-Identifier: Apache-2.0 */
/* POST /v1/chat/completions: docs/protocols/openai.md. Streamed: one event per delta (role, then
 * content, tool calls as they are written), one with finish_reason, usage if asked for, [DONE]. */
#include "serve/protocol/openai.h"

/* --- log probabilities --- */

static void put_one_logprob(const struct talk *t, const struct sample_logprob *l,
                            struct json_out *w) {
    struct str text = openai_spelling(t, l->token);
    json_put_member_str(w, "token", text);
    json_put_key(w, "logprob");
    json_put_f32(w, l->logprob > -9999 ? l->logprob : -9999);
    json_put_key(w, "bytes");
    json_put_array(w);
    for (size_t i = 0; i < text.n; i++)
        json_put_i64(w, (uint8_t)text.p[i]);
    json_put_array_end(w);
}

static void put_logprobs(struct talk *t, const struct decode_part *p, struct json_out *w) {
    const struct decode_token *tokens = (const struct decode_token *)(const void *)p->tokens.p;
    const struct sample_logprob *l = (const struct sample_logprob *)(const void *)p->logprobs.p;
    json_put_key(w, "logprobs");
    if (t->ask.sample.logprobs < 0) {
        json_put_null(w);
        return;
    }
    json_put_object(w);
    json_put_key(w, "content");
    json_put_array(w);
    for (size_t i = 0; i < talk_count_tokens(p); l += tokens[i++].n_logprobs) {
        json_put_object(w);
        put_one_logprob(t, l, w);
        json_put_key(w, "top_logprobs");
        json_put_array(w);
        for (uint32_t k = 1; k < tokens[i].n_logprobs && l[k].token >= 0; k++) {
            json_put_object(w);
            put_one_logprob(t, &l[k], w);
            json_put_object_end(w);
        }
        json_put_array_end(w);
        json_put_object_end(w);
    }
    json_put_array_end(w);
    json_put_object_end(w);
}

/* --- streamed --- */

struct delta { /* one event under construction */
    struct talk *t;
    struct talk_choice *c;
    struct buf *out, json;
    struct json_out w;
    bool logprobs_said;
};

static void begin_delta(struct delta *d) {
    const struct openai *o = d->t->own;
    buf_init(&d->json, ANSWER_BYTES);
    json_out_init(&d->w, &d->json, 0);
    openai_put_head(d->t, &d->w, "chat.completion.chunk", "chatcmpl-");
    if (o->include_usage) {
        json_put_key(&d->w, "usage");
        json_put_null(&d->w);
    }
    json_put_key(&d->w, "choices");
    json_put_array(&d->w);
    json_put_object(&d->w);
    json_put_member_i64(&d->w, "index", d->c->index);
    json_put_key(&d->w, "delta");
    json_put_object(&d->w);
}

static void end_delta(struct delta *d, const char *finish) {
    json_put_object_end(&d->w);
    if (!d->logprobs_said && d->c->part.tokens.n) {
        put_logprobs(d->t, &d->c->part, &d->w);
        d->logprobs_said = true;
    } else {
        json_put_key(&d->w, "logprobs");
        json_put_null(&d->w);
    }
    json_put_key(&d->w, "finish_reason");
    if (finish)
        json_put_text(&d->w, finish);
    else
        json_put_null(&d->w);
    json_put_object_end(&d->w);
    json_put_array_end(&d->w);
    json_put_object_end(&d->w);
    openai_put_event(d->out, &d->json);
    buf_deinit(&d->json);
}

static void say_content(void *ctx, struct str text) {
    struct delta *d = ctx;
    begin_delta(d);
    json_put_member_str(&d->w, "content", text);
    end_delta(d, NULL);
}

static void begin_call(struct delta *d, int index) {
    begin_delta(d);
    json_put_key(&d->w, "tool_calls");
    json_put_array(&d->w);
    json_put_object(&d->w);
    json_put_member_i64(&d->w, "index", index);
}

static void end_call(struct delta *d) {
    json_put_object_end(&d->w);
    json_put_array_end(&d->w);
    end_delta(d, NULL);
}

static void put_call_id(struct talk *t, int choice, int index, struct json_out *w) {
    char id[REQUEST_ID + 32];
    snprintf(id, sizeof id, "call_%.*s_%d_%d", STR(t->id), choice, index);
    json_put_member_text(w, "id", id);
    json_put_member_text(w, "type", "function");
}

/* The name is JSON text without its quotes. */
static void put_name(struct json_out *w, struct str name) {
    json_put_key(w, "name");
    char *quoted = NULL;
    if (name.n < 256) {
        char text[260];
        snprintf(text, sizeof text, "\"%.*s\"", STR(name));
        quoted = text;
        json_put_raw(w, str_of(quoted));
    } else {
        json_put_text(w, "");
    }
}

static void say_call(void *ctx, int index, struct str name) {
    struct delta *d = ctx;
    begin_call(d, index);
    put_call_id(d->t, d->c->index, index, &d->w);
    json_put_key(&d->w, "function");
    json_put_object(&d->w);
    put_name(&d->w, name);
    json_put_member_text(&d->w, "arguments", "");
    json_put_object_end(&d->w);
    end_call(d);
}

static void say_arguments(void *ctx, int index, struct str piece) {
    struct delta *d = ctx;
    begin_call(d, index);
    json_put_key(&d->w, "function");
    json_put_object(&d->w);
    json_put_member_str(&d->w, "arguments", piece);
    json_put_object_end(&d->w);
    end_call(d);
}

static const char *finish_of(const struct talk_choice *c) {
    if (c->reader.n_calls && c->part.end != DECODE_LENGTH)
        return "tool_calls";
    return talk_end_name(c->part.end);
}

static void begin(struct talk *t, struct buf *out) {
    for (int i = 0; i < t->ask.choices; i++) {
        struct delta d = {.t = t, .c = &t->choices[i], .out = out};
        begin_delta(&d);
        json_put_member_text(&d.w, "role", "assistant");
        json_put_member_text(&d.w, "content", "");
        end_delta(&d, NULL);
    }
}

static void piece(struct talk *t, struct talk_choice *c, struct buf *out) {
    struct delta d = {.t = t, .c = c, .out = out};
    const struct toolcall_sink sink = {&d, say_content, say_call, say_arguments};
    toolcall_feed(&c->reader, buf_str(&c->part.text), &sink);
    if (!c->ended)
        return;
    toolcall_end(&c->reader, &sink);
    begin_delta(&d);
    end_delta(&d, finish_of(c));
}

static void end(struct talk *t, struct buf *out) {
    const struct openai *o = t->own;
    if (o->include_usage) {
        struct json_out w;
        struct buf b;
        buf_init(&b, ANSWER_BYTES);
        json_out_init(&w, &b, 0);
        openai_put_head(t, &w, "chat.completion.chunk", "chatcmpl-");
        json_put_key(&w, "choices");
        json_put_array(&w);
        json_put_array_end(&w);
        openai_put_usage(t, &w);
        json_put_object_end(&w);
        openai_put_event(out, &b);
        buf_deinit(&b);
    }
    openai_put_done(out);
}

/* --- whole --- */

struct message { /* of one choice, collected */
    struct buf content, calls;
    struct json_out w; /* of calls */
    struct buf arguments;
    struct talk *t;
    int choice;
    bool open;
};

static void close_call(struct message *m) {
    if (!m->open)
        return;
    json_put_member_str(&m->w, "arguments", buf_str(&m->arguments));
    json_put_object_end(&m->w);
    json_put_object_end(&m->w);
    buf_clear(&m->arguments);
    m->open = false;
}

static void add_content(void *ctx, struct str text) {
    buf_put_str(&((struct message *)ctx)->content, text);
}

static void add_call(void *ctx, int index, struct str name) {
    struct message *m = ctx;
    close_call(m);
    if (index == 0)
        json_put_array(&m->w);
    json_put_object(&m->w);
    put_call_id(m->t, m->choice, index, &m->w);
    json_put_key(&m->w, "function");
    json_put_object(&m->w);
    put_name(&m->w, name);
    m->open = true;
}

static void add_arguments(void *ctx, int index, struct str piece_) {
    (void)index;
    buf_put_str(&((struct message *)ctx)->arguments, piece_);
}

static void put_message(struct talk *t, struct talk_choice *c, struct json_out *w) {
    struct message m = {.t = t, .choice = c->index};
    const struct toolcall_sink sink = {&m, add_content, add_call, add_arguments};
    buf_init(&m.content, ANSWER_BYTES);
    buf_init(&m.calls, ANSWER_BYTES);
    buf_init(&m.arguments, ANSWER_BYTES);
    json_out_init(&m.w, &m.calls, 0);
    toolcall_feed(&c->reader, buf_str(&c->part.text), &sink);
    toolcall_end(&c->reader, &sink);
    close_call(&m);
    json_put_key(w, "message");
    json_put_object(w);
    json_put_member_text(w, "role", "assistant");
    json_put_key(w, "content");
    if (m.content.n || !m.calls.n)
        json_put_str(w, buf_str(&m.content));
    else
        json_put_null(w);
    if (m.calls.n) {
        json_put_array_end(&m.w);
        json_put_key(w, "tool_calls");
        json_put_raw(w, buf_str(&m.calls));
    }
    json_put_object_end(w);
    buf_deinit(&m.content);
    buf_deinit(&m.calls);
    buf_deinit(&m.arguments);
}

static enum code whole(struct talk *t, struct err *e) {
    struct answer_json j;
    TRY(answer_json(t->r, &j, e));
    openai_put_head(t, &j.w, "chat.completion", "chatcmpl-");
    json_put_key(&j.w, "choices");
    json_put_array(&j.w);
    for (int i = 0; i < t->ask.choices; i++) {
        struct talk_choice *c = &t->choices[i];
        json_put_object(&j.w);
        json_put_member_i64(&j.w, "index", i);
        put_message(t, c, &j.w);
        put_logprobs(t, &c->part, &j.w);
        json_put_member_text(&j.w, "finish_reason", finish_of(c));
        json_put_object_end(&j.w);
    }
    json_put_array_end(&j.w);
    openai_put_usage(t, &j.w);
    json_put_object_end(&j.w);
    return answer_json_end(t->r, &j, e);
}

static const struct talk_form form = {
    .type = "text/event-stream",
    .begin = begin,
    .piece = piece,
    .end = end,
    .failed = openai_fail,
    .whole = whole,
};

static enum code decode(struct request *r, struct err *e) {
    struct talk *t;
    struct str messages;
    TRY(openai_read(r, &form, &t, e));
    struct openai *o = t->own;
    if (o->top_logprobs > OPENAI_TOP)
        return fail(e, INVALID, "top_logprobs is %lld, the limit is %d", (long long)o->top_logprobs,
                    OPENAI_TOP);
    if (o->logprobs > 0)
        t->ask.sample.logprobs = o->top_logprobs > 0 ? (int32_t)o->top_logprobs : 0;
    TRY(openai_messages(t, o->messages, &messages, e));
    TRY(openai_constrain(t, e));
    TRY(talk_chat(t, messages, o->tools, o->extra, e));
    r->talk = t;
    return OK;
}

static const struct route routes[] = {
    {ROUTE_POST, "/v1/chat/completions", ROUTE_TEXT, NULL},
    {ROUTE_POST, "/chat/completions", ROUTE_TEXT, NULL},
};

const struct protocol protocol_openai_chat = {
    .name = "openai",
    .routes = routes,
    .n_routes = sizeof routes / sizeof *routes,
    .decode = decode,
    .error = openai_error,
};
