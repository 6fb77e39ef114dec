/* SPDX-License-Identifier: Apache-2.0 */
/* What each node of a graph costs: `bench --profile`, and its trace; and the memory of a run, which
 * `show --plan` foretells. */
#pragma once

#include "cli/command.h"
#include "cli/peak.h"
#include "plan/session.h"

struct profile { /* of runs that are over */
    struct cli *cli;
    const char *model; /* as the user called it */
    struct session_step *steps;
    size_t n_steps;
    struct peak peak;
    struct session_needs needs;
    size_t measured_bytes; /* most memory that one of the runs held */
    struct session_trace trace;
    uint64_t (*runs)[2]; /* (n_runs) began, ended */
    size_t n_runs;
};

struct profile_ask {
    const char *model, *trace; /* trace: a file to write, or NULL */
    struct session *session;   /* with a profile */
    const struct tensor *inputs;
    int threads;
    size_t runs;
};
MUST_USE enum code profile_run(struct cli *c, const struct profile_ask *ask, struct err *e);

/* Trace Event Format (https://ui.perfetto.dev, chrome://tracing): an event per run and per call of
 * a node. */
MUST_USE enum code timeline_write(const struct profile *p, const char *path, struct err *e);

/* Operations and bytes of steps, as JSON members and as text; "" where nothing is known. */
void profile_put_step(struct json_out *w, const struct session_step *s);
const char *profile_flops(struct arena *a, const struct session_step *s);
const char *profile_bytes(struct arena *a, const struct session_step *s);
/* The node's name, indented within bodies. */
const char *profile_node(struct arena *a, const struct session_step *s);
/* What runs, and that a trial chose it. */
const char *profile_kernel(struct arena *a, const struct session_step *s);
/* "memory of a run: ..."; measured: bytes that a run held, 0 where none has run. */
void profile_print_needs(struct arena *a, const struct session_needs *n, size_t measured);
void profile_put_needs(struct json_out *w, const struct session_needs *n, size_t measured);
