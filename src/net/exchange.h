/* SPDX-License-Identifier: Apache-2.0 */
/* The private side of an http_exchange: its parser, its body, its answer; and the pool that
 * recycles them.
 *
 *   RECEIVING ──▶ WITH_HANDLER ──▶ (STREAMING ──▶) ANSWERED ──▶ back to the pool
 *       └───────── refused ───────────▲
 *
 * A used exchange keeps its head buffer, the first chunk of its arena and a small body buffer, so
 * that steady traffic allocates nothing. Owned by the loop's thread. */
#pragma once

#include "net/http.h"
#include "net/http1.h"
#include "net/reply.h"

enum exchange_phase {
    EXCHANGE_RECEIVING,
    EXCHANGE_WITH_HANDLER,
    EXCHANGE_STREAMING, /* its head is out or in `out`, the end of its answer is not known */
    EXCHANGE_ANSWERED
};

enum { EXCHANGE_SPANS = 3 + HTTP_PARTS, EXCHANGE_HEAD = 512 };

struct conn;
struct http_listener;

struct exchange {
    struct http_exchange pub; /* first: the handler's pointer is ours */
    struct http1 parser;
    struct http_listener *listener; /* borrowed */
    struct conn *conn;              /* borrowed; NULL once the client is gone */
    struct exchange *next, *prev;   /* of the connection, in order of arrival; next: of the pool */
    enum exchange_phase phase;
    bool announced; /* on_head was called */
    bool
        drains; /* on_head refused it: the body is read and dropped, the answer is ready in `out` */
    bool close; /* the connection ends after this answer */
    uint8_t *body; /* owned; 64-byte aligned; the request's begins body_lead behind it */
    size_t body_room, body_lead, body_limit;
    size_t body_bytes;               /* received; the handler may shorten its span */
    struct span out[EXCHANGE_SPANS]; /* [100 expected] [100 probe] head parts...; still to send from
                                        out_at on */
    int out_at, n_out;
    char head[EXCHANGE_HEAD];   /* of the answer, when it fits */
    struct buf sending, pieces; /* of a streamed answer: what `out` points at, what comes after */
    enum reply_framing framing;
    bool full; /* the handler was told so: on_writable follows */
    /* HTTP/2 */
    int32_t stream;
    bool collects;         /* its body is being received into `body` */
    bool whole;            /* all of the request has come */
    bool deferred;         /* its answer had nothing to send when it was asked last */
    bool sent_all;         /* the last frame of its answer is made */
    bool head_over;        /* its fields are over the limit */
    uint64_t looked_bytes; /* bytes_in when a window for bodies ended last */
    size_t head_bytes;     /* of its fields, as RFC 9113 §6.5.2 counts them */
    void *trailers;        /* (n_trailers) nghttp2_nv in the arena */
    size_t n_trailers;
};

struct exchange_pool {
    struct exchange *free;
    int n_free;
    size_t header_bytes, arena_bytes; /* of each exchange */
};

void exchange_pool_init(struct exchange_pool *p, size_t header_bytes, size_t arena_bytes);
void exchange_pool_deinit(struct exchange_pool *p);
struct exchange *exchange_begin(struct exchange_pool *p); /* NULL: out of memory */
void exchange_end(struct exchange_pool *p, struct exchange *x);

/* An interim 100 response; nothing when it was sent twice already or the client speaks HTTP/1.0. */
void exchange_put_continue(struct exchange *x);

/* Writes head and parts into `out` behind what is there and sets the phase; false: no memory for
 * the head. */
bool exchange_put_answer(struct exchange *x, const struct http_response *r,
                         enum reply_connection connection, const struct reply_date *date);

/* A streamed answer: its head, then pieces as the client takes them, then the end. All copy. false:
 * no memory, or more waits than the limit of one exchange: the client cannot get the rest. */
bool exchange_put_stream(struct exchange *x, const struct http_response *r,
                         enum reply_connection connection, const struct reply_date *date);
bool exchange_put_piece(struct exchange *x, struct span piece);
bool exchange_put_end(struct exchange *x, const struct http_header *trailers, int n_trailers);
/* Moves pieces into `out` when all before them were sent; true when there is something to send. */
bool exchange_refill(struct exchange *x);
static inline size_t exchange_waiting(const struct exchange *x) { /* bytes of pieces not yet sent */
    return x->sending.n + x->pieces.n;
}

/* Room for `bytes` of body, keeping what is there. A growing body doubles; a first reservation is
 * exact. */
bool exchange_reserve_body(struct exchange *x, size_t bytes);
/* `piece` was received: it is copied to the body's end, where there is room for it. */
void exchange_take_body(struct exchange *x, struct span piece);
/* The room reserved behind what has come of the body: bytes read there are taken without a copy. */
static inline uint8_t *exchange_body_end(const struct exchange *x, size_t *room) {
    size_t at = x->body_lead + x->pub.request.body.n;
    *room = x->body_room - at;
    return x->body + at;
}
