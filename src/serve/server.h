/* SPDX-License-Identifier: Apache-2.0 */
/* The server: N loops that listen on one address and answer every protocol of protocol/list.h.
 *
 *   server_open (bound, not yet accepting work) -> server_run (on the caller's thread until it has
 * drained) -> server_close
 *
 * 1. SIGTERM or SIGINT: readiness turns false at once, new work is still taken for lame_ms, then
 * the listeners close, what is in flight is answered, server_run returns. A second signal cuts
 * everything at once.
 * 2. The host and the store are borrowed: after server_run returned, the caller drains and closes
 * the host, then server_close, then the store. */
#pragma once

#include "host/host.h"
#include "net/http.h"
#include "store/store.h"

struct server; /* opaque */
struct follow;

enum { SERVER_ALSO = 16 };

struct server_options {
    const char *listen;      /* "127.0.0.1:8080"; port 0 picks one */
    int loops;               /* event loop threads; 0: by the number of cores */
    struct http_limits http; /* from http_limits_default */
    size_t requests;         /* in flight at one time, over all loops; 0: 8,192 */
    size_t image_pixels;     /* of one image, decoded; 0: 32 Mi */
    uint64_t timeout_ms;     /* of one request, queue and compute; 0: 30,000 */
    uint64_t slow_ms;        /* a request slower than this is logged with its times; 0: never */
    bool access_log;         /* one JSON line per request */
    int access_fd;           /* where to; 0: standard error */
    uint64_t lame_ms;        /* after the first signal: unready but still accepting; default 0 */
    uint64_t drain_ms;       /* then the most time for requests in flight; 0: 30,000 */
    /* The admin API's own listener. NULL: 127.0.0.1:8079 (port 0 when `listen` has port 0), and
     * none when that is taken; "off": none. Beyond loopback keys must exist. */
    const char *admin;
    const char *tls_cert, *tls_key; /* PEM; NULL: no TLS. Read again on SIGHUP and on change */
    bool admin_tls;                 /* the admin API's listener, too */
    const char *tls_client_ca;      /* clients must have a certificate of it; NULL: need none */
    const char *also[SERVER_ALSO];  /* (n_also) further addresses: ports of other servers */
    size_t n_also;
    const char *cors;      /* origins that browsers may ask from, with ',' between; "*": all */
    const char *key_file;  /* API keys, one a line; NULL: no key is asked for */
    struct follow *follow; /* borrowed: takes configurations that clients send */
    bool allow_control;    /* loading and unloading over HTTP */
    const char *predict_path, *health_path; /* of Vertex AI's choosing: answered as /invocations and
                                               /ping are; NULL: none */
    const char *model_store; /* folder of files that may be registered by name; NULL: none */
    const char *fetch_hosts; /* hosts that models may be registered from; NULL: none */
    uint64_t fetch_bytes;    /* of one such model; 0: 2 GiB */
    void (*on_ready)(void *ctx, const char *address,
                     const char *admin); /* once: "127.0.0.1:8080" answers and /readyz is 200;
                                            admin: "" when there is none; may be NULL */
    void *on_ready_ctx;
};
void server_options_default(struct server_options *o);

MUST_USE enum code server_open(struct host *h, struct store *s, const struct server_options *o,
                               struct server **out, struct err *e);
const char *server_address(const struct server *s); /* with the port really bound */
MUST_USE enum code server_run(struct server *s, struct err *e);
void server_drain(struct server *s); /* as the signal does; any thread */
void server_close(struct server *s);
