/* SPDX-License-Identifier: Apache-2.0 */
/* AVX2 with FMA and F16C under the names that the bodies of this folder use (avx512.h tells what
 * they mean). Tails are masked loads and stores, so no lane beyond the end is touched. */
#pragma once

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define ISA(name) name##_avx2
#define SIMD static inline __attribute__((always_inline))
#define SIMD_ROWS 6 /* of the matrix tile */
enum { VL = 8, VREGS = 16 };

typedef __m256 vf;
typedef __m256i vi;
typedef __m256 vm; /* all bits of a lane */

SIMD __m256i vm_first(size_t n) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
SIMD vf vf_load(const float *p) { return _mm256_loadu_ps(p); }
SIMD void vf_store(float *p, vf v) { _mm256_storeu_ps(p, v); }
SIMD vf vf_load_n(const float *p, size_t n) { return _mm256_maskload_ps(p, vm_first(n)); }
SIMD void vf_store_n(float *p, vf v, size_t n) { _mm256_maskstore_ps(p, vm_first(n), v); }
SIMD vf vf_set(float v) { return _mm256_set1_ps(v); }
SIMD vf vf_zero(void) { return _mm256_setzero_ps(); }
SIMD vf vf_add(vf a, vf b) { return _mm256_add_ps(a, b); }
SIMD vf vf_sub(vf a, vf b) { return _mm256_sub_ps(a, b); }
SIMD vf vf_mul(vf a, vf b) { return _mm256_mul_ps(a, b); }
SIMD vf vf_div(vf a, vf b) { return _mm256_div_ps(a, b); }
SIMD vf vf_fma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }
SIMD vf vf_fnma(vf a, vf b, vf c) { return _mm256_fnmadd_ps(a, b, c); }
SIMD vf vf_min(vf a, vf b) { return _mm256_min_ps(a, b); }
SIMD vf vf_max(vf a, vf b) { return _mm256_max_ps(a, b); }
SIMD vf vf_sqrt(vf a) { return _mm256_sqrt_ps(a); }
SIMD vf vf_abs(vf a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a); }
SIMD vf vf_round(vf a) { return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
SIMD vf vf_floor(vf a) { return _mm256_floor_ps(a); }
SIMD vf vf_ceil(vf a) { return _mm256_ceil_ps(a); }
SIMD vi vf_bits(vf a) { return _mm256_castps_si256(a); }
SIMD vf vi_floats(vi a) { return _mm256_castsi256_ps(a); }
SIMD vf vf_and(vf a, vf b) { return _mm256_and_ps(a, b); }
SIMD vf vf_or(vf a, vf b) { return _mm256_or_ps(a, b); }
SIMD vf vf_xor(vf a, vf b) { return _mm256_xor_ps(a, b); }

SIMD vm vf_lt(vf a, vf b) { return _mm256_cmp_ps(a, b, _CMP_LT_OQ); }
SIMD vm vf_le(vf a, vf b) { return _mm256_cmp_ps(a, b, _CMP_LE_OQ); }
SIMD vm vf_gt(vf a, vf b) { return _mm256_cmp_ps(a, b, _CMP_GT_OQ); }
SIMD vm vf_eq(vf a, vf b) { return _mm256_cmp_ps(a, b, _CMP_EQ_OQ); }
SIMD vm vf_nan(vf a) { return _mm256_cmp_ps(a, a, _CMP_UNORD_Q); }
SIMD vf vf_pick(vm m, vf yes, vf no) { return _mm256_blendv_ps(no, yes, m); }

SIMD vi vi_set(int32_t v) { return _mm256_set1_epi32(v); }
SIMD vi vi_add(vi a, vi b) { return _mm256_add_epi32(a, b); }
SIMD vi vi_sub(vi a, vi b) { return _mm256_sub_epi32(a, b); }
SIMD vi vi_and(vi a, vi b) { return _mm256_and_si256(a, b); }
SIMD vi vi_or(vi a, vi b) { return _mm256_or_si256(a, b); }
/* Sums of two products of int16. */
SIMD vi vi_madd(vi a, vi b) { return _mm256_madd_epi16(a, b); }
/* sum + them. A compiler that knows sums to be sums adds many products first, in more registers
 * than there are. */
SIMD vi vi_madd_add(vi sum, vi a, vi b) {
    sum = vi_add(sum, vi_madd(a, b));
    __asm__("" : "+x"(sum));
    return sum;
}
SIMD vi vi_mul(vi a, vi b) { return _mm256_mullo_epi32(a, b); }
SIMD vi vi_add16(vi a, vi b) { return _mm256_add_epi16(a, b); }
SIMD vi vi_sub16(vi a, vi b) { return _mm256_sub_epi16(a, b); }
SIMD vi vi_load_u8_16(const uint8_t *p, uint8_t flip) {
    const __m128i bytes = _mm_loadu_si128((const __m128i *)p);
    return _mm256_cvtepu8_epi16(_mm_xor_si128(bytes, _mm_set1_epi8((char)flip)));
}
SIMD vi vi_min(vi a, vi b) { return _mm256_min_epi32(a, b); }
SIMD vi vi_max(vi a, vi b) { return _mm256_max_epi32(a, b); }
#define vi_shl(a, bits) _mm256_slli_epi32((a), (bits)) /* bits: a literal */
#define vi_shr(a, bits) _mm256_srai_epi32((a), (bits))
#define vi_shr_logical(a, bits) _mm256_srli_epi32((a), (bits))
SIMD vi vi_of(vf a) { return _mm256_cvtps_epi32(a); }
SIMD vf vf_of(vi a) { return _mm256_cvtepi32_ps(a); }
SIMD vi vi_load(const int32_t *p) { return _mm256_loadu_si256((const __m256i *)p); }
SIMD void vi_store(int32_t *p, vi v) { _mm256_storeu_si256((__m256i *)p, v); }

/* Two steps of half the exponent, so that neither leaves the range of a float: right for |n| <=
 * 252. */
SIMD vf vf_scale2(vf a, vf n) {
    vi whole = vi_of(n), half = vi_shr(whole, 1), rest = vi_sub(whole, half), bias = vi_set(127);
    vf first = vi_floats(vi_shl(vi_add(half, bias), 23)),
       second = vi_floats(vi_shl(vi_add(rest, bias), 23));
    return vf_mul(vf_mul(a, first), second);
}

SIMD __m128 vf_fold_add(vf a) {
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_add_ss(s, _mm_movehdup_ps(s));
}
SIMD float vf_sum(vf a) { return _mm_cvtss_f32(vf_fold_add(a)); }
SIMD float vf_highest(vf a) {
    __m128 s = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    s = _mm_max_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
}
SIMD float vf_lowest(vf a) {
    __m128 s = _mm_min_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    s = _mm_min_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_min_ss(s, _mm_movehdup_ps(s)));
}

