/* SPDX-License-Identifier: Apache-2.0 */
/* Preloaded into a running server by test_allocations.py: counts every heap allocation of the
 * process, whoever makes it (libraries included), in a file both sides map. The file's path comes
 * in ALLOC_COUNT_FILE. */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static _Atomic uint64_t before_map, *counter = &before_map;

static void *(*real_malloc)(size_t);
static void *(*real_calloc)(size_t, size_t);
static void *(*real_realloc)(void *, size_t);
static void *(*real_aligned)(size_t, size_t);
static int (*real_memalign)(void **, size_t, size_t);

/* dlsym itself may call calloc once, before real_calloc is known. */
static _Alignas(16) char early[4096];
static size_t early_used;

__attribute__((constructor)) static void begin(void) {
    real_malloc = (void *(*)(size_t))dlsym(RTLD_NEXT, "malloc");
    real_calloc = (void *(*)(size_t, size_t))dlsym(RTLD_NEXT, "calloc");
    real_realloc = (void *(*)(void *, size_t))dlsym(RTLD_NEXT, "realloc");
    real_aligned = (void *(*)(size_t, size_t))dlsym(RTLD_NEXT, "aligned_alloc");
    real_memalign = (int (*)(void **, size_t, size_t))dlsym(RTLD_NEXT, "posix_memalign");
    const char *path = getenv("ALLOC_COUNT_FILE");
    int fd = path ? open(path, O_RDWR) : -1;
    if (fd < 0)
        return;
    void *map = mmap(NULL, sizeof *counter, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (map != MAP_FAILED)
        counter = map;
}

static void count(void) { atomic_fetch_add_explicit(counter, 1, memory_order_relaxed); }

__attribute__((visibility("default"))) void *malloc(size_t n);
__attribute__((visibility("default"))) void *calloc(size_t n, size_t size);
__attribute__((visibility("default"))) void *realloc(void *p, size_t n);
__attribute__((visibility("default"))) void *aligned_alloc(size_t align, size_t n);
__attribute__((visibility("default"))) int posix_memalign(void **out, size_t align, size_t n);

void *malloc(size_t n) {
    if (!real_malloc)
        begin();
    count();
    return real_malloc(n);
}

void *calloc(size_t n, size_t size) {
    if (!real_calloc) {
        size_t bytes = (n * size + 15) & ~(size_t)15;
        void *p = early_used + bytes <= sizeof early ? early + early_used : NULL;
        early_used += p ? bytes : 0;
        return p;
    }
    count();
    return real_calloc(n, size);
}

void *realloc(void *p, size_t n) {
    if (!real_realloc)
        begin();
    count();
    return real_realloc(p, n);
}

void *aligned_alloc(size_t align, size_t n) {
    count();
    return real_aligned(align, n);
}

int posix_memalign(void **out, size_t align, size_t n) {
    count();
    return real_memalign(out, align, n);
}
