/* SPDX-License-Identifier: Apache-2.0 */
/* Decides where every value of a plan lives, and which steps need not run. The graph is final,
 * steps are prepared. */
#pragma once

#include "plan/plan.h"

/* Whether a step waits for data: an input is late, or infer could not tell a shape, or the operator
 * makes its own outputs. */
bool place_is_late(const struct graph *g, const struct node *n);
MUST_USE enum code place_values(struct plan *p, struct err *e);
