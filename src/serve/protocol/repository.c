/* SPDX-License-Identifier: Apache-2.0 */
/* Triton's extensions of the Open Inference Protocol: model repository, configuration, statistics,
 * trace and log settings: docs/protocols/oip.md.
 *
 * 1. Load and unload answer when they are done (Triton: unload before the drain ends). They run on
 * the host's loading thread; the loop goes on.
 * 2. A load may bring a file, which becomes the model's next version, and a configuration, of which
 * max_batch_size counts; both stay, as everything in the store does.
 * 3. Trace and log settings can be read; setting them to what they are is accepted, a change is
 * refused. */
#include "serve/protocol/protocol.h"

#include "base/base64.h"
#include "host/policy.h"
#include "serve/answer.h"
#include "serve/arrival.h"
#include "serve/in.h"
#include "serve/protocol/datatype.h"

/* --- index --- */

static const char *state_text(enum live_state s) {
    switch (s) {
    case LIVE_READY: return "READY";
    case LIVE_LOADING: return "LOADING";
    case LIVE_DRAINING: return "UNLOADING";
    case LIVE_UNLOADED:
    case LIVE_FAILED: return "UNAVAILABLE";
    }
    return "UNAVAILABLE";
}

static void put_entry(struct json_out *w, const struct live_info *v) {
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)v->version);
    json_put_object(w);
    json_put_member_str(w, "name", v->model);
    json_put_member_text(w, "version", text);
    json_put_member_text(w, "state", state_text(v->state));
    if (v->state == LIVE_FAILED)
        json_put_member_str(w, "reason", v->error);
    else if (v->state == LIVE_UNLOADED)
        json_put_member_text(w, "reason", "unloaded");
    json_put_object_end(w);
}

/* {"ready": true} keeps only what is READY. */
static enum code take_ready(struct request *r, bool *ready, struct err *e) {
    struct json j;
    struct str key;
    bool more;
    *ready = false;
    if (r->body.n == 0)
        return OK;
    json_init(&j, (struct str){(const char *)r->body.p, r->body.n}, r->arena);
    TRY(json_enter_object(&j, e));
    for (;;) {
        TRY(json_next_key(&j, &key, &more, e));
        if (!more)
            return json_end(&j, e);
        if (str_is(key, "ready"))
            TRY(json_bool(&j, ready, e));
        else
            TRY(json_skip(&j, NULL, e));
    }
}

static enum code index_page(struct request *r, struct err *e) {
    struct live_info *all;
    struct answer_json j;
    size_t n;
    bool ready;
    TRY(take_ready(r, &ready, e));
    TRY(host_list(r->host, r->arena, &all, &n, e));
    TRY(answer_json(r, &j, e));
    json_put_array(&j.w);
    for (size_t i = 0; i < n; i++)
        if (!ready || all[i].state == LIVE_READY)
            put_entry(&j.w, &all[i]);
    json_put_array_end(&j.w);
    return answer_json_end(r, &j, e);
}

/* --- load and unload --- */

struct arriving {      /* a load that brings something */
    struct str config; /* JSON text */
    struct arrival arrival;
    bool file;
    int64_t batch; /* the config's max_batch_size; -1: not given */
};

static enum code take_file(struct request *r, struct json *j, struct str path, struct arriving *in,
                           struct err *e) {
    struct str text;
    if (in->file)
        return json_fail(j, e,
                         "one file is taken: a model with files beside it is added with "
                         "`slipway add`");
    TRY(json_string(j, &text, e));
    struct buf *b = answer_buf(r, text.n / 4 * 3 + 3, e);
    if (!b)
        return e->code;
    TRY(base64_take(text, b, e));
    in->file = true;
    in->arrival.bytes = (struct span){(const uint8_t *)b->p, b->n};
    in->arrival.origin = str_sub(path, 5, path.n); /* behind "file:" */
    in->arrival.model = r->model;
    return OK;
}

/* parameters: {"config": "...", "file:1/model.onnx": "...", "unload_dependents": ...} */
static enum code take_parameters(struct request *r, struct json *j, struct arriving *in,
                                 struct err *e) {
    struct str key;
    bool more;
    TRY(json_enter_object(j, e));
    for (;;) {
        TRY(json_next_key(j, &key, &more, e));
        if (!more)
            return OK;
        if (str_is(key, "config"))
            TRY(json_string(j, &in->config, e));
        else if (str_starts(key, "file:"))
            TRY(take_file(r, j, key, in, e));
        else
            TRY(json_skip(j, NULL, e));
    }
}

