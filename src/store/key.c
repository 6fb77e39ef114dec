/* SPDX-License-Identifier: Apache-2.0 */
/* API keys: name, SHA-256 and rights. The key itself never reaches the store. Events belong to the
 * store, not to a model; their alias is the key's name. */
#include "store/in.h"
#include "store/name.h"
#include "store/tuples.h"

#include "base/clock.h"

enum { RIGHTS_MAX = 8 << 10 };

static enum code note(struct db *d, struct str what, struct str name, struct str rights,
                      struct err *e) {
    struct store_event event = {
        .at_us = clock_wall_us(), .what = what, .alias = name, .note = str_sub(rights, 0, 1024)};
    return history_add(d, 0, &event, e);
}

static enum code add(struct db *d, const struct store_key *k, struct err *e) {
    static const char taken[] = "SELECT 1 FROM access_key WHERE name = ?1";
    static const char insert[] =
        "INSERT INTO access_key (name, digest, rights, created_us) VALUES (?1, ?2, ?3, ?4)";
    bool found = false;
    int64_t ignored = 0;
    TRY(db_one(d, taken, DB_BIND(db_text(k->name)), &ignored, &found, e));
    if (found)
        return fail(e, EXISTS, "there is a key '%.*s', or was one: names are used once",
                    STR(k->name));
    TRY(db_run(d, insert,
               DB_BIND(db_text(k->name), db_bytes(k->digest, SHA256_BYTES), db_text(k->rights),
                       db_int((int64_t)clock_wall_us())),
               e));
    return note(d, LIT("key-add"), k->name, k->rights, e);
}

enum code store_key_add(struct store *s, const struct store_key *k, struct err *e) {
    TRY(name_alias(k->name, e));
    TRY(name_text("rights of a key", k->rights, RIGHTS_MAX, e));
    TRY(store_begin(s, e));
    return store_end(s, add(&s->writer, k, e), e);
}

static enum code withdraw(struct db *d, struct str name, struct err *e) {
    static const char find[] = "SELECT revoked_us FROM access_key WHERE name = ?1";
    static const char update[] = "UPDATE access_key SET revoked_us = ?2 WHERE name = ?1";
    bool found = false;
    int64_t revoked = 0;
    TRY(db_one(d, find, DB_BIND(db_text(name)), &revoked, &found, e));
    if (!found)
        return fail(e, NOT_FOUND, "no key '%.*s'", STR(name));
    if (revoked)
        return OK;
    TRY(db_run(d, update, DB_BIND(db_text(name), db_int((int64_t)clock_wall_us())), e));
    return note(d, LIT("key-revoke"), name, (struct str){0}, e);
}

enum code store_key_revoke(struct store *s, struct str name, struct err *e) {
    TRY(store_begin(s, e));
    return store_end(s, withdraw(&s->writer, name, e), e);
}

static enum code read_key(const struct query *q, struct tuples *r, void *element, struct err *e) {
    struct store_key *key = element;
    struct span digest = query_bytes(q, 1);
    if (digest.n != SHA256_BYTES)
        return fail(e, CORRUPT, "store '%s': a key's hash has %zu bytes", q->db->folder, digest.n);
    memcpy(key->digest, digest.p, SHA256_BYTES);
    key->created_us = (uint64_t)query_int(q, 3);
    key->revoked_us = (uint64_t)query_int(q, 4);
    TRY(tuples_text(r, q, 0, &key->name, e));
    return tuples_text(r, q, 2, &key->rights, e);
}

static enum code read_all(struct db *d, struct tuples *rows, struct err *e) {
    static const char all[] = "SELECT name, digest, rights, created_us, revoked_us FROM access_key"
                              " ORDER BY name";
    struct query q;
    TRY(query_begin(&q, d, all, DB_NONE, e));
    return tuples_read(rows, &q, e);
}

enum code store_keys(struct store *s, struct arena *a, struct store_key **out, size_t *n,
                     struct err *e) {
    struct tuples rows = {.arena = a, .row_bytes = sizeof **out, .read = read_key};
    TRY(store_look(s, e));
    TRY(store_seen(s, read_all(&s->reader, &rows, e), e));
    *out = rows.p;
    *n = rows.n;
    return OK;
}
