/* SPDX-License-Identifier: Apache-2.0 */
/* Event loops on libuv, one per thread. What a loop owns is touched on its thread only; loop_post is the one door in. */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct loop; /* opaque */

MUST_USE enum code loop_open(struct loop **out, struct err *e);
void loop_close(struct loop *l); /* after loop_run returned */
/* Runs until loop_stop; on the calling thread, which owns the loop from now on. */
void loop_run(struct loop *l);
void loop_stop(struct loop *l); /* from any thread */

/* Runs job->fn(job) on the loop's thread soon. From any thread; lock-free push, one wake-up for many posts, allocates
 * nothing: the job is embedded in the caller's own struct and belongs to the loop until fn is called. */
struct loop_job {
    struct loop_job *next;
    void (*fn)(struct loop_job *job);
};
void loop_post(struct loop *l, struct loop_job *job);

/* Repeating timer on the loop's thread. */
struct loop_timer; /* opaque */
MUST_USE enum code loop_timer_open(struct loop *l, uint64_t every_ms, void (*fn)(void *ctx), void *ctx, struct loop_timer **out, struct err *e);
void loop_timer_close(struct loop_timer *t);

/* SIGTERM/SIGINT delivered on the loop's thread. */
MUST_USE enum code loop_on_signal(struct loop *l, int signal, void (*fn)(void *ctx, int signal), void *ctx, struct err *e);
