/* SPDX-License-Identifier: Apache-2.0 */
/* Open Inference Protocol over gRPC: the server, health, what models take and give, Triton's
 * repository, configuration, statistics and settings (docs/protocols/oip_grpc.md). The same facts
 * as catalog.c and repository.c give over REST. */
#include "serve/protocol/protocol.h"

#include "base/pb.h"
#include "serve/answer.h"
#include "serve/protocol/arriving.h"
#include "serve/in.h"
#include "serve/protocol/datatype.h"
#include "serve/protocol/settings.h"

/* --- requests: {1 name, 2 version} and alike --- */

struct named {
    struct str first, second;
    bool flag; /* field 2, as a bool */
};

static enum code take_named(struct request *r, struct named *out, struct err *e) {
    struct pb_field f;
    struct pb p;
    bool more;
    *out = (struct named){0};
    pb_init(&p, r->body);
    for (;;) {
        TRY(pb_next(&p, &f, &more, e));
        if (!more)
            return OK;
        if (f.number == 1 && f.wire == PB_LEN)
            TRY(pb_str(&f, &out->first, e));
        else if (f.number == 2 && f.wire == PB_LEN)
            TRY(pb_str(&f, &out->second, e));
        else if (f.number == 2)
            out->flag = f.value != 0;
    }
}

/* {1 name, 2 version} as r->model, r->ask. */
static enum code take_model(struct request *r, struct err *e) {
    struct named n;
    TRY(take_named(r, &n, e));
    r->model = r->ask.model = n.first;
    TRY(request_may(r, r->model, e));
    return request_version(r, n.second, e);
}

static enum code begin(struct request *r, struct buf **b, struct err *e) {
    *b = answer_buf(r, 256, e);
    return *b ? OK : e->code;
}

/* --- server, health --- */

static enum code say(struct request *r, bool truth, struct err *e) {
    struct buf *b;
    TRY(begin(r, &b, e));
    if (truth)
        pb_put_u64(b, 1, 1);
    return answer_part(r, b, e);
}

static enum code server_live(struct request *r, struct err *e) { return say(r, true, e); }
static enum code server_ready(struct request *r, struct err *e) {
    return say(r, request_ready(r), e);
}

/* What is not there is not ready: no error, as in Triton. */
static enum code model_ready(struct request *r, struct err *e) {
    struct live_info v;
    struct err why;
    TRY(take_model(r, e));
    enum code code =
        host_find(r->host, r->model, r->ask.version, (struct str){0}, r->arena, &v, &why);
    if (code != OK && code != ERR_NOT_FOUND) {
        *e = why;
        return code;
    }
    return say(r, code == OK && v.state == LIVE_READY, e);
}

static enum code server_metadata(struct request *r, struct err *e) {
    static const char *const extensions[] = {"classification",
                                             "model_repository",
                                             "model_configuration",
                                             "binary_tensor_data",
                                             "parameters",
                                             "statistics",
                                             "trace",
                                             "logging"};
    struct buf *b;
    TRY(begin(r, &b, e));
    pb_put_str(b, 1, LIT("slipway"));
    pb_put_str(b, 2, LIT(SLIPWAY_VERSION));
    for (size_t i = 0; i < sizeof extensions / sizeof *extensions; i++)
        pb_put_str(b, 3, str_of(extensions[i]));
    return answer_part(r, b, e);
}

/* --- models --- */

static void put_version(struct buf *b, uint32_t field, uint64_t version) {
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)version);
    pb_put_str(b, field, str_of(text));
}

static void put_dims(struct buf *b, uint32_t field, const struct shape *s, int from) {
    size_t at = pb_put_begin(b, field);
    for (int d = from; d < s->rank; d++)
        pb_put_varint(b, (uint64_t)s->dims[d]);
    pb_put_end(b, at);
}

