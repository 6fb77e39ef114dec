/* SPDX-License-Identifier: Apache-2.0 */
/* Arena: see arena.h. */
#include "base/arena.h"

#include "base/mem.h"
#include "base/nursery.h"

#include <stdio.h>

/* YOUNG_CHUNK: in a nursery, whose pages all arenas share. */
enum { FIRST_CHUNK = 4096, LAST_CHUNK = 1 << 20, YOUNG_CHUNK = 32 << 10 };

struct arena_chunk {
    struct arena_chunk *older;
    size_t size, used; /* of data */
    size_t dirty;      /* from here on it is as it came: zeros, of large chunks not even pages */
    _Alignas(16) unsigned char data[];
};

struct arena_cleanup {
    struct arena_cleanup *older;
    void (*fn)(void *);
    void *arg;
};

void arena_init(struct arena *a, size_t cap_bytes) { *a = (struct arena){.cap_bytes = cap_bytes}; }

static void run_cleanups(struct arena *a, const struct arena_cleanup *until) {
    while (a->cleanup != until) {
        struct arena_cleanup *c = a->cleanup;
        a->cleanup = c->older;
        c->fn(c->arg);
    }
}

static void free_chunks(struct arena *a, const struct arena_chunk *until) {
    while (a->chunk != until) {
        struct arena_chunk *older = a->chunk->older;
        if (!nursery_has(a->chunk))
            mem_free(a->chunk);
        a->chunk = older;
    }
}

void arena_deinit(struct arena *a) {
    run_cleanups(a, NULL);
    free_chunks(a, NULL);
    a->used_bytes = 0;
}

static struct arena_chunk *grow(struct arena *a, size_t bytes) {
    size_t size = a->chunk ? a->chunk->size * 2 : FIRST_CHUNK;
    const size_t most = nursery_is_open() ? YOUNG_CHUNK : LAST_CHUNK;
    if (size > most)
        size = most;
    if (size < bytes)
        size = bytes;
    struct arena_chunk *c = nursery_take(sizeof *c + size);
    if (!c && !(c = mem_zalloc(1, sizeof *c + size)))
        return NULL;
    c->older = a->chunk;
    c->size = size;
    a->chunk = c;
    return c;
}

/* Offset of the next free byte of c with the wanted alignment of its address. */
static size_t aligned_used(const struct arena_chunk *c, size_t align) {
    uintptr_t at = (uintptr_t)c->data + c->used;
    return c->used + (size_t)(((at + align - 1) & ~(uintptr_t)(align - 1)) - at);
}

void *arena_push_aligned(struct arena *a, size_t bytes, size_t align) {
    size_t room = a->cap_bytes - a->used_bytes;
    if (bytes > room)
        return NULL;
    struct arena_chunk *c = a->chunk;
    size_t at = c ? aligned_used(c, align) : 0;
    if (!c || at > c->size || bytes > c->size - at) {
        size_t padded;
        if (!add_size(bytes, align > 16 ? align : 0, &padded))
            return NULL;
        c = grow(a, padded);
        if (!c)
            return NULL;
        at = aligned_used(c, align);
    }
    c->used = at + bytes;
    a->used_bytes += bytes;
    if (at < c->dirty)
        memset(c->data + at, 0, (c->dirty < c->used ? c->dirty : c->used) - at);
    if (c->dirty < c->used)
        c->dirty = c->used;
    return c->data + at;
}

void *arena_push(struct arena *a, size_t bytes) { return arena_push_aligned(a, bytes, 16); }

void *arena_push_array(struct arena *a, size_t count, size_t bytes) {
    size_t total;
    return mul_size(count, bytes, &total) ? arena_push(a, total) : NULL;
}

char *arena_strdup(struct arena *a, struct str text) {
    size_t n;
    char *copy = add_size(text.n, 1, &n) ? arena_push_aligned(a, n, 1) : NULL;
    if (copy && text.n)
        memcpy(copy, text.p, text.n);
    return copy;
}

struct str arena_str(struct arena *a, struct str text) {
    char *copy = arena_strdup(a, text);
    return (struct str){copy, copy ? text.n : 0};
}

char *arena_printf(struct arena *a, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = n < 0 ? NULL : arena_push_aligned(a, (size_t)n + 1, 1);
    if (text)
        vsnprintf(text, (size_t)n + 1, format, again);
    va_end(again);
    return text;
}

enum code arena_fail(const struct arena *a, size_t bytes, const char *what, struct err *e) {
    if (bytes > a->cap_bytes - a->used_bytes)
        return fail(e, LIMIT, "%s: %zu bytes do not fit under the limit of %zu bytes", what, bytes,
                    a->cap_bytes);
    return fail(e, NOMEM, "%s: out of memory (%zu bytes)", what, bytes);
}

struct arena_mark arena_mark(const struct arena *a) {
    return (struct arena_mark){a->chunk, a->chunk ? a->chunk->used : 0, a->cleanup, a->used_bytes};
}

void arena_reset(struct arena *a, struct arena_mark mark) {
    run_cleanups(a, mark.cleanup);
    struct arena_chunk *keep = mark.chunk;
    if (!keep) /* back to empty: the oldest chunk stays, so that a reused arena does not allocate */
        for (keep = a->chunk; keep && keep->older;)
            keep = keep->older;
    free_chunks(a, keep);
    if (keep)
        keep->used = mark.chunk ? mark.chunk_used : 0;
    a->used_bytes = mark.used_bytes;
}

bool arena_defer(struct arena *a, void (*fn)(void *), void *arg) {
    struct arena_cleanup *c = ARENA_NEW(a, struct arena_cleanup);
    if (!c)
        return false;
    *c = (struct arena_cleanup){a->cleanup, fn, arg};
    a->cleanup = c;
    return true;
}
