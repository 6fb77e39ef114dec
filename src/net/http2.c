/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/2: see http2.h. From the top: limits, requests coming in, answers going out, the
 * connection. */
#include "net/http2.h"

#include "base/clock.h"
#include "base/mem.h"
#include "net/doze.h"
#include "net/uri.h"

#include <nghttp2/nghttp2.h>

enum {
    STREAMS = 256,           /* at one time */
    STREAM_WINDOW = 1 << 20, /* bytes a client may send ahead, of one request */
    CONN_WINDOW = 16 << 20,  /* of all of them */
    FRAME_BYTES = 64 << 10,  /* of ours, if the client allows as much */
    OUT_BYTES = 256 << 10,   /* frames that wait for the socket */
    RESETS = 400,            /* streams reset by the client without an answer, at once... */
    RESETS_PER_SECOND = 100, /* ...and in the long run */
    NOISE = 4000,            /* frames that carry nothing, between two that do */
    NOISE_PER_SECOND = 200,
    LATELY = 64, /* numbers, two a stream */
    DATE_BYTES = 29,
    NV_MOST = HTTP_HEADERS + 4, /* :status, date, content-type, content-length */
    SESSION_BYTES = 28 << 10    /* of a new session: tables, and a buffer of 16 KB for one frame */
};

const char http2_preface[25] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/* A leaking bucket: fills by one an event, leaks `per_second`. */
struct bucket {
    uint64_t at_ns;
    double level;
};

struct http2 {
    nghttp2_session *session; /* owned */
    struct doze memory;       /* what the session was born with; the rest is on the heap */
    bool born;
    int receiving; /* requests that are not complete and collect a body */
    int answered;  /* exchanges with all of their answer given, not yet sent */
    int full;      /* streamed answers whose handler was told FULL */
    struct bucket resets, noise;
    bool notice;  /* a GOAWAY that allows all streams is out; the final one follows */
    bool going;   /* the final one is */
    int32_t last; /* highest number of a stream that the client opened */
};

/* ---- floods ---- */

static bool overflows(struct bucket *b, double most, double per_second) {
    uint64_t now = clock_ns();
    double leaked = (double)(now - b->at_ns) * 1e-9 * per_second;
    b->level = (b->level > leaked ? b->level - leaked : 0) + 1;
    b->at_ns = now;
    return b->level > most;
}

static int calm(nghttp2_session *session) {
    nghttp2_session_terminate_session(session, NGHTTP2_ENHANCE_YOUR_CALM);
    return 0;
}

/* ---- the exchange of a stream ---- */

static struct exchange *exchange_of(nghttp2_session *session, int32_t stream) {
    return nghttp2_session_get_stream_user_data(session, stream);
}

static void reset(struct http2 *h, int32_t stream, uint32_t code) {
    nghttp2_submit_rst_stream(h->session, NGHTTP2_FLAG_NONE, stream, code);
}

static void stop_receiving(struct exchange *x) {
    x->conn->h2->receiving -= x->collects;
    x->collects = false;
}

static void set_answered(struct exchange *x) {
    struct http2 *h = x->conn->h2;
    stop_receiving(x);
    h->full -= x->full;
    x->full = false;
    x->phase = EXCHANGE_ANSWERED;
    h->answered++;
}

/* The answer of a request that net refuses; what still comes of it is dropped. */
static void refuse(struct exchange *x, int status, const struct err *e) {
    x->drains = true;
    conn_answer_error(x, status, e, false);
}

