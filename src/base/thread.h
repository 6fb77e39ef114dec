/* SPDX-License-Identifier: Apache-2.0 */
/* Threads, locks, conditions: pthreads with our errors. */
#pragma once

#include "base/err.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* name <= 15 bytes */
MUST_USE enum code thread_start(pthread_t *t, const char *name, void *(*fn)(void *), void *arg,
                                struct err *e);
/* This thread works in short pieces and should be let in soon after it wakes, also beside threads
 * that compute without end: asks the scheduler for a short slice (Linux 6.12; elsewhere nothing
 * happens). It takes no more of the processor than before. Threads it starts inherit it. */
void thread_answers_soon(void);
/* This thread works on what nobody waits for: it takes the cores that others leave. Threads it
 * starts are as if any other thread had started them. */
void thread_step_back(void);
/* Waits on a condition until the monotonic deadline (clock_ns); false on time-out. The condition
 * must come from thread_cond_init. */
void thread_cond_init(pthread_cond_t *c);
bool thread_cond_wait_until(pthread_cond_t *c, pthread_mutex_t *m, uint64_t deadline_ns);
