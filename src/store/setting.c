/* SPDX-License-Identifier: Apache-2.0 */
/* Settings: what is said about a model beside its versions. One text by name; each change is one
 * transaction together with its event, whose note is the new text. */
#include "store/in.h"
#include "store/name.h"
#include "store/tuples.h"

#include "base/clock.h"

static enum code read_value(const struct query *q, struct tuples *r, void *element, struct err *e) {
    return tuples_text(r, q, 0, element, e);
}

/* The text now; .n == 0: there is none. */
static enum code find(struct db *d, int64_t model_id, struct str name, struct arena *a,
                      struct str *out, struct err *e) {
    static const char sql[] = "SELECT value FROM setting WHERE model_id = ?1 AND name = ?2";
    struct tuples rows = {.arena = a, .row_bytes = sizeof *out, .read = read_value};
    struct query q;
    TRY(query_begin(&q, d, sql, DB_BIND(db_int(model_id), db_text(name)), e));
    TRY(tuples_read(&rows, &q, e));
    *out = rows.n ? *(const struct str *)rows.p : (struct str){0};
    return OK;
}

static enum code replace(struct db *d, int64_t model_id, struct str name, struct str value,
                         uint64_t now, struct err *e) {
    static const char upsert[] =
        "INSERT INTO setting (model_id, name, value, changed_us) VALUES (?1, ?2, ?3, ?4)"
        " ON CONFLICT DO UPDATE SET value = excluded.value, changed_us = excluded.changed_us";
    static const char delete[] = "DELETE FROM setting WHERE model_id = ?1 AND name = ?2";
    if (value.n == 0)
        return db_run(d, delete, DB_BIND(db_int(model_id), db_text(name)), e);
    return db_run(d, upsert,
                  DB_BIND(db_int(model_id), db_text(name), db_text(value), db_int((int64_t)now)),
                  e);
}

static enum code put(struct db *d, struct str model, struct str name, struct str value,
                     struct arena *a, struct err *e) {
    int64_t model_id = 0;
    struct str now;
    TRY(catalog_model(d, model, &model_id, e));
    TRY(find(d, model_id, name, a, &now, e));
    if (value.n == 0 && now.n == 0)
        return fail(e, NOT_FOUND, "model '%.*s' has no setting '%.*s'", STR(model), STR(name));
    if (str_eq(now, value))
        return OK;
    struct store_event event = {.at_us = clock_wall_us(),
                                .what = name,
                                .note = value.n ? str_sub(value, 0, 1024) : LIT("none")};
    TRY(replace(d, model_id, name, value, event.at_us, e));
    return history_add(d, model_id, &event, e);
}

enum code store_setting_put(struct store *s, struct str model, struct str name, struct str value,
                            struct err *e) {
    struct arena a;
    TRY(name_alias(name, e));
    if (value.n > STORE_SETTING_MAX)
        return fail(e, LIMIT, "setting '%.*s' has %zu bytes, limit %d", STR(name), value.n,
                    STORE_SETTING_MAX);
    arena_init(&a, 4 * STORE_SETTING_MAX);
    enum code code = store_begin(s, e);
    if (code == OK)
        code = store_end(s, put(&s->writer, model, name, value, &a, e), e);
    arena_deinit(&a);
    return code;
}

static enum code read_setting(const struct query *q, struct tuples *r, void *element,
                              struct err *e) {
    struct store_setting *setting = element;
    setting->changed_us = (uint64_t)query_int(q, 3);
    TRY(tuples_text(r, q, 0, &setting->model, e));
    TRY(tuples_text(r, q, 1, &setting->name, e));
    return tuples_text(r, q, 2, &setting->value, e);
}

#define SETTING_COLUMNS                                                                            \
    "SELECT m.name, s.name, s.value, s.changed_us FROM setting s JOIN model m ON m.id = "          \
    "s.model_id"

enum code store_settings(struct store *s, struct str model, struct arena *a,
                         struct store_setting **out, size_t *n, struct err *e) {
    static const char one[] = SETTING_COLUMNS " WHERE m.id = ?1 ORDER BY s.name";
    static const char all[] = SETTING_COLUMNS " ORDER BY m.name, s.name";
    struct tuples rows = {.arena = a, .row_bytes = sizeof **out, .read = read_setting};
    TRY(store_look(s, e));
    TRY(store_seen(s, catalog_rows(&s->reader, model, one, all, &rows, e), e));
    *out = rows.p;
    *n = rows.n;
    return OK;
}
