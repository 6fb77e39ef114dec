/* SPDX-License-Identifier: Apache-2.0 */
/* One connection: bytes to exchanges, exchanges to bytes.
 *
 *   OPEN ──▶ ending (no further request) ──▶ last answer sent ──▶ lingers ──▶ closing
 *    └──────────────── idle, late, or the client left ───────────────────────────▲
 *
 * Everything happens in conn_pump: parse what was read, hand complete requests over, send what is
 * answered, and again while that made room. A handler that answers inside on_request only marks its
 * exchange: the answers of all requests of one read leave in one write.
 *
 * 1. Answers leave in the order of their requests: only the front of the queue is ever written.
 * 2. At most HTTP_PIPELINE exchanges; when they are all waiting, the rest of what was read is kept
 * and reading stops, so the client feels the pressure through TCP.
 * 3. A read lands in the listener's shared buffer, the rest of a long body right where it belongs.
 * An idle connection owns neither buffer nor exchange.
 * 4. After uv_close a connection is only waited for; every function that may have closed it is
 * followed by a look at `closing`. Its memory lives until libuv's close callback.
 * 5. Closing while the client may still be sending would make the kernel reset the connection and
 * could destroy the answer before the client reads it: such connections linger (RFC 9112 §9.6).  */
#include "net/http2.h"

#include "base/clock.h"
#include "base/fault.h"
#include "base/mem.h"

#include <sys/socket.h>

enum {
    WRITE_SPANS = 64,        /* per system call */
    LATER_SPANS = 4,         /* per uv_write: as many as it holds without allocating */
    DIRECT_BYTES = 16 << 10, /* bodies with more to come are read in place */
    DRAIN_BYTES = 64 << 10,  /* bodies of refused requests up to this are read and dropped */
    KEEP_CONNS = 64,
    KEEP_OUT = 512 << 10,
    SEAL_BYTES = 128 << 10 /* encrypted and not yet sent */
};

static struct exchange *receiving(const struct conn *c) {
    return c->last && c->last->phase == EXCHANGE_RECEIVING ? c->last : NULL;
}

/* ---- exchanges of a connection ---- */

void conn_release(struct http_listener *l, struct exchange *x) {
    x->conn = NULL;
    if (x->announced && l->handler.on_done)
        l->handler.on_done(l->handler.ctx, &x->pub);
    l->bodies_bytes -= x->body_bytes;
    exchange_end(&l->pool, x);
    http_listener_unref(l);
}

struct exchange *conn_push_exchange(struct conn *c) {
    struct http_listener *l = c->listener;
    struct exchange *x = exchange_begin(&l->pool);
    if (!x)
        return NULL;
    x->listener = l;
    x->conn = c;
    x->pub.loop = l->loop;
    x->pub.started_ns = clock_ns();
    memcpy(x->pub.peer, c->peer, sizeof c->peer);
    x->prev = c->last;
    *(c->last ? &c->last->next : &c->first) = x;
    c->last = x;
    l->alive++;
    if (c->n_exchanges++ == 0)
        l->busy++;
    deadline_clear(&c->input); /* its time begins now, even if another head was being waited for */
    c->waits_in = PATIENCE_NONE;
    return x;
}

void conn_unlink(struct conn *c, struct exchange *x) {
    *(x->prev ? &x->prev->next : &c->first) = x->next;
    *(x->next ? &x->next->prev : &c->last) = x->prev;
    x->next = x->prev = NULL;
    if (--c->n_exchanges == 0)
        c->listener->busy--;
}

void conn_abandon(struct http_listener *l, struct exchange *x) {
    x->conn = NULL;
    x->pub.gone = true;
    if (x->phase != EXCHANGE_WITH_HANDLER && x->phase != EXCHANGE_STREAMING)
        conn_release(l, x);
    else if (l->handler.on_gone)
        l->handler.on_gone(l->handler.ctx, &x->pub);
}

/* Nobody will read these answers. */
static void abandon_exchanges(struct conn *c) {
    while (c->first) {
        struct exchange *x = c->first;
        conn_unlink(c, x);
        conn_abandon(c->listener, x);
    }
}

/* ---- answers ---- */

