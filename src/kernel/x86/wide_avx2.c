/* SPDX-License-Identifier: Apache-2.0 */
/* simd/wide.h for AVX2. */
#include "kernel/simd/avx2.h"

enum { WIDE_ROWS = 6, WIDE_ROWS16 = 4, WIDE_ALONE = 8 };
/* The odd halves first, as AVX512_BF16 does; denormals are kept, which it flushes. */
SIMD vf vf_dot16(vf sum, vf a, vf b) {
    const vi high = vi_set((int32_t)0xffff0000);
    sum = vf_fma(vi_floats(vi_and(vf_bits(a), high)), vi_floats(vi_and(vf_bits(b), high)), sum);
    return vf_fma(vi_floats(vi_shl(vf_bits(a), 16)), vi_floats(vi_shl(vf_bits(b), 16)), sum);
}

#include "kernel/simd/wide.h"

void ISA(wide_f32)(const struct wide_gemm *g) { wide_all(g, WIDE_F32); }
void ISA(wide_bf16)(const struct wide_gemm *g) { wide_all(g, WIDE_B16); }
