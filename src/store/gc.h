/* SPDX-License-Identifier: Apache-2.0 */
/* Removing blobs that no version names. */
#pragma once

#include "base/buf.h"
#include "store/store.h"

#define GC_ANY_AGE INT64_MAX

/* Unlinks those of the listed blobs (SHA256_BYTES each) that no version names and that were not
 * written or touched after `limit_us` (wall clock), looking at both under the write lock. *out
 * counts what was removed. */
MUST_USE enum code gc_unlink(struct store *s, const struct buf *hashes, int64_t limit_us,
                             struct store_swept *out, struct err *e);
