/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP server: what the floors above see. Protocol versions (http1.c, http2.c) meet them only
 * here.
 *
 * A listener accepts on its loop; each request becomes one `struct http_exchange` with a capped
 * arena of its own that lives from the first header byte until the response is written.
 *
 * Walk: head complete -> handler->on_head (may refuse, sets the body limit) -> body complete ->
 * handler->on_request (once; loop thread) -> somebody calls http_respond on the loop's thread
 * (others go through loop_post) -> bytes written
 * -> handler->on_done -> arena freed.
 *
 * 1. on_request is called exactly once per accepted request, on_done exactly once per exchange for
 * which on_head was called.
 * 2. If the client goes away while the request is with the handler, `gone` is set and
 * handler->on_gone is called once; http_respond then sends nothing but still ends the exchange. The
 * exchange stays valid until http_respond. A client that leaves earlier or later shows in on_done
 * only (`gone` set, `status` 0 when nothing was answered).
 * 3. Pipelined requests are answered in order; at most HTTP_PIPELINE of one connection are in
 * flight.
 * 4. Anything ambiguous is refused with 400 and the connection closed (RFC 9112 §6.1, §11.2):
 * CL+TE, duplicate or non-digit Content-Length, bare LF or CR, obs-fold, white space before ':', TE
 * other than chunked, missing Host.
 * 5. A client that shut down only its sending side still gets its answers. Whether it did that or
 * left is found out by an interim response (100), which only a client that left answers with a
 * reset. HTTP/1.0 knows no interim responses: there a client that left is noticed when its answer
 * is written.
 * 6. No byte given to http_respond can start a new header line: field values with control
 * characters are refused and answered with 500, as are the fields that the server writes itself.
 * 7. An answer may be streamed instead: http_stream_begin, pieces, http_stream_end, in place of the
 * one http_respond. 2. holds until http_stream_end. The pieces are copied and wait for the client
 * in a window of the exchange: a handler that is told FULL stops until on_writable. */
#pragma once

#include "base/arena.h"
#include "base/str.h"
#include "net/loop.h"

enum { HTTP_HEADERS = 64, HTTP_PIPELINE = 32, HTTP_PARTS = 8, HTTP_STREAM_WINDOW = 256 << 10 };

struct http_header {
    struct str name, value; /* name as sent; compare without case */
};

struct http_request { /* everything borrowed from the exchange */
    struct str method;
    struct str target; /* as sent: "/v2/models/a%20b/infer?x=1" */
    struct str path;   /* percent-decoded, control characters refused; "*" for OPTIONS * */
    struct str query;  /* raw, without '?' */
    struct http_header headers[HTTP_HEADERS];
    int n_headers;
    struct span
        body; /* complete, de-chunked, contiguous; may be written over. See body_aligned_at */
    uint64_t content_length; /* 0 when chunked or absent; valid at on_head */
    bool keep_alive;
};
/* The first one; .n == 0 when absent. */
struct str http_header_find(const struct http_request *r, struct str name);
/* Here, so that the length of a name in quotes is known when this is compiled. */
static inline struct str http_header_get(const struct http_request *r, const char *name) {
    return http_header_find(r, str_of(name));
}
/* Decoded; false when absent, malformed or without memory. */
bool http_query_get(const struct http_request *r, const char *name, struct arena *a,
                    struct str *out);

struct http_exchange {
    struct http_request request;
    struct arena arena;  /* of the request; capped */
    struct loop *loop;   /* the thread that owns it */
    void *user;          /* the handler's; NULL at on_head */
    uint64_t started_ns; /* first byte */
    uint64_t bytes_in, bytes_out;
    int status;  /* sent, or being sent; 0 when no answer was made */
    bool gone;   /* the client left */
    bool duplex; /* may be answered while its body still comes: HTTP/2 */
    bool stays;  /* set by the handler: it only listens, so its end of the connection is its leaving
                  */
    bool pieces; /* set by on_head, only when duplex: on_body gets the body, it is not collected */
    uint64_t body_aligned_at; /* set by on_head: the byte of the body whose address is a multiple of
                                 64; unset: the first */
    char peer[64];            /* "127.0.0.1:40000" */
};

struct http_response;
struct http_handler {
    void *ctx;
    /* Head parsed. Sets *body_limit (bytes) from the default; return OK to read the body, or an
     * error to answer with that error's HTTP status (the body is then drained or the connection
     * closed). MUST */
    enum code (*on_head)(void *ctx, struct http_exchange *x, size_t *body_limit, struct err *e);
    /* Whole request there. MUST; must lead to exactly one http_respond, now or later. */
    void (*on_request)(void *ctx, struct http_exchange *x);
    /* A piece of the body of an exchange with `pieces`, borrowed for the call. Whoever takes it
     * calls http_body_took when it needs no more room: the client sends no further than its window.
     * The exchange may be answered from now on; on_request still comes at the body's end, unless
     * the answer has ended before. MUST when on_head ever sets `pieces`. */
    void (*on_body)(void *ctx, struct http_exchange *x, struct span piece);
    /* Client left after on_request and before http_respond or http_stream_end. MAY be NULL. */
    void (*on_gone)(void *ctx, struct http_exchange *x);
    /* Half of the window of a streamed answer is free again, after HTTP_FULL. MAY be NULL. */
    void (*on_writable)(void *ctx, struct http_exchange *x);
    /* Response handed to the kernel or the exchange failed; last look at x (access log). MAY be
     * NULL. */
    void (*on_done)(void *ctx, struct http_exchange *x);
    /* Completes an error response that net itself makes (400, 408, 413, 431, ...) and of on_head's
     * refusals: r->status is set, type, body, headers are the handler's, in the arena or static;
     * x->request is empty when the head could not be read. MAY be NULL: plain JSON {"error":
     * text}. */
    void (*refuse)(void *ctx, struct http_exchange *x, const struct err *e,
                   struct http_response *r);
};

