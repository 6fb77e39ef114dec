/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics of decoding: see tally.h. Each fact is one row of the table below; two rows may count the
 * same fact under two names. */
#include "llm/tally.h"

enum {
    TOKENS_IN,
    TOKENS_OUT,
    FIRST,
    EACH,
    QUEUED,
    RUNNING,
    WAITING,
    KV_USED,
    PREFIX_ASKED,
    PREFIX_HIT,
    PREEMPTED,
    DRAFTED,
    ACCEPTED,
    SKIPPED,
    VLLM_TOKENS_IN,
    VLLM_TOKENS_OUT,
    VLLM_FIRST,
    VLLM_EACH,
    VLLM_QUEUED,
    VLLM_RUNNING,
    VLLM_WAITING,
    VLLM_KV_USED,
    VLLM_PREFIX_ASKED,
    VLLM_PREFIX_HIT,
    VLLM_PREEMPTED,
    VLLM_DRAFTS,
    VLLM_DRAFTED,
    VLLM_ACCEPTED,
    VLLM_WHOLE,
    VLLM_STOPPED,
    VLLM_LENGTH,
    VLLM_ABORTED,
    SERIES_N
};
enum { RATIO = 1000000 };
_Static_assert((int)SERIES_N <= (int)TALLY_SERIES, "series fit");

#define OURS(id, metric, text, shape)                                                              \
    [id] = {.name = metric,                                                                        \
            .help = text,                                                                          \
            .kind = shape,                                                                         \
            .n_labels = 2,                                                                         \
            .labels = {"model", "version"}}
#define THEIRS(id, metric, text, shape)                                                            \
    [id] = {.name = metric, .help = text, .kind = shape, .n_labels = 1, .labels = {"model_name"}}
#define ENDED(id)                                                                                  \
    [id] = {.name = "vllm:request_success_total",                                                  \
            .help = "Requests that ended, by reason.",                                             \
            .kind = COUNTER_TOTAL,                                                                 \
            .n_labels = 2,                                                                         \
            .labels = {"model_name", "finished_reason"}}
#define FAST_BUCKETS                                                                               \
    .n_buckets = 14,                                                                               \
    .buckets = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 1, 2.5, 5, 10}
#define OURS_TIME(id, metric, text)                                                                \
    [id] = {.name = metric,                                                                        \
            .help = text,                                                                          \
            .kind = COUNTER_HISTOGRAM,                                                             \
            .n_labels = 2,                                                                         \
            .labels = {"model", "version"},                                                        \
            FAST_BUCKETS}
#define THEIRS_TIME(id, metric, text)                                                              \
    [id] = {.name = metric,                                                                        \
            .help = text,                                                                          \
            .kind = COUNTER_HISTOGRAM,                                                             \
            .n_labels = 1,                                                                         \
            .labels = {"model_name"},                                                              \
            FAST_BUCKETS}

static const struct counter_family families[SERIES_N] = {
    OURS(TOKENS_IN, "slipway_prompt_tokens_total", "Tokens of prompts.", COUNTER_TOTAL),
    OURS(TOKENS_OUT, "slipway_generated_tokens_total", "Tokens generated.", COUNTER_TOTAL),
    OURS_TIME(FIRST, "slipway_time_to_first_token_seconds", "From the request to its first token."),
    OURS_TIME(EACH, "slipway_time_per_output_token_seconds", "Between two tokens of one sequence."),
    OURS_TIME(QUEUED, "slipway_generation_queue_seconds", "From the request to its first step."),
    OURS(RUNNING, "slipway_sequences_running", "Sequences being computed.", COUNTER_GAUGE),
    OURS(WAITING, "slipway_sequences_waiting", "Sequences waiting for a slot.", COUNTER_GAUGE),
    [KV_USED] = {.name = "slipway_kv_cache_usage_ratio",
                 .help = "Share of the KV cache that sequences hold on to.",
                 .kind = COUNTER_GAUGE,
                 .unit = RATIO,
                 .n_labels = 2,
                 .labels = {"model", "version"}},
    OURS(PREFIX_ASKED, "slipway_prefix_tokens_queried_total",
         "Tokens looked up in the prefix cache.", COUNTER_TOTAL),
    OURS(PREFIX_HIT, "slipway_prefix_tokens_hit_total", "Tokens found in the prefix cache.",
         COUNTER_TOTAL),
    OURS(PREEMPTED, "slipway_preemptions_total",
         "Sequences sent back because the KV cache was full.", COUNTER_TOTAL),
    OURS(DRAFTED, "slipway_draft_tokens_total", "Tokens drafted by speculation.", COUNTER_TOTAL),
    OURS(ACCEPTED, "slipway_draft_tokens_accepted_total", "Drafted tokens that were right.",
         COUNTER_TOTAL),
    OURS(SKIPPED, "slipway_draft_skipped_steps_total",
         "Steps without drafts, since drafting did not pay.", COUNTER_TOTAL),
    THEIRS(VLLM_TOKENS_IN, "vllm:prompt_tokens_total", "Tokens of prompts.", COUNTER_TOTAL),
    THEIRS(VLLM_TOKENS_OUT, "vllm:generation_tokens_total", "Tokens generated.", COUNTER_TOTAL),
    THEIRS_TIME(VLLM_FIRST, "vllm:time_to_first_token_seconds",
                "From the request to its first token."),
    THEIRS_TIME(VLLM_EACH, "vllm:inter_token_latency_seconds",
                "Between two tokens of one sequence."),
    THEIRS_TIME(VLLM_QUEUED, "vllm:request_queue_time_seconds",
                "From the request to its first step."),
    THEIRS(VLLM_RUNNING, "vllm:num_requests_running", "Sequences being computed.", COUNTER_GAUGE),
    THEIRS(VLLM_WAITING, "vllm:num_requests_waiting", "Sequences waiting for a slot.",
           COUNTER_GAUGE),
    [VLLM_KV_USED] = {.name = "vllm:kv_cache_usage_perc",
                      .help = "Share of the KV cache that sequences hold on to; 1: full.",
                      .kind = COUNTER_GAUGE,
                      .unit = RATIO,
                      .n_labels = 1,
                      .labels = {"model_name"}},
    THEIRS(VLLM_PREFIX_ASKED, "vllm:prefix_cache_queries_total",
           "Tokens looked up in the prefix cache.", COUNTER_TOTAL),
    THEIRS(VLLM_PREFIX_HIT, "vllm:prefix_cache_hits_total", "Tokens found in the prefix cache.",
           COUNTER_TOTAL),
    THEIRS(VLLM_PREEMPTED, "vllm:num_preemptions_total",
           "Sequences sent back because the KV cache was full.", COUNTER_TOTAL),
    THEIRS(VLLM_DRAFTS, "vllm:spec_decode_num_drafts_total", "Drafts of some tokens each.",
           COUNTER_TOTAL),
    THEIRS(VLLM_DRAFTED, "vllm:spec_decode_num_draft_tokens_total",
           "Tokens drafted by speculation.", COUNTER_TOTAL),
    THEIRS(VLLM_ACCEPTED, "vllm:spec_decode_num_accepted_tokens_total",
           "Drafted tokens that were right.", COUNTER_TOTAL),
    THEIRS_TIME(VLLM_WHOLE, "vllm:e2e_request_latency_seconds",
                "From the request to its last token."),
    ENDED(VLLM_STOPPED),
    ENDED(VLLM_LENGTH),
    ENDED(VLLM_ABORTED),
};

