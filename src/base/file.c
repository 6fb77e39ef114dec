/* SPDX-License-Identifier: Apache-2.0 */
/* Files: see file.h.
 *
 * The order that makes publishing atomic: write all, fsync the file, rename over the target, fsync
 * the folder. A crash before the rename leaves a .tmp- file and the old target; after it, the new
 * target. Failure (not a crash) unlinks the .tmp- file. After a failed fsync of the folder the new
 * target is in place but not yet promised to survive a power cut: the caller is told, and a
 * repeated publish of the same bytes is harmless. */
#include "base/file.h"

#include "base/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- the calls that can be made to fail --- */

static int open_at(const char *path, int flags, unsigned mode) {
    if (FAULT(FAULT_OPEN)) {
        errno = flags & O_CREAT ? ENOSPC : EMFILE;
        return -1;
    }
    int fd;
    do
        fd = open(path, flags | O_CLOEXEC, mode);
    while (fd < 0 && errno == EINTR);
    return fd;
}

static ssize_t read_some(int fd, void *to, size_t n) {
    if (FAULT(FAULT_READ)) {
        errno = EIO;
        return -1;
    }
    ssize_t got;
    do
        got = read(fd, to, n < 1 << 30 ? n : 1 << 30);
    while (got < 0 && errno == EINTR);
    return got;
}

static ssize_t write_some(int fd, const void *from, size_t n) {
    if (FAULT(FAULT_WRITE)) {
        errno = ENOSPC;
        return -1;
    }
    ssize_t put;
    do
        put = write(fd, from, n < 1 << 30 ? n : 1 << 30);
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

static int rename_to(const char *from, const char *to) {
    if (FAULT(FAULT_RENAME)) {
        errno = EIO;
        return -1;
    }
    return rename(from, to);
}

static void *map_fd(int fd, size_t n) {
    if (FAULT(FAULT_MMAP)) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    return mmap(NULL, n, PROT_READ, MAP_SHARED, fd, 0);
}

/* --- reading --- */

/* fd of an existing regular file and its size. O_NONBLOCK: a FIFO must not hang the open. */
static enum code open_regular(const char *path, int *fd, struct stat *st, struct err *e) {
    int got = open_at(path, O_RDONLY | O_NONBLOCK, 0);
    if (got < 0)
        return fail_errno(e, errno, "cannot open '%s'", path);
    if (fstat(got, st) != 0) {
        int number = errno;
        close(got);
        return fail_errno(e, number, "cannot examine '%s'", path);
    }
    if (!S_ISREG(st->st_mode)) {
        close(got);
        return fail(e, INVALID, "'%s' is %s, not a regular file", path,
                    S_ISDIR(st->st_mode) ? "a folder" : "a special file");
    }
    *fd = got;
    return OK;
}

/* Reads exactly n bytes; a file that shrank meanwhile is an error. */
static enum code read_all(int fd, const char *path, uint8_t *to, size_t n, struct err *e) {
    for (size_t have = 0; have < n;) {
        ssize_t got = read_some(fd, to + have, n - have);
        if (got < 0)
            return fail_errno(e, errno, "cannot read '%s'", path);
        if (got == 0)
            return fail(e, IO, "'%s' became shorter while it was read (%zu of %zu bytes)", path,
                        have, n);
        have += (size_t)got;
    }
    return OK;
}

enum code file_read(const char *path, size_t cap_bytes, struct arena *a, struct span *out,
                    struct err *e) {
    int fd;
    struct stat st;
    TRY(open_regular(path, &fd, &st, e));
    enum code code;
    uint64_t n = (uint64_t)st.st_size;
    uint8_t *bytes = NULL;
    if (n > cap_bytes)
        code = fail(e, LIMIT, "'%s' has %llu bytes, limit %zu", path, (unsigned long long)n,
                    cap_bytes);
    else if (!(bytes = arena_push(a, (size_t)n + 1)))
        code = arena_fail(a, (size_t)n + 1, path, e);
    else
        code = read_all(fd, path, bytes, (size_t)n, e);
    close(fd);
    if (code == OK)
        *out = (struct span){bytes, (size_t)n};
    return code;
}

enum code file_size(const char *path, uint64_t *bytes, struct err *e) {
    struct stat st;
    if (stat(path, &st) != 0)
        return fail_errno(e, errno, "cannot examine '%s'", path);
    *bytes = (uint64_t)st.st_size;
    return OK;
}

bool file_exists(const char *path) {
    struct stat st;
    return stat(path, &st) == 0;
}

/* The table never shrinks again: opening the last file of it once is enough. */
uint64_t file_room(uint64_t files) {
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) != 0)
        return 0;
    if (r.rlim_cur < files) {
        r.rlim_cur = files < r.rlim_max ? files : r.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &r); /* lowers nothing, stays below the hard limit */
    }
    uint64_t room = files < r.rlim_cur ? files : r.rlim_cur;
    int some = open_at("/", O_RDONLY | O_DIRECTORY, 0);
    int last = room && room <= INT_MAX ? fcntl(some, F_DUPFD_CLOEXEC, (int)room - 1) : -1;
    if (last >= 0)
        close(last);
    if (some >= 0)
        close(some);
    return room;
}

enum code map_file_fd(struct map_file *m, int fd, const char *name, struct err *e) {
    struct stat st;
    if (fstat(fd, &st) != 0)
        return fail_errno(e, errno, "cannot examine '%s'", name);
    if (!S_ISREG(st.st_mode))
        return fail(e, INVALID, "'%s' is not a regular file", name);
    struct map_file got = {.device = st.st_dev, .inode = st.st_ino};
    if (st.st_size > 0) {
        void *p = map_fd(fd, (size_t)st.st_size);
        if (p == MAP_FAILED)
            return fail_errno(e, errno, "cannot map '%s' (%llu bytes)", name,
                              (unsigned long long)st.st_size);
        got.bytes = (struct span){p, (size_t)st.st_size};
    }
    *m = got;
    return OK;
}

