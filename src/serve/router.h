/* SPDX-License-Identifier: Apache-2.0 */
/* From method and path to a protocol's route. The table is built once from protocol/list.h and
 * never changes. */
#pragma once

#include "serve/protocol/protocol.h"

enum { ROUTER_MAX = 256, ROUTER_ALLOW = 48, ROUTER_ALIASES = 4 };

struct router_row {
    const struct protocol *protocol;
    const struct route *route;
    size_t literal; /* bytes of the path before its first capture */
};

struct router {
    struct router_row rows[ROUTER_MAX];
    size_t n;
    struct router_alias {    /* another path for what a route answers */
        struct str path, to; /* borrowed; .n == 0: free */
    } aliases[ROUTER_ALIASES];
};

struct router_match {
    const struct protocol *protocol;
    const struct route *route; /* NULL: no path matched */
    struct str model, version, label;
    bool method_ok;
    unsigned methods; /* all that the path answers: ROUTE_GET | ... */
};

MUST_USE enum code router_init(struct router *t, const struct protocol *const *protocols, size_t n,
                               struct err *e);
/* Path `path` (borrowed) is answered as `to` is, a path of the table without captures. */
MUST_USE enum code router_alias(struct router *t, const char *path, const char *to, struct err *e);
/* path is percent-decoded, without query; one '/' at its end is ignored. */
void router_find(const struct router *t, struct str method, struct str path,
                 struct router_match *out);
/* "GET, HEAD, OPTIONS" */
const char *router_allow(unsigned methods, char text[ROUTER_ALLOW]);
