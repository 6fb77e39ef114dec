/* SPDX-License-Identifier: Apache-2.0 */
/* How a model is treated beside others: the store's setting "policy", JSON, all members optional:
 *
 *   {"pin": true, "priority": "high", "weight": 2, "batch": 16, "queue": 64, "precision": "auto",
 *    "capture": {"percent": 1, "bytes": 104857600, "days": 7}} */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "host/quality.h"
#include "store/store.h"

#define POLICY_SETTING LIT("policy")

struct policy {
    bool pin;            /* never evicted from memory */
    int priority;        /* enum ask_priority of asks that bring none */
    double weight;       /* share of the cores when several models want them; 1 */
    uint64_t batch;      /* most rows joined; 0: the server's */
    uint64_t queue;      /* most waiting; 0: the server's */
    double capture;      /* fraction of requests whose inputs and outputs are kept; 0: none */
    uint64_t keep_bytes; /* of them in all */
    uint64_t keep_days;
    enum precision_choice precision; /* of versions loaded from now on; DEFAULT: the server's */
};

void policy_default(struct policy *p);
MUST_USE enum code policy_parse(struct str json, struct policy *out, struct err *e);
/* One member as a command line writes it: "pin=yes", "priority=low", "weight=2", "capture=1%". */
MUST_USE enum code policy_set(struct policy *p, struct str text, struct err *e);
bool policy_is_default(const struct policy *p);
void policy_write(const struct policy *p, struct buf *b); /* only what differs from the default */
/* Another server's max_batch_size becomes `batch` of the model's setting, which keeps its other
 * members; 0: the model does not batch. */
MUST_USE enum code policy_keep_batch(struct store *s, struct str model, uint64_t most,
                                     struct arena *a, struct err *e);
/* "high", "normal", "low" */
MUST_USE enum code priority_parse(struct str text, int *out, struct err *e);
const char *priority_name(int priority);
