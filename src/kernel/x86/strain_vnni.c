/* SPDX-License-Identifier: Apache-2.0 */
/* simd/strain.h with the byte dot products of AVX512_VNNI. */
#include "kernel/kernel.h"
#include "kernel/simd/avx512.h"

#undef ISA
#define ISA(name) name##_vnni
#define STRAIN_REGISTER "v"
#include "kernel/simd/strain.h"

STRAIN(strain_i8, vi, _mm512_set1_epi32, _mm512_dpbusd_epi32, 4 * VL)
