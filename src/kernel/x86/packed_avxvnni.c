/* SPDX-License-Identifier: Apache-2.0 */
/* simd/packed.h with the byte dot products of AVX-VNNI: vectors of 32 bytes, for CPUs without
 * AVX-512. */
#include "kernel/simd/avx2.h"

#undef ISA
#define ISA(name) name##_avxvnni
#define DOT_FULL 1
enum { DOT_FEW = 4, DOT_MANY = 4, DOT_VECTORS = 2 };
SIMD vi vi_dot(vi sum, vi w, vi a) { return _mm256_dpbusd_avx_epi32(sum, w, a); }
SIMD vi vi_lookup(vi table, vi nibbles) { return _mm256_shuffle_epi8(table, nibbles); }
SIMD vi vi_repeat16(const void *p) {
    return _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)p));
}

#include "kernel/simd/packed.h"
