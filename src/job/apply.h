/* SPDX-License-Identifier: Apache-2.0 */
/* What should be, as one document: aliases, splits and policies of models. Checked as a whole
 * before anything changes; what is not mentioned stays as it is; null takes away.
 *
 *   {"models": {"ocr": {"aliases": {"prod": 3, "old": null},
 *                       "route": {"arms": [{"version": 4, "percent": 10}]},
 *                       "policy": {"pin": true}}}} */
#pragma once

#include "store/store.h"

struct apply_change {
    struct str model;
    struct str text; /* "alias prod: 2 -> 3", "route: {...}", "warning: ..." of the one before */
};

/* Changes made (dry: that would be made) into the arena. Changes are single transactions of the
 * store; one that fails leaves those before it. */
MUST_USE enum code job_apply(struct store *s, struct str json, bool dry, struct arena *a,
                             struct apply_change **out, size_t *n, struct err *e);

/* One setting of one model, checked: a route's or policy's JSON; text.n == 0: taken away (OK when
 * there was none). */
MUST_USE enum code job_set_route(struct store *s, struct str model, struct str json, struct err *e);
MUST_USE enum code job_set_policy(struct store *s, struct str model, struct str json,
                                  struct err *e);
/* What a policy says that is not so yet, or was mistyped: a draft that is not there. .n == 0:
 * nothing. In the arena. */
MUST_USE enum code job_doubt_policy(struct store *s, struct str json, struct arena *a,
                                    struct str *out, struct err *e);
/* The setting as it is now; .n == 0: none. */
MUST_USE enum code job_setting(struct store *s, struct str model, struct str name, struct arena *a,
                               struct str *out, struct err *e);