SIMD vi vi_load_u8(const uint8_t *p) {
    return _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p));
}
SIMD vi vi_load_i8(const int8_t *p) {
    return _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)p));
}
/* 4 * VL bytes */
SIMD vi vi_load_bytes(const void *p) { return _mm256_loadu_si256(p); }
SIMD void vi_store_bytes(void *p, vi v) { _mm256_storeu_si256(p, v); }
SIMD vi vi_top_u8(vi a, vi b) { return _mm256_max_epu8(a, b); }
SIMD vi vi_top_i8(vi a, vi b) { return _mm256_max_epi8(a, b); }
SIMD void vi_store_8(void *p, vi v) { /* gathers the low byte of each lane */
    const __m256i low =
        _mm256_setr_epi8(0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 0, 4, 8, 12,
                         -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1);
    __m256i bytes = _mm256_shuffle_epi8(v, low);
    int32_t a = _mm256_extract_epi32(bytes, 0), b = _mm256_extract_epi32(bytes, 4);
    memcpy(p, &a, sizeof a);
    memcpy((char *)p + 4, &b, sizeof b);
}

SIMD vf vf_load_f16(const uint16_t *p) {
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p));
}
SIMD void vf_store_f16(uint16_t *p, vf v) {
    _mm_storeu_si128((__m128i *)p, _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
}
SIMD vf vf_load_bf16(const uint16_t *p) {
    return vi_floats(
        _mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p)), 16));
}
SIMD void vi_store_16(uint16_t *p, vi v) { /* low halves; values below 65536 */
    __m256i packed = _mm256_packus_epi32(v, v);
    _mm_storeu_si128((__m128i *)p, _mm256_castsi256_si128(_mm256_permute4x64_epi64(packed, 0x08)));
}
SIMD void vi_store_i16(int16_t *p, vi v) { /* values of 16 bits */
    __m256i packed = _mm256_permute4x64_epi64(_mm256_packs_epi32(v, v), 0x08);
    _mm_storeu_si128((__m128i *)p, _mm256_castsi256_si128(packed));
}
