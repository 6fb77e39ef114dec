/* SPDX-License-Identifier: Apache-2.0 */
/* Packs as files, for those who look after the store: see pack.c. */
#pragma once

#include "store/store.h"

#include <sys/stat.h>

enum { PACK_NAME = 192, PACK_TRAILER = 64 };

struct pack_file {
    int folder_fd;
    const char *name; /* within folder_fd, and (path) within objects/ */
    const char *path;
    uint8_t piece[SHA256_BYTES];
    struct stat st;
};
/* Calls visit for every file in packs/ that is named as ours are. */
MUST_USE enum code pack_each(struct store *s,
                             enum code (*visit)(void *ctx, const struct pack_file *f,
                                                struct err *e),
                             void *ctx, struct err *e);
/* Does the trailer say: `bytes` bytes with this checksum, under this path? crc NULL: not looked at.
 */
bool pack_trailer_is(const uint8_t trailer[PACK_TRAILER], const char *path, uint64_t bytes,
                     const uint32_t *crc);
