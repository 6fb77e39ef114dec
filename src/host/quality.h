/* SPDX-License-Identifier: Apache-2.0 */
/* Which precision a version computes in: what is asked for, and the quality report that "auto" goes
 * by. A report is a fact of the store, scope "quality", key "MODEL@V bf16", JSON; `slipway bench M
 * --compare` writes it (job/compare.h). */
#pragma once

#include "plan/session.h"
#include "store/store.h"

/* AUTO: bf16 where the processor multiplies it and the version's report fits. */
enum precision_choice { CHOOSE_DEFAULT, CHOOSE_F32, CHOOSE_BF16, CHOOSE_AUTO };
/* "f32", "bf16", "auto" */
MUST_USE enum code precision_parse(struct str text, enum precision_choice *out, struct err *e);
const char *precision_name(enum precision_choice c); /* DEFAULT is "f32" */

/* How far answers in bf16 are from those in f32, over some inputs. */
struct quality {
    uint64_t samples, recorded; /* inputs; of these from kept requests */
    double largest;             /* worst difference, over the largest element of its output */
    double cosine;              /* worst of an output */
    double top; /* share of rows whose largest element is the same one; 1: there are no rows */
    double f32_ms, bf16_ms; /* least time of one input */
};
/* What "auto" accepts. */
#define QUALITY_LARGEST 0.02
#define QUALITY_COSINE 0.999
#define QUALITY_TOP 0.99
bool quality_fits(const struct quality *q);
MUST_USE enum code quality_put(struct store *s, struct str model, uint64_t version,
                               const struct quality *q, struct err *e);
/* NOT_FOUND: the version was never compared. */
MUST_USE enum code quality_get(struct store *s, struct str model, uint64_t version,
                               struct quality *out, struct err *e);

/* What a session of the version computes in. A report that cannot be read counts as none. */
enum precision precision_of(struct store *s, struct str model, uint64_t version,
                            enum precision_choice c);
