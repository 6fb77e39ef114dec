/* SPDX-License-Identifier: Apache-2.0 */
/* The phases of a request, a fixed array: nobody registers into it, so it can be read as a list
 * (phase.c, at the end).
 *
 *       on_head              on_request                host's worker           loop on_done
 *   ROUTE AUTH LIMIT ─▶ DECODE ─▶ RUN ── host_submit ─▶ done ── loop_post ─▶ ENCODE SEND RECORD
 *            └ long body: side thread ┘                        └ long answer: side thread ┘
 *
 * 1. A failure in any phase before ENCODE goes to ENCODE, which writes the error; SEND is reached
 * exactly once.
 * 2. A phase that returns STEP_WAIT has given the request away: whoever has it continues. */
#pragma once

#include "serve/request.h"

enum step { STEP_NEXT, STEP_WAIT };

struct phase_row {
    const char *name;
    enum step (*run)(struct request *r);
};
extern const struct phase_row phase_rows[PHASE_N];

void phase_begin_sub(struct request *sub); /* a message of a stream, from DECODE on (bidi.c) */
/* A line "trace" in the log when its model's trace settings want one of it (probe.h). */
void phase_probe(const struct request *r, int status, uint64_t total_ns);
