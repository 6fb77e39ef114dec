/* SPDX-License-Identifier: Apache-2.0 */
/* /openapi.json: OpenAPI 3.1 of what is served now. The paths every server has come from the
 * protocols' own routes, so that none is forgotten; one path per served model comes from its
 * signature, so that generated clients have a typed call for each.
 *
 * TorchServe's clients ask by OPTIONS: of / for all of it, of /predictions/M for one model. */
#include "serve/protocol/protocol.h"

#include "serve/answer.h"
#include "serve/protocol/datatype.h"

/* --- what every server has: the table of routes itself --- */

#define ANYTHING "{}"
#define ROWS                                                                                       \
    "{\"type\":\"object\",\"properties\":{\"signature_name\":{\"type\":\"string\"},\"instances\":" \
    "{"                                                                                            \
    "\"type\":\"array\"},\"inputs\":{}}}"
#define EXAMPLES                                                                                   \
    "{\"type\":\"object\",\"required\":[\"examples\"],\"properties\":{\"context\":{\"type\":"      \
    "\"object\"},"                                                                                 \
    "\"examples\":{\"type\":\"array\",\"items\":{\"type\":\"object\"}}}}"
#define INFER                                                                                      \
    "{\"type\":\"object\",\"required\":[\"inputs\"],\"properties\":{\"id\":{\"type\":\"string\"}," \
    "\"parameters\":{\"type\":\"object\"},\"inputs\":{\"type\":\"array\",\"items\":{\"type\":"     \
    "\"object\",\"required\":[\"name\",\"shape\",\"datatype\"],\"properties\":{\"name\":{"         \
    "\"type\":"                                                                                    \
    "\"string\"},\"shape\":{\"type\":\"array\",\"items\":{\"type\":\"integer\"}},\"datatype\":{"   \
    "\"type\":\"string\"},\"parameters\":{\"type\":\"object\"},\"data\":{\"type\":\"array\"}}}},"  \
    "\"outputs\":{\"type\":\"array\"}}}"
#define SCORE                                                                                      \
    "{\"type\":\"object\",\"properties\":{\"dataframe_split\":{\"type\":\"object\"},"              \
    "\"dataframe_records\":{\"type\":\"array\"},\"instances\":{\"type\":\"array\"},\"inputs\":{}," \
    "\"params\":{\"type\":\"object\"}}}"

/* What is known about routes beyond their path; the first row whose text ends the path. */
static const struct words {
    const char *ends, *summary;
    const char *body; /* JSON schema; NULL: none */
} words[] = {
    {":predict", "TensorFlow Serving: rows (instances) or columns (inputs)", ROWS},
    {":classify", "TensorFlow Serving: labels and scores", EXAMPLES},
    {":regress", "TensorFlow Serving: a number a row", EXAMPLES},
    {":explain", "Refused: nothing here explains", ANYTHING},
    {"/metadata", "TensorFlow Serving: signature", NULL},
    {"/infer", "Inference; binary tensors with Inference-Header-Content-Length", INFER},
    {"/stats", "Counts and durations", NULL},
    {"/config", "Configuration in Triton's form", NULL},
    {"/index", "All versions", ANYTHING},
    {"/load", "Load a model", ANYTHING},
    {"/unload", "Unload a model", ANYTHING},
    {"/ready", "It answers", NULL},
    {"/live", "The process answers", NULL},
    {"/register", "Register shared memory", ANYTHING},
    {"/setting", "Trace settings", ANYTHING},
    {"/logging", "Log settings", ANYTHING},
    {"/invocations", "MLflow scoring, SageMaker", SCORE},
    {"/invoke", "TorchServe: a prediction", ANYTHING},
    {"/set-default", "TorchServe: the default version", NULL},
    {"/metrics", "Prometheus text", NULL},
    {"/healthz", "The process answers", NULL},
    {"/readyz", "Everything asked for is loaded", NULL},
    {"/predict", "The only model; or what is served", ANYTHING},
};

