/* SPDX-License-Identifier: Apache-2.0 */
/* The only file that calls SQLite: see sqlite.h.
 *
 * Settings, and why:
 *
 *   journal_mode=WAL      readers go on while a writer commits, in any process (kept in the file,
 *                         set by store.c)
 *   synchronous=FULL      an acknowledged commit survives a power cut, not only a crash of ours
 *   busy_timeout          writers queue up instead of failing
 *   foreign_keys=ON       a version's rows go with it; a blob that is named cannot be forgotten
 *   trusted_schema=OFF    with defensive and cell_size_check: a hostile store.db gets no further
 *                         than an error
 *   temp_store=MEMORY     sorting does not depend on a writable temporary folder
 *
 * Connections are opened with NOMUTEX: our own lock is the only one (invariant 1 of sqlite.h). */
#include "store/sqlite.h"

#include "base/fault.h"
#include "base/mem.h"

#include <stdio.h>
#include <string.h>

/* --- errors --- */

static const char *reason(struct db *d, int rc) {
    int number = d->handle ? sqlite3_system_errno(d->handle) : 0;
    if ((rc & 0xff) == SQLITE_IOERR && number != 0)
        return strerror(number);
    return d->handle && sqlite3_extended_errcode(d->handle) == rc ? sqlite3_errmsg(d->handle)
                                                                  : sqlite3_errstr(rc);
}

static enum code fail_open(struct db *d, int rc, struct err *e) {
    int number = d->handle ? sqlite3_system_errno(d->handle) : 0;
    if (number != 0)
        return fail_errno(e, number, "store '%s': cannot open store.db or the files beside it",
                          d->folder);
    return fail(e, IO, "store '%s': cannot open store.db or the files beside it (%s)", d->folder,
                reason(d, rc));
}

static enum code fail_db(struct db *d, int rc, struct err *e) {
    d->failure = rc;
    const char *folder = d->folder;
    if (rc == SQLITE_IOERR_NOMEM)
        return fail(e, NOMEM, "store '%s': out of memory in the database", folder);
    switch (rc & 0xff) {
    case SQLITE_NOMEM: return fail(e, NOMEM, "store '%s': out of memory in the database", folder);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return fail(e, TIMEOUT,
                    "store '%s': another process has been writing for over %d s; try again", folder,
                    DB_BUSY_MS / 1000);
    case SQLITE_FULL:
        return fail(e, IO, "store '%s': the disk is full; free some space and try again", folder);
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH: return fail(e, DENIED, "store '%s' is read-only for this user", folder);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return fail(e, CORRUPT, "store '%s': store.db is damaged or not a store (%s)", folder,
                    reason(d, rc));
    case SQLITE_CANTOPEN: return fail_open(d, rc, e);
    case SQLITE_IOERR:
        return fail(e, IO, "store '%s': reading or writing store.db failed (%s)", folder,
                    reason(d, rc));
    case SQLITE_TOOBIG:
        return fail(e, LIMIT, "store '%s': a value is too big for the database", folder);
    default:
        return fail(e, INTERNAL, "store '%s': database: %s (code %d)", folder, reason(d, rc), rc);
    }
}

/* --- statements --- */

static enum code prepare(struct db *d, const char *sql, sqlite3_stmt **out, struct err *e) {
    for (size_t at = 0; at < d->n_statements; at++)
        if (d->statements[at].sql == sql) {
            *out = d->statements[at].stmt;
            return OK;
        }
    if (NEVER(d->n_statements == DB_STATEMENTS))
        return fail(e, INTERNAL, "store: more than %d different statements", DB_STATEMENTS);
    sqlite3_stmt *stmt = NULL;
    int rc = FAULT(FAULT_DB)
                 ? SQLITE_NOMEM
                 : sqlite3_prepare_v3(d->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &stmt, NULL);
    if (rc != SQLITE_OK)
        return fail_db(d, rc, e);
    d->statements[d->n_statements++] = (struct db_statement){sql, stmt};
    *out = stmt;
    return OK;
}

static int bind(sqlite3_stmt *stmt, int at, const struct db_value *v) {
    const void *p = v->p ? v->p : ""; /* NULL would bind SQL's NULL */
    switch (v->kind) {
    case DB_INT: return sqlite3_bind_int64(stmt, at, v->integer);
    case DB_TEXT: return sqlite3_bind_text64(stmt, at, p, v->n, SQLITE_STATIC, SQLITE_UTF8);
    case DB_BYTES: return sqlite3_bind_blob64(stmt, at, p, v->n, SQLITE_STATIC);
    default: return sqlite3_bind_null(stmt, at);
    }
}

enum code query_begin(struct query *q, struct db *d, const char *sql, const struct db_value *values,
                      size_t n_values, struct err *e) {
    *q = (struct query){.db = d};
    TRY(prepare(d, sql, &q->stmt, e));
    if (NEVER(sqlite3_stmt_busy(q->stmt)) ||
        NEVER(sqlite3_bind_parameter_count(q->stmt) != (int)n_values))
        return fail(e, INTERNAL, "store: statement used wrongly: %.80s", sql);
    for (size_t at = 0; at < n_values; at++) {
        int rc = bind(q->stmt, (int)at + 1, &values[at]);
        if (rc != SQLITE_OK) {
            query_end(q);
            return fail_db(d, rc, e);
        }
    }
    return OK;
}

enum code query_step(struct query *q, bool *row, struct err *e) {
    int rc = FAULT(FAULT_DB) ? SQLITE_IOERR : sqlite3_step(q->stmt);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        return fail_db(q->db, rc, e);
    *row = rc == SQLITE_ROW;
    return OK;
}

void query_end(struct query *q) {
    sqlite3_reset(q->stmt);
    sqlite3_clear_bindings(q->stmt);
}

