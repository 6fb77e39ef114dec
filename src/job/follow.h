/* SPDX-License-Identifier: Apache-2.0 */
/* Serving what another server's configuration says, for as long as it runs: the file is read again
 * when it changes, folders of new versions are imported, those that went are let go.
 *
 * 1. A look that finds nothing new costs the listing of the base paths and their numbered folders;
 * where there is nothing to look at there is no thread.
 * 2. A version that cannot be imported is tried again at the next `retries` looks, then when
 * something changes; meanwhile the one before it answers. A file that cannot be read changes
 * nothing.
 * 3. One thread of its own; follow_set may be called from any.
 * 4. What a client sends names folders below the operator's only (docs/decisions/0011). */
#pragma once

#include "host/host.h"
#include "job/roster.h"

struct follow; /* opaque */

struct follow_options {
    struct store *store;      /* borrowed */
    struct host *host;        /* borrowed */
    const char *config;       /* model_config_list, read again; NULL: none, or only at the start */
    const char *repository;   /* Triton's, its folders looked at again; NULL: none */
    const struct roster *now; /* what is served already; copied; NULL: nothing */
    const struct str *also;   /* (n_also) models named beside it; borrowed until follow_close */
    size_t n_also;
    const struct str *roots; /* (n_roots) folders that follow_set may name, beside those of `now`;
                                borrowed until follow_close */
    size_t n_roots;
    uint64_t config_ms, folders_ms; /* between looks; 0: never again */
    int retries;
};

MUST_USE enum code follow_open(const struct follow_options *o, struct follow **out, struct err *e);
/* In the place of what was followed: imports (blocks), then asks the host for it. done: as of
 * host_wish; not called when this fails. DENIED: a base path is none of ours. */
MUST_USE enum code follow_set(struct follow *f, const struct roster *r, host_done_fn *done,
                              void *ctx, struct err *e);
void follow_close(struct follow *f); /* NULL allowed; before the host closes */
