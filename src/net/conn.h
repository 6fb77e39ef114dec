/* SPDX-License-Identifier: Apache-2.0 */
/* One connection, and the listener it belongs to: the private side of http.h, shared by http.c,
 * conn.c and patience.c. All of it is owned by the loop's thread. */
#pragma once

#include "net/deadline.h"
#include "net/exchange.h"
#include "net/reply.h"
#include "net/tls.h"

#include <uv.h>

/* What a connection may keep us waiting for; one queue of deadlines each (patience.c). */
enum patience {
    PATIENCE_NONE,
    PATIENCE_IDLE,   /* the first byte of a request */
    PATIENCE_HEAD,   /* the rest of the head */
    PATIENCE_BODY,   /* enough bytes of body in this window */
    PATIENCE_LINGER, /* the client's end, after ours */
    /* from here on: what keeps us from sending, or from resting */
    PATIENCE_SEND,  /* the client to take bytes of an answer */
    PATIENCE_PROBE, /* news of a client that ended its side */
    PATIENCE_NAP,   /* anything to do, before HTTP/2's memory is given back */
    PATIENCE_N
};

enum { READ_BYTES = 64 << 10 };

struct conn {
    uv_tcp_t tcp;
    uv_write_t write; /* of what uv_try_write left */
    size_t write_bytes;
    struct http_listener *listener; /* borrowed */
    struct conn *next, *prev;       /* of the listener's; next also in its free list */
    struct exchange *first, *last;  /* in order of arrival; only `last` can be receiving */
    int n_exchanges;
    struct http2 *h2;     /* owned; NULL: HTTP/1 */
    struct tls_conn *tls; /* owned; NULL: none */
    enum { CONN_UNKNOWN, CONN_HTTP1, CONN_HTTP2 } protocol;
    struct buf out; /* frames for the socket, from out_at on; owned, lent when there are none */
    size_t out_at;
    struct span
        in; /* read, not yet parsed: in the listener's read buffer, in a body, or in `kept` */
    uint8_t *kept; /* owned; unparsed bytes while the pipeline is full */
    struct deadline input, output;
    enum patience waits_in, waits_out;
    size_t window_bytes;            /* read since `input` was set; BODY */
    size_t unsent_bytes;            /* when `output` was set; SEND */
    uint64_t sent_bytes, sent_mark; /* of HTTP/2's answers; when `output` was set */
    uint8_t sniffed;                /* bytes that are HTTP/2's preface so far */
    bool reading;                   /* uv_read_start is on */
    bool writing;                   /* a uv_write is under way */
    bool ending;                    /* no further request is taken; what comes is dropped */
    bool abrupt;                    /* the client may still be sending: linger before closing */
    bool lingers;                   /* our side is shut down */
    bool eof;                       /* the client's side is shut down */
    bool closing;                   /* uv_close was called */
    bool pumping;                   /* inside conn_pump */
    char peer[56];
};

struct http_listener {
    uv_tcp_t tcp;
    uv_timer_t timer; /* the earliest of all deadlines */
    uv_timer_t drain_timer;
    uint64_t armed_ms; /* when `timer` fires; UINT64_MAX: not armed */
    struct loop *loop; /* borrowed */
    struct http_handler handler;
    struct http_limits limits;
    struct deadline_queue waits[PATIENCE_N];
    struct exchange_pool pool;
    struct reply_date date;
    struct conn conns; /* ring; only next and prev are used */
    struct conn *free_conns;
    int n_free_conns;
    size_t bodies_bytes; /* bodies received so far of all exchanges alive */
    unsigned busy;       /* connections with an exchange */
    size_t alive;        /* handles, connections and exchanges that hold the listener's memory */
    struct http_stats stats;
    bool listening, starved, draining, cut, closed;
    void (*drained)(void *ctx);
    void *drained_ctx;
    struct tls *tls;      /* borrowed; NULL: none */
    uint8_t *plain;       /* (READ_BYTES) owned; what was decrypted; NULL without tls */
    struct buf spare_out; /* owned; of connections without frames to send */
    uint8_t read_buffer[READ_BYTES];
};

/* ---- conn.c ---- */
struct conn *conn_open(
    struct http_listener *l);    /* an initialised handle, not connected; NULL: out of memory */
void conn_start(struct conn *c); /* the handle has its socket */
void conn_refuse(struct conn *c,
                 bool politely); /* 503 and an end, instead of conn_start; politely: lingers */
void conn_close(struct conn *c); /* at once; tells the handler of requests it still has */
struct exchange *conn_push_exchange(struct conn *c); /* a new one, receiving; NULL: no memory */
void conn_unlink(struct conn *c, struct exchange *x);
void conn_abandon(struct http_listener *l, struct exchange *x); /* unlinked: its client left */
void conn_answer_error(struct exchange *x, int status, const struct err *e, bool close);
bool conn_emit(struct conn *c, const void *bytes, size_t n); /* frames: to `out` */
void conn_pump(struct conn *c); /* parse, hand over, send, until nothing more can be done */
void conn_answer(struct exchange *x, const struct http_response *r); /* its conn is not NULL */
bool conn_stream_begin(struct exchange *x, const struct http_response *r); /* as http_stream_* */
enum http_window conn_stream_write(struct exchange *x, struct span bytes);
void conn_stream_end(struct exchange *x, const struct http_header *trailers, int n_trailers);
void conn_stream_cut(struct exchange *x);
void conn_late(struct conn *c, enum patience what); /* a deadline passed */
void conn_refuse_request(struct conn *c, int status,
                         const struct err *e);                  /* the one being received */
void conn_release(struct http_listener *l, struct exchange *x); /* on_done, then back to the pool */

/* ---- patience.c ---- */
void patience_init(struct http_listener *l);
void patience_settle(
    struct conn *c); /* sets both deadlines to what the connection's state asks for */
void patience_clear(struct conn *c);
void patience_retry_accept(struct http_listener *l);

/* ---- http.c ---- */
void http_accept_again(struct http_listener *l); /* after out of memory */
void http_listener_unref(
    struct http_listener *l); /* one of `alive` ended; may free it, may report it drained */
