/* SPDX-License-Identifier: Apache-2.0 */
/* Blobs as files: see object.h. */
#include "store/object.h"

#include "base/fault.h"
#include "base/thread.h"
#include "store/in.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    WRITE_EXTENTS = 64,
    WRITE_BYTES = 8 << 20,
    FLUSHERS = 4,    /* threads beside the caller's */
    FLUSH_ALONE = 8, /* files: from here on helpers pay */
    FOLDERS = 64,    /* open at a time */
    FOLDER_NAME = 3,
};

static const uint8_t zeros[LAYOUT_ALIGN];

/* --- the calls that can be made to fail --- */

static int open_in(int folder_fd, const char *name, int flags) {
    if (FAULT(FAULT_OPEN)) {
        errno = flags & O_CREAT ? ENOSPC : EMFILE;
        return -1;
    }
    int fd;
    do
        fd = openat(folder_fd, name, flags | O_CLOEXEC | O_NOFOLLOW, 0444);
    while (fd < 0 && errno == EINTR);
    return fd;
}

static ssize_t write_some(int fd, const struct iovec *iov, int n) {
    if (FAULT(FAULT_WRITE)) {
        errno = ENOSPC;
        return -1;
    }
    ssize_t put;
    do
        put = writev(fd, iov, n);
    while (put < 0 && errno == EINTR);
    return put;
}

static int sync_fd(int fd) {
    if (FAULT(FAULT_FSYNC)) {
        errno = EIO;
        return -1;
    }
    return fsync(fd);
}

static int rename_in(int from_fd, const char *from, int to_fd, const char *to) {
    if (FAULT(FAULT_RENAME)) {
        errno = EIO;
        return -1;
    }
    return renameat(from_fd, from, to_fd, to);
}

/* --- single blobs --- */

void object_name(const uint8_t hash[SHA256_BYTES], char name[OBJECT_NAME]) {
    char hex[SHA256_HEX + 1];
    hex_put(hash, SHA256_BYTES, hex);
    snprintf(name, OBJECT_NAME, "%.2s/%.62s", hex, hex + 2);
}

int object_open(struct store *s, const char *name) {
    return open_in(s->objects_fd, name, O_RDONLY | O_NONBLOCK);
}