/* How the connection goes on after this answer; sets x->close. */
static enum reply_connection connection_after(struct exchange *x, bool close) {
    struct conn *c = x->conn;
    reply_date_update(&c->listener->date, clock_wall_coarse_us());
    bool last = x == c->last && (c->ending || c->listener->draining);
    x->close = close || last || !x->pub.request.keep_alive;
    return x->close ? REPLY_CLOSE : x->parser.http_1_0 ? REPLY_KEEP_1_0 : REPLY_KEEP;
}

static void answer(struct exchange *x, const struct http_response *r) {
    struct http_listener *l = x->listener;
    if (x->conn->h2) {
        http2_answer(x, r);
        return;
    }
    enum reply_connection how = connection_after(x, r->close);
    static const char unclean[] =
        "{\"error\":\"internal error: a response header may not be sent\"}";
    static const char no_memory[] = "{\"error\":\"no memory for the response head\"}";
    bool clean = reply_is_clean(r);
    if (clean && exchange_put_answer(x, r, how, &l->date))
        return;
    struct http_response instead = {
        .status = clean ? 503 : 500, .content_type = LIT("application/json"), .n_parts = 1};
    instead.parts[0] = clean ? (struct span){(const uint8_t *)no_memory, sizeof no_memory - 1}
                             : (struct span){(const uint8_t *)unclean, sizeof unclean - 1};
    if (NEVER(!exchange_put_answer(x, &instead, how, &l->date))) /* fits without memory */
        x->close = true;
}

void conn_answer_error(struct exchange *x, int status, const struct err *e, bool close) {
    struct http_listener *l = x->listener;
    const struct http_header retry = {LIT("Retry-After"), LIT("1")};
    struct http_response r = {
        .status = status, .content_type = LIT("application/json"), .close = close};
    char text[REPLY_ERROR_BYTES];
    x->pub.status = status;
    if (l->handler.refuse) {
        l->handler.refuse(l->handler.ctx, &x->pub, e, &r);
    } else {
        struct str body =
            arena_str(&x->pub.arena, (struct str){text, reply_error_json(e->text, text)});
        r.parts[0] = (struct span){(const uint8_t *)body.p, body.n};
        r.n_parts = 1;
    }
    if ((r.status == 503 || r.status == 429) && !r.n_headers) {
        r.headers = &retry;
        r.n_headers = 1;
    }
    l->stats.refused++;
    answer(x, &r);
}

void conn_refuse_request(struct conn *c, int status, const struct err *e) {
    struct exchange *x = c->last;
    if (x->drains) /* another answer was ready; this one says why the rest never came */
        x->n_out = x->out_at = 0;
    c->ending = c->abrupt = true;
    c->in.n = 0;
    conn_answer_error(x, status, e, true);
}

void conn_answer(struct exchange *x, const struct http_response *r) {
    answer(x, r);
    conn_pump(x->conn);
}

/* ---- streamed answers ---- */

bool conn_stream_begin(struct exchange *x, const struct http_response *r) {
    if (x->conn->h2)
        return http2_stream_begin(x, r);
    enum reply_connection how = connection_after(x, r->close || x->parser.http_1_0);
    if (!reply_is_clean(r) || !exchange_put_stream(x, r, how, &x->listener->date))
        return false;
    conn_pump(x->conn);
    return true;
}

enum http_window conn_stream_write(struct exchange *x, struct span bytes) {
    if (x->conn->h2)
        return http2_stream_write(x, bytes);
    if (!exchange_put_piece(x, bytes)) {
        conn_close(x->conn);
        return HTTP_GONE;
    }
    conn_pump(x->conn);
    if (!x->conn)
        return HTTP_GONE;
    x->full = exchange_waiting(x) >= HTTP_STREAM_WINDOW;
    return x->full ? HTTP_FULL : HTTP_ROOM;
}

void conn_stream_end(struct exchange *x, const struct http_header *trailers, int n_trailers) {
    struct conn *c = x->conn;
    if (c->h2)
        http2_stream_end(x, trailers, n_trailers);
    else if (exchange_put_end(x, trailers, n_trailers))
        conn_pump(c);
    else
        conn_close(c);
}

