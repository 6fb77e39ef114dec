/* SPDX-License-Identifier: Apache-2.0 */
/* Triton's extensions of the Open Inference Protocol: model repository, configuration, statistics,
 * trace and log settings: docs/protocols/oip.md.
 *
 * Load and unload answer when they are done (Triton: unload before the drain ends). They run on the
 * host's loading thread; the loop goes on. */
#include "serve/protocol/protocol.h"

#include "base/base64.h"
#include "serve/answer.h"
#include "serve/protocol/arriving.h"
#include "serve/in.h"
#include "serve/protocol/datatype.h"
#include "serve/protocol/settings.h"

/* --- index --- */

static void put_entry(struct json_out *w, const struct live_info *v) {
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)v->version);
    json_put_object(w);
    json_put_member_str(w, "name", v->model);
    json_put_member_text(w, "version", text);
    json_put_member_text(w, "state", arriving_state(v->state));
    if (v->state == LIVE_FAILED)
        json_put_member_str(w, "reason", v->error);
    else if (v->state == LIVE_UNLOADED)
        json_put_member_text(w, "reason", "unloaded");
    json_put_object_end(w);
}

static enum code take_ready_member(void *ready, struct json *j, struct str key, struct err *e) {
    return str_is(key, "ready") ? json_bool(j, ready, e) : json_skip(j, NULL, e);
}

/* The body's members, if it has any. */
static enum code each_of_body(struct request *r, json_member_fn *take, void *context,
                              struct err *e) {
    struct json j;
    if (r->body.n == 0)
        return OK;
    json_init(&j, (struct str){(const char *)r->body.p, r->body.n}, r->arena);
    TRY(json_each_member(&j, take, context, e));
    return json_end(&j, e);
}

