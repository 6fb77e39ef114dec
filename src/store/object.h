/* SPDX-License-Identifier: Apache-2.0 */
/* Blobs as files: objects/ab/cdef..., written once, never changed.
 *
 * A blob becomes visible by a rename and is complete then: its draft was written and fsync'd
 * before. Drafts are made OBJECT_BATCH at a time, all written before the first fsync, and fsync'd
 * side by side, so that the file system commits once for many.
 *
 *   put      draft written, write-back begun
 *   flush    each draft fsync'd, then renamed: visible
 *   settle   the folders fsync'd: will stay visible */
#pragma once

#include "store/layout.h"

struct store;

enum {
    OBJECT_NAME = 2 + 1 + 62 + 1,
    OBJECT_BATCH = 48,
    OBJECT_BATCH_BYTES = 256 << 20,
    OBJECT_DRAFT = 40,
    OBJECT_BALLAST_BYTES = 64 << 10
};

void object_name(const uint8_t hash[SHA256_BYTES],
                 char name[OBJECT_NAME]);           /* "ab/cdef...", within objects/ */
int object_open(struct store *s, const char *name); /* for reading; -1 and errno */

/* Is a regular file of this size there? A file of another size counts as absent: put replaces it.
 */
MUST_USE enum code object_present(struct store *s, const uint8_t hash[SHA256_BYTES], uint64_t size,
                                  bool *present, struct err *e);
/* Makes the blob young again, so that gc's grace time protects it. Best effort: see README,
 * invariant 4. */
void object_touch(struct store *s, const uint8_t hash[SHA256_BYTES]);
MUST_USE enum code object_unlink(struct store *s, const char *name,
                                 struct err *e); /* absent is OK */

/* The name of a new draft within drafts/: "PREFIX-" and 32 random digits. */
MUST_USE enum code object_draft_name(struct store *s, const char *prefix, char name[OBJECT_DRAFT],
                                     struct err *e);

/* A draft of nothing but room, so that taking back what a failed add wrote has something to work
 * with on a full disk: dropped first, it lets the database write the few pages it needs. */
struct object_ballast {
    char name[OBJECT_DRAFT]; /* "": none */
};
MUST_USE enum code object_ballast_take(struct store *s, struct object_ballast *b, struct err *e);
void object_ballast_drop(struct store *s, struct object_ballast *b); /* idempotent */

/* A file outside objects/: its extents written as a draft, fsync'd, renamed to `name` (within
 * objects/; its folder is there). A failure leaves nothing. */
MUST_USE enum code object_publish(struct store *s, const char *prefix,
                                  const struct layout_blob *blob, const char *name, struct err *e);

struct object_batch {
    struct store *store; /* borrowed */
    struct object_draft {
        int fd;
        char name[OBJECT_DRAFT];
        uint8_t hash[SHA256_BYTES];
    } drafts[OBJECT_BATCH];
    size_t n;
    uint64_t bytes;
    uint8_t unsettled[256 / 8]; /* folders objects/00 .. objects/ff with a name that a power cut
                                   could still undo */
};

void object_batch_init(struct object_batch *b, struct store *s);
/* told: called after each write with the bytes it wrote; may be NULL. */
MUST_USE enum code object_batch_put(struct object_batch *b, const struct layout_blob *blob,
                                    void (*told)(void *ctx, uint64_t bytes), void *ctx,
                                    struct err *e);
/* This blob is there, but nothing says that its name is on disk yet. */
void object_batch_unsettle(struct object_batch *b, const uint8_t hash[SHA256_BYTES]);
/* All that was put is visible. A draft that gc swept away meanwhile is left out silently: ask
 * object_present. */
MUST_USE enum code object_batch_flush(struct object_batch *b, struct err *e);
MUST_USE enum code object_batch_settle(struct object_batch *b,
                                       struct err *e); /* ... and will stay */
void object_batch_drop(
    struct object_batch *b); /* drafts not yet visible are unlinked; safe after flush */
