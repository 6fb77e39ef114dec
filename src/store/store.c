/* SPDX-License-Identifier: Apache-2.0 */
/* Opening and closing a store, and the two kinds of transaction: see store.h and in.h.
 *
 * A store comes into being by one link(2): the database is made complete as drafts/store-XXXX and
 * then linked to store.db, which fails when another process was first. So store.db is never seen
 * empty or half-made. */
#include "store/in.h"
#include "store/object.h"

#include "base/fault.h"
#include "base/file.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_BYTES = 4096, APPLICATION_ID = 0x534c4950 };

static const char schema_1[] =
#include "store/schema_0001.inc"
    ;
static const char schema_2[] =
#include "store/schema_0002.inc"
    ;

static enum code join(const char *root, const char *name, char path[PATH_BYTES], struct err *e) {
    int n = snprintf(path, PATH_BYTES, "%s/%s", root, name);
    if (n < 0 || n >= PATH_BYTES)
        return fail(e, INVALID, "store '%.200s...': the path is too long", root);
    return OK;
}

static int open_folder(const char *path) {
    if (FAULT(FAULT_OPEN)) {
        errno = EMFILE;
        return -1;
    }
    return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* --- creating --- */

/* WAL last: until then all goes through a rollback journal into the file itself, so that closing
 * has nothing left to move, and fail at. SQLite answers with the mode it is in, which is another
 * one where shared memory does not work. */
static enum code make_tables(struct db *d, struct err *e) {
    static const char wal[] = "PRAGMA journal_mode=WAL";
    struct query q;
    bool row = false;
    TRY(db_script(d, schema_1, e));
    TRY(db_script(d, schema_2, e));
    TRY(query_begin(&q, d, wal, DB_NONE, e));
    enum code code = query_step(&q, &row, e);
    if (code == OK && !(row && str_is(query_text(&q, 0), "wal")))
        code = fail(e, UNSUPPORTED,
                    "store '%s': this file system cannot share memory (SQLite's WAL): put the "
                    "store on a local disk",
                    d->folder);
    query_end(&q);
    return code;
}

static enum code make_database(const char *folder, const char *path, struct err *e) {
    struct db d;
    TRY(db_open(&d, folder, path, DB_CREATE, e));
    db_lock(&d);
    enum code code = make_tables(&d, e);
    db_unlock(&d);
    db_close(&d);
    return code;
}

static void drop_database(const char *path) {
    static const char *const tails[] = {"", "-wal", "-shm", "-journal"};
    char name[PATH_BYTES + 16];
    for (size_t i = 0; i < sizeof tails / sizeof *tails; i++) {
        snprintf(name, sizeof name, "%s%s", path, tails[i]);
        unlink(name);
    }
}

static enum code link_database(const char *folder, const char *from, const char *to,
                               struct err *e) {
    if (FAULT(FAULT_RENAME))
        return fail_errno(e, EIO, "store '%s': cannot create store.db", folder);
    if (link(from, to) != 0 && errno != EEXIST)
        return fail_errno(e, errno, "store '%s': cannot create store.db", folder);
    return OK;
}

static enum code make_folder(const char *root, const char *name, struct err *e) {
    char path[PATH_BYTES];
    TRY(join(root, name, path, e));
    return file_mkdirs(path, e);
}

/* The folders above may be new as well: their names have to reach the disk before the first add is
 * acknowledged. A folder that this user cannot even list was not made by it. */
static enum code sync_above(const char *root, struct err *e) {
    char path[PATH_BYTES];
    for (size_t n = strlen(root); n > 0; n--) {
        if (root[n - 1] != '/')
            continue;
        snprintf(path, sizeof path, "%.*s", (int)n, root);
        enum code code = file_sync_folder(path, e);
        if (code != OK)
            return code == ERR_DENIED ? OK : code;
    }
    return OK;
}

static enum code create(struct store *s, const char *database, struct err *e) {
    char draft[OBJECT_DRAFT], path[PATH_BYTES], name[OBJECT_DRAFT + 8];
    TRY(make_folder(s->root, "objects", e));
    TRY(make_folder(s->root, "drafts", e));
    TRY(object_draft_name(s, "store", draft, e));
    snprintf(name, sizeof name, "drafts/%s", draft);
    TRY(join(s->root, name, path, e));
    enum code code = make_database(s->folder, path, e);
    if (code == OK)
        code = link_database(s->folder, path, database, e);
    drop_database(path);
    if (code == OK)
        code = file_sync_folder(s->root, e);
    return code == OK ? sync_above(s->root, e) : code;
}

/* --- opening --- */

static enum code pragma(struct db *d, const char *sql, int64_t *out, struct err *e) {
    bool found = false;
    return db_one(d, sql, DB_NONE, out, &found, e);
}

static const char user_version[] = "PRAGMA user_version";

static enum code check_schema(struct db *d, struct err *e) {
    int64_t id = 0, version = 0;
    TRY(pragma(d, "PRAGMA application_id", &id, e));
    TRY(pragma(d, user_version, &version, e));
    if (id != APPLICATION_ID || version < 1)
        return fail(e, CORRUPT, "store '%s': store.db is not a Slipway store", d->folder);
    if (version > STORE_SCHEMA)
        return fail(e, UNSUPPORTED,
                    "store '%s' has schema %lld, this program knows up to %d: use the newer "
                    "slipway that wrote it",
                    d->folder, (long long)version, STORE_SCHEMA);
    return OK;
}

/* From 1 to 2. Another process may have been first: the version is read again under the write lock.
 */
static enum code move_schema(struct db *d, struct err *e) {
    int64_t version = 0;
    TRY(db_begin(d, true, e));
    enum code code = pragma(d, user_version, &version, e);
    if (code == OK && version == 1)
        code = db_script(d, schema_2, e);
    return db_end(d, code, e);
}

static enum code move_on(struct store *s, const char *database, struct err *e) {
    struct db d;
    TRY(db_open(&d, s->folder, database, DB_WRITE, e));
    enum code code = db_is_readonly(&d)
                         ? fail(e, DENIED,
                                "store '%s' is of an older slipway and read-only for "
                                "this user: run 'slipway list' once as its owner",
                                s->folder)
                         : OK;
    if (code == OK) {
        db_lock(&d);
        code = move_schema(&d, e);
        db_unlock(&d);
    }
    db_close(&d);
    return code;
}

static enum code open_and_check(struct store *s, const char *database, enum db_mode mode,
                                struct err *e) {
    TRY(db_open(&s->reader, s->folder, database, mode, e));
    db_lock(&s->reader);
    enum code code = check_schema(&s->reader, e);
    db_unlock(&s->reader);
    if (code != OK) {
        int failure = s->reader.failure;
        db_close(&s->reader);
        s->reader.failure = failure;
    }
    return code;
}

/* SQLite keeps the shared memory of a WAL database beside it. Where this user may not create it (a
 * folder or a disk that is read-only) and no other process has it open, the file can still be read
 * as it is, if its log is empty. */
static enum code open_reader(struct store *s, const char *database, struct err *e) {
    struct err first;
    enum code code = open_and_check(s, database, DB_READ, &first);
    int kind = s->reader.failure & 0xff;
    if (code == OK)
        return OK;
    if ((kind != SQLITE_CANTOPEN && kind != SQLITE_READONLY) || access(s->root, W_OK) == 0) {
        *e = first;
        return code;
    }
    char log[PATH_BYTES + 8];
    struct stat st;
    snprintf(log, sizeof log, "%s-wal", database);
    if (stat(log, &st) == 0 && st.st_size > 0)
        return fail(e, DENIED,
                    "store '%s' is read-only for this user and was not closed properly: "
                    "run 'slipway list' once as its owner",
                    s->folder);
    return open_and_check(s, database, DB_IMMUTABLE, e);
}

static enum code newest_schema(struct store *s, const char *database, struct err *e) {
    int64_t version = 0;
    db_lock(&s->reader);
    enum code code = pragma(&s->reader, user_version, &version, e);
    db_unlock(&s->reader);
    TRY(code);
    return version < STORE_SCHEMA ? move_on(s, database, e) : OK;
}

static enum code open_parts(struct store *s, bool make, struct err *e) {
    char database[PATH_BYTES], objects[PATH_BYTES];
    TRY(join(s->root, "store.db", database, e));
    TRY(join(s->root, "objects", objects, e));
    struct stat st;
    if (stat(database, &st) != 0) {
        if (errno != ENOENT)
            return fail_errno(e, errno, "store '%s': cannot examine store.db", s->folder);
        if (!make)
            return fail(e, NOT_FOUND, "no store in '%s': the first 'slipway add' makes one",
                        s->folder);
        TRY(create(s, database, e));
    }
    TRY(open_reader(s, database, e));
    TRY(newest_schema(s, database, e));
    s->objects_fd = open_folder(objects);
    if (s->objects_fd < 0)
        return fail_errno(e, errno, "store '%s': cannot open objects/", s->folder);
    return OK;
}

/* The absolute path, so that a later chdir changes nothing. Owned by the caller. */
static enum code absolute(const char *folder, bool make, char **out, struct err *e) {
    if (make)
        TRY(file_mkdirs(folder, e));
    char path[PATH_BYTES];
    if (!realpath(folder, path)) {
        if (errno == ENOENT || errno == ENOTDIR)
            return fail(e, NOT_FOUND, "no store in '%s': the folder does not exist", folder);
        return fail_errno(e, errno, "store '%s': cannot open the folder", folder);
    }
    *out = mem_strdup(path);
    return *out ? OK : fail(e, NOMEM, "store '%s': out of memory", folder);
}

enum code store_open(const char *folder, bool make, struct store **out, struct err *e) {
    struct store *s = mem_zalloc(1, sizeof *s);
    if (!s)
        return fail(e, NOMEM, "store '%s': out of memory", folder);
    s->objects_fd = s->drafts_fd = -1;
    pthread_mutex_init(&s->write_lock, NULL);
    blob_table_init(&s->blobs);
    s->folder = mem_strdup(folder);
    enum code code = s->folder ? OK : fail(e, NOMEM, "store '%s': out of memory", folder);
    if (code == OK)
        code = absolute(folder, make, &s->root, e);
    if (code == OK)
        code = open_parts(s, make, e);
    if (code == OK)
        *out = s;
    else
        store_close(s);
    return code;
}

void store_close(struct store *s) {
    if (!s)
        return;
    db_close(&s->writer);
    db_close(&s->reader);
    if (s->drafts_fd >= 0)
        close(s->drafts_fd);
    if (s->objects_fd >= 0)
        close(s->objects_fd);
    blob_table_deinit(&s->blobs);
    pthread_mutex_destroy(&s->write_lock);
    mem_free(s->folder);
    mem_free(s->root);
    mem_free(s);
}

const char *store_folder(const struct store *s) { return s->folder; }

void store_hide(const struct store *s, char *text) {
    size_t n = strlen(s->folder);
    for (char *at = text; (at = strstr(at, "store '")); at++) {
        char *end = at + strlen("store '") + n;
        if (strncmp(end - n, s->folder, n) != 0 || *end != '\'')
            continue;
        bool article = at >= text + 4 && memcmp(at - 4, "the ", 4) == 0;
        const char *said = article ? "store" : "the store";
        memcpy(at, said, strlen(said));
        memmove(at + strlen(said), end + 1, strlen(end + 1) + 1);
    }
}

/* --- transactions --- */

static enum code open_writer(struct store *s, struct err *e) {
    char database[PATH_BYTES], drafts[PATH_BYTES];
    TRY(join(s->root, "store.db", database, e));
    TRY(join(s->root, "drafts", drafts, e));
    if (s->drafts_fd < 0) {
        TRY(file_mkdirs(drafts, e));
        s->drafts_fd = open_folder(drafts);
        if (s->drafts_fd < 0)
            return fail_errno(e, errno, "store '%s': cannot open drafts/", s->folder);
    }
    TRY(db_open(&s->writer, s->folder, database, DB_WRITE, e));
    if (!db_is_readonly(&s->writer))
        return OK;
    db_close(&s->writer);
    return fail(e, DENIED, "store '%s' is read-only for this user", s->folder);
}

enum code store_writable(struct store *s, struct err *e) {
    pthread_mutex_lock(&s->write_lock);
    enum code code = s->writer.handle ? OK : open_writer(s, e);
    pthread_mutex_unlock(&s->write_lock);
    return code;
}

/* A newer program may have moved the schema on since we opened the store. */
static enum code same_schema(struct db *d, struct err *e) {
    int64_t version = 0;
    TRY(pragma(d, user_version, &version, e));
    if (version != STORE_SCHEMA)
        return fail(e, UNSUPPORTED,
                    "store '%s' was moved to schema %lld by a newer slipway: restart with that one",
                    d->folder, (long long)version);
    return OK;
}

enum code store_begin(struct store *s, struct err *e) {
    TRY(store_writable(s, e));
    db_lock(&s->writer);
    enum code code = db_begin(&s->writer, true, e);
    if (code == OK)
        code = same_schema(&s->writer, e);
    return code == OK ? OK : store_end(s, code, e);
}

enum code store_end(struct store *s, enum code code, struct err *e) {
    code = db_end(&s->writer, code, e);
    db_unlock(&s->writer);
    return code;
}

enum code store_look(struct store *s, struct err *e) {
    db_lock(&s->reader);
    enum code code = db_begin(&s->reader, false, e);
    return code == OK ? OK : store_seen(s, code, e);
}

enum code store_seen(struct store *s, enum code code, struct err *e) {
    code = db_end(&s->reader, code, e);
    db_unlock(&s->reader);
    return code;
}

enum code store_generation(struct store *s, uint64_t *out, struct err *e) {
    static const char data_version[] = "PRAGMA data_version";
    int64_t version = 0;
    db_lock(&s->reader); /* it never writes, so every commit is somebody else's to it */
    enum code code = pragma(&s->reader, data_version, &version, e);
    db_unlock(&s->reader);
    if (code == OK)
        *out = (uint64_t)version;
    return code;
}
