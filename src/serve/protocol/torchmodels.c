/* SPDX-License-Identifier: Apache-2.0 */
/* TorchServe's management API: docs/protocols/torchserve.md.
 *
 *   POST   /models?url=FILE&...           register: a file or .mar of --model-store becomes a
 * version GET    /models                        list GET    /models/M[/VERSION|/all]       describe
 *   PUT    /models/M[/VERSION]?min_worker scale: 0 unloads, more loads
 *   PUT    /models/M/VERSION/set-default  the alias `prod`
 *   DELETE /models/M[/VERSION]            unload; the store keeps the version
 *   any    /token, /workflows, /wfpredict refused by name
 *
 *   gRPC   ManagementAPIsService          the same; the answer's one field is the same JSON text
 *
 * 1. A "worker" is what one loaded version is: workers are 1 or 0, whatever is asked for.
 * 2. Names of files have no folders in them. http and https are fetched from hosts of --allow-fetch
 * only, up to --max-fetch bytes; the answer then has the digest of what came.
 * 3. Registering blocks a side thread, loading the host's; the loop goes on. */
#include "serve/protocol/torch.h"

#include "base/pb.h"
#include "serve/answer.h"
#include "serve/arrival.h"
#include "serve/in.h"

enum { LIST_LIMIT = 100 };

struct change { /* what a call that waits has to say at its end */
    struct arrival arrival;
    const char *status; /* the answer; NULL: by what happened */
    int64_t workers;
    char path[4096];
};

/* --- answers --- */

static enum code finish(struct request *r, struct answer_json *j, struct err *e) {
    TRY(answer_json_end(r, j, e));
    return torch_wrap(r, e);
}

static enum code say(struct request *r, int status, const char *text, struct err *e) {
    const struct change *c = r->notes;
    struct answer_json j;
    TRY(answer_json(r, &j, e));
    json_put_object(&j.w);
    json_put_member_text(&j.w, "status", text);
    if (c->arrival.url.n)
        json_put_member_text(&j.w, "digest", c->arrival.digest);
    json_put_object_end(&j.w);
    TRY(finish(r, &j, e));
    r->response.status = status;
    return OK;
}

/* On the loading thread, or inside the call that asked. */
static void changed(void *ctx, enum code code, const struct err *e) {
    struct request *r = ctx;
    const struct change *c = r->notes;
    if (code != OK) {
        r->err = *e;
        r->err.code = code == ERR_INVALID ? ERR_INTERNAL : code;
        if (code == ERR_NOT_FOUND)
            (void)fail(&r->err, NOT_FOUND, "Model not found: %.*s", STR(r->ask.model));
    } else {
        (void)say(r, 200, c->status, &r->err);
    }
    request_resume(r);
}

static struct change *new_change(struct request *r, struct err *e) {
    struct change *c = ARENA_NEW(r->arena, struct change);
    if (!c)
        (void)arena_fail(r->arena, sizeof *c, "request", e);
    r->notes = c;
    return c;
}

static enum code find(struct request *r, struct live_info *out, struct err *e) {
    torch_version(r);
    enum code code = host_find(r->host, r->model, r->ask.version, r->ask.alias, r->arena, out, e);
    return code == ERR_NOT_FOUND ? torch_unknown(r, e) : code;
}

/* --- parameters: the query's, a JSON object's, a message's --- */

static enum code enroll(struct request *r, struct err *e);
static enum code list(struct request *r, struct err *e);
static enum code describe(struct request *r, struct err *e);
static enum code scale(struct request *r, struct err *e);
static enum code set_default(struct request *r, struct err *e);
static enum code unregister(struct request *r, struct err *e);

#define SERVICE "/org.pytorch.serve.grpc.management.ManagementAPIsService/"

/* gRPC's calls: the page that answers the same over HTTP, and what its message's fields are called
 * there. Flags and what is only of use to Python workers are left out. */
