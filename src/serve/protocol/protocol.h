/* SPDX-License-Identifier: Apache-2.0 */
/* What a protocol is: routes, and two translations between bytes and `struct ask`.
 *
 * 1. A protocol knows its spec's words and nothing of threads: decode and encode see one request
 * and may run on a loop or, when the body is long, on a side thread (side.h). They touch the
 * request, its arena and the host, nothing else.
 * 2. Memory is the request's arena (r->arena) and bufs from answer_buf; both end with the request.
 * 3. Every failure is returned as an error; what its body looks like is `error`, which sees the
 * protocol's route. */
#pragma once

#include "serve/request.h"

enum { /* methods a route answers; HEAD comes with GET; OPTIONS with every route: what it allows */
       ROUTE_GET = 1 << 0,
       ROUTE_POST = 1 << 1,
       ROUTE_PUT = 1 << 2,
       ROUTE_DELETE = 1 << 3,
       ROUTE_OPTIONS = 1 << 4, /* its page answers OPTIONS, but for a browser's preflight */
};
enum {                      /* facts */
       ROUTE_OPEN = 1 << 0, /* answered without an API key: health, the empty page */
       ROUTE_CONTROL =
           1 << 1,            /* changes what is served: refused unless the server allows control */
       ROUTE_QUIET = 1 << 2,  /* probes and scrapes: not in the access log unless they fail */
       ROUTE_IMAGE = 1 << 3,  /* the body may be an image: decoded aside whatever its length */
       ROUTE_ADMIN = 1 << 4,  /* on the admin listener only; needs the scope admin */
       ROUTE_INSIDE = 1 << 5, /* about the server's inside: a key needs the scope read */
       ROUTE_BODY = 1 << 6,   /* a page that takes bodies as long as a model's */
       ROUTE_TEXT = 1 << 7,   /* the body is text for a language model: long ones decoded aside */
       ROUTE_GRPC = 1 << 8,   /* a gRPC method: r->body is its message, the answer becomes one */
       ROUTE_BIDI = 1 << 9,   /* one that streams: each message is a request (bidi.h) */
};

struct route {
    unsigned methods;
    const char *path; /* "/v1/models/{model}/versions/{version}:predict"; a capture is [^/:]+ and
                         one of {model} {version} {label} */
    unsigned flags;
    /* A page: writes the answer at once (answer_*), or calls request_wait and request_resume later.
     * NULL: a model runs, by the protocol's decode and encode. */
    enum code (*page)(struct request *r, struct err *e);
};

struct protocol {
    const char *name; /* as metrics and logs call it */
    const struct route *routes;
    size_t n_routes;
    /* Body -> r->ask.inputs, want (borrowed from the body or the arena), or r->talk (talk.h), whose
     * form then writes the answer. request_route has not been called yet. */
    enum code (*decode)(struct request *r, struct err *e);
    /* r->ask.outputs -> r->response. */
    enum code (*encode)(struct request *r, struct err *e);
    /* ROUTE_BIDI: an error as an ordinary message, the stream goes on; NULL: it ends the stream. */
    enum code (*fault)(struct request *r, const struct err *cause, struct err *e);
    /* The body of an error; NULL: {"error": text}. */
    void (*error)(const struct request *r, const struct err *e, struct json_out *w);
    bool raw; /* encode wants the model's own outputs, whatever the version declares (media.h) */
};

/* In the order of list.h; *n of them. */
const struct protocol *const *protocol_list(size_t *n);
