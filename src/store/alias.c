/* SPDX-License-Identifier: Apache-2.0 */
/* Aliases: movable names for versions. Each move is one transaction together with its event; an
 * alias remembers one step back, so rolling back twice returns to where it was. */
#include "store/in.h"
#include "store/name.h"
#include "store/tuples.h"

#include "base/clock.h"

/* Where the alias points, as read within a transaction; version 0: there is no such alias. */
struct pointer {
    int64_t model_id;
    uint64_t version, previous;
};

static enum code find(struct db *d, struct str model, struct str alias, struct pointer *out,
                      struct err *e) {
    static const char sql[] =
        "SELECT version, previous FROM alias WHERE model_id = ?1 AND name = ?2";
    struct pointer p = {0};
    struct query q;
    bool row = false;
    TRY(catalog_model(d, model, &p.model_id, e));
    TRY(query_begin(&q, d, sql, DB_BIND(db_int(p.model_id), db_text(alias)), e));
    enum code code = query_step(&q, &row, e);
    if (code == OK && row) {
        p.version = (uint64_t)query_int(&q, 0);
        p.previous = (uint64_t)query_int(&q, 1);
    }
    query_end(&q);
    if (code == OK)
        *out = p;
    return code;
}

static enum code find_existing(struct db *d, struct str model, struct str alias,
                               struct pointer *out, struct err *e) {
    struct pointer p;
    TRY(find(d, model, alias, &p, e));
    if (p.version == 0)
        return fail(e, NOT_FOUND, "model '%.*s' has no alias '%.*s'", STR(model), STR(alias));
    *out = p;
    return OK;
}

static enum code move(struct db *d, const struct pointer *from, struct str alias, uint64_t to,
                      struct str what, struct err *e) {
    static const char upsert[] =
        "INSERT INTO alias (model_id, name, version, previous, moved_us) VALUES (?1, ?2, ?3, ?4, "
        "?5)"
        " ON CONFLICT DO UPDATE SET version = excluded.version, previous = excluded.previous,"
        " moved_us = excluded.moved_us";
    struct store_event event = {.at_us = clock_wall_us(),
                                .version = to,
                                .previous = from->version,
                                .what = what,
                                .alias = alias};
    TRY(db_run(d, upsert,
               DB_BIND(db_int(from->model_id), db_text(alias), db_int((int64_t)to),
                       db_int((int64_t)from->version), db_int((int64_t)event.at_us)),
               e));
    return history_add(d, from->model_id, &event, e);
}

static enum code set(struct db *d, struct str model, struct str alias, uint64_t version,
                     struct err *e) {
    struct pointer p;
    int64_t version_id = 0;
    TRY(find(d, model, alias, &p, e));
    TRY(catalog_version(d, model, p.model_id, version, &version_id, e));
    return p.version == version ? OK : move(d, &p, alias, version, LIT("alias"), e);
}

enum code store_alias_set(struct store *s, struct str model, struct str alias, uint64_t version,
                          struct err *e) {
    TRY(name_alias(alias, e));
    TRY(store_begin(s, e));
    return store_end(s, set(&s->writer, model, alias, version, e), e);
}

static enum code drop(struct db *d, struct str model, struct str alias, struct err *e) {
    static const char delete[] = "DELETE FROM alias WHERE model_id = ?1 AND name = ?2";
    struct pointer p;
    TRY(find_existing(d, model, alias, &p, e));
    TRY(db_run(d, delete, DB_BIND(db_int(p.model_id), db_text(alias)), e));
    struct store_event event = {
        .at_us = clock_wall_us(), .previous = p.version, .what = LIT("drop-alias"), .alias = alias};
    return history_add(d, p.model_id, &event, e);
}

enum code store_alias_drop(struct store *s, struct str model, struct str alias, struct err *e) {
    TRY(store_begin(s, e));
    return store_end(s, drop(&s->writer, model, alias, e), e);
}

static enum code roll_back(struct db *d, struct str model, struct str alias, uint64_t *version,
                           struct err *e) {
    struct pointer p;
    int64_t version_id = 0;
    TRY(find_existing(d, model, alias, &p, e));
    if (p.previous == 0)
        return fail(e, NOT_FOUND,
                    "%.*s@%.*s has always pointed to version %llu: nothing to go back to",
                    STR(model), STR(alias), (unsigned long long)p.version);
    enum code code = catalog_version(d, model, p.model_id, p.previous, &version_id, e);
    if (code != OK)
        return err_prefix(e, "%.*s@%.*s cannot go back", STR(model), STR(alias));
    TRY(move(d, &p, alias, p.previous, LIT("rollback"), e));
    *version = p.previous;
    return OK;
}

enum code store_alias_rollback(struct store *s, struct str model, struct str alias,
                               uint64_t *version, struct err *e) {
    uint64_t to = 0;
    TRY(store_begin(s, e));
    TRY(store_end(s, roll_back(&s->writer, model, alias, &to, e), e));
    *version = to;
    return OK;
}

static enum code read_alias(const struct query *q, struct tuples *r, void *element, struct err *e) {
    struct store_alias *alias = element;
    alias->version = (uint64_t)query_int(q, 2);
    alias->previous = (uint64_t)query_int(q, 3);
    alias->moved_us = (uint64_t)query_int(q, 4);
    TRY(tuples_text(r, q, 0, &alias->model, e));
    return tuples_text(r, q, 1, &alias->name, e);
}

#define ALIAS_COLUMNS                                                                              \
    "SELECT m.name, a.name, a.version, a.previous, a.moved_us"                                     \
    " FROM alias a JOIN model m ON m.id = a.model_id"

enum code store_aliases(struct store *s, struct str model, struct arena *a,
                        struct store_alias **out, size_t *n, struct err *e) {
    static const char one[] = ALIAS_COLUMNS " WHERE m.id = ?1 ORDER BY a.name";
    static const char all[] = ALIAS_COLUMNS " ORDER BY m.name, a.name";
    struct tuples rows = {.arena = a, .row_bytes = sizeof **out, .read = read_alias};
    TRY(store_look(s, e));
    TRY(store_seen(s, catalog_rows(&s->reader, model, one, all, &rows, e), e));
    *out = rows.p;
    *n = rows.n;
    return OK;
}
