/* SPDX-License-Identifier: Apache-2.0 */
/* Event loops: see loop.h.
 *
 * The door in is a lock-free stack (Treiber): producers push with one compare-and-swap, the loop
 * takes all with one exchange and turns them round, so nobody ever pops a single node and the ABA
 * problem cannot arise. Only the push that finds the stack empty wakes the loop; later ones ride
 * along.
 *
 * 1. A job's fn may free the job or post it again: `next` is read before fn is called.
 * 2. Handles are freed by libuv's close callback only; loop_close turns the loop until all of them
 * have come.  */
#include "net/loop.h"

#include "base/mem.h"

#include <signal.h>
#include <stdatomic.h>
#include <uv.h>

struct loop_timer {
    uv_timer_t handle;
    void (*fn)(void *ctx);
    void *ctx;
};

struct loop_signal {
    uv_signal_t handle;
    void (*fn)(void *ctx, int signal);
    void *ctx;
};

struct loop {
    uv_loop_t uv;
    uv_async_t wake;
    _Atomic(struct loop_job *) posted; /* newest first; pushed by any thread, taken by the loop's */
    _Atomic bool stopping;
};

struct uv_loop_s *loop_uv(struct loop *l) {
    return &l->uv;
}

/* ---- the door in ---- */

static struct loop_job *reversed(struct loop_job *job) {
    struct loop_job *first = NULL;
    while (job) {
        struct loop_job *next = job->next;
        job->next = first;
        first = job;
        job = next;
    }
    return first;
}

static void run_posted(struct loop *l) {
    struct loop_job *job =
        reversed(atomic_exchange_explicit(&l->posted, NULL, memory_order_acquire));
    while (job) {
        struct loop_job *next = job->next;
        job->fn(job);
        job = next;
    }
}

static void on_wake(uv_async_t *handle) {
    struct loop *l = handle->data;
    run_posted(l);
    if (atomic_load(&l->stopping))
        uv_stop(&l->uv);
}

void loop_post(struct loop *l, struct loop_job *job) {
    struct loop_job *top = atomic_load_explicit(&l->posted, memory_order_relaxed);
    do
        job->next = top;
    while (!atomic_compare_exchange_weak_explicit(&l->posted, &top, job, memory_order_release,
                                                  memory_order_relaxed));
    /* From here on the job may already have run: touch the local copy only. */
    if (!top)
        uv_async_send(&l->wake);
}

/* ---- timers and signals ---- */

static void free_handle(uv_handle_t *handle) { mem_free(handle->data); }

static void on_timer(uv_timer_t *handle) {
    struct loop_timer *t = handle->data;
    t->fn(t->ctx);
}

enum code loop_timer_open(struct loop *l, uint64_t every_ms, void (*fn)(void *ctx), void *ctx,
                          struct loop_timer **out, struct err *e) {
    struct loop_timer *t = mem_zalloc(1, sizeof *t);
    if (!t)
        return fail(e, NOMEM, "timer: out of memory");
    uv_timer_init(&l->uv, &t->handle); /* cannot fail */
    t->handle.data = t;
    t->fn = fn;
    t->ctx = ctx;
    uv_update_time(&l->uv); /* the loop may not have turned for a while */
    uv_timer_start(&t->handle, on_timer, every_ms, every_ms ? every_ms : 1);
    *out = t;
    return OK;
}

void loop_timer_close(struct loop_timer *t) {
    if (t)
        uv_close((uv_handle_t *)&t->handle, free_handle);
}

static void on_signal(uv_signal_t *handle, int number) {
    struct loop_signal *s = handle->data;
    s->fn(s->ctx, number);
}

enum code loop_on_signal(struct loop *l, int number, void (*fn)(void *ctx, int signal), void *ctx,
                         struct err *e) {
    struct loop_signal *s = mem_zalloc(1, sizeof *s);
    if (!s)
        return fail(e, NOMEM, "signal %d: out of memory", number);
    int rc = uv_signal_init(&l->uv, &s->handle);
    if (rc < 0) {
        mem_free(s);
        return fail_errno(e, -rc, "signal %d: cannot watch", number);
    }
    s->handle.data = s;
    s->fn = fn;
    s->ctx = ctx;
    rc = uv_signal_start(&s->handle, on_signal, number);
    if (rc < 0) {
        uv_close((uv_handle_t *)&s->handle, free_handle);
        return fail_errno(e, -rc, "signal %d: cannot watch", number);
    }
    return OK;
}

/* ---- life ---- */

enum code loop_open(struct loop **out, struct err *e) {
    signal(SIGPIPE, SIG_IGN);
    struct loop *l = mem_zalloc(1, sizeof *l);
    if (!l)
        return fail(e, NOMEM, "event loop: out of memory");
    int rc = uv_loop_init(&l->uv);
    if (rc < 0) {
        mem_free(l);
        return fail_errno(e, -rc, "event loop: cannot open");
    }
    rc = uv_async_init(&l->uv, &l->wake, on_wake);
    if (rc < 0) {
        uv_loop_close(&l->uv);
        mem_free(l);
        return fail_errno(e, -rc, "event loop: cannot open its wake-up");
    }
    l->wake.data = l;
    *out = l;
    return OK;
}

void loop_run(struct loop *l) {
    if (!atomic_load(&l->stopping))
        uv_run(&l->uv, UV_RUN_DEFAULT);
}

void loop_stop(struct loop *l) {
    atomic_store(&l->stopping, true);
    uv_async_send(&l->wake);
}

/* Timers and signals free themselves through their data; anything else still open belongs to an
 * owner who forgot it. */
static void close_left(uv_handle_t *handle, void *arg) {
    struct loop *l = arg;
    if (uv_is_closing(handle) || handle == (uv_handle_t *)&l->wake)
        return;
    if (handle->type == UV_SIGNAL ||
        (handle->type == UV_TIMER && ((uv_timer_t *)handle)->timer_cb == on_timer))
        uv_close(handle, free_handle);
}

void loop_close(struct loop *l) {
    while (atomic_load(&l->posted))
        run_posted(l);
    uv_walk(&l->uv, close_left, l);
    uv_close((uv_handle_t *)&l->wake, NULL);
    /* A handle whose owner forgot it would keep the loop busy for ever: give up after enough turns.
     */
    for (int turn = 0; turn < 1000 && uv_loop_alive(&l->uv); turn++)
        uv_run(&l->uv, UV_RUN_NOWAIT);
    if (ALWAYS(uv_loop_close(&l->uv) == 0))
        mem_free(l);
}