static enum code take_body(struct request *r, struct arriving *in, struct err *e) {
    struct json j;
    struct str key;
    bool more;
    if (r->body.n == 0)
        return OK;
    json_init(&j, (struct str){(const char *)r->body.p, r->body.n}, r->arena);
    TRY(json_enter_object(&j, e));
    for (;;) {
        TRY(json_next_key(&j, &key, &more, e));
        if (!more)
            return json_end(&j, e);
        if (str_is(key, "parameters") && json_peek(&j) == JSON_OBJECT)
            TRY(take_parameters(r, &j, in, e));
        else
            TRY(json_skip(&j, NULL, e));
    }
}

/* Of a config's members what decides here: name (must fit) and max_batch_size. The rest says what
 * the model's file says itself, or how to spread it over devices. */
static enum code take_config(struct request *r, struct arriving *in, struct err *e) {
    struct json j;
    struct str key, name;
    bool more;
    in->batch = -1;
    if (in->config.n == 0)
        return OK;
    json_init(&j, in->config, r->arena);
    TRY(json_enter_object(&j, e));
    for (;;) {
        TRY(json_next_key(&j, &key, &more, e));
        if (!more)
            return json_end(&j, e);
        if (str_is(key, "name")) {
            TRY(json_string(&j, &name, e));
            if (name.n && !str_eq(name, r->model))
                return json_fail(&j, e, "the config is of model '%.*s', not '%.*s'", STR(name),
                                 STR(r->model));
        } else if (str_is(key, "max_batch_size")) {
            TRY(json_i64(&j, &in->batch, e));
            if (in->batch < 0)
                return json_fail(&j, e, "max_batch_size may not be negative");
        } else {
            TRY(json_skip(&j, NULL, e));
        }
    }
}

/* On the loading thread. */
static void changed(void *ctx, enum code code, const struct err *e) {
    struct request *r = ctx;
    if (code == ERR_NOT_FOUND || code == ERR_UNAVAILABLE) {
        r->err = *e;
        r->err.code = code;
    } else if (code != OK) { /* Triton answers a load that failed with 400 */
        (void)fail(&r->err, INVALID, "load failed for model '%.*s': %.400s", STR(r->model),
                   e->text);
    } else {
        answer_type(r, 200, ANSWER_JSON);
    }
    request_resume(r);
}

/* max_batch_size becomes the model's policy (host/policy.h), which other members keep. */
static enum code keep_batch(struct request *r, int64_t batch, struct err *e) {
    struct store_setting *all;
    struct policy p;
    struct buf text;
    size_t n;
    policy_default(&p);
    TRY(store_settings(r->server->store, r->model, r->arena, &all, &n, e));
    for (size_t i = 0; i < n; i++)
        if (str_eq(all[i].name, POLICY_SETTING))
            TRY(policy_parse(all[i].value, &p, e));
    p.batch = batch ? (uint64_t)batch : 1; /* 0: the model does not batch */
    buf_init(&text, 4096);
    policy_write(&p, &text);
    enum code code = buf_check(&text, "policy", e);
    if (code == OK)
        code = store_setting_put(r->server->store, r->model, POLICY_SETTING, buf_str(&text), e);
    buf_deinit(&text);
    return code;
}

/* On a side thread: what the load brings, then the load. */
static void load_aside(struct side_job *job) {
    struct request *r = (struct request *)(void *)((char *)job - offsetof(struct request, side));
    struct arriving *in = r->notes;
    struct err e;
    enum code code = OK;
    if (in->file)
        code = arrival_add(r->server->store, &in->arrival, r->arena, &e);
    if (code == OK && in->batch >= 0)
        code = keep_batch(r, in->batch, &e);
    if (code == OK)
        host_load(r->host, r->model, in->arrival.version, changed, r);
    else
        changed(r, code, &e);
}

static enum code load(struct request *r, struct err *e) {
    struct arriving *in = ARENA_NEW(r->arena, struct arriving);
    if (!in)
        return arena_fail(r->arena, sizeof *in, "request", e);
    r->notes = in;
    TRY(take_body(r, in, e));
    TRY(take_config(r, in, e));
    request_wait(r);
    if (in->batch < 0 && !in->file) {
        host_load(r->host, r->model, 0, changed, r);
        return OK;
    }
    r->side.fn = load_aside;
    side_post(r->server->side, &r->side);
    return OK;
}

static enum code unload(struct request *r, struct err *e) {
    struct arriving ignored = {0};
    TRY(take_body(r, &ignored, e));
    request_wait(r);
    host_unload(r->host, r->model, changed, r);
    return OK;
}

