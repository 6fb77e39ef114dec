/* SPDX-License-Identifier: Apache-2.0 */
/* slipway serve: every API on one port, until SIGTERM or Ctrl-C. */
#include "base/cpu.h"
#include "base/log.h"
#include "cli/command.h"
#include "base/file.h"
#include "job/follow.h"
#include "base/cores.h"
#include "serve/server.h"

#include <string.h>
#include <unistd.h>

struct options {
    const char *listen, *log, *tls_cert, *tls_key, *tls_client_ca, *as, *key_file, *admin, *cors,
        *predict_path, *health_path, *port, *model_store, *model_config, *model_repository,
        *batching, *fetch_hosts, *precision, *draft, *kv_type, *model_name, *model_base,
        *allow_path, *control_mode;
    int64_t threads, loops, queue, batch, timeout_ms, slow_ms, drain_ms, lame_ms, poll_ms,
        connections, requests, pixels, context, sequences, speculate, config_wait, folders_wait,
        retries, repository_wait;
    uint64_t body, header, run_memory, memory, kv_memory, fetch;
    bool access_log, explicit_only, control, admin_tls, plain;
};

static enum code at_least(const char *flag, int64_t v, struct err *e) {
    return v < 0 ? fail(e, USAGE, "--%s: %lld is negative", flag, (long long)v) : OK;
}

static enum code check(const struct options *o, struct err *e) {
    if ((o->tls_cert == NULL) != (o->tls_key == NULL) ||
        ((o->tls_client_ca || o->admin_tls) && !o->tls_cert))
        return fail(e, USAGE,
                    "--tls-cert and --tls-key belong together; --tls-client-ca and --admin-tls "
                    "need both");
    TRY(at_least("threads", o->threads, e));
    TRY(at_least("loops", o->loops, e));
    TRY(at_least("queue", o->queue, e));
    TRY(at_least("batch", o->batch, e));
    TRY(at_least("timeout-ms", o->timeout_ms, e));
    TRY(at_least("slow-ms", o->slow_ms, e));
    TRY(at_least("drain-ms", o->drain_ms, e));
    TRY(at_least("connections", o->connections, e));
    TRY(at_least("max-requests", o->requests, e));
    TRY(at_least("max-pixels", o->pixels, e));
    TRY(at_least("context", o->context, e));
    TRY(at_least("sequences", o->sequences, e));
    TRY(at_least("speculate", o->speculate, e));
    TRY(at_least("model-config-file-poll-wait-seconds", o->config_wait, e));
    TRY(at_least("max-num-load-retries", o->retries, e));
    TRY(at_least("repository-poll-secs", o->repository_wait, e));
    return OK;
}

static enum code log_level(const char *text, enum log_level *out, struct err *e) {
    static const char *const names[] = {"error", "warn", "info", "debug"};
    *out = LOG_INFO;
    if (!text)
        return OK;
    for (int i = 0; i < 4; i++)
        if (strcmp(names[i], text) == 0) {
            *out = (enum log_level)i;
            return OK;
        }
    return fail(e, USAGE, "--log: '%s' is not one of error, warn, info, debug", text);
}

static void on_ready(void *ctx, const char *address, const char *admin) {
    const struct cli *c = ctx;
    const struct options *o = c->options;
    bool path = strncmp(address, "unix:", 5) == 0;
    printf("listening on %s%s\n", path ? "" : o->tls_cert ? "https://" : "http://", address);
    if (*admin)
        printf("admin API on %s://%s\n", o->admin_tls ? "https" : "http", admin);
    fflush(stdout);
    if (!c->quiet && isatty(STDOUT_FILENO))
        fprintf(stderr, "  try it: http://%s/docs   metrics: http://%s/metrics   Ctrl-C stops\n",
                address, address);
}

/* The ports that clients of other servers expect: HTTP and gRPC are both on each. */
static const struct {
    const char *name;
    int ports[6]; /* ends with 0 */
} takeovers[] = {
    {"tfserving", {8500, 8501}},
    {"torchserve", {8080, 8081, 8082, 7070, 7071}},
    {"triton", {8000, 8001, 8002}},
    {"kserve", {8080, 8081}},
    {"mlflow", {5000}},
};