/* The client must not take what it has for the whole: chunks end without the last one, an answer
 * that ends with its connection is torn off. */
void conn_stream_cut(struct exchange *x) {
    struct conn *c = x->conn;
    if (c->h2) {
        http2_stream_cut(x);
        return;
    }
    x->phase = EXCHANGE_ANSWERED;
    x->close = true;
    if (x->framing == REPLY_CHUNKED)
        conn_pump(c);
    else
        conn_close(c);
}

/* Only the front of the queue is being sent: only it can have got room again. */
static void tell_writable(struct conn *c) {
    struct exchange *x = c->first;
    if (!x || x->phase != EXCHANGE_STREAMING || !x->full ||
        exchange_waiting(x) > HTTP_STREAM_WINDOW / 2)
        return;
    x->full = false;
    if (c->listener->handler.on_writable)
        c->listener->handler.on_writable(c->listener->handler.ctx, &x->pub);
}

/* ---- bytes to exchanges ---- */

/* on_head said no. A short body that is coming anyway is read and dropped, so that the connection
 * lives on; a client that waits for 100-continue may or may not send it, so that nobody knows where
 * the next request begins. */
static void refuse_by_handler(struct conn *c, struct exchange *x, const struct err *e) {
    int status = err_http(e->code);
    if (x->parser.chunked || x->parser.expects_continue ||
        x->pub.request.content_length > DRAIN_BYTES) {
        conn_refuse_request(c, status, e);
        return;
    }
    conn_answer_error(x, status, e, false);
    x->phase = EXCHANGE_RECEIVING;
    x->drains = true;
}

static void refuse_too_large(struct conn *c, const struct exchange *x) {
    struct err e;
    fail(&e, TOO_LARGE, "request body larger than the limit of %zu bytes", x->body_limit);
    conn_refuse_request(c, 413, &e);
}

static void refuse_no_memory(struct conn *c) {
    struct err e;
    fail(&e, NOMEM, "no memory for the request body now; try again later");
    conn_refuse_request(c, 503, &e);
}

static void take_head(struct conn *c, struct exchange *x) {
    struct http_listener *l = c->listener;
    uint64_t length = x->pub.request.content_length;
    struct err e;
    l->stats.requests++;
    x->announced = true;
    x->body_limit = l->limits.body_bytes;
    if (l->handler.on_head(l->handler.ctx, &x->pub, &x->body_limit, &e) != OK)
        refuse_by_handler(c, x, &e);
    else if (length > x->body_limit)
        refuse_too_large(c, x);
    else if (length > l->limits.bodies_bytes - l->bodies_bytes ||
             (length && !exchange_reserve_body(x, (size_t)length)))
        refuse_no_memory(c);
    else if (x->parser.expects_continue && c->in.n == 0)
        exchange_put_continue(x);
}

static void take_body(struct conn *c, struct exchange *x, struct span piece) {
    struct http_listener *l = c->listener;
    size_t have = x->pub.request.body.n;
    if (x->drains)
        return;
    if (piece.n > x->body_limit - have) {
        refuse_too_large(c, x);
        return;
    }
    if (piece.n > l->limits.bodies_bytes - l->bodies_bytes ||
        !exchange_reserve_body(x, have + piece.n)) {
        refuse_no_memory(c);
        return;
    }
    exchange_take_body(x, piece);
    l->bodies_bytes += piece.n;
}

static void take_request(struct conn *c, struct exchange *x) {
    struct http_listener *l = c->listener;
    if (!x->pub.request.keep_alive || l->draining)
        c->ending = true;
    if (x->drains) {
        x->phase = EXCHANGE_ANSWERED;
        return;
    }
    x->phase = EXCHANGE_WITH_HANDLER;
    l->handler.on_request(l->handler.ctx, &x->pub);
}

/* One event of the parser; false when the exchange takes no more bytes, now or ever. */
static bool take_event(struct conn *c, struct exchange *x) {
    struct err e;
    struct span body;
    size_t before = c->in.n;
    enum http1_event event = http1_next(&x->parser, &c->in, &body, &e);
    x->pub.bytes_in += before - c->in.n;
    switch (event) {
    case HTTP1_HEAD: take_head(c, x); break;
    case HTTP1_BODY: take_body(c, x, body); break;
    case HTTP1_END: take_request(c, x); return false;
    case HTTP1_REFUSED: conn_refuse_request(c, x->parser.status, &e); return false;
    case HTTP1_MORE: return false;
    }
    return !c->closing && x->phase == EXCHANGE_RECEIVING;
}

