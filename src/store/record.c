/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of a version: see record.h.
 *
 * Why a blob that a committed version names is always there: both the last look at the blobs before
 * a commit (record_add) and every unlink of a blob (gc.c) happen while holding the database's write
 * lock. So either gc's unlink comes first and record_add sees the blob missing (the add writes it
 * again), or the commit comes first and gc sees the blob named. Neither clocks nor gc's grace time
 * matter to this; grace only spares adds from writing twice.
 *
 * One crack remains: a COMMIT that fails with an I/O error is undone for every reader, yet its
 * frames may lie complete in the log, and a power cut right then would bring it back at recovery.
 * Therefore gc_unlink commits a row of its own before it unlinks anything: that overwrites the
 * first of those frames, and as each frame's checksum covers all before it, the rest are void. */
#include "store/record.h"

#include "base/clock.h"
#include "store/object.h"
#include "store/tuples.h"

/* --- is it there already? --- */

struct newest {
    int64_t model_id, version_id, last; /* last: highest number ever given */
    uint64_t number;
    bool same_files;
};

static enum code find_newest(struct db *d, const struct record *r, struct newest *out,
                             struct err *e) {
    static const char find[] = "SELECT m.id, m.last_version, v.id, v.number, v.digest FROM model m"
                               " LEFT JOIN version v ON v.model_id = m.id WHERE m.name = ?1"
                               " ORDER BY v.number DESC LIMIT 1";
    struct query q;
    bool row = false;
    TRY(query_begin(&q, d, find, DB_BIND(db_text(r->n->model)), e));
    enum code code = query_step(&q, &row, e);
    if (code == OK && row) {
        struct span digest = query_bytes(&q, 4);
        *out = (struct newest){
            .model_id = query_int(&q, 0),
            .last = query_int(&q, 1),
            .version_id = query_int(&q, 2),
            .number = (uint64_t)query_int(&q, 3),
            .same_files =
                digest.n == SHA256_BYTES && memcmp(digest.p, r->digest, SHA256_BYTES) == 0,
        };
    }
    query_end(&q);
    return code;
}

static bool same_part(const struct record *r, struct str name, struct span hash) {
    for (size_t part = 0; part < r->n->n_parts; part++) {
        if (!str_eq(r->n->parts[part].name, name))
            continue;
        uint32_t blob = r->layout->part_blobs[part];
        if (blob == LAYOUT_EMPTY)
            return hash.n == 0;
        return hash.n == SHA256_BYTES &&
               memcmp(hash.p, r->layout->blobs[blob].hash, SHA256_BYTES) == 0;
    }
    return false;
}

static enum code same_parts(struct db *d, const struct record *r, int64_t version_id, bool *same,
                            struct err *e) {
    static const char find[] =
        "SELECT p.name, b.hash FROM part p"
        " LEFT JOIN slot s ON s.version_id = p.version_id AND s.slot = p.slot"
        " LEFT JOIN blob b ON b.id = s.blob_id WHERE p.version_id = ?1";
    struct query q;
    size_t n = 0, n_same = 0;
    bool row = true;
    TRY(query_begin(&q, d, find, DB_BIND(db_int(version_id)), e));
    enum code code;
    while ((code = query_step(&q, &row, e)) == OK && row) {
        n++;
        n_same += same_part(r, query_text(&q, 0), query_bytes(&q, 1));
    }
    query_end(&q);
    *same = n == n_same && n == r->n->n_parts;
    return code;
}

static enum code all_present(struct store *s, const struct record *r, bool *all, struct err *e) {
    *all = true;
    for (size_t slot = 0; slot < r->n_slots && *all; slot++) {
        const struct layout_blob *b = &r->layout->blobs[r->slots[slot]];
        TRY(object_present(s, b->hash, b->size, all, e));
    }
    return OK;
}

/* --- writing the rows --- */

static enum code take_number(struct db *d, const struct record *r, struct newest *newest,
                             uint64_t *number, struct err *e) {
    static const char insert[] = "INSERT INTO model (name) VALUES (?1)";
    static const char advance[] = "UPDATE model SET last_version = ?2 WHERE id = ?1";
    if (newest->model_id == 0) {
        TRY(db_run(d, insert, DB_BIND(db_text(r->n->model)), e));
        newest->model_id = db_last_id(d);
    }
    *number = (uint64_t)newest->last + 1;
    return db_run(d, advance, DB_BIND(db_int(newest->model_id), db_int(newest->last + 1)), e);
}

