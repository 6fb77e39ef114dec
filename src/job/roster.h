/* SPDX-License-Identifier: Apache-2.0 */
/* What other servers' configuration files say is to be served, as versions and aliases of the
 * store:
 *
 *   TensorFlow Serving's model_config_list   names, base paths, version policies, labels
 *   Triton's config.pbtxt                     one model of a model repository: batch size, versions
 *   TensorFlow Serving's batching parameters  sizes of batches and queues
 *
 * 1. A base path's numbered folders are imported in rising order, once: what the store has already
 * is found by its bytes. Their numbers are the folders' in the file, ours in the store.
 * 2. Without a base path on disk the numbers are the store's.
 * 3. Labels become aliases. */
#pragma once

#include "base/textproto.h"
#include "store/store.h"

enum { ROSTER_MODELS = 1024, ROSTER_VERSIONS = 64, ROSTER_LABELS = 64 };

enum roster_policy { ROSTER_LATEST, ROSTER_ALL, ROSTER_SPECIFIC };

struct roster_label {
    struct str name;
    int64_t version;
};

struct roster_model {
    struct str name, base_path;
    enum roster_policy policy;
    int64_t latest; /* how many, of LATEST */
    int64_t versions[ROSTER_VERSIONS];
    size_t n_versions;
    struct roster_label labels[ROSTER_LABELS];
    size_t n_labels;
    int64_t batch; /* Triton's max_batch_size; -1: not said */
};

struct roster {
    struct roster_model *models; /* (n) in the arena */
    size_t n;
};

/* A model_config_list; INVALID with line and column. */
MUST_USE enum code roster_read(struct str text, struct arena *a, struct roster *out, struct err *e);
/* config.pbtxt; the name is the folder's when the file has none. */
MUST_USE enum code roster_read_triton(struct str text, struct arena *a, struct roster_model *out,
                                      struct err *e);
/* Every folder of a model repository. */
MUST_USE enum code roster_repository(const char *folder, struct arena *a, struct roster *out,
                                     struct err *e);

/* Imports, sets aliases and policies; *refs are what `serve` is to serve: "m@3". */
MUST_USE enum code roster_apply(struct store *s, const struct roster *r, struct arena *a,
                                struct str **refs, size_t *n, struct err *e);

struct roster_batching {
    uint64_t batch, queue; /* 0: not said */
};
MUST_USE enum code roster_read_batching(struct str text, struct arena *a,
                                        struct roster_batching *out, struct err *e);
