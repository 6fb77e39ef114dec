/* SPDX-License-Identifier: Apache-2.0 */
/* Arena: memory grouped by lifetime, capped, freed at once. Owned by one thread at a time.
 *
 * 1. arena_push never returns memory beyond the cap: it returns NULL, which the caller turns into
 * LIMIT or NOMEM (arena_fail does both).
 * 2. Memory is zeroed.
 * 3. Deferred functions run in reverse order of registration, at arena_reset past their mark or at
 * arena_deinit. */
#pragma once

#include "base/err.h"
#include "base/str.h"

struct arena_chunk;
struct arena_cleanup;

struct arena {
    struct arena_chunk *chunk; /* newest first; owned */
    struct arena_cleanup *cleanup;
    size_t used_bytes; /* asked for so far, padding included */
    size_t cap_bytes;
};

struct arena_mark {
    struct arena_chunk *chunk;
    size_t chunk_used;
    struct arena_cleanup *cleanup;
    size_t used_bytes;
};

void arena_init(struct arena *a, size_t cap_bytes); /* allocates nothing yet */
/* runs the cleanups, frees all; the arena may be used again */
void arena_deinit(struct arena *a);

/* 16-byte aligned, zeroed; NULL over the cap */
void *arena_push(struct arena *a, size_t bytes);
/* align: power of two <= 4096 */
void *arena_push_aligned(struct arena *a, size_t bytes, size_t align);
void *arena_push_array(struct arena *a, size_t count, size_t bytes); /* checked product */
#define ARENA_NEW(a, type) ((type *)arena_push((a), sizeof(type)))
#define ARENA_ARRAY(a, count, type) ((type *)arena_push_array((a), (count), sizeof(type)))

char *arena_strdup(struct arena *a, struct str text); /* NUL-terminated copy, or NULL */
/* copy; .p == NULL when it failed and text.n > 0 */
struct str arena_str(struct arena *a, struct str text);
char *arena_printf(struct arena *a, const char *format, ...) PRINTF_LIKE(2, 3); /* or NULL */

/* fail(e, LIMIT, ...) when the cap was the reason, NOMEM otherwise. `what` names the thing that did
 * not fit. */
enum code arena_fail(const struct arena *a, size_t bytes, const char *what, struct err *e);

struct arena_mark arena_mark(const struct arena *a);
/* back to the mark; keeps the first chunk for reuse */
void arena_reset(struct arena *a, struct arena_mark mark);

/* Runs fn(arg) when the arena ends. false: no room, fn was not registered. */
bool arena_defer(struct arena *a, void (*fn)(void *), void *arg);