static enum code put_version(struct db *d, const struct record *r, int64_t model_id,
                             uint64_t number, uint64_t now_us, struct err *e) {
    static const char insert[] =
        "INSERT INTO version (model_id, number, parent, format, origin, digest, created_us, size)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    return db_run(d, insert,
                  DB_BIND(db_int(model_id), db_int((int64_t)number), db_int((int64_t)r->n->parent),
                          db_text(r->n->format), db_text(r->n->origin),
                          db_bytes(r->digest, SHA256_BYTES), db_int((int64_t)now_us),
                          db_int((int64_t)r->layout->size_bytes)),
                  e);
}

static enum code blob_id(struct db *d, const struct layout_blob *b, int64_t *id, struct err *e) {
    static const char find[] = "SELECT id FROM blob WHERE hash = ?1";
    static const char insert[] = "INSERT INTO blob (hash, size) VALUES (?1, ?2)";
    bool found = false;
    TRY(db_one(d, find, DB_BIND(db_bytes(b->hash, SHA256_BYTES)), id, &found, e));
    if (found)
        return OK;
    TRY(db_run(d, insert, DB_BIND(db_bytes(b->hash, SHA256_BYTES), db_int((int64_t)b->size)), e));
    *id = db_last_id(d);
    return OK;
}

static enum code put_slots(struct db *d, const struct record *r, int64_t version_id,
                           struct err *e) {
    static const char insert[] = "INSERT INTO slot (version_id, slot, blob_id) VALUES (?1, ?2, ?3)";
    for (size_t slot = 0; slot < r->n_slots; slot++) {
        int64_t id = 0;
        TRY(blob_id(d, &r->layout->blobs[r->slots[slot]], &id, e));
        TRY(db_run(d, insert, DB_BIND(db_int(version_id), db_int((int64_t)slot), db_int(id)), e));
    }
    return OK;
}

static enum code put_files(struct db *d, const struct record *r, int64_t version_id,
                           struct err *e) {
    static const char insert[] =
        "INSERT INTO file (version_id, file, name, size, hash) VALUES (?1, ?2, ?3, ?4, ?5)";
    for (size_t file = 0; file < r->n->n_sources; file++) {
        const struct store_source *source = &r->n->sources[file];
        TRY(db_run(d, insert,
                   DB_BIND(db_int(version_id), db_int((int64_t)file), db_text(source->name),
                           db_int((int64_t)source->bytes.n),
                           db_bytes(r->file_hashes[file], SHA256_BYTES)),
                   e));
    }
    return OK;
}

static enum code put_segments(struct db *d, const struct record *r, int64_t version_id,
                              struct err *e) {
    static const char insert[] = "INSERT INTO segment (version_id, file, offset, length, slot, at)"
                                 " VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    for (size_t i = 0; i < r->layout->n_segments; i++) {
        const struct layout_segment *x = &r->layout->segments[i];
        TRY(db_run(d, insert,
                   DB_BIND(db_int(version_id), db_int(x->file), db_int((int64_t)x->offset),
                           db_int((int64_t)x->length), db_int(r->layout->blobs[x->blob].slot),
                           db_int((int64_t)x->at)),
                   e));
    }
    return OK;
}

static enum code put_parts(struct db *d, const struct record *r, int64_t version_id,
                           struct err *e) {
    static const char insert[] = "INSERT INTO part (version_id, name, slot) VALUES (?1, ?2, ?3)";
    for (size_t part = 0; part < r->n->n_parts; part++) {
        uint32_t blob = r->layout->part_blobs[part];
        int64_t slot = blob == LAYOUT_EMPTY ? -1 : (int64_t)r->layout->blobs[blob].slot;
        TRY(db_run(d, insert,
                   DB_BIND(db_int(version_id), db_text(r->n->parts[part].name), db_int(slot)), e));
    }
    return OK;
}

static enum code put_rows(struct db *d, const struct record *r, struct newest *newest,
                          uint64_t *number, struct err *e) {
    struct store_event event = {.at_us = clock_wall_us(), .what = LIT("add")};
    TRY(take_number(d, r, newest, number, e));
    TRY(put_version(d, r, newest->model_id, *number, event.at_us, e));
    int64_t version_id = db_last_id(d);
    TRY(put_slots(d, r, version_id, e));
    TRY(put_files(d, r, version_id, e));
    TRY(put_segments(d, r, version_id, e));
    TRY(put_parts(d, r, version_id, e));
    event.version = *number;
    return history_add(d, newest->model_id, &event, e);
}

