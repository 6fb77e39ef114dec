/* SPDX-License-Identifier: Apache-2.0 */
/* Streamed answers: see stream.h. A piece is one allocation with its loop_job in front, freed on
 * the loop; the begin and the end have their jobs in the request. Their order is loop_post's. */
#include "serve/stream.h"

#include "base/mem.h"
#include "serve/answer.h"

struct piece {
    struct loop_job job;
    struct request *r;
    size_t n;
    uint8_t bytes[]; /* (n) */
};

static void begin_on_loop(struct loop_job *job) {
    struct request *r = (struct request *)(void *)((char *)job - offsetof(struct request, job));
    if (r->id.n)
        answer_header(r, "X-Request-Id", r->id);
    r->phase = PHASE_RECORD;
    r->stream.begun = http_stream_begin(r->x, &r->response);
}

void stream_begin(struct request *r) {
    r->job.fn = begin_on_loop;
    loop_post(r->x->loop, &r->job);
}

/* The producer was told FULL and there is room now. */
static void wake_producer(struct request *r) {
    if (atomic_exchange(&r->stream.told, false) && r->stream.on_room)
        r->stream.on_room(r);
}

static bool has_room(const struct request *r) {
    return !atomic_load(&r->stream.full) && atomic_load(&r->stream.waiting) <= STREAM_WINDOW;
}

static void push_on_loop(struct loop_job *job) {
    struct piece *p = (struct piece *)(void *)job;
    struct request *r = p->r;
    atomic_fetch_sub(&r->stream.waiting, p->n);
    if (r->stream.begun && !r->x->gone &&
        http_stream_write(r->x, (struct span){p->bytes, p->n}) == HTTP_FULL)
        atomic_store(&r->stream.full, true);
    mem_free(p);
    if (has_room(r))
        wake_producer(r);
}

enum stream_state stream_push(struct request *r, struct span bytes) {
    struct piece *p = NULL;
    size_t n, waiting = atomic_load(&r->stream.waiting);
    if (r->stream.broken || __atomic_load_n(&r->ask.cancel, __ATOMIC_RELAXED))
        return STREAM_GONE;
    if (waiting < STREAM_MOST && add_size(sizeof *p, bytes.n, &n))
        p = mem_alloc(n);
    if (!p) {
        r->stream.broken = true;
        return STREAM_GONE;
    }
    *p = (struct piece){.job.fn = push_on_loop, .r = r, .n = bytes.n};
    if (bytes.n)
        memcpy(p->bytes, bytes.p, bytes.n);
    atomic_fetch_add(&r->stream.waiting, bytes.n);
    loop_post(r->x->loop, &p->job);
    if (has_room(r))
        return STREAM_ROOM;
    atomic_store(&r->stream.told, true);
    bool late = has_room(r) && atomic_exchange(&r->stream.told, false); /* between the two */
    return late ? STREAM_ROOM : STREAM_FULL;
}

static void end_on_loop(struct loop_job *job) {
    struct request *r =
        (struct request *)(void *)((char *)job - offsetof(struct request, stream.end));
    if (!r->stream.begun) { /* its head could not be sent */
        (void)fail(&r->err, INTERNAL, "internal error: the head of the answer cannot be sent");
        answer_error(r, &r->err);
        http_respond(r->x, &r->response);
    } else if (r->stream.broken) {
        http_stream_cut(r->x);
    } else {
        http_stream_end(r->x, NULL, 0);
    }
}

void stream_end(struct request *r) {
    r->stream.end.fn = end_on_loop;
    loop_post(r->x->loop, &r->stream.end);
}

void stream_cut(struct request *r) {
    r->stream.broken = true;
    stream_end(r);
}

void stream_note_room(struct request *r) {
    atomic_store(&r->stream.full, false);
    wake_producer(r);
}
