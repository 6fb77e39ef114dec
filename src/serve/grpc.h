/* SPDX-License-Identifier: Apache-2.0 */
/* gRPC and gRPC-Web as a wrapping of requests: what protocols of gRPC services share. A request
 * whose Content-Type is application/grpc... gets r->grpc at ROUTE; from then on
 *
 *   DECODE  grpc_open   r->body becomes the one message (deframed, decompressed, base64 undone)
 *   ENCODE  grpc_close  the parts written by the protocol become one message, with trailers
 *   errors  grpc_fail   HTTP 200 with grpc-status, grpc-message and grpc-status-details-bin
 *
 * so that a unary method is a page or a decode and an encode like any other. Streams of messages:
 * bidi.h.
 *
 * 1. gRPC needs HTTP/2 (trailers); gRPC-Web carries its trailers in the body and works on both.
 * 2. A compressed message may inflate to --max-body and no further. Answers are compressed as the
 * request was, when the client takes it.
 * 3. grpc-timeout becomes ask.deadline_ns, no later than --timeout-ms.
 * 4. Browsers (CORS): trace.h, by --cors. */
#pragma once

#include "serve/coding.h"
#include "serve/request.h"

enum grpc_kind { GRPC_NATIVE, GRPC_WEB, GRPC_WEB_TEXT };
enum { GRPC_FRAME = 5, GRPC_TRAILERS = 3 };

struct grpc {
    enum grpc_kind kind;
    enum coding coding; /* of its messages, ours too */
    struct str type;    /* the answer's Content-Type */
    struct http_header trailers[GRPC_TRAILERS];
    int n_trailers;
    int status;           /* sent */
    uint64_t deadline_ns; /* of grpc-timeout; 0: none */
};

/* Sets r->grpc when the request is one; INVALID or UNSUPPORTED for headers that make no sense. */
MUST_USE enum code grpc_begin(struct request *r, struct err *e);
MUST_USE enum code grpc_open(struct request *r, struct err *e);
enum code grpc_close(struct request *r, struct err *e);
void grpc_fail(struct request *r, const struct err *e);

/* Frames: the message at the front of `in`, when all of it is there (*whole); INVALID, TOO_LARGE.
 * *used: bytes of it. `message` is borrowed from `in`, or in an answer_buf of r. */
MUST_USE enum code grpc_next(struct request *r, struct span in, struct span *message, size_t *used,
                             bool *whole, struct err *e);
/* Puts a frame's head (and compression) around r->response's parts. */
enum code grpc_frame(struct request *r, struct err *e);
/* grpc-status and company into g->trailers; e NULL: OK. Memory: r's arena. */
void grpc_trailers(struct request *r, const struct err *e);
/* Headers of every answer: Content-Type, codings. */
void grpc_headers(struct request *r);
/* gRPC-Web, for streams: the request's body without base64; the response's parts in the client's
 * form; the trailers as the last part. Nothing for native gRPC. */
MUST_USE enum code grpc_web_open(struct request *r, struct err *e);
MUST_USE enum code grpc_web_form(struct request *r, struct err *e);
MUST_USE enum code grpc_web_end(struct request *r, struct err *e);
