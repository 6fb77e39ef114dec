/* SPDX-License-Identifier: Apache-2.0 */
/* TorchServe's inference API: docs/protocols/torchserve.md. Management is torchmodels.c, /ping
 * health.c.
 *
 *   any  /predictions/M[/VERSION]    a prediction: a form's "data" or "body", or the raw body
 *   POST /models/M/invoke            the same
 *   any  /explanations/M[/VERSION]   refused: nothing here explains
 *
 * 1. VERSION is a number, TorchServe's "1.0" (the number before ".0"), or an alias.
 * 2. The answer is what the built-in handlers answer: {"label": score} of classes, a list of
 * {"label": [x0,y0,x1,y1], "score": s} of boxes, bare text; otherwise the row's values (of several
 * rows: all), an object of them when there are several outputs. */
#include "serve/protocol/protocol.h"

#include "serve/answer.h"
#include "serve/body.h"
#include "serve/media.h"
#include "serve/typed.h"

/* --- which version --- */

static enum code find_live(struct request *r, struct err *e) {
    struct str v = r->label;
    size_t dot;
    r->ask.alias = (struct str){0};
    if (v.n && str_find(v, '.', &dot) && str_is(str_sub(v, dot, v.n), ".0"))
        v = str_sub(v, 0, dot);
    if (v.n && !str_to_u64(v, &r->ask.version))
        r->ask.alias = v;
    enum code code = request_route(r, e);
    if (code == ERR_NOT_FOUND)
        return v.n ? fail(e, NOT_FOUND, "Model version: %.*s does not exist for model: %.*s",
                          STR(r->label), STR(r->model))
                   : fail(e, NOT_FOUND, "Model not found: %.*s", STR(r->model));
    return code;
}

static enum code decode(struct request *r, struct err *e) {
    TRY(find_live(r, e));
    return body_take(r, e);
}

/* --- the answer --- */

static const struct tensor *output(const struct ask *a, const char *name) {
    for (size_t i = 0; i < a->n_outputs; i++)
        if (str_is(a->outputs[i].name, name))
            return &a->outputs[i].tensor;
    return NULL;
}

static void put_score(struct json_out *w, const struct tensor *scores, size_t at) {
    json_put_f32(w, ((const float *)scores->data)[at]);
}

/* {"tabby": 0.46, "tiger_cat": 0.3} */
static void put_classes(struct json_out *w, const struct ask *a, size_t row) {
    const struct tensor *classes = output(a, "classes"), *scores = output(a, "scores");
    size_t k = (size_t)classes->shape.dims[1];
    json_put_object(w);
    for (size_t i = row * k; i < (row + 1) * k; i++) {
        json_put_key_str(w, ((const struct str *)classes->data)[i]);
        put_score(w, scores, i);
    }
    json_put_object_end(w);
}

/* [{"person": [1, 2, 30, 40], "score": 0.99}] */
static void put_boxes(struct json_out *w, const struct ask *a, size_t row) {
    const struct tensor *boxes = output(a, "boxes"), *classes = output(a, "classes"),
                        *scores = output(a, "scores");
    size_t k = (size_t)classes->shape.dims[1];
    const int64_t four = 4;
    json_put_array(w);
    for (size_t i = row * k; i < (row + 1) * k; i++) {
        struct str label = ((const struct str *)classes->data)[i];
        if (label.n == 0)
            break;
        json_put_object(w);
        json_put_key_str(w, label);
        json_put_tensor(w, JN_F32, (const float *)boxes->data + 4 * i, 1, &four);
        json_put_key(w, "score");
        put_score(w, scores, i);
        json_put_object_end(w);
    }
    json_put_array_end(w);
}

static void put_rows(struct json_out *w, const struct ask *a,
                     void (*put)(struct json_out *, const struct ask *, size_t)) {
    size_t rows = (size_t)output(a, "scores")->shape.dims[0];
    if (rows != 1)
        json_put_array(w);
    for (size_t row = 0; row < rows; row++)
        put(w, a, row);
    if (rows != 1)
        json_put_array_end(w);
}

