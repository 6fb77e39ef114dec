/* SPDX-License-Identifier: Apache-2.0 */
/* Mapped blobs: see blob.h. A chained hash table that grows to one blob per bucket; a table that
 * cannot grow only becomes slower. */
#include "store/blob.h"

#include "base/fault.h"
#include "base/mem.h"
#include "store/in.h"
#include "store/object.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FIRST_BUCKETS = 256 };

void blob_table_init(struct blob_table *t) {
    *t = (struct blob_table){0};
    pthread_mutex_init(&t->lock, NULL);
}

void blob_table_deinit(struct blob_table *t) {
    (void)ALWAYS(t->n == 0);
    mem_free(t->buckets);
    pthread_mutex_destroy(&t->lock);
}

static struct blob **bucket_of(struct blob_table *t, const uint8_t *hash) {
    return &t->buckets[hash_bytes(hash, SHA256_BYTES) & (t->n_buckets - 1)];
}

/* false: there is no room at all, only before the first blob. */
static bool make_room(struct blob_table *t) {
    if (t->n < t->n_buckets)
        return true;
    size_t n_old = t->n_buckets, n_new = n_old ? 2 * n_old : FIRST_BUCKETS;
    struct blob **old = t->buckets, **buckets = mem_zalloc(n_new, sizeof *buckets);
    if (!buckets)
        return n_old > 0;
    t->buckets = buckets;
    t->n_buckets = n_new;
    for (size_t at = 0; at < n_old; at++)
        for (struct blob *b = old[at], *next; b; b = next) {
            struct blob **to = bucket_of(t, b->hash);
            next = b->next;
            b->next = *to;
            *to = b;
        }
    mem_free(old);
    return true;
}

static void *map_bytes(int fd, size_t n) {
    if (FAULT(FAULT_MMAP)) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    return mmap(NULL, n, PROT_READ, MAP_SHARED, fd, 0);
}

static enum code map_fd(struct store *s, int fd, const char *name, uint64_t size, struct span *out,
                        struct err *e) {
    struct stat st;
    if (fstat(fd, &st) != 0)
        return fail_errno(e, errno, "store '%s': cannot examine blob %s", s->folder, name);
    if (size == BLOB_ANY_SIZE && st.st_size > 0)
        size = (uint64_t)st.st_size;
    if ((uint64_t)st.st_size != size)
        return fail(e, CORRUPT,
                    "store '%s': blob %s has %llu bytes, should have %llu; see 'slipway verify'",
                    s->folder, name, (unsigned long long)st.st_size, (unsigned long long)size);
    void *p = map_bytes(fd, (size_t)size);
    if (p == MAP_FAILED)
        return fail_errno(
            e, errno,
            "store '%s': cannot map blob %s of %llu bytes (limits: ulimit -v, vm.max_map_count)",
            s->folder, name, (unsigned long long)size);
    *out = (struct span){p, (size_t)size};
    return OK;
}

static enum code map_object(struct store *s, const char *name, uint64_t size, struct span *out,
                            struct err *e) {
    int fd = object_open(s, name);
    if (fd < 0)
        return fail_errno(e, errno, "store '%s': cannot open blob %s", s->folder, name);
    enum code code = map_fd(s, fd, name, size, out, e);
    close(fd);
    return code;
}

static enum code add(struct store *s, const uint8_t *hash, const char *name, uint64_t size,
                     struct blob **out, struct err *e) {
    struct blob *b = mem_zalloc(1, sizeof *b);
    if (!b || !make_room(&s->blobs)) {
        mem_free(b);
        return fail(e, NOMEM, "store '%s': out of memory for a blob", s->folder);
    }
    enum code code = map_object(s, name, size, &b->bytes, e);
    if (code != OK) {
        mem_free(b);
        return code;
    }
    struct blob **bucket = bucket_of(&s->blobs, hash);
    memcpy(b->hash, hash, SHA256_BYTES);
    b->next = *bucket;
    *bucket = b;
    s->blobs.n++;
    *out = b;
    return OK;
}

enum code blob_ref_file(struct store *s, const uint8_t hash[SHA256_BYTES], const char *name,
                        uint64_t size, struct blob **out, struct err *e) {
    struct blob_table *t = &s->blobs;
    pthread_mutex_lock(&t->lock);
    struct blob *b = t->buckets ? *bucket_of(t, hash) : NULL;
    while (b && memcmp(b->hash, hash, SHA256_BYTES) != 0)
        b = b->next;
    enum code code = OK;
    if (!b)
        code = add(s, hash, name, size, &b, e);
    else if (b->bytes.n != size && size != BLOB_ANY_SIZE)
        code = fail(e, CORRUPT, "store '%s': a blob is listed with %llu bytes but has %zu",
                    s->folder, (unsigned long long)size, b->bytes.n);
    if (code == OK) {
        b->refs++;
        *out = b;
    }
    pthread_mutex_unlock(&t->lock);
    return code;
}

enum code blob_ref(struct store *s, const uint8_t hash[SHA256_BYTES], uint64_t size,
                   struct blob **out, struct err *e) {
    char name[OBJECT_NAME];
    object_name(hash, name);
    return blob_ref_file(s, hash, name, size, out, e);
}

void blob_unref(struct store *s, struct blob *b) {
    struct blob_table *t = &s->blobs;
    pthread_mutex_lock(&t->lock);
    if (--b->refs == 0) {
        struct blob **at = bucket_of(t, b->hash);
        while (*at != b)
            at = &(*at)->next;
        *at = b->next;
        t->n--;
        munmap((void *)(uintptr_t)b->bytes.p, b->bytes.n);
        mem_free(b);
    }
    pthread_mutex_unlock(&t->lock);
}
