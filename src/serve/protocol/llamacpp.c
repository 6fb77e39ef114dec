/* SPDX-License-Identifier: Apache-2.0 */
/* llama.cpp's server, its own endpoints: docs/protocols/llamacpp.md.
 *
 *   POST /completion    prompt (text or tokens) and llama.cpp's parameters and defaults
 *   POST /tokenize, /detokenize, /apply-template
 *   GET  /props, /slots
 *
 * None of them names a model in its path; "model" in the body does, or there is one only. */
#include "serve/protocol/protocol.h"

#include "serve/answer.h"
#include "serve/talk.h"

enum { SLOTS = 1024 };
static const float LLAMA_TOP_P = 0.95f; /* Ollama has another */

/* --- /completion --- */

static void put_timings(const struct talk *t, struct json_out *w) {
    const struct decode_ask *a = &t->ask;
    size_t computed = a->n_prompt - a->n_cached, drawn = a->n_generated;
    double prompt_ms =
        a->first_ns > a->started_ns ? (double)(a->first_ns - a->started_ns) / 1e6 : 0;
    double drawn_ms =
        a->ended_ns > a->first_ns && a->first_ns ? (double)(a->ended_ns - a->first_ns) / 1e6 : 0;
    json_put_key(w, "timings");
    json_put_object(w);
    json_put_member_i64(w, "cache_n", (int64_t)a->n_cached);
    json_put_member_i64(w, "prompt_n", (int64_t)computed);
    json_put_member_f64(w, "prompt_ms", prompt_ms);
    json_put_member_f64(w, "prompt_per_second",
                        prompt_ms > 0 ? (double)computed * 1e3 / prompt_ms : 0);
    json_put_member_i64(w, "predicted_n", (int64_t)drawn);
    json_put_member_f64(w, "predicted_ms", drawn_ms);
    json_put_member_f64(w, "predicted_per_second",
                        drawn_ms > 0 ? (double)drawn * 1e3 / drawn_ms : 0);
    json_put_object_end(w);
}

static void put_probabilities(const struct talk *t, const struct decode_part *p,
                              struct json_out *w) {
    const struct decode_token *tokens = (const struct decode_token *)(const void *)p->tokens.p;
    const struct sample_logprob *l = (const struct sample_logprob *)(const void *)p->logprobs.p;
    if (t->ask.sample.logprobs < 0)
        return;
    json_put_key(w, "completion_probabilities");
    json_put_array(w);
    for (size_t i = 0; i < talk_count_tokens(p); l += tokens[i++].n_logprobs) {
        json_put_object(w);
        for (uint32_t k = 0; k < tokens[i].n_logprobs && l[k].token >= 0; k++) {
            if (k == 1) {
                json_put_key(w, "top_logprobs");
                json_put_array(w);
            }
            if (k)
                json_put_object(w);
            json_put_member_i64(w, "id", l[k].token);
            json_put_member_str(w, "token", tokenizer_piece(t->language->tokenizer, l[k].token));
            json_put_key(w, "logprob");
            json_put_f32(w, l[k].logprob);
            if (k)
                json_put_object_end(w);
        }
        if (tokens[i].n_logprobs > 1)
            json_put_array_end(w);
        json_put_object_end(w);
    }
    json_put_array_end(w);
}

static void put_end(const struct talk *t, const struct decode_part *p, struct json_out *w) {
    static const char *const types[] = {"none", "eos", "word", "limit"};
    json_put_member_str(w, "model", live_model(t->r->ask.live));
    json_put_member_i64(w, "tokens_predicted", (int64_t)t->ask.n_generated);
    json_put_member_i64(w, "tokens_evaluated", (int64_t)t->ask.n_prompt);
    json_put_member_i64(w, "tokens_cached", (int64_t)(t->ask.n_prompt + t->ask.n_generated));
    json_put_member_bool(w, "truncated", false);
    json_put_member_text(w, "stop_type", types[p->end]);
    json_put_member_str(w, "stopping_word",
                        p->end == DECODE_WORD ? t->stops[p->stop] : (struct str){0});
    put_timings(t, w);
}

static void put_completion(struct talk *t, struct talk_choice *c, struct json_out *w, bool last) {
    json_put_object(w);
    json_put_member_i64(w, "index", c->index);
    json_put_member_str(w, "content", buf_str(&c->part.text));
    json_put_key(w, "tokens");
    json_put_array(w);
    const struct decode_token *tokens = (const struct decode_token *)(const void *)c->part.tokens.p;
    for (size_t i = 0; i < talk_count_tokens(&c->part); i++)
        json_put_i64(w, tokens[i].id);
    json_put_array_end(w);
    json_put_member_bool(w, "stop", last);
    put_probabilities(t, &c->part, w);
    if (last)
        put_end(t, &c->part, w);
    json_put_object_end(w);
}

