/* SPDX-License-Identifier: Apache-2.0 */
/* The k largest of a row of numbers. */
#pragma once

#include "tensor/tensor.h"

struct ranked {
    size_t index;
    double score;
};
/* out[0..k): largest first, the lower index first among equals; NaN is smaller than everything. t
 * numeric; elements [from, from + n), k <= n. O(n log k). */
void rank_top(const struct tensor *t, size_t from, size_t n, struct ranked *out, size_t k);
