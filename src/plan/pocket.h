/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of a loop's iterations: what one makes is gone when the next begins, but for the values
 * that it hands on. Without it a loop would hold everything it ever made until the run ends.
 *
 *     open; { enter; run the body; leave; keep what is carried }...; close
 *
 * 1. Between enter and leave the run's memory (terms->area) is `work`, emptied by enter.
 * 2. keep moves the carried values into one of two areas, texts too; the one before stays readable
 * until the next keep. Sequences share their items with older iterations: they cannot be kept.
 * 3. All three together stay below what the outer area has left. */
#pragma once

#include "plan/run.h"

struct pocket;

/* NULL: no memory. */
struct pocket *pocket_open(struct run_terms *terms);
void pocket_enter(struct pocket *p);
void pocket_leave(struct pocket *p);
MUST_USE enum code pocket_keep(struct pocket *p, struct tensor *values, int n, struct err *e);
void pocket_close(struct pocket *p);