enum code map_file_open(struct map_file *m, const char *path, struct err *e) {
    int fd;
    struct stat st;
    TRY(open_regular(path, &fd, &st, e));
    enum code code = map_file_fd(m, fd, path, e);
    close(fd);
    return code;
}

void map_file_close(struct map_file *m) {
    if (m->bytes.n)
        munmap((void *)(uintptr_t)m->bytes.p, m->bytes.n);
    *m = (struct map_file){0};
}

/* --- publishing --- */

/* The folder part of path into folder[4096]: "." when there is none, "/" at the root. */
static bool folder_of(const char *path, char folder[4096]) {
    const char *slash = strrchr(path, '/');
    size_t n = slash ? (size_t)(slash - path) : 0;
    if (n >= 4096)
        return false;
    if (!slash)
        memcpy(folder, ".", 2);
    else if (n == 0)
        memcpy(folder, "/", 2);
    else {
        memcpy(folder, path, n);
        folder[n] = '\0';
    }
    return true;
}

static enum code too_long(const char *path, struct err *e) {
    return fail(e, INVALID, "path of %zu bytes is too long: '%.80s...'", strlen(path), path);
}

enum code file_draft_open(struct file_draft *d, const char *path, unsigned mode, struct err *e) {
    d->fd = -1;
    d->path[0] = '\0';
    char folder[4096];
    if (!folder_of(path, folder) || strlen(path) >= sizeof d->final ||
        strlen(folder) + sizeof "/.tmp-XXXXXX" > sizeof d->path)
        return too_long(path, e);
    memcpy(d->final, path, strlen(path) + 1);
    if (snprintf(d->path, sizeof d->path, "%s/.tmp-XXXXXX", folder) >= (int)sizeof d->path)
        return too_long(path, e);
    if (FAULT(FAULT_OPEN))
        errno = ENOSPC;
    else
        d->fd = mkostemp(d->path, O_CLOEXEC);
    if (d->fd < 0) {
        d->path[0] = '\0';
        return fail_errno(e, errno, "cannot create a file in '%s'", folder);
    }
    if (fchmod(d->fd, mode) != 0) {
        int number = errno;
        file_draft_drop(d);
        return fail_errno(e, number, "cannot set the mode of a file in '%s'", folder);
    }
    return OK;
}

enum code file_draft_write(struct file_draft *d, const void *bytes, size_t n, struct err *e) {
    for (const char *from = bytes; n;) {
        ssize_t put = write_some(d->fd, from, n);
        if (put < 0)
            return fail_errno(e, errno, "cannot write '%s'", d->final);
        from += put;
        n -= (size_t)put;
    }
    return OK;
}

enum code file_draft_publish(struct file_draft *d, struct err *e) {
    char folder[4096];
    if (sync_fd(d->fd) != 0) {
        int number = errno;
        file_draft_drop(d);
        return fail_errno(e, number, "cannot flush '%s' to disk", d->final);
    }
    int fd = d->fd;
    d->fd = -1;
    if (close(fd) != 0 || rename_to(d->path, d->final) != 0) {
        int number = errno;
        file_draft_drop(d);
        return fail_errno(e, number, "cannot put '%s' in place", d->final);
    }
    d->path[0] = '\0';
    if (!folder_of(d->final, folder))
        return too_long(d->final, e);
    return file_sync_folder(folder, e);
}

void file_draft_drop(struct file_draft *d) {
    if (d->fd >= 0)
        close(d->fd);
    if (d->path[0])
        unlink(d->path);
    d->fd = -1;
    d->path[0] = '\0';
}

enum code file_publish(const char *path, struct span bytes, unsigned mode, struct err *e) {
    struct file_draft d;
    TRY(file_draft_open(&d, path, mode, e));
    enum code code = file_draft_write(&d, bytes.p, bytes.n, e);
    if (code == OK)
        code = file_draft_publish(&d, e);
    file_draft_drop(&d);
    return code;
}

/* --- folders and names --- */

enum code file_sync_folder(const char *path, struct err *e) {
    int fd = open_at(path, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0)
        return fail_errno(e, errno, "cannot open folder '%s'", path);
    int number = sync_fd(fd) == 0 ? 0 : errno;
    close(fd);
    return number ? fail_errno(e, number, "cannot flush folder '%s' to disk", path) : OK;
}

enum code file_mkdirs(const char *path, struct err *e) {
    char part[4096];
    size_t n = strlen(path);
    if (n >= sizeof part)
        return too_long(path, e);
    memcpy(part, path, n + 1);
    for (size_t at = 1; at <= n; at++) {
        if (part[at] != '/' && part[at] != '\0')
            continue;
        part[at] = '\0';
        if (mkdir(part, 0755) != 0 && errno != EEXIST)
            return fail_errno(e, errno, "cannot create folder '%s'", part);
        part[at] = path[at];
    }
    struct stat st;
    if (stat(path, &st) == 0 && !S_ISDIR(st.st_mode))
        return fail(e, EXISTS, "'%s' exists and is no folder", path);
    return OK;
}

enum code file_unlink(const char *path, struct err *e) {
    if (unlink(path) != 0 && errno != ENOENT)
        return fail_errno(e, errno, "cannot remove '%s'", path);
    return OK;
}
