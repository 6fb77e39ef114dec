/* SPDX-License-Identifier: Apache-2.0 */
/* API keys: `Authorization: Bearer KEY` against a file of keys. Only SHA-256 digests of the keys
 * stay in memory, and every comparison takes the same time whatever it finds. Immutable after
 * auth_open. */
#pragma once

#include "base/hash.h"
#include "net/http.h"

enum { AUTH_KEYS = 1024 };

struct auth {
    bool wanted; /* false: no key file, everything is allowed */
    size_t n;
    uint8_t (*digests)[SHA256_BYTES]; /* (n) owned */
};

/* One key a line; empty lines and lines beginning with '#' are skipped. file NULL: no keys are
 * asked for. */
MUST_USE enum code auth_open(struct auth *a, const char *file, struct err *e);
void auth_close(struct auth *a);
/* UNAUTHENTICATED when no key came, DENIED when it is not one of ours. */
MUST_USE enum code auth_check(const struct auth *a, const struct http_request *r, struct err *e);