void tally_init(struct tally *t, struct str model, struct str version) {
    static const char *const reasons[] = {"stop", "length", "abort"};
    *t = (struct tally){0};
    for (int i = 0; i < SERIES_N; i++) {
        struct str ours[2] = {model, version}, theirs[2] = {model, {0}};
        if (i >= VLLM_STOPPED)
            theirs[1] = str_of(reasons[i - VLLM_STOPPED]);
        t->series[i] = counter_get(&families[i], i < VLLM_TOKENS_IN ? ours : theirs);
    }
}

/* vLLM's series carry no version: two versions of a model share them, and they stay. */
void tally_deinit(struct tally *t) {
    for (int i = 0; i < VLLM_TOKENS_IN; i++)
        if (t->series[i])
            counter_drop(t->series[i]);
    *t = (struct tally){0};
}

static void add(struct tally *t, int ours, int theirs, size_t n) {
    counter_add(t->series[ours], n);
    counter_add(t->series[theirs], n);
}

static void observe(struct tally *t, int ours, int theirs, uint64_t ns) {
    counter_observe(t->series[ours], (double)ns / 1e9);
    counter_observe(t->series[theirs], (double)ns / 1e9);
}

void tally_started(struct tally *t, uint64_t queued_ns) {
    observe(t, QUEUED, VLLM_QUEUED, queued_ns);
}
void tally_prompt(struct tally *t, size_t tokens) { add(t, TOKENS_IN, VLLM_TOKENS_IN, tokens); }
void tally_first(struct tally *t, uint64_t ns) {
    observe(t, FIRST, VLLM_FIRST, ns);
    add(t, TOKENS_OUT, VLLM_TOKENS_OUT, 1);
}
void tally_token(struct tally *t, uint64_t ns) {
    observe(t, EACH, VLLM_EACH, ns);
    add(t, TOKENS_OUT, VLLM_TOKENS_OUT, 1);
}

void tally_finished(struct tally *t, const char *reason, uint64_t ns) {
    int which = *reason == 's' ? VLLM_STOPPED : *reason == 'l' ? VLLM_LENGTH : VLLM_ABORTED;
    counter_add(t->series[which], 1);
    counter_observe(t->series[VLLM_WHOLE], (double)ns / 1e9);
}

void tally_prefix(struct tally *t, size_t queried, size_t hit) {
    add(t, PREFIX_ASKED, VLLM_PREFIX_ASKED, queried);
    add(t, PREFIX_HIT, VLLM_PREFIX_HIT, hit);
}
void tally_preempted(struct tally *t) { add(t, PREEMPTED, VLLM_PREEMPTED, 1); }
void tally_drafts(struct tally *t, size_t drafted, size_t accepted) {
    counter_add(t->series[VLLM_DRAFTS], 1);
    add(t, DRAFTED, VLLM_DRAFTED, drafted);
    add(t, ACCEPTED, VLLM_ACCEPTED, accepted);
}
void tally_skipped(struct tally *t) { counter_add(t->series[SKIPPED], 1); }

void tally_load(struct tally *t, size_t running, size_t waiting, size_t kv_used, size_t kv_all) {
    counter_set(t->series[RUNNING], (int64_t)running);
    counter_set(t->series[WAITING], (int64_t)waiting);
    int64_t ratio = kv_all ? (int64_t)(kv_used * RATIO / kv_all) : 0;
    counter_set(t->series[KV_USED], ratio);
    counter_set(t->series[VLLM_RUNNING], (int64_t)running);
    counter_set(t->series[VLLM_WAITING], (int64_t)waiting);
    counter_set(t->series[VLLM_KV_USED], ratio);
}