static enum code add_port(struct server_options *s, int port, struct arena *a, struct err *e) {
    const char *colon = strrchr(s->listen, ':');
    bool unix_socket = strncmp(s->listen, "unix:", 5) == 0;
    int n = unix_socket ? 0 : (int)(colon - s->listen);
    const char *address = unix_socket ? arena_printf(a, "127.0.0.1:%d", port)
                                      : arena_printf(a, "%.*s:%d", n, s->listen, port);
    if (!address)
        return fail(e, NOMEM, "out of memory");
    if (strcmp(address, s->listen) == 0)
        return OK;
    for (size_t i = 0; i < s->n_also; i++)
        if (strcmp(s->also[i], address) == 0)
            return OK;
    if (s->n_also == SERVER_ALSO)
        return fail(e, USAGE, "--as: more than %d further ports", SERVER_ALSO);
    s->also[s->n_also++] = address;
    return OK;
}

/* --as tfserving,triton */
static enum code take_over(struct server_options *s, const char *names, struct arena *a,
                           struct err *e) {
    for (struct str rest = str_of(names ? names : ""); rest.n;) {
        size_t end = rest.n, at = 0;
        str_find(rest, ',', &end);
        struct str name = str_sub(rest, 0, end);
        rest = str_sub(rest, end + 1, rest.n);
        while (at < sizeof takeovers / sizeof *takeovers && !str_is(name, takeovers[at].name))
            at++;
        if (at == sizeof takeovers / sizeof *takeovers)
            return fail(e, USAGE,
                        "--as: '%.*s' is none of tfserving, torchserve, triton, kserve, mlflow",
                        STR(name));
        for (const int *port = takeovers[at].ports; *port; port++)
            TRY(add_port(s, *port, a, e));
    }
    return OK;
}

static void fill(struct server_options *s, const struct options *o, struct cli *c) {
    server_options_default(s);
    s->listen = o->listen ? o->listen : "127.0.0.1:8080";
    if (!o->listen && o->port) { /* Vertex AI: the container is told its port, and is alone there */
        char *address = arena_printf(&c->arena, "0.0.0.0:%s", o->port);
        s->listen = address ? address : s->listen;
    }
    s->predict_path = o->predict_path;
    s->health_path = o->health_path;
    s->model_store = o->model_store;
    s->fetch_hosts = o->fetch_hosts;
    s->fetch_bytes = o->fetch;
    s->loops = (int)o->loops;
    if (o->body)
        s->http.body_bytes = o->body;
    if (o->header)
        s->http.header_bytes = o->header;
    if (o->connections)
        s->http.connections = (unsigned)o->connections;
    s->requests = (size_t)o->requests;
    s->image_pixels = (size_t)o->pixels;
    if (o->timeout_ms)
        s->timeout_ms = (uint64_t)o->timeout_ms;
    if (o->drain_ms)
        s->drain_ms = (uint64_t)o->drain_ms;
    s->lame_ms = (uint64_t)o->lame_ms;
    s->slow_ms = (uint64_t)o->slow_ms;
    s->access_log = o->access_log;
    s->key_file = o->key_file;
    s->admin = o->admin;
    s->cors = o->cors;
    s->tls_cert = o->tls_cert;
    s->tls_key = o->tls_key;
    s->tls_client_ca = o->tls_client_ca;
    s->admin_tls = o->admin_tls;
    s->allow_control = o->control || o->explicit_only;
    s->on_ready = on_ready;
    s->on_ready_ctx = c;
}

/* What another server's configuration says, beside the models named. */
struct plan {
    struct roster roster;
    struct str *models; /* (n) all; the first n_args are the command line's */
    size_t n;
};

/* --allow-path DIR,DIR */
static enum code take_roots(const char *text, struct arena *a, struct str **out, size_t *n,
                            struct err *e) {
    struct str rest = str_of(text ? text : "");
    *out = ARENA_ARRAY(a, rest.n / 2 + 1, struct str);
    if (!*out)
        return fail(e, NOMEM, "out of memory");
    for (*n = 0; rest.n;) {
        size_t end = rest.n;
        str_find(rest, ',', &end);
        struct str root = str_sub(rest, 0, end);
        rest = str_sub(rest, end + 1, rest.n);
        if (root.n)
            (*out)[(*n)++] = root;
    }
    return OK;
}

