/* SPDX-License-Identifier: Apache-2.0 */
/* Ollama's POST /api/embed, and /api/embeddings as it was before: docs/protocols/ollama.md. */
#include "serve/protocol/embedding.h"
#include "serve/protocol/ollama.h"

static bool is_old(const struct request *r) {
    return str_is(r->x->request.path, "/api/embeddings");
}

static enum code member(struct embedding *n, struct json *j, struct str key, struct err *e) {
    return str_is(key, "truncate") && json_peek(j) == JSON_BOOL ? json_bool(j, &n->cut, e)
                                                                : json_skip(j, NULL, e);
}

static enum code decode(struct request *r, struct err *e) {
    struct embedding *n = ARENA_NEW(r->arena, struct embedding);
    if (!n)
        return arena_fail(r->arena, sizeof *n, "request", e);
    r->notes = n;
    TRY(embedding_read(r, is_old(r) ? "prompt" : "input", member, n, e));
    TRY(ollama_route(r, n->model, e));
    return embedding_ask(r, n, e);
}

static enum code encode(struct request *r, struct err *e) {
    const struct embedding *n = r->notes;
    struct embedding_answer a;
    struct answer_json j;
    TRY(embedding_take(r, n, &a, e));
    TRY(answer_json(r, &j, e));
    json_put_object(&j.w);
    if (is_old(r)) {
        json_put_key(&j.w, "embedding");
        json_put_tensor(&j.w, JN_F32, a.v, 1, &a.width);
        json_put_object_end(&j.w);
        return answer_json_end(r, &j, e);
    }
    json_put_member_str(&j.w, "model", n->model.n ? n->model : r->ask.model);
    json_put_key(&j.w, "embeddings");
    json_put_array(&j.w);
    for (int64_t i = 0; i < a.n; i++)
        json_put_tensor(&j.w, JN_F32, a.v + i * a.stride, 1, &a.width);
    json_put_array_end(&j.w);
    json_put_member_i64(&j.w, "total_duration", (int64_t)(r->ask.queue_ns + r->ask.compute_ns));
    json_put_member_i64(&j.w, "load_duration", 0);
    json_put_member_i64(&j.w, "prompt_eval_count", a.tokens);
    json_put_object_end(&j.w);
    return answer_json_end(r, &j, e);
}

static const struct route routes[] = {
    {ROUTE_POST, "/api/embed", ROUTE_TEXT, NULL},
    {ROUTE_POST, "/api/embeddings", ROUTE_TEXT, NULL},
};

const struct protocol protocol_ollama_embed = {
    .name = "ollama",
    .routes = routes,
    .n_routes = sizeof routes / sizeof *routes,
    .decode = decode,
    .encode = encode,
};
