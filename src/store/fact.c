/* SPDX-License-Identifier: Apache-2.0 */
/* Facts: a text by (scope, key), kept beside the versions. The store does not read them. */
#include "store/in.h"
#include "store/name.h"

enum { FACT_NAME_MAX = 1024, FACT_VALUE_MAX = 1 << 20 };

static enum code check(struct str scope, struct str key, struct err *e) {
    TRY(name_text("scope of a fact", scope, FACT_NAME_MAX, e));
    return name_text("key of a fact", key, FACT_NAME_MAX, e);
}

enum code store_fact_put(struct store *s, struct str scope, struct str key, struct str value,
                         struct err *e) {
    static const char upsert[] = "INSERT INTO fact (scope, key, value) VALUES (?1, ?2, ?3)"
                                 " ON CONFLICT DO UPDATE SET value = excluded.value";
    TRY(check(scope, key, e));
    if (value.n > FACT_VALUE_MAX)
        return fail(e, LIMIT, "fact '%.*s' '%.*s' has %zu bytes, limit %d", STR(scope), STR(key),
                    value.n, FACT_VALUE_MAX);
    TRY(store_begin(s, e));
    enum code code =
        db_run(&s->writer, upsert, DB_BIND(db_text(scope), db_text(key), db_text(value)), e);
    return store_end(s, code, e);
}

static enum code get(struct db *d, struct str scope, struct str key, struct arena *a,
                     struct str *out, struct err *e) {
    static const char find[] = "SELECT value FROM fact WHERE scope = ?1 AND key = ?2";
    struct query q;
    bool row = false;
    TRY(query_begin(&q, d, find, DB_BIND(db_text(scope), db_text(key)), e));
    enum code code = query_step(&q, &row, e);
    struct str value = {0};
    if (code == OK && !row)
        code = fail(e, NOT_FOUND, "no fact '%.*s' '%.*s'", STR(scope), STR(key));
    if (code == OK) {
        struct str text = query_text(&q, 0);
        value = arena_str(a, text);
        if (text.n > 0 && !value.p)
            code = arena_fail(a, text.n, "a fact", e);
    }
    query_end(&q);
    if (code == OK)
        *out = value;
    return code;
}

enum code store_fact_get(struct store *s, struct str scope, struct str key, struct arena *a,
                         struct str *out, struct err *e) {
    struct str value;
    TRY(store_look(s, e));
    TRY(store_seen(s, get(&s->reader, scope, key, a, &value, e), e));
    *out = value;
    return OK;
}