static void put_value(struct json_out *w, const struct tensor *t) {
    if (t->shape.rank > 0 && t->shape.dims[0] == 1)
        typed_put_row(w, t, 0, TYPED_PLAIN);
    else
        typed_put(w, t, TYPED_PLAIN);
}

static void put_tensors(struct json_out *w, const struct ask *a) {
    if (a->n_outputs == 1) {
        put_value(w, &a->outputs[0].tensor);
        return;
    }
    json_put_object(w);
    for (size_t i = 0; i < a->n_outputs; i++) {
        json_put_key_str(w, a->outputs[i].name);
        put_value(w, &a->outputs[i].tensor);
    }
    json_put_object_end(w);
}

static enum code encode(struct request *r, struct err *e) {
    struct ask *a = &r->ask;
    struct json_out w;
    size_t bytes = 64;
    bool named = r->media && r->media->named;
    const struct tensor *text = named ? output(a, "text") : NULL;
    if (text && tensor_count(text) == 1) {
        struct str line = *(const struct str *)text->data;
        answer_type(r, 200, LIT("text/plain; charset=utf-8"));
        answer_span(r, (struct span){(const uint8_t *)line.p, line.n});
        return OK;
    }
    for (size_t i = 0; i < a->n_outputs; i++) {
        TRY(typed_writable(r->arena, &a->outputs[i].tensor, e));
        bytes += typed_text_bytes(&a->outputs[i].tensor);
    }
    struct buf *b = answer_buf(r, bytes, e);
    if (!b)
        return e->code;
    json_out_init(&w, b, 0);
    if (named && output(a, "boxes"))
        put_rows(&w, a, put_boxes);
    else if (named && output(a, "classes"))
        put_rows(&w, a, put_classes);
    else
        put_tensors(&w, a);
    answer_type(r, 200, ANSWER_JSON);
    return answer_part(r, b, e);
}

static enum code explain(struct request *r, struct err *e) {
    TRY(find_live(r, e));
    return fail(e, UNSUPPORTED, "Explanations are not supported: model %.*s has no explainer",
                STR(r->model));
}

static void put_error(const struct request *r, const struct err *e, struct json_out *w) {
    const char *type = "InternalServerException";
    (void)r;
    switch (err_http(e->code)) {
    case 404:
        type = str_starts(str_of(e->text), "Model version") ? "ModelVersionNotFoundException"
                                                            : "ModelNotFoundException";
        break;
    case 400:
    case 415:
    case 422: type = "BadRequestException"; break;
    case 405: type = "MethodNotAllowedException"; break;
    case 409: type = "ConflictStatusException"; break;
    case 413: type = "RequestEntityTooLargeException"; break;
    case 401:
    case 403: type = "InvalidKeyException"; break;
    case 429:
    case 503: type = "ServiceUnavailableException"; break;
    default: break;
    }
    json_put_object(w);
    json_put_member_i64(w, "code", err_http(e->code));
    json_put_member_text(w, "type", type);
    json_put_member_text(w, "message", e->text);
    json_put_object_end(w);
}

enum { ANY = ROUTE_POST | ROUTE_PUT };
static const struct route routes[] = {
    {ANY, "/predictions/{model}", ROUTE_IMAGE, NULL},
    {ANY, "/predictions/{model}/{label}", ROUTE_IMAGE, NULL},
    {ROUTE_POST, "/models/{model}/invoke", ROUTE_IMAGE, NULL},
    {ANY, "/explanations/{model}", 0, explain},
    {ANY, "/explanations/{model}/{label}", 0, explain},
};

const struct protocol protocol_torchserve = {
    .name = "torchserve",
    .routes = routes,
    .n_routes = sizeof routes / sizeof *routes,
    .decode = decode,
    .encode = encode,
    .error = put_error,
};
