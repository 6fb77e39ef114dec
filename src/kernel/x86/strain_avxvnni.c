/* SPDX-License-Identifier: Apache-2.0 */
/* simd/strain.h with the byte dot products of AVX-VNNI. */
#include "kernel/kernel.h"
#include "kernel/simd/avx2.h"

#undef ISA
#define ISA(name) name##_avxvnni
#define STRAIN_REGISTER "x"
#include "kernel/simd/strain.h"

STRAIN(strain_i8, vi, _mm256_set1_epi32, _mm256_dpbusd_avx_epi32, 4 * VL)