static void put_event(struct buf *out, const struct buf *json) {
    buf_put_text(out, "data: ");
    buf_put_str(out, buf_str(json));
    buf_put_text(out, "\n\n");
}

static void piece(struct talk *t, struct talk_choice *c, struct buf *out) {
    struct json_out w;
    struct buf b;
    buf_init(&b, ANSWER_BYTES);
    json_out_init(&w, &b, 0);
    put_completion(t, c, &w, c->ended);
    put_event(out, &b);
    buf_deinit(&b);
}

static void end(struct talk *t, struct buf *out) {
    (void)t;
    (void)out;
}

static void error(const struct request *r, const struct err *e, struct json_out *w) {
    (void)r;
    json_put_object(w);
    json_put_key(w, "error");
    json_put_object(w);
    json_put_member_i64(w, "code", err_http(e->code));
    json_put_member_text(w, "message", e->text);
    json_put_member_text(w, "type",
                         e->code == ERR_UNAVAILABLE ? "unavailable_error"
                         : e->code == ERR_NOT_FOUND ? "not_found_error"
                         : err_http(e->code) >= 500 ? "server_error"
                                                    : "invalid_request_error");
    json_put_object_end(w);
    json_put_object_end(w);
}

static void failed(struct talk *t, const struct err *e, struct buf *out) {
    struct json_out w;
    struct buf b;
    buf_init(&b, 4096);
    json_out_init(&w, &b, 0);
    error(t->r, e, &w);
    put_event(out, &b);
    buf_deinit(&b);
}

static enum code whole(struct talk *t, struct err *e) {
    struct answer_json j;
    TRY(answer_json(t->r, &j, e));
    put_completion(t, &t->choices[0], &j.w, true);
    return answer_json_end(t->r, &j, e);
}

static const struct talk_form form = {
    .type = "text/event-stream",
    .piece = piece,
    .end = end,
    .failed = failed,
    .whole = whole,
};

static enum code take_prompt(struct talk *t, struct json *j, bool *there, struct err *e) {
    struct json_tensor shape;
    struct str text;
    *there = true;
    if (json_peek(j) == JSON_STRING) {
        TRY(json_string(j, &text, e));
        return talk_text(t, text, e);
    }
    struct buf *ids = answer_buf(t->r, 1024, e);
    if (!ids)
        return e->code;
    TRY(json_tensor(j, JN_I32, ids, &shape, e));
    if (shape.rank != 1)
        return json_fail(j, e,
                         "prompt: one text or one list of tokens; /v1/completions takes more");
    return talk_tokens(t, (const int32_t *)(const void *)ids->p, shape.count, e);
}

static enum code decode(struct request *r, struct err *e) {
    struct json j;
    struct str key, model = {0};
    bool more, taken, prompt = false;
    struct talk *t;
    TRY(talk_find_model(r, &model, e));
    TRY(talk_route(r, model, e));
    TRY(talk_new(r, &form, &t, e));
    talk_like_llama(t->language, LLAMA_TOP_P, &t->ask.sample);
    json_init(&j, (struct str){(const char *)r->body.p, r->body.n}, r->arena);
    TRY(json_enter_object(&j, e));
    for (;;) {
        TRY(json_next_key(&j, &key, &more, e));
        if (!more)
            break;
        if (str_is(key, "prompt")) {
            TRY(take_prompt(t, &j, &prompt, e));
        } else if (str_is(key, "n_probs") && json_peek(&j) == JSON_NUMBER) {
            int64_t n;
            TRY(json_i64(&j, &n, e));
            t->ask.sample.logprobs = n > SAMPLE_TOP ? SAMPLE_TOP + 1 : n > 0 ? (int32_t)n : -1;
        } else {
            TRY(talk_option(t, &j, key, &taken, e));
            if (!taken)
                TRY(json_skip(&j, NULL, e));
        }
    }
    if (!prompt)
        return fail(e, INVALID, "\"prompt\" is missing");
    TRY(talk_constrain(t, e));
    r->talk = t;
    return OK;
}

/* --- pages --- */

static enum code language_of(struct request *r, const struct language **out, struct err *e) {
    struct str model = {0};
    if (r->body.n)
        TRY(talk_find_model(r, &model, e));
    else
        (void)http_query_get(&r->x->request, "model", r->arena, &model);
    TRY(talk_route(r, model, e));
    *out = live_language(r->ask.live);
    return *out ? OK : fail(e, INVALID, "'%.*s' is not a language model", STR(r->ask.model));
}

