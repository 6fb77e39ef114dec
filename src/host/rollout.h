/* SPDX-License-Identifier: Apache-2.0 */
/* How the traffic of a model is split between its versions: the store's setting "route", JSON:
 *
 *   {"arms": [{"version": 4, "percent": 10}], "sticky": "header:x-user",
 *    "shadow": {"version": 5, "percent": 100, "relative": 0.001, "absolute": 0.00001}}
 *
 * It says where asks for MODEL alone go; MODEL@3 and MODEL@alias mean exactly what they say. What
 * the arms leave goes to the stable version: the one MODEL means without a split. */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

enum { ROLLOUT_ARMS = 8, ROLLOUT_NAME = 64, ROLLOUT_WHOLE = 10000 };
#define ROLLOUT_SETTING LIT("route")

enum sticky_kind { STICKY_NONE, STICKY_HEADER, STICKY_COOKIE, STICKY_FIELD };

struct rollout {
    struct rollout_arm {
        uint64_t version;
        uint32_t share; /* of ROLLOUT_WHOLE */
    } arms[ROLLOUT_ARMS];
    int n_arms;
    enum sticky_kind sticky;
    char sticky_name[ROLLOUT_NAME + 1];
    uint64_t shadow; /* version that gets a copy; 0: none */
    uint32_t shadow_share;
    double relative, absolute; /* answers within |a-b| <= absolute + relative*|b| are the same */
};

MUST_USE enum code rollout_parse(struct str json, struct rollout *out, struct err *e);
void rollout_write(const struct rollout *r, struct buf *b);
/* "header:x-user", "cookie:session", "field:user", "none" */
MUST_USE enum code rollout_sticky(struct rollout *r, struct str text, struct err *e);
/* 10 or "2.5": hundredths of a percent. */
MUST_USE enum code rollout_share(double percent, uint32_t *out, struct err *e);
/* Arms and shadow make sense together: shares, versions once each. */
MUST_USE enum code rollout_check(const struct rollout *r, struct err *e);
bool rollout_empty(const struct rollout *r);

/* Where a key falls: 0 .. ROLLOUT_WHOLE - 1, the same on every machine and after every restart. */
uint32_t rollout_bucket(struct str model, struct str key);
/* The arm a bucket belongs to, -1: stable. An arm's buckets begin where the one before ends:
 * raising the last arm's share moves only keys that were stable before. */
int rollout_arm(const struct rollout *r, uint32_t bucket);
