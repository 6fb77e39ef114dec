/* SPDX-License-Identifier: Apache-2.0 */
/* POST /v1/completions: docs/protocols/openai.md. prompt: a text, its tokens, or a list of either;
 * the choices of the first come first. With echo and logprobs the prompt's tokens are scored, too,
 * all but the first: what evaluation harnesses read. */
#include "serve/protocol/openai.h"

struct completions {    /* in openai->more */
    struct str *echoes; /* the prompts as text; NULL: no echo */
};

static struct str echo_of(const struct talk *t, const struct talk_choice *c) {
    const struct openai *o = t->own;
    const struct completions *k = o->more;
    return o->echo ? k->echoes[c->index / t->ask.choices] : (struct str){0};
}

static const struct decode_token *tokens_of(const struct talk_choice *c) {
    return (const struct decode_token *)(const void *)c->part.tokens.p;
}
static const struct sample_logprob *logprobs_of(const struct talk_choice *c) {
    return (const struct sample_logprob *)(const void *)c->part.logprobs.p;
}

static void put_top(const struct talk *t, const struct sample_logprob *l, uint32_t n,
                    struct json_out *w) {
    json_put_object(w);
    for (uint32_t k = 1; k < n && l[k].token >= 0; k++) {
        json_put_key_str(w, openai_spelling(t, l[k].token));
        json_put_f32(w, l[k].logprob);
    }
    json_put_object_end(w);
}

/* first: the prompt's first token, which nothing comes before; -1: none. at: where the first token
 * begins in the text. */
static void put_lists(struct talk *t, const struct talk_choice *c, int32_t first, size_t at,
                      struct json_out *w) {
    const struct decode_token *tokens = tokens_of(c);
    const struct sample_logprob *l = logprobs_of(c);
    size_t n = talk_count_tokens(&c->part);
    json_put_key(w, "tokens");
    json_put_array(w);
    if (first >= 0)
        json_put_str(w, openai_spelling(t, first));
    for (size_t i = 0; i < n; i++)
        json_put_str(w, openai_spelling(t, tokens[i].id));
    json_put_array_end(w);
    json_put_key(w, "token_logprobs");
    json_put_array(w);
    if (first >= 0)
        json_put_null(w);
    for (size_t i = 0; i < n; l += tokens[i++].n_logprobs)
        json_put_f32(w, l->logprob);
    json_put_array_end(w);
    l = logprobs_of(c);
    json_put_key(w, "top_logprobs");
    json_put_array(w);
    if (first >= 0)
        json_put_null(w);
    for (size_t i = 0; i < n; l += tokens[i++].n_logprobs)
        put_top(t, l, tokens[i].n_logprobs, w);
    json_put_array_end(w);
    json_put_key(w, "text_offset");
    json_put_array(w);
    if (first >= 0) {
        json_put_i64(w, (int64_t)at);
        at += tokenizer_piece(t->language->tokenizer, first).n;
    }
    for (size_t i = 0; i < n; i++) {
        json_put_i64(w, (int64_t)at);
        at += tokenizer_piece(t->language->tokenizer, tokens[i].id).n;
    }
    json_put_array_end(w);
}

static void put_logprobs(struct talk *t, const struct talk_choice *c, struct json_out *w) {
    bool scored = t->ask.score && !c->begun; /* this piece begins with the prompt's tokens */
    json_put_key(w, "logprobs");
    if (t->ask.sample.logprobs < 0 || (talk_count_tokens(&c->part) == 0 && !scored)) {
        json_put_null(w);
        return;
    }
    json_put_object(w);
    put_lists(t, c, scored ? talk_ask_of(t, c)->prompt[0] : -1,
              scored ? 0 : echo_of(t, c).n + c->text_sent, w);
    json_put_object_end(w);
}