/* ---- requests ---- */

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user) {
    struct conn *c = user;
    struct http2 *h = c->h2;
    if (c->closing)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    if (frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0; /* trailers */
    struct exchange *x = conn_push_exchange(c);
    if (!x) {
        reset(h, frame->hd.stream_id, NGHTTP2_REFUSED_STREAM);
        return 0;
    }
    x->stream = h->last = frame->hd.stream_id;
    x->pub.duplex = true;
    x->pub.request.keep_alive = true;
    x->collects = true;
    h->receiving++;
    nghttp2_session_set_stream_user_data(session, x->stream, x);
    return 0;
}

/* RFC 9113 §5.1.1: numbers only grow. nghttp2 takes one that was skipped for that of a stream long
 * closed; it still knows those closed lately. */
static int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *hd, void *user) {
    const struct conn *c = user;
    int32_t behind = c->h2->last - hd->stream_id;
    if (hd->type == NGHTTP2_HEADERS && hd->stream_id % 2 == 1 && behind > 0 && behind <= LATELY &&
        !nghttp2_session_find_stream(session, hd->stream_id))
        nghttp2_session_terminate_session(session, NGHTTP2_PROTOCOL_ERROR);
    return 0;
}

/* Static names and values are constants of nghttp2, all others are copied. */
static struct str keep_text(struct arena *a, nghttp2_rcbuf *text) {
    nghttp2_vec v = nghttp2_rcbuf_get_buf(text);
    struct str s = {(const char *)v.base, v.len};
    if (nghttp2_rcbuf_is_static(text) || !s.n)
        return s;
    char *copy = arena_push_aligned(a, s.n, 1);
    if (copy)
        memcpy(copy, s.p, s.n);
    return (struct str){copy, copy ? s.n : 0};
}

