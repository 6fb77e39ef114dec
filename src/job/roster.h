/* SPDX-License-Identifier: Apache-2.0 */
/* What other servers' configuration files say is to be served, as versions and aliases of the
 * store:
 *
 *   TensorFlow Serving's model_config_list   names, base paths, version policies, labels
 *   Triton's config.pbtxt                     one model of a model repository (roster_triton.c)
 *   TensorFlow Serving's batching parameters  sizes of batches and queues
 *
 * 1. A base path's numbered folders are imported in rising order, once, and again when what is said
 * beside their files changed: warm-up, guise. What the store has already is found by its bytes.
 * Their numbers are the folders' in the file, ours in the store.
 * 2. Without a base path on disk the numbers are the store's.
 * 3. Labels become aliases. */
#pragma once

#include "base/textproto.h"
#include "host/policy.h"

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
    struct policy_advice advice; /* of Triton's configuration, as the next two */
    struct str guise;            /* host/guise.h; .n == 0: none */
    struct span warmup;          /* a tape: its model_warmup; .n == 0: none */
};

struct roster {
    struct roster_model *models; /* (n) in the arena */
    size_t n;
    bool keep_going; /* a version that cannot be imported is logged and left out */
    size_t left_out; /* filled by roster_apply */
};

/* A model_config_list; INVALID with line and column. */
MUST_USE enum code roster_read(struct str text, struct arena *a, struct roster *out, struct err *e);
/* config.pbtxt of the model in `folder`; the name is the folder's when the file has none. What is
 * neither followed nor refused is logged by name. */
MUST_USE enum code roster_read_triton(struct str text, const char *folder, struct arena *a,
                                      struct roster_model *out, struct err *e);
/* A version policy of either server, the message just entered. */
MUST_USE enum code roster_take_policy(struct textproto *t, struct roster_model *m, struct err *e);
/* TensorFlow Serving's ModelServerConfig as protobuf has it, strings borrowed from the bytes. */
MUST_USE enum code roster_read_message(struct span bytes, struct arena *a, struct roster *out,
                                       struct err *e);
/* A copy that needs nothing but `a`. */
MUST_USE enum code roster_copy(const struct roster *r, struct arena *a, struct roster *out,
                               struct err *e);
/* For whoever reads one: a model as it is when nothing is said of it; what its lists take;
 * r->models[r->n], complete, is counted unless it is no model or listed before. */
struct roster_model roster_model_default(void);
MUST_USE enum code roster_add_version(struct roster_model *m, int64_t version, struct err *e);
MUST_USE enum code roster_add_label(struct roster_model *m, struct roster_label label,
                                    struct err *e);
MUST_USE enum code roster_add_model(struct roster *r, struct err *e);

/* Base paths become real ones; DENIED when one is not a folder within the (n) roots. The same
 * words for what is absent and what is elsewhere: a client learns nothing of other folders. */
MUST_USE enum code roster_confine(struct roster *r, const struct str *roots, size_t n,
                                  struct arena *a, struct err *e);
/* What lies in the base paths' numbered folders, and Triton's configuration beside them: names,
 * sizes and times, as one number. */
uint64_t roster_fingerprint(const struct roster *r);
bool roster_has_folders(const struct roster *r);
/* Every folder of a model repository. */
MUST_USE enum code roster_repository(const char *folder, struct arena *a, struct roster *out,
                                     struct err *e);

/* Imports, sets aliases and policies; *refs are what `serve` is to serve: "m@3". */
MUST_USE enum code roster_apply(struct store *s, struct roster *r, struct arena *a,
                                struct str **refs, size_t *n, struct err *e);

enum { ROSTER_SIZES = 64 };
struct roster_batching {
    uint64_t batch, queue;        /* 0: not said */
    uint64_t sizes[ROSTER_SIZES]; /* rising; the last one is batch */
    size_t n_sizes;               /* 0: any */
    bool pad;
};
MUST_USE enum code roster_read_batching(struct str text, struct arena *a,
                                        struct roster_batching *out, struct err *e);
