/* SPDX-License-Identifier: Apache-2.0 */
/* POST /v1/embeddings: docs/protocols/openai.md. */
#include "serve/protocol/openai.h"

#include "base/base64.h"
#include "serve/protocol/embedding.h"

struct notes {
    struct embedding asked; /* first: what embedding_read is handed */
    bool base64;
};

static enum code take_format(struct embedding *n, struct json *j, struct str key, struct err *e) {
    struct notes *notes = (struct notes *)n;
    struct str format;
    if (!str_is(key, "encoding_format") || json_peek(j) != JSON_STRING)
        return json_skip(j, NULL, e);
    TRY(json_string(j, &format, e));
    notes->base64 = str_is(format, "base64");
    return notes->base64 || str_is(format, "float")
               ? OK
               : json_fail(j, e, "encoding_format is float or base64");
}

static enum code decode(struct request *r, struct err *e) {
    struct notes *n = ARENA_NEW(r->arena, struct notes);
    if (!n)
        return arena_fail(r->arena, sizeof *n, "request", e);
    r->notes = n;
    TRY(embedding_read(r, "input", take_format, &n->asked, e));
    TRY(talk_route(r, n->asked.model, e));
    return embedding_ask(r, &n->asked, e);
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
    const struct notes *n = r->notes;
    struct embedding_answer a;
    struct answer_json j;
    TRY(embedding_take(r, &n->asked, &a, e));
    TRY(answer_json(r, &j, e));
    json_put_object(&j.w);
    json_put_member_text(&j.w, "object", "list");
    json_put_key(&j.w, "data");
    json_put_array(&j.w);
    for (int64_t i = 0; i < a.n; i++) {
        json_put_object(&j.w);
        json_put_member_text(&j.w, "object", "embedding");
        json_put_member_i64(&j.w, "index", i);
        TRY(put_vector(r, &j.w, a.v + i * a.stride, a.width, e));
        json_put_object_end(&j.w);
    }
    json_put_array_end(&j.w);
    json_put_member_str(&j.w, "model", n->asked.model.n ? n->asked.model : r->ask.model);
    json_put_key(&j.w, "usage");
    json_put_object(&j.w);
    json_put_member_i64(&j.w, "prompt_tokens", a.tokens);
    json_put_member_i64(&j.w, "total_tokens", a.tokens);
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
