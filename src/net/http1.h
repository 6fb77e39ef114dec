/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/1.1 requests out of bytes: RFC 9112 (framing), RFC 9110 (fields). Knows no sockets, no
 * clock, no handler.
 *
 * Bytes may come in any pieces; the events and their contents do not depend on where the pieces
 * were cut. Strict: what two implementations could read differently is refused, so that no
 * front-end and this server ever disagree where a message ends.
 *
 *   http1_begin ─▶ MORE* ─▶ HEAD ─▶ (MORE | BODY)* ─▶ END ─▶ http1_begin for the next message
 *                    └────────┴──────────┴─▶ REFUSED: the connection is of no more use
 *
 * 1. `in` only ever moves forward, and not past the end of the message: what follows belongs to the
 * next one.
 * 2. MORE is returned only when all of `in` was taken.
 * 3. The head is copied once, into the parser's own buffer; body pieces are borrowed from `in`,
 * never copied.
 * 4. Memory is bounded: header_bytes for the head, as much again for trailers and chunk extensions
 * (counted, not kept). */
#pragma once

#include "base/buf.h"
#include "net/http.h"

enum http1_event { HTTP1_MORE, HTTP1_HEAD, HTTP1_BODY, HTTP1_END, HTTP1_REFUSED };

struct http1 {
    struct http_request *request; /* borrowed; its strings point into head and arena */
    struct arena *arena;          /* borrowed; takes the path when it was percent-encoded */
    struct buf head;              /* owned; kept from message to message */
    size_t mark;                  /* offset in head: start of the token being read */
    size_t value_end;             /* offset in head: end of the value without white space */
    struct {
        uint32_t at, n;
    } method, target, names[HTTP_HEADERS], values[HTTP_HEADERS]; /* offsets in head */
    uint64_t left;       /* body: bytes of the message or of this chunk still to come */
    size_t framing;      /* bytes between pieces of chunked data so far */
    size_t overhead;     /* those of them that are chunk extensions or trailers */
    size_t header_bytes; /* limit */
    int status;          /* after REFUSED: the answer to give */
    int state;           /* enum state of http1.c */
    int digits;          /* of the chunk size */
    bool http_1_0, chunked, expects_continue, body_comes;
};

void http1_init(struct http1 *p, size_t header_bytes);
void http1_deinit(struct http1 *p);
void http1_begin(struct http1 *p, struct http_request *r, struct arena *a);

/* The next thing in *in. *body is set for BODY only, never empty. *e is written for REFUSED only.
 */
enum http1_event http1_next(struct http1 *p, struct span *in, struct span *body, struct err *e);

bool http1_started(const struct http1 *p); /* a byte of the message itself has come */
bool http1_in_head(const struct http1 *p); /* the head is not complete */
/* Bytes certain to come next as body, untouched by framing: they may be read straight to where they
 * belong. */
uint64_t http1_body_left(const struct http1 *p);
