/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz: whole requests through the router to the pages of every protocol: management bodies,
 * settings, load parameters, registrations, reflection, roll-outs, keys; and the bodies of those
 * that run a model. An input is
 *
 *     METHOD PATH[?QUERY] [TYPE]\n
 *     body; of a gRPC method (it is known by its path) the bare message
 *
 * Model "m" takes numbers and texts; "chat" is a language model as far as a request is decoded for
 * one: a tokenizer of bytes and a template.
 *
 * What would work on another thread works at once, on a store in a folder of its own; what loads,
 * unloads or imports only answers (meson.build wraps those calls: their files have fuzzers of their
 * own). */
#include "../unit/host/tiny_model.h"
#include "../unit/serve/stand.h"

#include "job/follow.h"
#include "serve/arrival.h"
#include "serve/grpc.h"
#include "serve/media.h"
#include "serve/protocol/protocol.h"

#include <ftw.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct stand s;
static struct live_io inputs[2], outputs[1];
static struct bidi stream;
static char folder[64];

/* --- what is wrapped --- */

void __wrap_loop_post(struct loop *l, struct loop_job *job);
void __wrap_side_post(struct side *side, struct side_job *job);
void __wrap_host_load(struct host *h, struct str model, uint64_t version, host_done_fn *done,
                      void *ctx);
void __wrap_host_unload(struct host *h, struct str model, host_done_fn *done, void *ctx);
enum code __wrap_arrival_add(struct store *store, struct arrival *a, struct arena *arena,
                             struct err *e);
enum code __wrap_follow_set(struct follow *f, const struct roster *roster, host_done_fn *done,
                            void *ctx, struct err *e);

void __wrap_loop_post(struct loop *l, struct loop_job *job) { (void)l, (void)job; }
void __wrap_side_post(struct side *side, struct side_job *job) {
    (void)side;
    job->fn(job);
}

static void answer_change(struct str model, host_done_fn *done, void *ctx) {
    const struct err e = {.code = ERR_NOT_FOUND, .text = "unknown model"};
    done(ctx, str_is(model, "m") ? OK : e.code, &e);
}

void __wrap_host_load(struct host *h, struct str model, uint64_t version, host_done_fn *done,
                      void *ctx) {
    (void)h, (void)version;
    answer_change(model, done, ctx);
}

void __wrap_host_unload(struct host *h, struct str model, host_done_fn *done, void *ctx) {
    (void)h;
    answer_change(model, done, ctx);
}

enum code __wrap_arrival_add(struct store *store, struct arrival *a, struct arena *arena,
                             struct err *e) {
    (void)store, (void)arena, (void)e;
    a->version = 1;
    return OK;
}

enum code __wrap_follow_set(struct follow *f, const struct roster *roster, host_done_fn *done,
                            void *ctx, struct err *e) {
    (void)f, (void)roster, (void)e;
    done(ctx, OK, NULL);
    return OK;
}

size_t __wrap_decode_context(const struct decode *d);
size_t __wrap_decode_slots(struct decode *d, struct decode_slot *out, size_t room);
size_t __wrap_decode_context(const struct decode *d) { return (void)d, 4096; }
size_t __wrap_decode_slots(struct decode *d, struct decode_slot *out, size_t room) {
    return (void)d, (void)out, (void)room, 0;
}

/* --- a language model --- */

enum { WORDS = 3 + 256 };
static const char TEMPLATE[] =
    "{% for m in messages %}<s>{{ m.role }}: {{ m.content }}{% if m.tool_calls %}<tool_call>"
    "{{ m.tool_calls | tojson }}{% endif %}</s>{% endfor %}{% if tools %}{{ tools | tojson }}"
    "{% endif %}{% if add_generation_prompt %}<s>assistant: <think>{% endif %}</think>";

static void check(enum code code) {
    if (code == OK)
        return;
    fprintf(stderr, "%s\n", s.e.text);
    abort();
}

/* Three control tokens and every byte. */
static void open_language(struct language *l) {
    static struct str names[WORDS] = {{"<s>", 3}, {"</s>", 4}, {"<unk>", 5}};
    static int64_t kinds[WORDS] = {3, 3, 2};
    static float scores[WORDS];
    static char bytes[256][8];
    static struct attr facts[] = {{.name = LIT("tok.kind"), .kind = ATTR_STR, .s = LIT("spm")},
                                  {.name = LIT("tok.tokens"), .kind = ATTR_STRS, .n = WORDS},
                                  {.name = LIT("tok.types"), .kind = ATTR_INTS, .n = WORDS},
                                  {.name = LIT("tok.scores"), .kind = ATTR_FLOATS, .n = WORDS},
                                  {.name = LIT("tok.eos"), .kind = ATTR_INT, .i = 1}};
    static const struct model m = {.facts = facts, .n_facts = sizeof facts / sizeof *facts};
    for (int i = 0; i < 256; i++) {
        snprintf(bytes[i], sizeof bytes[i], "<0x%02X>", (unsigned)i);
        names[3 + i] = str_of(bytes[i]);
        kinds[3 + i] = 6;
    }
    facts[1].strs = names;
    facts[2].ints = kinds;
    facts[3].floats = scores;
    check(tokenizer_open(&m, &l->tokenizer, &s.e));
    l->template = l->tool_template = str_of(TEMPLATE);
    check(chat_open(l->template, l->tokenizer, &l->chat, &s.e));
    l->decode = (struct decode *)(void *)l; /* never looked into: what does is wrapped */
}

