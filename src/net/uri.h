/* SPDX-License-Identifier: Apache-2.0 */
/* Request targets: RFC 3986 percent-encoding and the four forms of RFC 9112 §3.2. Pure functions
 * over text. */
#pragma once

#include "net/http.h"

struct uri_target {
    struct str authority; /* of the absolute form; .n == 0 otherwise */
    struct str
        path; /* still encoded; "*" for the asterisk form, "/" when the absolute form has none */
    struct str query; /* raw, without '?' */
};

/* NULL, or what is wrong with it. The authority form (CONNECT) is refused: this server is no proxy.
 */
const char *uri_split(struct str method, struct str target, struct uri_target *out);

/* Decodes %XX into `to`, which has room for text.n bytes; returns the length, or SIZE_MAX for a bad
 * escape or an encoded NUL. A path may hold no control character at all (a line feed in a name is
 * never honest); in the value of a form
 * (`form`, where '+' is a space) they are text like any other. */
size_t uri_decode(struct str text, bool form, char *to);

/* host[:port] as in a Host field: no user, no white space, no comma; may be empty. RFC 9110 §7.2 */
bool uri_is_host(struct str host);

/* The raw value of the first `name` of an x=1&y=2 query; false when it is not there. Names are
 * compared decoded. */
bool uri_query_find(struct str query, struct str name, struct str *value);

/* Path (decoded into the arena when it has to be) and query of r->target. NULL, or what is wrong
 * with it and the status to answer. */
const char *uri_take_target(struct http_request *r, struct arena *a, int *status);
