/* SPDX-License-Identifier: Apache-2.0 */
/* Two sessions over the same inputs: a version in f32 and in bf16, or two versions. Inputs are the
 * requests that were kept of the first model, or, when there are none, what the caller makes up. */
#pragma once

#include "host/quality.h"

enum { COMPARE_OUTPUTS = 64 };

struct compare_side {
    struct str model;
    uint64_t version;
    enum precision precision;
};

struct compare_job {
    struct compare_side a, b; /* a: the reference */
    uint64_t samples;         /* at most */
    int threads, turns;       /* turns: runs of each side for the times */
    /* Fills the inputs of sample number i; called when nothing was kept. */
    enum code (*make)(void *ctx, const struct session *s, uint64_t i, struct arena *a,
                      struct tensor *out, struct err *e);
    /* A run of what make made failed: says more in *e and returns its code. */
    enum code (*blame)(void *ctx, const struct session *s, struct err *e);
    void *ctx;
};

struct compare_result { /* names live in the arena given */
    uint64_t samples, recorded;
    uint64_t different_shapes; /* samples whose outputs could not be compared */
    struct compare_output {
        struct str name;
        double max_abs, max_rel, largest, cosine; /* worst of all samples; see host/quality.h */
        uint64_t rows, moved; /* of float outputs: rows, and those whose largest element moved */
    } outputs[COMPARE_OUTPUTS];
    size_t n_outputs;
    double a_ms, b_ms; /* least time of the first sample */
};
/* When both sides are one version, in f32 and in bf16, the report is stored with the version. */
MUST_USE enum code job_compare(struct store *s, const struct compare_job *j, struct arena *a,
                               struct compare_result *out, struct err *e);
/* The worst of all outputs. */
void job_quality(const struct compare_result *r, struct quality *out);
