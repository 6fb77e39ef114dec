/* SPDX-License-Identifier: Apache-2.0 */
/* The matrix tile of quads with the byte products of AVX-VNNI: vectors of 32 bytes, for CPUs
 * without AVX-512. Compiled with that instruction set, so nothing here may be called before
 * cpu_flags() allows it. The product is spelled out for the reason that gemm_vnni.c gives. */
#include "kernel/simd/avx2.h"

#undef ISA
#define ISA(name) name##_avxvnni

#include "kernel/simd/tile.h"

SIMD vi vi_dpbusd(vi sum, vi a, vi b) {
    __asm__("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sum) : "x"(a), "x"(b));
    return sum;
}

typedef __m128i byte_row;
SIMD byte_row load_row(const uint8_t *p, size_t n) {
    uint8_t some[NR] = {0};
    if (n < NR)
        memcpy(some, p, n);
    return _mm_loadu_si128((const __m128i *)(n < NR ? some : p));
}
SIMD vi widened(byte_row row, size_t half, bool is_signed) {
    const __m128i bytes = half ? _mm_srli_si128(row, VL) : row;
    return is_signed ? _mm256_cvtepi8_epi32(bytes) : _mm256_cvtepu8_epi32(bytes);
}
SIMD void store_row(uint8_t *y, __m128i v, size_t n) {
    uint8_t all[NR];
    _mm_storeu_si128((__m128i *)(n < NR ? all : y), v);
    if (n < NR)
        memcpy(y, all, n);
}
SIMD void store_rows(const vi rows[2][2], uint8_t *y, size_t ldc, size_t n, bool two,
                     bool is_signed) {
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    __m256i a = _mm256_packs_epi32(rows[0][0], rows[0][1]),
            b = _mm256_packs_epi32(rows[1][0], rows[1][1]),
            v = _mm256_permutevar8x32_epi32(
                is_signed ? _mm256_packs_epi16(a, b) : _mm256_packus_epi16(a, b), order);
    store_row(y, _mm256_castsi256_si128(v), n);
    if (two)
        store_row(y + ldc, _mm256_extracti128_si256(v, 1), n);
}

#include "kernel/simd/quads.h"

void gemm_quads_avxvnni(const struct gemm_f32 *g) { every_tile(g); }