/* No memory for an exchange. Behind others there is no place for an answer: the connection ends
 * after them. */
static void refuse_exchange(struct conn *c) {
    c->in.n = 0;
    if (c->n_exchanges == 0)
        conn_refuse(c, true);
    c->ending = c->abrupt = true;
}

static void receive_http1(struct conn *c) {
    while (c->in.n && !c->ending && !c->closing) {
        struct exchange *x = receiving(c);
        if (!x && c->n_exchanges == HTTP_PIPELINE)
            return;
        if (!x && !(x = conn_push_exchange(c))) {
            refuse_exchange(c);
            return;
        }
        while (take_event(c, x)) {
        }
    }
    if (c->ending)
        c->in.n = 0;
}

/* The first bytes of a connection tell the protocol. Those that could still begin HTTP/2's preface
 * are only counted; when they do not, HTTP/1 gets them from the preface itself. */
static void sniff(struct conn *c) {
    size_t n = HTTP2_PREFACE - c->sniffed, same = 0;
    const uint8_t *preface = (const uint8_t *)http2_preface;
    n = n < c->in.n ? n : c->in.n;
    while (same < n && c->in.p[same] == preface[c->sniffed + same])
        same++;
    if (same < n && c->tls && tls_is_h2(c->tls)) { /* RFC 9113 §3.4 */
        conn_close(c);
        return;
    }
    if (same < n) {
        struct span rest = c->in;
        c->protocol = CONN_HTTP1;
        c->in = (struct span){preface, c->sniffed};
        receive_http1(c);
        c->in = c->ending ? (struct span){0} : rest;
        return;
    }
    c->sniffed += (uint8_t)n;
    c->in = (struct span){c->in.p + n, c->in.n - n};
    if (c->sniffed < HTTP2_PREFACE)
        return;
    c->protocol = CONN_HTTP2;
    struct span rest = c->in;
    if (!http2_begin(c)) {
        conn_close(c);
        return;
    }
    c->in = (struct span){preface, HTTP2_PREFACE}; /* nghttp2 wants to see it too */
    http2_receive(c);
    c->in = rest;
}

static void receive(struct conn *c) {
    if (c->protocol == CONN_UNKNOWN && c->in.n && !c->ending)
        sniff(c);
    if (c->closing || c->protocol == CONN_UNKNOWN)
        return;
    if (!c->h2)
        receive_http1(c);
    else if (c->in.n && !c->ending)
        http2_receive(c);
    if (c->ending)
        c->in.n = 0;
}

/* ---- exchanges to bytes ---- */

/* The spans that may be sent now, in order. */
static unsigned gather(const struct conn *c, uv_buf_t *bufs, unsigned room, size_t *total) {
    unsigned n = 0;
    *total = 0;
    for (const struct exchange *x = c->first; x; x = x->next) {
        if (x->drains && x->phase == EXCHANGE_RECEIVING)
            break;
        for (int i = x->out_at; i < x->n_out && n < room; i++) {
            bufs[n].base = (char *)(uintptr_t)x->out[i].p;
            bufs[n++].len = x->out[i].n;
            *total += x->out[i].n;
        }
        if (x->phase != EXCHANGE_ANSWERED || x->close || x->pieces.n)
            break;
    }
    return n;
}

/* An answer is out. */
static void finish_exchange(struct conn *c) {
    struct exchange *x = c->first;
    bool close = x->close;
    conn_unlink(c, x);
    if (close &&
        x->pub.request.keep_alive) /* our wish, not the client's: it may be sending the next one */
        c->abrupt = true;
    conn_release(c->listener, x);
    if (!close)
        return;
    c->ending = true;
    c->abrupt = c->abrupt || c->first;
    abandon_exchanges(c);
}

