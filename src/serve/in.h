/* SPDX-License-Identifier: Apache-2.0 */
/* Private to serve/: the server as server.c and phase.c share it. Immutable after server_open but
 * for the atomics and what belongs to one loop. */
#pragma once

#include "base/thread.h"
#include "net/tls.h"
#include "serve/auth.h"
#include "serve/bidi.h"
#include "serve/limit.h"
#include "serve/meter.h"
#include "serve/probe.h"
#include "serve/region.h"
#include "serve/router.h"
#include "serve/server.h"
#include "serve/side.h"
#include "watch/trail.h"

#include <stdatomic.h>

enum { SERVER_LOOPS = 16, SERVER_ADDRESS = 64 };

struct loop_thread { /* owned by its loop's thread */
    struct server *server;
    struct loop *loop;
    struct http_listener *listener;
    struct http_listener *also[SERVER_ALSO]; /* at options.also */
    struct http_listener *admin;             /* loop 0 only; NULL: none */
    struct entrance {                        /* what net's handlers get: which listener */
        struct loop_thread *thread;
        bool admin;
    } front, back;
    int listening;          /* listeners that are still draining */
    struct request *parked; /* wait for a version to load */
    struct loop_job change_job;
    _Atomic bool change_posted;
    struct loop_timer *tick;
    struct meter meter;
    struct trail trail;
    uint64_t id_state; /* of the request ids it makes */
    int64_t open;      /* connections, as last published */
    uint64_t accepted, refused;
    struct loop_job drain_job;
    struct bidi polled; /* ring of the streams that speak by themselves */
    pthread_t thread;   /* of loops after the first */
    bool started;
};

struct server {
    struct host *host;
    struct store *store;
    struct server_options options;
    struct router router;
    struct auth auth;
    struct limit limit;
    struct probes probes;
    struct side *side;
    struct regions *regions;
    struct tls *tls;           /* NULL: none */
    unsigned ticks;            /* of loop 0 */
    struct loop_thread *loops; /* (n_loops) owned */
    int n_loops;
    char address[SERVER_ADDRESS], admin_address[SERVER_ADDRESS];
    _Atomic int signals;          /* how often draining was asked for */
    _Atomic bool unready;         /* readiness is false: draining began */
    _Atomic bool refusing;        /* new requests get 503 */
    struct loop_timer *announcer; /* until on_ready was called */
    uint64_t lame_until_ns;
    bool drain_started;
};

/* phase.c: the handler that net calls; ctx is a struct entrance. */
void phase_handler(struct entrance *in, struct http_handler *out);
/* Requests that waited for a version to load try again. Loop's thread. */
void phase_unpark(struct loop_thread *t);
