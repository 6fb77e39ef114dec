/* SPDX-License-Identifier: Apache-2.0 */
/* Streams of messages: see bidi.h. Ending the exchange ends its arena, and the stream with it. */
#include "serve/bidi.h"

#include "base/clock.h"
#include "serve/answer.h"
#include "serve/in.h"
#include "serve/phase.h"
#include "serve/protocol/protocol.h"
#include "serve/trace.h"

enum { PUSH_BYTES = 64 << 10 };

static void next(struct bidi *b);

static void free_bidi(void *arg) {
    struct bidi *b = arg;
    if (b->next_polled) {
        b->next_polled->prev_polled = b->prev_polled;
        b->prev_polled->next_polled = b->next_polled;
    }
    buf_deinit(&b->in);
    buf_deinit(&b->message);
    arena_deinit(&b->arena);
}

enum code bidi_begin(struct request *r, struct err *e) {
    struct bidi *b = ARENA_NEW(r->arena, struct bidi);
    if (!b || !arena_defer(r->arena, free_bidi, b))
        return arena_fail(r->arena, sizeof *b, "stream", e);
    b->parent = r;
    arena_init(&b->arena, r->options->http.arena_bytes);
    buf_init(&b->in, r->options->http.body_bytes + GRPC_FRAME);
    buf_init(&b->message, r->options->http.body_bytes + GRPC_FRAME);
    r->bidi = b;
    r->x->pieces = r->grpc->kind == GRPC_NATIVE;
    return OK;
}

static void begin_stream(struct bidi *b) {
    struct request *r = b->parent;
    if (b->begun)
        return;
    grpc_headers(r);
    if (r->id.n)
        answer_header(r, "X-Request-Id", r->id);
    if (r->trace.n)
        answer_header(r, "traceparent", r->trace);
    trace_cors(r);
    b->begun = http_stream_begin(r->x, &r->response);
}

static void write_parts(struct bidi *b, const struct request *sub) {
    for (int i = 0; i < sub->response.n_parts; i++)
        if (http_stream_write(b->parent->x, sub->response.parts[i]) == HTTP_FULL)
            b->full = true;
}

static void finish(struct bidi *b, const struct err *e) {
    struct request *r = b->parent;
    if (b->over)
        return;
    b->over = true;
    if (b->ended)
        *b->ended = true;
    if (e && e != &r->err)
        r->err = *e;
    begin_stream(b);
    grpc_trailers(r, e);
    bool web = r->grpc->kind != GRPC_NATIVE;
    struct err ignored;
    r->response.n_parts = 0;
    if (web && grpc_web_end(r, &ignored) == OK)
        write_parts(b, r);
    if (b->begun)
        http_stream_end(r->x, r->grpc->trailers, web ? 0 : r->grpc->n_trailers);
    else
        http_respond(r->x, &r->response);
}

/* A message of its own arena; the parent lends everything else. */
static void renew_sub(struct bidi *b) {
    const struct request *r = b->parent;
    arena_reset(&b->arena, (struct arena_mark){0});
    b->sub = (struct request){
        .x = r->x,
        .arena = &b->arena,
        .host = r->host,
        .server = r->server,
        .thread = r->thread,
        .options = r->options,
        .protocol = r->protocol,
        .route = r->route,
        .id = r->id,
        .grpc = r->grpc,
        .parent = b,
        .phase = PHASE_DECODE,
        .key = r->key,
        .trace = r->trace,
        .admin = r->admin,
    };
}

/* The message keeps the buf it came in; what follows it moves. */
static void take_message(struct bidi *b, size_t used) {
    struct buf rest = b->message;
    buf_clear(&rest);
    buf_put(&rest, b->in.p + used, b->in.n - used);
    b->message = b->in;
    b->in = rest;
    b->active = true;
    b->began_ns = clock_ns();
}

/* Begins what has come; false when there is nothing more to begin now, or the stream ended. */
static bool step(struct bidi *b) {
    struct span message, in = {(const uint8_t *)b->in.p, b->in.n};
    struct err e;
    size_t used;
    bool whole;
    renew_sub(b);
    enum code code = buf_check(&b->in, "messages of a stream", &e);
    if (code == OK)
        code = grpc_next(&b->sub, in, &message, &used, &whole, &e);
    if (code == OK && !whole && b->half_closed && in.n)
        code = fail(&e, INTERNAL, "the stream ends inside a message");
    bool end = code == OK && !whole && b->half_closed && !b->poll;
    if (code != OK || end) {
        finish(b, end ? NULL : &e);
        return false;
    }
    if (!whole)
        return false;
    take_message(b, used);
    b->sub.body = message;
    phase_begin_sub(&b->sub);
    return true;
}

