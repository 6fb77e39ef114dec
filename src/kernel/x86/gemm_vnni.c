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

/* quads_finish with its numbers as vectors. The bits of MAGIC + v are those of MAGIC and v rounded,
 * where v is within 2^22; beyond, they are still in the order of the numbers. So limits and zero
 * points are an integer's, which any of the vector units takes, not two of them as a float's. */
#define MAGIC 12582912.0f
enum { MAGIC_BITS = 0x4B400000 };
struct finish {
    vf magic, y_scale, plus_scale, offset;
    vf back;             /* from MAGIC to y */
    vi low, high, least; /* limits of what is added to, and of what is not */
    vi last;             /* from MAGIC to the last zero point */
};

SIMD struct finish finish_of(const struct quads_finish *f, const bool adds) {
    const int32_t low = (f->is_signed ? -128 : 0) - f->zero;
    return (struct finish){.magic = vf_set(MAGIC),
                           .y_scale = vf_set(f->y_scale),
                           .plus_scale = vf_set(f->plus_scale),
                           .offset = vf_set(f->offset),
                           .back = vf_set(MAGIC - (float)f->zero),
                           .low = vi_set(MAGIC_BITS + low),
                           .high = vi_set(MAGIC_BITS + low + 255),
                           .least = vi_set(MAGIC_BITS - (1 << 21)),
                           .last = vi_set(MAGIC_BITS - (adds ? f->plus_zero : f->zero))};
}

/* VL numbers, rounded, the last zero point added; the limits of a byte are left to packed(). */
SIMD vi rounded(const struct finish *f, vf v) {
    return vi_sub(vi_max(vf_bits(vf_add(v, f->magic)), f->least), f->last);
}
SIMD vi scaled(const struct finish *f, vi sum, vf scale) {
    return rounded(f, vf_mul(vf_of(sum), scale));
}
SIMD vi scaled_plus(const struct finish *f, vi sum, vf scale, __m128i plus, bool is_signed) {
    const vf other = vf_of(is_signed ? _mm512_cvtepi8_epi32(plus) : _mm512_cvtepu8_epi32(plus));
    const vi y = vf_bits(vf_add(vf_mul(vf_of(sum), scale), f->magic)),
             within = vi_min(vi_max(y, f->low), f->high);
    return rounded(f, vf_fma(vf_sub(vi_floats(within), f->back), f->y_scale,
                             vf_fma(other, f->plus_scale, f->offset)));
}

/* Two rows of 2 VL numbers to bytes, saturating on the way, one row in each half. */
SIMD __m512i packed(const vi rows[2][2], bool is_signed) {
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    __m512i a = _mm512_packs_epi32(rows[0][0], rows[0][1]),
            b = _mm512_packs_epi32(rows[1][0], rows[1][1]);
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
        const __m512i v = packed(both, is_signed);
        store_row(y + row * ldc, _mm512_castsi512_si256(v), n);
        if (row + 1 < m)
            store_row(y + (row + 1) * ldc, _mm512_extracti64x4_epi64(v, 1), n);
    }
}

/* m rows (constant after inlining) of one panel, and always two vectors of columns: panels are
 * filled. */
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
static void one_panel(const struct gemm_f32 *g) {
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
            const __m128i *p = (const __m128i *)(h->plus + (adds ? at * g->plus_row + j * VL : 0));
            both[i][j] = adds ? scaled_plus(f, h->sums[at][j], scale, _mm_loadu_si128(p), false)
                              : scaled(f, h->sums[at][j], scale);
        }
    }
    const __m512i v = packed(both, false);
    uint8_t *y = h->y + h->row * g->ldc;
    store_row(y, _mm512_castsi512_si256(v), NR);
    if (both_there)
        store_row(y + g->ldc, _mm512_extracti64x4_epi64(v, 1), NR);
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

/* All panels over the rows of one tile. */
static void every_panel(const struct gemm_f32 *g) {
    struct gemm_f32 one = *g;
    for (size_t col = 0; col < g->n; col += NR, one.b += g->taps * g->k * NR) {
        one.n = g->n - col < NR ? g->n - col : NR;
        one.bias = g->bias ? g->bias + col : NULL;
        one.scale = g->scale + col;
        one.c = (float *)((uint8_t *)g->c + col);
        one.plus = g->plus ? (const float *)((const uint8_t *)g->plus + col) : NULL;
        one_panel(&one);
    }
}

void gemm_quads_vnni(const struct gemm_f32 *g) {
    const size_t tiles = (g->m + MR - 1) / MR;
    if (g->n % NR == 0 && g->taps == 1 && g->k >= SHORTEST && g->m >= 2 * LEAST && g->bias &&
        (g->n > NR || g->m >= MANY) && !g->finish->is_signed) {
        if (g->plus)
            many_rows(g, true);
        else
            many_rows(g, false);
        return;
    }
    struct gemm_f32 tile = *g;
    for (size_t i = 0; i < tiles; i++) {
        const size_t row = g->m * i / tiles;
        tile.m = g->m * (i + 1) / tiles - row;
        tile.a = g->a + row;
        tile.c = (float *)((uint8_t *)g->c + row * g->ldc);
        tile.plus = g->plus ? (const float *)((const uint8_t *)g->plus + row * g->plus_row) : NULL;
        tile.ahead = g->ahead && i < 2 ? g->ahead + i * g->k * MEM_FLOATS : NULL;
        every_panel(&tile);
    }
}