/* {"ready": true} keeps only what is READY. */
static enum code index_page(struct request *r, struct err *e) {
    struct live_info *all;
    struct answer_json j;
    size_t n;
    bool ready = false;
    TRY(each_of_body(r, take_ready_member, &ready, e));
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

struct bringing { /* what a body says, into `in` */
    struct request *r;
    struct arriving *in;
};

static enum code take_file(const struct bringing *b, struct json *j, struct str path,
                           struct err *e) {
    struct str text;
    TRY(json_string(j, &text, e));
    struct buf *bytes = answer_buf(b->r, text.n / 4 * 3 + 3, e);
    if (!bytes)
        return e->code;
    TRY(base64_take(text, bytes, e));
    return arriving_file(b->r, b->in, path, (struct span){(const uint8_t *)bytes->p, bytes->n}, e);
}

/* "config": "...", "file:1/model.onnx": "...", "unload_dependents": ... */
static enum code take_parameter(void *context, struct json *j, struct str key, struct err *e) {
    const struct bringing *b = context;
    if (str_is(key, "config"))
        return json_string(j, &b->in->config, e);
    return str_starts(key, "file:") ? take_file(b, j, key, e) : json_skip(j, NULL, e);
}

static enum code take_member(void *context, struct json *j, struct str key, struct err *e) {
    return str_is(key, "parameters") && json_peek(j) == JSON_OBJECT
               ? json_each_member(j, take_parameter, context, e)
               : json_skip(j, NULL, e);
}

static enum code take_body(struct request *r, struct arriving *in, struct err *e) {
    struct bringing b = {r, in};
    return each_of_body(r, take_member, &b, e);
}

static enum code load(struct request *r, struct err *e) {
    struct arriving *in = arriving_new(r, e);
    if (!in)
        return e->code;
    TRY(take_body(r, in, e));
    return arriving_load(r, in, e);
}

static enum code unload(struct request *r, struct err *e) {
    struct arriving ignored = {0};
    TRY(take_body(r, &ignored, e));
    arriving_unload(r);
    return OK;
}

static enum code no_repository(struct request *r, struct err *e) {
    (void)r;
    return fail(e, UNSUPPORTED, "'repository_name' specification is not supported");
}

/* --- configuration --- */

static void put_dims(struct json_out *w, const char *key, const struct shape *s, size_t batch) {
    json_put_key(w, key);
    json_put_array(w);
    for (int d = batch ? 1 : 0; d < s->rank; d++)
        json_put_i64(w, s->dims[d]);
    json_put_array_end(w);
}

static void put_tensors(struct json_out *w, const struct live *l, bool output, size_t batch) {
    const struct live_io *io;
    size_t n = output ? live_outputs(l, &io) : live_inputs(l, &io);
    json_put_key(w, output ? "output" : "input");
    json_put_array(w);
    for (size_t i = 0; i < n; i++) {
        const struct guise_tensor *g = live_guise_of(l, output, i);
        json_put_object(w);
        json_put_member_str(w, "name", io[i].name);
        json_put_member_text(w, "data_type", datatype_config(io[i].dtype));
        put_dims(w, "dims", &io[i].shape, batch);
        if (g) {
            json_put_key(w, "reshape");
            json_put_object(w);
            put_dims(w, "shape", &g->model, batch);
            json_put_object_end(w);
        }
        json_put_member_bool(w, "optional", !live_io_required(&io[i]));
        json_put_object_end(w);
    }
    json_put_array_end(w);
}

/* As the model's policy says, which is what a config.pbtxt became, and its guise. */
static void put_batching(struct json_out *w, const struct live_limits *limits,
                         const struct guise *g) {
    json_put_key(w, "dynamic_batching");
    json_put_object(w);
    json_put_key(w, "preferred_batch_size");
    json_put_array(w);
    for (size_t i = 0; g && i < g->n_preferred; i++)
        json_put_i64(w, g->preferred[i]);
    json_put_array_end(w);
    json_put_member_i64(w, "max_queue_delay_microseconds",
                        limits->wait_us > 0 ? limits->wait_us : 0);
    if (g && g->levels) {
        json_put_member_i64(w, "priority_levels", g->levels);
        json_put_member_i64(w, "default_priority_level", g->level);
    }
    if (limits->queue) {
        json_put_key(w, "default_queue_policy");
        json_put_object(w);
        json_put_member_i64(w, "max_queue_size", (int64_t)limits->queue);
        json_put_object_end(w);
    }
    json_put_object_end(w);
}

static void put_parameters(struct json_out *w, const struct guise *g) {
    json_put_key(w, "parameters");
    json_put_object(w);
    for (size_t i = 0; i < g->n_pairs; i++) {
        json_put_key_str(w, g->pairs[i].name);
        json_put_object(w);
        json_put_member_str(w, "string_value", g->pairs[i].value);
        json_put_object_end(w);
    }
    json_put_object_end(w);
}

static void put_group(struct json_out *w, const struct live_limits *limits) {
    json_put_key(w, "instance_group");
    json_put_array(w);
    json_put_object(w);
    json_put_member_text(w, "name", "cpu");
    json_put_member_text(w, "kind", "KIND_CPU");
    json_put_member_i64(w, "count", limits->instances ? (int64_t)limits->instances : 1);
    json_put_object_end(w);
    json_put_array_end(w);
}

static enum code config(struct request *r, struct err *e) {
    struct answer_json j;
    struct live_limits limits;
    TRY(request_route(r, e));
    const struct live *l = r->ask.live;
    const struct guise *g = live_guise(l);
    size_t batch = arriving_batch(r);
    live_limits(l, &limits);
    TRY(answer_json(r, &j, e));
    json_put_object(&j.w);
    json_put_member_str(&j.w, "name", live_model(l));
    json_put_member_text(&j.w, "platform", "");
    json_put_member_text(&j.w, "backend", "slipway");
    json_put_member_i64(&j.w, "max_batch_size", (int64_t)batch);
    put_tensors(&j.w, l, false, batch);
    put_tensors(&j.w, l, true, batch);
    if (batch)
        put_batching(&j.w, &limits, g);
    put_group(&j.w, &limits);
    if (g && g->n_pairs)
        put_parameters(&j.w, g);
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

static enum code take_text(void *context, struct json *j, struct err *e) {
    struct setting *s = context;
    if (s->n == SETTING_TEXTS)
        return json_fail(j, e, "more than %d values", SETTING_TEXTS);
    return json_string(j, &s->texts[s->n++], e);
}

/* One value: null, text, a number, a truth, or an array of texts. */
static enum code take_value(struct json *j, struct setting *s, struct err *e) {
    s->n = 0;
    if (json_peek(j) == JSON_NULL)
        return json_skip(j, NULL, e);
    if (json_peek(j) == JSON_ARRAY)
        return json_each_item(j, take_text, s, e);
    s->n = 1;
    return json_peek(j) == JSON_STRING ? json_string(j, &s->texts[0], e)
                                       : json_skip(j, &s->texts[0], e);
}

struct settings {
    void *into;
    enum code (*take)(void *into, const struct setting *s, struct err *e);
    bool any;
};

static enum code take_setting(void *context, struct json *j, struct str key, struct err *e) {
    struct settings *all = context;
    struct setting s = {.key = key};
    TRY(take_value(j, &s, e));
    all->any = true;
    return all->take(all->into, &s, e);
}

/* Every setting of the body through `take`; *any: there were some. */
static enum code take_settings(struct request *r, void *into,
                               enum code (*take)(void *, const struct setting *, struct err *),
                               bool *any, struct err *e) {
    struct settings all = {into, take, false};
    *any = false;
    if (!str_is(r->x->request.method, "POST"))
        return OK;
    TRY(each_of_body(r, take_setting, &all, e));
    *any = all.any;
    return *any ? request_control(r, e) : OK;
}

static enum code take_trace(void *into, const struct setting *s, struct err *e) {
    return settings_trace(into, s, e);
}

static enum code trace(struct request *r, struct err *e) {
    struct setting_numbers numbers;
    struct answer_json j;
    struct probe p;
    bool any;
    if (r->model.n)
        TRY(request_route(r, e));
    probe_of(&r->server->probes, r->model, &p);
    TRY(take_settings(r, &p, take_trace, &any, e));
    if (any)
        TRY(probe_put(&r->server->probes, r->model, &p, e));
    settings_numbers(&p, &numbers);
    TRY(answer_json(r, &j, e));
    json_put_object(&j.w);
    json_put_key(&j.w, "trace_level");
    json_put_array(&j.w);
    json_put_text(&j.w, p.on ? "TIMESTAMPS" : "OFF");
    json_put_array_end(&j.w);
    json_put_member_text(&j.w, "trace_rate", numbers.rate);
    json_put_member_text(&j.w, "trace_count", numbers.count);
    json_put_member_text(&j.w, "log_frequency", "0");
    json_put_member_text(&j.w, "trace_file", "");
    json_put_member_text(&j.w, "trace_mode", "triton");
    json_put_object_end(&j.w);
    return answer_json_end(r, &j, e);
}

static enum code take_log(void *into, const struct setting *s, struct err *e) {
    return settings_log(into, s, e);
}

static enum code logging(struct request *r, struct err *e) {
    struct answer_json j;
    struct log_choice c;
    bool any;
    settings_log_now(&c);
    TRY(take_settings(r, &c, take_log, &any, e));
    if (any)
        settings_log_do(&c);
    TRY(answer_json(r, &j, e));
    json_put_object(&j.w);
    json_put_member_text(&j.w, "log_file", "");
    json_put_member_bool(&j.w, "log_info", c.info);
    json_put_member_bool(&j.w, "log_warning", c.warning);
    json_put_member_bool(&j.w, "log_error", c.error);
    json_put_member_i64(&j.w, "log_verbose_level", (int64_t)c.verbose);
    json_put_member_text(&j.w, "log_format", "default");
    json_put_object_end(&j.w);
    return answer_json_end(r, &j, e);
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