static void put_text(struct talk *t, const struct talk_choice *c, struct json_out *w) {
    struct str text = buf_str(&c->part.text), echo = echo_of(t, c);
    json_put_key(w, "text");
    if (echo.n && !c->begun) {
        struct buf b;
        buf_init(&b, ANSWER_BYTES);
        buf_put_str(&b, echo);
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
    c->begun = true;
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

static enum code text_of(struct talk *t, const int32_t *ids, size_t n, struct str *out,
                         struct err *e) {
    struct detokenizer d;
    struct buf *b = answer_buf(t->r, n * 4, e);
    if (!b)
        return e->code;
    detokenizer_begin(&d, t->language->tokenizer);
    for (size_t i = 0; i < n; i++)
        buf_put_str(b, detokenizer_push(&d, ids[i]));
    buf_put_str(b, detokenizer_end(&d));
    *out = buf_str(b);
    return buf_check(b, "prompt", e);
}

/* One prompt: a text or its tokens. *echo: its text. */
static enum code take_one(struct talk *t, struct json *j, struct str *echo, struct err *e) {
    struct json_tensor shape;
    if (json_peek(j) == JSON_STRING) {
        TRY(json_string(j, echo, e));
        return talk_text(t, *echo, e);
    }
    struct buf *ids = answer_buf(t->r, 1024, e);
    if (!ids)
        return e->code;
    TRY(json_tensor(j, JN_I32, ids, &shape, e));
    if (shape.rank != 1)
        return fail(e, INVALID, "prompt: a text or a list of token numbers is expected");
    const int32_t *p = (const int32_t *)(const void *)ids->p;
    TRY(talk_tokens(t, p, shape.count, e));
    return ((const struct openai *)t->own)->echo ? text_of(t, p, shape.count, echo, e) : OK;
}

/* How many prompts a list holds; 0: it is no list of prompts but one, a text or its tokens. */
static enum code count_prompts(struct talk *t, struct str prompt, size_t *n, struct err *e) {
    struct json j;
    bool more;
    *n = 0;
    json_init(&j, prompt, t->r->arena);
    if (json_peek(&j) != JSON_ARRAY)
        return OK;
    TRY(json_enter_array(&j, e));
    for (;; ++*n) {
        TRY(json_next_item(&j, &more, e));
        if (!more)
            return *n ? OK : fail(e, INVALID, "\"prompt\" is empty");
        if (json_peek(&j) == JSON_NUMBER && *n == 0)
            return OK;
        TRY(json_skip(&j, NULL, e));
    }
}

static enum code take_prompts(struct talk *t, struct openai *o, struct err *e) {
    struct completions *k = ARENA_NEW(t->r->arena, struct completions);
    struct json j;
    size_t n;
    bool more;
    if (o->prompt.n == 0)
        return fail(e, INVALID, "\"prompt\" is missing");
    TRY(count_prompts(t, o->prompt, &n, e));
    if (k)
        k->echoes = ARENA_ARRAY(t->r->arena, n + 1, struct str);
    if (!k || !k->echoes)
        return arena_fail(t->r->arena, (n + 1) * sizeof *k->echoes, "prompts", e);
    o->more = k;
    json_init(&j, o->prompt, t->r->arena);
    if (n == 0)
        return take_one(t, &j, &k->echoes[0], e);
    TRY(talk_prompts(t, n, e));
    TRY(json_enter_array(&j, e));
    for (size_t i = 0; i < n; i++) {
        TRY(json_next_item(&j, &more, e));
        if (take_one(t, &j, &k->echoes[i], e) != OK)
            return n == 1 ? e->code : err_prefix(e, "prompt[%zu]", i);
    }
    return OK;
}

static const struct openai_kind kind = {"text_completion", "text_completion", "cmpl-"};

static enum code decode(struct request *r, struct err *e) {
    struct talk *t;
    TRY(openai_read(r, &form, &kind, &t, e));
    struct openai *o = t->own;
    if (o->logprobs >= 0)
        t->ask.sample.logprobs = o->logprobs > SAMPLE_TOP ? SAMPLE_TOP + 1 : (int32_t)o->logprobs;
    if (o->suffix.n)
        return fail(e, INVALID, "suffix is not supported: write the model's own fill-in tokens");
    t->ask.score = o->echo && o->logprobs >= 0;
    t->ask.no_answer = t->no_tokens;
    if (t->ask.max_tokens == 0)
        t->ask.max_tokens = 16; /* OpenAI's default */
    TRY(openai_constrain(t, e));
    TRY(take_prompts(t, o, e));
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
