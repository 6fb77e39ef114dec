/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of a version: written in one transaction, removed in one. */
#pragma once

#include "store/in.h"
#include "store/layout.h"

struct record { /* all borrowed */
    const struct store_new *n;
    const struct layout *layout;
    const uint32_t *slots; /* (n_slots) index of the blob that stands for each slot */
    size_t n_slots;
    const uint8_t (*file_hashes)[SHA256_BYTES]; /* (n_sources) */
    const uint8_t *digest;                      /* (SHA256_BYTES) of the version */
};

enum record_outcome {
    RECORD_ADDED = 1,
    RECORD_EXISTED, /* the newest version has the same files and parts; nothing was written */
    RECORD_MISSING, /* a blob is not there (any more); nothing was written */
};

MUST_USE enum code record_add(struct store *s, const struct record *r, enum record_outcome *outcome,
                              uint64_t *version, struct err *e);
MUST_USE enum code record_blob_named(struct store *s, const uint8_t hash[SHA256_BYTES], bool *named,
                                     struct err *e);
MUST_USE enum code record_parent(struct store *s, const struct store_new *n,
                                 struct err *e); /* NOT_FOUND */
