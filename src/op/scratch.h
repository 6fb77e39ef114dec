/* SPDX-License-Identifier: Apache-2.0 */
/* An operator's scratch is one piece of memory: prepare lays its parts out, run finds them by their
 * offsets. */
#pragma once

#include "base/mem.h"

/* Where the next `bytes` go, from a cache line's start; *at moves behind them. */
static inline size_t scratch_take(size_t *at, size_t bytes) {
    size_t here = *at;
    *at = mem_round_up(here + bytes, MEM_LINE);
    return here;
}

/* The same of count * bytes, where the count comes from a model; false: too large. */
static inline bool scratch_reserve(size_t *at, size_t count, size_t bytes, size_t *place) {
    size_t size;
    if (!mul_size(count, bytes, &size) || size > SIZE_MAX / 4 || *at > SIZE_MAX / 4)
        return false;
    *place = scratch_take(at, size);
    return true;
}