/* n bytes of the queue's front are with the kernel; true when an exchange ended. */
static bool note_sent(struct conn *c, size_t n) {
    bool ended = false;
    c->listener->stats.bytes_out += n;
    while (c->first) {
        struct exchange *x = c->first;
        for (; x->out_at < x->n_out && n >= x->out[x->out_at].n; x->out_at++) {
            n -= x->out[x->out_at].n;
            x->pub.bytes_out += x->out[x->out_at].n;
        }
        if (x->out_at < x->n_out) {
            struct span *part = &x->out[x->out_at];
            x->pub.bytes_out += n;
            *part = (struct span){part->p + n, part->n - n};
            break;
        }
        if (exchange_refill(x) || x->phase != EXCHANGE_ANSWERED)
            break;
        finish_exchange(c);
        ended = true;
    }
    return ended;
}

/* n bytes of `out` are with the kernel. */
static void note_out(struct conn *c, size_t n) {
    c->listener->stats.bytes_out += c->tls && !c->h2 ? 0 : n; /* note_sent has counted them */
    c->out_at += n;
    if (c->out_at == c->out.n) {
        c->out_at = 0;
        buf_clear(&c->out);
    }
}

static void on_written(uv_write_t *request, int status) {
    struct conn *c = request->data;
    if (c->closing)
        return;
    c->writing = false;
    deadline_clear(&c->output); /* the client took bytes: it has its time again */
    c->waits_out = PATIENCE_NONE;
    if (status < 0) {
        conn_close(c);
        return;
    }
    if (c->out.n)
        note_out(c, c->write_bytes);
    else
        note_sent(c, c->write_bytes);
    conn_pump(c);
}

static void write_later(struct conn *c, const uv_buf_t *bufs, unsigned n) {
    c->write.data = c;
    if (uv_write(&c->write, (uv_stream_t *)&c->tcp, bufs, n, on_written) < 0)
        conn_close(c);
    else
        c->writing = true;
}

/* The socket is full: libuv sends the next few spans when it can. */
static void send_later(struct conn *c) {
    uv_buf_t bufs[LATER_SPANS];
    unsigned n = gather(c, bufs, LATER_SPANS, &c->write_bytes);
    write_later(c, bufs, n);
}

static int try_write(struct conn *c, const uv_buf_t *bufs, unsigned n) {
    int sent = FAULT(FAULT_SEND) ? UV_ECONNRESET : uv_try_write((uv_stream_t *)&c->tcp, bufs, n);
    return sent == UV_EAGAIN ? 0 : sent;
}

bool conn_emit(struct conn *c, const void *bytes, size_t n) {
    if (!c->out.p && c->listener->spare_out.p) { /* one buf serves a loop that is not congested */
        c->out = c->listener->spare_out;
        c->listener->spare_out = (struct buf){.cap_bytes = SIZE_MAX};
    }
    if (!c->tls)
        buf_put(&c->out, bytes, n);
    else if (tls_write(c->tls, bytes, n))
        tls_take(c->tls, &c->out);
    else
        return false;
    return c->out.code == OK;
}

/* Sends what waits in `out`; false when the socket does not take all of it. */
static bool flush(struct conn *c) {
    uv_buf_t buf = uv_buf_init(c->out.p + c->out_at, (unsigned)(c->out.n - c->out_at));
    int sent = buf.len ? try_write(c, &buf, 1) : 0;
    if (sent < 0) {
        conn_close(c);
        return false;
    }
    note_out(c, (size_t)sent);
    if (c->out.n == 0)
        return true;
    buf = uv_buf_init(c->out.p + c->out_at, (unsigned)(c->out.n - c->out_at));
    c->write_bytes = buf.len;
    write_later(c, &buf, 1);
    return false;
}

/* What TLS itself has to say: its handshake. */
static void take_sealed(struct conn *c) {
    if (c->tls)
        tls_take(c->tls, &c->out);
}

static void send_frames(struct conn *c) {
    while (!c->writing && !c->closing && !c->ending) {
        http2_writable(c);
        if (c->closing)
            return;
        http2_fill(c);
        take_sealed(c);
        if (c->closing || c->out.n == 0 || !flush(c))
            return;
    }
}

static bool send_sealed(struct conn *c);

