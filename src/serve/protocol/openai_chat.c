/* SPDX-License-Identifier: Apache-2.0 */
/* POST /v1/chat/completions: docs/protocols/openai.md. Streamed: one event per delta (role, then
 * content, tool calls as they are written), one with finish_reason, usage if asked for, [DONE]. */
#include "serve/protocol/openai.h"

/* --- log probabilities --- */

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
        openai_put_logprob(t, l, w);
        json_put_key(w, "top_logprobs");
        json_put_array(w);
        for (uint32_t k = 1; k < tokens[i].n_logprobs && l[k].token >= 0; k++) {
            json_put_object(w);
            openai_put_logprob(t, &l[k], w);
            json_put_object_end(w);
        }
        json_put_array_end(w);
        json_put_object_end(w);
    }
    json_put_array_end(w);
    json_put_object_end(w);
}

/* --- streamed --- */

struct delta { /* the events of one piece; k: the one under construction */
    struct talk *t;
    struct talk_choice *c;
    struct buf *out;
    struct openai_chunk k;
    bool logprobs_said;
};

static void begin_delta(struct delta *d) {
    openai_begin_chunk(d->t, d->c->index, &d->k);
    json_put_key(&d->k.w, "delta");
    json_put_object(&d->k.w);
}

static void end_delta(struct delta *d, const char *finish) {
    struct json_out *w = &d->k.w;
    json_put_object_end(w);
    if (!d->logprobs_said && d->c->part.tokens.n) {
        put_logprobs(d->t, &d->c->part, w);
        d->logprobs_said = true;
    } else {
        json_put_key(w, "logprobs");
        json_put_null(w);
    }
    json_put_key(w, "finish_reason");
    if (finish)
        json_put_text(w, finish);
    else
        json_put_null(w);
    openai_end_chunk(&d->k, d->out);
}

static void say(struct delta *d, const char *member, struct str text) {
    begin_delta(d);
    json_put_member_str(&d->k.w, member, text);
    end_delta(d, NULL);
}

static void say_thought(void *ctx, struct str text) { say(ctx, "reasoning_content", text); }
static void say_content(void *ctx, struct str text) { say(ctx, "content", text); }

static void begin_call(struct delta *d, int index) {
    begin_delta(d);
    json_put_key(&d->k.w, "tool_calls");
    json_put_array(&d->k.w);
    json_put_object(&d->k.w);
    json_put_member_i64(&d->k.w, "index", index);
}

static void end_call(struct delta *d) {
    json_put_object_end(&d->k.w);
    json_put_array_end(&d->k.w);
    end_delta(d, NULL);
}

static void say_call(void *ctx, int index, struct str name) {
    struct delta *d = ctx;
    begin_call(d, index);
    openai_put_call_id(d->t, d->c->index, index, &d->k.w);
    json_put_key(&d->k.w, "function");
    json_put_object(&d->k.w);
    openai_put_name(&d->k.w, name);
    json_put_member_text(&d->k.w, "arguments", "");
    json_put_object_end(&d->k.w);
    end_call(d);
}

static void say_arguments(void *ctx, int index, struct str piece) {
    struct delta *d = ctx;
    begin_call(d, index);
    json_put_key(&d->k.w, "function");
    json_put_object(&d->k.w);
    json_put_member_str(&d->k.w, "arguments", piece);
    json_put_object_end(&d->k.w);
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
        json_put_member_text(&d.k.w, "role", "assistant");
        json_put_member_text(&d.k.w, "content", "");
        end_delta(&d, NULL);
    }
}

static void piece(struct talk *t, struct talk_choice *c, struct buf *out) {
    struct delta d = {.t = t, .c = c, .out = out};
    const struct talk_sink sink = {say_thought, {&d, say_content, say_call, say_arguments}};
    talk_feed(c, &sink);
    if (!c->ended)
        return;
    begin_delta(&d);
    end_delta(&d, finish_of(c));
}

/* --- whole --- */

struct message { /* of one choice, collected */
    struct buf thought, content, calls;
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

static void add_thought(void *ctx, struct str text) {
    buf_put_str(&((struct message *)ctx)->thought, text);
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
    openai_put_call_id(m->t, m->choice, index, &m->w);
    json_put_key(&m->w, "function");
    json_put_object(&m->w);
    openai_put_name(&m->w, name);
    m->open = true;
}

static void add_arguments(void *ctx, int index, struct str piece_) {
    (void)index;
    buf_put_str(&((struct message *)ctx)->arguments, piece_);
}

static void collect(struct message *m, struct talk_choice *c) {
    const struct talk_sink sink = {add_thought, {m, add_content, add_call, add_arguments}};
    buf_init(&m->thought, ANSWER_BYTES);
    buf_init(&m->content, ANSWER_BYTES);
    buf_init(&m->calls, ANSWER_BYTES);
    buf_init(&m->arguments, ANSWER_BYTES);
    json_out_init(&m->w, &m->calls, 0);
    talk_feed(c, &sink);
    close_call(m);
}

static void put_message(struct talk *t, struct talk_choice *c, struct json_out *w) {
    struct message m = {.t = t, .choice = c->index};
    collect(&m, c);
    json_put_key(w, "message");
    json_put_object(w);
    json_put_member_text(w, "role", "assistant");
    json_put_key(w, "content");
    if (m.content.n || !m.calls.n)
        json_put_str(w, buf_str(&m.content));
    else
        json_put_null(w);
    if (m.thought.n)
        json_put_member_str(w, "reasoning_content", buf_str(&m.thought));
    if (m.calls.n) {
        json_put_array_end(&m.w);
        json_put_key(w, "tool_calls");
        json_put_raw(w, buf_str(&m.calls));
    }
    json_put_object_end(w);
    buf_deinit(&m.thought);
    buf_deinit(&m.content);
    buf_deinit(&m.calls);
    buf_deinit(&m.arguments);
}

static void put_choice(struct talk *t, struct talk_choice *c, struct json_out *w) {
    put_message(t, c, w);
    put_logprobs(t, &c->part, w);
    json_put_member_text(w, "finish_reason", finish_of(c));
}

static enum code whole(struct talk *t, struct err *e) { return openai_whole(t, put_choice, e); }

static const struct talk_form form = {
    .type = "text/event-stream",
    .begin = begin,
    .piece = piece,
    .end = openai_end,
    .failed = openai_fail,
    .whole = whole,
};

static const struct openai_kind kind = {"chat.completion", "chat.completion.chunk", "chatcmpl-"};

static enum code decode(struct request *r, struct err *e) {
    struct talk *t;
    struct str messages;
    TRY(openai_read(r, &form, &kind, &t, e));
    struct openai *o = t->own;
    if (o->top_logprobs > OPENAI_TOP)
        return fail(e, INVALID, "top_logprobs is %lld, the limit is %d", (long long)o->top_logprobs,
                    OPENAI_TOP);
    if (o->top_logprobs > 0 && o->logprobs <= 0)
        return fail(e, INVALID, "top_logprobs: only with \"logprobs\": true");
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
