/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that were kept (policy "capture") sent to another version, here, and compared with what
 * was answered then. */
#pragma once

#include "store/store.h"
#include "tensor/compare.h"

struct replay_job {
    struct str model;
    uint64_t version;          /* that answers now */
    uint64_t limit;            /* requests; 0: all */
    double relative, absolute; /* within: the same */
    int threads;
};

enum { REPLAY_OUTPUTS = 64 };

struct replay_result { /* strings live in the arena given */
    uint64_t requests, same, different, failed;
    struct str first_failure; /* why the first one failed */
    uint64_t versions[8];     /* that answered then; n_versions at most 8 are told */
    size_t n_versions;
    uint64_t from_us, to_us; /* when */
    uint64_t compute_ns;     /* sum */
    struct replay_output {
        struct str name;
        uint64_t compared, different; /* requests */
        uint64_t top;                 /* whose largest element of a row moved */
        double max_abs, max_rel, worst_cosine;
    } outputs[REPLAY_OUTPUTS];
    size_t n_outputs;
};

/* NOT_FOUND: nothing was kept of that model. */
MUST_USE enum code job_replay(struct store *s, const struct replay_job *j, struct arena *a,
                              struct replay_result *out, struct err *e);
