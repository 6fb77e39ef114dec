/* SPDX-License-Identifier: Apache-2.0 */
/* Shared memory that clients on this machine registered (Triton's system shared memory extension):
 * named windows into POSIX shared memory objects.
 *
 * 1. Nothing is mapped: bytes are copied by pread and pwrite. A client that cuts its object short
 * under a request gets an error; through a map it would end the server (SIGBUS).
 * 2. Any thread; a region that is unregistered meanwhile stays until its last copy ended. */
#pragma once

#include "base/arena.h"

enum { REGIONS_MAX = 256 };

struct regions; /* opaque */

struct region_info { /* strings in the arena given */
    struct str name, key;
    uint64_t offset, bytes;
};

MUST_USE enum code regions_open(struct regions **out, struct err *e);
void regions_close(struct regions *all); /* NULL allowed */

/* key: "/name" of shm_open(3). EXISTS for a name that is taken. */
MUST_USE enum code region_register(struct regions *all, struct str name, struct str key,
                                   uint64_t offset, uint64_t bytes, struct err *e);
/* .n == 0: all of them. An unknown one is no error, as in Triton. */
void region_unregister(struct regions *all, struct str name);
/* name.n == 0: all; else NOT_FOUND when there is none of that name. */
MUST_USE enum code region_list(struct regions *all, struct str name, struct arena *a,
                               struct region_info **out, size_t *n, struct err *e);

/* n bytes from `offset` of the region. INVALID when they are not all inside it. */
MUST_USE enum code region_read(struct regions *all, struct str name, uint64_t offset, void *to,
                               size_t n, struct err *e);
MUST_USE enum code region_write(struct regions *all, struct str name, uint64_t offset,
                                struct span from, struct err *e);
