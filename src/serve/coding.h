/* SPDX-License-Identifier: Apache-2.0 */
/* Content codings (RFC 9110 §8.4): gzip (RFC 1952) and deflate (RFC 1950; the raw form some clients
 * send is taken too); zstd (RFC 8878) of requests only. */
#pragma once

#include "base/buf.h"
#include "base/str.h"

enum coding { CODING_NONE, CODING_GZIP, CODING_DEFLATE, CODING_ZSTD, CODING_UNKNOWN };

enum coding coding_of(
    struct str header); /* of Content-Encoding: one coding; several or others: UNKNOWN */
/* The best coding an Accept-Encoding header allows; *only is true when it names no second one (q=0
 * not counted). */
enum coding coding_accepted(struct str header, bool *only);
const char *coding_name(enum coding c);

/* Appends the inflated bytes to out; TOO_LARGE when out's cap is reached, INVALID for damaged data.
 */
MUST_USE enum code coding_undo(enum coding c, struct span in, struct buf *out, struct err *e);
/* Appends the deflated parts as one stream. */
MUST_USE enum code coding_apply(enum coding c, const struct span *parts, int n_parts,
                                struct buf *out, struct err *e);