/* {"content": text, "add_special": false, "parse_special": true, "with_pieces": false} */
static enum code tokenize(struct request *r, struct err *e) {
    const struct language *l;
    struct answer_json a;
    struct json j;
    struct str key, content = {0};
    bool more, special = false, parse = true, pieces = false;
    int32_t *ids;
    size_t n;
    TRY(language_of(r, &l, e));
    json_init(&j, (struct str){(const char *)r->body.p, r->body.n}, r->arena);
    TRY(json_enter_object(&j, e));
    for (;;) {
        TRY(json_next_key(&j, &key, &more, e));
        if (!more)
            break;
        bool flag = json_peek(&j) == JSON_BOOL;
        if (str_is(key, "content"))
            TRY(json_string(&j, &content, e));
        else if (str_is(key, "add_special") && flag)
            TRY(json_bool(&j, &special, e));
        else if (str_is(key, "parse_special") && flag)
            TRY(json_bool(&j, &parse, e));
        else if (str_is(key, "with_pieces") && flag)
            TRY(json_bool(&j, &pieces, e));
        else
            TRY(json_skip(&j, NULL, e));
    }
    TRY(tokenizer_encode(l->tokenizer, content,
                         (special ? TOKENIZE_SPECIAL_ADD : 0u) |
                             (parse ? TOKENIZE_SPECIAL_PARSE : 0u),
                         r->arena, &ids, &n, e));
    TRY(answer_json(r, &a, e));
    json_put_object(&a.w);
    json_put_key(&a.w, "tokens");
    json_put_array(&a.w);
    for (size_t i = 0; i < n; i++) {
        if (pieces) {
            json_put_object(&a.w);
            json_put_member_i64(&a.w, "id", ids[i]);
            json_put_member_str(&a.w, "piece", tokenizer_piece(l->tokenizer, ids[i]));
            json_put_object_end(&a.w);
        } else {
            json_put_i64(&a.w, ids[i]);
        }
    }
    json_put_array_end(&a.w);
    json_put_object_end(&a.w);
    return answer_json_end(r, &a, e);
}

static enum code take_ids(struct request *r, struct buf *ids, struct err *e) {
    struct json_tensor shape;
    struct json j;
    struct str key;
    bool more;
    json_init(&j, (struct str){(const char *)r->body.p, r->body.n}, r->arena);
    TRY(json_enter_object(&j, e));
    for (;;) {
        TRY(json_next_key(&j, &key, &more, e));
        if (!more)
            return OK;
        if (str_is(key, "tokens"))
            TRY(json_tensor(&j, JN_I32, ids, &shape, e));
        else
            TRY(json_skip(&j, NULL, e));
    }
}

static enum code detokenize(struct request *r, struct err *e) {
    const struct language *l;
    struct answer_json a;
    struct detokenizer d;
    struct buf *ids = answer_buf(r, 1024, e), *text = answer_buf(r, 1024, e);
    if (!ids || !text)
        return e->code;
    TRY(language_of(r, &l, e));
    TRY(take_ids(r, ids, e));
    const int32_t *all = (const int32_t *)(const void *)ids->p;
    detokenizer_begin(&d, l->tokenizer);
    for (size_t i = 0; i < ids->n / sizeof *all; i++)
        buf_put_str(text, detokenizer_push(&d, all[i]));
    buf_put_str(text, detokenizer_end(&d));
    TRY(answer_json(r, &a, e));
    json_put_object(&a.w);
    json_put_member_str(&a.w, "content", buf_str(text));
    json_put_object_end(&a.w);
    return answer_json_end(r, &a, e);
}

static enum code apply_template(struct request *r, struct err *e) {
    const struct language *l;
    struct answer_json a;
    struct chat_ask ask = {.generation_prompt = true};
    struct json j;
    struct str key, rendered;
    bool more;
    int32_t *ids;
    size_t n;
    TRY(language_of(r, &l, e));
    if (!l->chat)
        return fail(e, INVALID, "'%.*s' has no chat template", STR(r->ask.model));
    json_init(&j, (struct str){(const char *)r->body.p, r->body.n}, r->arena);
    TRY(json_enter_object(&j, e));
    for (;;) {
        TRY(json_next_key(&j, &key, &more, e));
        if (!more)
            break;
        struct str *raw = str_is(key, "messages")               ? &ask.messages_json
                          : str_is(key, "tools")                ? &ask.tools_json
                          : str_is(key, "chat_template_kwargs") ? &ask.extra_json
                                                                : NULL;
        TRY(json_skip(&j, raw, e));
    }
    if (ask.messages_json.n == 0)
        return fail(e, INVALID, "\"messages\" is missing");
    TRY(chat_tokens(l->chat, &ask, r->arena, &ids, &n, &rendered, e));
    TRY(answer_json(r, &a, e));
    json_put_object(&a.w);
    json_put_member_str(&a.w, "prompt", rendered);
    json_put_object_end(&a.w);
    return answer_json_end(r, &a, e);
}

