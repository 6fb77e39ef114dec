/* SPDX-License-Identifier: Apache-2.0 */
/* Exchanges and their pool: see exchange.h. */
#include "net/exchange.h"

#include "base/mem.h"

/* What an unused exchange may keep: enough for common requests, little enough that the pool stays
 * small. */
enum {
    KEEP_EXCHANGES = 64,
    KEEP_ARENA = 64 << 10,
    KEEP_BODY = 64 << 10,
    KEEP_HEAD = 4 << 10,
    KEEP_STREAM = 16 << 10
};

void exchange_pool_init(struct exchange_pool *p, size_t header_bytes, size_t arena_bytes) {
    *p = (struct exchange_pool){.header_bytes = header_bytes, .arena_bytes = arena_bytes};
}

static void exchange_free(struct exchange *x) {
    arena_deinit(&x->pub.arena);
    http1_deinit(&x->parser);
    buf_deinit(&x->sending);
    buf_deinit(&x->pieces);
    mem_free(x->body);
    mem_free(x);
}

void exchange_pool_deinit(struct exchange_pool *p) {
    while (p->free) {
        struct exchange *x = p->free;
        p->free = x->next;
        exchange_free(x);
    }
    p->n_free = 0;
}

static struct exchange *exchange_new(const struct exchange_pool *p) {
    struct exchange *x = mem_zalloc(1, sizeof *x);
    if (!x)
        return NULL;
    arena_init(&x->pub.arena, p->arena_bytes);
    http1_init(&x->parser, p->header_bytes);
    buf_init(&x->sending, p->arena_bytes);
    buf_init(&x->pieces, p->arena_bytes);
    return x;
}

struct exchange *exchange_begin(struct exchange_pool *p) {
    struct exchange *x = p->free;
    if (x) {
        p->free = x->next;
        p->n_free--;
    } else if (!(x = exchange_new(p))) {
        return NULL;
    }
    http1_begin(&x->parser, &x->pub.request, &x->pub.arena);
    x->pub.user = NULL;
    x->pub.bytes_in = x->pub.bytes_out = 0;
    x->pub.status = 0;
    x->pub.gone = false;
    x->next = x->prev = NULL;
    x->pub.duplex = x->pub.pieces = false;
    x->stream = 0;
    x->collects = x->whole = x->deferred = x->sent_all = x->head_over = false;
    x->looked_bytes = x->head_bytes = x->n_trailers = 0;
    x->trailers = NULL;
    x->phase = EXCHANGE_RECEIVING;
    x->announced = x->drains = x->close = x->full = false;
    x->framing = REPLY_SIZED;
    x->body_limit = x->body_bytes = x->body_lead = 0;
    x->pub.body_aligned_at = 0;
    x->out_at = x->n_out = 0;
    return x;
}

static void keep_little(struct buf *b) {
    if (b->room > KEEP_STREAM)
        buf_deinit(b);
    buf_clear(b);
}

void exchange_end(struct exchange_pool *p, struct exchange *x) {
    if (p->n_free >= KEEP_EXCHANGES) {
        exchange_free(x);
        return;
    }
    if (x->pub.arena.used_bytes > KEEP_ARENA)
        arena_deinit(&x->pub.arena);
    else
        arena_reset(&x->pub.arena, (struct arena_mark){0});
    if (x->body_room > KEEP_BODY) {
        mem_free(x->body);
        x->body = NULL;
        x->body_room = 0;
    }
    if (x->parser.head.room > KEEP_HEAD)
        http1_deinit(&x->parser);
    keep_little(&x->sending);
    keep_little(&x->pieces);
    x->conn = NULL;
    x->next = p->free;
    p->free = x;
    p->n_free++;
}

bool exchange_reserve_body(struct exchange *x, size_t bytes) {
    size_t have = x->pub.request.body.n, need, room;
    if (!have)
        x->body_lead = (size_t)-x->pub.body_aligned_at % MEM_LINE;
    if (!add_size(bytes, x->body_lead, &need))
        return false;
    if (need <= x->body_room)
        return true;
    if (!have || !mul_size(x->body_room, 2, &room) || room < need)
        room = need;
    if (room < 1024)
        room = 1024;
    if (room > SIZE_MAX - MEM_LINE)
        return false;
    uint8_t *body = mem_alloc_aligned(mem_round_up(room, MEM_LINE), MEM_LINE);
    if (!body)
        return false;
    if (have)
        memcpy(body + x->body_lead, x->body + x->body_lead, have);
    mem_free(x->body);
    x->body = body;
    x->body_room = room;
    return true;
}

