/* SPDX-License-Identifier: Apache-2.0 */
/* The OpenAI API's shared part: see openai.h. */
#include "serve/protocol/openai.h"

/* --- reading --- */

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
                {"suffix", offsetof(struct openai, suffix)},
                {"response_format", offsetof(struct openai, response_format)},
                {"text", offsetof(struct openai, text)},
                {"metadata", offsetof(struct openai, metadata)},
                {"previous_response_id", offsetof(struct openai, previous)},
                {"conversation", offsetof(struct openai, conversation)},
                {"store", offsetof(struct openai, store)},
                {"background", offsetof(struct openai, background)}};
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

enum code openai_read(struct request *r, const struct talk_form *form,
                      const struct openai_kind *kind, struct talk **out, struct err *e) {
    struct json j;
    struct str key, model = {0};
    bool more;
    TRY(talk_find_model(r, &model, e));
    TRY(talk_route(r, model, e));
    TRY(talk_new(r, form, out, e));
    struct openai *o = ARENA_NEW(r->arena, struct openai);
    if (!o)
        return arena_fail(r->arena, sizeof *o, "request", e);
    (*out)->own = o;
    o->kind = kind;
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
    const struct decode_ask *a = &(*out)->ask;
    if (a->best_of && a->best_of < a->choices)
        return fail(e, INVALID, "best_of is %d and n is %d: the best are chosen from best_of",
                    a->best_of, a->choices);
    if ((*out)->streamed && a->best_of > a->choices)
        return fail(e, INVALID, "best_of cannot be streamed: the best is known at the end");
    return OK;
}

/* --- writing --- */

struct str openai_spelling(const struct talk *t, int32_t token) {
    struct str piece = tokenizer_piece(t->language->tokenizer, token);
    return piece.n ? piece : tokenizer_name(t->language->tokenizer, token);
}

void openai_put_head(struct talk *t, struct json_out *w, const char *object) {
    const struct openai *o = t->own;
    char id[REQUEST_ID + 32];
    snprintf(id, sizeof id, "%s%.*s", o->kind->id, STR(t->id));
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

void openai_put_call_id(struct talk *t, int choice, int index, struct json_out *w) {
    char id[REQUEST_ID + 32];
    snprintf(id, sizeof id, "call_%.*s_%d_%d", STR(t->id), choice, index);
    json_put_member_text(w, "id", id);
    json_put_member_text(w, "type", "function");
}

void openai_put_name(struct json_out *w, struct str name) {
    char quoted[260];
    json_put_key(w, "name");
    snprintf(quoted, sizeof quoted, "\"%.*s\"", STR(name.n < 256 ? name : (struct str){0}));
    json_put_raw(w, str_of(quoted));
}

void openai_put_logprob(const struct talk *t, const struct sample_logprob *l, struct json_out *w) {
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

/* --- chunks --- */

static void begin_chunk(struct talk *t, struct openai_chunk *k) {
    const struct openai *o = t->own;
    buf_init(&k->json, ANSWER_BYTES);
    json_out_init(&k->w, &k->json, 0);
    openai_put_head(t, &k->w, o->kind->chunk);
}

void openai_begin_chunk(struct talk *t, int choice, struct openai_chunk *k) {
    const struct openai *o = t->own;
    begin_chunk(t, k);
    if (o->include_usage) {
        json_put_key(&k->w, "usage");
        json_put_null(&k->w);
    }
    json_put_key(&k->w, "choices");
    json_put_array(&k->w);
    json_put_object(&k->w);
    json_put_member_i64(&k->w, "index", choice);
}

static void put_chunk(struct openai_chunk *k, struct buf *out) {
    json_put_object_end(&k->w);
    openai_put_event(out, &k->json);
    buf_deinit(&k->json);
}

void openai_end_chunk(struct openai_chunk *k, struct buf *out) {
    json_put_object_end(&k->w);
    json_put_array_end(&k->w);
    put_chunk(k, out);
}

void openai_end(struct talk *t, struct buf *out) {
    const struct openai *o = t->own;
    if (o->include_usage) {
        struct openai_chunk k;
        begin_chunk(t, &k);
        json_put_key(&k.w, "choices");
        json_put_array(&k.w);
        json_put_array_end(&k.w);
        openai_put_usage(t, &k.w);
        put_chunk(&k, out);
    }
    buf_put_text(out, "data: [DONE]\n\n");
}

enum code openai_whole(struct talk *t, openai_choice_fn *put, struct err *e) {
    const struct openai *o = t->own;
    struct answer_json j;
    TRY(answer_json(t->r, &j, e));
    openai_put_head(t, &j.w, o->kind->whole);
    json_put_key(&j.w, "choices");
    json_put_array(&j.w);
    for (int i = 0; i < talk_choices(t); i++) {
        json_put_object(&j.w);
        json_put_member_i64(&j.w, "index", i);
        put(t, &t->choices[i], &j.w);
        json_put_object_end(&j.w);
    }
    json_put_array_end(&j.w);
    openai_put_usage(t, &j.w);
    json_put_object_end(&j.w);
    return answer_json_end(t->r, &j, e);
}

/* --- errors --- */

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
