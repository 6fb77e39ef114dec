/* SPDX-License-Identifier: Apache-2.0 */
/* MLflow's scoring server, and the containers of SageMaker and Vertex AI, which ask for little
 * else: docs/protocols/mlflow.md.
 *
 *   POST /invocations   JSON with one of dataframe_split, dataframe_records, instances, inputs;
 * CSV; of SageMaker also .npy-free JSON arrays and images GET  /version, /health; /ping is
 * health.c's
 *
 * 1. The model is the only one served, else ?model=NAME, or X-Amzn-SageMaker-Target-Model.
 * 2. The answer is {"predictions": ...}: the tensor; of several outputs rows of them for a frame or
 * instances, an object of tensors for inputs.
 * 3. NaN and infinities are bare words, as Python's json writes them. */
#include "serve/protocol/protocol.h"

#include "serve/answer.h"
#include "serve/frame.h"
#include "serve/image.h"
#include "serve/media.h"
#include "serve/records.h"
#include "serve/selector.h"
#include "serve/typed.h"

#define MLFLOW_VERSION "3.0.0" /* of the contract: clients compare it with none of their own */

struct notes {
    bool rows; /* the request was rows: so is the answer */
};

/* --- which model --- */

static enum code find_live(struct request *r, struct err *e) {
    struct str name;
    if (http_query_get(&r->x->request, "model", r->arena, &name) ||
        http_query_get(&r->x->request, "model_name", r->arena, &name))
        r->ask.model = name;
    else
        r->ask.model = http_header_get(&r->x->request, "x-amzn-sagemaker-target-model");
    if (r->ask.model.n == 0)
        TRY(selector_sole(r, "POST /invocations?model=NAME", e));
    TRY(selector_split(r, e));
    return request_route(r, e);
}

/* --- JSON --- */

static enum code take_key(struct request *r, struct json *j, struct str key, struct err *e) {
    struct notes *notes = r->notes;
    static const char *const forms[] = {"dataframe_split", "dataframe_records", "instances",
                                        "inputs"};
    int form = -1;
    for (int i = 0; i < 4; i++)
        if (str_is(key, forms[i]))
            form = i;
    if (form < 0) /* "params", and Vertex's "parameters" */
        return json_skip(j, NULL, e);
    if (r->ask.inputs)
        return json_fail(j, e,
                         "The input must be a JSON dictionary with exactly one of the input fields "
                         "{'dataframe_split', 'dataframe_records', 'instances', 'inputs'}");
    notes->rows = form != 3;
    switch (form) {
    case 0: return frame_split(r, j, e);
    case 1: return frame_records(r, j, e);
    case 2: return records_rows(r, j, e);
    default: return records_columns(r, j, e);
    }
}

static enum code take_json(struct request *r, struct err *e) {
    struct notes *notes = r->notes;
    struct json j;
    struct str key;
    bool more;
    json_init(&j, (struct str){(const char *)r->body.p, r->body.n}, r->arena);
    j.allow_nan = true;
    if (json_peek(&j) == JSON_ARRAY) { /* SageMaker's containers take bare arrays */
        notes->rows = true;
        TRY(records_rows(r, &j, e));
        return json_end(&j, e);
    }
    TRY(json_enter_object(&j, e));
    for (;;) {
        TRY(json_next_key(&j, &key, &more, e));
        if (!more)
            break;
        TRY(take_key(r, &j, key, e));
    }
    if (!r->ask.inputs)
        return json_fail(&j, e,
                         "The input must be a JSON dictionary with exactly one of the input fields "
                         "{'dataframe_split', 'dataframe_records', 'instances', 'inputs'}");
    return json_end(&j, e);
}

/* --- the request --- */

static bool is_type(struct str header, const char *type) {
    size_t n = strlen(type);
    return header.n >= n && str_eq_nocase(str_sub(header, 0, n), str_of(type)) &&
           (header.n == n || header.p[n] == ';' || header.p[n] == ' ');
}

static enum code take_body(struct request *r, struct err *e) {
    struct notes *notes = r->notes;
    struct str type = http_header_get(&r->x->request, "content-type");
    notes->rows = true;
    if (image_kind(r->body) != IMAGE_NONE)
        return media_take(r, NULL, r->body, e);
    if (is_type(type, "text/csv"))
        return frame_csv(r, (struct str){(const char *)r->body.p, r->body.n}, false, e);
    if (is_type(type, "application/json"))
        return take_json(r, e);
    return fail(e, MEDIA_TYPE,
                "This predictor only supports the following content types: Types: ['text/csv', "
                "'application/json']. Got '%.*s'.",
                STR(str_sub(type, 0, 100)));
}