static void put_tensors(struct buf *b, uint32_t field, const struct live_io *io, size_t n) {
    for (size_t i = 0; i < n; i++) {
        size_t at = pb_put_begin(b, field);
        pb_put_str(b, 1, io[i].name);
        pb_put_str(b, 2, str_of(datatype_name(io[i].dtype)));
        put_dims(b, 3, &io[i].shape, 0);
        pb_put_end(b, at);
    }
}

static enum code model_metadata(struct request *r, struct err *e) {
    const struct live_io *io;
    struct live_info v, *all;
    struct buf *b;
    size_t n;
    TRY(take_model(r, e));
    TRY(request_route(r, e));
    TRY(host_find(r->host, r->model, live_version(r->ask.live), (struct str){0}, r->arena, &v, e));
    TRY(host_list(r->host, r->arena, &all, &n, e));
    TRY(begin(r, &b, e));
    pb_put_str(b, 1, r->model);
    for (size_t i = n; i-- > 0;)
        if (str_eq(all[i].model, r->model) && all[i].state == LIVE_READY)
            put_version(b, 2, all[i].version);
    char *platform = arena_printf(r->arena, "slipway_%.*s", STR(v.format));
    pb_put_str(b, 3, platform ? str_of(platform) : LIT("slipway"));
    n = live_inputs(r->ask.live, &io);
    put_tensors(b, 4, io, n);
    n = live_outputs(r->ask.live, &io);
    put_tensors(b, 5, io, n);
    return answer_part(r, b, e);
}

/* ModelInput, ModelOutput. */
static void put_config_io(struct buf *b, const struct live *l, bool output, size_t batch) {
    const struct live_io *io;
    size_t n = output ? live_outputs(l, &io) : live_inputs(l, &io);
    for (size_t i = 0; i < n; i++) {
        const struct guise_tensor *g = live_guise_of(l, output, i);
        size_t at = pb_put_begin(b, output ? 6 : 5);
        pb_put_str(b, 1, io[i].name);
        pb_put_u64(b, 2, (uint64_t)datatype_number(io[i].dtype));
        put_dims(b, output ? 3 : 4, &io[i].shape, batch ? 1 : 0);
        if (g) {
            size_t reshape = pb_put_begin(b, 5);
            put_dims(b, 1, &g->model, batch ? 1 : 0);
            pb_put_end(b, reshape);
        }
        if (!output && !live_io_required(&io[i]))
            pb_put_u64(b, 8, 1);
        pb_put_end(b, at);
    }
}

static void put_u64(struct buf *b, uint32_t field, int64_t v) {
    if (v > 0)
        pb_put_u64(b, field, (uint64_t)v);
}

/* ModelDynamicBatching as the model's policy and guise say. */
static void put_batching(struct buf *b, const struct live_limits *limits, const struct guise *g) {
    size_t batching = pb_put_begin(b, 11);
    if (g && g->n_preferred) {
        size_t sizes = pb_put_begin(b, 1);
        for (size_t i = 0; i < g->n_preferred; i++)
            pb_put_varint(b, (uint64_t)g->preferred[i]);
        pb_put_end(b, sizes);
    }
    put_u64(b, 2, limits->wait_us);
    put_u64(b, 4, g ? g->levels : 0);
    put_u64(b, 5, g ? g->level : 0);
    if (limits->queue) {
        size_t policy = pb_put_begin(b, 6); /* default_queue_policy */
        pb_put_u64(b, 4, limits->queue);
        pb_put_end(b, policy);
    }
    pb_put_end(b, batching);
}

/* map<string, ModelParameter> */
static void put_parameters(struct buf *b, const struct guise *g) {
    for (size_t i = 0; g && i < g->n_pairs; i++) {
        size_t entry = pb_put_begin(b, 14);
        pb_put_str(b, 1, g->pairs[i].name);
        size_t value = pb_put_begin(b, 2);
        pb_put_str(b, 1, g->pairs[i].value);
        pb_put_end(b, value);
        pb_put_end(b, entry);
    }
}

