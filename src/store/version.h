/* SPDX-License-Identifier: Apache-2.0 */
/* A version's tables as read from the database: checked, so that readers need not look twice. */
#pragma once

#include "store/in.h"

struct version_file {
    struct str name;
    uint64_t size;
    uint8_t hash[SHA256_BYTES];
    size_t first_segment, n_segments; /* in tables.segments */
};

struct version_segment {
    uint32_t file, slot;
    uint64_t offset, length; /* in the file */
    uint64_t at;             /* in the blob; at + length <= its size */
};

struct version_slot {
    uint8_t hash[SHA256_BYTES];
    uint64_t size; /* > 0 */
};

struct version_part {
    struct str name;
    int64_t slot; /* -1: empty */
};

struct version_tables { /* all in one arena */
    struct version_file *files;
    struct version_segment *segments; /* by file, then offset; each file is covered exactly */
    struct version_slot *slots;
    struct version_part *parts;
    size_t n_files, n_segments, n_slots, n_parts;
};

/* Within a transaction. NOT_FOUND; CORRUPT when the rows do not fit together. */
MUST_USE enum code version_read(struct db *d, struct str model, uint64_t number, struct arena *a,
                                struct version_tables *out, struct err *e);

/* An open version's tables and the bytes of one of its segments, for export. */
const struct version_tables *version_tables(const struct store_version *v);
struct span version_segment_bytes(const struct store_version *v, size_t segment);
