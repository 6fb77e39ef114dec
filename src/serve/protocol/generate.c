/* SPDX-License-Identifier: Apache-2.0 */
/* The generate extension of the Open Inference Protocol (Triton): docs/protocols/oip.md.
 *
 *   POST /v2/models/M[/versions/V]/generate          {"text_input": ..., "parameters": {...}}
 *   POST /v2/models/M[/versions/V]/generate_stream   the same, as server-sent events
 *
 * Parameters may stand beside text_input, too, as Triton's own clients send them. */
#include "serve/protocol/protocol.h"

#include "serve/answer.h"
#include "serve/talk.h"

struct generate { /* in talk->own */
    struct str id;
};

static void put_output(struct talk *t, struct talk_choice *c, struct json_out *w) {
    const struct generate *g = t->own;
    char version[24];
    snprintf(version, sizeof version, "%llu", (unsigned long long)live_version(t->r->ask.live));
    json_put_object(w);
    if (g->id.n)
        json_put_member_str(w, "id", g->id);
    json_put_member_str(w, "model_name", live_model(t->r->ask.live));
    json_put_member_text(w, "model_version", version);
    json_put_member_str(w, "text_output", buf_str(&c->part.text));
    if (c->part.end != DECODE_GOING)
        json_put_member_text(w, "finish_reason", talk_end_name(c->part.end));
    json_put_object_end(w);
}

static void piece(struct talk *t, struct talk_choice *c, struct buf *out) {
    struct json_out w;
    buf_put_text(out, "data: ");
    json_out_init(&w, out, 0);
    put_output(t, c, &w);
    buf_put_text(out, "\n\n");
}

static void end(struct talk *t, struct buf *out) {
    (void)t;
    (void)out;
}

static void failed(struct talk *t, const struct err *e, struct buf *out) {
    struct json_out w;
    (void)t;
    buf_put_text(out, "data: ");
    json_out_init(&w, out, 0);
    json_put_object(&w);
    json_put_member_text(&w, "error", e->text);
    json_put_object_end(&w);
    buf_put_text(out, "\n\n");
}

static enum code whole(struct talk *t, struct err *e) {
    struct answer_json j;
    TRY(answer_json(t->r, &j, e));
    put_output(t, &t->choices[0], &j.w);
    return answer_json_end(t->r, &j, e);
}

static const struct talk_form form = {
    .type = "text/event-stream; charset=utf-8",
    .piece = piece,
    .end = end,
    .failed = failed,
    .whole = whole,
};

static enum code take_member(struct talk *t, struct json *j, struct str key, struct str *text,
                             struct err *e) {
    struct generate *g = t->own;
    bool taken;
    if (str_is(key, "text_input"))
        return json_string(j, text, e);
    if (str_is(key, "id") && json_peek(j) == JSON_STRING)
        return json_string(j, &g->id, e);
    if (str_is(key, "parameters"))
        return talk_options(t, j, e);
    TRY(talk_option(t, j, key, &taken, e));
    return taken ? OK : json_skip(j, NULL, e);
}

static enum code decode(struct request *r, struct err *e) {
    struct talk *t;
    struct json j;
    struct str key, text = {0};
    bool more;
    TRY(request_route(r, e));
    TRY(talk_new(r, &form, &t, e));
    t->own = ARENA_NEW(r->arena, struct generate);
    if (!t->own)
        return arena_fail(r->arena, sizeof(struct generate), "request", e);
    json_init(&j, (struct str){(const char *)r->body.p, r->body.n}, r->arena);
    TRY(json_enter_object(&j, e));
    for (;;) {
        TRY(json_next_key(&j, &key, &more, e));
        if (!more)
            break;
        TRY(take_member(t, &j, key, &text, e));
    }
    TRY(json_end(&j, e));
    if (text.n == 0)
        return fail(e, INVALID, "\"text_input\" is missing");
    t->streamed = str_ends(r->x->request.path, "/generate_stream");
    if (t->ask.max_tokens == 0)
        t->ask.max_tokens = 256;
    TRY(talk_constrain(t, e));
    TRY(talk_text(t, text, e));
    r->talk = t;
    return OK;
}

static const struct route routes[] = {
    {ROUTE_POST, "/v2/models/{model}/generate", ROUTE_TEXT, NULL},
    {ROUTE_POST, "/v2/models/{model}/versions/{version}/generate", ROUTE_TEXT, NULL},
    {ROUTE_POST, "/v2/models/{model}/generate_stream", ROUTE_TEXT, NULL},
    {ROUTE_POST, "/v2/models/{model}/versions/{version}/generate_stream", ROUTE_TEXT, NULL},
};

const struct protocol protocol_generate = {
    .name = "oip",
    .routes = routes,
    .n_routes = sizeof routes / sizeof *routes,
    .decode = decode,
};