static const struct method {
    const char *path;
    enum code (*page)(struct request *r, struct err *e);
    const char *fields[12]; /* by number */
} methods[] = {
    {SERVICE "RegisterModel", enroll, {[3] = "initial_workers", [5] = "model_name", [9] = "url"}},
    {SERVICE "ListModels", list, {[1] = "limit", [2] = "next_page_token"}},
    {SERVICE "DescribeModel", describe, {[1] = "model_name", [2] = "model_version"}},
    {SERVICE "ScaleWorker",
     scale,
     {[1] = "model_name", [2] = "model_version", [3] = "max_worker", [4] = "min_worker"}},
    {SERVICE "SetDefault", set_default, {[1] = "model_name", [2] = "model_version"}},
    {SERVICE "UnregisterModel", unregister, {[1] = "model_name", [2] = "model_version"}},
};

static const struct method *method_of(const struct request *r) {
    size_t i = 0;
    while (strcmp(methods[i].path, r->route->path) != 0)
        i++;
    return &methods[i];
}

static bool in_message(const struct request *r, const char *name, struct str *out) {
    const struct method *m = method_of(r);
    struct pb_field f;
    struct err ignored;
    struct pb p;
    bool more, found = false;
    pb_init(&p, r->body);
    while (pb_next(&p, &f, &more, &ignored) == OK && more) {
        if (f.number >= 12 || !m->fields[f.number] || strcmp(m->fields[f.number], name) != 0)
            continue;
        if (f.wire == PB_VARINT)
            *out = str_of(arena_printf(r->arena, "%lld", (long long)f.value));
        else
            *out = (struct str){(const char *)f.bytes.p, f.bytes.n};
        found = true;
    }
    return found;
}

static bool in_json(const struct request *r, const char *name, struct str *out) {
    struct json j;
    struct str key;
    struct err ignored;
    bool more;
    json_init(&j, (struct str){(const char *)r->body.p, r->body.n}, r->arena);
    if (r->body.n == 0 || json_peek(&j) != JSON_OBJECT || json_enter_object(&j, &ignored) != OK)
        return false;
    while (json_next_key(&j, &key, &more, &ignored) == OK && more) {
        if (str_is(key, name))
            return (json_peek(&j) == JSON_STRING ? json_string(&j, out, &ignored)
                                                 : json_skip(&j, out, &ignored)) == OK;
        if (json_skip(&j, NULL, &ignored) != OK)
            return false;
    }
    return false;
}

static bool parameter(const struct request *r, const char *name, struct str *out) {
    if (r->grpc)
        return in_message(r, name, out);
    return http_query_get(&r->x->request, name, r->arena, out) || in_json(r, name, out);
}

static enum code check_message(struct request *r, struct err *e) {
    struct pb_field f;
    struct pb p;
    bool more = true;
    pb_init(&p, r->body);
    while (more)
        TRY(pb_next(&p, &f, &more, e));
    return OK;
}

/* A gRPC call as its page sees it: the path's captures come in the message. */
static enum code called(struct request *r, struct err *e) {
    TRY(check_message(r, e));
    (void)parameter(r, "model_name", &r->model);
    (void)parameter(r, "model_version", &r->label);
    TRY(request_may(r, r->model, e));
    return method_of(r)->page(r, e);
}

/* --- register --- */

/* On a side thread; then, when workers are asked for, on the loading thread. */
static void register_aside(struct side_job *job) {
    struct request *r = (struct request *)(void *)((char *)job - offsetof(struct request, side));
    struct change *c = r->notes;
    if (arrival_add(r->server->store, &c->arrival, r->arena, &r->err) != OK) {
        if (r->err.code == ERR_NOT_FOUND && !c->arrival.url.n)
            (void)fail(&r->err, NOT_FOUND, "Model not found in model store: %.*s",
                       STR(c->arrival.origin));
        request_resume(r);
        return;
    }
    r->ask.model = c->arrival.model;
    char *text = arena_printf(
        r->arena,
        c->workers ? "Model \"%.*s\" Version: %llu registered with %lld initial workers"
                   : "Model \"%.*s\" Version: %llu registered with 0 initial workers. Use scale "
                     "workers API to add workers for the model.",
        STR(c->arrival.model), (unsigned long long)c->arrival.version, (long long)c->workers);
    c->status = text ? text : "registered";
    if (c->workers) {
        host_load(r->host, c->arrival.model, c->arrival.version, changed, r);
        return;
    }
    (void)say(r, 200, c->status, &r->err);
    request_resume(r);
}

static bool is_remote(struct str url) {
    return str_starts(url, "http://") || str_starts(url, "https://");
}

