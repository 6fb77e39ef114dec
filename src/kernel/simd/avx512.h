/* SPDX-License-Identifier: Apache-2.0 */
/* AVX-512 (F, BW, DQ, VL) under the names that the bodies of this folder use: vf holds VL floats,
 * vi VL int32, vm a bit per lane. Tails are masked loads and stores, so no lane beyond the end is
 * touched. min and max keep their second operand when either is NaN, as the instructions do. */
#pragma once

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#define ISA(name) name##_avx512
#define SIMD static inline __attribute__((always_inline))
#define SIMD_ROWS 12 /* of the matrix tile */
enum { VL = 16, VREGS = 32 };

typedef __m512 vf;
typedef __m512i vi;
typedef __mmask16 vm;

SIMD vm vm_first(size_t n) { return (vm)((1u << n) - 1); } /* n < VL */
SIMD vf vf_load(const float *p) { return _mm512_loadu_ps(p); }
SIMD void vf_store(float *p, vf v) { _mm512_storeu_ps(p, v); }
SIMD vf vf_load_n(const float *p, size_t n) { return _mm512_maskz_loadu_ps(vm_first(n), p); }
SIMD void vf_store_n(float *p, vf v, size_t n) { _mm512_mask_storeu_ps(p, vm_first(n), v); }
SIMD vf vf_set(float v) { return _mm512_set1_ps(v); }
SIMD vf vf_zero(void) { return _mm512_setzero_ps(); }
SIMD vf vf_add(vf a, vf b) { return _mm512_add_ps(a, b); }
SIMD vf vf_sub(vf a, vf b) { return _mm512_sub_ps(a, b); }
SIMD vf vf_mul(vf a, vf b) { return _mm512_mul_ps(a, b); }
SIMD vf vf_div(vf a, vf b) { return _mm512_div_ps(a, b); }
SIMD vf vf_fma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }   /* a * b + c */
SIMD vf vf_fnma(vf a, vf b, vf c) { return _mm512_fnmadd_ps(a, b, c); } /* c - a * b */
SIMD vf vf_min(vf a, vf b) { return _mm512_min_ps(a, b); }
SIMD vf vf_max(vf a, vf b) { return _mm512_max_ps(a, b); }
SIMD vf vf_sqrt(vf a) { return _mm512_sqrt_ps(a); }
SIMD vf vf_abs(vf a) { return _mm512_abs_ps(a); }
SIMD vf vf_round(vf a) {
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
SIMD vf vf_floor(vf a) {
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
}
SIMD vf vf_ceil(vf a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC); }
SIMD vi vf_bits(vf a) { return _mm512_castps_si512(a); }
SIMD vf vi_floats(vi a) { return _mm512_castsi512_ps(a); }
SIMD vf vf_and(vf a, vf b) { return _mm512_and_ps(a, b); }
SIMD vf vf_or(vf a, vf b) { return _mm512_or_ps(a, b); }
SIMD vf vf_xor(vf a, vf b) { return _mm512_xor_ps(a, b); }

SIMD vm vf_lt(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
SIMD vm vf_le(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_LE_OQ); }
SIMD vm vf_gt(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ); }
SIMD vm vf_eq(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ); }
SIMD vm vf_nan(vf a) { return _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q); }
SIMD vf vf_pick(vm m, vf yes, vf no) { return _mm512_mask_blend_ps(m, no, yes); }

SIMD vi vi_set(int32_t v) { return _mm512_set1_epi32(v); }
SIMD vi vi_add(vi a, vi b) { return _mm512_add_epi32(a, b); }
SIMD vi vi_sub(vi a, vi b) { return _mm512_sub_epi32(a, b); }
SIMD vi vi_and(vi a, vi b) { return _mm512_and_si512(a, b); }
SIMD vi vi_or(vi a, vi b) { return _mm512_or_si512(a, b); }
/* Sums of two products of int16. */
SIMD vi vi_madd(vi a, vi b) { return _mm512_madd_epi16(a, b); }
/* sum + them */
SIMD vi vi_madd_add(vi sum, vi a, vi b) { return vi_add(sum, vi_madd(a, b)); }
SIMD vi vi_mul(vi a, vi b) { return _mm512_mullo_epi32(a, b); }
/* 2 VL int16 */
SIMD vi vi_add16(vi a, vi b) { return _mm512_add_epi16(a, b); }
SIMD vi vi_sub16(vi a, vi b) { return _mm512_sub_epi16(a, b); }
SIMD vi vi_load_u8_16(const uint8_t *p, uint8_t flip) { /* each byte ^ flip */
    const __m256i bytes = _mm256_loadu_si256((const __m256i *)p);
    return _mm512_cvtepu8_epi16(_mm256_xor_si256(bytes, _mm256_set1_epi8((char)flip)));
}
SIMD vi vi_min(vi a, vi b) { return _mm512_min_epi32(a, b); }
SIMD vi vi_max(vi a, vi b) { return _mm512_max_epi32(a, b); }
#define vi_shl(a, bits) _mm512_slli_epi32((a), (bits)) /* bits: a literal */
#define vi_shr(a, bits) _mm512_srai_epi32((a), (bits))
#define vi_shr_logical(a, bits) _mm512_srli_epi32((a), (bits))
SIMD vi vi_of(vf a) { return _mm512_cvtps_epi32(a); } /* to nearest even; out of range: INT32_MIN */
SIMD vf vf_of(vi a) { return _mm512_cvtepi32_ps(a); }
SIMD vi vi_load(const int32_t *p) { return _mm512_loadu_si512(p); }
SIMD void vi_store(int32_t *p, vi v) { _mm512_storeu_si512(p, v); }

/* a * 2^n, right for every n and through the denormals. */
SIMD vf vf_scale2(vf a, vf n) { return _mm512_scalef_ps(a, n); }

SIMD float vf_sum(vf a) { return _mm512_reduce_add_ps(a); }
SIMD float vf_highest(vf a) { return _mm512_reduce_max_ps(a); }
SIMD float vf_lowest(vf a) { return _mm512_reduce_min_ps(a); }

/* VL bytes <-> VL int32; the way down takes values already in range. */
SIMD vi vi_load_u8(const uint8_t *p) {
    return _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p));
}
SIMD vi vi_load_i8(const int8_t *p) {
    return _mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)p));
}
/* 4 * VL bytes */
SIMD vi vi_load_bytes(const void *p) { return _mm512_loadu_si512(p); }
SIMD void vi_store_bytes(void *p, vi v) { _mm512_storeu_si512(p, v); }
SIMD vi vi_top_u8(vi a, vi b) { return _mm512_max_epu8(a, b); }
SIMD vi vi_top_i8(vi a, vi b) { return _mm512_max_epi8(a, b); }
SIMD void vi_store_8(void *p, vi v) { _mm_storeu_si128((__m128i *)p, _mm512_cvtepi32_epi8(v)); }

SIMD vf vf_load_f16(const uint16_t *p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
}
SIMD void vf_store_f16(uint16_t *p, vf v) {
    _mm256_storeu_si256((__m256i *)p, _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
}
SIMD vf vf_load_bf16(const uint16_t *p) {
    return vi_floats(
        _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p)), 16));
}
SIMD void vi_store_16(uint16_t *p, vi v) {
    _mm256_storeu_si256((__m256i *)p, _mm512_cvtepi32_epi16(v));
} /* low halves */
SIMD void vi_store_i16(int16_t *p, vi v) { /* values of 16 bits */
    _mm256_storeu_si256((__m256i *)p, _mm512_cvtepi32_epi16(v));
}