/* Seconds between looks; 0: never. Triton's servers look again only when they are told to. */
static int64_t folders_wait(const struct options *o) {
    bool repository = o->model_repository && !o->model_config;
    int64_t wait = repository ? o->repository_wait : o->folders_wait;
    return wait > 0 ? wait : 0;
}

static enum code follow(struct cli *c, struct host *h, const struct options *o,
                        const struct plan *p, struct follow **out, struct err *e) {
    struct str *roots;
    size_t n_roots;
    TRY(take_roots(o->allow_path, &c->arena, &roots, &n_roots, e));
    const struct follow_options f = {
        .roots = roots,
        .n_roots = n_roots,
        .store = c->store,
        .host = h,
        .config = o->model_config,
        .repository = o->model_repository,
        .now = p->roster.n ? &p->roster : NULL,
        .also = p->models,
        .n_also = (size_t)c->n_args,
        .config_ms = (uint64_t)o->config_wait * 1000,
        .folders_ms = (uint64_t)folders_wait(o) * 1000,
        .retries = (int)o->retries,
    };
    return follow_open(&f, out, e);
}

/* Takes h. */
static enum code serve(struct cli *c, struct host *h, const struct options *o, const struct plan *p,
                       struct err *e) {
    struct server_options s;
    struct server *server = NULL;
    struct follow *f = NULL;
    fill(&s, o, c);
    enum code code = take_over(&s, o->as, &c->arena, e);
    if (code == OK)
        code = follow(c, h, o, p, &f, e);
    s.follow = f;
    if (code == OK)
        code = server_open(h, c->store, &s, &server, e);
    if (code == OK) {
        code = server_run(server, e);
        host_drain(h);
    }
    follow_close(f);
    host_close(h);
    server_close(server);
    return code;
}

static enum code read_text(struct cli *c, const char *path, struct str *out, struct err *e) {
    enum { CAP = 16 << 20 };
    struct span bytes;
    TRY(file_read(path, CAP, &c->arena, &bytes, e));
    *out = (struct str){(const char *)bytes.p, bytes.n};
    return OK;
}

static enum code read_roster(struct cli *c, const struct options *o, struct roster *r,
                             struct err *e) {
    struct str text;
    if (o->model_config) {
        TRY(read_text(c, o->model_config, &text, e));
        enum code code = roster_read(text, &c->arena, r, e);
        return code == OK ? OK : err_prefix(e, "%s", o->model_config);
    }
    if (o->model_repository)
        return roster_repository(o->model_repository, &c->arena, r, e);
    if (!o->model_base)
        return OK;
    r->models = ARENA_NEW(&c->arena, struct roster_model);
    if (!r->models)
        return fail(e, NOMEM, "out of memory");
    r->models[0] = roster_model_default();
    r->models[0].name = str_of(o->model_name ? o->model_name : "default");
    r->models[0].base_path = str_of(o->model_base);
    return roster_add_model(r, e);
}

/* The models that another server's configuration lists, beside those named. */
static enum code take_roster(struct cli *c, const struct options *o, struct plan *p,
                             struct err *e) {
    struct str *refs = NULL;
    size_t n_refs = 0;
    TRY(read_roster(c, o, &p->roster, e));
    if (p->roster.n)
        TRY(roster_apply(c->store, &p->roster, &c->arena, &refs, &n_refs, e));
    p->n = (size_t)c->n_args + n_refs;
    p->models = ARENA_ARRAY(&c->arena, p->n + 1, struct str);
    if (!p->models)
        return fail(e, NOMEM, "out of memory");
    for (int i = 0; i < c->n_args; i++)
        p->models[i] = str_of(c->args[i]);
    if (n_refs)
        memcpy(p->models + c->n_args, refs, n_refs * sizeof *refs);
    return OK;
}

/* Flags win over the file. */
static enum code take_batching(struct cli *c, struct options *o, struct roster_batching *b,
                               struct err *e) {
    struct str text;
    *b = (struct roster_batching){0};
    if (!o->batching)
        return OK;
    TRY(read_text(c, o->batching, &text, e));
    enum code code = roster_read_batching(text, &c->arena, b, e);
    if (code != OK)
        return err_prefix(e, "%s", o->batching);
    if (!o->batch)
        o->batch = (int64_t)b->batch;
    if (!o->queue && b->queue) {
        uint64_t asks;
        bool fits = !__builtin_mul_overflow(b->queue, b->batch ? b->batch : 32, &asks);
        o->queue = fits && asks < 1 << 16 ? (int64_t)asks : 1 << 16;
    }
    return OK;
}

