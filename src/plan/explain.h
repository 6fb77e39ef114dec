/* SPDX-License-Identifier: Apache-2.0 */
/* A plan in words: what `show --plan` and `bench --profile` print. */
#pragma once

#include "plan/plan.h"

/* Rows live in the arena. */
MUST_USE enum code explain_plan(struct plan *p, struct arena *a, struct session_step **out,
                                size_t *n, struct err *e);