/* The name of a file in the model store. */
static enum code check_file(const struct request *r, struct str url, struct err *e) {
    size_t slash;
    if (str_starts(url, "s3://"))
        return fail(e, UNSUPPORTED, "'%.*s': want a file of --model-store, http or https",
                    STR(str_sub(url, 0, 200)));
    if (str_find(url, '/', &slash) || str_find(url, '\\', &slash) || url.p[0] == '.')
        return fail(e, INVALID, "Relative path is not allowed in url: %.*s",
                    STR(str_sub(url, 0, 200)));
    return r->options->model_store
               ? OK
               : fail(e, UNAVAILABLE, "no model store: serve with --model-store DIR");
}

static enum code take_source(struct request *r, struct str url, struct change *c, struct err *e) {
    c->arrival.origin = url;
    if (is_remote(url)) {
        c->arrival.url = url;
        c->arrival.hosts = r->options->fetch_hosts;
        c->arrival.most_bytes = r->options->fetch_bytes;
        c->arrival.cancel = &r->ask.cancel;
        return OK;
    }
    TRY(check_file(r, url, e));
    c->arrival.path = c->path;
    int n = snprintf(c->path, sizeof c->path, "%s/%.*s", r->options->model_store, STR(url));
    return n > 0 && (size_t)n < sizeof c->path ? OK : fail(e, INVALID, "the url is too long");
}

static enum code enroll(struct request *r, struct err *e) {
    struct str url = {0}, workers = {0};
    if (!parameter(r, "url", &url) || url.n == 0)
        return fail(e, INVALID, "Parameter url is required.");
    struct change *c = new_change(r, e);
    if (!c)
        return e->code;
    TRY(take_source(r, url, c, e));
    (void)parameter(r, "model_name", &c->arrival.model);
    if (parameter(r, "initial_workers", &workers) &&
        (!str_to_i64(workers, &c->workers) || c->workers < 0))
        return fail(e, INVALID, "initial_workers: '%.*s' is no number", STR(workers));
    TRY(request_may(r, c->arrival.model, e));
    request_wait(r);
    r->side.fn = register_aside;
    side_post(r->server->side, &r->side);
    return OK;
}

/* --- list and describe --- */

static enum code list(struct request *r, struct err *e) {
    struct live_info *all;
    struct answer_json j;
    struct str text;
    uint64_t from = 0, limit = LIST_LIMIT, at = 0;
    size_t n;
    if (parameter(r, "limit", &text) && (!str_to_u64(text, &limit) || limit == 0))
        return fail(e, INVALID, "limit: '%.*s' is no number over 0", STR(text));
    if (parameter(r, "next_page_token", &text) && !str_to_u64(text, &from))
        return fail(e, INVALID, "next_page_token: '%.*s' is none", STR(text));
    TRY(host_list(r->host, r->arena, &all, &n, e));
    TRY(answer_json(r, &j, e));
    json_put_object(&j.w);
    json_put_key(&j.w, "models");
    json_put_array(&j.w);
    for (size_t i = 0; i < n; i++) {
        if (!all[i].is_default && !(i == 0 || !str_eq(all[i].model, all[i - 1].model)))
            continue;
        if (!all[i].is_default && i + 1 < n && str_eq(all[i].model, all[i + 1].model))
            continue; /* the default follows */
        if (at++ < from || at > from + limit)
            continue;
        json_put_object(&j.w);
        json_put_member_str(&j.w, "modelName", all[i].model);
        json_put_member_str(&j.w, "modelUrl", all[i].digest);
        json_put_object_end(&j.w);
    }
    json_put_array_end(&j.w);
    if (at > from + limit) {
        char token[24];
        snprintf(token, sizeof token, "%llu", (unsigned long long)(from + limit));
        json_put_member_text(&j.w, "nextPageToken", token);
    }
    json_put_object_end(&j.w);
    return finish(r, &j, e);
}

static const char *worker_state(enum live_state s) {
    return s == LIVE_READY ? "READY" : s == LIVE_LOADING ? "LOADING" : "UNLOADING";
}

static void put_worker(struct json_out *w, const struct live_info *v) {
    struct live_stats s;
    live_stats(v->live, &s);
    json_put_object(w);
    json_put_member_text(w, "id", "9000");
    json_put_member_text(w, "status", worker_state(v->state));
    json_put_member_i64(w, "memoryUsage", (int64_t)(s.mapped_bytes + s.packed_bytes));
    json_put_member_bool(w, "gpu", false);
    json_put_object_end(w);
}