void exchange_take_body(struct exchange *x, struct span piece) {
    struct span *body = &x->pub.request.body;
    uint8_t *begin = x->body + x->body_lead, *place = begin + body->n;
    if (piece.p != place) /* else it was read in place */
        memcpy(place, piece.p, piece.n);
    *body = (struct span){begin, body->n + piece.n};
    x->body_bytes += piece.n;
}

void exchange_put_continue(struct exchange *x) {
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n"; /* RFC 9110 §15.2.1 */
    if (x->n_out < 2 && !x->parser.http_1_0)
        x->out[x->n_out++] = (struct span){(const uint8_t *)text, sizeof text - 1};
}

/* The head goes to the exchange's own bytes when it fits, else to the arena. */
static bool put_head(struct exchange *x, const struct http_response *r,
                     enum reply_connection connection, const struct reply_date *date) {
    char *head = x->head;
    size_t n = reply_head(head, sizeof x->head, r, connection, x->framing, date);
    if (n > sizeof x->head) {
        head = arena_push_aligned(&x->pub.arena, n, 1);
        if (!head)
            return false;
        reply_head(head, n, r, connection, x->framing, date);
    }
    x->out[x->n_out++] = (struct span){(const uint8_t *)head, n};
    x->pub.status = r->status;
    return true;
}

/* A few bytes behind the head are copied: one span is sent for less than two. */
static bool put_behind(struct exchange *x, struct span part) {
    struct span *head = &x->out[x->n_out - 1];
    if (head->p != (const uint8_t *)x->head || part.n > sizeof x->head - head->n)
        return false;
    memcpy(x->head + head->n, part.p, part.n);
    head->n += part.n;
    return true;
}

static bool wants_body(const struct exchange *x, int status) {
    return reply_has_body(status) && !str_is(x->pub.request.method, "HEAD");
}

bool exchange_put_answer(struct exchange *x, const struct http_response *r,
                         enum reply_connection connection, const struct reply_date *date) {
    x->framing = REPLY_SIZED;
    if (!put_head(x, r, connection, date))
        return false;
    for (int i = 0; wants_body(x, r->status) && i < r->n_parts; i++)
        if (r->parts[i].n && !put_behind(x, r->parts[i]))
            x->out[x->n_out++] = r->parts[i];
    x->phase = EXCHANGE_ANSWERED;
    return true;
}

bool exchange_put_stream(struct exchange *x, const struct http_response *r,
                         enum reply_connection connection, const struct reply_date *date) {
    x->framing = x->parser.http_1_0 ? REPLY_TO_END : REPLY_CHUNKED;
    if (!put_head(x, r, connection, date))
        return false;
    x->phase = EXCHANGE_STREAMING;
    return true;
}

/* RFC 9112 §7.1: size in hexadecimal, data, each with its line end. */
bool exchange_put_piece(struct exchange *x, struct span piece) {
    if (!piece.n || !wants_body(x, x->pub.status))
        return true;
    if (x->framing == REPLY_CHUNKED)
        buf_printf(&x->pieces, "%zx\r\n", piece.n);
    buf_put(&x->pieces, piece.p, piece.n);
    if (x->framing == REPLY_CHUNKED)
        buf_put_text(&x->pieces, "\r\n");
    return x->pieces.code == OK;
}

bool exchange_put_end(struct exchange *x, const struct http_header *trailers, int n_trailers) {
    x->phase = EXCHANGE_ANSWERED;
    if (x->framing != REPLY_CHUNKED || !wants_body(x, x->pub.status))
        return true;
    buf_put_text(&x->pieces, "0\r\n");
    for (int i = 0; i < n_trailers; i++) {
        buf_put_str(&x->pieces, trailers[i].name);
        buf_put_text(&x->pieces, ": ");
        buf_put_str(&x->pieces, trailers[i].value);
        buf_put_text(&x->pieces, "\r\n");
    }
    buf_put_text(&x->pieces, "\r\n");
    return x->pieces.code == OK;
}

/* Two bufs change places: the kernel may be reading the one that is being sent, so it must not
 * move while the handler writes on. */
bool exchange_refill(struct exchange *x) {
    if (x->out_at < x->n_out)
        return true;
    buf_clear(&x->sending);
    if (!x->pieces.n)
        return false;
    struct buf emptied = x->sending;
    x->sending = x->pieces;
    x->pieces = emptied;
    x->out[0] = (struct span){(const uint8_t *)x->sending.p, x->sending.n};
    x->out_at = 0;
    x->n_out = 1;
    return true;
}
