/* SPDX-License-Identifier: Apache-2.0 */
/* Streams of gRPC messages on one exchange (ROUTE_BIDI). Each message that comes is a request of
 * its own, with an arena of its own, that walks DECODE to ENCODE by the same route; its answer is
 * the next message that goes. One at a time: answers keep the order of the messages.
 *
 * 1. All of it is owned by the exchange's loop; a message's request may be away on other threads.
 * 2. The client sends no further than its window while a message is being answered, and none is
 * begun while the client does not take the answers.
 * 3. Over gRPC-Web the messages are one body, read whole; the answers go one by one, trailers last.
 * 4. A message that fails ends the stream with that status, unless the protocol has `fault`. */
#pragma once

#include "serve/grpc.h"

struct bidi {
    struct request *parent; /* borrowed: the exchange's; holds this in its arena */
    struct request sub;     /* of the message being answered */
    struct arena arena;     /* owned; sub's */
    struct buf in, message; /* owned; what has come, what is being answered */
    size_t owed;            /* bytes the client has not been given back */
    /* A stream that also speaks when nothing came (grpc.health.v1.Health/Watch): called by the
     * loop's tick until the end. NULL: the client's half-close ends the stream. */
    void (*poll)(struct bidi *b);
    struct bidi *next_polled, *prev_polled;
    int told;          /* poll's own */
    struct str about;  /* poll's own */
    uint64_t began_ns; /* of the message */
    bool *ended;       /* of the call that is beginning messages; NULL: none is */
    bool begun, active, half_closed, full, over;
};

/* At on_head: asks net for pieces (gRPC). */
enum code bidi_begin(struct request *r, struct err *e);
void bidi_body(struct request *r, struct span piece);
/* gRPC-Web: r->body is all that the client sends; code: r->err, when it could not be read. */
void bidi_whole(struct request *r, enum code code);
void bidi_half_close(struct request *r);
void bidi_gone(struct request *r);
void bidi_writable(struct request *r);
void bidi_answer(struct request *sub); /* at SEND, on the loop */
/* From a page: from now on the stream speaks by itself. */
void bidi_poll(struct request *sub, void (*poll)(struct bidi *b));
void bidi_push(struct bidi *b, struct span message); /* a message, under 32 KiB; from poll */
void bidi_tick(struct bidi *polled);                 /* the loop's list */
