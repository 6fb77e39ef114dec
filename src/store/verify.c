/* SPDX-License-Identifier: Apache-2.0 */
/* Verifying a store: the database's own structure, every version's tables, every blob's bytes.
 * Changes nothing, holds no lock while it hashes; what a gc or a remove takes away meanwhile is not
 * called damage. */
#include "store/object.h"
#include "store/packfile.h"
#include "store/record.h"
#include "store/tuples.h"
#include "store/version.h"

#include "base/fault.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CHUNK = 1 << 20, PAGE = 512, LINE = 600 };
#define ARENA_BYTES ((size_t)1 << 30)

struct check {
    struct store *store;
    void (*complain)(void *ctx, const char *line);
    void *ctx;
    struct store_verdict verdict;
    struct arena arena;
    uint8_t *chunk; /* owned; CHUNK bytes */
};

static void bad(struct check *c, const char *line) {
    c->verdict.bad++;
    if (c->complain)
        c->complain(c->ctx, line);
}

/* --- blobs --- */

struct listed {
    int64_t id;
    uint8_t hash[SHA256_BYTES];
    uint64_t size;
};

static ssize_t read_some(int fd, void *to, size_t n) {
    if (FAULT(FAULT_READ)) {
        errno = EIO;
        return -1;
    }
    ssize_t got;
    do
        got = read(fd, to, n);
    while (got < 0 && errno == EINTR);
    return got;
}

/* By read, not by map: a bad sector is then an error code and not a signal. *number: errno, or 0.
 */
static void hash_fd(struct check *c, int fd, uint8_t hash[SHA256_BYTES], uint64_t *size,
                    int *number) {
    struct sha256 h;
    uint64_t n = 0;
    ssize_t got;
    sha256_begin(&h);
    while ((got = read_some(fd, c->chunk, CHUNK)) > 0) {
        sha256_add(&h, c->chunk, (size_t)got);
        n += (uint64_t)got;
    }
    *number = got < 0 ? errno : 0;
    *size = n;
    sha256_end(&h, hash);
}

/* One line on what is wrong with a blob into `line`, or "" when nothing is. */
static enum code examine(struct check *c, const struct listed *b, char line[LINE], struct err *e) {
    char name[OBJECT_NAME];
    uint8_t hash[SHA256_BYTES];
    uint64_t size = 0;
    int number = 0;
    line[0] = '\0';
    object_name(b->hash, name);
    int fd = object_open(c->store, name);
    if (fd < 0) {
        if (errno != ENOENT && errno != ELOOP && errno != EACCES)
            return fail_errno(e, errno, "store '%s': cannot open blob %s", c->store->folder, name);
        snprintf(line, LINE, "blob %s: %s", name, errno == ENOENT ? "missing" : strerror(errno));
        return OK;
    }
    posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    hash_fd(c, fd, hash, &size, &number);
    close(fd);
    if (number)
        snprintf(line, LINE, "blob %s: cannot read it: %s", name, strerror(number));
    else if (size != b->size)
        snprintf(line, LINE, "blob %s: has %llu bytes, should have %llu", name,
                 (unsigned long long)size, (unsigned long long)b->size);
    else if (memcmp(hash, b->hash, SHA256_BYTES) != 0)
        snprintf(line, LINE, "blob %s: its bytes were changed (they hash to something else)", name);
    return OK;
}

static enum code check_blob(struct check *c, const struct listed *b, struct err *e) {
    char line[LINE];
    bool named = true;
    TRY(examine(c, b, line, e));
    if (line[0])
        TRY(record_blob_named(c->store, b->hash, &named, e));
    if (!named)
        return OK;
    if (line[0])
        bad(c, line);
    c->verdict.blobs++;
    c->verdict.bytes += b->size;
    return OK;
}

static enum code read_listed(const struct query *q, struct tuples *r, void *element,
                             struct err *e) {
    (void)r;
    struct listed *b = element;
    struct span hash = query_bytes(q, 1);
    if (hash.n != SHA256_BYTES)
        return fail(e, CORRUPT, "store '%s': a blob's hash has %zu bytes", q->db->folder, hash.n);
    b->id = query_int(q, 0);
    memcpy(b->hash, hash.p, SHA256_BYTES);
    b->size = (uint64_t)query_int(q, 2);
    return OK;
}

static enum code next_blobs(struct db *d, int64_t after, struct tuples *r, struct err *e) {
    static const char find[] = "SELECT id, hash, size FROM blob WHERE id > ?1 ORDER BY id LIMIT ?2";
    struct query q;
    TRY(query_begin(&q, d, find, DB_BIND(db_int(after), db_int(PAGE)), e));
    return tuples_read(r, &q, e);
}

static enum code check_blobs(struct check *c, struct err *e) {
    struct arena_mark mark = arena_mark(&c->arena);
    for (int64_t after = 0;;) {
        struct tuples r = {
            .arena = &c->arena, .row_bytes = sizeof(struct listed), .read = read_listed};
        TRY(store_look(c->store, e));
        TRY(store_seen(c->store, next_blobs(&c->store->reader, after, &r, e), e));
        const struct listed *blobs = r.p;
        for (size_t i = 0; i < r.n; i++)
            TRY(check_blob(c, &blobs[i], e));
        if (r.n == 0)
            return OK;
        after = blobs[r.n - 1].id;
        arena_reset(&c->arena, mark);
    }
}

/* --- packs --- */

