/* SPDX-License-Identifier: Apache-2.0 */
/* Executor threads: take a live with waiting asks from the ring, join a batch, run it, go on.
 *
 * Lives take turns (the ring), so a busy model does not starve another. The core ledger decides how
 * many cores a run gets: all of them when nobody else waits, one when others do. */
#include "host/in.h"

#include "base/clock.h"
#include "base/mem.h"
#include "plan/cores.h"

void worker_wake(struct host *h, struct live *l) {
    if (!l->in_ring) {
        l->in_ring = true;
        l->ring_next = NULL;
        if (h->ring_last)
            h->ring_last->ring_next = l;
        else
            h->ring_first = l;
        h->ring_last = l;
    }
    pthread_cond_signal(&h->queue_work);
}

static struct live *next_live(struct host *h) {
    while (!h->ring_first && !h->stopping)
        pthread_cond_wait(&h->queue_work, &h->queue_lock);
    struct live *l = h->ring_first;
    if (l) {
        h->ring_first = l->ring_next;
        if (!h->ring_first)
            h->ring_last = NULL;
        l->in_ring = false;
    }
    return l;
}

static void finish_dropped(struct live *l, struct ask *a) {
    for (struct ask *next; a; a = next) {
        next = a->next;
        a->queue_ns = clock_ns() - a->queued_ns;
        if (__atomic_load_n(&a->cancel, __ATOMIC_RELAXED))
            ask_finish(l, a, fail(&a->err, CANCELLED, "the client left before the request ran"));
        else
            ask_finish(l, a,
                       fail(&a->err, TIMEOUT, "the deadline passed after %llu ms in the queue",
                            (unsigned long long)(a->queue_ns / 1000000)));
    }
}

static void run_batch(struct host *h, struct live *l, struct batch *b, int want,
                      struct batch_memory *m) {
    finish_dropped(l, b->dropped);
    if (!b->first)
        return;
    int cores = cores_take(want);
    uint64_t began = clock_ns();
    batch_run(h, l, b, cores, m);
    uint64_t ns = clock_ns() - began;
    cores_give(cores);
    pthread_mutex_lock(&h->queue_lock);
    batch_learn(l, b->rows, ns);
    pthread_mutex_unlock(&h->queue_lock);
}

/* One turn: under queue_lock on entry and exit. */
static void turn(struct host *h, struct live *l, struct batch_memory *m) {
    struct batch b;
    live_ref(l); /* the asks' references end with them */
    size_t before = l->waiting;
    batch_take(l, h->options.batch, &b);
    h->n_waiting -= before - l->waiting;
    if (l->waiting)
        worker_wake(h, l);
    int want = h->n_waiting ? 1 : batch_cores(l, h->threads);
    counter_set(l->c_queue_depth, (int64_t)l->waiting);
    h->n_running++;
    pthread_mutex_unlock(&h->queue_lock);
    run_batch(h, l, &b, want, m);
    pthread_mutex_lock(&h->queue_lock);
    h->n_running--;
    if (h->n_waiting == 0 && h->n_running == 0)
        pthread_cond_broadcast(&h->queue_idle);
    pthread_mutex_unlock(&h->queue_lock);
    live_unref(l); /* may close a session: not under the lock */
    pthread_mutex_lock(&h->queue_lock);
}

void *worker_main(void *arg) {
    struct host *h = arg;
    struct batch_memory memory = {0};
    pthread_mutex_lock(&h->queue_lock);
    for (struct live *l; (l = next_live(h)) != NULL;)
        turn(h, l, &memory);
    pthread_mutex_unlock(&h->queue_lock);
    mem_free(memory.bytes);
    return NULL;
}
