/* SPDX-License-Identifier: Apache-2.0 */
/* The outgoing side: one GET, by libcurl, into an open file. Blocks for as long as it takes.
 *
 * 1. Only http and https, only hosts on the list; every redirect is checked as the first address
 * was, and none leads from https to http.
 * 2. No more than `most` bytes are written; what stalls (under 1 KB/s for 30 s) is given up. */
#pragma once

#include "base/err.h"
#include "base/str.h"

struct client_get {
    struct str url;
    const char *hosts; /* "models.example,127.0.0.1:9000": without a port, all ports; "*": any */
    uint64_t most;     /* bytes */
    const volatile bool *cancel; /* set by another thread: stop; may be NULL */
};

/* INVALID: no usable address; DENIED: a host that is not on the list; UNAVAILABLE: it does not
 * answer, or not with 200; TOO_LARGE. *bytes: written to fd. */
MUST_USE enum code client_get(const struct client_get *g, int fd, uint64_t *bytes, struct err *e);
/* Whether `host` with `port` is on the list. */
bool client_may(const char *hosts, struct str host, struct str port);