/* --model-control-mode, Triton's: what is loaded, and when that is looked at again. */
static enum code take_mode(struct options *o, struct err *e) {
    enum { POLL_SECONDS = 15 };
    struct str mode = str_of(o->control_mode ? o->control_mode : "none");
    bool poll = str_is(mode, "poll");
    if (!poll && !str_is(mode, "none") && !str_is(mode, "explicit"))
        return fail(e, USAGE, "--model-control-mode: '%s' is not one of none, poll, explicit",
                    o->control_mode);
    if (poll && o->repository_wait == 0)
        o->repository_wait = POLL_SECONDS;
    if (str_is(mode, "explicit"))
        o->explicit_only = true;
    return OK;
}

/* Language models say themselves what keeps a draft from them; where there are none, nobody would.
 */
static void look_for_draft(struct cli *c, const char *name) {
    struct store_ref ref;
    struct store_info info;
    struct err e;
    enum code code = store_ref_parse(str_of(name), &ref, &e);
    if (code == OK)
        code = store_resolve(c->store, &ref, &c->arena, &info, &e);
    if (code != OK)
        log_event(
            LOG_WARN, "--draft names nothing that is there by now", 2,
            (struct log_field[]){LOG_S("draft", str_of(name)), LOG_S("error", str_of(e.text))});
}

/* For connections, and what else is open. */
static void make_room(const struct options *o) {
    enum { OTHER_FILES = 256 };
    struct server_options s;
    server_options_default(&s);
    uint64_t connections = o->connections ? (uint64_t)o->connections : s.http.connections;
    uint64_t room = file_room(connections + OTHER_FILES);
    if (room < connections && o->connections)
        log_text(LOG_WARN,
                 "--max-connections %llu: this process may open %llu files; raise its limit "
                 "(ulimit -Hn)",
                 (unsigned long long)connections, (unsigned long long)room);
}

static enum code run(struct cli *c, struct err *e) {
    struct options *o = c->options;
    if (o->folders_wait == 0)
        o->folders_wait = 1;
    if (o->retries == 0)
        o->retries = 5;
    enum log_level level;
    struct host *h;
    TRY(check(o, e));
    TRY(take_mode(o, e));
    TRY(log_level(o->log, &level, e));
    log_setup(level, isatty(STDERR_FILENO) ? LOG_HUMAN : LOG_JSON, STDERR_FILENO);
    struct plan p = {.n = 0};
    struct roster_batching batching;
    TRY(take_batching(c, o, &batching, e));
    TRY(take_roster(c, o, &p, e));
    enum precision_choice precision = CHOOSE_DEFAULT;
    if (o->precision && precision_parse(str_of(o->precision), &precision, e) != OK)
        return fail(e, USAGE, "--precision: '%s' is not one of f32, bf16, auto", o->precision);
    enum dtype kv_dtype;
    TRY(options_kv_type(o->kv_type, &kv_dtype, e));
    struct host_options options = {
        .precision = precision,
        .store = c->store,
        .threads = o->threads ? (int)o->threads : cpu_cores(),
        .queue = (size_t)o->queue,
        .batch = (size_t)o->batch,
        .batch_sizes = batching.sizes,
        .n_batch_sizes = batching.n_sizes,
        .pad_all = batching.pad,
        .run_bytes = o->run_memory,
        .memory_bytes = o->memory,
        .models = p.models,
        .n_models = p.n,
        .only_named = o->model_config || o->model_repository || o->model_base,
        .explicit_only = o->explicit_only,
        .poll_ms = (uint64_t)o->poll_ms,
        .language = {.context = (size_t)o->context,
                     .kv_bytes = o->kv_memory,
                     .kv_dtype = kv_dtype,
                     .sequences = (int)o->sequences,
                     .queue = (size_t)o->queue,
                     .speculate = (int)o->speculate,
                     .plain = o->plain},
        .draft = str_of(o->draft ? o->draft : ""),
    };
    if (o->draft)
        look_for_draft(c, o->draft);
    cores_setup(options.threads);
    make_room(o);
    TRY(host_open(&options, &h, e));
    return serve(c, h, o, &p, e);
}

