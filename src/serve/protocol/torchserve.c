/* SPDX-License-Identifier: Apache-2.0 */
/* TorchServe's inference API: docs/protocols/torchserve.md. Management is torchmodels.c, /ping
 * health.c.
 *
 *   any  /predictions/M[/VERSION]    a prediction: a form's "data" or "body", or the raw body
 *   POST /models/M/invoke            the same
 *   any  /explanations/M[/VERSION]   refused: nothing here explains
 *   gRPC InferenceAPIsService        Ping, Predictions, StreamPredictions, StreamPredictions2
 *
 * 1. VERSION is a number, TorchServe's "1.0" (the number before ".0"), or an alias.
 * 2. The answer is what the built-in handlers answer: {"label": score} of classes, a list of
 * {"label": [x0,y0,x1,y1], "score": s} of boxes, bare text; otherwise the row's values (of several
 * rows: all), an object of them when there are several outputs.
 * 3. A gRPC request's input is a map: its entry "data" or "body", when it is alone, is what a body
 * is over HTTP, others are inputs by name. A model has one answer: streams carry one per request.
 */
#include "serve/protocol/torch.h"

#include "base/pb.h"
#include "serve/answer.h"
#include "serve/body.h"
#include "serve/media.h"
#include "serve/typed.h"

enum { MODEL_NAME = 1, MODEL_VERSION = 2, INPUT = 3, SEQUENCE_ID = 4 }; /* PredictionsRequest */
enum { SEQUENCE_BACK = 2 };                                             /* PredictionResponse */

static enum code find_live(struct request *r, struct err *e) {
    torch_version(r);
    enum code code = request_route(r, e);
    return code == ERR_NOT_FOUND ? torch_unknown(r, e) : code;
}

/* --- gRPC's messages --- */

/* Who is asked, and which sequence the call belongs to. */
static enum code take_names(struct request *r, struct str *sequence, size_t *entries,
                            struct err *e) {
    struct pb_field f;
    struct pb p;
    bool more;
    pb_init(&p, r->body);
    for (*entries = 0;;) {
        TRY(pb_next(&p, &f, &more, e));
        if (!more)
            return OK;
        if (f.number == MODEL_NAME)
            TRY(pb_str(&f, &r->model, e));
        else if (f.number == MODEL_VERSION)
            TRY(pb_str(&f, &r->label, e));
        else if (f.number == SEQUENCE_ID)
            TRY(pb_str(&f, sequence, e));
        *entries += f.number == INPUT;
    }
}

/* One entry of map<string, bytes>; `alone`: what it holds is the whole body, whatever it is. */
static enum code take_entry(struct request *r, const struct pb_field *entry, bool alone,
                            struct err *e) {
    struct span value = {0};
    struct str key = {0};
    struct pb_field f;
    struct pb p;
    bool more;
    TRY(pb_sub(entry, &p, e));
    for (;;) {
        TRY(pb_next(&p, &f, &more, e));
        if (!more)
            break;
        if (f.number == 1)
            TRY(pb_str(&f, &key, e));
        else if (f.number == 2)
            TRY(pb_bytes(&f, &value, e));
    }
    if (!alone || !(str_is(key, "data") || str_is(key, "body")))
        return body_part(r, key, value, e);
    r->body = value;
    return body_take(r, e);
}

static enum code decode_grpc(struct request *r, struct err *e) {
    struct pb_field f;
    struct pb p;
    struct str sequence = {0}, *kept = ARENA_NEW(r->arena, struct str);
    size_t entries;
    bool more;
    if (!kept)
        return arena_fail(r->arena, sizeof *kept, "request", e);
    pb_init(&p, r->body);
    TRY(take_names(r, &sequence, &entries, e));
    *kept = sequence;
    r->notes = kept;
    r->ask.model = r->model;
    TRY(find_live(r, e));
    for (;;) {
        TRY(pb_next(&p, &f, &more, e));
        if (!more)
            break;
        if (f.number == INPUT)
            TRY(take_entry(r, &f, entries == 1, e));
    }
    return entries ? OK : fail(e, INVALID, "the request has no input");
}

static enum code decode(struct request *r, struct err *e) {
    if (r->grpc)
        return decode_grpc(r, e);
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

static void put_value(struct json_out *w, const struct ask_tensor *o) {
    if (o->tensor.shape.rank > 0 && o->tensor.shape.dims[0] == 1)
        typed_put_output_row(w, o, 0, TYPED_PLAIN);
    else
        typed_put_output(w, o, TYPED_PLAIN);
}

static void put_tensors(struct json_out *w, const struct ask *a) {
    if (a->n_outputs == 1) {
        put_value(w, &a->outputs[0]);
        return;
    }
    json_put_object(w);
    for (size_t i = 0; i < a->n_outputs; i++) {
        json_put_key_str(w, a->outputs[i].name);
        put_value(w, &a->outputs[i]);
    }
    json_put_object_end(w);
}

static enum code write_answer(struct request *r, struct err *e) {
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

/* PredictionResponse: what HTTP would answer, as bytes, and the sequence it was asked for. */
static enum code encode(struct request *r, struct err *e) {
    TRY(write_answer(r, e));
    TRY(torch_wrap(r, e));
    const struct str *sequence = r->notes;
    if (!r->grpc || !sequence->n)
        return OK;
    struct buf *b = answer_buf(r, sequence->n + 8, e);
    if (!b)
        return e->code;
    pb_put_str(b, SEQUENCE_BACK, *sequence);
    return answer_part(r, b, e);
}

static enum code explain(struct request *r, struct err *e) {
    TRY(find_live(r, e));
    return fail(e, UNSUPPORTED, "Explanations are not supported: model %.*s has no explainer",
                STR(r->model));
}

/* TorchServeHealthResponse */
static enum code ping(struct request *r, struct err *e) {
    struct str text = request_ready(r) ? LIT("{\n  \"status\": \"Healthy\"\n}\n")
                                       : LIT("{\n  \"status\": \"Unhealthy\"\n}\n");
    answer_span(r, (struct span){(const uint8_t *)text.p, text.n});
    return torch_wrap(r, e);
}

#define METHOD(name, flags, page)                                                                  \
    {                                                                                              \
        ROUTE_POST, "/org.pytorch.serve.grpc.inference.InferenceAPIsService/" name,                \
            ROUTE_GRPC | (flags), page                                                             \
    }
enum { ANY = ROUTE_POST | ROUTE_PUT };
static const struct route routes[] = {
    {ANY, "/predictions/{model}", ROUTE_IMAGE, NULL},
    {ANY, "/predictions/{model}/{label}", ROUTE_IMAGE, NULL},
    {ROUTE_POST, "/models/{model}/invoke", ROUTE_IMAGE, NULL},
    {ANY, "/explanations/{model}", 0, explain},
    {ANY, "/explanations/{model}/{label}", 0, explain},
    METHOD("Ping", ROUTE_OPEN | ROUTE_QUIET, ping),
    METHOD("Predictions", ROUTE_IMAGE, NULL),
    METHOD("StreamPredictions", ROUTE_BIDI | ROUTE_IMAGE, NULL),
    METHOD("StreamPredictions2", ROUTE_BIDI | ROUTE_IMAGE, NULL),
};

const struct protocol protocol_torchserve = {
    .name = "torchserve",
    .routes = routes,
    .n_routes = sizeof routes / sizeof *routes,
    .decode = decode,
    .encode = encode,
    .error = torch_error,
};