/* True when an exchange ended: there is room for another. */
static bool send_answers(struct conn *c) {
    bool ended = false;
    if (c->h2) {
        send_frames(c);
        return false;
    }
    if (c->tls)
        return send_sealed(c);
    while (!c->writing && !c->closing) {
        uv_buf_t bufs[WRITE_SPANS];
        size_t total;
        tell_writable(c);
        if (c->first)
            (void)exchange_refill(c->first);
        unsigned n = gather(c, bufs, WRITE_SPANS, &total);
        if (n == 0) { /* a streamed answer may have ended after its last byte was sent */
            if (!note_sent(c, 0))
                break;
            ended = true;
            continue;
        }
        int sent = try_write(c, bufs, n);
        if (sent < 0) {
            conn_close(c);
            break;
        }
        ended |= note_sent(c, (size_t)sent);
        if ((size_t)sent < total && !c->closing)
            send_later(c);
    }
    return ended;
}

/* Encrypts what may be sent, as far as it is worth it now; false: nothing is left, or no memory. */
static bool seal(struct conn *c, bool *ended) {
    uv_buf_t bufs[WRITE_SPANS];
    size_t total, sealed = 0;
    tell_writable(c);
    if (c->first)
        (void)exchange_refill(c->first);
    unsigned n = gather(c, bufs, WRITE_SPANS, &total);
    for (unsigned i = 0; i < n && c->out.n < SEAL_BYTES; i++) {
        size_t room = SEAL_BYTES - c->out.n, step = bufs[i].len < room ? bufs[i].len : room;
        if (!conn_emit(c, bufs[i].base, step)) {
            conn_close(c);
            return false;
        }
        sealed += step;
        if (step < bufs[i].len)
            break;
    }
    bool one = note_sent(c, sealed);
    *ended |= one;
    return n > 0 || one;
}

static bool send_sealed(struct conn *c) {
    bool ended = false, more = true;
    while (more && !c->writing && !c->closing) {
        more = tls_ready(c->tls) && seal(c, &ended);
        if (c->closing)
            break;
        take_sealed(c);
        if (c->out.n && !flush(c))
            break;
    }
    return ended;
}

/* ---- reading ---- */

/* Where the next read goes: the shared buffer, or right into the body when much of it is still to
 * come. */
static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf) {
    (void)suggested;
    struct conn *c = handle->data;
    struct exchange *x = receiving(c);
    *buf = uv_buf_init((char *)c->listener->read_buffer, READ_BYTES);
    if (!x || c->h2 || c->tls || x->drains || x->parser.chunked ||
        http1_body_left(&x->parser) < DIRECT_BYTES)
        return;
    size_t room;
    uint64_t left = http1_body_left(&x->parser);
    buf->base = (char *)exchange_body_end(x, &room);
    buf->len = left < room ? (size_t)left : room;
}

/* The shared buffer is needed for the next connection: what could not be parsed yet moves out of
 * it. */
static void keep_unparsed(struct conn *c) {
    if (c->in.n == 0) {
        mem_free(c->kept);
        c->kept = NULL;
    } else if (!c->kept) {
        c->kept = mem_alloc(c->in.n);
        if (!c->kept) {
            conn_close(c);
            return;
        }
        memcpy(c->kept, c->in.p, c->in.n);
        c->in.p = c->kept;
    }
}

/* The client ended its side. What it asked for completely is still answered. */
static void on_eof(struct conn *c) {
    struct exchange *x = receiving(c);
    c->eof = true;
    c->reading = false; /* libuv stopped */
    bool left = c->first && c->first->pub.stays;
    if (c->lingers || c->h2 || !c->first || left ||
        (x && x == c->first && !http1_started(&x->parser))) {
        conn_close(c);
        return;
    }
    if (x) {
        struct err e;
        fail(&e, INVALID,
             "the connection ended in the middle of a request, after %zu bytes of its body",
             x->pub.request.body.n);
        conn_refuse_request(c, 400, &e);
    }
    c->ending = true;
    if (c->first->phase == EXCHANGE_WITH_HANDLER)
        exchange_put_continue(
            c->first); /* only a client that left answers this, with a reset; conn_late looks */
    conn_pump(c);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf) {
    struct conn *c = stream->data;
    if (n > 0 && FAULT(FAULT_READ))
        n = UV_ECONNRESET;
    if (n == UV_EOF)
        on_eof(c);
    else if (n < 0)
        conn_close(c);
    if (n <= 0)
        return;
    c->listener->stats.bytes_in += (uint64_t)n;
    c->window_bytes += (size_t)n;
    if (c->ending)
        return; /* dropped */
    c->in = (struct span){(const uint8_t *)buf->base, (size_t)n};
    if (c->tls) {
        if (!tls_feed(c->tls, c->in)) {
            conn_close(c);
            return;
        }
        c->in.n = 0;
    }
    conn_pump(c);
}

