/* SPDX-License-Identifier: Apache-2.0 */
/* The metrics of one decoding model: under our names (slipway_*, labels model and version) and
 * under vLLM's (vllm:*, label model_name), which gateways and dashboards scrape. */
#pragma once

#include "base/counter.h"

enum { TALLY_SERIES = 32 };

struct tally {
    struct counter *series[TALLY_SERIES]; /* by the enum in tally.c; NULL: not counted */
};
void tally_init(struct tally *t, struct str model, struct str version);
void tally_deinit(struct tally *t);

void tally_started(struct tally *t, uint64_t queued_ns);
void tally_prompt(struct tally *t, size_t tokens); /* computed, or found in the prefix cache */
void tally_first(struct tally *t, uint64_t since_asked_ns);
void tally_token(struct tally *t, uint64_t since_last_ns);
void tally_finished(struct tally *t, const char *reason, uint64_t since_asked_ns);
void tally_prefix(struct tally *t, size_t queried, size_t hit); /* tokens */
void tally_preempted(struct tally *t);
void tally_drafts(struct tally *t, size_t drafted, size_t accepted); /* of one sequence's step */
void tally_skipped(struct tally *t);                                 /* a step without guesses */
void tally_load(struct tally *t, size_t running, size_t waiting, size_t kv_used, size_t kv_all);
