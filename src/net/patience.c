/* SPDX-License-Identifier: Apache-2.0 */
/* How long a connection may keep us waiting, and for what: see enum patience in conn.h.
 *
 * Each connection has at most two deadlines, one for what should come in and one for what should go
 * out. They are not set where things happen but derived from the connection's state whenever it
 * comes to rest (patience_settle), so that no path can forget one. One libuv timer per listener,
 * armed for the earliest deadline ever set and re-armed only when it fires: a request that comes
 * and goes moves a few pointers and touches no timer. */
#include "net/http2.h"

#include <stddef.h>

enum { LINGER_MS = 2000, PROBE_MS = 250, RETRY_ACCEPT_MS = 100 };

/* In the middle of a handshake, or of HTTP/2's preface. */
static bool begins(const struct conn *c) {
    return c->protocol == CONN_UNKNOWN && (c->sniffed || (c->tls && !tls_ready(c->tls)));
}

static enum patience wanted_in(const struct conn *c) {
    const struct exchange *x = c->last;
    if (c->lingers)
        return PATIENCE_LINGER;
    if (c->eof)
        return PATIENCE_NONE;
    if (!x)
        return begins(c) ? PATIENCE_HEAD : PATIENCE_IDLE;
    if (c->h2)
        return http2_receives(c) ? PATIENCE_BODY : PATIENCE_NONE;
    if (x->phase != EXCHANGE_RECEIVING)
        return PATIENCE_NONE;
    return http1_in_head(&x->parser) ? PATIENCE_HEAD : PATIENCE_BODY;
}

static enum patience wanted_out(const struct conn *c) {
    if (c->writing || (c->h2 && http2_blocked(c)))
        return PATIENCE_SEND;
    if (c->h2 && !c->first && !c->ending && http2_may_sleep(c))
        return PATIENCE_NAP;
    return c->eof && c->first && c->first->phase == EXCHANGE_WITH_HANDLER ? PATIENCE_PROBE
                                                                          : PATIENCE_NONE;
}

/* ---- the timer ---- */

static void on_timer(uv_timer_t *timer);

static void arm(struct http_listener *l, uint64_t at_ms) {
    if (at_ms >= l->armed_ms || l->closed)
        return;
    uint64_t now = uv_now(l->timer.loop);
    l->armed_ms = at_ms;
    uv_timer_start(&l->timer, on_timer, at_ms > now ? at_ms - now : 0,
                   0); /* fails only on a closing handle */
}

static void set(struct conn *c, struct deadline *d, enum patience what) {
    struct http_listener *l = c->listener;
    if (what == PATIENCE_NONE) {
        deadline_clear(d);
        return;
    }
    deadline_set(&l->waits[what], d, uv_now(l->timer.loop));
    arm(l, d->at_ms);
}

static void expire(struct http_listener *l, enum patience what, uint64_t now) {
    for (struct deadline *d; (d = deadline_take(&l->waits[what], now));) {
        bool out = what >= PATIENCE_SEND;
        size_t offset = out ? offsetof(struct conn, output) : offsetof(struct conn, input);
        struct conn *c = (struct conn *)(void *)((char *)d - offset);
        *(out ? &c->waits_out : &c->waits_in) = PATIENCE_NONE;
        conn_late(c, what);
    }
}

static void on_timer(uv_timer_t *timer) {
    struct http_listener *l = timer->data;
    uint64_t now = uv_now(timer->loop), next = UINT64_MAX;
    l->armed_ms = UINT64_MAX;
    for (int what = PATIENCE_NONE + 1; what < PATIENCE_N; what++)
        expire(l, (enum patience)what, now);
    if (l->starved)
        http_accept_again(l);
    for (int what = PATIENCE_NONE + 1; what < PATIENCE_N; what++) {
        uint64_t at = deadline_next_ms(&l->waits[what]);
        next = at < next ? at : next;
    }
    arm(l, next);
}

/* ---- */

void patience_init(struct http_listener *l) {
    const struct http_limits *m = &l->limits;
    const uint64_t delay_ms[PATIENCE_N] = {
        [PATIENCE_IDLE] = m->idle_ms,  [PATIENCE_HEAD] = m->header_ms, [PATIENCE_BODY] = m->body_ms,
        [PATIENCE_LINGER] = LINGER_MS, [PATIENCE_SEND] = m->send_ms,   [PATIENCE_PROBE] = PROBE_MS,
        [PATIENCE_NAP] = m->nap_ms,
    };
    for (int what = 0; what < PATIENCE_N; what++)
        deadline_queue_init(&l->waits[what], delay_ms[what]);
    l->armed_ms = UINT64_MAX;
}

void patience_settle(struct conn *c) {
    enum patience in = wanted_in(c), out = wanted_out(c);
    if (in != c->waits_in || (in == PATIENCE_IDLE && !c->h2)) { /* pings are no use of HTTP/2 */
        set(c, &c->input, in);
        c->window_bytes = 0;
    }
    if (out != c->waits_out) {
        set(c, &c->output, out);
        c->sent_mark = c->sent_bytes;
        c->unsent_bytes = uv_stream_get_write_queue_size((const uv_stream_t *)&c->tcp);
    }
    c->waits_in = in;
    c->waits_out = out;
}

void patience_clear(struct conn *c) {
    deadline_clear(&c->input);
    deadline_clear(&c->output);
    c->waits_in = c->waits_out = PATIENCE_NONE;
}

void patience_retry_accept(struct http_listener *l) {
    arm(l, uv_now(l->timer.loop) + RETRY_ACCEPT_MS);
}
