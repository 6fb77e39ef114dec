/* SPDX-License-Identifier: Apache-2.0 */
/* /openapi.json: OpenAPI 3.1 of what is served now. The paths every server has are text; one path
 * per served model comes from its signature, so that generated clients have a typed call for each.
 */
#include "serve/protocol/protocol.h"

#include "serve/answer.h"
#include "serve/protocol/datatype.h"

/* --- what every server has --- */

static const struct fixed {
    const char *path, *method, *summary, *tag;
    const char *parameters; /* names in the path, space-separated */
    const char *body;       /* JSON schema, or NULL */
} fixed[] = {
    {"/v1/models/{model}:predict", "post",
     "TensorFlow Serving: rows (instances) or columns (inputs)", "TensorFlow Serving", "model",
     "{\"type\":\"object\",\"properties\":{\"signature_name\":{\"type\":\"string\"},\"instances\":{"
     "\"type\":\"array\"},"
     "\"inputs\":{}}}"},
    {"/v1/models/{model}", "get", "Versions and their states", "TensorFlow Serving", "model", NULL},
    {"/v1/models/{model}/metadata", "get", "Signature", "TensorFlow Serving", "model", NULL},
    {"/v1/models/{model}/versions/{version}:predict", "post", "The same on one version",
     "TensorFlow Serving", "model version", "{\"type\":\"object\"}"},
    {"/v1/models/{model}/labels/{label}:predict", "post", "The same on an alias",
     "TensorFlow Serving", "model label", "{\"type\":\"object\"}"},
    {"/v2", "get", "Server and its extensions", "Open Inference Protocol", "", NULL},
    {"/v2/health/live", "get", "The process answers", "Open Inference Protocol", "", NULL},
    {"/v2/health/ready", "get", "Everything asked for is loaded", "Open Inference Protocol", "",
     NULL},
    {"/v2/models/{model}", "get", "Inputs and outputs", "Open Inference Protocol", "model", NULL},
    {"/v2/models/{model}/ready", "get", "The model answers", "Open Inference Protocol", "model",
     NULL},
    {"/v2/models/{model}/infer", "post",
     "Inference; binary tensors with Inference-Header-Content-Length", "Open Inference Protocol",
     "model",
     "{\"type\":\"object\",\"required\":[\"inputs\"],\"properties\":{\"id\":{\"type\":\"string\"},"
     "\"parameters\":{\"type\":"
     "\"object\"},\"inputs\":{\"type\":\"array\",\"items\":{\"type\":\"object\",\"required\":["
     "\"name\",\"shape\",\"datatype\"],"
     "\"properties\":{\"name\":{\"type\":\"string\"},\"shape\":{\"type\":\"array\",\"items\":{"
     "\"type\":\"integer\"}},\"datatype\":"
     "{\"type\":\"string\"},\"parameters\":{\"type\":\"object\"},\"data\":{\"type\":\"array\"}}}},"
     "\"outputs\":{\"type\":\"array\"}}}"},
    {"/v2/models/{model}/stats", "get", "Counts and durations", "Open Inference Protocol", "model",
     NULL},
    {"/v2/models/{model}/config", "get", "Configuration in Triton's form",
     "Open Inference Protocol", "model", NULL},
    {"/v2/repository/index", "post", "All versions", "Open Inference Protocol", "", NULL},
    {"/v2/repository/models/{model}/load", "post", "Load the newest version",
     "Open Inference Protocol", "model", NULL},
    {"/v2/repository/models/{model}/unload", "post", "Unload", "Open Inference Protocol", "model",
     NULL},
    {"/predict", "get", "What is served", "Predict", "", NULL},
    {"/healthz", "get", "The process answers", "Operation", "", NULL},
    {"/readyz", "get", "Everything asked for is loaded", "Operation", "", NULL},
    {"/metrics", "get", "Prometheus text", "Operation", "", NULL},
};

static void put_parameters(struct json_out *w, const char *names) {
    json_put_key(w, "parameters");
    json_put_array(w);
    while (*names) {
        size_t n = strcspn(names, " ");
        json_put_object(w);
        json_put_member_str(w, "name", (struct str){names, n});
        json_put_member_text(w, "in", "path");
        json_put_member_bool(w, "required", true);
        json_put_key(w, "schema");
        json_put_raw(w, LIT("{\"type\":\"string\"}"));
        json_put_object_end(w);
        names += n + (names[n] == ' ');
    }
    json_put_array_end(w);
}

