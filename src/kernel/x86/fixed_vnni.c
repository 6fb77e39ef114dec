/* SPDX-License-Identifier: Apache-2.0 */
/* simd/fixed.h with the int16 dot products of AVX512_VNNI. */
#include "kernel/simd/avx512.h"

#undef ISA
#define ISA(name) name##_vnni
enum { FIXED_FEW = 8, FIXED_MANY = 6 };
SIMD vi vi_dot_pairs(vi sum, vi w, vi a) { return _mm512_dpwssd_epi32(sum, w, a); }

#include "kernel/simd/fixed.h"
