/* SPDX-License-Identifier: Apache-2.0 */
/* Trail: see trail.h.
 *
 *   {"time":"2026-11-23T14:05:09.123456Z","id":"...","peer":"...","method":"POST","path":"...","protocol":"oip",
 *    "model":"ocr","version":3,"status":200,"bytes_in":512,"bytes_out":87,"ms":1.204,"queue_ms":0.1,"compute_ms":0.9,
 *    "batch":4,"key":"ann","traceparent":"...","error":"..."}
 *
 * Members without a value are left out. Lines are at most a few kilobytes: long text is cut.
 * A log that cannot be written (disk full, closed pipe) never holds up a request: its lines are
 * dropped and counted. */
#include "watch/trail.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"

#include <errno.h>
#include <unistd.h>

enum { FLUSH_BYTES = 32 << 10, TEXT_MAX = 1024 };

void trail_init(struct trail *t, int fd, bool access, uint64_t slow_ms) {
    *t = (struct trail){.fd = fd, .access = access, .slow_ns = slow_ms * 1000000};
    buf_init(&t->lines, 4 * FLUSH_BYTES);
}

void trail_deinit(struct trail *t) {
    trail_flush(t);
    buf_deinit(&t->lines);
}

void trail_flush(struct trail *t) {
    size_t at = 0;
    while (at < t->lines.n) {
        ssize_t n = write(t->fd, t->lines.p + at, t->lines.n - at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            t->dropped++;
            break;
        }
        at += (size_t)n;
    }
    buf_clear(&t->lines);
}

static void member(struct json_out *w, const char *key, struct str text) {
    if (text.n)
        json_put_member_str(w, key, str_sub(text, 0, TEXT_MAX));
}

/* Milliseconds to the microsecond. */
static void member_ms(struct json_out *w, const char *key, uint64_t ns) {
    char text[32];
    int n = snprintf(text, sizeof text, "%llu.%03llu", (unsigned long long)(ns / 1000000),
                     (unsigned long long)(ns / 1000 % 1000));
    json_put_key(w, key);
    json_put_raw(w, (struct str){text, (size_t)n});
}

static void put_line(struct buf *b, const struct trail_line *l) {
    struct json_out w;
    char now[CLOCK_TEXT];
    size_t n = clock_print(clock_wall_us(), now);
    json_out_init(&w, b, 0);
    json_put_object(&w);
    json_put_member_str(&w, "time", (struct str){now, n});
    member(&w, "id", l->request_id);
    member(&w, "peer", l->peer);
    member(&w, "method", l->method);
    member(&w, "path", l->target);
    member(&w, "protocol", l->protocol);
    member(&w, "model", l->model);
    if (l->version)
        json_put_member_i64(&w, "version", (int64_t)l->version);
    json_put_member_i64(&w, "status", l->status);
    json_put_member_i64(&w, "bytes_in", (int64_t)l->bytes_in);
    json_put_member_i64(&w, "bytes_out", (int64_t)l->bytes_out);
    member_ms(&w, "ms", l->total_ns);
    if (l->batch_rows) {
        member_ms(&w, "queue_ms", l->queue_ns);
        member_ms(&w, "compute_ms", l->compute_ns);
        json_put_member_i64(&w, "batch", (int64_t)l->batch_rows);
    }
    member(&w, "key", l->key);
    member(&w, "traceparent", l->traceparent);
    member(&w, "error", l->error);
    json_put_object_end(&w);
    buf_put_byte(b, '\n');
}

static void log_slow(const struct trail_line *l) {
    log_event(LOG_WARN, "slow request", 8,
              (struct log_field[]){
                  LOG_S("id", l->request_id),
                  LOG_S("path", str_sub(l->target, 0, TEXT_MAX)),
                  LOG_S("model", l->model),
                  LOG_I("version", l->version),
                  LOG_I("status", l->status),
                  LOG_F("ms", (double)l->total_ns * 1e-6),
                  LOG_F("queue_ms", (double)l->queue_ns * 1e-6),
                  LOG_F("compute_ms", (double)l->compute_ns * 1e-6),
              });
}

void trail_put(struct trail *t, const struct trail_line *line, bool quiet) {
    if (t->slow_ns && line->total_ns >= t->slow_ns)
        log_slow(line);
    if (!t->access || quiet)
        return;
    size_t before = t->lines.n;
    put_line(&t->lines, line);
    if (t->lines.code != OK) { /* no memory: this line goes, the others stay */
        t->lines.n = before;
        t->lines.code = OK;
        t->dropped++;
    }
    if (t->lines.n >= FLUSH_BYTES)
        trail_flush(t);
}
