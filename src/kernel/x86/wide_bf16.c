/* SPDX-License-Identifier: Apache-2.0 */
/* simd/wide.h with the dot products of AVX512_BF16. */
#include "kernel/simd/avx512.h"

#undef ISA
#define ISA(name) name##_bf16
enum { WIDE_ROWS = 12, WIDE_ROWS16 = 12, WIDE_ALONE = 4 };
SIMD vf vf_dot16(vf sum, vf a, vf b) { return _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)b); }

#include "kernel/simd/wide.h"

void ISA(wide_bf16)(const struct wide_gemm *g) { wide_all(g, WIDE_B16); }