static void put_version(struct request *r, struct json_out *w, const struct live_info *v) {
    char version[24];
    struct live_stats s = {0};
    struct live_limits limits = {0};
    if (v->live) {
        live_stats(v->live, &s);
        live_limits(v->live, &limits);
    }
    snprintf(version, sizeof version, "%llu.0", (unsigned long long)v->version);
    json_put_object(w);
    json_put_member_str(w, "modelName", v->model);
    json_put_member_text(w, "modelVersion", version);
    json_put_member_str(w, "modelUrl", v->digest);
    json_put_member_str(w, "engine", v->format);
    json_put_member_text(w, "runtime", "LSP");
    json_put_member_i64(w, "minWorkers", v->live != NULL);
    json_put_member_i64(w, "maxWorkers", 1);
    json_put_member_i64(w, "batchSize",
                        (int64_t)(limits.batch ? limits.batch : host_batch(r->host)));
    json_put_member_i64(w, "maxBatchDelay", limits.wait_us > 0 ? limits.wait_us / 1000 : 0);
    json_put_member_i64(w, "responseTimeout", (int64_t)(r->options->timeout_ms / 1000));
    json_put_member_bool(w, "loadedAtStartup", v->live != NULL);
    json_put_key(w, "workers");
    json_put_array(w);
    if (v->live)
        put_worker(w, v);
    json_put_array_end(w);
    json_put_key(w, "jobQueueStatus");
    json_put_object(w);
    json_put_member_i64(w, "pendingRequests", (int64_t)s.waiting);
    json_put_object_end(w);
    json_put_object_end(w);
}

static enum code describe(struct request *r, struct err *e) {
    struct live_info *all, one;
    struct answer_json j;
    size_t n;
    bool every = str_is(r->label, "all");
    if (every)
        r->label = (struct str){0};
    TRY(find(r, &one, e));
    TRY(host_list(r->host, r->arena, &all, &n, e));
    TRY(answer_json(r, &j, e));
    json_put_array(&j.w);
    for (size_t i = 0; i < n; i++)
        if (str_eq(all[i].model, r->model) && (every || all[i].version == one.version))
            put_version(r, &j.w, &all[i]);
    json_put_array_end(&j.w);
    return finish(r, &j, e);
}

/* --- scale, set-default, unregister --- */

static enum code take_workers(const struct request *r, int64_t *least, struct err *e) {
    struct str text = {0};
    int64_t most;
    *least = 1;
    if (parameter(r, "min_worker", &text) && (!str_to_i64(text, least) || *least < 0))
        return fail(e, INVALID, "min_worker: '%.*s' is no number", STR(text));
    if (!parameter(r, "max_worker", &text))
        return OK;
    if (!str_to_i64(text, &most) || most < 0)
        return fail(e, INVALID, "max_worker: '%.*s' is no number", STR(text));
    bool unsaid = r->grpc && most == 0; /* proto3 */
    return unsaid || most >= *least
               ? OK
               : fail(e, INVALID, "max_worker cannot be less than min_worker.");
}

/* What was done, which is not what was asked for when that were several. */
static const char *scaled(const struct request *r, int64_t asked) {
    const char *why = asked > 1 ? "; there is one of each version, which runs as many requests at "
                                  "a time as the cores allow (slipway policy MODEL instances=N: "
                                  "as many as that)"
                                : "";
    char *text = arena_printf(r->arena, "Workers scaled to %d for model: %.*s%s", asked > 0,
                              STR(r->model), why);
    return text ? text : "Workers scaled";
}

static enum code scale(struct request *r, struct err *e) {
    struct live_info v;
    int64_t workers;
    TRY(find(r, &v, e));
    TRY(take_workers(r, &workers, e));
    struct change *c = new_change(r, e);
    if (!c)
        return e->code;
    c->status = scaled(r, workers);
    request_wait(r);
    if (workers)
        host_load(r->host, r->model, r->label.n ? v.version : 0, changed, r);
    else
        host_unload(r->host, r->model, changed, r);
    return OK;
}

