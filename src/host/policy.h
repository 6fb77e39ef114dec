/* SPDX-License-Identifier: Apache-2.0 */
/* How a model is treated beside others: the store's setting "policy", JSON, all members optional:
 *
 *   {"pin": true, "priority": "high", "weight": 2, "batch": 16, "queue": 64, "instances": 2,
 *    "wait": 500, "precision": "auto", "draft": "small@2",
 *    "capture": {"percent": 1, "bytes": 104857600, "days": 7}} */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "host/quality.h"
#include "store/store.h"

#define POLICY_SETTING LIT("policy")

enum { POLICY_DRAFT = 2 * STORE_NAME_MAX + 2 };

struct policy {
    bool pin;            /* never evicted from memory */
    int priority;        /* enum ask_priority of asks that bring none */
    double weight;       /* share of the cores when several models want them; 1 */
    uint64_t batch;      /* most rows joined; 0: the server's */
    uint64_t queue;      /* most waiting; 0: the server's */
    uint64_t instances;  /* most runs at one time, of each version; 0: any */
    double wait;         /* most microseconds in wait of company; below 0: what pays */
    double capture;      /* fraction of requests whose inputs and outputs are kept; 0: none */
    uint64_t keep_bytes; /* of them in all */
    uint64_t keep_days;
    /* Of versions loaded from now on: */
    enum precision_choice precision; /* DEFAULT: the server's */
    char draft[POLICY_DRAFT];        /* as in loaded.h; "": what the version says, or the server */
};

void policy_default(struct policy *p);
MUST_USE enum code policy_parse(struct str json, struct policy *out, struct err *e);
/* One member as a command line writes it: "pin=yes", "priority=low", "weight=2", "capture=1%". */
MUST_USE enum code policy_set(struct policy *p, struct str text, struct err *e);
bool policy_is_default(const struct policy *p);
void policy_write(const struct policy *p, struct buf *b); /* only what differs from the default */
/* What another server's configuration says of a model; below 0: nothing. Becomes part of the
 * model's setting, which keeps its other members. */
struct policy_advice {
    int64_t batch;     /* 0: the model does not batch */
    int64_t instances; /* 0: any number */
    int64_t wait_us, queue;
    int priority; /* enum ask_priority, where `prioritized` */
    bool prioritized;
};
#define POLICY_NO_ADVICE                                                                           \
    { .batch = -1, .instances = -1, .wait_us = -1, .queue = -1 }
bool policy_advises(const struct policy_advice *a); /* anything */
MUST_USE enum code policy_keep(struct store *s, struct str model,
                               const struct policy_advice *advice, struct arena *a, struct err *e);
/* "high", "normal", "low" */
MUST_USE enum code priority_parse(struct str text, int *out, struct err *e);
const char *priority_name(int priority);
