/* SPDX-License-Identifier: Apache-2.0 */
/* See doze.h. Kept are runs of words, each behind one that says where and how many:
 *
 *   [at << 32 | n] [word] x n ...
 *
 * The mapping stays: only its pages go (MADV_DONTNEED), and come back as zeros. Huge pages would
 * make many small mappings that lie side by side cost more than they hold. */
#include "net/doze.h"

#include "base/fault.h"
#include "base/mem.h"

#include <string.h>
#include <sys/mman.h>

enum { PAGE = 4096, ALIGN = 16 };

bool doze_open(struct doze *d, size_t room) {
    *d = (struct doze){0};
    room = mem_round_up(room, PAGE);
    void *p = FAULT(FAULT_MMAP)
                  ? MAP_FAILED
                  : mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return false;
    (void)madvise(p, room, MADV_NOHUGEPAGE);
    d->base = p;
    d->room = room;
    return true;
}

void doze_close(struct doze *d) {
    if (d->base)
        munmap(d->base, d->room);
    mem_free(d->kept);
    *d = (struct doze){0};
}

void *doze_take(struct doze *d, size_t bytes) {
    if (bytes > d->room - d->used)
        return NULL;
    void *p = (char *)d->base + d->used;
    size_t next = mem_round_up(d->used + bytes, ALIGN);
    d->used = next < d->room ? next : d->room;
    return p;
}

size_t doze_after(const struct doze *d, const void *p) {
    uintptr_t at = (uintptr_t)p, begin = (uintptr_t)d->base;
    return d->base && at >= begin && at < begin + d->room ? begin + d->room - at : 0;
}

/* The length in words of the runs; written to `to` when that is not NULL. One zero between words is
 * cheaper kept than skipped. */
static size_t pack(const uint64_t *words, size_t n, uint64_t *to) {
    size_t length = 0;
    for (size_t at = 0; at < n;) {
        size_t end = at;
        while (end < n && (words[end] || (end > at && end + 1 < n && words[end + 1])))
            end++;
        if (end > at && to) {
            to[length] = (uint64_t)at << 32 | (end - at);
            memcpy(to + length + 1, words + at, (end - at) * sizeof *words);
        }
        length += end > at ? 1 + end - at : 0;
        at = end + 1;
    }
    return length;
}

bool doze_sleep(struct doze *d) {
    if (d->kept)
        return true;
    size_t n = mem_round_up(d->used, sizeof *d->base) / sizeof *d->base;
    size_t length = pack(d->base, n, NULL);
    if (!d->base || !(d->kept = mem_alloc((length + 1) * sizeof *d->kept)))
        return false;
    pack(d->base, n, d->kept);
    d->kept[length] = 0; /* no run is empty: the end */
    (void)madvise(d->base, d->room, MADV_DONTNEED);
    return true;
}

void doze_wake(struct doze *d) {
    if (!d->kept)
        return;
    for (const uint64_t *run = d->kept; *run;) {
        size_t at = (size_t)(*run >> 32), n = (size_t)(*run & UINT32_MAX);
        memcpy(d->base + at, run + 1, n * sizeof *run);
        run += 1 + n;
    }
    mem_free(d->kept);
    d->kept = NULL;
}