static void default_aside(struct side_job *job) {
    struct request *r = (struct request *)(void *)((char *)job - offsetof(struct request, side));
    const struct change *c = r->notes;
    if (store_alias_set(r->server->store, r->model, LIT("prod"), c->arrival.version, &r->err) == OK)
        (void)say(r, 200, c->status, &r->err);
    request_resume(r);
}

static enum code set_default(struct request *r, struct err *e) {
    struct live_info v;
    TRY(find(r, &v, e));
    struct change *c = new_change(r, e);
    if (!c)
        return e->code;
    c->arrival.version = v.version;
    char *status = arena_printf(r->arena,
                                "Default version successfully updated for model \"%.*s\" to "
                                "\"%.*s\"",
                                STR(r->model), STR(r->label));
    c->status = status ? status : "Default version updated";
    request_wait(r);
    r->side.fn = default_aside;
    side_post(r->server->side, &r->side);
    return OK;
}

static enum code unregister(struct request *r, struct err *e) {
    struct live_info *all, v;
    size_t n, loaded = 0;
    TRY(find(r, &v, e));
    TRY(host_list(r->host, r->arena, &all, &n, e));
    for (size_t i = 0; i < n; i++)
        loaded += str_eq(all[i].model, r->model) && all[i].live;
    if (r->label.n && loaded > 1)
        return v.is_default
                   ? fail(e, DENIED, "Can't delete default version: %.*s", STR(r->label))
                   : fail(e, UNSUPPORTED,
                          "one version among several is not unloaded alone; remove it with "
                          "`slipway remove`, or unregister the model");
    struct change *c = new_change(r, e);
    if (!c)
        return e->code;
    char *status = arena_printf(r->arena, "Model \"%.*s\" unregistered", STR(r->model));
    c->status = status ? status : "unregistered";
    request_wait(r);
    host_unload(r->host, r->model, changed, r);
    return OK;
}

/* --- what there is none of --- */

static enum code token(struct request *r, struct err *e) {
    (void)r;
    return fail(e, UNSUPPORTED,
                "tokens are not handed out: a key stays until it is revoked, `slipway key` makes "
                "and revokes them");
}

static enum code workflow(struct request *r, struct err *e) {
    (void)r;
    return fail(e, UNSUPPORTED,
                "workflows are not supported: a .war holds Python; ask each model by itself");
}

static const struct route routes[] = {
    {ROUTE_GET, "/token", ROUTE_OPEN, token},
    {ROUTE_GET | ROUTE_POST, "/workflows", ROUTE_OPEN, workflow},
    {ROUTE_GET | ROUTE_DELETE, "/workflows/{label}", ROUTE_OPEN, workflow},
    {ROUTE_POST, "/wfpredict/{label}", ROUTE_OPEN, workflow},
    {ROUTE_POST, "/models", ROUTE_CONTROL, enroll},
    {ROUTE_GET, "/models", 0, list},
    {ROUTE_GET, "/models/{model}", 0, describe},
    {ROUTE_GET, "/models/{model}/{label}", 0, describe},
    {ROUTE_PUT, "/models/{model}", ROUTE_CONTROL, scale},
    {ROUTE_PUT, "/models/{model}/{label}/set-default", ROUTE_CONTROL, set_default},
    {ROUTE_PUT, "/models/{model}/{label}", ROUTE_CONTROL, scale},
    {ROUTE_DELETE, "/models/{model}", ROUTE_CONTROL, unregister},
    {ROUTE_DELETE, "/models/{model}/{label}", ROUTE_CONTROL, unregister},
    {ROUTE_POST, SERVICE "RegisterModel", ROUTE_GRPC | ROUTE_CONTROL, called},
    {ROUTE_POST, SERVICE "ListModels", ROUTE_GRPC, called},
    {ROUTE_POST, SERVICE "DescribeModel", ROUTE_GRPC, called},
    {ROUTE_POST, SERVICE "ScaleWorker", ROUTE_GRPC | ROUTE_CONTROL, called},
    {ROUTE_POST, SERVICE "SetDefault", ROUTE_GRPC | ROUTE_CONTROL, called},
    {ROUTE_POST, SERVICE "UnregisterModel", ROUTE_GRPC | ROUTE_CONTROL, called},
};

const struct protocol protocol_torchmodels = {
    .name = "torchserve",
    .routes = routes,
    .n_routes = sizeof routes / sizeof *routes,
    .error = torch_error,
};
