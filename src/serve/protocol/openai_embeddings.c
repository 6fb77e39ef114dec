/* SPDX-License-Identifier: Apache-2.0 */
/* POST /v1/embeddings: docs/protocols/openai.md. An encoder is a model with an input "text" and an
 * output "embedding", so its requests go the way of every other tensor. */
#include "serve/protocol/openai.h"

#include "base/base64.h"

#include <math.h>

enum { TEXTS = 2048 }; /* in one request, as OpenAI */

struct notes {
    struct str model;
    bool base64;
    int64_t dimensions; /* 0: all */
    size_t n;
    size_t tokens;
};

static enum code take_texts(struct request *r, struct json *j, struct notes *notes, struct err *e) {
    struct json_tensor shape;
    struct buf *texts = answer_buf(r, 64, e);
    if (!texts)
        return e->code;
    if (json_peek(j) != JSON_STRING && json_peek(j) != JSON_ARRAY)
        return json_fail(j, e, "input: a text or a list of texts is expected");
    TRY(json_strings(j, texts, &shape, e));
    if (shape.rank > 1 || shape.count == 0 || shape.count > TEXTS)
        return json_fail(j, e, "input: from 1 to %d texts are expected", TEXTS);
    struct ask_tensor *in = ARENA_NEW(r->arena, struct ask_tensor);
    if (!in)
        return arena_fail(r->arena, sizeof *in, "input", e);
    in->name = LIT("text");
    in->tensor = (struct tensor){
        .dtype = DT_STRING, .shape = {.rank = 1, .dims = {(int64_t)shape.count}}, .data = texts->p};
    notes->n = shape.count;
    r->ask.inputs = in;
    r->ask.n_inputs = 1;
    return OK;
}

static enum code take_member(struct request *r, struct json *j, struct str key, struct notes *notes,
                             struct err *e) {
    struct str format;
    if (str_is(key, "model") && json_peek(j) == JSON_STRING)
        return json_string(j, &notes->model, e);
    if (str_is(key, "input"))
        return take_texts(r, j, notes, e);
    if (str_is(key, "dimensions") && json_peek(j) == JSON_NUMBER)
        return json_i64(j, &notes->dimensions, e);
    if (str_is(key, "encoding_format") && json_peek(j) == JSON_STRING) {
        TRY(json_string(j, &format, e));
        notes->base64 = str_is(format, "base64");
        return notes->base64 || str_is(format, "float")
                   ? OK
                   : json_fail(j, e, "encoding_format is float or base64");
    }
    return json_skip(j, NULL, e);
}

static enum code decode(struct request *r, struct err *e) {
    struct json j;
    struct str key;
    bool more;
    struct notes *notes = ARENA_NEW(r->arena, struct notes);
    if (!notes)
        return arena_fail(r->arena, sizeof *notes, "request", e);
    r->notes = notes;
    json_init(&j, (struct str){(const char *)r->body.p, r->body.n}, r->arena);
    TRY(json_enter_object(&j, e));
    for (;;) {
        TRY(json_next_key(&j, &key, &more, e));
        if (!more)
            break;
        TRY(take_member(r, &j, key, notes, e));
    }
    TRY(json_end(&j, e));
    if (notes->n == 0)
        return fail(e, INVALID, "\"input\" is missing");
    TRY(talk_route(r, notes->model, e));
    const struct language *l = live_language(r->ask.live);
    if (!l || !l->encoder)
        return fail(e, INVALID, "'%.*s' does not embed text", STR(r->ask.model));
    return OK;
}

/* Matryoshka: the first dimensions, made of length 1 again. */
static void shorten(float *v, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)v[i] * (double)v[i];
    for (int64_t i = 0; sum > 0 && i < n; i++)
        v[i] = (float)((double)v[i] / sqrt(sum));
}

static enum code put_vector(struct request *r, struct json_out *w, float *v, int64_t n,
                            struct err *e) {
    const struct notes *notes = r->notes;
    json_put_key(w, "embedding");
    if (!notes->base64) {
        json_put_tensor(w, JN_F32, v, 1, &n);
        return OK;
    }
    struct buf *b = answer_buf(r, (size_t)n * 6, e);
    if (!b)
        return e->code;
    base64_put((struct span){(const uint8_t *)v, (size_t)n * sizeof *v}, b);
    json_put_str(w, buf_str(b));
    return buf_check(b, "embedding", e);
}

static enum code encode(struct request *r, struct err *e) {
    const struct notes *notes = r->notes;
    const struct tensor *t = &r->ask.outputs[0].tensor;
    int64_t width = t->shape.dims[1], n = width;
    const int32_t *tokens = r->ask.n_outputs > 1 ? r->ask.outputs[1].tensor.data : NULL;
    int64_t total = 0;
    struct answer_json j;
    if (notes->dimensions < 0 || notes->dimensions > width)
        return fail(e, INVALID, "dimensions is %lld: the model has %lld",
                    (long long)notes->dimensions, (long long)width);
    if (notes->dimensions)
        n = notes->dimensions;
    TRY(answer_json(r, &j, e));
    json_put_object(&j.w);
    json_put_member_text(&j.w, "object", "list");
    json_put_key(&j.w, "data");
    json_put_array(&j.w);
    for (int64_t i = 0; i < t->shape.dims[0]; i++) {
        float *v = (float *)t->data + i * width;
        if (n < width)
            shorten(v, n);
        json_put_object(&j.w);
        json_put_member_text(&j.w, "object", "embedding");
        json_put_member_i64(&j.w, "index", i);
        TRY(put_vector(r, &j.w, v, n, e));
        json_put_object_end(&j.w);
        total += tokens ? tokens[i] : 0;
    }
    json_put_array_end(&j.w);
    json_put_member_str(&j.w, "model", notes->model.n ? notes->model : r->ask.model);
    json_put_key(&j.w, "usage");
    json_put_object(&j.w);
    json_put_member_i64(&j.w, "prompt_tokens", total);
    json_put_member_i64(&j.w, "total_tokens", total);
    json_put_object_end(&j.w);
    json_put_object_end(&j.w);
    return answer_json_end(r, &j, e);
}

static const struct route routes[] = {
    {ROUTE_POST, "/v1/embeddings", ROUTE_TEXT, NULL},
    {ROUTE_POST, "/embeddings", ROUTE_TEXT, NULL},
};

const struct protocol protocol_openai_embeddings = {
    .name = "openai",
    .routes = routes,
    .n_routes = sizeof routes / sizeof *routes,
    .decode = decode,
    .encode = encode,
    .error = openai_error,
};