enum code object_present(struct store *s, const uint8_t hash[SHA256_BYTES], uint64_t size,
                         bool *present, struct err *e) {
    char name[OBJECT_NAME];
    struct stat st;
    object_name(hash, name);
    if (fstatat(s->objects_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        *present = S_ISREG(st.st_mode) && (uint64_t)st.st_size == size;
        return OK;
    }
    if (errno != ENOENT && errno != ENOTDIR)
        return fail_errno(e, errno, "store '%s': cannot examine blob %s", s->folder, name);
    *present = false;
    return OK;
}

void object_touch(struct store *s, const uint8_t hash[SHA256_BYTES]) {
    char name[OBJECT_NAME];
    object_name(hash, name);
    utimensat(s->objects_fd, name, NULL, AT_SYMLINK_NOFOLLOW);
}

enum code object_unlink(struct store *s, const char *name, struct err *e) {
    if (unlinkat(s->objects_fd, name, 0) != 0 && errno != ENOENT)
        return fail_errno(e, errno, "store '%s': cannot remove blob %s", s->folder, name);
    return OK;
}

/* --- drafts --- */

enum code object_draft_name(struct store *s, const char *prefix, char name[OBJECT_DRAFT],
                            struct err *e) {
    uint8_t bytes[16];
    char hex[33];
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
        return fail_errno(e, errno, "store '%s': no random bytes for the name of a draft",
                          s->folder);
    hex_put(bytes, sizeof bytes, hex);
    snprintf(name, OBJECT_DRAFT, "%s-%s", prefix, hex);
    return OK;
}

/* A file system that cannot reserve room (EOPNOTSUPP) does without. */
static int reserve(int fd) {
    if (FAULT(FAULT_WRITE))
        return ENOSPC;
    return fallocate(fd, 0, 0, OBJECT_BALLAST_BYTES) == 0 || errno == EOPNOTSUPP ? 0 : errno;
}

enum code object_ballast_take(struct store *s, struct object_ballast *b, struct err *e) {
    struct object_ballast got;
    TRY(object_draft_name(s, "room", got.name, e));
    int fd = open_in(s->drafts_fd, got.name, O_WRONLY | O_CREAT | O_EXCL);
    if (fd < 0)
        return fail_errno(e, errno, "store '%s': cannot create a file in drafts/", s->folder);
    int number = reserve(fd);
    close(fd);
    if (number != 0) {
        object_ballast_drop(s, &got);
        return fail_errno(e, number, "store '%s': cannot reserve %d bytes", s->folder,
                          OBJECT_BALLAST_BYTES);
    }
    *b = got;
    return OK;
}

void object_ballast_drop(struct store *s, struct object_ballast *b) {
    if (b->name[0])
        unlinkat(s->drafts_fd, b->name, 0);
    b->name[0] = '\0';
}

/* Where writing is within a list of extents. */
struct cursor {
    const struct layout_extent *extents;
    size_t n, at, done; /* done: bytes of extents[at] already written */
};

/* The next bytes to write; 0 at the end. */
static int next_iov(const struct cursor *c, struct iovec iov[WRITE_EXTENTS]) {
    size_t bytes = 0, done = c->done;
    int n = 0;
    for (size_t at = c->at; at < c->n && n < WRITE_EXTENTS && bytes < WRITE_BYTES; at++) {
        const struct layout_extent *x = &c->extents[at];
        size_t len = x->n - done < WRITE_BYTES - bytes ? x->n - done : WRITE_BYTES - bytes;
        iov[n++] = (struct iovec){(void *)(uintptr_t)((x->p ? x->p : zeros) + done), len};
        bytes += len;
        done = 0;
    }
    return n;
}

static void advance(struct cursor *c, size_t bytes) {
    while (bytes > 0) {
        size_t left = c->extents[c->at].n - c->done;
        if (bytes < left) {
            c->done += bytes;
            return;
        }
        bytes -= left;
        c->at++;
        c->done = 0;
    }
}

/* The blob's bytes into fd. Reading them from the source's map and writing happen in the kernel: no
 * copy here. */
static enum code write_blob(int fd, const struct layout_blob *blob, void (*told)(void *, uint64_t),
                            void *ctx, const char *folder, struct err *e) {
    struct cursor c = {.extents = blob->extents, .n = blob->n_extents};
    struct iovec iov[WRITE_EXTENTS];
    for (int n; (n = next_iov(&c, iov)) > 0;) {
        ssize_t put = write_some(fd, iov, n);
        if (put <= 0)
            return fail_errno(e, put < 0 ? errno : ENOSPC,
                              "store '%s': cannot write a blob of %llu bytes", folder,
                              (unsigned long long)blob->size);
        advance(&c, (size_t)put);
        if (told)
            told(ctx, (uint64_t)put);
    }
    return OK;
}

static enum code write_and_rename(struct store *s, const char *draft,
                                  const struct layout_blob *blob, const char *name, struct err *e) {
    int fd = open_in(s->drafts_fd, draft, O_WRONLY | O_CREAT | O_EXCL);
    if (fd < 0)
        return fail_errno(e, errno, "store '%s': cannot create a file in drafts/", s->folder);
    enum code code = write_blob(fd, blob, NULL, NULL, s->folder, e);
    if (code == OK && sync_fd(fd) != 0)
        code = fail_errno(e, errno, "store '%s': cannot flush %s to disk", s->folder, name);
    close(fd);
    if (code == OK && rename_in(s->drafts_fd, draft, s->objects_fd, name) != 0)
        code = fail_errno(e, errno, "store '%s': cannot move a draft to %s", s->folder, name);
    return code;
}

enum code object_publish(struct store *s, const char *prefix, const struct layout_blob *blob,
                         const char *name, struct err *e) {
    char draft[OBJECT_DRAFT];
    TRY(object_draft_name(s, prefix, draft, e));
    enum code code = write_and_rename(s, draft, blob, name, e);
    if (code != OK)
        (void)unlinkat(s->drafts_fd, draft, 0);
    return code;
}

void object_batch_init(struct object_batch *b, struct store *s) {
    b->store = s;
    b->n = 0;
    b->bytes = 0;
    memset(b->unsettled, 0, sizeof b->unsettled);
}

enum code object_batch_put(struct object_batch *b, const struct layout_blob *blob,
                           void (*told)(void *, uint64_t), void *ctx, struct err *e) {
    struct store *s = b->store;
    if (b->n == OBJECT_BATCH || (b->n > 0 && b->bytes + blob->size > OBJECT_BATCH_BYTES))
        TRY(object_batch_flush(b, e));
    struct object_draft *d = &b->drafts[b->n];
    TRY(object_draft_name(s, "blob", d->name, e));
    d->fd = open_in(s->drafts_fd, d->name, O_WRONLY | O_CREAT | O_EXCL);
    if (d->fd < 0)
        return fail_errno(e, errno, "store '%s': cannot create a file in drafts/", s->folder);
    memcpy(d->hash, blob->hash, SHA256_BYTES);
    b->n++; /* from here on drop cleans it up */
    b->bytes += blob->size;
    TRY(write_blob(d->fd, blob, told, ctx, s->folder, e));
    sync_file_range(
        d->fd, 0, 0,
        SYNC_FILE_RANGE_WRITE); /* begins write-back; a hint, its result does not matter */
    return OK;
}

void object_batch_unsettle(struct object_batch *b, const uint8_t hash[SHA256_BYTES]) {
    b->unsettled[hash[0] / 8] |= (uint8_t)(1u << (hash[0] % 8));
}

/* Flushes one after the other wait for the disk each; side by side, the file system commits once
 * for many: 200 files of 64 KiB take 600 ms and 6 ms (docs/measurements/store.md). */
struct flush {
    const int *fds;
    size_t n;
    int ignored; /* an errno that is none */
    _Atomic size_t next;
    _Atomic int number; /* the errno of one that failed */
};

static void *flush_some(void *arg) {
    struct flush *f = arg;
    for (size_t i; (i = atomic_fetch_add(&f->next, 1)) < f->n;)
        if (sync_fd(f->fds[i]) != 0 && errno != f->ignored)
            atomic_store(&f->number, errno);
    return NULL;
}

/* 0, or the errno of one that failed. */
static int flush_all(const int *fds, size_t n, int ignored) {
    struct flush f = {.fds = fds, .n = n, .ignored = ignored};
    pthread_t helpers[FLUSHERS];
    size_t n_helpers = 0;
    struct err fewer;
    while (n >= FLUSH_ALONE && n_helpers < FLUSHERS &&
           thread_start(&helpers[n_helpers], "store-flush", flush_some, &f, &fewer) == OK)
        n_helpers++;
    flush_some(&f);
    while (n_helpers > 0)
        pthread_join(helpers[--n_helpers], NULL);
    return f.number;
}

static enum code sync_drafts(struct object_batch *b, struct err *e) {
    int fds[OBJECT_BATCH];
    for (size_t i = 0; i < b->n; i++)
        fds[i] = b->drafts[i].fd;
    int number = flush_all(fds, b->n, 0);
    for (size_t i = 0; i < b->n && number == 0; i++) {
        b->drafts[i].fd = -1;
        if (close(fds[i]) != 0 && errno != EINTR)
            number = errno;
    }
    if (number != 0)
        return fail_errno(e, number, "store '%s': cannot flush a blob to disk", b->store->folder);
    return OK;
}

/* drafts/NAME becomes objects/ab/cdef...; the folder is made when it is the first in it. */
static enum code reveal(struct store *s, const struct object_draft *d, struct err *e) {
    char name[OBJECT_NAME], folder[3];
    object_name(d->hash, name);
    if (rename_in(s->drafts_fd, d->name, s->objects_fd, name) == 0)
        return OK;
    if (errno != ENOENT)
        return fail_errno(e, errno, "store '%s': cannot move a draft to objects/%s", s->folder,
                          name);
    snprintf(folder, sizeof folder, "%.2s", name);
    if (mkdirat(s->objects_fd, folder, 0755) != 0 && errno != EEXIST)
        return fail_errno(e, errno, "store '%s': cannot make objects/%s", s->folder, folder);
    if (rename_in(s->drafts_fd, d->name, s->objects_fd, name) == 0 ||
        errno == ENOENT) /* ENOENT: gc took the draft */
        return OK;
    return fail_errno(e, errno, "store '%s': cannot move a draft to objects/%s", s->folder, name);
}

enum code object_batch_flush(struct object_batch *b, struct err *e) {
    TRY(sync_drafts(b, e));
    for (size_t i = 0; i < b->n; i++) {
        TRY(reveal(b->store, &b->drafts[i], e));
        object_batch_unsettle(b, b->drafts[i].hash);
    }
    b->n = 0;
    b->bytes = 0;
    return OK;
}

/* Closes what was opened, whatever happens. */
static enum code sync_folders(struct store *s, const char (*names)[FOLDER_NAME], size_t n,
                              struct err *e) {
    int fds[FOLDERS] = {0};
    size_t opened = 0;
    enum code code = OK;
    for (; opened < n && code == OK; opened += code == OK) {
        fds[opened] = open_in(s->objects_fd, names[opened], O_RDONLY | O_DIRECTORY);
        if (fds[opened] < 0)
            code = fail_errno(e, errno, "store '%s': cannot open objects/%s", s->folder,
                              names[opened]);
    }
    /* EINVAL: a file system without fsync of folders */
    int number = code == OK ? flush_all(fds, n, EINVAL) : 0;
    while (opened > 0)
        close(fds[--opened]);
    if (number != 0)
        return fail_errno(e, number, "store '%s': cannot flush the folders of objects/ to disk",
                          s->folder);
    return code;
}

enum code object_batch_settle(struct object_batch *b, struct err *e) {
    /* "." always: another process may have made objects/ab and not yet flushed that name */
    char names[FOLDERS][FOLDER_NAME] = {"."};
    size_t n = 1;
    bool any = false;
    for (unsigned folder = 0; folder < 256; folder++) {
        if (!(b->unsettled[folder / 8] >> (folder % 8) & 1))
            continue;
        any = true;
        snprintf(names[n++], FOLDER_NAME, "%02x", folder);
        if (n == FOLDERS) {
            TRY(sync_folders(b->store, names, n, e));
            n = 0;
        }
    }
    if (any)
        TRY(sync_folders(b->store, names, n, e));
    memset(b->unsettled, 0, sizeof b->unsettled);
    return OK;
}

void object_batch_drop(struct object_batch *b) {
    for (size_t i = 0; i < b->n; i++) {
        if (b->drafts[i].fd >= 0)
            close(b->drafts[i].fd);
        unlinkat(b->store->drafts_fd, b->drafts[i].name, 0); /* ENOENT when it is visible already */
    }
    b->n = 0;
    b->bytes = 0;
}
