/* SPDX-License-Identifier: Apache-2.0 */
/* simd/fixed.h for AVX2. */
#include "kernel/simd/avx2.h"

enum { FIXED_FEW = 4, FIXED_MANY = 4 };
/* A compiler that knows these sums to be sums adds the products first, in more registers than there
 * are. */
SIMD vi vi_dot_pairs(vi sum, vi w, vi a) {
    sum = vi_madd_add(sum, w, a);
    __asm__("" : "+x"(sum));
    return sum;
}

#include "kernel/simd/fixed.h"
