/* SPDX-License-Identifier: Apache-2.0 */
/* simd/strain.h with AVX-512 but for VNNI and BF16. */
#include "kernel/kernel.h"
#include "kernel/simd/avx512.h"

#define STRAIN_REGISTER "v"
#include "kernel/simd/strain.h"

SIMD vf add_product(vf sum, vf a, vf b) { return vf_fma(a, b, sum); }
SIMD vi add_bytes(vi sum, vi a, vi b) {
    vi pairs = _mm512_maddubs_epi16(a, b);
    return _mm512_add_epi32(sum, _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)));
}

STRAIN(strain_f32, vf, vf_set, add_product, VL)
STRAIN(strain_i8, vi, _mm512_set1_epi32, add_bytes, 4 * VL)