/* The checksum of a pack's bytes, and its trailer; false: it cannot be read. */
static bool read_pack(struct check *c, int fd, uint64_t bytes, uint32_t *crc,
                      uint8_t trailer[PACKFILE_TRAILER]) {
    ssize_t got = 1;
    *crc = 0;
    for (uint64_t done = 0; done < bytes && got > 0; done += (uint64_t)got) {
        size_t left = bytes - done < CHUNK ? (size_t)(bytes - done) : CHUNK;
        got = read_some(fd, c->chunk, left);
        *crc = got > 0 ? crc32c(*crc, c->chunk, (size_t)got) : 0;
    }
    return got > 0 && read_some(fd, trailer, PACKFILE_TRAILER) == PACKFILE_TRAILER;
}

static enum code check_pack(void *ctx, const struct packfile *f, struct err *e) {
    struct check *c = ctx;
    uint8_t trailer[PACKFILE_TRAILER];
    uint32_t crc;
    int fd = openat(f->folder_fd, f->name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return errno == ENOENT
                   ? OK
                   : fail_errno(e, errno, "store '%s': cannot open %s", c->store->folder, f->path);
    uint64_t size = (uint64_t)f->st.st_size, bytes = size - PACKFILE_TRAILER;
    bool good = size > PACKFILE_TRAILER && read_pack(c, fd, bytes, &crc, trailer) &&
                packfile_trailer_is(trailer, f->path, bytes, &crc);
    close(fd);
    c->verdict.packs++;
    if (good)
        return OK;
    char line[LINE];
    c->verdict.bad_packs++;
    snprintf(line, LINE, "pack %.400s: damaged", f->path + 3);
    if (c->complain)
        c->complain(c->ctx, line);
    return OK;
}

/* --- versions --- */

struct named {
    struct str model;
    uint64_t number;
};

static enum code read_named(const struct query *q, struct tuples *r, void *element, struct err *e) {
    struct named *v = element;
    v->number = (uint64_t)query_int(q, 1);
    return tuples_text(r, q, 0, &v->model, e);
}

static enum code all_versions(struct db *d, struct tuples *r, struct err *e) {
    static const char find[] =
        "SELECT m.name, v.number FROM version v JOIN model m ON m.id = v.model_id"
        " ORDER BY m.name, v.number";
    struct query q;
    TRY(query_begin(&q, d, find, DB_NONE, e));
    return tuples_read(r, &q, e);
}

static enum code check_version(struct check *c, const struct named *v, struct err *e) {
    struct version_tables tables;
    struct store *s = c->store;
    struct err own;
    char line[LINE];
    TRY(store_look(s, e));
    enum code code = store_seen(
        s, version_read(&s->reader, v->model, v->number, &c->arena, &tables, &own), &own);
    if (code == ERR_NOT_FOUND) /* removed meanwhile */
        return OK;
    if (code != OK && code != ERR_CORRUPT) {
        *e = own;
        return code;
    }
    c->verdict.versions++;
    if (code == ERR_CORRUPT) {
        snprintf(line, sizeof line, "%.*s@%llu: %.440s", STR(v->model),
                 (unsigned long long)v->number, own.text);
        bad(c, line);
    }
    return OK;
}

static enum code check_versions(struct check *c, struct err *e) {
    struct tuples r = {.arena = &c->arena, .row_bytes = sizeof(struct named), .read = read_named};
    TRY(store_look(c->store, e));
    TRY(store_seen(c->store, all_versions(&c->store->reader, &r, e), e));
    for (size_t i = 0; i < r.n; i++) {
        struct arena_mark mark = arena_mark(&c->arena);
        TRY(check_version(c, &((const struct named *)r.p)[i], e));
        arena_reset(&c->arena, mark);
    }
    return OK;
}

/* --- the database --- */

static enum code read_line(const struct query *q, struct tuples *r, void *element, struct err *e) {
    return tuples_text(r, q, 0, element, e);
}

static enum code database_lines(struct db *d, struct tuples *r, struct err *e) {
    static const char quick[] = "PRAGMA quick_check(20)";
    struct query q;
    TRY(query_begin(&q, d, quick, DB_NONE, e));
    return tuples_read(r, &q, e);
}

static enum code check_database(struct check *c, struct err *e) {
    struct tuples r = {.arena = &c->arena, .row_bytes = sizeof(struct str), .read = read_line};
    TRY(store_look(c->store, e));
    TRY(store_seen(c->store, database_lines(&c->store->reader, &r, e), e));
    for (size_t i = 0; i < r.n; i++) {
        struct str text = ((const struct str *)r.p)[i];
        char line[LINE];
        if (str_is(text, "ok"))
            continue;
        snprintf(line, sizeof line, "store.db: %.500s", text.p ? text.p : "");
        bad(c, line);
    }
    return OK;
}

enum code store_verify(struct store *s, void (*complain)(void *ctx, const char *line), void *ctx,
                       struct store_verdict *out, struct err *e) {
    struct check c = {.store = s, .complain = complain, .ctx = ctx, .chunk = mem_alloc(CHUNK)};
    if (!c.chunk)
        return fail(e, NOMEM, "store '%s': out of memory for verifying", s->folder);
    arena_init(&c.arena, ARENA_BYTES);
    enum code code = check_database(&c, e);
    if (code == OK)
        code = check_versions(&c, e);
    if (code == OK)
        code = check_blobs(&c, e);
    if (code == OK)
        code = packfile_each(s, check_pack, &c, e);
    arena_deinit(&c.arena);
    mem_free(c.chunk);
    if (code == OK)
        *out = c.verdict;
    return code;
}