static enum code decode(struct request *r, struct err *e) {
    struct notes *notes = ARENA_NEW(r->arena, struct notes);
    if (!notes)
        return arena_fail(r->arena, sizeof *notes, "request", e);
    r->notes = notes;
    TRY(find_live(r, e));
    return take_body(r, e);
}

/* --- the answer --- */

static bool same_rows(const struct ask *a, int64_t *rows) {
    for (size_t i = 0; i < a->n_outputs; i++) {
        const struct shape *s = &a->outputs[i].tensor.shape;
        if (s->rank == 0 || (i && s->dims[0] != *rows))
            return false;
        *rows = s->dims[0];
    }
    return true;
}

static void put_predictions(struct json_out *w, const struct ask *a, bool by_row) {
    int64_t rows = 0;
    if (a->n_outputs == 1) {
        typed_put_output(w, &a->outputs[0], TYPED_PLAIN);
        return;
    }
    if (!by_row || !same_rows(a, &rows)) {
        json_put_object(w);
        for (size_t i = 0; i < a->n_outputs; i++) {
            json_put_key_str(w, a->outputs[i].name);
            typed_put_output(w, &a->outputs[i], TYPED_PLAIN);
        }
        json_put_object_end(w);
        return;
    }
    json_put_array(w);
    for (int64_t row = 0; row < rows; row++) {
        json_put_object(w);
        for (size_t i = 0; i < a->n_outputs; i++) {
            json_put_key_str(w, a->outputs[i].name);
            typed_put_output_row(w, &a->outputs[i], (size_t)row, TYPED_PLAIN);
        }
        json_put_object_end(w);
    }
    json_put_array_end(w);
}

static enum code encode(struct request *r, struct err *e) {
    const struct notes *notes = r->notes;
    struct ask *a = &r->ask;
    struct json_out w;
    size_t bytes = 64;
    for (size_t i = 0; i < a->n_outputs; i++) {
        TRY(typed_writable(r->arena, &a->outputs[i].tensor, e));
        bytes += typed_text_bytes(&a->outputs[i].tensor);
    }
    struct buf *b = answer_buf(r, bytes, e);
    if (!b)
        return e->code;
    json_out_init(&w, b, 0);
    json_put_object(&w);
    json_put_key(&w, "predictions");
    put_predictions(&w, a, notes->rows);
    json_put_object_end(&w);
    answer_type(r, 200, ANSWER_JSON);
    return answer_part(r, b, e);
}

/* MLflow's own names for what went wrong. */
static void put_error(const struct request *r, const struct err *e, struct json_out *w) {
    const char *name = "INTERNAL_ERROR";
    (void)r;
    switch (err_http(e->code)) {
    case 400:
    case 413:
    case 415:
    case 422: name = "BAD_REQUEST"; break;
    case 401: name = "UNAUTHENTICATED"; break;
    case 403: name = "PERMISSION_DENIED"; break;
    case 404: name = "RESOURCE_DOES_NOT_EXIST"; break;
    case 429: name = "REQUEST_LIMIT_EXCEEDED"; break;
    case 501: name = "NOT_IMPLEMENTED"; break;
    case 503: name = "TEMPORARILY_UNAVAILABLE"; break;
    default: break;
    }
    json_put_object(w);
    json_put_member_text(w, "error_code", name);
    json_put_member_text(w, "message", e->text);
    json_put_object_end(w);
}

/* --- pages --- */

static enum code version(struct request *r, struct err *e) {
    (void)e;
    answer_type(r, 200, ANSWER_JSON); /* the bare text, under that type: so MLflow does */
    answer_span(r, (struct span){(const uint8_t *)MLFLOW_VERSION, sizeof MLFLOW_VERSION - 1});
    return OK;
}

static enum code health(struct request *r, struct err *e) {
    (void)e;
    answer_type(r, request_ready(r) ? 200 : 503, ANSWER_JSON);
    answer_span(r, (struct span){(const uint8_t *)"\n", 1});
    return OK;
}

static const struct route routes[] = {
    {ROUTE_POST, "/invocations", ROUTE_IMAGE, NULL},
    {ROUTE_GET, "/version", ROUTE_OPEN, version},
    {ROUTE_GET, "/health", ROUTE_OPEN | ROUTE_QUIET, health},
};

const struct protocol protocol_mlflow = {
    .name = "mlflow",
    .routes = routes,
    .n_routes = sizeof routes / sizeof *routes,
    .decode = decode,
    .encode = encode,
    .error = put_error,
};
