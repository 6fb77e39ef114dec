/* SPDX-License-Identifier: Apache-2.0 */
/* Regions: see region.h. */
#include "serve/region.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAME_MAX_BYTES = 255 };

struct region {
    char *name, *key; /* owned; name NULL: free */
    int fd;
    uint64_t offset, bytes;
};

struct regions {
    pthread_rwlock_t lock; /* read: while bytes are copied */
    struct region all[REGIONS_MAX];
};

enum code regions_open(struct regions **out, struct err *e) {
    struct regions *all = mem_zalloc(1, sizeof *all);
    if (!all)
        return fail(e, NOMEM, "shared memory: out of memory");
    pthread_rwlock_init(&all->lock, NULL);
    *out = all;
    return OK;
}

static void drop(struct region *r) {
    if (!r->name)
        return;
    (void)close(r->fd);
    mem_free(r->name);
    mem_free(r->key);
    *r = (struct region){0};
}

void regions_close(struct regions *all) {
    if (!all)
        return;
    for (int i = 0; i < REGIONS_MAX; i++)
        drop(&all->all[i]);
    pthread_rwlock_destroy(&all->lock);
    mem_free(all);
}

static struct region *find(struct regions *all, struct str name) {
    for (int i = 0; i < REGIONS_MAX; i++)
        if (all->all[i].name && str_eq(str_of(all->all[i].name), name))
            return &all->all[i];
    return NULL;
}

/* --- register --- */

static enum code open_object(const char *key, uint64_t offset, uint64_t bytes, int *fd,
                             struct err *e) {
    struct stat s;
    *fd = shm_open(key, O_RDWR | O_CLOEXEC, 0);
    if (*fd < 0)
        return fail(e, INVALID, "Unable to open shared memory region: '%.100s': %s", key,
                    errno == ENOENT ? "there is none" : "it may not be opened");
    if (fstat(*fd, &s) == 0 && S_ISREG(s.st_mode) && (uint64_t)s.st_size >= offset &&
        (uint64_t)s.st_size - offset >= bytes)
        return OK;
    (void)close(*fd);
    return fail(e, INVALID,
                "failed to register shared memory region '%.100s': invalid args: it has fewer "
                "than %llu + %llu bytes",
                key, (unsigned long long)offset, (unsigned long long)bytes);
}

static enum code put(struct regions *all, struct region *r, struct err *e) {
    struct str name = str_of(r->name);
    if (find(all, name))
        return fail(e, EXISTS, "shared memory region '%.*s' already in manager", STR(name));
    for (int i = 0; i < REGIONS_MAX; i++)
        if (!all->all[i].name) {
            all->all[i] = *r;
            return OK;
        }
    return fail(e, LIMIT, "more than %d shared memory regions", REGIONS_MAX);
}

static char *copy(struct str text) {
    char *p = mem_alloc(text.n + 1);
    if (!p)
        return NULL;
    memcpy(p, text.p, text.n);
    p[text.n] = '\0';
    return p;
}

enum code region_register(struct regions *all, struct str name, struct str key, uint64_t offset,
                          uint64_t bytes, struct err *e) {
    struct region r = {.fd = -1, .offset = offset, .bytes = bytes};
    if (name.n == 0 || name.n > NAME_MAX_BYTES || key.n == 0 || key.n > NAME_MAX_BYTES ||
        memchr(key.p, 0, key.n) || offset > INT64_MAX || bytes > INT64_MAX)
        return fail(e, INVALID,
                    "shared memory: a name, a key, and sizes within 63 bits are needed");
    r.name = copy(name);
    r.key = copy(key);
    enum code code = r.name && r.key ? open_object(r.key, offset, bytes, &r.fd, e)
                                     : fail(e, NOMEM, "shared memory: out of memory");
    if (code != OK)
        r.fd = -1;
    if (code == OK) {
        pthread_rwlock_wrlock(&all->lock);
        code = put(all, &r, e);
        pthread_rwlock_unlock(&all->lock);
    }
    if (code == OK)
        return OK;
    if (r.fd >= 0)
        (void)close(r.fd);
    mem_free(r.name);
    mem_free(r.key);
    return code;
}

void region_unregister(struct regions *all, struct str name) {
    pthread_rwlock_wrlock(&all->lock);
    for (int i = 0; i < REGIONS_MAX; i++)
        if (all->all[i].name && (name.n == 0 || str_eq(str_of(all->all[i].name), name)))
            drop(&all->all[i]);
    pthread_rwlock_unlock(&all->lock);
}

enum code region_list(struct regions *all, struct str name, struct arena *a,
                      struct region_info **out, size_t *n, struct err *e) {
    struct region_info *list = ARENA_ARRAY(a, REGIONS_MAX, struct region_info);
    size_t found = 0;
    if (!list)
        return arena_fail(a, REGIONS_MAX * sizeof *list, "regions", e);
    pthread_rwlock_rdlock(&all->lock);
    for (int i = 0; i < REGIONS_MAX; i++) {
        const struct region *r = &all->all[i];
        if (r->name && (name.n == 0 || str_eq(str_of(r->name), name)))
            list[found++] = (struct region_info){arena_str(a, str_of(r->name)),
                                                 arena_str(a, str_of(r->key)), r->offset, r->bytes};
    }
    pthread_rwlock_unlock(&all->lock);
    if (name.n && found == 0)
        return fail(e, NOT_FOUND, "Unable to find system shared memory region: '%.*s'",
                    STR(str_sub(name, 0, NAME_MAX_BYTES)));
    *out = list;
    *n = found;
    return OK;
}

/* --- copy --- */

static enum code inside(const struct region *r, struct str name, uint64_t offset, size_t n,
                        struct err *e) {
    name = str_sub(name, 0, NAME_MAX_BYTES);
    if (!r)
        return fail(e, INVALID, "Unable to find shared memory region: '%.*s'", STR(name));
    if (offset > r->bytes || n > r->bytes - offset)
        return fail(e, INVALID, "Invalid offset + byte size for shared memory region: '%.*s'",
                    STR(name));
    return OK;
}

enum code region_read(struct regions *all, struct str name, uint64_t offset, void *to, size_t n,
                      struct err *e) {
    pthread_rwlock_rdlock(&all->lock);
    const struct region *r = find(all, name);
    enum code code = inside(r, name, offset, n, e);
    for (size_t done = 0; code == OK && done < n;) {
        ssize_t got = pread(r->fd, (char *)to + done, n - done, (off_t)(r->offset + offset + done));
        if (got > 0)
            done += (size_t)got;
        else if (got == 0 || errno != EINTR)
            code = fail(e, INVALID, "shared memory region '%.*s' was cut short", STR(name));
    }
    pthread_rwlock_unlock(&all->lock);
    return code;
}

/* Within the object as it was registered: pwrite would make a cut one longer, but never beyond. */
enum code region_write(struct regions *all, struct str name, uint64_t offset, struct span from,
                       struct err *e) {
    pthread_rwlock_rdlock(&all->lock);
    const struct region *r = find(all, name);
    enum code code = inside(r, name, offset, from.n, e);
    for (size_t done = 0; code == OK && done < from.n;) {
        ssize_t put =
            pwrite(r->fd, from.p + done, from.n - done, (off_t)(r->offset + offset + done));
        if (put > 0)
            done += (size_t)put;
        else if (put == 0 || errno != EINTR)
            code = fail(e, IO, "shared memory region '%.*s' takes no more", STR(name));
    }
    pthread_rwlock_unlock(&all->lock);
    return code;
}
