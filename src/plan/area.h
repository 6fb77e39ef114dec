/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of one run whose size only data tells: grows while the run lasts, empty again at the next,
 * kept for reuse. Owned by one thread at a time. */
#pragma once

#include <stddef.h>

struct area_meter { /* what areas and slabs of one run hold, and the most they held at once */
    size_t now, peak;
};
static inline void area_meter_add(struct area_meter *m, size_t bytes) {
    m->now += bytes;
    m->peak = m->now > m->peak ? m->now : m->peak;
}

struct area_chunk;
struct area {
    struct area_chunk *chunk; /* newest first; owned */
    size_t used_bytes;        /* since area_reset */
    size_t cap_bytes;
    struct area_meter *meter; /* MAY; borrowed */
};
void area_init(struct area *a);
void area_deinit(struct area *a);
/* Empty again, and from now on counted by the meter (MAY be NULL). */
void area_reset(struct area *a, size_t cap_bytes, struct area_meter *meter);
void *area_push(
    struct area *a,
    size_t bytes); /* 64-byte aligned, contents undefined; NULL over the cap or out of memory */
size_t area_held(const struct area *a); /* bytes taken from the heap */