static void put_json_body(struct json_out *w, const char *schema) {
    json_put_key(w, "requestBody");
    json_put_object(w);
    json_put_member_bool(w, "required", true);
    json_put_key(w, "content");
    json_put_object(w);
    json_put_key(w, "application/json");
    json_put_object(w);
    json_put_key(w, "schema");
    json_put_raw(w, str_of(schema));
    json_put_object_end(w);
    json_put_object_end(w);
    json_put_object_end(w);
}

static void put_responses(struct json_out *w) {
    json_put_key(w, "responses");
    json_put_raw(
        w, LIT("{\"200\":{\"description\":\"OK\"},\"default\":{\"description\":\"{\\\"error\\\": "
               "text}\",\"content\":"
               "{\"application/json\":{\"schema\":{\"$ref\":\"#/components/schemas/Error\"}}}}}"));
}

static void put_fixed(struct json_out *w) {
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++) {
        json_put_key(w, fixed[i].path);
        json_put_object(w);
        json_put_key(w, fixed[i].method);
        json_put_object(w);
        json_put_member_text(w, "summary", fixed[i].summary);
        json_put_key(w, "tags");
        json_put_array(w);
        json_put_text(w, fixed[i].tag);
        json_put_array_end(w);
        put_parameters(w, fixed[i].parameters);
        if (fixed[i].body)
            put_json_body(w, fixed[i].body);
        put_responses(w);
        json_put_object_end(w);
        json_put_object_end(w);
    }
}

/* --- one path per model --- */

static const char *leaf(enum dtype t) {
    if (t == DT_STRING)
        return "string";
    if (t == DT_BOOL)
        return "boolean";
    return dtype_is_float(t) ? "number" : "integer";
}

/* Nested arrays, with the lengths that are known. */
static void put_tensor_schema(struct json_out *w, const struct live_io *io, int axis) {
    json_put_object(w);
    if (axis == io->shape.rank) {
        json_put_member_text(w, "type", leaf(io->dtype));
        json_put_object_end(w);
        return;
    }
    json_put_member_text(w, "type", "array");
    if (io->shape.dims[axis] >= 0) {
        json_put_member_i64(w, "minItems", io->shape.dims[axis]);
        json_put_member_i64(w, "maxItems", io->shape.dims[axis]);
    }
    json_put_key(w, "items");
    put_tensor_schema(w, io, axis + 1);
    json_put_object_end(w);
}

static void put_object_schema(struct json_out *w, const struct live_io *io, size_t n,
                              bool required) {
    json_put_object(w);
    json_put_member_text(w, "type", "object");
    if (required) {
        json_put_key(w, "required");
        json_put_array(w);
        for (size_t i = 0; i < n; i++)
            if (!io[i].optional)
                json_put_str(w, io[i].name);
        json_put_array_end(w);
    }
    json_put_key(w, "properties");
    json_put_object(w);
    for (size_t i = 0; i < n; i++) {
        json_put_key_str(w, io[i].name);
        put_tensor_schema(w, &io[i], 0);
    }
    json_put_object_end(w);
    json_put_object_end(w);
}

static void put_request_body(struct json_out *w, const struct live *l) {
    const struct live_io *io;
    size_t n = live_inputs(l, &io);
    bool image = false;
    for (size_t i = 0; i < n; i++)
        image |= io[i].shape.rank == 4;
    json_put_key(w, "requestBody");
    json_put_object(w);
    json_put_member_bool(w, "required", true);
    json_put_key(w, "content");
    json_put_object(w);
    json_put_key(w, "application/json");
    json_put_object(w);
    json_put_key(w, "schema");
    put_object_schema(w, io, n, true);
    json_put_object_end(w);
    json_put_key(w, "application/x-npy");
    json_put_raw(w, LIT("{\"schema\":{\"type\":\"string\",\"format\":\"binary\"}}"));
    if (image) {
        json_put_key(w, "image/jpeg");
        json_put_raw(w, LIT("{\"schema\":{\"type\":\"string\",\"format\":\"binary\"}}"));
        json_put_key(w, "image/png");
        json_put_raw(w, LIT("{\"schema\":{\"type\":\"string\",\"format\":\"binary\"}}"));
    }
    json_put_object_end(w);
    json_put_object_end(w);
}

