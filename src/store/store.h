/* SPDX-License-Identifier: Apache-2.0 */
/* The store: every version of every model, content-addressed, on a local folder with SQLite for
 * names.
 *
 *   FOLDER/store.db           SQLite, WAL: models, versions, files, segments, aliases, events
 *   FOLDER/objects/ab/cdef... immutable blobs named by their SHA-256, mode 0444
 *   FOLDER/drafts/            blobs being written
 *
 * (docs/formats/store.md has every detail; schema/ the tables.)
 *
 * A version is an ordered list of files; a file is an ordered list of segments of blobs; joined
 * they give the original bytes back exactly. The caller says which byte ranges ("pieces") are worth
 * a blob of their own (tensors): two versions that share such bytes share the blob on disk and,
 * mapped, in memory. Pieces smaller than STORE_PIECE_MIN bytes and all that lies between pieces go
 * into one packed blob per version, small pieces 64-byte aligned. Beside the files a version has
 * named parts (small blobs: the graph in our own form, signature, preprocessing): the store does
 * not read them.
 *
 * 1. A version is visible only after all its bytes are on disk: blobs (write, fsync, rename, fsync
 *    folder), then one database transaction. A crash at any moment leaves the store before or
 *    after; leftovers are drafts, and blobs that no version names, which gc removes.
 * 2. Blobs are never changed. A blob is removed only while no version names it, by gc (older than
 *    the grace time) or by the add that made it and failed; an add in another process that counts
 *    on it looks again before it commits, and writes it again.
 * 3. Versions are numbered from 1 per model and never reused.
 * 4. Any number of processes may use one store; writers wait for each other (busy time-out),
 *    readers never block.
 * 5. Thread-safe: one connection for reading and one for writing, each behind its own lock. Mapped
 *    blobs are shared by reference count. */
#pragma once

#include "base/arena.h"
#include "base/hash.h"
#include "base/str.h"

enum { STORE_PIECE_MIN = 4096, STORE_NAME_MAX = 128, STORE_SCHEMA = 2 };

struct store; /* opaque, owned by store_open's caller */

/* Creates the folder and schema when absent (create = true), else NOT_FOUND. An older schema is
 * moved on, a newer one is UNSUPPORTED. No write access: read-only use works, writes give DENIED.
 */
MUST_USE enum code store_open(const char *folder, bool create, struct store **out, struct err *e);
void store_close(struct store *s); /* NULL allowed; every blob must have been unref'd */
const char *store_folder(const struct store *s);
/* A message of the store's for people who are not to know where it lies: "the store" for its
 * folder. Never longer than before. */
void store_hide(const struct store *s, char *text);

/* --- adding --- */
struct store_piece {
    uint64_t offset, length; /* within one source file; sorted, disjoint */
};

struct store_source {
    struct str name; /* "model.onnx", "data/w.bin": relative, without "..", unique in the version */
    struct span bytes; /* borrowed, usually a map */
    const struct store_piece *pieces;
    size_t n_pieces;
};

struct store_part {
    struct str name; /* "graph", "signature", "preprocess" */
    struct span bytes;
};

struct store_new {
    struct str model;  /* [A-Za-z0-9][A-Za-z0-9._-]*, at most STORE_NAME_MAX */
    struct str format; /* "onnx" */
    struct str origin; /* path or URL as the user gave it, free text */
    uint64_t parent;   /* version number of the same model it was made from, 0: none */
    const struct store_source *sources;
    size_t n_sources;
    const struct store_part *parts;
    size_t n_parts;
    void (*progress)(void *ctx, uint64_t done_bytes, uint64_t total_bytes); /* may be NULL */
    void *progress_ctx;
};

struct store_added {
    uint64_t version;
    /* SHA-256 over the sorted (name, SHA-256 of the whole file) pairs: the version's identity */
    char digest[SHA256_HEX + 1];
    uint64_t new_bytes; /* written; the rest was shared */
    bool existed;       /* the newest version has the same digest and parts: nothing was added */
};
MUST_USE enum code store_add(struct store *s, const struct store_new *n, struct store_added *out,
                             struct err *e);

/* --- names --- */
/* MODEL, MODEL@3 or MODEL@alias. No selector: the newest version ("prod" is chosen by the caller,
 * not here). */
