/* SPDX-License-Identifier: Apache-2.0 */
/* Requests to language models: see talk.h. */
#include "serve/talk.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "llm/grammar.h"
#include "llm/schema.h"
#include "serve/answer.h"
#include "serve/in.h"
#include "serve/protocol/protocol.h"
#include "serve/stream.h"
#include "serve/trace.h"

#include <math.h>

/* --- which model --- */

static enum code sole_language(struct request *r, struct err *e) {
    struct live_info *all;
    size_t n;
    TRY(host_list(r->host, r->arena, &all, &n, e));
    for (size_t i = 0; i < n; i++)
        if (all[i].is_default && all[i].live && live_language(all[i].live)) {
            if (r->ask.model.n && !str_eq(r->ask.model, all[i].model))
                return fail(e, INVALID,
                            "several language models are served: name one as \"model\"");
            r->ask.model = all[i].model;
        }
    return r->ask.model.n ? OK
                          : fail(e, NOT_FOUND,
                                 "no language model is served: add one with `slipway "
                                 "add FILE.gguf NAME`");
}

enum code talk_route(struct request *r, struct str model, struct err *e) {
    size_t at;
    r->ask.model = model;
    if (model.n == 0)
        TRY(sole_language(r, e));
    if (str_find(r->ask.model, '@', &at)) {
        struct str selector = str_sub(r->ask.model, at + 1, r->ask.model.n);
        r->ask.model = str_sub(r->ask.model, 0, at);
        if (!str_to_u64(selector, &r->ask.version))
            r->ask.alias = selector;
    }
    if (request_route(r, e) == OK)
        return OK;
    if (e->code == ERR_NOT_FOUND)
        return fail(e, NOT_FOUND, "The model `%.*s` does not exist", STR(str_sub(model, 0, 200)));
    return e->code;
}

/* --- life --- */

static struct talk *of_wake(struct loop_job *job) {
    return (struct talk *)(void *)((char *)job - offsetof(struct talk, wake_job));
}
static struct talk *of_done(struct loop_job *job) {
    return (struct talk *)(void *)((char *)job - offsetof(struct talk, done_job));
}

static void talk_free(void *arg) {
    struct talk *t = arg;
    for (size_t i = 0; i < t->n_asks; i++)
        decode_ask_end(&t->asks[i]);
    grammar_close(t->grammar);
    for (int i = 0; t->choices && i < talk_choices(t); i++) {
        decode_part_end(&t->choices[i].part);
        buf_deinit(&t->choices[i].reasoning.held);
        buf_deinit(&t->choices[i].reader.held);
    }
}

static void on_wake(struct decode_ask *a) {
    struct talk *t = a->user;
    if (!atomic_exchange(&t->posted, true))
        loop_post(t->r->x->loop, &t->wake_job);
}

/* Where one prompt fails the others need not go on. */
static void on_done(struct decode_ask *a) {
    struct talk *t = a->user;
    if (a->code != OK)
        talk_gone(t);
    if (atomic_fetch_sub(&t->going, 1) == 1)
        loop_post(t->r->x->loop, &t->done_job);
}

static void pump(struct loop_job *job);
static void finish(struct loop_job *job);

/* Who asks, how urgent it is, and until when: the server's own time limit is for requests that are
 * answered at once, a talk is limited by its tokens. */
static void ask_terms(struct talk *t) {
    const struct request *r = t->r;
    size_t n = strlen(r->x->peer);
    while (n && r->x->peer[n - 1] != ':') /* the address without its port */
        n--;
    t->ask.client =
        r->key ? hash_bytes(r->key->name, strlen(r->key->name)) : hash_bytes(r->x->peer, n);
    t->ask.priority = -(int)r->ask.priority;
    if (r->ask.deadline_ns < r->x->started_ns + r->options->timeout_ms * 1000000)
        t->ask.deadline_ns = r->ask.deadline_ns;
}

