/* SPDX-License-Identifier: Apache-2.0 */
/* POST /v1/completions: docs/protocols/openai.md. prompt: a text, or its tokens; one at a time (a
 * list of one is that one). */
#include "serve/protocol/openai.h"

static size_t text_offset(const struct talk *t, const struct talk_choice *c) {
    const struct openai *o = t->own;
    return (o->echo ? o->prompt.n : 0) + c->text_sent;
}

static void put_logprobs(struct talk *t, struct talk_choice *c, struct json_out *w) {
    const struct decode_part *p = &c->part;
    const struct decode_token *tokens = (const struct decode_token *)(const void *)p->tokens.p;
    const struct sample_logprob *l = (const struct sample_logprob *)(const void *)p->logprobs.p;
    size_t n = talk_count_tokens(p), at = text_offset(t, c);
    json_put_key(w, "logprobs");
    if (t->ask.sample.logprobs < 0 || n == 0) {
        json_put_null(w);
        return;
    }
    json_put_object(w);
    json_put_key(w, "tokens");
    json_put_array(w);
    for (size_t i = 0; i < n; i++)
        json_put_str(w, openai_spelling(t, tokens[i].id));
    json_put_array_end(w);
    json_put_key(w, "token_logprobs");
    json_put_array(w);
    for (size_t i = 0; i < n; l += tokens[i++].n_logprobs)
        json_put_f32(w, l->logprob);
    json_put_array_end(w);
    l = (const struct sample_logprob *)(const void *)p->logprobs.p;
    json_put_key(w, "top_logprobs");
    json_put_array(w);
    for (size_t i = 0; i < n; l += tokens[i++].n_logprobs) {
        json_put_object(w);
        for (uint32_t k = 1; k < tokens[i].n_logprobs && l[k].token >= 0; k++) {
            json_put_key_str(w, openai_spelling(t, l[k].token));
            json_put_f32(w, l[k].logprob);
        }
        json_put_object_end(w);
    }
    json_put_array_end(w);
    json_put_key(w, "text_offset");
    json_put_array(w);
    for (size_t i = 0; i < n; i++) {
        json_put_i64(w, (int64_t)at);
        at += tokenizer_piece(t->language->tokenizer, tokens[i].id).n;
    }
    json_put_array_end(w);
    json_put_object_end(w);
}

static void put_text(struct talk *t, struct talk_choice *c, struct json_out *w) {
    const struct openai *o = t->own;
    struct str text = buf_str(&c->part.text);
    json_put_key(w, "text");
    if (o->echo && c->text_sent == 0) {
        struct buf b;
        buf_init(&b, ANSWER_BYTES);
        buf_put_str(&b, o->prompt);
        buf_put_str(&b, text);
        json_put_str(w, buf_str(&b));
        buf_deinit(&b);
    } else {
        json_put_str(w, text);
    }
}

static void put_choice(struct talk *t, struct talk_choice *c, struct json_out *w) {
    put_text(t, c, w);
    put_logprobs(t, c, w);
    json_put_key(w, "finish_reason");
    if (c->part.end == DECODE_GOING)
        json_put_null(w);
    else
        json_put_text(w, talk_end_name(c->part.end));
    c->text_sent += c->part.text.n;
}

static void piece(struct talk *t, struct talk_choice *c, struct buf *out) {
    struct openai_chunk k;
    openai_begin_chunk(t, c->index, &k);
    put_choice(t, c, &k.w);
    openai_end_chunk(&k, out);
}

static enum code whole(struct talk *t, struct err *e) { return openai_whole(t, put_choice, e); }

static const struct talk_form form = {
    .type = "text/event-stream",
    .piece = piece,
    .end = openai_end,
    .failed = openai_fail,
    .whole = whole,
};

static enum code take_tokens(struct talk *t, struct str json, struct err *e) {
    struct json_tensor shape;
    struct json j;
    struct buf *ids = answer_buf(t->r, json.n, e);
    if (!ids)
        return e->code;
    json_init(&j, json, t->r->arena);
    TRY(json_tensor(&j, JN_I32, ids, &shape, e));
    if (shape.rank != 1 && !(shape.rank == 2 && shape.dims[0] == 1))
        return fail(e, INVALID, "prompt: a text or a list of token numbers is expected");
    return talk_tokens(t, (const int32_t *)(const void *)ids->p, shape.count, e);
}

static enum code take_prompt(struct talk *t, struct openai *o, struct err *e) {
    struct json j;
    bool more;
    if (o->prompt.n == 0)
        return fail(e, INVALID, "\"prompt\" is missing");
    json_init(&j, o->prompt, t->r->arena);
    if (json_peek(&j) == JSON_ARRAY) {
        struct str first;
        TRY(json_enter_array(&j, e));
        TRY(json_next_item(&j, &more, e));
        if (!more)
            return fail(e, INVALID, "\"prompt\" is empty");
        if (json_peek(&j) != JSON_STRING)
            return take_tokens(t, o->prompt, e);
        TRY(json_string(&j, &first, e));
        TRY(json_next_item(&j, &more, e));
        if (more)
            return fail(e, INVALID, "one prompt at a time: send one request for each");
        o->prompt = first;
    } else {
        TRY(json_string(&j, &o->prompt, e));
    }
    return talk_text(t, o->prompt, e);
}

static const struct openai_kind kind = {"text_completion", "text_completion", "cmpl-"};

static enum code decode(struct request *r, struct err *e) {
    struct talk *t;
    TRY(openai_read(r, &form, &kind, &t, e));
    struct openai *o = t->own;
    if (o->logprobs >= 0)
        t->ask.sample.logprobs = o->logprobs > SAMPLE_TOP ? SAMPLE_TOP + 1 : (int32_t)o->logprobs;
    if (t->ask.max_tokens == 0)
        t->ask.max_tokens = 16; /* OpenAI's default */
    TRY(openai_constrain(t, e));
    TRY(take_prompt(t, o, e));
    r->talk = t;
    return OK;
}

static const struct route routes[] = {
    {ROUTE_POST, "/v1/completions", ROUTE_TEXT, NULL},
    {ROUTE_POST, "/completions", ROUTE_TEXT, NULL},
};

const struct protocol protocol_openai_completions = {
    .name = "openai",
    .routes = routes,
    .n_routes = sizeof routes / sizeof *routes,
    .decode = decode,
    .error = openai_error,
};
