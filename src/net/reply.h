/* SPDX-License-Identifier: Apache-2.0 */
/* The head of an HTTP/1.1 response as bytes; RFC 9112 §4, RFC 9110 §6.6.1, §8.6. Pure but for the
 * clock of Date.
 *
 * 1. Every response that may have one has a Content-Length, or its end is told by its framing.
 * 2. Nothing the caller gives can start a line of its own: reply_is_clean must hold before
 * reply_head is called. */
#pragma once

#include "net/http.h"

/* "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n", formatted again only when the second changed. */
struct reply_date {
    uint64_t second;
    char text[40];
    int n;
};
void reply_date_update(struct reply_date *d, uint64_t wall_us);

/* Field names are tokens and not the ones the server writes, values hold no control characters, the
 * status is a final one. */
bool reply_is_clean(const struct http_response *r);

enum reply_connection { REPLY_KEEP, REPLY_KEEP_1_0, REPLY_CLOSE };
enum reply_framing {
    REPLY_SIZED,   /* Content-Length: the sum of the parts */
    REPLY_CHUNKED, /* RFC 9112 §7.1 */
    REPLY_TO_END   /* until the connection ends; HTTP/1.0 */
};

/* Writes into `to` as far as it fits; returns the length of the whole. */
size_t reply_head(char *to, size_t room, const struct http_response *r,
                  enum reply_connection connection, enum reply_framing framing,
                  const struct reply_date *date);

size_t reply_length(const struct http_response *r); /* bytes of its body */
bool reply_has_body(int status);                    /* 204 and 304 have none */

/* {"error":"..."} with `text` escaped, for when nobody else writes one. */
enum { REPLY_ERROR_BYTES = 1024 };
size_t reply_error_json(const char *text, char to[REPLY_ERROR_BYTES]);