static void put_answer(struct json_out *w, const struct live *l) {
    const struct live_io *io;
    size_t n = live_outputs(l, &io);
    json_put_key(w, "responses");
    json_put_object(w);
    json_put_key(w, "200");
    json_put_object(w);
    json_put_member_text(w, "description", "The outputs by name");
    json_put_key(w, "content");
    json_put_object(w);
    json_put_key(w, "application/json");
    json_put_object(w);
    json_put_key(w, "schema");
    json_put_object(w);
    json_put_member_text(w, "type", "object");
    json_put_key(w, "properties");
    json_put_object(w);
    json_put_key(w, "model");
    json_put_raw(w, LIT("{\"type\":\"string\"}"));
    json_put_key(w, "version");
    json_put_raw(w, LIT("{\"type\":\"integer\"}"));
    json_put_key(w, "outputs");
    put_object_schema(w, io, n, false);
    for (int i = 0; i < 5; i++)
        json_put_object_end(w);
    json_put_key(w, "default");
    json_put_raw(
        w, LIT("{\"description\":\"error\",\"content\":{\"application/json\":{\"schema\":{\"$ref\":"
               "\"#/components/schemas/Error\"}}}}"));
    json_put_object_end(w);
}

static enum code put_model(struct request *r, struct json_out *w, const struct live_info *v,
                           struct err *e) {
    char *path = arena_printf(r->arena, "/predict/%.*s", STR(v->model));
    char *summary =
        arena_printf(r->arena, "%.*s, version %llu", STR(v->model), (unsigned long long)v->version);
    char *id = arena_printf(r->arena, "predict_%.*s", STR(v->model));
    if (!path || !summary || !id)
        return arena_fail(r->arena, 256, "openapi", e);
    json_put_key(w, path);
    json_put_object(w);
    json_put_key(w, "post");
    json_put_object(w);
    json_put_member_text(w, "summary", summary);
    json_put_member_text(w, "operationId", id);
    json_put_key(w, "tags");
    json_put_array(w);
    json_put_text(w, "Predict");
    json_put_array_end(w);
    put_request_body(w, v->live);
    put_answer(w, v->live);
    json_put_object_end(w);
    json_put_object_end(w);
    return OK;
}

static enum code page(struct request *r, struct err *e) {
    struct live_info *all;
    struct answer_json j;
    size_t n;
    TRY(host_list(r->host, r->arena, &all, &n, e));
    TRY(answer_json(r, &j, e));
    json_put_object(&j.w);
    json_put_member_text(&j.w, "openapi", "3.1.0");
    json_put_key(&j.w, "info");
    json_put_object(&j.w);
    json_put_member_text(&j.w, "title", "Slipway");
    json_put_member_text(&j.w, "version", SLIPWAY_VERSION);
    json_put_member_text(&j.w, "description", "Models as a service: every call of this server.");
    json_put_object_end(&j.w);
    json_put_key(&j.w, "paths");
    json_put_object(&j.w);
    for (size_t i = 0; i < n; i++)
        if (all[i].is_default && all[i].live)
            TRY(put_model(r, &j.w, &all[i], e));
    put_fixed(&j.w);
    json_put_object_end(&j.w);
    json_put_key(&j.w, "components");
    json_put_raw(&j.w, LIT("{\"schemas\":{\"Error\":{\"type\":\"object\",\"required\":[\"error\"],"
                           "\"properties\":{\"error\":"
                           "{\"type\":\"string\"}}}}}"));
    json_put_object_end(&j.w);
    return answer_json_end(r, &j, e);
}

static const struct route routes[] = {
    {ROUTE_GET, "/openapi.json", 0, page},
};

const struct protocol protocol_openapi = {
    .name = "openapi",
    .routes = routes,
    .n_routes = sizeof routes / sizeof *routes,
};
