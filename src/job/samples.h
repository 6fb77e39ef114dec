/* SPDX-License-Identifier: Apache-2.0 */
/* The requests that were kept of a model (policy "capture"), oldest first. */
#pragma once

#include "host/tape.h"
#include "plan/session.h"
#include "store/store.h"

/* What is done with one; its memory ends with the call. false: enough. */
typedef bool sample_fn(void *ctx, const struct tape *t, struct arena *a);
/* NOT_FOUND: nothing was kept of that model. */
MUST_USE enum code samples_each(struct store *s, struct str model, sample_fn *fn, void *ctx,
                                struct err *e);
/* The kept inputs in the order of a session's; INVALID names one it does not have. */
MUST_USE enum code samples_bind(const struct tape *t, const struct session_io *inputs,
                                size_t n_inputs, struct tensor *out, struct err *e);
/* Some row's largest element is another one: what a classifier's user would see. *rows and *moved
 * count rows of the last axis, where it has more than one element. */
void samples_top(const struct tensor *a, const struct tensor *b, uint64_t *rows, uint64_t *moved);