/* The next decrypted bytes, when there is room for a request; false: none. */
static bool pull(struct conn *c) {
    size_t n = 0;
    bool room = c->h2 || receiving(c) || c->n_exchanges < HTTP_PIPELINE;
    if (!c->tls || c->in.n || c->closing || c->eof || !room)
        return false;
    switch (tls_read(c->tls, c->listener->plain, READ_BYTES, &n)) {
    case TLS_DATA: c->in = (struct span){c->listener->plain, c->ending ? 0 : n}; return !c->ending;
    case TLS_MORE: break;
    case TLS_ENDED:
        uv_read_stop((uv_stream_t *)&c->tcp);
        on_eof(c);
        break;
    case TLS_FAILED: /* its alert is the last that goes out */
        take_sealed(c);
        if (c->out.n && !c->writing)
            (void)flush(c);
        conn_close(c);
        break;
    }
    return false;
}

static void set_reading(struct conn *c) {
    bool room = c->in.n == 0 && (c->h2 || receiving(c) || c->n_exchanges < HTTP_PIPELINE);
    bool want = !c->eof && (c->ending || room);
    if (want == c->reading)
        return;
    if (want && uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read) < 0) {
        conn_close(c);
        return;
    }
    if (!want)
        uv_read_stop((uv_stream_t *)&c->tcp);
    c->reading = want;
}

/* ---- life ---- */

static void say_goodbye(struct conn *c) {
    tls_goodbye(c->tls);
    take_sealed(c);
    uv_buf_t buf = uv_buf_init(c->out.p, (unsigned)c->out.n);
    if (buf.len)
        (void)try_write(c, &buf, 1);
    buf_clear(&c->out);
}

/* The last answer is out: close, or shut down our side and let the client find the end of it first.
 */
static void end(struct conn *c) {
    uv_os_fd_t fd;
    if (c->lingers)
        return;
    if (c->tls)
        say_goodbye(c);
    if (!c->abrupt || c->eof || uv_fileno((const uv_handle_t *)&c->tcp, &fd) < 0 ||
        shutdown(fd, SHUT_WR) < 0) {
        conn_close(c);
        return;
    }
    c->lingers = true;
}

/* An idle connection owns no buffer. */
static void put_back_out(struct conn *c) {
    struct http_listener *l = c->listener;
    if (l->spare_out.p || c->out.room > KEEP_OUT)
        buf_deinit(&c->out);
    else
        l->spare_out = c->out;
    c->out = (struct buf){.cap_bytes = SIZE_MAX};
}

/* The connection comes to rest: what is it waiting for now? */
static void settle(struct conn *c) {
    keep_unparsed(c);
    if (!c->closing && c->h2 && !c->writing && !c->ending && http2_over(c)) {
        c->ending = c->abrupt = true;
        abandon_exchanges(c);
    }
    bool draining = c->listener->draining && !c->h2;
    if (!c->closing && !c->first && !c->writing && (c->ending || draining))
        end(c);
    if (!c->out.n && c->out.p)
        put_back_out(c);
    if (!c->closing)
        set_reading(c);
    if (!c->closing)
        patience_settle(c);
}

void conn_pump(struct conn *c) {
    if (c->pumping || c->closing)
        return;
    c->pumping = true;
    do {
        receive(c);
        while (pull(c))
            receive(c);
    } while (!c->closing && send_answers(c) && (c->in.n || c->tls) && !c->closing);
    c->pumping = false;
    if (!c->closing)
        settle(c);
}

