/* SPDX-License-Identifier: Apache-2.0 */
/* Event loops on libuv, one per thread. What a loop owns is touched on its thread only; loop_post
 * is the one door in. */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct loop; /* opaque */

/* The first call makes the process ignore SIGPIPE: a client that left is an error of the write, not
 * a signal. */
MUST_USE enum code loop_open(struct loop **out, struct err *e);
/* After loop_run returned and everything opened on the loop was closed; runs what closing them left
 * to do. Jobs still posted are run first. Timers and signals still open are closed. */
void loop_close(struct loop *l);
/* Runs until loop_stop; on the calling thread, which owns the loop from now on. */
void loop_run(struct loop *l);
void loop_stop(struct loop *l); /* from any thread; before loop_run it makes that return at once */

/* Runs job->fn(job) on the loop's thread soon, in the order of posting per thread. From any thread;
 * lock-free push, one wake-up for many posts, allocates nothing: the job is embedded in the
 * caller's own struct and belongs to the loop until fn is called. */
struct loop_job {
    struct loop_job *next;
    void (*fn)(struct loop_job *job);
};
void loop_post(struct loop *l, struct loop_job *job);

/* Repeating timer on the loop's thread. */
struct loop_timer; /* opaque */
MUST_USE enum code loop_timer_open(struct loop *l, uint64_t every_ms, void (*fn)(void *ctx),
                                   void *ctx, struct loop_timer **out, struct err *e);
void loop_timer_close(struct loop_timer *t);

/* SIGTERM/SIGINT delivered on the loop's thread, until loop_close. */
MUST_USE enum code loop_on_signal(struct loop *l, int signal, void (*fn)(void *ctx, int signal),
                                  void *ctx, struct err *e);

/* For the files of this floor, which bring sockets of their own. */
struct uv_loop_s;
struct uv_loop_s *loop_uv(struct loop *l);