struct store_ref {
    struct str model;
    uint64_t version; /* 0: by alias or newest */
    struct str alias; /* .n == 0: none */
};
MUST_USE enum code store_ref_parse(struct str text, struct store_ref *out, struct err *e);

struct store_info { /* strings live in the arena given */
    struct str model, format, origin, digest;
    uint64_t version, parent;
    uint64_t created_us; /* wall clock */
    uint64_t size_bytes; /* of the original files */
    uint64_t own_bytes;  /* of blobs that no other version shares */
    struct str *aliases;
    size_t n_aliases;
};
MUST_USE enum code store_resolve(struct store *s, const struct store_ref *r, struct arena *a,
                                 struct store_info *out, struct err *e);
/* All versions, newest first within a model, models by name; of one model when model.n > 0
 * (NOT_FOUND when absent). */
MUST_USE enum code store_list(struct store *s, struct str model, struct arena *a,
                              struct store_info **out, size_t *n, struct err *e);

struct store_alias {
    struct str model, name;
    uint64_t version, previous; /* previous: where it pointed before, 0: nowhere */
    uint64_t moved_us;
};
MUST_USE enum code store_alias_set(struct store *s, struct str model, struct str alias,
                                   uint64_t version, struct err *e);
MUST_USE enum code store_alias_drop(struct store *s, struct str model, struct str alias,
                                    struct err *e);
/* Back to where the alias pointed before; *version says where. NOT_FOUND when there is nothing to
 * go back to. */
MUST_USE enum code store_alias_rollback(struct store *s, struct str model, struct str alias,
                                        uint64_t *version, struct err *e);
/* By model and name; of every model when model.n == 0. */
MUST_USE enum code store_aliases(struct store *s, struct str model, struct arena *a,
                                 struct store_alias **out, size_t *n, struct err *e);

/* History, newest first: added, removed, alias moved, rolled back, settings and keys changed. */
struct store_event {
    uint64_t at_us, version, previous;
    struct str what; /* "add" "remove" "alias" "rollback" "drop-alias" "key-add" "key-revoke", or a
                        setting's name */
    struct str alias;
    struct str who, note; /* who: as signed below; note: a setting's value, a reason */
};
/* Signs the changes that this thread makes from now on: `who` and `note` go into their events, cut
 * to a sane length. A thread that never signed, or signs with nothing, leaves them empty. */
void store_sign(struct str who, struct str note);
/* model.n == 0: of the store as a whole (keys). */
MUST_USE enum code store_log(struct store *s, struct str model, struct arena *a,
                             struct store_event **out, size_t *n, struct err *e);

/* --- settings: what is said about a model beside its versions. Text the store does not read --- */
enum { STORE_SETTING_MAX = 64 << 10 };
struct store_setting {
    struct str model, name, value;
    uint64_t changed_us;
};
/* value.n == 0 takes it away (NOT_FOUND when there is none). No event when nothing changes. */
MUST_USE enum code store_setting_put(struct store *s, struct str model, struct str name,
                                     struct str value, struct err *e);
/* By model and name; of every model when model.n == 0. */
MUST_USE enum code store_settings(struct store *s, struct str model, struct arena *a,
                                  struct store_setting **out, size_t *n, struct err *e);

/* --- API keys: hashes only --- */
struct store_key {
    struct str name, rights; /* rights: text the store does not read */
    uint8_t digest[SHA256_BYTES];
    uint64_t created_us, revoked_us; /* revoked 0: valid */
};
MUST_USE enum code store_key_add(struct store *s, const struct store_key *k,
                                 struct err *e); /* EXISTS */
MUST_USE enum code store_key_revoke(struct store *s, struct str name, struct err *e);
/* By name, revoked ones included. */
MUST_USE enum code store_keys(struct store *s, struct arena *a, struct store_key **out, size_t *n,
                              struct err *e);

/* IN_USE while an alias names it. */
MUST_USE enum code store_remove(struct store *s, struct str model, uint64_t version, struct err *e);

/* Changes whenever any process commits a change; cheap enough to poll every 100 ms. */
MUST_USE enum code store_generation(struct store *s, uint64_t *out, struct err *e);

/* --- reading a version --- */
struct store_version; /* opaque; holds references to mapped blobs; shared, reference counted */
MUST_USE enum code store_version_open(struct store *s, struct str model, uint64_t version,
                                      struct store_version **out, struct err *e);
