/* SPDX-License-Identifier: Apache-2.0 */
/* Garbage: blobs that no version names, packs made of them, and drafts that were never finished.
 *
 * 1. A blob is unlinked only under the database's write lock, after looking that no version names
 *    it (record.c says why that makes every committed version complete).
 * 2. Before the first unlink gc commits a row of its own, so that no failed commit can come back
 *    from the log.
 * 3. Only files with the names we give are touched. */
#include "store/gc.h"

#include "base/clock.h"
#include "store/in.h"
#include "store/object.h"
#include "store/packfile.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BATCH = 256, ROOM_HASHES = 1 << 30 };

static int64_t changed_us(const struct stat *st) {
    return (int64_t)st->st_mtim.tv_sec * 1000000 + st->st_mtim.tv_nsec / 1000;
}

/* --- unlinking --- */

static enum code fence(struct store *s, struct err *e) {
    static const char upsert[] = "INSERT INTO upkeep (what, at_us) VALUES ('gc', ?1)"
                                 " ON CONFLICT DO UPDATE SET at_us = excluded.at_us";
    TRY(store_begin(s, e));
    enum code code = db_run(&s->writer, upsert, DB_BIND(db_int((int64_t)clock_wall_us())), e);
    return store_end(s, code, e);
}

static enum code is_named(struct db *d, const uint8_t *hash, bool *named, struct err *e) {
    static const char find[] = "SELECT 1 FROM blob WHERE hash = ?1";
    int64_t one = 0;
    return db_one(d, find, DB_BIND(db_bytes(hash, SHA256_BYTES)), &one, named, e);
}

