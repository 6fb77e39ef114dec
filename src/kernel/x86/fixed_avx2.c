/* SPDX-License-Identifier: Apache-2.0 */
/* simd/fixed.h for AVX2. */
#include "kernel/simd/avx2.h"

enum { FIXED_FEW = 4, FIXED_MANY = 4 };
SIMD vi vi_dot_pairs(vi sum, vi w, vi a) { return vi_madd_add(sum, w, a); }

#include "kernel/simd/fixed.h"
