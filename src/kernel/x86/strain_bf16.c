/* SPDX-License-Identifier: Apache-2.0 */
/* simd/strain.h with the dot products of AVX512_BF16. */
#include "kernel/kernel.h"
#include "kernel/simd/avx512.h"

#undef ISA
#define ISA(name) name##_bf16
#define STRAIN_REGISTER "v"
#include "kernel/simd/strain.h"

SIMD vf add_pairs(vf sum, vf a, vf b) { return _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)b); }

STRAIN(strain_bf16, vf, vf_set, add_pairs, 2 * VL)