struct http_response {
    int status;              /* 200..599 */
    struct str content_type; /* may be empty */
    const struct http_header
        *headers; /* extra; copied. Not Content-Length, Transfer-Encoding, Connection, Date */
    int n_headers;
    struct span parts[HTTP_PARTS]; /* body, written in order without copying; must stay valid until
                                      on_done: live in x->arena */
    int n_parts;
    const struct http_header *trailers; /* after the body; copied. HTTP/2 only, else left out */
    int n_trailers;
    bool close; /* close the connection afterwards */
};
/* Loop thread only, once per exchange. Ends the exchange. HEAD requests get the headers only. */
void http_respond(struct http_exchange *x, const struct http_response *r);
void http_body_took(struct http_exchange *x, size_t bytes); /* loop thread; see on_body */

/* A streamed answer, instead of http_respond; loop thread only. On HTTP/1.1 in chunks, on HTTP/1.0
 * until the connection's end.
 *   begin  r's parts are not looked at; false: its head cannot be sent, http_respond another.
 *   write  copies. ROOM and FULL: taken; after FULL wait for on_writable. GONE: nobody reads; end.
 *          More than limits.arena_bytes waiting cuts the connection.
 *   end    ends the exchange; trailers may be NULL, those that could start a line are left out.
 *   cut    ends it too, but so that the client sees that the answer is not complete. */
enum http_window { HTTP_ROOM, HTTP_FULL, HTTP_GONE };
bool http_stream_begin(struct http_exchange *x, const struct http_response *r);
enum http_window http_stream_write(struct http_exchange *x, struct span bytes);
void http_stream_end(struct http_exchange *x, const struct http_header *trailers, int n_trailers);
void http_stream_cut(struct http_exchange *x);

struct http_limits {
    size_t header_bytes; /* request line + headers, default 16 KiB */
    size_t body_bytes;   /* default 64 MiB; on_head may change it per request */
    size_t bodies_bytes; /* all bodies of a listener at one time, as far as received; default 1 GiB;
                            over it: 503 */
    size_t arena_bytes;  /* per exchange, beyond the body; default 64 MiB */
    unsigned connections; /* per listener; default 20,000; further ones get 503 and are closed */
    uint64_t header_ms;   /* from first byte to end of head, default 10,000 (slow-loris) */
    uint64_t body_ms;     /* without progress of at least body_rate, default 30,000 */
    size_t body_rate;     /* bytes per second below which a body is too slow, default 256 */
    uint64_t send_ms;     /* without the client taking any byte of an answer, default 30,000 */
    uint64_t idle_ms;     /* keep-alive, and before the first byte, default 75,000 */
    uint64_t nap_ms;      /* without a stream, before an HTTP/2 connection's memory is given back;
                             default 1,000 */
};
void http_limits_default(struct http_limits *l);

struct http_listener; /* opaque */
/* address "127.0.0.1:8080", "[::1]:0", "0.0.0.0:80"; several listeners may share a port across
 * loops (SO_REUSEPORT when shared). The handler is copied; its ctx must outlive every exchange.
 * Call before loop_run or on the loop's thread. */
MUST_USE enum code http_listen(struct loop *l, const char *address, bool shared,
                               const struct http_handler *h, const struct http_limits *limits,
                               struct http_listener **out, struct err *e);
/* Connections accepted from now on speak TLS; before the loop runs, or on its thread. t is borrowed
 * until the listener's end. */
struct tls;
MUST_USE enum code http_listener_secure(struct http_listener *s, struct tls *t, struct err *e);
void http_listener_address(const struct http_listener *s,
                           char text[64]); /* with the port really bound */
/* Graceful: stops accepting, answers what is in flight with Connection: close, closes idle
 * connections at once, calls done(ctx) when the last connection ended or after deadline_ms (then
 * the rest is cut). Once; loop thread. */
void http_drain(struct http_listener *s, uint64_t deadline_ms, void (*done)(void *ctx), void *ctx);
/* Cuts what is still open; after drain's done, that is nothing, or exchanges whose client left but
 * whose handler has not responded: these end as ever, and the listener is freed with the last of
 * them. Loop thread, or after loop_run. */
void http_listener_close(struct http_listener *s);

struct http_stats {
    uint64_t accepted, open, idle; /* connections; idle: without an exchange */
    uint64_t requests;             /* complete heads */
    uint64_t refused; /* connections over the limit, and requests that net itself answered with an
                         error */
    uint64_t bytes_in, bytes_out;
    uint64_t naps; /* of HTTP/2 connections */
};
void http_listener_stats(const struct http_listener *s, struct http_stats *out); /* loop thread */
