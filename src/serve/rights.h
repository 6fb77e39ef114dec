/* SPDX-License-Identifier: Apache-2.0 */
/* What an API key may do: the text the store keeps with it, JSON, all members optional but scopes:
 *
 *   {"scopes": ["predict"], "models": ["ocr", "text-*"], "rate": 100, "concurrency": 8,
 *    "priority": "low"} */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/str.h"

enum right_scope {
    SCOPE_PREDICT = 1 << 0, /* run models, look at them */
    SCOPE_READ = 1 << 1,    /* look at models and at the server: /metrics */
    SCOPE_ADMIN = 1 << 2,   /* everything, the admin API among it */
};
enum { RIGHTS_MODELS = 16, RIGHTS_NAME = 128 };

struct rights {
    unsigned scopes;
    size_t n_models;                             /* 0: all */
    char models[RIGHTS_MODELS][RIGHTS_NAME + 1]; /* "ocr", or "text-*" */
    double rate;                                 /* requests a second, 0: no limit */
    uint64_t concurrency;                        /* in flight at one time, 0: no limit */
    int priority;                                /* enum ask_priority: the highest it may ask for */
};

/* A fresh key, "sk-" and 48 hex digits: 192 bits, so that a plain hash is enough. */
enum { RIGHTS_KEY = 64 };
MUST_USE enum code rights_new_key(char text[RIGHTS_KEY], uint8_t digest[SHA256_BYTES],
                                  struct err *e);
MUST_USE enum code rights_parse(struct str json, struct rights *out, struct err *e);
void rights_write(const struct rights *r, struct buf *b);
MUST_USE enum code rights_scope(struct rights *r, struct str text, struct err *e); /* "predict" */
MUST_USE enum code rights_model(struct rights *r, struct str pattern, struct err *e);
bool rights_name(const struct rights *r, struct str model); /* one of its models */
