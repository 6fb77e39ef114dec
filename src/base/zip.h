/* SPDX-License-Identifier: Apache-2.0 */
/* ZIP archives in place, for reading (PKWARE APPNOTE 6.3.10; no ZIP64, encryption or spanning).
 *
 * 1. Entries are found by the central directory; the local header is only used to find the data.
 * 2. A name that could leave a folder ("..", an absolute path, a backslash) fails the archive.
 * 3. zip_read inflates at most the size the directory states, itself under the caller's cap. */
#pragma once

#include "base/arena.h"

enum { ZIP_ENTRIES = 65535 };

struct zip { /* borrowed bytes */
    struct span bytes;
    size_t at;      /* of the next directory entry */
    size_t entries; /* left */
};

struct zip_entry {
    struct str name;
    size_t packed, size; /* bytes */
    unsigned method;     /* 0: stored, 8: deflated */
    uint32_t crc, local; /* local: where its local header lies */
};

bool zip_is(struct span bytes); /* by its first bytes */
MUST_USE enum code zip_open(struct span bytes, struct zip *out, struct err *e);
/* *more false: there are no further entries. */
MUST_USE enum code zip_next(struct zip *z, struct zip_entry *out, bool *more, struct err *e);
/* One whole entry; its bytes are in the arena, or in the archive when it is stored. */
MUST_USE enum code zip_read(const struct zip *z, const struct zip_entry *entry, size_t cap_bytes,
                            struct arena *a, struct span *out, struct err *e);