static enum code no_repository(struct request *r, struct err *e) {
    (void)r;
    return fail(e, UNSUPPORTED, "'repository_name' specification is not supported");
}

/* --- configuration --- */

static void put_tensors(struct json_out *w, const char *key, const struct live_io *io, size_t n,
                        bool batches) {
    json_put_key(w, key);
    json_put_array(w);
    for (size_t i = 0; i < n; i++) {
        json_put_object(w);
        json_put_member_str(w, "name", io[i].name);
        json_put_member_text(w, "data_type", datatype_config(io[i].dtype));
        json_put_key(w, "dims");
        json_put_array(w);
        for (int d = batches ? 1 : 0; d < io[i].shape.rank; d++)
            json_put_i64(w, io[i].shape.dims[d]);
        json_put_array_end(w);
        json_put_member_bool(w, "optional", io[i].optional);
        json_put_object_end(w);
    }
    json_put_array_end(w);
}

/* Triton's dims leave the batch out exactly when max_batch_size is above 0. */
static enum code config(struct request *r, struct err *e) {
    struct answer_json j;
    const struct live_io *io;
    TRY(request_route(r, e));
    const struct live *l = r->ask.live;
    bool batches = live_batches(l);
    size_t n = live_inputs(l, &io);
    TRY(answer_json(r, &j, e));
    json_put_object(&j.w);
    json_put_member_str(&j.w, "name", live_model(l));
    json_put_member_text(&j.w, "platform", "");
    json_put_member_text(&j.w, "backend", "slipway");
    json_put_member_i64(&j.w, "max_batch_size", batches ? (int64_t)r->options->batch : 0);
    put_tensors(&j.w, "input", io, n, batches);
    n = live_outputs(l, &io);
    put_tensors(&j.w, "output", io, n, batches);
    if (batches) {
        json_put_key(&j.w, "dynamic_batching");
        json_put_raw(&j.w, LIT("{\"preferred_batch_size\":[],\"max_queue_delay_microseconds\":0}"));
    }
    json_put_key(&j.w, "instance_group");
    json_put_raw(&j.w, LIT("[{\"name\":\"cpu\",\"kind\":\"KIND_CPU\",\"count\":1}]"));
    json_put_object_end(&j.w);
    return answer_json_end(r, &j, e);
}

/* --- statistics --- */

static void put_duration(struct json_out *w, const char *key, uint64_t count, uint64_t ns) {
    json_put_key(w, key);
    json_put_object(w);
    json_put_member_i64(w, "count", (int64_t)count);
    json_put_member_i64(w, "ns", (int64_t)ns);
    json_put_object_end(w);
}

static void put_stats(struct json_out *w, const struct live *l) {
    struct live_stats s;
    char version[24];
    live_stats(l, &s);
    snprintf(version, sizeof version, "%llu", (unsigned long long)live_version(l));
    json_put_object(w);
    json_put_member_str(w, "name", live_model(l));
    json_put_member_text(w, "version", version);
    json_put_member_i64(w, "last_inference", (int64_t)(s.last_us / 1000));
    json_put_member_i64(w, "inference_count", (int64_t)s.rows);
    json_put_member_i64(w, "execution_count", (int64_t)s.runs);
    json_put_key(w, "inference_stats");
    json_put_object(w);
    put_duration(w, "success", s.success, s.success_ns);
    put_duration(w, "fail", s.failed + s.rejected + s.cancelled, 0);
    put_duration(w, "queue", s.success, s.queue_ns);
    put_duration(w, "compute_input", s.success, 0);
    put_duration(w, "compute_infer", s.success, s.compute_ns);
    put_duration(w, "compute_output", s.success, 0);
    put_duration(w, "cache_hit", 0, 0);
    put_duration(w, "cache_miss", 0, 0);
    json_put_object_end(w);
    json_put_key(w, "response_stats");
    json_put_raw(w, LIT("{}"));
    json_put_key(w, "batch_stats");
    json_put_raw(w, LIT("[]"));
    json_put_key(w, "memory_usage");
    json_put_array(w);
    json_put_object(w);
    json_put_member_text(w, "type", "CPU");
    json_put_member_i64(w, "id", 0);
    json_put_member_i64(w, "byte_size", (int64_t)(s.mapped_bytes + s.packed_bytes));
    json_put_object_end(w);
    json_put_array_end(w);
    json_put_object_end(w);
}