enum code talk_find_model(struct request *r, struct str *model, struct err *e) {
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

enum code talk_new(struct request *r, const struct talk_form *form, struct talk **out,
                   struct err *e) {
    struct language *l = live_language(r->ask.live);
    if (!l)
        return fail(e, INVALID, "'%.*s' is not a language model: it answers /predict/%.*s",
                    STR(r->ask.model), STR(r->ask.model));
    if (!l->decode)
        return fail(e, INVALID, "'%.*s' does not generate text: it answers /v1/embeddings",
                    STR(r->ask.model));
    struct talk *t = ARENA_NEW(r->arena, struct talk);
    if (!t || !arena_defer(r->arena, talk_free, t))
        return arena_fail(r->arena, sizeof *t, "request", e);
    t->r = r;
    t->form = form;
    t->language = l;
    t->created = clock_wall_us() / 1000000;
    t->id = r->id;
    ask_terms(t);
    t->ask.choices = 1;
    t->ask.user = t;
    t->ask.wake = on_wake;
    t->ask.done = on_done;
    t->wake_job.fn = pump;
    t->done_job.fn = finish;
    sample_options_default(&t->ask.sample);
    preset_apply(&l->preset, &t->ask.sample);
    t->ask.sample.seed = clock_ns() * 0x9e3779b97f4a7c15u;
    *out = t;
    return OK;
}

void talk_like_llama(const struct language *l, float top_p, struct sample_options *o) {
    o->temperature = 0.8f;
    o->top_k = 40;
    o->top_p = top_p;
    o->min_p = 0.05f;
    o->repeat_last = 64;
    o->temper_last = o->count_prompt = true;
    preset_apply(&l->preset, o);
}

const char *talk_end_name(enum decode_end end) { return end == DECODE_LENGTH ? "length" : "stop"; }

int talk_choices(const struct talk *t) { return t->ask.choices * (int)t->n_asks; }

struct decode_ask *talk_ask_of(const struct talk *t, const struct talk_choice *c) {
    return &t->asks[c->index / t->ask.choices];
}

size_t talk_count_tokens(const struct decode_part *p) {
    return p->tokens.n / sizeof(struct decode_token);
}

/* --- parameters --- */

static enum code take_float(struct json *j, float *out, struct err *e) {
    double v;
    if (json_peek(j) == JSON_NULL)
        return json_null(j, e);
    TRY(json_f64(j, &v, e));
    *out = (float)v;
    return OK;
}

static enum code take_count(struct json *j, int64_t low, int64_t high, int64_t *out,
                            struct err *e) {
    if (json_peek(j) == JSON_NULL)
        return json_null(j, e);
    TRY(json_i64(j, out, e));
    if (*out < low || *out > high)
        return json_fail(j, e, "%lld is out of range: from %lld to %lld", (long long)*out,
                         (long long)low, (long long)high);
    return OK;
}

static enum code take_bool(struct json *j, bool *out, struct err *e) {
    return json_peek(j) == JSON_NULL ? json_null(j, e) : json_bool(j, out, e);
}

static enum code add_stop(struct talk *t, struct json *j, struct err *e) {
    struct str text;
    TRY(json_string(j, &text, e));
    if (t->ask.n_stops == TALK_STOPS)
        return json_fail(j, e, "more than %d stop strings", TALK_STOPS);
    if (text.n > 1024)
        return json_fail(j, e, "a stop string has %zu bytes, the limit is 1024", text.n);
    if (text.n)
        t->stops[t->ask.n_stops++] = text;
    return OK;
}

static enum code take_stops(struct talk *t, struct json *j, struct err *e) {
    bool more;
    t->ask.n_stops = 0;
    t->ask.stops = t->stops;
    if (json_peek(j) == JSON_NULL)
        return json_null(j, e);
    if (json_peek(j) == JSON_STRING)
        return add_stop(t, j, e);
    TRY(json_enter_array(j, e));
    for (;;) {
        TRY(json_next_item(j, &more, e));
        if (!more)
            return OK;
        TRY(add_stop(t, j, e));
    }
}

static enum code add_bias(struct talk *t, struct json *j, int64_t token, struct err *e) {
    double v = 0;
    bool no;
    if (json_peek(j) == JSON_BOOL) {
        TRY(json_bool(j, &no, e));
        v = no ? 0 : -INFINITY;
    } else {
        TRY(json_f64(j, &v, e));
    }
    if (!t->biases)
        t->biases = ARENA_ARRAY(t->r->arena, TALK_BIASES, struct sample_bias);
    if (!t->biases)
        return arena_fail(t->r->arena, TALK_BIASES * sizeof *t->biases, "logit_bias", e);
    if (t->ask.sample.n_biases == TALK_BIASES)
        return json_fail(j, e, "more than %d biases", TALK_BIASES);
    if (token < 0 || token > INT32_MAX)
        return json_fail(j, e, "logit_bias: %lld is no token", (long long)token);
    t->ask.sample.biases = t->biases;
    /* OpenAI: -100 bans, 100 leaves no other choice */
    t->biases[t->ask.sample.n_biases++] =
        (struct sample_bias){(int32_t)token, v <= -100  ? -INFINITY
                                             : v >= 100 ? 1e6f
                                                        : (float)v};
    return OK;
}

/* {"15043": 5}, or llama.cpp's [[15043, 5], [13, false]] */
static enum code take_biases(struct talk *t, struct json *j, struct err *e) {
    struct str key;
    int64_t token;
    bool more;
    if (json_peek(j) == JSON_NULL)
        return json_null(j, e);
    if (json_peek(j) == JSON_OBJECT) {
        TRY(json_enter_object(j, e));
        for (;;) {
            TRY(json_next_key(j, &key, &more, e));
            if (!more)
                return OK;
            if (!str_to_i64(key, &token))
                return json_fail(j, e, "logit_bias: '%.*s' is no token number", STR(key));
            TRY(add_bias(t, j, token, e));
        }
    }
    TRY(json_enter_array(j, e));
    for (;;) {
        TRY(json_next_item(j, &more, e));
        if (!more)
            return OK;
        TRY(json_enter_array(j, e));
        TRY(json_next_item(j, &more, e));
        TRY(json_i64(j, &token, e));
        TRY(json_next_item(j, &more, e));
        TRY(add_bias(t, j, token, e));
        TRY(json_next_item(j, &more, e));
        if (more)
            return json_fail(j, e, "logit_bias: pairs of a token and a bias are expected");
    }
}

/* As vLLM counts: lower goes first. A key that may not ask for high priority asks for no more than
 * its own. */
static enum code take_priority(struct talk *t, struct json *j, struct err *e) {
    const struct auth_key *key = t->r->key;
    int64_t v = -(int64_t)t->ask.priority, least = -INT32_MAX;
    TRY(take_count(j, -INT32_MAX, INT32_MAX, &v, e));
    if (key && key->rights.priority > PRIORITY_HIGH)
        least = key->rights.priority;
    t->ask.priority = -(int)(v > least ? v : least);
    return OK;
}

enum option_kind {
    FLOAT,
    TOP_K,
    MAX_TOKENS,
    MIN_TOKENS,
    SEED,
    STOP,
    BIAS,
    PRIORITY,
    FLAG,
    INT,
    TEXT,
    RAW
};

struct option_row {
    const char *name;
    enum option_kind kind;
    size_t offset; /* in struct talk */
};

#define AT(field) offsetof(struct talk, field)
static const struct option_row options[] = {
    {"temperature", FLOAT, AT(ask.sample.temperature)},
    {"top_p", FLOAT, AT(ask.sample.top_p)},
    {"min_p", FLOAT, AT(ask.sample.min_p)},
    {"typical_p", FLOAT, AT(ask.sample.typical)},
    {"repeat_penalty", FLOAT, AT(ask.sample.repeat_penalty)},
    {"repetition_penalty", FLOAT, AT(ask.sample.repeat_penalty)},
    {"frequency_penalty", FLOAT, AT(ask.sample.frequency)},
    {"presence_penalty", FLOAT, AT(ask.sample.presence)},
    {"mirostat_tau", FLOAT, AT(ask.sample.tau)},
    {"mirostat_eta", FLOAT, AT(ask.sample.eta)},
    {"mirostat", INT, AT(ask.sample.mirostat)},
    {"repeat_last_n", INT, AT(ask.sample.repeat_last)},
    {"priority", PRIORITY, 0},
    {"top_k", TOP_K, AT(ask.sample.top_k)},
    {"max_tokens", MAX_TOKENS, 0},
    {"max_completion_tokens", MAX_TOKENS, 0},
    {"max_output_tokens", MAX_TOKENS, 0},
    {"n_predict", MAX_TOKENS, 0},
    {"num_predict", MAX_TOKENS, 0},
    {"min_tokens", MIN_TOKENS, 0},
    {"seed", SEED, 0},
    {"stop", STOP, 0},
    {"stop_sequences", STOP, 0},
    {"logit_bias", BIAS, 0},
    {"ignore_eos", FLAG, AT(ask.ignore_end)},
    {"include_stop_str_in_output", FLAG, AT(ask.keep_stop)},
    {"stream", FLAG, AT(streamed)},
    {"grammar", TEXT, AT(grammar_text)},
    {"guided_grammar", TEXT, AT(grammar_text)},
    {"json_schema", RAW, AT(schema_text)},
    {"guided_json", RAW, AT(schema_text)},
};

static enum code take_max(struct talk *t, struct json *j, struct err *e) {
    int64_t v = -1;
    TRY(take_count(j, -2, INT64_MAX, &v, e));
    t->no_tokens = v == 0;
    t->ask.max_tokens = v > 0 ? (size_t)v : 0;
    return OK;
}

static enum code take_row(struct talk *t, struct json *j, const struct option_row *o,
                          struct err *e) {
    void *field = (char *)t + o->offset;
    int64_t v = 0;
    switch (o->kind) {
    case FLOAT: return take_float(j, field, e);
    case FLAG: return take_bool(j, field, e);
    case STOP: return take_stops(t, j, e);
    case BIAS: return take_biases(t, j, e);
    case MAX_TOKENS: return take_max(t, j, e);
    case MIN_TOKENS:
        TRY(take_count(j, 0, INT32_MAX, &v, e));
        t->ask.min_tokens = (size_t)v;
        return OK;
    case TOP_K:
        TRY(take_count(j, -1, INT32_MAX, &v, e));
        t->ask.sample.top_k = v > 0 ? (int32_t)v : 0;
        return OK;
    case INT:
        v = *(int32_t *)field;
        TRY(take_count(j, INT32_MIN, INT32_MAX, &v, e));
        *(int32_t *)field = (int32_t)v;
        return OK;
    case SEED:
        v = -1;
        TRY(take_count(j, INT64_MIN, INT64_MAX, &v, e));
        if (v != -1)
            t->ask.sample.seed = (uint64_t)v;
        return OK;
    case PRIORITY: return take_priority(t, j, e);
    case TEXT: return json_peek(j) == JSON_NULL ? json_null(j, e) : json_string(j, field, e);
    case RAW: return json_peek(j) == JSON_NULL ? json_null(j, e) : json_skip(j, field, e);
    }
    return OK;
}

enum code talk_option(struct talk *t, struct json *j, struct str key, bool *taken, struct err *e) {
    *taken = false;
    for (size_t i = 0; i < sizeof options / sizeof *options && !*taken; i++)
        if (str_is(key, options[i].name)) {
            *taken = true;
            if (take_row(t, j, &options[i], e) != OK)
                return err_prefix(e, "%s", options[i].name);
        }
    return OK;
}

enum code talk_options(struct talk *t, struct json *j, struct err *e) {
    struct str key;
    bool more, taken;
    if (json_peek(j) == JSON_NULL)
        return json_null(j, e);
    TRY(json_enter_object(j, e));
    for (;;) {
        TRY(json_next_key(j, &key, &more, e));
        if (!more)
            return OK;
        TRY(talk_option(t, j, key, &taken, e));
        if (!taken)
            TRY(json_skip(j, NULL, e));
    }
}

/* --- prompt --- */

enum code talk_tokens(struct talk *t, const int32_t *ids, size_t n, struct err *e) {
    size_t context = decode_context(t->language->decode);
    if (n >= context)
        return fail(e, INVALID,
                    "This model's maximum context length is %zu tokens. However, your prompt has "
                    "%zu tokens. Please shorten it, or serve with a larger --context.",
                    context, n);
    struct decode_ask *a = t->asks ? &t->asks[t->n_asks++] : &t->ask;
    a->prompt = ids;
    a->n_prompt = n;
    return OK;
}

enum code talk_prompts(struct talk *t, size_t n, struct err *e) {
    if (n == 0 || n > TALK_PROMPTS)
        return fail(e, INVALID, "%zu prompts: from 1 to %d", n, TALK_PROMPTS);
    t->asks = ARENA_ARRAY(t->r->arena, n, struct decode_ask);
    return t->asks ? OK : arena_fail(t->r->arena, n * sizeof *t->asks, "prompts", e);
}

enum code talk_text(struct talk *t, struct str prompt, struct err *e) {
    int32_t *ids;
    size_t n;
    TRY(tokenizer_encode(t->language->tokenizer, prompt, TOKENIZE_SPECIAL_ADD, t->r->arena, &ids,
                         &n, e));
    return talk_tokens(t, ids, n, e);
}

/* A control token that the answer's readers must see: its spelling becomes text. */
static void show(struct talk *t, const char *name) {
    int32_t id = name ? tokenizer_find(t->language->tokenizer, str_of(name)) : -1;
    if (id < 0)
        return;
    t->shown[t->ask.n_shown++] = id;
    t->ask.shown = t->shown;
}

enum code talk_chat(struct talk *t, struct str messages, struct str tools, struct str extra,
                    struct err *e) {
    struct chat_ask ask = {messages, tools, extra, true};
    struct str rendered;
    int32_t *ids;
    size_t n;
    if (!t->language->chat)
        return fail(e, INVALID, "'%.*s' has no chat template: it answers /v1/completions",
                    STR(t->r->ask.model));
    TRY(chat_tokens(t->language->chat, &ask, t->r->arena, &ids, &n, &rendered, e));
    t->reasoning = reasoning_form_of(t->language->template);
    t->thinking = reasoning_begun(t->reasoning, rendered) && !t->grammar;
    show(t, toolcall_marker(t->tools));
    if (t->reasoning) {
        show(t, t->reasoning->open);
        show(t, t->reasoning->close);
    }
    return talk_tokens(t, ids, n, e);
}

enum code talk_constrain(struct talk *t, struct err *e) {
    if (t->grammar_text.n == 0 && t->schema_text.n == 0 && !t->json_mode)
        return OK;
    if (t->grammar_text.n) {
        TRY(grammar_parse(t->grammar_text, &t->grammar, e));
    } else {
        struct buf text;
        buf_init(&text, GRAMMAR_BYTES);
        enum code code = t->schema_text.n ? schema_grammar(t->schema_text, &text, e)
                                          : schema_any_object(&text, e);
        if (code == OK)
            code = grammar_parse(buf_str(&text), &t->grammar, e);
        buf_deinit(&text);
        TRY(code);
    }
    t->ask.grammar = t->grammar;
    return OK;
}

/* --- reading the answer --- */

struct feed {
    struct talk_choice *c;
    const struct talk_sink *sink;
};

static void on_thought(void *ctx, struct str text) {
    const struct talk_sink *s = ((struct feed *)ctx)->sink;
    s->thought(s->rest.ctx, text);
}

static void on_answer(void *ctx, struct str text) {
    struct feed *f = ctx;
    toolcall_feed(&f->c->reader, text, &f->sink->rest);
}

void talk_feed(struct talk_choice *c, const struct talk_sink *s) {
    struct feed f = {c, s};
    const struct reasoning_sink sink = {&f, on_thought, on_answer};
    reasoning_feed(&c->reasoning, buf_str(&c->part.text), &sink);
    if (!c->ended)
        return;
    reasoning_end(&c->reasoning, &sink);
    toolcall_end(&c->reader, &s->rest);
}

/* --- running --- */

static enum code make_choices(struct talk *t, struct err *e) {
    t->ask.choices = t->ask.choices > 0 ? t->ask.choices : 1;
    size_t n = (size_t)talk_choices(t);
    if (n > DECODE_CHOICES)
        return fail(e, INVALID, "%zu answers asked for at once, the limit is %d", n,
                    DECODE_CHOICES);
    t->choices = ARENA_ARRAY(t->r->arena, n, struct talk_choice);
    if (!t->choices)
        return arena_fail(t->r->arena, n * sizeof *t->choices, "answers", e);
    for (size_t i = 0; i < n; i++) {
        t->choices[i].index = (int)i;
        reasoning_begin(&t->choices[i].reasoning, t->reasoning, t->thinking);
        toolcall_begin(&t->choices[i].reader, t->tools);
    }
    return OK;
}

/* Each prompt on the same terms. */
static void make_asks(struct talk *t) {
    t->ask.streamed = t->streamed;
    if (!t->asks) {
        t->asks = &t->ask;
        t->n_asks = 1;
        return;
    }
    for (size_t i = 0; i < t->n_asks; i++) {
        struct decode_ask terms = t->ask;
        terms.prompt = t->asks[i].prompt;
        terms.n_prompt = t->asks[i].n_prompt;
        t->asks[i] = terms;
    }
}

void talk_run(struct talk *t) {
    make_asks(t);
    if (make_choices(t, &t->ask.err) != OK) {
        t->ask.code = t->ask.err.code;
        loop_post(t->r->x->loop, &t->done_job);
        return;
    }
    size_t n = t->n_asks; /* t may be gone once the last is submitted */
    struct decode_ask *asks = t->asks;
    struct decode *d = t->language->decode;
    atomic_store(&t->going, n);
    for (size_t i = 0; i < n; i++)
        decode_submit(d, &asks[i]);
}

void talk_gone(struct talk *t) {
    __atomic_store_n(&t->ask.cancel, true, __ATOMIC_RELAXED); /* perhaps none is made yet */
    for (size_t i = 0; i < t->n_asks; i++)
        __atomic_store_n(&t->asks[i].cancel, true, __ATOMIC_RELAXED);
}

static void push(struct talk *t, struct buf *out) {
    if (out->n == 0)
        return;
    enum stream_state s = stream_push(t->r, (struct span){(const uint8_t *)out->p, out->n});
    t->full = s == STREAM_FULL;
    if (s == STREAM_GONE)
        talk_gone(t);
    buf_clear(out);
}

static void begin(struct talk *t, struct buf *out) {
    t->begun = true;
    answer_type(t->r, 200, str_of(t->form->type));
    answer_header(t->r, "Cache-Control", LIT("no-cache"));
    trace_cors(t->r);
    stream_begin(t->r);
    if (t->form->begin)
        t->form->begin(t, out);
}

static void take_part(struct talk *t, struct talk_choice *c) {
    decode_take(t->language->decode, talk_ask_of(t, c), c->index % t->ask.choices, &c->part);
}

/* On the loop: whatever the choices made since the last time goes to the client. */
static void take_all(struct talk *t) {
    struct buf out;
    buf_init(&out, ANSWER_BYTES);
    if (!t->begun)
        begin(t, &out);
    for (int i = 0; i < talk_choices(t); i++) {
        struct talk_choice *c = &t->choices[i];
        if (c->ended)
            continue;
        take_part(t, c);
        if (c->part.text.n == 0 && c->part.tokens.n == 0 && c->part.end == DECODE_GOING)
            continue;
        c->ended = c->part.end != DECODE_GOING;
        t->form->piece(t, c, &out);
    }
    push(t, &out);
    buf_deinit(&out);
}

static void on_room(struct request *r) {
    struct talk *t = r->talk;
    t->full = false;
    if (!t->done)
        take_all(t);
}

static void pump(struct loop_job *job) {
    struct talk *t = of_wake(job);
    atomic_store(&t->posted, false);
    t->r->stream.on_room = on_room;
    if (!t->full)
        take_all(t);
}

static void finish_stream(struct talk *t) {
    struct buf out;
    buf_init(&out, ANSWER_BYTES);
    if (t->ask.code == OK) {
        take_all(t);
        t->form->end(t, &out);
    } else {
        t->form->failed(t, &t->ask.err, &out);
    }
    push(t, &out);
    buf_deinit(&out);
    stream_end(t->r);
}

static void note_times(struct talk *t) {
    struct decode_ask *a = &t->ask;
    struct ask *ask = &t->r->ask;
    uint64_t started = a->started_ns ? a->started_ns : a->ended_ns;
    ask->queue_ns = started > a->queued_ns ? started - a->queued_ns : 0;
    ask->compute_ns = a->ended_ns > started ? a->ended_ns - started : 0;
}

/* The sums of all prompts; of several that failed, why the first did (the others were stopped). */
static void gather(struct talk *t) {
    struct decode_ask *sum = &t->ask;
    if (t->asks == sum || !t->choices)
        return;
    sum->queued_ns = t->asks[0].queued_ns;
    sum->n_prompt = 0;
    for (size_t i = 0; i < t->n_asks; i++) {
        const struct decode_ask *a = &t->asks[i];
        sum->n_prompt += a->n_prompt;
        sum->n_cached += a->n_cached;
        sum->n_generated += a->n_generated;
        if (sum->started_ns == 0 || (a->started_ns && a->started_ns < sum->started_ns))
            sum->started_ns = a->started_ns;
        if (sum->ended_ns < a->ended_ns)
            sum->ended_ns = a->ended_ns;
        if (a->code != OK && (sum->code == OK || sum->code == ERR_CANCELLED)) {
            sum->code = a->code;
            sum->err = a->err;
        }
    }
}

static void finish(struct loop_job *job) {
    struct talk *t = of_done(job);
    struct request *r = t->r;
    t->done = true;
    gather(t);
    note_times(t);
    if (t->streamed && (t->begun || t->ask.code == OK)) {
        if (t->ask.code != OK) { /* the access log names it */
            r->err = t->ask.err;
            r->err.code = t->ask.code;
        }
        finish_stream(t);
        return;
    }
    if (t->ask.code != OK) {
        r->err = t->ask.err;
        r->err.code = t->ask.code;
    }
    for (int i = 0; t->ask.code == OK && i < talk_choices(t); i++) {
        take_part(t, &t->choices[i]);
        t->choices[i].ended = true;
    }
    request_resume(r);
}
