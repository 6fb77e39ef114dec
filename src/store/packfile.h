/* SPDX-License-Identifier: Apache-2.0 */
/* Packs as files, for those who look after the store: see packfile.c. */
#pragma once

#include "store/store.h"

#include <sys/stat.h>

enum { PACKFILE_NAME = 192, PACKFILE_TRAILER = 64 };

struct packfile {
    int folder_fd;
    const char *name; /* within folder_fd, and (path) within objects/ */
    const char *path;
    uint8_t piece[SHA256_BYTES];
    struct stat st;
};
/* Calls visit for every file in packs/ that is named as ours are. */
MUST_USE enum code packfile_each(struct store *s,
                                 enum code (*visit)(void *ctx, const struct packfile *f,
                                                    struct err *e),
                                 void *ctx, struct err *e);
/* Does the trailer say: `bytes` bytes with this checksum, under this path? crc NULL: not looked at.
 */
bool packfile_trailer_is(const uint8_t trailer[PACKFILE_TRAILER], const char *path, uint64_t bytes,
                         const uint32_t *crc);