static enum code add_locked(struct store *s, const struct record *r, enum record_outcome *outcome,
                            uint64_t *version, struct err *e) {
    struct db *d = &s->writer;
    struct newest newest = {0};
    bool yes = false;
    TRY(find_newest(d, r, &newest, e));
    if (newest.same_files)
        TRY(same_parts(d, r, newest.version_id, &yes, e));
    if (yes) {
        *outcome = RECORD_EXISTED;
        *version = newest.number;
        return OK;
    }
    TRY(all_present(s, r, &yes, e));
    *outcome = yes ? RECORD_ADDED : RECORD_MISSING;
    return yes ? put_rows(d, r, &newest, version, e) : OK;
}

enum code record_add(struct store *s, const struct record *r, enum record_outcome *outcome,
                     uint64_t *version, struct err *e) {
    TRY(store_begin(s, e));
    return store_end(s, add_locked(s, r, outcome, version, e), e);
}

enum code record_blob_named(struct store *s, const uint8_t hash[SHA256_BYTES], bool *named,
                            struct err *e) {
    static const char find[] = "SELECT 1 FROM blob WHERE hash = ?1";
    int64_t one = 0;
    db_lock(&s->reader);
    enum code code =
        db_one(&s->reader, find, DB_BIND(db_bytes(hash, SHA256_BYTES)), &one, named, e);
    db_unlock(&s->reader);
    return code;
}

static enum code find_parent(struct db *d, const struct store_new *n, struct err *e) {
    int64_t model_id = 0, version_id = 0;
    TRY(catalog_model(d, n->model, &model_id, e));
    return catalog_version(d, n->model, model_id, n->parent, &version_id, e);
}

enum code record_parent(struct store *s, const struct store_new *n, struct err *e) {
    TRY(store_look(s, e));
    enum code code = store_seen(s, find_parent(&s->reader, n, e), e);
    return code == OK ? OK : err_prefix(e, "parent of the new version");
}

/* --- removing --- */

static enum code check_unused(struct db *d, struct str model, int64_t model_id, uint64_t version,
                              struct err *e) {
    static const char find[] =
        "SELECT name FROM alias WHERE model_id = ?1 AND version = ?2 ORDER BY name LIMIT 1";
    struct query q;
    bool row = false;
    TRY(query_begin(&q, d, find, DB_BIND(db_int(model_id), db_int((int64_t)version)), e));
    enum code code = query_step(&q, &row, e);
    if (code == OK && row)
        code =
            fail(e, IN_USE, "%.*s@%llu is what %.*s@%.*s points to: move or drop that alias first",
                 STR(model), (unsigned long long)version, STR(model), STR(query_text(&q, 0)));
    query_end(&q);
    return code;
}

/* Blobs that nobody names any more lose their row here and their file in gc. */
static enum code forget_blobs(struct db *d, const struct tuples *ids, struct err *e) {
    static const char forget[] =
        "DELETE FROM blob WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM slot WHERE blob_id = ?1)";
    for (size_t i = 0; i < ids->n; i++)
        TRY(db_run(d, forget, DB_BIND(db_int(((const int64_t *)ids->p)[i])), e));
    return OK;
}

static enum code read_id(const struct query *q, struct tuples *r, void *element, struct err *e) {
    (void)r;
    (void)e;
    *(int64_t *)element = query_int(q, 0);
    return OK;
}

static enum code remove_version(struct db *d, struct str model, uint64_t version, struct arena *a,
                                struct err *e) {
    static const char blobs[] = "SELECT blob_id FROM slot WHERE version_id = ?1";
    static const char delete[] = "DELETE FROM version WHERE id = ?1";
    struct tuples ids = {.arena = a, .row_bytes = sizeof(int64_t), .read = read_id};
    struct query q;
    int64_t model_id = 0, version_id = 0;
    TRY(catalog_model(d, model, &model_id, e));
    TRY(catalog_version(d, model, model_id, version, &version_id, e));
    TRY(check_unused(d, model, model_id, version, e));
    TRY(query_begin(&q, d, blobs, DB_BIND(db_int(version_id)), e));
    TRY(tuples_read(&ids, &q, e));
    TRY(db_run(d, delete, DB_BIND(db_int(version_id)), e));
    TRY(forget_blobs(d, &ids, e));
    struct store_event event = {
        .at_us = clock_wall_us(), .version = version, .what = LIT("remove")};
    return history_add(d, model_id, &event, e);
}

enum code store_remove(struct store *s, struct str model, uint64_t version, struct err *e) {
    struct arena a;
    TRY(store_begin(s, e));
    arena_init(&a, (size_t)LAYOUT_PIECES * 32);
    enum code code = store_end(s, remove_version(&s->writer, model, version, &a, e), e);
    arena_deinit(&a);
    return code;
}