static void take_field(struct exchange *x, struct str name, struct str value) {
    struct http_request *r = &x->pub.request;
    if (name.n == 0 || name.p[0] != ':') {
        r->headers[r->n_headers++] = (struct http_header){name, value};
        if (str_is(name, "content-length")) /* nghttp2 has checked it and counts the body */
            (void)str_to_u64(value, &r->content_length);
    } else if (str_is(name, ":method")) {
        r->method = value;
    } else if (str_is(name, ":path")) {
        r->target = value;
    } else if (str_is(name, ":authority")) {
        r->headers[r->n_headers++] = (struct http_header){LIT("host"), value};
    }
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, nghttp2_rcbuf *name,
                     nghttp2_rcbuf *value, uint8_t flags, void *user) {
    struct conn *c = user;
    struct exchange *x = exchange_of(session, frame->hd.stream_id);
    (void)flags;
    if (!x || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    x->head_bytes += nghttp2_rcbuf_get_buf(name).len + nghttp2_rcbuf_get_buf(value).len + 32;
    x->head_over = x->head_over || x->head_bytes > c->listener->limits.header_bytes ||
                   x->pub.request.n_headers == HTTP_HEADERS;
    x->pub.bytes_in += nghttp2_rcbuf_get_buf(name).len + nghttp2_rcbuf_get_buf(value).len;
    if (!x->head_over)
        take_field(x, keep_text(&x->pub.arena, name), keep_text(&x->pub.arena, value));
    return 0;
}

/* RFC 9110 §10.1.1: the client waits for this before it sends its body. */
static void put_continue(struct exchange *x) {
    static uint8_t name[] = ":status", value[] = "100";
    const nghttp2_nv nv = {name, value, 7, 3, NGHTTP2_NV_FLAG_NONE};
    struct str expects = http_header_get(&x->pub.request, "expect");
    if (str_eq_nocase(expects, LIT("100-continue")))
        nghttp2_submit_headers(x->conn->h2->session, NGHTTP2_FLAG_NONE, x->stream, NULL, &nv, 1,
                               NULL);
}

static void refuse_too_large(struct exchange *x) {
    struct err e;
    fail(&e, TOO_LARGE, "request body larger than the limit of %zu bytes", x->body_limit);
    refuse(x, 413, &e);
}

static void refuse_no_memory(struct exchange *x) {
    struct err e;
    fail(&e, NOMEM, "no memory for the request body now; try again later");
    refuse(x, 503, &e);
}

static bool head_is_good(struct conn *c, struct exchange *x) {
    struct err e;
    int status;
    const char *wrong = NULL;
    if (x->head_over) {
        fail(&e, HEADER_LIMIT, "the header fields are over the limit of %zu bytes and %d fields",
             c->listener->limits.header_bytes, HTTP_HEADERS);
        refuse(x, 431, &e);
        return false;
    }
    wrong = uri_take_target(&x->pub.request, &x->pub.arena, &status);
    if (wrong) {
        fail(&e, INVALID, "%s", wrong);
        refuse(x, status, &e);
    }
    return !wrong;
}

static void take_head(struct conn *c, struct exchange *x, bool body_comes) {
    struct http_listener *l = c->listener;
    struct err e;
    if (!head_is_good(c, x))
        return;
    uint64_t length = x->pub.request.content_length;
    l->stats.requests++;
    x->announced = true;
    x->body_limit = l->limits.body_bytes;
    if (l->handler.on_head(l->handler.ctx, &x->pub, &x->body_limit, &e) != OK) {
        refuse(x, err_http(e.code), &e);
    } else if (x->pub.pieces) {
        stop_receiving(x);
        x->phase = EXCHANGE_WITH_HANDLER;
    } else if (length > x->body_limit) {
        refuse_too_large(x);
    } else if (length > l->limits.bodies_bytes - l->bodies_bytes ||
               (length && !exchange_reserve_body(x, (size_t)length))) {
        refuse_no_memory(x);
    }
    if (body_comes && x->phase != EXCHANGE_ANSWERED)
        put_continue(x);
}

static void take_end(struct conn *c, struct exchange *x) {
    struct http_listener *l = c->listener;
    x->whole = true;
    stop_receiving(x);
    if (x->phase == EXCHANGE_RECEIVING)
        x->phase = EXCHANGE_WITH_HANDLER;
    else if (!x->pub.pieces || x->phase == EXCHANGE_ANSWERED)
        return;
    l->handler.on_request(l->handler.ctx, &x->pub);
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user) {
    struct conn *c = user;
    struct http2 *h = c->h2;
    if (c->closing)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    bool head = frame->hd.type == NGHTTP2_HEADERS, data = frame->hd.type == NGHTTP2_DATA;
    if (frame->hd.type == NGHTTP2_PING && frame->hd.flags & NGHTTP2_FLAG_ACK && h->notice)
        http2_idle(c);
    if (!head && !(data && frame->hd.length) && overflows(&h->noise, NOISE, NOISE_PER_SECOND))
        return calm(session);
    struct exchange *x = head || data ? exchange_of(session, frame->hd.stream_id) : NULL;
    if (!x)
        return 0;
    bool end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    if (head && frame->headers.cat == NGHTTP2_HCAT_REQUEST)
        take_head(c, x, !end);
    if (!c->closing && end)
        take_end(c, x);
    return c->closing ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

static void collect(struct conn *c, struct exchange *x, struct span piece) {
    struct http_listener *l = c->listener;
    size_t have = x->pub.request.body.n;
    if (piece.n > x->body_limit - have) {
        refuse_too_large(x);
    } else if (piece.n > l->limits.bodies_bytes - l->bodies_bytes ||
               !exchange_reserve_body(x, have + piece.n)) {
        refuse_no_memory(x);
    } else {
        exchange_take_body(x, piece);
        l->bodies_bytes += piece.n;
    }
}

/* The connection's window opens again at once: one slow stream must not hold up the others. */
static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *bytes,
                   size_t n, void *user) {
    struct conn *c = user;
    struct exchange *x = exchange_of(session, stream);
    (void)flags;
    if (c->closing)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    c->h2->noise.level = 0;
    nghttp2_session_consume_connection(session, n);
    if (x)
        x->pub.bytes_in += n;
    if (x && x->pub.pieces && x->phase != EXCHANGE_ANSWERED) {
        c->listener->handler.on_body(c->listener->handler.ctx, &x->pub, (struct span){bytes, n});
        return c->closing ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
    }
    nghttp2_session_consume_stream(session, stream, n);
    if (x && x->phase == EXCHANGE_RECEIVING)
        collect(c, x, (struct span){bytes, n});
    return 0;
}

void http2_body_took(struct exchange *x, size_t n) {
    nghttp2_session_consume_stream(x->conn->h2->session, x->stream, n);
    conn_pump(x->conn);
}

static int on_stream_close(nghttp2_session *session, int32_t stream, uint32_t code, void *user) {
    struct conn *c = user;
    struct http2 *h = c->h2;
    struct exchange *x = exchange_of(session, stream);
    if (c->closing || !x)
        return 0;
    stop_receiving(x);
    h->full -= x->full;
    h->answered -= x->phase == EXCHANGE_ANSWERED;
    bool answered = x->phase == EXCHANGE_ANSWERED && x->sent_all;
    conn_unlink(c, x);
    if (!answered)
        conn_abandon(c->listener, x);
    else
        conn_release(c->listener, x);
    if (!answered && code != NGHTTP2_NO_ERROR && overflows(&h->resets, RESETS, RESETS_PER_SECOND))
        return calm(session);
    return 0;
}

/* ---- answers ---- */

static nghttp2_nv field(struct arena *a, struct str name, struct str value) {
    char *lower = arena_push_aligned(a, name.n + 1, 1);
    for (size_t i = 0; lower && i < name.n; i++)
        lower[i] = name.p[i] >= 'A' && name.p[i] <= 'Z' ? (char)(name.p[i] | 0x20) : name.p[i];
    return (nghttp2_nv){(uint8_t *)lower, (uint8_t *)(uintptr_t)value.p, lower ? name.n : 0,
                        value.n, NGHTTP2_NV_FLAG_NONE};
}

/* Copies of the trailers, sent when the body is. */
static void keep_trailers(struct exchange *x, const struct http_header *trailers, int n) {
    struct arena *a = &x->pub.arena;
    nghttp2_nv *nv = n > 0 ? arena_push_array(a, (size_t)n, sizeof *nv) : NULL;
    for (int i = 0; nv && i < n; i++)
        nv[i] = field(a, trailers[i].name, arena_str(a, trailers[i].value));
    x->trailers = nv;
    x->n_trailers = nv ? (size_t)n : 0;
}

static ssize_t give_data(nghttp2_session *session, int32_t stream, uint8_t *buf, size_t room,
                         uint32_t *flags, nghttp2_data_source *source, void *user) {
    struct exchange *x = source->ptr;
    struct conn *c = user;
    (void)buf;
    if (c->closing)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    size_t n = 0;
    bool more = exchange_refill(x) && x->pieces.n;
    for (int i = x->out_at; i < x->n_out; i++)
        n += x->out[i].n;
    if (n == 0 && x->phase != EXCHANGE_ANSWERED) {
        x->deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    *flags = NGHTTP2_DATA_FLAG_NO_COPY;
    if (n > room || more || x->phase != EXCHANGE_ANSWERED)
        return (ssize_t)(n < room ? n : room);
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (x->n_trailers) {
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        if (nghttp2_submit_trailer(session, stream, x->trailers, x->n_trailers) != 0)
            return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    return (ssize_t)n;
}

static ssize_t frame_length(nghttp2_session *session, uint8_t type, int32_t stream,
                            int32_t conn_window, int32_t stream_window, uint32_t frame_most,
                            void *user) {
    (void)session, (void)type, (void)stream, (void)user;
    ssize_t n = FRAME_BYTES;
    n = n < conn_window ? n : conn_window;
    n = n < stream_window ? n : stream_window;
    return (size_t)n < frame_most ? n : (ssize_t)frame_most;
}

static int emit(struct conn *c, const void *bytes, size_t n) {
    return conn_emit(c, bytes, n) ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
}

static ssize_t on_send(nghttp2_session *session, const uint8_t *bytes, size_t n, int flags,
                       void *user) {
    struct conn *c = user;
    (void)session, (void)flags;
    if (c->out.n >= OUT_BYTES)
        return NGHTTP2_ERR_WOULDBLOCK;
    return emit(c, bytes, n) == 0 ? (ssize_t)n : NGHTTP2_ERR_CALLBACK_FAILURE;
}

static int on_send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head,
                        size_t n, nghttp2_data_source *source, void *user) {
    struct exchange *x = source->ptr;
    struct conn *c = user;
    (void)session, (void)frame;
    if (c->out.n >= OUT_BYTES)
        return NGHTTP2_ERR_WOULDBLOCK;
    int code = emit(c, head, 9);
    x->pub.bytes_out += n;
    c->sent_bytes += n; /* what answers pings does not count: see conn_late */
    for (; n && code == 0; x->out_at += x->out[x->out_at].n == 0) {
        struct span *part = &x->out[x->out_at];
        size_t step = part->n < n ? part->n : n;
        code = emit(c, part->p, step);
        *part = (struct span){part->p + step, part->n - step};
        n -= step;
    }
    return code;
}

/* RFC 9113 §8.1: an answer that is complete before its request ends the request. */
static int on_frame_sent(nghttp2_session *session, const nghttp2_frame *frame, void *user) {
    struct conn *c = user;
    bool body = frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA;
    if (!body)
        return 0;
    struct exchange *x = exchange_of(session, frame->hd.stream_id);
    c->h2->noise.level = 0;
    if (!x || !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
        return 0;
    x->sent_all = true;
    if (!x->whole)
        reset(c->h2, x->stream, NGHTTP2_NO_ERROR);
    return 0;
}

static bool submit_head(struct exchange *x, const struct http_response *r, bool body) {
    struct arena *a = &x->pub.arena;
    struct http_listener *l = x->listener;
    char status[4], length[24];
    nghttp2_nv nv[NV_MOST];
    size_t n = 0;
    reply_date_update(&l->date, clock_wall_coarse_us());
    snprintf(status, sizeof status, "%d", r->status);
    nv[n++] = field(a, LIT(":status"), str_of(status));
    nv[n++] = field(a, LIT("date"), (struct str){l->date.text + 6, DATE_BYTES});
    if (r->content_type.n)
        nv[n++] = field(a, LIT("content-type"), r->content_type);
    if (x->framing == REPLY_SIZED && reply_has_body(r->status) && !x->n_trailers) {
        snprintf(length, sizeof length, "%zu", reply_length(r));
        nv[n++] = field(a, LIT("content-length"), str_of(length));
    }
    for (int i = 0; i < r->n_headers && n < NV_MOST; i++)
        nv[n++] = field(a, r->headers[i].name, r->headers[i].value);
    for (size_t i = 0; i < n; i++)
        if (!nv[i].name || !nv[i].namelen)
            return false;
    const nghttp2_data_provider data = {.source.ptr = x, .read_callback = give_data};
    x->pub.status = r->status;
    return nghttp2_submit_response(x->conn->h2->session, x->stream, nv, n, body ? &data : NULL) ==
           0;
}

static bool is_head(const struct exchange *x) { return str_is(x->pub.request.method, "HEAD"); }

void http2_answer(struct exchange *x, const struct http_response *r) {
    struct conn *c = x->conn;
    set_answered(x);
    x->framing = REPLY_SIZED;
    x->out_at = x->n_out = 0;
    keep_trailers(x, r->trailers, r->n_trailers);
    for (int i = 0; i < r->n_parts && reply_has_body(r->status) && !is_head(x); i++)
        if (r->parts[i].n)
            x->out[x->n_out++] = r->parts[i];
    if (!reply_is_clean(r) || !submit_head(x, r, x->n_out || x->n_trailers))
        reset(c->h2, x->stream, NGHTTP2_INTERNAL_ERROR);
    if (r->close)
        http2_idle(c);
}

bool http2_stream_begin(struct exchange *x, const struct http_response *r) {
    if (!reply_is_clean(r))
        return false;
    stop_receiving(x);
    x->framing = REPLY_TO_END;
    x->phase = EXCHANGE_STREAMING;
    if (!submit_head(x, r, true))
        reset(x->conn->h2, x->stream, NGHTTP2_INTERNAL_ERROR);
    conn_pump(x->conn);
    return true;
}

static void resume(struct exchange *x) {
    if (x->deferred)
        nghttp2_session_resume_data(x->conn->h2->session, x->stream);
    x->deferred = false;
}

enum http_window http2_stream_write(struct exchange *x, struct span bytes) {
    struct http2 *h = x->conn->h2;
    if (!is_head(x) && !exchange_put_piece(x, bytes)) {
        reset(h, x->stream, NGHTTP2_INTERNAL_ERROR);
        conn_pump(x->conn);
        return HTTP_GONE;
    }
    resume(x);
    conn_pump(x->conn);
    if (!x->conn)
        return HTTP_GONE;
    bool full = exchange_waiting(x) >= HTTP_STREAM_WINDOW;
    h->full += full - x->full;
    x->full = full;
    return full ? HTTP_FULL : HTTP_ROOM;
}

void http2_stream_end(struct exchange *x, const struct http_header *trailers, int n_trailers) {
    struct conn *c = x->conn;
    keep_trailers(x, trailers, n_trailers);
    set_answered(x);
    resume(x);
    conn_pump(c);
}

void http2_stream_cut(struct exchange *x) {
    struct conn *c = x->conn;
    set_answered(x);
    reset(c->h2, x->stream, NGHTTP2_INTERNAL_ERROR);
    conn_pump(c);
}

void http2_writable(struct conn *c) {
    if (!c->h2->full)
        return;
    for (struct exchange *x = c->first, *next; x && !c->closing; x = next) {
        next = x->next;
        if (!x->full || exchange_waiting(x) > HTTP_STREAM_WINDOW / 2)
            continue;
        x->full = false;
        c->h2->full--;
        if (c->listener->handler.on_writable)
            c->listener->handler.on_writable(c->listener->handler.ctx, &x->pub);
    }
}

/* ---- the connection ---- */

/* A new session takes some 25 KB, of which an idle one needs nothing: these may sleep. */
static void *alloc_by(size_t n, void *user) {
    struct http2 *h = user;
    void *p = h->born ? NULL : doze_take(&h->memory, n);
    return p ? p : mem_alloc(n);
}
static void free_by(void *p, void *user) {
    struct http2 *h = user;
    if (!doze_after(&h->memory, p))
        mem_free(p);
}
static void *zalloc_by(size_t count, size_t n, void *user) {
    struct http2 *h = user;
    size_t bytes;
    void *p = !h->born && mul_size(count, n, &bytes) ? doze_take(&h->memory, bytes) : NULL;
    return p ? p : mem_zalloc(count, n);
}
static void *realloc_by(void *old, size_t n, void *user) {
    struct http2 *h = user;
    size_t had = doze_after(&h->memory, old);
    if (old && !had)
        return mem_realloc(old, n);
    void *p = alloc_by(n, user);
    if (p && old)
        memcpy(p, old, had < n ? had : n);
    return p;
}

static nghttp2_session_callbacks *new_callbacks(void) {
    nghttp2_session_callbacks *cb;
    if (nghttp2_session_callbacks_new(&cb) != 0)
        return NULL;
    nghttp2_session_callbacks_set_on_begin_frame_callback(cb, on_begin_frame);
    nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback2(cb, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
    nghttp2_session_callbacks_set_send_callback(cb, on_send);
    nghttp2_session_callbacks_set_send_data_callback(cb, on_send_data);
    nghttp2_session_callbacks_set_on_frame_send_callback(cb, on_frame_sent);
    nghttp2_session_callbacks_set_data_source_read_length_callback(cb, frame_length);
    return cb;
}

static bool open_session(struct conn *c, struct http2 *h) {
    nghttp2_mem mem = {h, alloc_by, free_by, zalloc_by, realloc_by};
    nghttp2_session_callbacks *cb = new_callbacks();
    nghttp2_option *o = NULL;
    int rc = cb ? nghttp2_option_new(&o) : -1;
    if (rc == 0) {
        nghttp2_option_set_no_auto_window_update(o, 1);
        rc = nghttp2_session_server_new3(&h->session, cb, c, o, &mem);
    }
    nghttp2_option_del(o);
    nghttp2_session_callbacks_del(cb);
    return rc == 0;
}

bool http2_begin(struct conn *c) {
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, STREAMS},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)c->listener->limits.header_bytes},
    };
    struct http2 *h = mem_zalloc(1, sizeof *h);
    if (!h)
        return false;
    (void)doze_open(&h->memory, SESSION_BYTES);
    bool open = open_session(c, h);
    h->born = true;
    if (!open ||
        nghttp2_submit_settings(h->session, NGHTTP2_FLAG_NONE, settings,
                                sizeof settings / sizeof *settings) != 0 ||
        nghttp2_session_set_local_window_size(h->session, NGHTTP2_FLAG_NONE, 0, CONN_WINDOW) != 0) {
        http2_end(h);
        return false;
    }
    c->h2 = h;
    return true;
}