int64_t query_int(const struct query *q, int column) {
    return sqlite3_column_int64(q->stmt, column);
}

struct span query_bytes(const struct query *q, int column) {
    const void *p = sqlite3_column_blob(q->stmt, column);
    return (struct span){p, p ? (size_t)sqlite3_column_bytes(q->stmt, column) : 0};
}

/* Not sqlite3_column_text: that one may allocate, to append a NUL, and then fails with no more than
 * a NULL. */
struct str query_text(const struct query *q, int column) {
    struct span bytes = query_bytes(q, column);
    return (struct str){(const char *)bytes.p, bytes.n};
}

enum code db_run(struct db *d, const char *sql, const struct db_value *values, size_t n_values,
                 struct err *e) {
    struct query q;
    TRY(query_begin(&q, d, sql, values, n_values, e));
    bool row = true;
    enum code code = OK;
    while (row && code == OK)
        code = query_step(&q, &row, e);
    query_end(&q);
    return code;
}

enum code db_one(struct db *d, const char *sql, const struct db_value *values, size_t n_values,
                 int64_t *out, bool *found, struct err *e) {
    struct query q;
    TRY(query_begin(&q, d, sql, values, n_values, e));
    bool row = false;
    enum code code = query_step(&q, &row, e);
    if (code == OK) {
        if (row)
            *out = query_int(&q, 0);
        *found = row;
    }
    query_end(&q);
    return code;
}

int64_t db_last_id(struct db *d) { return sqlite3_last_insert_rowid(d->handle); }

enum code db_script(struct db *d, const char *sql, struct err *e) {
    int rc = FAULT(FAULT_DB) ? SQLITE_IOERR : sqlite3_exec(d->handle, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? OK : fail_db(d, rc, e);
}

/* --- transactions --- */

/* Nothing sensible is left to do when this fails; SQLite undoes the transaction at close at the
 * latest. */
static void undo(struct db *d) {
    if (!sqlite3_get_autocommit(d->handle))
        sqlite3_exec(d->handle, "ROLLBACK", NULL, NULL, NULL);
}

enum code db_begin(struct db *d, bool write, struct err *e) {
    static const char begin_read[] = "BEGIN", begin_write[] = "BEGIN IMMEDIATE";
    undo(d);
    return db_run(d, write ? begin_write : begin_read, DB_NONE, e);
}

enum code db_end(struct db *d, enum code code, struct err *e) {
    static const char commit[] = "COMMIT";
    if (code == OK) {
        code = db_run(d, commit, DB_NONE, e);
    }
    undo(d);
    return code;
}

/* --- connections --- */

void db_lock(struct db *d) { pthread_mutex_lock(&d->lock); }
void db_unlock(struct db *d) { pthread_mutex_unlock(&d->lock); }

bool db_is_readonly(struct db *d) { return sqlite3_db_readonly(d->handle, "main") == 1; }

/* "file:/path?immutable=1", the characters that mean something in a URI escaped. Owned by the
 * caller. */
static char *immutable_uri(const char *path) {
    static const char head[] = "file:", tail[] = "?immutable=1";
    char *uri = mem_alloc(sizeof head + 3 * strlen(path) + sizeof tail);
    if (!uri)
        return NULL;
    char *to = uri + snprintf(uri, sizeof head, "%s", head);
    for (const char *c = path; *c; c++) {
        if (*c == '?' || *c == '#' || *c == '%')
            to += snprintf(to, 4, "%%%02X", (unsigned)(unsigned char)*c);
        else
            *to++ = *c;
    }
    snprintf(to, sizeof tail, "%s", tail);
    return uri;
}

static int open_handle(struct db *d, const char *path, enum db_mode mode) {
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    if (FAULT(FAULT_OPEN))
        return SQLITE_CANTOPEN;
    if (mode == DB_CREATE)
        flags |= SQLITE_OPEN_CREATE;
    if (mode != DB_IMMUTABLE)
        return sqlite3_open_v2(path, &d->handle, flags, NULL);
    char *uri = immutable_uri(path);
    if (!uri)
        return SQLITE_NOMEM;
    int rc = sqlite3_open_v2(uri, &d->handle, flags | SQLITE_OPEN_URI, NULL);
    mem_free(uri);
    return rc;
}

static enum code configure(struct db *d, enum db_mode mode, struct err *e) {
    static const char both[] =
        "PRAGMA foreign_keys=ON; PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON;"
        "PRAGMA temp_store=MEMORY;";
    sqlite3_busy_timeout(d->handle, DB_BUSY_MS);
    sqlite3_db_config(d->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    TRY(db_script(d, both, e));
    return db_script(d, mode >= DB_WRITE ? "PRAGMA synchronous=FULL;" : "PRAGMA query_only=ON;", e);
}

enum code db_open(struct db *d, const char *folder, const char *path, enum db_mode mode,
                  struct err *e) {
    *d = (struct db){.folder = mem_strdup(folder)};
    if (!d->folder)
        return fail(e, NOMEM, "store: out of memory");
    pthread_mutex_init(&d->lock, NULL);
    int rc = open_handle(d, path, mode);
    enum code code = rc == SQLITE_OK ? configure(d, mode, e) : fail_db(d, rc, e);
    if (code != OK) {
        int failure = d->failure;
        db_close(d);
        d->failure = failure;
    }
    return code;
}

void db_close(struct db *d) {
    if (!d->folder)
        return;
    for (size_t at = 0; at < d->n_statements; at++)
        sqlite3_finalize(d->statements[at].stmt);
    sqlite3_close(d->handle);
    pthread_mutex_destroy(&d->lock);
    mem_free(d->folder);
    *d = (struct db){0};
}
