/* SPDX-License-Identifier: Apache-2.0 */
/* simd/codes.h for AVX-512: a vector holds the 16 weights that four bits can mean. */
#include "kernel/simd/avx512.h"

struct level {
    vf weights;
};
SIMD struct level level_of(float scale, int zero) {
    const vi numbers = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    return (struct level){vf_mul(vf_of(vi_sub(numbers, vi_set(zero))), vf_set(scale))};
}
SIMD vf level_low(const struct level *l, vi bytes) { /* looks at four bits of each lane */
    return _mm512_permutexvar_ps(bytes, l->weights);
}
SIMD vf level_high(const struct level *l, vi bytes) {
    return _mm512_permutexvar_ps(vi_shr_logical(bytes, 4), l->weights);
}

#include "kernel/simd/codes.h"
