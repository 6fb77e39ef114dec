/* SPDX-License-Identifier: Apache-2.0 */
/* Hash table: see map.h. Linear probing at most half full; a slot is empty when its hash is 0,
 * which no key has (the top bit of every hash is set). */
#include "base/map.h"

#include "base/hash.h"

enum { FIRST_ROOM = 16 };

void map_init(struct map *m, struct arena *a) { *m = (struct map){.arena = a}; }

static uint64_t hash_of(struct str key) { return hash_bytes(key.p, key.n) | (uint64_t)1 << 63; }

/* The slot that holds key, or the empty one where it belongs. room > n, so it always ends. */
static struct map_slot *slot_of(struct map_slot *slots, size_t room, struct str key,
                                uint64_t hash) {
    size_t at = (size_t)hash & (room - 1);
    while (slots[at].hash && !(slots[at].hash == hash && str_eq(slots[at].key, key)))
        at = (at + 1) & (room - 1);
    return &slots[at];
}

static enum code grow(struct map *m, struct err *e) {
    size_t room = m->room ? m->room * 2 : FIRST_ROOM;
    struct map_slot *slots = ARENA_ARRAY(m->arena, room, struct map_slot);
    if (!slots)
        return arena_fail(m->arena, room * sizeof *slots, "hash table", e);
    for (size_t at = 0; at < m->room; at++)
        if (m->slots[at].hash)
            *slot_of(slots, room, m->slots[at].key, m->slots[at].hash) = m->slots[at];
    m->slots = slots;
    m->room = room;
    return OK;
}

enum code map_put(struct map *m, struct str key, void *value, struct err *e) {
    if (m->n * 2 >= m->room)
        TRY(grow(m, e));
    uint64_t hash = hash_of(key);
    struct map_slot *slot = slot_of(m->slots, m->room, key, hash);
    if (!slot->hash) {
        *slot = (struct map_slot){.key = key, .hash = hash};
        m->n++;
    }
    slot->value = value;
    return OK;
}

static const struct map_slot *find(const struct map *m, struct str key) {
    if (m->n == 0)
        return NULL;
    const struct map_slot *slot = slot_of(m->slots, m->room, key, hash_of(key));
    return slot->hash ? slot : NULL;
}

void *map_get(const struct map *m, struct str key) {
    const struct map_slot *slot = find(m, key);
    return slot ? slot->value : NULL;
}

bool map_has(const struct map *m, struct str key) { return find(m, key) != NULL; }
