/* SPDX-License-Identifier: Apache-2.0 */
/* The integer matrix tiles for AVX-512 with VNNI, which sums two products of int16 or four of bytes
 * in one instruction; compiled with that instruction set, so nothing here may be called before
 * cpu_flags() allows it.
 *
 * The instructions are spelled out: through the intrinsics, GCC 12 moves every accumulator to
 * another register and back, and the tile takes twice as long. */
#include "kernel/simd/avx512.h"

#undef ISA
#define ISA(name) name##_vnni

SIMD vi vi_dpwssd(vi sum, vi a, vi b) {
    __asm__("vpdpwssd %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
    return sum;
}
#define vi_madd_add vi_dpwssd
#include "kernel/simd/pairs.h"

/* sum + four products of unsigned bytes of a with signed bytes of b */
SIMD vi vi_dpbusd(vi sum, vi a, vi b) {
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
    return sum;
}

/* quads_finish with its numbers as vectors, and limits before a zero point is added. */
struct finish {
    vf low, high, zero, y_scale, plus_scale, offset, plus_high;
    __m512i last_zero; /* int16 */
};

SIMD struct finish finish_of(const struct quads_finish *f, const bool adds) {
    const float low = f->is_signed ? -128 : 0;
    const int32_t last = adds ? f->plus_zero : f->zero;
    return (struct finish){.low = vf_set(low - (float)f->zero),
                           .high = vf_set(low + 255 - (float)f->zero),
                           .zero = vf_set((float)f->zero),
                           .y_scale = vf_set(f->y_scale),
                           .plus_scale = vf_set(f->plus_scale),
                           .offset = vf_set(f->offset),
                           .plus_high = vf_set(low + 255 - (float)f->plus_zero),
                           .last_zero = _mm512_set1_epi16((int16_t)last)};
}

/* VL numbers, rounded; the last zero point and the lower limit are left to packed(). */
SIMD vi scaled(const struct finish *f, vi sum, vf scale) {
    return vi_of(vf_min(f->high, vf_mul(vf_of(sum), scale)));
}
SIMD vi scaled_plus(const struct finish *f, vi sum, vf scale, __m128i plus, bool is_signed) {
    vf y = vf_min(f->high, vf_max(f->low, vf_mul(vf_of(sum), scale))),
       other = vf_of(is_signed ? _mm512_cvtepi8_epi32(plus) : _mm512_cvtepu8_epi32(plus));
    y = vf_add(vf_round(y), f->zero);
    return vi_of(
        vf_min(f->plus_high, vf_fma(y, f->y_scale, vf_fma(other, f->plus_scale, f->offset))));
}

/* Two rows of 2 VL numbers to bytes, saturating on the way, one row in each half. */
SIMD __m512i packed(const struct finish *f, const vi rows[2][2], bool is_signed) {
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    __m512i a = _mm512_adds_epi16(_mm512_packs_epi32(rows[0][0], rows[0][1]), f->last_zero),
            b = _mm512_adds_epi16(_mm512_packs_epi32(rows[1][0], rows[1][1]), f->last_zero);
    return _mm512_permutexvar_epi32(order, is_signed ? _mm512_packs_epi16(a, b)
                                                     : _mm512_packus_epi16(a, b));
}

SIMD void store_row(uint8_t *y, __m256i v, size_t n) {
    if (n == NR)
        _mm256_storeu_si256((__m256i *)y, v);
    else
        _mm256_mask_storeu_epi8(y, (__mmask32)((1u << n) - 1), v);
}

SIMD __m256i load_row(const uint8_t *p, size_t n) {
    return n == NR ? _mm256_loadu_si256((const __m256i *)p)
                   : _mm256_maskz_loadu_epi8((__mmask32)((1u << n) - 1), p);
}

/* m rows of sums (m and adds constant after inlining) become bytes. */
SIMD void settle(const struct gemm_f32 *g, vi acc[MR][2], const size_t m, const bool adds) {
    const struct finish f = finish_of(g->finish, adds);
    const bool is_signed = g->finish->is_signed;
    const size_t n = g->n, ldc = g->ldc, plus_row = g->plus_row;
    const vf scale[2] = {some_load(g->scale, n),
                         n > VL ? some_load(g->scale + VL, n - VL) : vf_zero()};
    const uint8_t *plus = (const uint8_t *)g->plus;
    uint8_t *y = (uint8_t *)g->c;
#pragma GCC unroll 6
    for (size_t row = 0; row < m; row += 2) {
        vi both[2][2];
#pragma GCC unroll 2
        for (size_t i = 0; i < 2; i++) {
            const size_t at = row + i < m ? row + i : row;
            const __m256i p = adds ? load_row(plus + at * plus_row, n) : _mm256_setzero_si256();
            both[i][0] =
                adds ? scaled_plus(&f, acc[at][0], scale[0], _mm256_castsi256_si128(p), is_signed)
                     : scaled(&f, acc[at][0], scale[0]);
            both[i][1] = adds ? scaled_plus(&f, acc[at][1], scale[1],
                                            _mm256_extracti128_si256(p, 1), is_signed)
                              : scaled(&f, acc[at][1], scale[1]);
        }
        const __m512i v = packed(&f, both, is_signed);
        store_row(y + row * ldc, _mm512_castsi512_si256(v), n);
        if (row + 1 < m)
            store_row(y + (row + 1) * ldc, _mm512_extracti64x4_epi64(v, 1), n);
    }
}

/* m rows (constant after inlining) and always two vectors of columns: panels are filled. */
SIMD void tile_quads(const struct gemm_f32 *g, const size_t m) {
    vi acc[MR][2];
    const size_t left[2] = {g->n, g->n > VL ? g->n - VL : 0};
#pragma GCC unroll 2
    for (size_t col = 0; col < 2; col++) {
        vi start =
            vf_bits(g->bias && left[col] ? some_load(g->bias + col * VL, left[col]) : vf_zero());
#pragma GCC unroll 12
        for (size_t row = 0; row < m; row++)
            acc[row][col] = start;
    }
    const float *b = g->b, *ahead = g->ahead ? g->ahead : b;
    const size_t stride = g->ahead ? MEM_FLOATS : 0;
    for (size_t row = 0; g->plus && row < m; row++)
        __builtin_prefetch((const uint8_t *)g->plus + row * g->plus_row);
    for (size_t tap = 0; tap < g->taps; tap++) {
        const float *a[MR];
#pragma GCC unroll 12
        for (size_t row = 0; row < m; row++)
            a[row] = g->a[tap * m + row];
        for (size_t k = 0; k < g->k; k++, b += NR, ahead += stride) {
            __builtin_prefetch(ahead, 0, 2);
            vi b0 = vf_bits(vf_load(b)), b1 = vf_bits(vf_load(b + VL));
#pragma GCC unroll 12
            for (size_t row = 0; row < m; row++) {
                int32_t four;
                memcpy(&four, &a[row][k], sizeof four);
                vi x = vi_set(four);
                acc[row][0] = vi_dpbusd(acc[row][0], x, b0);
                acc[row][1] = vi_dpbusd(acc[row][1], x, b1);
            }
        }
    }
    if (g->plus)
        settle(g, acc, m, true);
    else
        settle(g, acc, m, false);
}

#define QUADS(m)                                                                                   \
    case m: tile_quads(g, m); break;
void gemm_quads_vnni(const struct gemm_f32 *g) {
    switch (g->m) {
        QUADS(1)
        QUADS(2)
        QUADS(3)
        QUADS(4)
        QUADS(5)
        QUADS(6)
        QUADS(7)
        QUADS(8)
        QUADS(9)
        QUADS(10)
        QUADS(11)
        QUADS(12)
    default: break;
    }
}
