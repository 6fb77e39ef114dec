/* SPDX-License-Identifier: Apache-2.0 */
/* Files: read, map, publish atomically. All take fault injection (open, read, write, fsync, rename,
 * mmap). */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"

/* Whole file into the arena; LIMIT when larger than cap_bytes. The text is NUL-terminated past its
 * end. */
MUST_USE enum code file_read(const char *path, size_t cap_bytes, struct arena *a, struct span *out,
                             struct err *e);

/* Publishes bytes under path: writes path's folder/.tmp-XXXX, fsync, rename over path, fsync of the
 * folder. After a crash at any moment path is either as before or complete. mode e.g. 0644. On
 * failure nothing is left behind. */
MUST_USE enum code file_publish(const char *path, struct span bytes, unsigned mode, struct err *e);

/* The same in pieces, for what does not fit in memory. */
struct file_draft {
    int fd; /* -1 when closed */
    char path[4096], final[4096];
};
MUST_USE enum code file_draft_open(struct file_draft *d, const char *path, unsigned mode,
                                   struct err *e);
MUST_USE enum code file_draft_write(struct file_draft *d, const void *bytes, size_t n,
                                    struct err *e);
/* fsync, rename, fsync folder; closes */
MUST_USE enum code file_draft_publish(struct file_draft *d, struct err *e);
/* closes and unlinks; safe after publish */
void file_draft_drop(struct file_draft *d);

/* like mkdir -p, mode 0755 */
MUST_USE enum code file_mkdirs(const char *path, struct err *e);
/* fsync of a directory */
MUST_USE enum code file_sync_folder(const char *path, struct err *e);
MUST_USE enum code file_unlink(const char *path, struct err *e); /* absent is OK */
MUST_USE enum code file_size(const char *path, uint64_t *bytes, struct err *e);
bool file_exists(const char *path);
/* Room for so many open files, as far as the process's hard limit goes; returns how many there may
 * be. For before there are other threads: a table of open files that grows under them makes the
 * thread that opened one too many wait for all processors (RCU), 10 to 30 ms each time it doubles.
 */
uint64_t file_room(uint64_t files);

/* Read-only shared map of a whole regular file (empty files map to n == 0). Reading past a later
 * truncation would raise SIGBUS: store objects are immutable, and import copies before it maps. */
struct map_file {
    struct span bytes; /* page aligned */
    uint64_t device, inode;
};
MUST_USE enum code map_file_open(struct map_file *m, const char *path, struct err *e);
/* fd stays the caller's */
MUST_USE enum code map_file_fd(struct map_file *m, int fd, const char *name, struct err *e);
void map_file_close(struct map_file *m); /* safe on a zeroed struct, idempotent */
