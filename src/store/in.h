/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of this floor share and nobody else may see.
 *
 * 1. Two connections: readers never wait for a writer, not even for one of this process that is
 *    itself waiting for another process. `writer` is opened by the first write.
 * 2. objects_fd is open as long as the store; drafts_fd from the first write on. */
#pragma once

#include "store/blob.h"
#include "store/sqlite.h"
#include "store/store.h"

struct store {
    char *folder; /* owned: as the user wrote it, for messages */
    char *root;   /* owned: absolute, for opening files later */
    int objects_fd, drafts_fd;
    struct db reader, writer;
    pthread_mutex_t write_lock; /* guards the opening of writer and drafts_fd */
    struct blob_table blobs;
};

/* --- store.c --- */
/* Opens what writing needs; DENIED on a store that this user may only read. */
MUST_USE enum code store_writable(struct store *s, struct err *e);
/* A write transaction on s->writer; store_end commits when code is OK and returns what became of
 * it. */
MUST_USE enum code store_begin(struct store *s, struct err *e);
enum code store_end(struct store *s, enum code code, struct err *e);
/* The same for reading one moment of s->reader. */
MUST_USE enum code store_look(struct store *s, struct err *e);
enum code store_seen(struct store *s, enum code code, struct err *e);

/* --- catalog.c: rows by their names, on either connection, within a transaction --- */
MUST_USE enum code catalog_model(struct db *d, struct str model, int64_t *model_id,
                                 struct err *e); /* NOT_FOUND */
MUST_USE enum code catalog_version(struct db *d, struct str model, int64_t model_id,
                                   uint64_t number, int64_t *version_id,
                                   struct err *e); /* NOT_FOUND */
struct tuples;
/* The rows of one model by `one` (?1: its id), or of all models (model.n == 0) by `all`. */
MUST_USE enum code catalog_rows(struct db *d, struct str model, const char *one, const char *all,
                                struct tuples *rows, struct err *e);

/* --- history.c: model_id 0: of the store --- */
MUST_USE enum code history_add(struct db *d, int64_t model_id, const struct store_event *event,
                               struct err *e);
