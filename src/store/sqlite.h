/* SPDX-License-Identifier: Apache-2.0 */
/* One SQLite connection, seen by the rest of the floor as: locked use, cached statements, bound
 * values, errors in our words. Values from outside are bound, never formatted into SQL.
 *
 * 1. A struct db is used only between db_lock and db_unlock (db_open and db_close excepted).
 * 2. SQL texts are string constants: the cache knows a statement by the address of its text.
 * 3. Text and bytes bound are borrowed until query_end, columns read until the next step. */
#pragma once

#include "base/arena.h"
#include "base/str.h"

#include <pthread.h>
#include <sqlite3.h>

enum { DB_STATEMENTS = 80, DB_BUSY_MS = 30000 };

enum db_mode {
    DB_READ = 1,  /* sees what others commit; can change nothing */
    DB_IMMUTABLE, /* the same, on a file nobody writes, in a folder where SQLite cannot keep its
                     shared memory */
    DB_WRITE,
    DB_CREATE, /* DB_WRITE on a file that is not there yet */
};

struct db {
    sqlite3 *handle; /* owned; NULL when closed */
    pthread_mutex_t lock;
    char *folder; /* owned: the store's folder in the user's spelling, for messages */
    struct db_statement {
        const char *sql;
        sqlite3_stmt *stmt;
    } statements[DB_STATEMENTS];
    size_t n_statements;
    int failure; /* SQLite's code behind the latest error */
};

struct db_value {
    enum { DB_NULL, DB_INT, DB_TEXT, DB_BYTES } kind;
    int64_t integer;
    const void *p;
    size_t n;
};

static inline struct db_value db_int(int64_t v) {
    return (struct db_value){.kind = DB_INT, .integer = v};
}
static inline struct db_value db_text(struct str v) {
    return (struct db_value){.kind = DB_TEXT, .p = v.p, .n = v.n};
}
static inline struct db_value db_bytes(const void *p, size_t n) {
    return (struct db_value){.kind = DB_BYTES, .p = p, .n = n};
}
/* Two arguments in one: the values for ?1, ?2, ... and their number. */
#define DB_BIND(...)                                                                               \
    (struct db_value[]){__VA_ARGS__},                                                              \
        sizeof((struct db_value[]){__VA_ARGS__}) / sizeof(struct db_value)
#define DB_NONE NULL, 0

MUST_USE enum code db_open(struct db *d, const char *folder, const char *path, enum db_mode mode,
                           struct err *e);
void db_close(struct db *d); /* safe on a zeroed struct, idempotent */
bool db_is_readonly(struct db *d);

void db_lock(struct db *d);
void db_unlock(struct db *d);

/* A transaction. DB_READ connections see one moment of the database until db_end; DB_WRITE ones
 * take the store's write lock first, waiting up to DB_BUSY_MS for another writer. db_end(OK)
 * commits, anything else undoes; it returns `code`, or why the commit failed (for what a failed
 * commit may leave in the log see record.c). */
MUST_USE enum code db_begin(struct db *d, bool write, struct err *e);
enum code db_end(struct db *d, enum code code, struct err *e);

/* Rows of a statement:
 *     struct query q; bool row;
 *     TRY(query_begin(&q, d, sql, DB_BIND(...), e));
 *     while ((code = query_step(&q, &row, e)) == OK && row) { ... }
 *     query_end(&q); */
struct query {
    struct db *db;
    sqlite3_stmt *stmt;
};
MUST_USE enum code query_begin(struct query *q, struct db *d, const char *sql,
                               const struct db_value *values, size_t n_values, struct err *e);
MUST_USE enum code query_step(struct query *q, bool *row, struct err *e);
void query_end(struct query *q);
int64_t query_int(const struct query *q, int column);
struct str query_text(const struct query *q, int column);
struct span query_bytes(const struct query *q, int column);

/* All of it at once: db_run for a change, db_one for the first column of the first row (*found says
 * whether there is). */
MUST_USE enum code db_run(struct db *d, const char *sql, const struct db_value *values,
                          size_t n_values, struct err *e);
MUST_USE enum code db_one(struct db *d, const char *sql, const struct db_value *values,
                          size_t n_values, int64_t *out, bool *found, struct err *e);
int64_t db_last_id(struct db *d);
MUST_USE enum code db_script(struct db *d, const char *sql,
                             struct err *e); /* several statements, no values */
