/* SPDX-License-Identifier: Apache-2.0 */
/* The threads of one step: one parallel region, in which phases follow each other with barriers of
 * a fraction of a microsecond. Waiting threads spin for a while, then sleep: a core that others
 * use too is not burnt. */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct crew {
    atomic_int n;             /* threads */
    _Atomic uint64_t late_ns; /* slept at the last run's barriers, all threads together */
    _Alignas(64) atomic_int waiting, round;
    atomic_int asleep;
    _Alignas(64) atomic_size_t next; /* of the phase's pieces */
};

/* Runs work(arg, thread) on every thread of a crew of n. */
void crew_run(struct crew *c, int n, void (*work)(void *arg, int thread), void *arg);
/* All threads of the crew arrive before any goes on; the pieces start over. */
void crew_barrier(struct crew *c);
/* Takes the next `grain` of n pieces: false when none are left. [*from, *to) */
int crew_take(struct crew *c, size_t n, size_t grain, size_t *from, size_t *to);
