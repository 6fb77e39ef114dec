/* SPDX-License-Identifier: Apache-2.0 */
/* One mapping, cut off from its start: see nursery.h. */
#include "base/nursery.h"

#include "base/mem.h"

#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>

enum { HUGE_PAGE = 2 << 20 };

static struct {
    uintptr_t from; /* 0: none. Written before there are threads */
    size_t bytes;
    _Atomic size_t used;
} nursery;

void nursery_open(size_t bytes) {
    if (nursery.from)
        return;
    void *p = mmap(NULL, bytes + HUGE_PAGE, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        return;
    (void)madvise(p, bytes + HUGE_PAGE, MADV_HUGEPAGE); /* a wish */
    nursery.from = mem_round_up((uintptr_t)p, HUGE_PAGE);
    nursery.bytes = bytes;
}

bool nursery_is_open(void) { return nursery.from; }

void *nursery_take(size_t bytes) {
    if (bytes > nursery.bytes)
        return NULL;
    const size_t whole = mem_round_up(bytes, MEM_LINE);
    size_t at = atomic_load_explicit(&nursery.used, memory_order_relaxed);
    do
        if (whole > nursery.bytes - at)
            return NULL;
    while (!atomic_compare_exchange_weak_explicit(&nursery.used, &at, at + whole,
                                                  memory_order_relaxed, memory_order_relaxed));
    return (void *)(nursery.from + at);
}

bool nursery_has(const void *p) {
    return (uintptr_t)p >= nursery.from && (uintptr_t)p - nursery.from < nursery.bytes;
}
