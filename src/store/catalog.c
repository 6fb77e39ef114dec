/* SPDX-License-Identifier: Apache-2.0 */
/* The catalogue: finding versions by name and telling about them. Reads only. */
#include "store/in.h"
#include "store/tuples.h"

/* --- rows by their names --- */

enum code catalog_model(struct db *d, struct str model, int64_t *model_id, struct err *e) {
    static const char find[] = "SELECT id FROM model WHERE name = ?1";
    bool found = false;
    TRY(db_one(d, find, DB_BIND(db_text(model)), model_id, &found, e));
    return found ? OK : fail(e, NOT_FOUND, "no model '%.*s' in store '%s'", STR(model), d->folder);
}

enum code catalog_version(struct db *d, struct str model, int64_t model_id, uint64_t number,
                          int64_t *version_id, struct err *e) {
    static const char find[] = "SELECT id FROM version WHERE model_id = ?1 AND number = ?2";
    static const char newest[] = "SELECT coalesce(max(number), 0) FROM version WHERE model_id = ?1";
    bool found = false;
    int64_t max = 0;
    if (number <= INT64_MAX)
        TRY(db_one(d, find, DB_BIND(db_int(model_id), db_int((int64_t)number)), version_id, &found,
                   e));
    if (found)
        return OK;
    TRY(db_one(d, newest, DB_BIND(db_int(model_id)), &max, &found, e));
    if (max == 0)
        return fail(e, NOT_FOUND, "model '%.*s' has no versions any more", STR(model));
    return fail(e, NOT_FOUND, "model '%.*s' has no version %llu (the newest is %lld)", STR(model),
                (unsigned long long)number, (long long)max);
}

enum code catalog_rows(struct db *d, struct str model, const char *one, const char *all,
                       struct tuples *rows, struct err *e) {
    struct query q;
    int64_t model_id = 0;
    if (model.n) {
        TRY(catalog_model(d, model, &model_id, e));
        TRY(query_begin(&q, d, one, DB_BIND(db_int(model_id)), e));
    } else {
        TRY(query_begin(&q, d, all, DB_NONE, e));
    }
    return tuples_read(rows, &q, e);
}

/* --- one row as a store_info --- */

/* own_bytes: of the blobs that no other version names. */
#define INFO_COLUMNS                                                                               \
    "SELECT m.id, m.name, v.number, v.parent, v.format, v.origin, v.digest, v.created_us, v.size," \
    " (SELECT coalesce(sum(b.size), 0) FROM slot s JOIN blob b ON b.id = s.blob_id WHERE "         \
    "s.version_id = v.id"                                                                          \
    "   AND NOT EXISTS (SELECT 1 FROM slot o WHERE o.blob_id = s.blob_id AND o.version_id <> "     \
    "v.id))"                                                                                       \
    " FROM model m JOIN version v ON v.model_id = m.id"

static enum code read_digest(const struct query *q, int column, struct arena *a, struct str *out,
                             struct err *e) {
    struct span hash = query_bytes(q, column);
    if (hash.n != SHA256_BYTES)
        return fail(e, CORRUPT, "store '%s': a version's digest has %zu bytes", q->db->folder,
                    hash.n);
    char hex[SHA256_HEX + 1];
    hex_put(hash.p, SHA256_BYTES, hex);
    *out = arena_str(a, (struct str){hex, SHA256_HEX});
    return out->p ? OK : arena_fail(a, SHA256_HEX, "a digest", e);
}

static enum code read_name(const struct query *q, struct tuples *r, void *element, struct err *e) {
    return tuples_text(r, q, 0, element, e);
}

static enum code read_aliases(struct db *d, int64_t model_id, struct arena *a,
                              struct store_info *info, struct err *e) {
    static const char find[] =
        "SELECT name FROM alias WHERE model_id = ?1 AND version = ?2 ORDER BY name";
    struct tuples names = {.arena = a, .row_bytes = sizeof(struct str), .read = read_name};
    struct query q;
    TRY(query_begin(&q, d, find, DB_BIND(db_int(model_id), db_int((int64_t)info->version)), e));
    TRY(tuples_read(&names, &q, e));
    info->aliases = names.p;
    info->n_aliases = names.n;
    return OK;
}

