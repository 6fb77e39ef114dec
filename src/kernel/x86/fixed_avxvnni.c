/* SPDX-License-Identifier: Apache-2.0 */
/* simd/fixed.h with the int16 dot products of AVX-VNNI. */
#include "kernel/simd/avx2.h"

#undef ISA
#define ISA(name) name##_avxvnni
enum { FIXED_FEW = 4, FIXED_MANY = 4 };
SIMD vi vi_dot_pairs(vi sum, vi w, vi a) { return _mm256_dpwssd_avx_epi32(sum, w, a); }

#include "kernel/simd/fixed.h"