static const struct words *words_of(const char *path) {
    static const struct words none = {"", NULL, NULL}, any = {"", NULL, ANYTHING};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (str_ends(str_of(path), words[i].ends))
            return &words[i];
    bool body = str_starts(str_of(path), "/predict") || str_starts(str_of(path), "/models");
    return body ? &any : &none;
}

static void put_parameters(struct json_out *w, const char *path) {
    json_put_key(w, "parameters");
    json_put_array(w);
    while ((path = strchr(path, '{')) != NULL) {
        size_t n = strcspn(++path, "}");
        json_put_object(w);
        json_put_member_str(w, "name", (struct str){path, n});
        json_put_member_text(w, "in", "path");
        json_put_member_bool(w, "required", true);
        json_put_key(w, "schema");
        json_put_raw(w, LIT("{\"type\":\"string\"}"));
        json_put_object_end(w);
    }
    json_put_array_end(w);
}

static void put_json_body(struct json_out *w, const char *schema) {
    json_put_key(w, "requestBody");
    json_put_object(w);
    json_put_member_bool(w, "required", strcmp(schema, ANYTHING) != 0);
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
        w, LIT("{\"200\":{\"description\":\"OK\"},\"default\":{\"description\":\"What is wrong, "
               "where, what to do\",\"content\":{\"application/json\":{\"schema\":{\"type\":"
               "\"object\"}}}}}"));
}

static void put_operation(struct json_out *w, const struct protocol *p, const struct route *route,
                          const char *method) {
    const struct words *about = words_of(route->path);
    json_put_key(w, method);
    json_put_object(w);
    json_put_member_text(w, "summary", about->summary ? about->summary : route->path);
    json_put_key(w, "tags");
    json_put_array(w);
    json_put_text(w, p->name);
    json_put_array_end(w);
    put_parameters(w, route->path);
    if (about->body && (strcmp(method, "post") == 0 || strcmp(method, "put") == 0))
        put_json_body(w, about->body);
    put_responses(w);
    json_put_object_end(w);
}

/* Routes of gRPC, of the admin's own listener, and pages for people are not calls of this API. */
static bool listed(const struct route *r) {
    return !(r->flags & (ROUTE_GRPC | ROUTE_ADMIN)) && r->methods != ROUTE_OPTIONS &&
           strcmp(r->path, "/") != 0 && strcmp(r->path, "/docs") != 0 &&
           strcmp(r->path, "/openapi.json") != 0;
}

struct place { /* a route in the table */
    const struct protocol *protocol;
    const struct route *route;
};

/* All methods of the path of places[at], whichever protocol has them; the upper wins. */
static void put_path(struct json_out *w, const struct place *places, size_t n, size_t at) {
    static const struct {
        unsigned bit;
        const char *name;
    } methods[] = {
        {ROUTE_GET, "get"}, {ROUTE_POST, "post"}, {ROUTE_PUT, "put"}, {ROUTE_DELETE, "delete"}};
    json_put_key(w, places[at].route->path);
    json_put_object(w);
    for (size_t m = 0; m < sizeof methods / sizeof *methods; m++)
        for (size_t i = at; i < n; i++)
            if ((places[i].route->methods & methods[m].bit) &&
                strcmp(places[i].route->path, places[at].route->path) == 0) {
                put_operation(w, places[i].protocol, places[i].route, methods[m].name);
                break;
            }
    json_put_object_end(w);
}

static bool seen(const struct place *places, size_t at) {
    for (size_t i = 0; i < at; i++)
        if (strcmp(places[i].route->path, places[at].route->path) == 0)
            return true;
    return false;
}