void http2_end(struct http2 *h) {
    if (!h)
        return;
    doze_wake(&h->memory);
    nghttp2_session_del(h->session);
    doze_close(&h->memory);
    mem_free(h);
}

/* A protocol error has made nghttp2 put a GOAWAY into its queue; other failures (memory) end at
 * once. */
void http2_receive(struct conn *c) {
    doze_wake(&c->h2->memory);
    ssize_t n = nghttp2_session_mem_recv(c->h2->session, c->in.p, c->in.n);
    c->in.n = 0;
    if (n < 0 && !c->closing) {
        if (nghttp2_session_want_write(c->h2->session) && n != NGHTTP2_ERR_NOMEM)
            nghttp2_session_terminate_session(c->h2->session, n == NGHTTP2_ERR_FLOODED
                                                                  ? NGHTTP2_ENHANCE_YOUR_CALM
                                                                  : NGHTTP2_PROTOCOL_ERROR);
        else
            conn_close(c);
    }
}

void http2_fill(struct conn *c) {
    if (!http2_sleeps(c) && nghttp2_session_send(c->h2->session) != 0 && !c->closing)
        conn_close(c);
}

bool http2_over(const struct conn *c) {
    nghttp2_session *s = c->h2->session;
    if (http2_sleeps(c) || nghttp2_session_want_write(s))
        return false;
    return !nghttp2_session_want_read(s) || (c->h2->going && !c->first);
}