static enum code read_info(const struct query *q, struct tuples *r, void *element, struct err *e) {
    struct store_info *info = element;
    TRY(tuples_text(r, q, 1, &info->model, e));
    info->version = (uint64_t)query_int(q, 2);
    info->parent = (uint64_t)query_int(q, 3);
    TRY(tuples_text(r, q, 4, &info->format, e));
    TRY(tuples_text(r, q, 5, &info->origin, e));
    TRY(read_digest(q, 6, r->arena, &info->digest, e));
    info->created_us = (uint64_t)query_int(q, 7);
    info->size_bytes = (uint64_t)query_int(q, 8);
    info->own_bytes = (uint64_t)query_int(q, 9);
    return read_aliases(q->db, query_int(q, 0), r->arena, info, e);
}

/* --- resolving --- */

static enum code number_of_alias(struct db *d, const struct store_ref *r, int64_t model_id,
                                 uint64_t *number, struct err *e) {
    static const char find[] = "SELECT version FROM alias WHERE model_id = ?1 AND name = ?2";
    int64_t version = 0;
    bool found = false;
    TRY(db_one(d, find, DB_BIND(db_int(model_id), db_text(r->alias)), &version, &found, e));
    if (!found)
        return fail(e, NOT_FOUND,
                    "model '%.*s' has no alias '%.*s'; 'slipway alias %.*s@N %.*s' makes it",
                    STR(r->model), STR(r->alias), STR(r->model), STR(r->alias));
    *number = (uint64_t)version;
    return OK;
}

static enum code number_of_newest(struct db *d, const struct store_ref *r, int64_t model_id,
                                  uint64_t *number, struct err *e) {
    static const char find[] = "SELECT max(number) FROM version WHERE model_id = ?1";
    int64_t version = 0;
    bool found = false;
    TRY(db_one(d, find, DB_BIND(db_int(model_id)), &version, &found, e));
    if (version == 0)
        return fail(e, NOT_FOUND, "model '%.*s' has no versions any more", STR(r->model));
    *number = (uint64_t)version;
    return OK;
}

static enum code read_one(struct db *d, int64_t version_id, struct arena *a, struct store_info *out,
                          struct err *e) {
    static const char find[] = INFO_COLUMNS " WHERE v.id = ?1";
    struct tuples rows = {.arena = a, .row_bytes = sizeof *out, .read = read_info};
    struct query q;
    TRY(query_begin(&q, d, find, DB_BIND(db_int(version_id)), e));
    TRY(tuples_read(&rows, &q, e));
    if (rows.n != 1)
        return fail(e, CORRUPT, "store '%s': a version without its model", d->folder);
    memcpy(out, rows.p, sizeof *out);
    return OK;
}

static enum code resolve(struct db *d, const struct store_ref *r, struct arena *a,
                         struct store_info *out, struct err *e) {
    int64_t model_id = 0, version_id = 0;
    uint64_t number = r->version;
    TRY(catalog_model(d, r->model, &model_id, e));
    if (number == 0 && r->alias.n > 0)
        TRY(number_of_alias(d, r, model_id, &number, e));
    else if (number == 0)
        TRY(number_of_newest(d, r, model_id, &number, e));
    TRY(catalog_version(d, r->model, model_id, number, &version_id, e));
    return read_one(d, version_id, a, out, e);
}

enum code store_resolve(struct store *s, const struct store_ref *r, struct arena *a,
                        struct store_info *out, struct err *e) {
    struct store_info info;
    TRY(store_look(s, e));
    enum code code = store_seen(s, resolve(&s->reader, r, a, &info, e), e);
    if (code == OK)
        *out = info;
    return code;
}

/* --- listing --- */

static enum code list(struct db *d, struct str model, struct tuples *rows, struct err *e) {
    static const char all[] = INFO_COLUMNS " ORDER BY m.name, v.number DESC";
    static const char one[] = INFO_COLUMNS " WHERE m.id = ?1 ORDER BY v.number DESC";
    struct query q;
    int64_t model_id = 0;
    if (model.n > 0) {
        TRY(catalog_model(d, model, &model_id, e));
        TRY(query_begin(&q, d, one, DB_BIND(db_int(model_id)), e));
    } else
        TRY(query_begin(&q, d, all, DB_NONE, e));
    TRY(tuples_read(rows, &q, e));
    if (model.n > 0 && rows->n == 0)
        return fail(e, NOT_FOUND, "model '%.*s' has no versions any more", STR(model));
    return OK;
}

enum code store_list(struct store *s, struct str model, struct arena *a, struct store_info **out,
                     size_t *n, struct err *e) {
    struct tuples rows = {.arena = a, .row_bytes = sizeof **out, .read = read_info};
    TRY(store_look(s, e));
    TRY(store_seen(s, list(&s->reader, model, &rows, e), e));
    *out = rows.p;
    *n = rows.n;
    return OK;
}