static enum code put_routes(struct request *r, struct json_out *w, struct err *e) {
    size_t n_protocols, n = 0, all = 0;
    const struct protocol *const *protocols = protocol_list(&n_protocols);
    for (size_t p = 0; p < n_protocols; p++)
        all += protocols[p]->n_routes;
    struct place *places = ARENA_ARRAY(r->arena, all + 1, struct place);
    if (!places)
        return arena_fail(r->arena, all * sizeof *places, "openapi", e);
    for (size_t p = 0; p < n_protocols; p++)
        for (size_t i = 0; i < protocols[p]->n_routes; i++)
            if (listed(&protocols[p]->routes[i]))
                places[n++] = (struct place){protocols[p], &protocols[p]->routes[i]};
    for (size_t i = 0; i < n; i++)
        if (!seen(places, i))
            put_path(w, places, n, i);
    return OK;
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
            if (live_io_required(&io[i]))
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

/* `below`: "/predict/"; its answer is what an object of outputs by name is there (`answer`), or
 * whatever it is. */
static enum code put_model(struct request *r, struct json_out *w, const struct live *l,
                           const char *below,
                           void (*answer)(struct json_out *, const struct live *), struct err *e) {
    char *path = arena_printf(r->arena, "%s%.*s", below, STR(live_model(l)));
    char *summary = arena_printf(r->arena, "%.*s, version %llu", STR(live_model(l)),
                                 (unsigned long long)live_version(l));
    char *id = arena_printf(r->arena, "predict_%.*s", STR(live_model(l)));
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
    put_request_body(w, l);
    answer(w, l);
    json_put_object_end(w);
    json_put_object_end(w);
    return OK;
}

/* --- the pages --- */

static enum code begin(struct request *r, struct answer_json *j, struct err *e) {
    TRY(answer_json(r, j, e));
    json_put_object(&j->w);
    json_put_member_text(&j->w, "openapi", "3.1.0");
    json_put_key(&j->w, "info");
    json_put_object(&j->w);
    json_put_member_text(&j->w, "title", "Slipway");
    json_put_member_text(&j->w, "version", SLIPWAY_VERSION);
    json_put_member_text(&j->w, "description", "Models as a service: every call of this server.");
    json_put_object_end(&j->w);
    json_put_key(&j->w, "paths");
    json_put_object(&j->w);
    return OK;
}

static enum code end(struct request *r, struct answer_json *j, struct err *e) {
    json_put_object_end(&j->w);
    json_put_key(&j->w, "components");
    json_put_raw(&j->w, LIT("{\"schemas\":{\"Error\":{\"type\":\"object\",\"required\":[\"error\"],"
                            "\"properties\":{\"error\":"
                            "{\"type\":\"string\"}}}}}"));
    json_put_object_end(&j->w);
    return answer_json_end(r, j, e);
}

static enum code page(struct request *r, struct err *e) {
    struct live_info *all;
    struct answer_json j;
    size_t n;
    TRY(host_list(r->host, r->arena, &all, &n, e));
    TRY(begin(r, &j, e));
    for (size_t i = 0; i < n; i++)
        if (all[i].is_default && all[i].live)
            TRY(put_model(r, &j.w, all[i].live, "/predict/", put_answer, e));
    TRY(put_routes(r, &j.w, e));
    return end(r, &j, e);
}

static void put_any_answer(struct json_out *w, const struct live *l) {
    (void)l;
    put_responses(w);
}

static enum code one_model(struct request *r, struct err *e) {
    struct answer_json j;
    TRY(request_route(r, e));
    TRY(begin(r, &j, e));
    TRY(put_model(r, &j.w, r->ask.live, "/predictions/", put_any_answer, e));
    return end(r, &j, e);
}

static const struct route routes[] = {
    {ROUTE_GET, "/openapi.json", 0, page},
    {ROUTE_OPTIONS, "/", 0, page},
    {ROUTE_OPTIONS, "/predictions/{model}", 0, one_model},
};

const struct protocol protocol_openapi = {
    .name = "openapi",
    .routes = routes,
    .n_routes = sizeof routes / sizeof *routes,
};
