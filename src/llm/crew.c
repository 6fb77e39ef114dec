/* SPDX-License-Identifier: Apache-2.0 */
/* Barriers and pieces: see crew.h. OpenMP supplies the threads.
 *
 * A thread that is late by more than a moment may have lost its core to somebody else. Who waits
 * for it sleeps: he saves up his own share of the processor for when it is back, and the two run at
 * the same time again. (Giving the core away with sched_yield and asking again and again, he is
 * scheduled as one who computes, and has used up his share when the late one comes.) */
#include "llm/crew.h"

#include "base/clock.h"

#include <linux/futex.h>
#include <limits.h>
#include <omp.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { SPINS = 4000 }; /* some 50 us: longer than threads with cores of their own wait */

static void pause_briefly(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

/* Sleeps until the round is over; a futex is a word of 32 bits. */
static void sleep_through(struct crew *c, int round) {
    _Static_assert(sizeof c->round == 4, "a futex");
    uint64_t began = clock_ns();
    atomic_fetch_add(&c->asleep, 1);
    while (atomic_load(&c->round) == round)
        (void)syscall(SYS_futex, &c->round, FUTEX_WAIT_PRIVATE, round, NULL, NULL, 0);
    atomic_fetch_sub(&c->asleep, 1);
    atomic_fetch_add_explicit(&c->late_ns, clock_ns() - began, memory_order_relaxed);
}

static void end_round(struct crew *c, int round) {
    atomic_store_explicit(&c->waiting, 0, memory_order_relaxed);
    atomic_store_explicit(&c->next, 0, memory_order_relaxed);
    atomic_store(&c->round, (int)((unsigned)round + 1)); /* before asleep is read: seq_cst */
    if (atomic_load(&c->asleep))
        (void)syscall(SYS_futex, &c->round, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

void crew_barrier(struct crew *c) {
    if (c->n == 1) {
        atomic_store_explicit(&c->next, 0, memory_order_relaxed);
        return;
    }
    int round = atomic_load_explicit(&c->round, memory_order_acquire);
    if (atomic_fetch_add_explicit(&c->waiting, 1, memory_order_acq_rel) == c->n - 1) {
        end_round(c, round);
        return;
    }
    for (int spins = 0; spins < SPINS; spins++) {
        if (atomic_load_explicit(&c->round, memory_order_acquire) != round)
            return;
        pause_briefly();
    }
    sleep_through(c, round);
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
    atomic_store(&c->late_ns, 0);
    if (n == 1) {
        work(arg, 0);
        return;
    }
#pragma omp parallel num_threads(n)
    {
        c->n = omp_get_num_threads(); /* all say the same: fewer than n where the runtime has a
                                         limit */
        work(arg, omp_get_thread_num());
    }
}
