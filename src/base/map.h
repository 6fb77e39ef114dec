/* SPDX-License-Identifier: Apache-2.0 */
/* Hash table from borrowed text to a pointer. Open addressing; memory from an arena, so it never
 * shrinks and has no delete: for tables built once and then read. Owned by one thread, or immutable
 * after build. */
#pragma once

#include "base/arena.h"
#include "base/str.h"

struct map_slot {
    struct str key; /* borrowed; must outlive the map */
    void *value;
    uint64_t hash;
};

struct map {
    struct arena *arena;
    struct map_slot *slots; /* power of two */
    size_t n, room;
};

void map_init(struct map *m, struct arena *a);
/* replaces */
MUST_USE enum code map_put(struct map *m, struct str key, void *value, struct err *e);
/* NULL when absent */
void *map_get(const struct map *m, struct str key);
bool map_has(const struct map *m, struct str key);
