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