/* What /completion does where a request says nothing. */
static void put_defaults(const struct language *l, struct json_out *w) {
    struct sample_options o;
    sample_options_default(&o);
    talk_like_llama(l, LLAMA_TOP_P, &o);
    json_put_key(w, "params");
    json_put_object(w);
    json_put_member_f64(w, "temperature", (double)o.temperature);
    json_put_member_i64(w, "top_k", o.top_k);
    json_put_member_f64(w, "top_p", (double)o.top_p);
    json_put_member_f64(w, "min_p", (double)o.min_p);
    json_put_member_f64(w, "typical_p", (double)o.typical);
    json_put_member_f64(w, "repeat_penalty", (double)o.repeat_penalty);
    json_put_member_i64(w, "repeat_last_n", o.repeat_last);
    json_put_object_end(w);
}

static enum code props(struct request *r, struct err *e) {
    const struct language *l;
    struct answer_json a;
    struct decode_slot slots[1];
    TRY(language_of(r, &l, e));
    TRY(answer_json(r, &a, e));
    json_put_object(&a.w);
    json_put_member_str(&a.w, "model_alias", live_model(r->ask.live));
    json_put_member_str(&a.w, "chat_template", l->template);
    json_put_member_str(&a.w, "bos_token",
                        tokenizer_name(l->tokenizer, tokenizer_bos(l->tokenizer)));
    json_put_member_str(&a.w, "eos_token",
                        tokenizer_name(l->tokenizer, tokenizer_eos(l->tokenizer)));
    if (l->decode) {
        json_put_member_i64(&a.w, "total_slots", (int64_t)decode_slots(l->decode, slots, 1));
        json_put_key(&a.w, "default_generation_settings");
        json_put_object(&a.w);
        json_put_member_i64(&a.w, "n_ctx", (int64_t)decode_context(l->decode));
        put_defaults(l, &a.w);
        json_put_object_end(&a.w);
    }
    json_put_object_end(&a.w);
    return answer_json_end(r, &a, e);
}

static enum code slots(struct request *r, struct err *e) {
    const struct language *l;
    struct answer_json a;
    TRY(language_of(r, &l, e));
    struct decode_slot *all = ARENA_ARRAY(r->arena, SLOTS, struct decode_slot);
    if (!all)
        return arena_fail(r->arena, SLOTS * sizeof *all, "slots", e);
    size_t n = l->decode ? decode_slots(l->decode, all, SLOTS) : 0;
    TRY(answer_json(r, &a, e));
    json_put_array(&a.w);
    for (size_t i = 0; i < n && i < SLOTS; i++) {
        json_put_object(&a.w);
        json_put_member_i64(&a.w, "id", (int64_t)i);
        json_put_member_i64(&a.w, "n_ctx", (int64_t)decode_context(l->decode));
        json_put_member_bool(&a.w, "is_processing", all[i].busy);
        json_put_member_i64(&a.w, "n_prompt_tokens", (int64_t)all[i].n_prompt);
        json_put_member_i64(&a.w, "n_past", (int64_t)all[i].n_computed);
        json_put_member_i64(&a.w, "n_decoded", (int64_t)all[i].n_drawn);
        json_put_object_end(&a.w);
    }
    json_put_array_end(&a.w);
    return answer_json_end(r, &a, e);
}

static const struct route routes[] = {
    {ROUTE_POST, "/completion", ROUTE_TEXT, NULL},
    {ROUTE_POST, "/tokenize", ROUTE_BODY, tokenize},
    {ROUTE_POST, "/detokenize", ROUTE_BODY, detokenize},
    {ROUTE_POST, "/apply-template", ROUTE_BODY, apply_template},
    {ROUTE_GET, "/props", 0, props},
    {ROUTE_GET, "/slots", ROUTE_INSIDE, slots},
};

const struct protocol protocol_llamacpp = {
    .name = "llamacpp",
    .routes = routes,
    .n_routes = sizeof routes / sizeof *routes,
    .decode = decode,
    .error = error,
};
