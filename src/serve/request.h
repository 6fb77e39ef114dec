/* SPDX-License-Identifier: Apache-2.0 */
/* One request on its way through the phases (phase.h). Lives in the exchange's arena; one thread
 * has it at a time: the loop, then (long bodies) a side thread, the loop, a worker of the host, the
 * loop. `ask.cancel` and `gone` are the only fields the loop writes meanwhile. */
#pragma once

#include "base/json.h"
#include "host/host.h"
#include "net/http.h"

#include <stdatomic.h>

struct auth_key;
struct media;
struct protocol;
struct route;
struct grpc;
struct bidi;
struct event;
struct server;
struct loop_thread;
struct server_options;
struct talk;

enum { REQUEST_HEADERS = 20, REQUEST_ID = 128 };

enum phase {
    PHASE_ROUTE,
    PHASE_AUTH,
    PHASE_LIMIT,
    PHASE_DECODE,
    PHASE_RUN,
    PHASE_ENCODE,
    PHASE_SEND,
    PHASE_RECORD,
    PHASE_N
};

struct request {
    struct http_exchange *x;
    struct arena *arena; /* x's */
    struct host *host;
    struct server *server;
    struct loop_thread *thread; /* owns x */
    const struct server_options *options;
    bool admin; /* came in by the admin listener */

    /* ROUTE */
    const struct protocol *protocol; /* NULL: no path matched */
    const struct route *route;
    struct str model, version, label; /* captures of the path, decoded; .n == 0: none */
    struct str id;                    /* X-Request-Id, the client's or ours */
    struct str trace;                 /* traceparent of our own span, when the client sent one */
    const char *allow;                /* of a 405 or an OPTIONS answer */
    struct grpc *grpc;                /* NULL: not a gRPC request; in the arena */
    struct bidi *bidi;                /* a stream of messages; in the arena */
    struct bidi *parent;              /* this is one message of that stream */

    /* AUTH */
    struct auth_key *key; /* reference; NULL: no keys are asked for */

    /* LIMIT */
    bool counted;        /* among the requests in flight, and its key's */
    uint64_t retry_ns;   /* of an OVERLOAD: when to come again; 0: not known */
    struct span body;    /* after Content-Encoding was undone; may be written over */
    struct event *event; /* the body was one, and is its data now (event.h) */

    /* DECODE, RUN */
    struct ask ask;
    void *notes;         /* the protocol's own, from decode to encode */
    bool as_it_lies;     /* the protocol sends all outputs as they lie: nothing is written out */
    struct media *media; /* media.h: what the version declares; NULL until something reads it */
    struct talk *talk;   /* talk.c: a language model is asked, not the host's queue */

    /* ENCODE, SEND */
    struct http_response response; /* headers point at `headers` */
    struct http_header headers[REQUEST_HEADERS];
    struct err err; /* err.code != OK: the answer is this error */

    struct request_stream {                 /* stream.c */
        void (*on_room)(struct request *r); /* loop's thread, once after STREAM_FULL; may be NULL */
        struct loop_job end;
        _Atomic size_t waiting;  /* bytes pushed, not yet with net */
        _Atomic bool full, told; /* net's window is; the producer was told FULL */
        bool begun, broken;      /* the loop's; the producer's: a piece is missing */
    } stream;

    /* private to phase.c */
    enum phase phase;
    bool waiting;                /* a page called request_wait */
    struct request *parked_next; /* waits for a version to load: loop's list */
    struct loop_job job;
    struct side_job {
        struct side_job *next;
        void (*fn)(struct side_job *);
    } side;
    enum code (*aside)(struct request *r, struct err *e);
};

/* Resolves the path's model into r->ask.live (or a name given by the protocol in r->ask.model). */
MUST_USE enum code request_route(struct request *r, struct err *e);

/* Whether its key may ask for this model by its route: request_route asks by itself. */
MUST_USE enum code request_may(struct request *r, struct str model, struct err *e);
/* Whether it may change what is served, as routes with ROUTE_CONTROL do: for those that look, too.
 */
MUST_USE enum code request_control(struct request *r, struct err *e);
/* text: of a version; empty: none is asked for. */
MUST_USE enum code request_version(struct request *r, struct str text, struct err *e);
/* The server takes traffic: everything asked for is loaded, and it is not draining. */
bool request_ready(const struct request *r);

/* A page that answers later: request_wait, then whatever will call request_resume (from any thread,
 * when r->response or r->err is ready), then nothing more that could fail: between the two the
 * request belongs to the other thread. */
void request_wait(struct request *r);
void request_resume(struct request *r);
/* The same for work that would hold up a loop: the page returns OK at once, fn runs on a side
 * thread and writes the answer or the error. */
void request_aside(struct request *r, enum code (*fn)(struct request *r, struct err *e));
struct store *request_store(const struct request *r);
