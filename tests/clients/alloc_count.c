/* SPDX-License-Identifier: Apache-2.0 */
/* Preloaded into a program by tests: counts every heap allocation of the process, whoever makes it
 * (libraries included), and the bytes that are held. A running server is watched from outside
 * (test_allocations.py): the number of allocations is the first number of a file both sides map,
 * whose path comes in ALLOC_COUNT_FILE. A program that knows of this file asks itself
 * (tests/golden/run_model.c): alloc_mark, alloc_grown. */
#include <dlfcn.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static _Atomic uint64_t before_map, *counter = &before_map;
static _Atomic size_t held, peak, marked; /* bytes */

static void *(*real_malloc)(size_t);
static void *(*real_calloc)(size_t, size_t);
static void *(*real_realloc)(void *, size_t);
static void *(*real_aligned)(size_t, size_t);
static int (*real_memalign)(void **, size_t, size_t);
static void (*real_free)(void *);

/* dlsym itself may call calloc once, before real_calloc is known. */
static _Alignas(16) char early[4096];
static size_t early_used;

__attribute__((constructor)) static void begin(void) {
    real_malloc = (void *(*)(size_t))dlsym(RTLD_NEXT, "malloc");
    real_calloc = (void *(*)(size_t, size_t))dlsym(RTLD_NEXT, "calloc");
    real_realloc = (void *(*)(void *, size_t))dlsym(RTLD_NEXT, "realloc");
    real_aligned = (void *(*)(size_t, size_t))dlsym(RTLD_NEXT, "aligned_alloc");
    real_memalign = (int (*)(void **, size_t, size_t))dlsym(RTLD_NEXT, "posix_memalign");
    real_free = (void (*)(void *))dlsym(RTLD_NEXT, "free");
    const char *path = getenv("ALLOC_COUNT_FILE");
    int fd = path ? open(path, O_RDWR) : -1;
    if (fd < 0)
        return;
    void *map = mmap(NULL, sizeof *counter, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (map != MAP_FAILED)
        counter = map;
}

/* One allocation more, of p. */
static void *count(void *p) {
    size_t now = atomic_fetch_add(&held, malloc_usable_size(p)) + malloc_usable_size(p);
    size_t most = atomic_load(&peak);
    while (now > most && !atomic_compare_exchange_weak(&peak, &most, now))
        ;
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
    return p;
}
static void forget(void *p) { atomic_fetch_sub(&held, malloc_usable_size(p)); }

__attribute__((visibility("default"))) void alloc_mark(void);
__attribute__((visibility("default"))) size_t alloc_grown(void);
/* From here on... */
void alloc_mark(void) {
    atomic_store(&marked, atomic_load(&held));
    atomic_store(&peak, atomic_load(&held));
}
/* ...so many bytes more were held at most. */
size_t alloc_grown(void) { return atomic_load(&peak) - atomic_load(&marked); }

__attribute__((visibility("default"))) void *malloc(size_t n);
__attribute__((visibility("default"))) void *calloc(size_t n, size_t size);
__attribute__((visibility("default"))) void *realloc(void *p, size_t n);
__attribute__((visibility("default"))) void *aligned_alloc(size_t align, size_t n);
__attribute__((visibility("default"))) int posix_memalign(void **out, size_t align, size_t n);
__attribute__((visibility("default"))) void free(void *p);

void *malloc(size_t n) {
    if (!real_malloc)
        begin();
    return count(real_malloc(n));
}

void *calloc(size_t n, size_t size) {
    if (!real_calloc) {
        size_t bytes = (n * size + 15) & ~(size_t)15;
        void *p = early_used + bytes <= sizeof early ? early + early_used : NULL;
        early_used += p ? bytes : 0;
        return p;
    }
    return count(real_calloc(n, size));
}

void *realloc(void *p, size_t n) {
    if (!real_realloc)
        begin();
    forget(p);
    void *moved = real_realloc(p, n);
    return moved ? count(moved) : (count(p), NULL);
}

void *aligned_alloc(size_t align, size_t n) { return count(real_aligned(align, n)); }

int posix_memalign(void **out, size_t align, size_t n) {
    int code = real_memalign(out, align, n);
    if (code == 0)
        count(*out);
    return code;
}

void free(void *p) {
    if ((char *)p >= early && (char *)p < early + sizeof early)
        return;
    if (!real_free)
        begin();
    forget(p);
    real_free(p);
}
