/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of one run whose size only data tells: grows while the run lasts, empty again at the next,
 * kept for reuse. Owned by one thread at a time. */
#pragma once

#include <stddef.h>

struct area_chunk;
struct area {
    struct area_chunk *chunk; /* newest first; owned */
    size_t used_bytes;        /* since area_reset */
    size_t cap_bytes;
};
void area_init(struct area *a);
void area_deinit(struct area *a);
void area_reset(struct area *a, size_t cap_bytes);
void *area_push(
    struct area *a,
    size_t bytes); /* 64-byte aligned, contents undefined; NULL over the cap or out of memory */
size_t area_held(const struct area *a); /* bytes taken from the heap */
