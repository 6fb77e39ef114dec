/* SPDX-License-Identifier: Apache-2.0 */
/* simd/packed.h with the byte dot products of AVX512_VNNI; compiled with that instruction set, so
 * nothing here may be called before cpu_flags() allows it. */
#include "kernel/simd/avx512.h"

#undef ISA
#define ISA(name) name##_vnni
#define DOT_FULL 1
enum { DOT_FEW = 8, DOT_MANY = 6, DOT_VECTORS = 2 };
SIMD vi vi_dot(vi sum, vi w, vi a) { return _mm512_dpbusd_epi32(sum, w, a); }
SIMD vi vi_lookup(vi table, vi nibbles) { return _mm512_shuffle_epi8(table, nibbles); }
SIMD vi vi_repeat16(const void *p) {
    return _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)p));
}

#include "kernel/simd/packed.h"
