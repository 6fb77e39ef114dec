/* SPDX-License-Identifier: Apache-2.0 */
/* API keys: `Authorization: Bearer KEY`. Keys of the store (`slipway key`) have scopes, models and
 * quotas and are followed while the server runs; those of a file (--key-file) may do everything.
 *
 * 1. Only SHA-256 digests are in memory. They are looked up by binary search: how far a guess's
 * digest agrees tells nothing about the key.
 * 2. A server that ever saw a key asks for one until it ends; a store whose keys were all revoked
 * still does.
 * 3. Keys are reference counted: a request holds one from AUTH to RECORD. */
#pragma once

#include "base/hash.h"
#include "net/http.h"
#include "serve/rights.h"
#include "store/store.h"

#include <pthread.h>
#include <stdatomic.h>

enum { AUTH_KEYS = 4096 };

struct auth_key {
    _Atomic long refs;
    char name[STORE_NAME_MAX + 1];
    uint8_t digest[SHA256_BYTES];
    struct rights rights;
    _Atomic size_t in_flight;
    _Atomic uint64_t next_ns; /* when its quota is used up to: see auth_enter */
    _Atomic uint64_t requests;
};

struct auth {
    _Atomic bool wanted;      /* false: no key was ever made, everything is allowed */
    pthread_rwlock_t lock;    /* guards what follows */
    size_t n, n_file;         /* keys; of them from the file, the first ones of `own` */
    struct auth_key **sorted; /* (n) by digest; references */
    struct auth_key **own;    /* (n_file) the file's; references */
};

/* One key a line; empty lines and lines beginning with '#' are skipped. file NULL: none. */
MUST_USE enum code auth_open(struct auth *a, const char *file, struct err *e);
/* The keys the store has now. Any thread. */
MUST_USE enum code auth_follow(struct auth *a, struct store *s, struct err *e);
void auth_close(struct auth *a);
/* UNAUTHENTICATED when no key came, DENIED when it is not one of ours. *out: a reference, or NULL
 * when no keys are asked for. */
MUST_USE enum code auth_check(struct auth *a, const struct http_request *r, struct auth_key **out,
                              struct err *e);
/* DENIED: k (NULL: anybody) may not do this, or not with this model (.n == 0: with any). */
MUST_USE enum code auth_allows(const struct auth_key *k, unsigned scope, struct str model,
                               struct err *e);
/* Quotas. OVERLOAD: *retry_ns says when to come again, nothing was taken. */
MUST_USE enum code auth_enter(struct auth_key *k, uint64_t now_ns, uint64_t *retry_ns,
                              struct err *e);
void auth_leave(struct auth_key *k);
void auth_unref(struct auth_key *k); /* NULL allowed */