bool http2_sleeps(const struct conn *c) { return c->h2->memory.kept != NULL; }
bool http2_may_sleep(const struct conn *c) { return c->h2->memory.base && !http2_sleeps(c); }
void http2_sleep(struct conn *c) { c->listener->stats.naps += doze_sleep(&c->h2->memory); }

bool http2_receives(const struct conn *c) { return c->h2->receiving > 0; }
bool http2_blocked(const struct conn *c) { return c->h2->answered > 0 || c->h2->full > 0; }

/* RFC 9113 §6.8: first a GOAWAY that forbids nothing, and a ping; what was sent before the client
 * saw it has arrived with the ping's answer. */
void http2_drain(struct conn *c) {
    struct http2 *h = c->h2;
    if (h->notice || h->going)
        return;
    h->notice = true;
    doze_wake(&h->memory);
    nghttp2_submit_shutdown_notice(h->session);
    nghttp2_submit_ping(h->session, NGHTTP2_FLAG_NONE, NULL);
    conn_pump(c);
}

void http2_idle(struct conn *c) {
    struct http2 *h = c->h2;
    if (h->going)
        return;
    h->going = true;
    doze_wake(&h->memory);
    nghttp2_submit_goaway(h->session, NGHTTP2_FLAG_NONE,
                          nghttp2_session_get_last_proc_stream_id(h->session), NGHTTP2_NO_ERROR,
                          NULL, 0);
}

void http2_body_late(struct conn *c, bool slow) {
    struct err e;
    fail(&e, TIMEOUT, "the request came too slowly");
    for (struct exchange *x = c->first, *next; x && !c->closing; x = next) {
        next = x->next;
        bool stalled = slow || x->looked_bytes == x->pub.bytes_in;
        x->looked_bytes = x->pub.bytes_in;
        if (!x->collects || !stalled)
            continue;
        if (x->announced)
            refuse(x, 408, &e);
        else /* in the middle of its head: nothing else can follow */
            (void)calm(c->h2->session);
    }
    conn_pump(c);
}
