/* SPDX-License-Identifier: Apache-2.0 */
/* Mapped blobs: one read-only map per blob and process, shared by reference count.
 *
 * 1. The table knows a blob while somebody holds a reference; the last unref unmaps it.
 * 2. A map stays valid after gc unlinks the file. */
#pragma once

#include "base/hash.h"
#include "base/str.h"

#include <pthread.h>

struct store;

struct blob { /* immutable after blob_ref returns it, but for refs and next: behind the table's lock
               */
    uint8_t hash[SHA256_BYTES];
    struct span bytes; /* page aligned */
    uint64_t refs;
    struct blob *next;
};

struct blob_table {
    pthread_mutex_t lock;
    struct blob **buckets; /* owned; a power of two, NULL before the first blob */
    size_t n, n_buckets;
};

void blob_table_init(struct blob_table *t);
void blob_table_deinit(struct blob_table *t); /* every blob unref'd */

/* The blob of this hash, mapped. NOT_FOUND when its file is gone, CORRUPT when it has another size.
 */
MUST_USE enum code blob_ref(struct store *s, const uint8_t hash[SHA256_BYTES], uint64_t size,
                            struct blob **out, struct err *e);
/* The same of a file of another name (within objects/), known in the table by a key of its own;
 * size may be BLOB_ANY_SIZE. */
#define BLOB_ANY_SIZE UINT64_MAX
MUST_USE enum code blob_ref_file(struct store *s, const uint8_t key[SHA256_BYTES], const char *name,
                                 uint64_t size, struct blob **out, struct err *e);
void blob_unref(struct store *s, struct blob *b);
