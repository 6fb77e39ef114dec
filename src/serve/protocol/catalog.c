/* SPDX-License-Identifier: Apache-2.0 */
/* Open Inference Protocol: the server, health, and what models take and give:
 * docs/protocols/oip.md.
 *
 * Triton answers the health calls with an empty body, KServe with JSON: JSON satisfies both. Not
 * ready is 503. */
#include "serve/protocol/protocol.h"

#include "serve/answer.h"
#include "serve/media.h"
#include "serve/protocol/datatype.h"

static enum code server(struct request *r, struct err *e) {
    static const char *const extensions[] = {"classification",
                                             "model_repository",
                                             "model_configuration",
                                             "binary_tensor_data",
                                             "system_shared_memory",
                                             "parameters",
                                             "statistics",
                                             "trace",
                                             "logging"};
    struct answer_json j;
    TRY(answer_json(r, &j, e));
    json_put_object(&j.w);
    json_put_member_text(&j.w, "name", "slipway");
    json_put_member_text(&j.w, "version", SLIPWAY_VERSION);
    json_put_key(&j.w, "extensions");
    json_put_array(&j.w);
    for (size_t i = 0; i < sizeof extensions / sizeof *extensions; i++)
        json_put_text(&j.w, extensions[i]);
    json_put_array_end(&j.w);
    json_put_object_end(&j.w);
    return answer_json_end(r, &j, e);
}

static enum code say(struct request *r, const char *key, bool truth, struct err *e) {
    struct answer_json j;
    TRY(answer_json(r, &j, e));
    json_put_object(&j.w);
    json_put_member_bool(&j.w, key, truth);
    json_put_object_end(&j.w);
    TRY(answer_json_end(r, &j, e));
    r->response.status = truth ? 200 : 503;
    return OK;
}

static enum code live_page(struct request *r, struct err *e) { return say(r, "live", true, e); }
static enum code ready_page(struct request *r, struct err *e) {
    return say(r, "ready", request_ready(r), e);
}

static enum code list(struct request *r, struct err *e) {
    struct live_info *all;
    struct answer_json j;
    size_t n;
    TRY(host_list(r->host, r->arena, &all, &n, e));
    TRY(answer_json(r, &j, e));
    json_put_object(&j.w);
    json_put_key(&j.w, "models");
    json_put_array(&j.w);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || !str_eq(all[i].model, all[i - 1].model))
            json_put_str(&j.w, all[i].model);
    json_put_array_end(&j.w);
    json_put_object_end(&j.w);
    return answer_json_end(r, &j, e);
}

static enum code model_ready(struct request *r, struct err *e) {
    struct live_info v;
    struct answer_json j;
    TRY(host_find(r->host, r->model, r->ask.version, (struct str){0}, r->arena, &v, e));
    TRY(answer_json(r, &j, e));
    json_put_object(&j.w);
    json_put_member_str(&j.w, "name", r->model);
    json_put_member_bool(&j.w, "ready", v.state == LIVE_READY);
    json_put_object_end(&j.w);
    TRY(answer_json_end(r, &j, e));
    r->response.status = v.state == LIVE_READY ? 200 : 503;
    return OK;
}

static void put_tensors(struct json_out *w, const char *key, const struct live_io *io, size_t n) {
    json_put_key(w, key);
    json_put_array(w);
    for (size_t i = 0; i < n; i++) {
        json_put_object(w);
        json_put_member_str(w, "name", io[i].name);
        json_put_member_text(w, "datatype", datatype_name(io[i].dtype));
        json_put_key(w, "shape");
        json_put_array(w);
        for (int d = 0; d < io[i].shape.rank; d++)
            json_put_i64(w, io[i].shape.dims[d]);
        json_put_array_end(w);
        json_put_object_end(w);
    }
    json_put_array_end(w);
}

static enum code put_versions(struct request *r, struct json_out *w, struct err *e) {
    struct live_info *all;
    size_t n;
    char text[24];
    TRY(host_list(r->host, r->arena, &all, &n, e));
    json_put_key(w, "versions");
    json_put_array(w);
    for (size_t i = n; i-- > 0;)
        if (str_eq(all[i].model, r->model) && all[i].state == LIVE_READY) {
            snprintf(text, sizeof text, "%llu", (unsigned long long)all[i].version);
            json_put_text(w, text);
        }
    json_put_array_end(w);
    return OK;
}

static enum code metadata(struct request *r, struct err *e) {
    const struct live_io *io;
    struct live_info v;
    struct answer_json j;
    TRY(request_route(r, e));
    TRY(host_find(r->host, r->model, live_version(r->ask.live), (struct str){0}, r->arena, &v, e));
    TRY(answer_json(r, &j, e));
    json_put_object(&j.w);
    json_put_member_str(&j.w, "name", r->model);
    TRY(put_versions(r, &j.w, e));
    char *platform = arena_printf(r->arena, "slipway_%.*s", STR(v.format));
    json_put_member_text(&j.w, "platform", platform ? platform : "slipway");
    size_t n = live_inputs(r->ask.live, &io);
    put_tensors(&j.w, "inputs", io, n);
    struct live_io *outputs;
    TRY(media_outputs_io(r, &outputs, &n, e));
    put_tensors(&j.w, "outputs", outputs, n);
    json_put_object_end(&j.w);
    return answer_json_end(r, &j, e);
}

static const struct route routes[] = {
    {ROUTE_GET, "/v2", 0, server},
    {ROUTE_GET, "/v2/health/live", ROUTE_OPEN | ROUTE_QUIET, live_page},
    {ROUTE_GET, "/v2/health/ready", ROUTE_OPEN | ROUTE_QUIET, ready_page},
    {ROUTE_GET, "/v2/models", 0, list},
    {ROUTE_GET, "/v2/models/{model}/ready", ROUTE_OPEN | ROUTE_QUIET, model_ready},
    {ROUTE_GET, "/v2/models/{model}/versions/{version}/ready", ROUTE_OPEN | ROUTE_QUIET,
     model_ready},
    {ROUTE_GET, "/v2/models/{model}", 0, metadata},
    {ROUTE_GET, "/v2/models/{model}/versions/{version}", 0, metadata},
};

const struct protocol protocol_catalog = {
    .name = "oip",
    .routes = routes,
    .n_routes = sizeof routes / sizeof *routes,
};
