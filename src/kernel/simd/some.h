/* SPDX-License-Identifier: Apache-2.0 */
/* A vector of which n elements are there: all of it where n is VL or more. */
#pragma once

#include <stddef.h>

SIMD vf some_load(const float *p, size_t n) { return n >= VL ? vf_load(p) : vf_load_n(p, n); }
SIMD void some_store(float *p, vf v, size_t n) {
    if (n >= VL)
        vf_store(p, v);
    else
        vf_store_n(p, v, n);
}
