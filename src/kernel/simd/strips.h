/* SPDX-License-Identifier: Apache-2.0 */
/* What products with strips of 16 outputs share. */
#pragma once

#include "kernel/kernel.h"

/* Results n.. of a row that ends at `end`. */
SIMD void strip_put(float *y, size_t n, size_t end, vf v, bool add) {
    if (n + VL <= end)
        vf_store(y + n, add ? vf_add(vf_load(y + n), v) : v);
    else if (n < end)
        vf_store_n(y + n, add ? vf_add(vf_load_n(y + n, end - n), v) : v, end - n);
}

/* Rows of the next tile: whole ones of `most`, and two halves (strip_half) rather than a whole one
 * and a small one. */
SIMD size_t strip_half(const size_t most) { return most > 8 ? 8 : 4; }
SIMD size_t strip_rows(size_t left, const size_t most) {
    const size_t half = strip_half(most);
    if (left >= most && left != 2 * half)
        return most;
    return left >= half ? half : left >= 4 ? 4 : 1;
}