static void put_config(struct buf *b, const struct live *l, size_t batch) {
    enum { KIND_CPU = 2 };
    struct live_limits limits;
    live_limits(l, &limits);
    pb_put_str(b, 1, live_model(l));
    put_u64(b, 4, (int64_t)batch);
    put_config_io(b, l, false, batch);
    put_config_io(b, l, true, batch);
    size_t group = pb_put_begin(b, 7);
    pb_put_str(b, 1, LIT("cpu"));
    pb_put_u64(b, 2, limits.instances ? limits.instances : 1);
    pb_put_u64(b, 4, KIND_CPU);
    pb_put_end(b, group);
    if (batch)
        put_batching(b, &limits, live_guise(l));
    put_parameters(b, live_guise(l));
    pb_put_str(b, 17, LIT("slipway"));
}

static enum code model_config(struct request *r, struct err *e) {
    struct buf *b;
    TRY(take_model(r, e));
    TRY(request_route(r, e));
    TRY(begin(r, &b, e));
    size_t config = pb_put_begin(b, 1);
    put_config(b, r->ask.live, arriving_batch(r));
    pb_put_end(b, config);
    return answer_part(r, b, e);
}

/* --- statistics --- */

static void put_duration(struct buf *b, uint32_t field, uint64_t count, uint64_t ns) {
    size_t at = pb_put_begin(b, field);
    pb_put_u64(b, 1, count);
    pb_put_u64(b, 2, ns);
    pb_put_end(b, at);
}

static void put_stats(struct buf *b, const struct live *l) {
    struct live_stats s;
    live_stats(l, &s);
    size_t at = pb_put_begin(b, 1);
    pb_put_str(b, 1, live_model(l));
    put_version(b, 2, live_version(l));
    pb_put_u64(b, 3, s.last_us / 1000);
    pb_put_u64(b, 4, s.rows);
    pb_put_u64(b, 5, s.runs);
    size_t inner = pb_put_begin(b, 6);
    put_duration(b, 1, s.success, s.success_ns);
    put_duration(b, 2, s.failed + s.rejected + s.cancelled, 0);
    put_duration(b, 3, s.success, s.queue_ns);
    put_duration(b, 4, s.success, 0);
    put_duration(b, 5, s.success, s.compute_ns);
    put_duration(b, 6, s.success, 0);
    put_duration(b, 7, 0, 0);
    put_duration(b, 8, 0, 0);
    pb_put_end(b, inner);
    size_t memory = pb_put_begin(b, 8);
    pb_put_str(b, 1, LIT("CPU"));
    pb_put_u64(b, 3, s.mapped_bytes + s.packed_bytes);
    pb_put_end(b, memory);
    pb_put_end(b, at);
}

static enum code statistics(struct request *r, struct err *e) {
    struct live_info *all;
    struct buf *b;
    size_t n;
    TRY(take_model(r, e));
    if (r->model.n)
        TRY(request_route(r, e));
    TRY(host_list(r->host, r->arena, &all, &n, e));
    TRY(begin(r, &b, e));
    for (size_t i = 0; i < n; i++)
        if (all[i].live && (!r->model.n || (str_eq(all[i].model, r->model) &&
                                            (!r->ask.version || all[i].version == r->ask.version))))
            put_stats(b, all[i].live);
    return answer_part(r, b, e);
}

/* --- repository --- */

static enum code repository_index(struct request *r, struct err *e) {
    struct live_info *all;
    struct named wanted;
    struct buf *b;
    size_t n;
    TRY(take_named(r, &wanted, e));
    if (wanted.first.n)
        return fail(e, UNSUPPORTED, "'repository_name' specification is not supported");
    TRY(host_list(r->host, r->arena, &all, &n, e));
    TRY(begin(r, &b, e));
    for (size_t i = 0; i < n; i++) {
        if (wanted.flag && all[i].state != LIVE_READY)
            continue;
        size_t at = pb_put_begin(b, 1);
        pb_put_str(b, 1, all[i].model);
        put_version(b, 2, all[i].version);
        pb_put_str(b, 3, str_of(arriving_state(all[i].state)));
        if (all[i].state == LIVE_FAILED)
            pb_put_str(b, 4, all[i].error);
        else if (all[i].state == LIVE_UNLOADED)
            pb_put_str(b, 4, LIT("unloaded"));
        pb_put_end(b, at);
    }
    return answer_part(r, b, e);
}

