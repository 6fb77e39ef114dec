/* SPDX-License-Identifier: Apache-2.0 */
/* Exchanges and their pool: see exchange.h. */
#include "net/exchange.h"

#include "base/mem.h"

/* What an unused exchange may keep: enough for common requests, little enough that the pool stays
 * small. */
enum { KEEP_EXCHANGES = 64, KEEP_ARENA = 64 << 10, KEEP_BODY = 64 << 10, KEEP_HEAD = 4 << 10 };

void exchange_pool_init(struct exchange_pool *p, size_t header_bytes, size_t arena_bytes) {
    *p = (struct exchange_pool){.header_bytes = header_bytes, .arena_bytes = arena_bytes};
}

static void exchange_free(struct exchange *x) {
    arena_deinit(&x->pub.arena);
    http1_deinit(&x->parser);
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
    x->next = NULL;
    x->phase = EXCHANGE_RECEIVING;
    x->announced = x->drains = x->close = false;
    x->body_limit = x->body_bytes = 0;
    x->out_at = x->n_out = 0;
    return x;
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
    x->conn = NULL;
    x->next = p->free;
    p->free = x;
    p->n_free++;
}

bool exchange_reserve_body(struct exchange *x, size_t bytes) {
    size_t have = x->pub.request.body.n, room = bytes;
    if (bytes <= x->body_room)
        return true;
    if (have && (!mul_size(x->body_room, 2, &room) || room < bytes))
        room = bytes;
    if (room < 1024)
        room = 1024;
    if (room > SIZE_MAX - MEM_LINE)
        return false;
    uint8_t *body = mem_alloc_aligned(mem_round_up(room, MEM_LINE), MEM_LINE);
    if (!body)
        return false;
    if (have)
        memcpy(body, x->body, have);
    mem_free(x->body);
    x->body = body;
    x->body_room = room;
    return true;
}

void exchange_put_continue(struct exchange *x) {
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n"; /* RFC 9110 §15.2.1 */
    if (x->n_out < 2 && !x->parser.http_1_0)
        x->out[x->n_out++] = (struct span){(const uint8_t *)text, sizeof text - 1};
}

bool exchange_put_answer(struct exchange *x, const struct http_response *r,
                         enum reply_connection connection, const struct reply_date *date) {
    char *head = x->head;
    size_t n = reply_head(head, sizeof x->head, r, connection, date);
    if (n > sizeof x->head) {
        head = arena_push_aligned(&x->pub.arena, n, 1);
        if (!head)
            return false;
        reply_head(head, n, r, connection, date);
    }
    x->out[x->n_out++] = (struct span){(const uint8_t *)head, n};
    bool body = reply_has_body(r->status) && !str_is(x->pub.request.method, "HEAD");
    for (int i = 0; body && i < r->n_parts; i++)
        if (r->parts[i].n)
            x->out[x->n_out++] = r->parts[i];
    x->pub.status = r->status;
    x->phase = EXCHANGE_ANSWERED;
    return true;
}
