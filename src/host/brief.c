/* SPDX-License-Identifier: Apache-2.0 */
/* Brief runs: asks that the thread which asks answers itself, inside host_submit.
 *
 * Handing an ask to a worker and its answer back wakes two threads, which costs more than the run
 * of a small model does. A run is brief when
 * 1. its cost is known beforehand: a version whose runs cost the same whatever the data
 *    (session_steady), measured often enough, by its warm-up or on workers;
 * 2. that cost is less than handing over would take, so that an event loop that computes it serves
 *    its other connections sooner than one that hands it over, and joining cannot pay;
 * 3. any number of the version's runs may be under way.
 * What waits for workers is overtaken and loses nothing by it: a brief run is none of theirs. If it
 * kept such runs away, each would join the queue, and under load there would always be one.
 * Like the express worker's runs, brief ones share a core with whoever has it (worker.c). */
#include "host/in.h"

#include "base/clock.h"

#define BRIEF_NS 25000.0

bool brief_may(const struct live *l, const struct ask *a) {
    double cost = curve_single(&l->curve);
    bool limited = atomic_load_explicit(&l->run_limit, memory_order_relaxed);
    return !limited && cost > 0 && cost <= BRIEF_NS && a->rows == 1 &&
           a->priority < PRIORITY_SHADOW && l->loaded.session && session_steady(l->loaded.session);
}

void brief_run(struct host *h, struct live *l, struct ask *a) {
    mark_running(l->mark, 1);
    enum code code = batch_run_one(h, l, a, 1, true, a->queued_ns);
    mark_running(l->mark, -1);
    ask_settle(l, a, code);
    pthread_mutex_lock(&h->queue_lock);
    if (code == OK)
        curve_learn(&l->curve, 1, 1, a->compute_ns);
    l->vtime += (double)a->compute_ns / l->weight;
    h->n_running--;
    if (h->ring_first) /* a worker may have looked and found that it may not, for this run */
        pthread_cond_signal(&h->queue_work);
    if (h->n_running == 0 && h->n_waiting == 0)
        pthread_cond_broadcast(&h->queue_idle);
    pthread_mutex_unlock(&h->queue_lock);
}