/* --- the server --- */

static int drop(const char *path, const struct stat *st, int kind, struct FTW *at) {
    (void)st, (void)kind, (void)at;
    return remove(path);
}

static struct language language;
static struct live chat, *chats[] = {&chat};
static struct route_model chat_model, *models[2];

static void add_chat(void) {
    open_language(&language);
    chat = s.live;
    chat.model = (char *)(uintptr_t) "chat";
    chat.n_inputs = chat.n_outputs = 0;
    chat.loaded.language = &language;
    chat_model =
        (struct route_model){.name = chat.model, .lives = chats, .n_lives = 1, .chosen = &chat};
    models[0] = &chat_model;
    models[1] = &s.model;
    s.host.models = models;
    s.host.n_models = 2;
}

static void end(void) {
    chat_close(language.chat);
    tokenizer_close(language.tokenizer);
    store_close(s.server.store);
    nftw(folder, drop, 8, FTW_DEPTH | FTW_PHYS);
}

static void begin(void) {
    size_t n;
    const struct protocol *const *all = protocol_list(&n);
    inputs[0] = stand_io("x", DT_F32, STAND_DIMS(-1, 2));
    inputs[1] = stand_io("t", DT_STRING, STAND_DIMS(-1));
    inputs[1].optional = true;
    outputs[0] = stand_io("y", DT_F32, STAND_DIMS(-1, 2));
    stand_open(&s, inputs, 2, outputs, 1);
    add_chat();
    s.options.allow_control = true;
    s.options.model_store = "/nowhere";
    s.options.fetch_hosts = "*"; /* arrival_add asks none */
    probes_init(&s.server.probes);
    check(router_init(&s.server.router, all, n, &s.e));
    snprintf(folder, sizeof folder, "%s/fuzz-pages-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (!mkdtemp(folder))
        abort();
    check(store_open(folder, true, &s.server.store, &s.e));
    for (int version = 1; version <= 3; version++)
        check(tiny_add(s.server.store, "m", (float)version, NULL, &s.e));
    atexit(end);
}

/* --- one request --- */

static struct str word(struct str *line) {
    size_t at;
    struct str found = *line;
    if (!str_find(*line, ' ', &at))
        at = line->n;
    found = str_sub(found, 0, at);
    *line = str_sub(*line, at < line->n ? at + 1 : at, line->n);
    return found;
}

static void fill(struct request *r, struct str line) {
    struct http_request *q = &s.x.request;
    size_t mark;
    q->method = word(&line);
    q->path = word(&line);
    if (line.n)
        q->headers[q->n_headers++] = (struct http_header){LIT("Content-Type"), line};
    if (str_find(q->path, '?', &mark)) {
        q->query = str_sub(q->path, mark + 1, q->path.n);
        q->path = str_sub(q->path, 0, mark);
    }
    r->admin = true;
    r->server->host = r->host;
}

static enum code answer(struct request *r) {
    struct ask *a = &r->ask;
    if (r->route->page)
        return r->route->page(r, &s.e);
    if (!r->protocol->decode)
        return OK;
    TRY(r->protocol->decode(r, &s.e));
    TRY(media_inputs(r, &s.e));
    if (r->talk || !r->protocol->encode)
        return OK;
    for (size_t i = 0; i < a->n_inputs; i++)
        if (tensor_bytes(&a->inputs[i].tensor) > 1 << 20)
            return OK;
    a->outputs = a->inputs; /* the answer repeats what was asked */
    a->n_outputs = a->n_inputs;
    return r->protocol->encode(r, &s.e);
}

static void route(struct request *r) {
    struct router_match m;
    struct grpc g = {.type = LIT("application/grpc")};
    router_find(&s.server.router, s.x.request.method, s.x.request.path, &m);
    if (!m.route || !m.method_ok)
        return;
    r->protocol = m.protocol;
    r->route = m.route;
    r->ask.model = r->model = m.model;
    r->version = m.version;
    r->label = m.label;
    r->grpc = m.route->flags & ROUTE_GRPC ? &g : NULL;
    r->parent = m.route->flags & ROUTE_BIDI ? &stream : NULL;
    if (answer(r) != OK && r->grpc)
        grpc_fail(r, &s.e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const uint8_t *end_of_line = size ? memchr(data, '\n', size) : NULL;
    if (!end_of_line)
        return 0;
    if (!s.models[0])
        begin();
    size_t line = (size_t)(end_of_line - data), n = size - line - 1;
    uint8_t *body = malloc(n + 1); /* a block of its own: reading far past it is seen */
    memcpy(body, end_of_line + 1, n);
    struct request *r = stand_ask(&s, body, n);
    fill(r, (struct str){(const char *)data, line});
    route(r);
    ask_end(&r->ask);
    arena_deinit(&s.x.arena);
    free(body);
    return 0;
}