/* One entry of map<string, ModelRepositoryParameter>. */
static enum code take_parameter(struct request *r, const struct pb_field *entry,
                                struct arriving *in, struct err *e) {
    struct str key = {0}, text = {0};
    struct pb_field f, v;
    struct pb p, value;
    bool more, inner;
    TRY(pb_sub(entry, &p, e));
    for (;;) {
        TRY(pb_next(&p, &f, &more, e));
        if (!more)
            break;
        if (f.number == 1)
            TRY(pb_str(&f, &key, e));
        if (f.number != 2)
            continue;
        TRY(pb_sub(&f, &value, e));
        for (;;) {
            TRY(pb_next(&value, &v, &inner, e));
            if (!inner)
                break;
            if (v.number >= 3) /* string_param, bytes_param */
                TRY(pb_str(&v, &text, e));
        }
    }
    if (str_is(key, "config"))
        in->config = text;
    else if (str_starts(key, "file:"))
        return arriving_file(r, in, key, (struct span){(const uint8_t *)text.p, text.n}, e);
    return OK;
}

static enum code take_change(struct request *r, struct err *e) {
    struct named n;
    TRY(take_named(r, &n, e));
    if (n.first.n)
        return fail(e, UNSUPPORTED, "'repository_name' specification is not supported");
    r->model = r->ask.model = n.second;
    return request_may(r, r->model, e);
}

static enum code load(struct request *r, struct err *e) {
    struct arriving *in = arriving_new(r, e);
    struct pb_field f;
    struct pb p;
    bool more;
    if (!in)
        return e->code;
    TRY(take_change(r, e));
    pb_init(&p, r->body);
    for (;;) {
        TRY(pb_next(&p, &f, &more, e));
        if (!more)
            return arriving_load(r, in, e);
        if (f.number == 3)
            TRY(take_parameter(r, &f, in, e));
    }
}

static enum code unload(struct request *r, struct err *e) {
    TRY(take_change(r, e)); /* its parameter, unload_dependents, has nothing to do here */
    arriving_unload(r);
    return OK;
}

/* --- settings --- */

/* One entry of map<string, SettingValue> or map<string, LogValue>. */
static enum code take_setting(struct request *r, const struct pb_field *entry, bool log,
                              struct setting *s, struct err *e) {
    struct pb_field f, v;
    struct pb p, value;
    bool more, inner;
    *s = (struct setting){0};
    TRY(pb_sub(entry, &p, e));
    for (;;) {
        TRY(pb_next(&p, &f, &more, e));
        if (!more)
            return OK;
        if (f.number == 1)
            TRY(pb_str(&f, &s->key, e));
        if (f.number != 2)
            continue;
        TRY(pb_sub(&f, &value, e));
        for (;;) {
            TRY(pb_next(&value, &v, &inner, e));
            if (!inner)
                break;
            if (s->n == SETTING_TEXTS)
                return fail(e, INVALID, "more than %d values", SETTING_TEXTS);
            if (v.wire == PB_LEN)
                TRY(pb_str(&v, &s->texts[s->n], e));
            else if (log && v.number == 1)
                s->texts[s->n] = v.value ? LIT("true") : LIT("false");
            else
                s->texts[s->n] =
                    str_of(arena_printf(r->arena, "%llu", (unsigned long long)v.value));
            s->n++;
        }
    }
}

/* {1 settings, 2 model_name}: settings into what is not NULL. */
static enum code take_settings(struct request *r, struct probe *p, struct log_choice *c, bool *any,
                               struct err *e) {
    struct setting s;
    struct pb_field f;
    struct pb walk;
    bool more;
    *any = false;
    pb_init(&walk, r->body);
    for (;;) {
        TRY(pb_next(&walk, &f, &more, e));
        if (!more)
            return *any ? request_control(r, e) : OK;
        if (f.number != 1)
            continue;
        TRY(take_setting(r, &f, c != NULL, &s, e));
        TRY(c ? settings_log(c, &s, e) : settings_trace(p, &s, e));
        *any = true;
    }
}

