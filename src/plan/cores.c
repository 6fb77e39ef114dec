/* SPDX-License-Identifier: Apache-2.0 */
/* The core ledger: see cores.h. One lock, one condition; a run takes it twice, which is nothing
 * beside a run.
 *
 * A taker gets its share of what is free: all of it when nobody waits, an equal part of it when
 * others do, never less than one. So a request alone runs on every core, and many requests run on
 * one core each without barriers.
 *
 * Waiting threads of OpenMP teams must sleep, not spin. Measured on two cores that others use too:
 * with libgomp's own spin (3 ms and more) a PP-OCR recognition takes 44 to 1125 ms, with a spin of
 * 1 ms 48 to 120, with none 13; a thread that burnt its share is not given the core when its part
 * of the next step is due, one that slept is. On idle cores sleeping costs some microseconds a
 * step. libgomp reads its policy once, when it is loaded, before main: cores_settle sets it and
 * starts the program anew, once, when nobody has chosen (3 ms). */
#include "plan/cores.h"

#include "base/cpu.h"
#include "base/thread.h"

#include <stdlib.h>
#include <unistd.h>

static struct { /* guarded by lock */
    pthread_mutex_t lock;
    pthread_cond_t freed;
    int total, free, waiting;
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

int cores_take(int want) {
    pthread_mutex_lock(&ledger.lock);
    settle_total();
    ledger.waiting++;
    while (ledger.free < 1)
        pthread_cond_wait(&ledger.freed, &ledger.lock);
    int share = ledger.free / ledger.waiting;
    ledger.waiting--;
    int granted = want < 1 ? 1 : want < share ? want : share;
    if (granted < 1)
        granted = 1;
    ledger.free -= granted;
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

void cores_settle(char **argv) {
    if (getenv("GOMP_SPINCOUNT") || getenv("OMP_WAIT_POLICY"))
        return;
    if (setenv("OMP_WAIT_POLICY", "passive", 1) == 0)
        execv("/proc/self/exe", argv); /* returns only on failure: then we go on as we are */
}
