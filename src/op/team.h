/* SPDX-License-Identifier: Apache-2.0 */
/* When a loop is worth a team of threads, and how a range is cut among them. Waking a team costs
 * some microseconds, so work below TEAM_NS stays on the calling thread. Never nested: pieces of a
 * team do not ask again. */
#pragma once

#include <stddef.h>

#define TEAM_NS 20000.0

/* threads if the work (nanoseconds of one core) pays for them, else 1. */
static inline int team_size(int threads, double ns) {
    return threads > 1 && ns >= TEAM_NS ? threads : 1;
}

/* Where part `index` of `parts` begins in [0, n), in steps of `grain`; part `parts` begins at n. */
static inline size_t team_cut(size_t n, size_t grain, int parts, int index) {
    size_t units = (n + grain - 1) / grain, at = units * (size_t)index / (size_t)parts * grain;
    return at < n ? at : n;
}