static void put_setting(struct buf *b, const char *key, const char *value) {
    size_t at = pb_put_begin(b, 1);
    pb_put_str(b, 1, str_of(key));
    size_t inner = pb_put_begin(b, 2);
    pb_put_str(b, 1, str_of(value));
    pb_put_end(b, inner);
    pb_put_end(b, at);
}

static enum code trace(struct request *r, struct err *e) {
    struct setting_numbers numbers;
    struct named n;
    struct probe p;
    struct buf *b;
    bool any;
    TRY(take_named(r, &n, e));
    r->model = r->ask.model = n.second;
    if (r->model.n)
        TRY(request_route(r, e));
    probe_of(&r->server->probes, r->model, &p);
    TRY(take_settings(r, &p, NULL, &any, e));
    if (any)
        TRY(probe_put(&r->server->probes, r->model, &p, e));
    settings_numbers(&p, &numbers);
    TRY(begin(r, &b, e));
    put_setting(b, "trace_level", p.on ? "TIMESTAMPS" : "OFF");
    put_setting(b, "trace_rate", numbers.rate);
    put_setting(b, "trace_count", numbers.count);
    put_setting(b, "log_frequency", "0");
    put_setting(b, "trace_file", "");
    put_setting(b, "trace_mode", "triton");
    return answer_part(r, b, e);
}

/* A oneof is written though it is 0, so that the client sees which it is. */
static void put_log(struct buf *b, const char *key, uint32_t field, uint64_t number,
                    const char *text) {
    size_t at = pb_put_begin(b, 1);
    pb_put_str(b, 1, str_of(key));
    size_t inner = pb_put_begin(b, 2);
    if (text)
        pb_put_str(b, field, str_of(text));
    else
        pb_put_u64(b, field, number);
    pb_put_end(b, inner);
    pb_put_end(b, at);
}

static enum code logging(struct request *r, struct err *e) {
    struct log_choice c;
    struct buf *b;
    bool any;
    settings_log_now(&c);
    TRY(take_settings(r, NULL, &c, &any, e));
    if (any)
        settings_log_do(&c);
    TRY(begin(r, &b, e));
    put_log(b, "log_file", 3, 0, "");
    put_log(b, "log_info", 1, c.info, NULL);
    put_log(b, "log_warning", 1, c.warning, NULL);
    put_log(b, "log_error", 1, c.error, NULL);
    put_log(b, "log_verbose_level", 2, c.verbose, NULL);
    put_log(b, "log_format", 3, 0, "default");
    return answer_part(r, b, e);
}

#define METHOD(name, flags, page)                                                                  \
    { ROUTE_POST, "/inference.GRPCInferenceService/" name, ROUTE_GRPC | (flags), page }

static const struct route routes[] = {
    METHOD("ServerLive", ROUTE_OPEN | ROUTE_QUIET, server_live),
    METHOD("ServerReady", ROUTE_OPEN | ROUTE_QUIET, server_ready),
    METHOD("ModelReady", ROUTE_OPEN | ROUTE_QUIET, model_ready),
    METHOD("ServerMetadata", 0, server_metadata),
    METHOD("ModelMetadata", 0, model_metadata),
    METHOD("ModelConfig", 0, model_config),
    METHOD("ModelStatistics", 0, statistics),
    METHOD("RepositoryIndex", 0, repository_index),
    METHOD("RepositoryModelLoad", ROUTE_CONTROL | ROUTE_BODY, load),
    METHOD("RepositoryModelUnload", ROUTE_CONTROL, unload),
    METHOD("TraceSetting", 0, trace),
    METHOD("LogSettings", 0, logging),
};

const struct protocol protocol_catalog_grpc = {
    .name = "oip_grpc",
    .routes = routes,
    .n_routes = sizeof routes / sizeof *routes,
};
