/* SPDX-License-Identifier: Apache-2.0 */
/* Powers of ten in 128 bits: 10^k = (high * 2^64 + low) * 2^e with the top bit of high set, rounded
 * up where it is not exact (0 <= k <= 55 are). e is floor(k * log2(10)) - 127 and is computed, not
 * stored. */
#pragma once

#include <stdint.h>

enum { POWER10_MIN = -342, POWER10_MAX = 324 };

struct power10 {
    uint64_t high, low;
};

extern const struct power10 power10_table[POWER10_MAX - POWER10_MIN + 1];

extern const uint64_t power10_u64[20]; /* 10^0 .. 10^19 */

static inline struct power10 power10_of(int k) { return power10_table[k - POWER10_MIN]; }