static enum code stats(struct request *r, struct err *e) {
    struct answer_json j;
    struct live_info *all;
    size_t n;
    if (r->model.n)
        TRY(request_route(r, e));
    TRY(host_list(r->host, r->arena, &all, &n, e));
    TRY(answer_json(r, &j, e));
    json_put_object(&j.w);
    json_put_key(&j.w, "model_stats");
    json_put_array(&j.w);
    for (size_t i = 0; i < n; i++)
        if (all[i].live && (!r->model.n || (str_eq(all[i].model, r->model) &&
                                            (!r->ask.version || all[i].version == r->ask.version))))
            put_stats(&j.w, all[i].live);
    json_put_array_end(&j.w);
    json_put_object_end(&j.w);
    return answer_json_end(r, &j, e);
}

/* --- settings --- */

#define TRACE_SETTINGS                                                                             \
    "{\"trace_level\":[\"OFF\"],\"trace_rate\":\"1000\",\"trace_count\":\"-1\",\"log_frequency\":" \
    "\"0\","                                                                                       \
    "\"trace_file\":\"\",\"trace_mode\":\"triton\"}"
#define LOG_SETTINGS                                                                               \
    "{\"log_file\":\"\",\"log_info\":true,\"log_warning\":true,\"log_error\":true,\"log_verbose_"  \
    "level\":0,"                                                                                   \
    "\"log_format\":\"default\"}"

/* The value of `key` in one of the texts above, as written there. */
static bool setting_of(struct str settings, struct str key, struct str *out) {
    struct json j;
    struct str name;
    struct err ignored;
    bool more;
    json_init(&j, settings, NULL);
    if (json_enter_object(&j, &ignored) != OK)
        return false;
    while (json_next_key(&j, &name, &more, &ignored) == OK && more) {
        if (json_skip(&j, out, &ignored) != OK)
            return false;
        if (str_eq(name, key))
            return true;
    }
    return false;
}

static enum code check_settings(struct request *r, struct str settings, struct err *e) {
    struct json j;
    struct str key, value, now;
    bool more;
    json_init(&j, (struct str){(const char *)r->body.p, r->body.n}, r->arena);
    TRY(json_enter_object(&j, e));
    for (;;) {
        TRY(json_next_key(&j, &key, &more, e));
        if (!more)
            return json_end(&j, e);
        TRY(json_skip(&j, &value, e));
        if (!setting_of(settings, key, &now))
            return json_fail(&j, e, "unknown setting '%.*s'", STR(key));
        if (!str_eq(now, value) && !str_is(value, "null")) /* null: back to the default */
            return fail(e, UNSUPPORTED, "setting '%.*s' cannot be changed here: it is %.*s",
                        STR(key), STR(now));
    }
}

static enum code settings(struct request *r, struct str text, struct err *e) {
    if (str_is(r->x->request.method, "POST") && r->body.n)
        TRY(check_settings(r, text, e));
    answer_type(r, 200, ANSWER_JSON);
    answer_span(r, (struct span){(const uint8_t *)text.p, text.n});
    return OK;
}

static enum code trace(struct request *r, struct err *e) {
    if (r->model.n)
        TRY(request_route(r, e));
    return settings(r, LIT(TRACE_SETTINGS), e);
}

static enum code logging(struct request *r, struct err *e) {
    return settings(r, LIT(LOG_SETTINGS), e);
}

static const struct route routes[] = {
    {ROUTE_GET | ROUTE_POST, "/v2/repository/index", 0, index_page},
    {ROUTE_POST, "/v2/repository/models/{model}/load", ROUTE_CONTROL | ROUTE_BODY, load},
    {ROUTE_POST, "/v2/repository/models/{model}/unload", ROUTE_CONTROL, unload},
    {ROUTE_POST, "/v2/repository/{label}/index", 0, no_repository},
    {ROUTE_POST, "/v2/repository/{label}/models/{model}/load", 0, no_repository},
    {ROUTE_POST, "/v2/repository/{label}/models/{model}/unload", 0, no_repository},
    {ROUTE_GET, "/v2/models/{model}/config", 0, config},
    {ROUTE_GET, "/v2/models/{model}/versions/{version}/config", 0, config},
    {ROUTE_GET, "/v2/models/stats", 0, stats},
    {ROUTE_GET, "/v2/models/{model}/stats", 0, stats},
    {ROUTE_GET, "/v2/models/{model}/versions/{version}/stats", 0, stats},
    {ROUTE_GET | ROUTE_POST, "/v2/trace/setting", 0, trace},
    {ROUTE_GET | ROUTE_POST, "/v2/models/{model}/trace/setting", 0, trace},
    {ROUTE_GET | ROUTE_POST, "/v2/logging", 0, logging},
};

const struct protocol protocol_repository = {
    .name = "repository",
    .routes = routes,
    .n_routes = sizeof routes / sizeof *routes,
};
