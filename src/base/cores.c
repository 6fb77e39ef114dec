/* SPDX-License-Identifier: Apache-2.0 */
/* The core ledger: see cores.h. One lock, one condition; a run takes it twice, which is nothing
 * beside a run.
 *
 * A taker gets its share of what is free: all of it when nobody waits, an equal part of it when
 * others do, never less than one. So a request alone runs on every core, and many requests run on
 * one core each without barriers.
 *
 * Waiting threads of OpenMP teams spin for some 30 us and then sleep. Waking a sleeper costs 50 us
 * in a virtual machine, at every step: on two idle cores nudenet takes 13.0 ms without a spin, 10.3
 * with this one, 9.4 with libgomp's own (3 ms and more); ResNet-50 in 8 bits 8.3, 5.9, 5.1. But on
 * cores that others use too, who burnt his share is not given the core when his part of the next
 * step is due: with libgomp's own spin PP-OCR's recogniser takes 44 to 1125 ms there, with this one
 * 13 to 40, without 12 to 30. OMP_WAIT_POLICY=active keeps libgomp from shortening the spin when
 * there are more teams than cores. libgomp reads both in a constructor. It is linked into the
 * program, so that a constructor of ours can be before it; as a shared library it would have read
 * them before any code of the program runs, and the program would have to be started twice (3 ms).
 */
#include "base/cores.h"

#include "base/cpu.h"
#include "base/thread.h"

#include <stdlib.h>

static const char SPINS[] = "1000"; /* pauses of a waiting thread */

static struct { /* guarded by lock */
    pthread_mutex_t lock;
    pthread_cond_t freed;
    int total, free, waiting;
    int behind;      /* of them: those who let others go first */
    uint64_t grants; /* so far */
} ledger = {.lock = PTHREAD_MUTEX_INITIALIZER, .freed = PTHREAD_COND_INITIALIZER};

void cores_setup(int cores) {
    pthread_mutex_lock(&ledger.lock);
    int taken = ledger.total - ledger.free;
    ledger.total = cores > 0 ? cores : 1;
    ledger.free = ledger.total - taken;
    pthread_cond_broadcast(&ledger.freed);
    pthread_mutex_unlock(&ledger.lock);
}

static void settle_total(void) {
    if (!ledger.total) {
        ledger.total = cpu_cores();
        ledger.free = ledger.total;
    }
}

int cores_total(void) {
    pthread_mutex_lock(&ledger.lock);
    settle_total();
    int total = ledger.total;
    pthread_mutex_unlock(&ledger.lock);
    return total;
}

static int grant(int want) { /* under lock; a core is free */
    int share = ledger.free / ledger.waiting;
    ledger.waiting--;
    ledger.grants++;
    if (ledger.behind)
        pthread_cond_broadcast(&ledger.freed);
    int granted = want < 1 ? 1 : want < share ? want : share;
    if (granted < 1)
        granted = 1;
    ledger.free -= granted;
    return granted;
}

int cores_take(int want) {
    pthread_mutex_lock(&ledger.lock);
    settle_total();
    ledger.waiting++;
    while (ledger.free < 1)
        pthread_cond_wait(&ledger.freed, &ledger.lock);
    int granted = grant(want);
    pthread_mutex_unlock(&ledger.lock);
    return granted;
}

int cores_take_behind(int want) {
    pthread_mutex_lock(&ledger.lock);
    settle_total();
    uint64_t turn = ledger.grants + (uint64_t)ledger.waiting;
    ledger.waiting++;
    ledger.behind++;
    while (ledger.free < 1 || ledger.grants < turn)
        pthread_cond_wait(&ledger.freed, &ledger.lock);
    ledger.behind--;
    int granted = grant(want);
    pthread_mutex_unlock(&ledger.lock);
    return granted;
}

void cores_give(int granted) {
    pthread_mutex_lock(&ledger.lock);
    ledger.free += granted;
    pthread_cond_broadcast(&ledger.freed);
    pthread_mutex_unlock(&ledger.lock);
}

int cores_waiting(void) {
    pthread_mutex_lock(&ledger.lock);
    int waiting = ledger.waiting;
    pthread_mutex_unlock(&ledger.lock);
    return waiting;
}

/* What somebody chose stays. */
__attribute__((constructor(101))) static void choose_spin(void) {
    if (!getenv("GOMP_SPINCOUNT") && !getenv("OMP_WAIT_POLICY") &&
        setenv("OMP_WAIT_POLICY", "active", 1) == 0)
        (void)setenv("GOMP_SPINCOUNT", SPINS, 1);
}
