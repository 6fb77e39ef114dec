/* SPDX-License-Identifier: Apache-2.0 */
/* Barriers and pieces: see crew.h. OpenMP supplies the threads. */
#include "llm/crew.h"

#include <omp.h>
#include <sched.h>

enum { SPINS = 4000 }; /* some 50 us */

static void pause_briefly(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

void crew_barrier(struct crew *c) {
    if (c->n == 1) {
        atomic_store_explicit(&c->next, 0, memory_order_relaxed);
        return;
    }
    int round = atomic_load_explicit(&c->round, memory_order_acquire);
    if (atomic_fetch_add_explicit(&c->waiting, 1, memory_order_acq_rel) == c->n - 1) {
        atomic_store_explicit(&c->waiting, 0, memory_order_relaxed);
        atomic_store_explicit(&c->next, 0, memory_order_relaxed);
        atomic_store_explicit(&c->round, round + 1, memory_order_release);
        return;
    }
    for (int spins = 0; atomic_load_explicit(&c->round, memory_order_acquire) == round; spins++)
        if (spins < SPINS)
            pause_briefly();
        else
            sched_yield();
}

int crew_take(struct crew *c, size_t n, size_t grain, size_t *from, size_t *to) {
    size_t at = atomic_fetch_add_explicit(&c->next, grain, memory_order_relaxed);
    if (at >= n)
        return 0;
    *from = at;
    *to = n - at < grain ? n : at + grain;
    return 1;
}

void crew_run(struct crew *c, int n, void (*work)(void *arg, int thread), void *arg) {
    c->n = n;
    atomic_store(&c->waiting, 0);
    atomic_store(&c->next, 0);
    if (n == 1) {
        work(arg, 0);
        return;
    }
#pragma omp parallel num_threads(n)
    {
#pragma omp single
        c->n = omp_get_num_threads(); /* fewer where the runtime has a limit: barriers count them */
        work(arg, omp_get_thread_num());
    }
}