static enum code unlink_one(struct store *s, const uint8_t *hash, int64_t limit_us,
                            struct store_swept *out, struct err *e) {
    char name[OBJECT_NAME];
    struct stat st;
    bool named = false;
    TRY(is_named(&s->writer, hash, &named, e));
    object_name(hash, name);
    if (named || fstatat(s->objects_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
        changed_us(&st) > limit_us)
        return OK;
    TRY(object_unlink(s, name, e));
    out->blobs++;
    out->bytes += (uint64_t)st.st_size;
    return OK;
}

/* The write lock is held for one batch at a time: adds of other processes get their turn in
 * between. */
static enum code unlink_batch(struct store *s, const char *hashes, size_t n, int64_t limit_us,
                              struct store_swept *out, struct err *e) {
    enum code code = OK;
    TRY(store_begin(s, e));
    for (size_t i = 0; i < n && code == OK; i++)
        code = unlink_one(s, (const uint8_t *)hashes + i * SHA256_BYTES, limit_us, out, e);
    return store_end(s, code, e);
}

enum code gc_unlink(struct store *s, const struct buf *hashes, int64_t limit_us,
                    struct store_swept *out, struct err *e) {
    struct store_swept swept = {0};
    TRY(buf_check(hashes, "a list of blobs", e));
    TRY(fence(s, e));
    size_t n = hashes->n / SHA256_BYTES;
    for (size_t at = 0; at < n; at += BATCH)
        TRY(unlink_batch(s, hashes->p + at * SHA256_BYTES, n - at < BATCH ? n - at : BATCH,
                         limit_us, &swept, e));
    *out = swept;
    return OK;
}

/* --- finding --- */

struct sweep {
    struct store *store;
    int64_t limit_us;
    bool dry;
    struct store_swept found;
    struct buf hashes; /* of blobs found */
};

/* Calls visit for each regular file of a folder that is old enough. The folder may be absent. */
static enum code walk(struct sweep *w, int at_fd, const char *folder,
                      enum code (*visit)(struct sweep *, int folder_fd, const char *folder,
                                         const char *name, uint64_t size, struct err *),
                      struct err *e) {
    int fd = openat(at_fd, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return OK;
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        int number = errno;
        if (fd >= 0)
            close(fd);
        return fail_errno(e, number, "store '%s': cannot list the folder '%s'", w->store->folder,
                          folder);
    }
    enum code code = OK;
    for (struct dirent *entry; code == OK && (entry = readdir(dir));) {
        struct stat st;
        if (fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
            changed_us(&st) <= w->limit_us)
            code = visit(w, fd, folder, entry->d_name, (uint64_t)st.st_size, e);
    }
    closedir(dir);
    return code;
}

static enum code visit_blob(struct sweep *w, int folder_fd, const char *folder, const char *name,
                            uint64_t size, struct err *e) {
    (void)folder_fd;
    char hex[SHA256_HEX + 8];
    uint8_t hash[SHA256_BYTES];
    bool named = false;
    int n = snprintf(hex, sizeof hex, "%s%s", folder, name);
    if (n != SHA256_HEX || !hex_take((struct str){hex, SHA256_HEX}, hash, SHA256_BYTES))
        return OK;
    db_lock(&w->store->reader);
    enum code code = is_named(&w->store->reader, hash, &named, e);
    db_unlock(&w->store->reader);
    if (code != OK || named)
        return code;
    w->found.blobs++;
    w->found.bytes += size;
    buf_put(&w->hashes, hash, sizeof hash);
    return OK;
}

/* A pack whose piece no version names. It is a cache: no lock, no fence. */
static enum code visit_pack(void *ctx, const struct packfile *f, struct err *e) {
    struct sweep *w = ctx;
    bool named = false;
    if (changed_us(&f->st) > w->limit_us)
        return OK;
    db_lock(&w->store->reader);
    enum code code = is_named(&w->store->reader, f->piece, &named, e);
    db_unlock(&w->store->reader);
    if (code != OK || named)
        return code;
    if (!w->dry && unlinkat(f->folder_fd, f->name, 0) != 0 && errno != ENOENT)
        return fail_errno(e, errno, "store '%s': cannot remove %s", w->store->folder, f->path);
    w->found.packs++;
    w->found.bytes += (uint64_t)f->st.st_size;
    w->found.pack_bytes += (uint64_t)f->st.st_size;
    return OK;
}

static enum code visit_draft(struct sweep *w, int folder_fd, const char *folder, const char *name,
                             uint64_t size, struct err *e) {
    (void)folder;
    static const char *const prefixes[] = {"blob-", "room-", "store-", "pack-"};
    bool ours = false;
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
        ours = ours || str_starts(str_of(name), prefixes[i]);
    if (!ours)
        return OK;
    if (!w->dry && unlinkat(folder_fd, name, 0) != 0 && errno != ENOENT)
        return fail_errno(e, errno, "store '%s': cannot remove drafts/%s", w->store->folder, name);
    w->found.drafts++;
    w->found.bytes += size;
    return OK;
}

static enum code sweep(struct sweep *w, struct err *e) {
    struct store *s = w->store;
    for (unsigned first = 0; first < 256; first++) {
        char folder[3];
        snprintf(folder, sizeof folder, "%02x", first);
        TRY(walk(w, s->objects_fd, folder, visit_blob, e));
    }
    TRY(buf_check(&w->hashes, "a list of blobs", e));
    if (!w->dry &&
        w->hashes.n >
            0) { /* what really went; another gc may have been at it, or an add took some back */
        struct store_swept gone = {0};
        TRY(gc_unlink(s, &w->hashes, w->limit_us, &gone, e));
        w->found.blobs = gone.blobs;
        w->found.bytes = gone.bytes;
    }
    TRY(packfile_each(s, visit_pack, w, e));
    return walk(w, s->objects_fd, "../drafts", visit_draft, e);
}

enum code store_gc(struct store *s, uint64_t grace_s, bool dry, struct store_swept *out,
                   struct err *e) {
    int64_t now_us = (int64_t)clock_wall_us();
    if (!dry)
        TRY(store_writable(s, e));
    struct sweep w = {.store = s, .dry = dry};
    w.limit_us = grace_s < (uint64_t)now_us / 1000000 ? now_us - (int64_t)grace_s * 1000000 : 0;
    buf_init(&w.hashes, ROOM_HASHES);
    enum code code = sweep(&w, e);
    buf_deinit(&w.hashes);
    if (code == OK)
        *out = w.found;
    return code;
}