struct store_version *store_version_ref(struct store_version *v);
void store_version_unref(struct store_version *v); /* unmaps blobs nobody else holds */
size_t store_version_files(const struct store_version *v);
struct str store_version_file_name(const struct store_version *v, size_t file);
uint64_t store_version_file_size(const struct store_version *v, size_t file);
/* The bytes [offset, offset + length) of a file, in place when they lie within one segment (pieces
 * always do), INVALID otherwise. Borrowed from the version. */
MUST_USE enum code store_version_bytes(struct store_version *v, size_t file, uint64_t offset,
                                       uint64_t length, struct span *out, struct err *e);
/* A named part; false or NOT_FOUND when absent. Borrowed from the version. */
bool store_version_find_part(const struct store_version *v, struct str name, struct span *out);
MUST_USE enum code store_version_part(struct store_version *v, const char *name, struct span *out,
                                      struct err *e);
uint64_t store_version_mapped_bytes(const struct store_version *v);

/* The piece that is exactly these bytes of an open version; false: they are part of another blob.
 */
bool store_version_piece(const struct store_version *v, struct span bytes,
                         uint8_t hash[SHA256_BYTES]);
struct store_pack;
/* What names packs of the version as a whole: fills piece and packing. false: it has no bytes. */
bool store_version_whole(const struct store_version *v, struct store_pack *p);
/* The pages of its blobs need not stay resident; they come back when they are read. */
void store_version_release(const struct store_version *v);

/* --- packs: a piece as some kernel reads it, kept so that a start only maps it. A cache: what is
 * lost is made again (packfile.c) --- */
struct store_pack {
    uint8_t piece[SHA256_BYTES];
    struct str layout;   /* [a-z0-9-]+ */
    struct str revision; /* [a-z0-9-_]+; a piece keeps one of a layout */
    uint64_t packing;    /* whatever else tells packs of a piece apart */
};
struct blob;
/* Mapped read-only, shared within the process and between processes. NOT_FOUND when there is none.
 * bytes: that many, or STORE_PACK_ANY. */
#define STORE_PACK_ANY SIZE_MAX
MUST_USE enum code store_pack_ref(struct store *s, const struct store_pack *p, size_t bytes,
                                  struct blob **out, struct span *packed, struct err *e);
void store_pack_unref(struct store *s, struct blob *b);
MUST_USE enum code store_pack_put(struct store *s, const struct store_pack *p, struct span bytes,
                                  struct err *e);

/* Writes the original files into a folder (or, when the version has one file, to `path` if it is
 * not a folder). */
MUST_USE enum code store_export(struct store *s, struct str model, uint64_t version,
                                const char *path, struct err *e);

/* --- upkeep --- */
struct store_verdict {
    uint64_t blobs, bytes, versions; /* checked */
    uint64_t packs, bad_packs;       /* checked; damaged: they are made again */
    uint64_t bad; /* blobs missing, of wrong size or wrong hash, or segments outside their blob */
};
/* Re-hashes every blob; each problem is told by complain (one line). OK even when bad > 0. */
MUST_USE enum code store_verify(struct store *s, void (*complain)(void *ctx, const char *line),
                                void *ctx, struct store_verdict *out, struct err *e);

struct store_swept {
    uint64_t blobs, bytes, drafts, packs; /* removed, or that would be */
    uint64_t pack_bytes;                  /* those of bytes that are packs' */
};
/* Removes blobs that no version names, their packs, and drafts, all older than grace_s seconds.
 * dry: only count.
 */
MUST_USE enum code store_gc(struct store *s, uint64_t grace_s, bool dry, struct store_swept *out,
                            struct err *e);

/* Removes every pack, of whatever version. dry: only count. */
MUST_USE enum code store_pack_drop_all(struct store *s, bool dry, struct store_swept *out,
                                       struct err *e);

/* Small facts kept beside the versions, e.g. measured kernel choices per CPU: a string by (scope,
 * key). */
MUST_USE enum code store_fact_put(struct store *s, struct str scope, struct str key,
                                  struct str value, struct err *e);
MUST_USE enum code store_fact_get(struct store *s, struct str scope, struct str key,
                                  struct arena *a, struct str *out, struct err *e);
