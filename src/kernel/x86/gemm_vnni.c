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

typedef __m256i byte_row;
SIMD byte_row load_row(const uint8_t *p, size_t n) {
    return n == NR ? _mm256_loadu_si256((const __m256i *)p)
                   : _mm256_maskz_loadu_epi8((__mmask32)((1u << n) - 1), p);
}
SIMD vi widened(byte_row row, size_t half, bool is_signed) {
    const __m128i bytes = half ? _mm256_extracti128_si256(row, 1) : _mm256_castsi256_si128(row);
    return is_signed ? _mm512_cvtepi8_epi32(bytes) : _mm512_cvtepu8_epi32(bytes);
}
SIMD void store_row(uint8_t *y, __m256i v, size_t n) {
    if (n == NR)
        _mm256_storeu_si256((__m256i *)y, v);
    else
        _mm256_mask_storeu_epi8(y, (__mmask32)((1u << n) - 1), v);
}
SIMD void store_rows(const vi rows[2][2], uint8_t *y, size_t ldc, size_t n, bool two,
                     bool is_signed) {
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    __m512i a = _mm512_packs_epi32(rows[0][0], rows[0][1]),
            b = _mm512_packs_epi32(rows[1][0], rows[1][1]),
            v = _mm512_permutexvar_epi32(order, is_signed ? _mm512_packs_epi16(a, b)
                                                          : _mm512_packus_epi16(a, b));
    store_row(y, _mm512_castsi512_si256(v), n);
    if (two)
        store_row(y + ldc, _mm512_extracti64x4_epi64(v, 1), n);
}

#include "kernel/simd/quads.h"

/* --- few rows at a time: the bytes of one panel are made between the products of the next, or of
 * the next rows, for the core does not look far enough ahead to do that by itself --- */

enum {
    FEW = 6,
    LEAST = 4,
    STEPS = 4,
    SHORTEST = STEPS * FEW / 2,
    MANY = 6 * MR /* of one panel: fewer would wait for the next one */
};

struct held { /* sums that are not bytes yet */
    vi sums[FEW][2];
    size_t row, rows; /* the next of them, a multiple of 2; how many */
    const float *scale;
    const uint8_t *plus;
    uint8_t *y;
};

/* The next two rows become bytes; adds: constant after inlining. */
SIMD void settle_two(struct held *h, const struct finish *f, const struct gemm_f32 *g,
                     const bool adds) {
    const bool both_there = h->row + 1 < h->rows;
    vi both[2][2];
#pragma GCC unroll 2
    for (size_t i = 0; i < 2; i++) {
        const size_t at = both_there ? h->row + i : h->row;
#pragma GCC unroll 2
        for (size_t j = 0; j < 2; j++) {
            const vf scale = vf_load(h->scale + j * VL);
            const uint8_t *p = h->plus + (adds ? at * g->plus_row + j * VL : 0);
            both[i][j] = adds ? scaled_plus(f, h->sums[at][j], scale, vi_load_u8(p))
                              : scaled(f, h->sums[at][j], scale);
        }
    }
    store_rows(both, h->y + h->row * g->ldc, g->ldc, NR, both_there, false);
    h->row += 2;
}

/* One more quad of each row. */
SIMD void sum_quad(vi acc[FEW][2], const float *const a[FEW], const float *b, size_t k,
                   const size_t m) {
    const vi b0 = vf_bits(vf_load(b)), b1 = vf_bits(vf_load(b + VL));
#pragma GCC unroll 6
    for (size_t row = 0; row < m; row++) {
        int32_t four;
        memcpy(&four, &a[row][k], sizeof four);
        const vi x = vi_set(four);
        acc[row][0] = vi_dpbusd(acc[row][0], x, b0);
        acc[row][1] = vi_dpbusd(acc[row][1], x, b1);
    }
}

/* Rows [first, first + m) of all panels; m and adds: constant after inlining. */
SIMD void few_rows(const struct gemm_f32 *g, const float *ahead, struct held *h, size_t first,
                   const size_t m, const bool adds) {
    const struct finish f = finish_of(g->finish, adds);
    const size_t stride = ahead ? MEM_FLOATS : 0;
    const float *b = g->b, *a[FEW];
    ahead = ahead ? ahead : b;
#pragma GCC unroll 6
    for (size_t i = 0; i < m; i++)
        a[i] = g->a[first + i];
    for (size_t col = 0; col < g->n; col += NR) {
        vi acc[FEW][2];
        const vi bias[2] = {vf_bits(vf_load(g->bias + col)), vf_bits(vf_load(g->bias + col + VL))};
#pragma GCC unroll 6
        for (size_t i = 0; i < m; i++)
            acc[i][0] = bias[0], acc[i][1] = bias[1];
        size_t k = 0;
        while (h->row < h->rows) {
#pragma GCC unroll 4
            for (size_t i = 0; i < STEPS; i++, k++, b += NR, ahead += stride) {
                __builtin_prefetch(ahead, 0, 2);
                sum_quad(acc, a, b, k, m);
            }
            settle_two(h, &f, g, adds);
        }
#pragma GCC unroll 2
        for (; k < g->k; k++, b += NR, ahead += stride) {
            __builtin_prefetch(ahead, 0, 2);
            sum_quad(acc, a, b, k, m);
        }
#pragma GCC unroll 6
        for (size_t i = 0; i < m; i++)
            h->sums[i][0] = acc[i][0], h->sums[i][1] = acc[i][1];
        h->scale = g->scale + col, h->row = 0, h->rows = m;
        h->y = (uint8_t *)g->c + first * g->ldc + col;
        h->plus = adds ? (const uint8_t *)g->plus + first * g->plus_row + col : NULL;
    }
}

#define FEW_ROWS(m)                                                                                \
    case m: few_rows(g, ahead, &h, first, m, adds); break;
/* adds: constant after inlining */
SIMD void many_rows(const struct gemm_f32 *g, const bool adds) {
    struct held h = {.rows = 0};
    const size_t groups = (g->m + FEW - 1) / FEW;
    for (size_t i = 0; i < groups; i++) {
        const size_t first = g->m * i / groups;
        const float *ahead = g->ahead && i < 2 ? g->ahead + i * g->k * MEM_FLOATS : NULL;
        switch (g->m * (i + 1) / groups - first) {
            FEW_ROWS(4)
            FEW_ROWS(5)
            FEW_ROWS(6)
        default: break;
        }
    }
    const struct finish f = finish_of(g->finish, adds);
    while (h.row < h.rows)
        settle_two(&h, &f, g, adds);
}

void gemm_quads_vnni(const struct gemm_f32 *g) {
    if (g->n % NR == 0 && g->taps == 1 && g->k >= SHORTEST && g->m >= 2 * LEAST && g->bias &&
        (g->n > NR || g->m >= MANY) && !g->finish->is_signed) {
        if (g->plus)
            many_rows(g, true);
        else
            many_rows(g, false);
        return;
    }
    every_tile(g);
}
