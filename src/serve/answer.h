/* SPDX-License-Identifier: Apache-2.0 */
/* Writing r->response: bodies, headers, errors. The rim where codes become HTTP statuses. */
#pragma once

#include "serve/request.h"

enum { ANSWER_BYTES = 1 << 30 }; /* most bytes of one answer's text */
#define ANSWER_JSON LIT("application/json")

/* A buf that ends with the request, with room for `reserve` bytes; NULL (and *e) when out of
 * memory. */
struct buf *answer_buf(struct request *r, size_t reserve, struct err *e);
/* Appends the buf's bytes, or these bytes, to the body (HTTP_PARTS at most). The buf must not
 * change afterwards. */
MUST_USE enum code answer_part(struct request *r, const struct buf *b, struct err *e);
void answer_span(struct request *r, struct span bytes);
/* The same before all others. */
void answer_front(struct request *r, struct span bytes);
void answer_type(struct request *r, int status, struct str content_type);
void answer_header(struct request *r, const char *name,
                   struct str value); /* value: in the arena or static */

/* One call for most pages: a JSON writer over an answer_buf, then answer_json_end. */
struct answer_json {
    struct buf *b;
    struct json_out w;
};
MUST_USE enum code answer_json(struct request *r, struct answer_json *j, struct err *e);
MUST_USE enum code answer_json_end(struct request *r, struct answer_json *j,
                                   struct err *e); /* 200, application/json */

/* Replaces whatever was written by the error's own answer. */
void answer_error(struct request *r, const struct err *e);
/* Its body alone, in the arena; .n == 0 when there is no room even for that. */
struct str answer_error_body(const struct request *r, struct arena *a, const struct err *e);
/* Content-Encoding when the client asks for one and it is worth it. Long answers: on a side thread.
 */
void answer_compress(struct request *r);
size_t answer_bytes(const struct request *r); /* of the body */