/* An answer that is ready at once comes back here from inside of step: it must not nest. When the
 * stream ends, so does `b`. */
static void next(struct bidi *b) {
    bool ended = false;
    if (b->ended)
        return;
    b->ended = &ended;
    while (!b->active && !b->full && step(b) && !ended) {
    }
    if (!ended)
        b->ended = NULL;
}

void bidi_body(struct request *r, struct span piece) {
    struct bidi *b = r->bidi;
    if (b->over)
        return;
    begin_stream(b);
    buf_put(&b->in, piece.p, piece.n);
    b->owed += piece.n;
    if (!b->active && !b->full) {
        http_body_took(r->x, b->owed);
        b->owed = 0;
    }
    next(b);
}

void bidi_whole(struct request *r, enum code code) {
    struct bidi *b = r->bidi;
    begin_stream(b);
    if (code != OK || grpc_web_open(r, &r->err) != OK) {
        finish(b, &r->err);
        return;
    }
    buf_put(&b->in, r->body.p, r->body.n);
    bidi_half_close(r);
}

void bidi_half_close(struct request *r) {
    r->bidi->half_closed = true;
    next(r->bidi);
}

/* A message that is away comes back to bidi_answer, which then ends the stream. */
void bidi_gone(struct request *r) {
    struct bidi *b = r->bidi;
    struct err e;
    __atomic_store_n(&b->sub.ask.cancel, true, __ATOMIC_RELAXED);
    (void)fail(&e, CANCELLED, "the client left");
    if (!b->active)
        finish(b, &e);
}

void bidi_writable(struct request *r) {
    r->bidi->full = false;
    next(r->bidi);
}

static void meter(struct request *sub) {
    const struct live *l = sub->ask.live;
    uint64_t now = clock_ns(), began = sub->parent->began_ns;
    int status = sub->err.code == OK ? 200 : err_http(sub->err.code);
    meter_request(&sub->thread->meter, l ? live_model(l) : (struct str){0}, l ? live_version(l) : 0,
                  sub->protocol->name, status, now - began);
    phase_probe(sub, status, now - began);
    ask_end(&sub->ask);
}

/* While `active` the client's leaving does not end the stream: that is left to the end of this. */
void bidi_answer(struct request *sub) {
    struct bidi *b = sub->parent;
    struct request *r = b->parent;
    struct err e = sub->err;
    meter(sub);
    if (e.code == OK && grpc_web_form(sub, &e) == OK)
        write_parts(b, sub);
    if (!b->full && b->owed) {
        http_body_took(r->x, b->owed);
        b->owed = 0;
    }
    b->active = false;
    if (r->x->gone)
        (void)fail(&e, CANCELLED, "the client left");
    if (e.code != OK)
        finish(b, &e);
    else
        next(b);
}

/* --- streams that speak by themselves --- */

void bidi_poll(struct request *sub, void (*poll)(struct bidi *b)) {
    struct bidi *b = sub->parent, *list = &sub->thread->polled;
    b->poll = poll;
    b->parent->x->stays = true;
    if (b->next_polled)
        return;
    b->next_polled = list->next_polled;
    b->prev_polled = list;
    b->next_polled->prev_polled = b;
    list->next_polled = b;
}

/* In an arena of its own: `sub`'s may be in use. */
void bidi_push(struct bidi *b, struct span message) {
    uint8_t head[GRPC_FRAME] = {0, 0, 0, (uint8_t)(message.n >> 8), (uint8_t)message.n};
    struct err ignored;
    struct arena a;
    if (b->over || b->parent->x->gone)
        return;
    arena_init(&a, PUSH_BYTES);
    struct request piece = {.arena = &a, .grpc = b->parent->grpc};
    answer_span(&piece, (struct span){head, sizeof head});
    answer_span(&piece, message);
    if (grpc_web_form(&piece, &ignored) == OK)
        write_parts(b, &piece);
    arena_deinit(&a);
}

void bidi_tick(struct bidi *polled) {
    struct err e;
    for (struct bidi *b = polled->next_polled, *after; b != polled; b = after) {
        after = b->next_polled;
        if (!atomic_load(&b->parent->server->refusing)) {
            b->poll(b);
        } else if (!b->active) {
            (void)fail(&e, UNAVAILABLE, "the server is draining");
            finish(b, &e);
        }
    }
}