static bool probe_failed(struct conn *c) {
    uv_os_fd_t fd;
    int error = 0;
    socklen_t n = sizeof error;
    return uv_fileno((const uv_handle_t *)&c->tcp, &fd) < 0 ||
           getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n) < 0 || error;
}

static bool body_is_slow(const struct conn *c) {
    const struct http_limits *m = &c->listener->limits;
    return c->window_bytes < m->body_rate * m->body_ms / 1000 || c->window_bytes == 0;
}

static void refuse_late(struct conn *c, const char *what) {
    struct err e;
    fail(&e, TIMEOUT, "the request's %s came too slowly", what);
    conn_refuse_request(c, 408, &e);
    conn_pump(c);
}

void conn_late(struct conn *c, enum patience what) {
    bool over = false;
    switch (what) {
    case PATIENCE_HEAD: /* less than a preface, or empty lines only: nobody to answer */
        over = !c->last || (c->first == c->last && !http1_started(&c->last->parser));
        if (!over)
            refuse_late(c, "head");
        break;
    case PATIENCE_BODY:
        if (c->h2)
            http2_body_late(c, body_is_slow(c));
        else if (body_is_slow(c))
            refuse_late(c, "body");
        break;
    case PATIENCE_SEND:
        over = c->writing
                   ? uv_stream_get_write_queue_size((const uv_stream_t *)&c->tcp) >= c->unsent_bytes
                   : c->sent_bytes == c->sent_mark;
        break;
    case PATIENCE_PROBE: over = probe_failed(c); break;
    case PATIENCE_NAP: http2_sleep(c); break;
    case PATIENCE_IDLE:
        over = !c->h2;
        if (!over) {
            http2_idle(c);
            conn_pump(c);
        }
        break;
    case PATIENCE_NONE:
    case PATIENCE_LINGER:
    case PATIENCE_N: over = true; break;
    }
    if (over)
        conn_close(c);
    else if (!c->closing)
        patience_settle(c);
}

static void on_closed(uv_handle_t *handle) {
    struct conn *c = handle->data;
    struct http_listener *l = c->listener;
    http2_end(c->h2);
    tls_end(c->tls);
    buf_deinit(&c->out);
    c->prev->next = c->next;
    c->next->prev = c->prev;
    l->stats.open--;
    if (l->n_free_conns < KEEP_CONNS) {
        c->next = l->free_conns;
        l->free_conns = c;
        l->n_free_conns++;
    } else {
        mem_free(c);
    }
    if (l->starved)
        http_accept_again(l);
    http_listener_unref(l);
}

void conn_close(struct conn *c) {
    if (c->closing)
        return;
    c->closing = true;
    c->in.n = 0;
    patience_clear(c);
    abandon_exchanges(c);
    mem_free(c->kept);
    c->kept = NULL;
    uv_close((uv_handle_t *)&c->tcp, on_closed);
}

struct conn *conn_open(struct http_listener *l) {
    struct conn *c = l->free_conns;
    if (c) {
        l->free_conns = c->next;
        l->n_free_conns--;
    } else if (!(c = mem_alloc(sizeof *c))) {
        return NULL;
    }
    *c = (struct conn){.listener = l, .out.cap_bytes = SIZE_MAX};
    uv_tcp_init(l->tcp.loop, &c->tcp); /* cannot fail without a family */
    c->tcp.data = c;
    c->next = &l->conns;
    c->prev = l->conns.prev;
    c->prev->next = c;
    l->conns.prev = c;
    l->alive++;
    l->stats.open++;
    return c;
}

void conn_start(struct conn *c) {
    if (c->listener->tls && !(c->tls = tls_begin(c->listener->tls)))
        conn_close(c);
    else
        settle(c);
}

void conn_refuse(struct conn *c, bool politely) {
    static char text[] =
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 1\r\n"
        "Content-Length: 45\r\nConnection: close\r\n\r\n{\"error\":\"too many connections; retry "
        "later\"}";
    uv_buf_t buf = uv_buf_init(text, sizeof text - 1);
    c->listener->stats.refused++;
    c->ending = c->abrupt = true;
    if (uv_try_write((uv_stream_t *)&c->tcp, &buf, 1) < 0 || !politely)
        conn_close(c);
    else if (!c->pumping)
        settle(c);
}