#define AT(field) offsetof(struct options, field)
static const struct option options[] = {
    {"listen", 'l', OPTION_TEXT, AT(listen), "ADDR:PORT",
     "where to (127.0.0.1:8080); port 0 picks one", "SLIPWAY_LISTEN"},
    {"admin", 0, OPTION_TEXT, AT(admin), "ADDR:PORT",
     "where the admin API listens (127.0.0.1:8079); off: nowhere", "SLIPWAY_ADMIN"},
    {"threads", 't', OPTION_INT, AT(threads), "N", "cores for compute (all)", "SLIPWAY_THREADS"},
    {"loops", 0, OPTION_INT, AT(loops), "N", "event loops", NULL},
    {"queue", 0, OPTION_INT, AT(queue), "N",
     "requests that may wait per version (256); more get 429", NULL},
    {"batch", 0, OPTION_INT, AT(batch), "N", "most rows joined in one run (32); 1 never joins",
     NULL},
    {"timeout-ms", 0, OPTION_INT, AT(timeout_ms), "N",
     "of one request (30000); what a language model writes is limited by its tokens", NULL},
    {"max-body", 0, OPTION_SIZE, AT(body), "SIZE", "of one request (64M)", NULL},
    {"max-header", 0, OPTION_SIZE, AT(header), "SIZE", "of one request's head (16k)", NULL},
    {"max-connections", 0, OPTION_INT, AT(connections), "N", "open at one time (20000)", NULL},
    {"max-requests", 0, OPTION_INT, AT(requests), "N",
     "in flight at one time, half of them streams (8192)", NULL},
    {"max-pixels", 0, OPTION_INT, AT(pixels), "N", "of one image, decoded (33554432)", NULL},
    {"context", 0, OPTION_INT, AT(context), "N",
     "tokens of one request to a language model (the model's, 32768 at most)", NULL},
    {"kv-memory", 0, OPTION_SIZE, AT(kv_memory), "SIZE", "of a language model's KV cache (1G)",
     NULL},
    {"kv-type", 0, OPTION_TEXT, AT(kv_type), "TYPE", OPTIONS_KV_TYPE, NULL},
    {"sequences", 0, OPTION_INT, AT(sequences), "N", "answers decoded at one time (64)", NULL},
    {"speculate", 0, OPTION_INT, AT(speculate), "N",
     "tokens guessed from the prompt at a time (0: none); the text stays the same", NULL},
    {"draft", 0, OPTION_TEXT, AT(draft), "MODEL[@VERSION]",
     "a small model that guesses for larger ones of its vocabulary; the text stays the same", NULL},
    {"plain-sampling", 0, OPTION_FLAG, AT(plain), NULL,
     "a language model's own defaults (temperature, top_k, ...) do not count", NULL},
    {"memory", 0, OPTION_SIZE, AT(memory), "SIZE",
     "of all loaded models: the rest is loaded on demand, the least used goes", "SLIPWAY_MEMORY"},
    {"run-memory", 0, OPTION_SIZE, AT(run_memory), "SIZE", "of one run of a model (8G)", NULL},
    {"precision", 0, OPTION_TEXT, AT(precision), "P",
     "f32 (default), bf16, or auto: bf16 where `bench --compare` found it good enough; a model's "
     "policy goes first",
     NULL},
    {"explicit", 0, OPTION_FLAG, AT(explicit_only), NULL,
     "load models only when asked to over HTTP", NULL},
    {"allow-control", 0, OPTION_FLAG, AT(control), NULL, "let clients load and unload models",
     NULL},
    {"key-file", 0, OPTION_TEXT, AT(key_file), "FILE",
     "API keys, one a line, for everything (better: slipway key)", NULL},
    {"as", 0, OPTION_TEXT, AT(as), "SERVERS",
     "also on the ports of tfserving, torchserve, triton, kserve, mlflow", NULL},
    {"tls-cert", 0, OPTION_TEXT, AT(tls_cert), "FILE",
     "PEM certificate and its chain: HTTPS; read again when it changes", NULL},
    {"tls-key", 0, OPTION_TEXT, AT(tls_key), "FILE", "its key", NULL},
    {"tls-client-ca", 0, OPTION_TEXT, AT(tls_client_ca), "FILE",
     "clients must have a certificate of it", NULL},
    {"admin-tls", 0, OPTION_FLAG, AT(admin_tls), NULL, "the admin API by TLS, too", NULL},
    {"cors", 0, OPTION_TEXT, AT(cors), "ORIGINS",
     "origins browsers may ask from, with ',' between; * for all", NULL},
    {"port", 0, OPTION_TEXT, AT(port), "PORT", "on all addresses, where --listen is not given",
     "AIP_HTTP_PORT"},
    {"predict-path", 0, OPTION_TEXT, AT(predict_path), "PATH", "answered as /invocations is",
     "AIP_PREDICT_ROUTE"},
    {"health-path", 0, OPTION_TEXT, AT(health_path), "PATH", "answered as /ping is",
     "AIP_HEALTH_ROUTE"},
    {"model-store", 0, OPTION_TEXT, AT(model_store), "DIR",
     "files that clients may register, by TorchServe's calls", NULL},
    {"allow-fetch", 0, OPTION_TEXT, AT(fetch_hosts), "HOSTS",
     "hosts that models may be registered from, with ',' between; * for all", NULL},
    {"max-fetch", 0, OPTION_SIZE, AT(fetch), "SIZE", "of one model from there (2G)", NULL},
    {"model-config-file", 0, OPTION_TEXT, AT(model_config), "FILE",
     "models as TensorFlow Serving lists them", NULL},
    {"model-config-file-poll-wait-seconds", 0, OPTION_INT, AT(config_wait), "N",
     "how often that file is read again (0: at the start only)", NULL},
    {"model-name", 0, OPTION_TEXT, AT(model_name), "NAME", "of --model-base-path (default)", NULL},
    {"model-base-path", 0, OPTION_TEXT, AT(model_base), "DIR",
     "one model, its versions in numbered folders", NULL},
    {"allow-path", 0, OPTION_TEXT, AT(allow_path), "DIRS",
     "folders whose versions clients may have served, with ',' between", NULL},
    {"file-system-poll-wait-seconds", 0, OPTION_INT, AT(folders_wait), "N",
     "how often such folders are looked at for new versions (1; -1: at the start only)", NULL},
    {"max-num-load-retries", 0, OPTION_INT, AT(retries), "N",
     "tries of a new version that cannot be imported (5)", NULL},
    {"model-repository", 0, OPTION_TEXT, AT(model_repository), "DIR",
     "models as Triton lays them out", NULL},
    {"model-control-mode", 0, OPTION_TEXT, AT(control_mode), "MODE",
     "none; poll: look at the repository again; explicit: as --explicit", NULL},
    {"repository-poll-secs", 0, OPTION_INT, AT(repository_wait), "N",
     "how often the repository is looked at again (never; with poll: 15)", NULL},
    {"batching-parameters-file", 0, OPTION_TEXT, AT(batching), "FILE",
     "sizes of batches and queues, as for TensorFlow Serving", NULL},
    {"poll-ms", 0, OPTION_INT, AT(poll_ms), "N", "how often the store is looked at (500)", NULL},
    {"access-log", 0, OPTION_FLAG, AT(access_log), NULL,
     "one JSON line per request on standard error", NULL},
    {"slow-ms", 0, OPTION_INT, AT(slow_ms), "N", "log requests slower than this", NULL},
    {"lame-ms", 0, OPTION_INT, AT(lame_ms), "N", "after SIGTERM: unready but still accepting",
     NULL},
    {"drain-ms", 0, OPTION_INT, AT(drain_ms), "N",
     "after that, most time for what is in flight (30000)", NULL},
    {"log", 0, OPTION_TEXT, AT(log), "LEVEL", "error, warn, info or debug", "SLIPWAY_LOG"},
    {0},
};

const struct command command_serve = {
    .name = "serve",
    .synopsis = "[MODEL[@VERSION|@ALIAS]...]",
    .about = "Answer requests: TF Serving REST, Open Inference Protocol, plain /predict.",
    .help =
        "Without models, every model of the store: the version its alias `prod` names, else the "
        "newest.\n"
        "Versions added and aliases moved by other processes are followed without a restart.\n\n"
        "  slipway serve\n"
        "  slipway serve ocr@prod --listen 0.0.0.0:8501 --threads 4\n"
        "  curl localhost:8080/predict/ocr -H 'content-type: image/png' --data-binary @line.png",
    .flags = COMMAND_STORE_CREATE,
    .max_args = -1,
    .options_bytes = sizeof(struct options),
    .options = options,
    .run = run,
};
