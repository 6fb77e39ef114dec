/* SPDX-License-Identifier: Apache-2.0 */
/* simd/packed.h for AVX2, whose product of bytes saturates sums of two at 16 bits: codes up to 127
 * are safe with activations of +-127, full bytes go signed, as |w| times a with w's sign. */
#include "kernel/simd/avx2.h"

#define DOT_FULL 0
enum { DOT_FEW = 4, DOT_MANY = 4, DOT_VECTORS = 2 };
SIMD vi vi_dot_narrow(vi w, vi a) { return _mm256_maddubs_epi16(w, a); }
SIMD vi vi_add_narrow(vi a, vi b) { return _mm256_add_epi16(a, b); }
SIMD vi vi_widen_add(vi sum, vi narrow) { return vi_madd_add(sum, narrow, _mm256_set1_epi16(1)); }
SIMD vi vi_dot_signed(vi sum, vi w, vi a) {
    return vi_widen_add(sum, vi_dot_narrow(_mm256_abs_epi8(w), _mm256_sign_epi8(a, w)));
}
SIMD vi vi_lookup(vi table, vi nibbles) { return _mm256_shuffle_epi8(table, nibbles); }
SIMD vi vi_repeat16(const void *p) {
    return _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)p));
}

#include "kernel/simd/packed.h"
