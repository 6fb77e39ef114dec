/* SPDX-License-Identifier: Apache-2.0 */
/* Transposes by 8 x 8 and 4 x 4 blocks of 32-bit, 8 x 8 of 16-bit and 16 x 16 of 8-bit elements;
 * edges go element by element. */
#include "kernel/kernel.h"

#include <immintrin.h>

enum { BLOCK32 = 8, BLOCK16 = 8, BLOCK8 = 16 };

static inline void block_32(const uint32_t *x, size_t ldx, uint32_t *y, size_t ldy) {
    __m256 r[8], t[8];
    for (int i = 0; i < 8; i++)
        r[i] = _mm256_loadu_ps((const float *)(x + (size_t)i * ldx));
    for (int i = 0; i < 8; i += 2) {
        t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
    }
    for (int i = 0; i < 8; i += 4) {
        r[i] = _mm256_shuffle_ps(t[i], t[i + 2], 0x44);
        r[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], 0xee);
        r[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
        r[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xee);
    }
    for (int i = 0; i < 4; i++) {
        _mm256_storeu_ps((float *)(y + (size_t)i * ldy),
                         _mm256_permute2f128_ps(r[i], r[i + 4], 0x20));
        _mm256_storeu_ps((float *)(y + (size_t)(i + 4) * ldy),
                         _mm256_permute2f128_ps(r[i], r[i + 4], 0x31));
    }
}

static inline void block_4(const uint32_t *x, size_t ldx, uint32_t *y, size_t ldy) {
    __m128 r[4];
    for (int i = 0; i < 4; i++)
        r[i] = _mm_loadu_ps((const float *)(x + (size_t)i * ldx));
    _MM_TRANSPOSE4_PS(r[0], r[1], r[2], r[3]);
    for (int i = 0; i < 4; i++)
        _mm_storeu_ps((float *)(y + (size_t)i * ldy), r[i]);
}

static void elements_32(size_t rows, size_t cols, const uint32_t *x, size_t ldx, uint32_t *y,
                        size_t ldy) {
    for (size_t row = 0; row < rows; row++)
        for (size_t col = 0; col < cols; col++)
            y[col * ldy + row] = x[row * ldx + col];
}

/* Fewer than 8 rows, or fewer than 8 columns: by 4 x 4 as far as that goes. */
static void edge_32(size_t rows, size_t cols, const uint32_t *x, size_t ldx, uint32_t *y,
                    size_t ldy) {
    size_t rows_4 = rows / 4 * 4, cols_4 = cols / 4 * 4;
    for (size_t row = 0; row < rows_4; row += 4)
        for (size_t col = 0; col < cols_4; col += 4)
            block_4(x + row * ldx + col, ldx, y + col * ldy + row, ldy);
    elements_32(rows - rows_4, cols, x + rows_4 * ldx, ldx, y + rows_4, ldy);
    elements_32(rows_4, cols - cols_4, x + cols_4, ldx, y + cols_4 * ldy, ldy);
}

/* The planes of a colour picture to pixels of 3: each store spills into the next pixel, which is
 * written after it. */
static void pixels_of_3(size_t cols, const uint32_t *x, size_t ldx, uint32_t *y) {
    size_t col = 0;
    for (; col + 5 <= cols; col += 4) {
        __m128 r[4] = {_mm_loadu_ps((const float *)(x + col)),
                       _mm_loadu_ps((const float *)(x + ldx + col)),
                       _mm_loadu_ps((const float *)(x + 2 * ldx + col)), _mm_setzero_ps()};
        _MM_TRANSPOSE4_PS(r[0], r[1], r[2], r[3]);
        for (size_t i = 0; i < 4; i++)
            _mm_storeu_ps((float *)(y + (col + i) * 3), r[i]);
    }
    elements_32(3, cols - col, x + col, ldx, y + col * 3, 3);
}

void transpose_32_avx2(size_t rows, size_t cols, const void *x, size_t ldx, void *y, size_t ldy) {
    const uint32_t *from = x;
    uint32_t *to = y;
    if (rows == 3 && ldy == 3) {
        pixels_of_3(cols, from, ldx, to);
        return;
    }
    size_t whole_rows = rows / BLOCK32 * BLOCK32, whole_cols = cols / BLOCK32 * BLOCK32;
    for (size_t row = 0; row < whole_rows; row += BLOCK32)
        for (size_t col = 0; col < whole_cols; col += BLOCK32)
            block_32(from + row * ldx + col, ldx, to + col * ldy + row, ldy);
    if (whole_cols < cols)
        edge_32(whole_rows, cols - whole_cols, from + whole_cols, ldx, to + whole_cols * ldy, ldy);
    if (whole_rows < rows)
        edge_32(rows - whole_rows, cols, from + whole_rows * ldx, ldx, to + whole_rows, ldy);
}

/* Four rounds of interleaving row i with row i + 8 turn 16 rows into 16 columns. */
static inline void block_8(const uint8_t *x, size_t ldx, uint8_t *y, size_t ldy) {
    __m128i r[16], t[16];
    for (int i = 0; i < 16; i++)
        r[i] = _mm_loadu_si128((const __m128i *)(x + (size_t)i * ldx));
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < 8; i++) {
            t[2 * i] = _mm_unpacklo_epi8(r[i], r[i + 8]);
            t[2 * i + 1] = _mm_unpackhi_epi8(r[i], r[i + 8]);
        }
        for (int i = 0; i < 16; i++)
            r[i] = t[i];
    }
    for (int i = 0; i < 16; i++)
        _mm_storeu_si128((__m128i *)(y + (size_t)i * ldy), r[i]);
}

/* Which of 16 pixels of channel `ch` byte j of their interleaved 48 bytes is; -1: another's. */
#define OWN(ch, j) (j) % 3 == (ch) ? (j) / 3 : -1
#define FOUR(ch, j) OWN(ch, j), OWN(ch, (j) + 1), OWN(ch, (j) + 2), OWN(ch, (j) + 3)
#define SIXTEEN(ch, j)                                                                             \
    { FOUR(ch, j), FOUR(ch, (j) + 4), FOUR(ch, (j) + 8), FOUR(ch, (j) + 12) }
#define CHANNEL(ch)                                                                                \
    { SIXTEEN(ch, 0), SIXTEEN(ch, 16), SIXTEEN(ch, 32) }

static void pixels_of_3_8(size_t cols, const uint8_t *x, size_t ldx, uint8_t *y) {
    static const int8_t orders[3][3][16] = {CHANNEL(0), CHANNEL(1), CHANNEL(2)};
    size_t col = 0;
    for (; col + 16 <= cols; col += 16)
        for (size_t part = 0; part < 3; part++) {
            __m128i sum = _mm_setzero_si128();
            for (size_t ch = 0; ch < 3; ch++)
                sum = _mm_or_si128(
                    sum, _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(x + ch * ldx + col)),
                                          _mm_loadu_si128((const __m128i *)orders[ch][part])));
            _mm_storeu_si128((__m128i *)(y + col * 3 + part * 16), sum);
        }
    for (size_t ch = 0; ch < 3; ch++)
        for (size_t at = col; at < cols; at++)
            y[at * 3 + ch] = x[ch * ldx + at];
}

void transpose_8_avx2(size_t rows, size_t cols, const void *x, size_t ldx, void *y, size_t ldy) {
    const uint8_t *from = x;
    uint8_t *to = y;
    if (rows == 3 && ldy == 3) {
        pixels_of_3_8(cols, from, ldx, to);
        return;
    }
    size_t whole_rows = rows / BLOCK8 * BLOCK8, whole_cols = cols / BLOCK8 * BLOCK8;
    for (size_t row = 0; row < whole_rows; row += BLOCK8)
        for (size_t col = 0; col < whole_cols; col += BLOCK8)
            block_8(from + row * ldx + col, ldx, to + col * ldy + row, ldy);
    for (size_t row = 0; row < rows; row++)
        for (size_t col = row < whole_rows ? whole_cols : 0; col < cols; col++)
            to[col * ldy + row] = from[row * ldx + col];
}

/* Three rounds of interleaving row i with row i + 4 turn 8 rows into 8 columns. */
static inline void block_16(const uint16_t *x, size_t ldx, uint16_t *y, size_t ldy) {
    __m128i r[8], t[8];
    for (int i = 0; i < 8; i++)
        r[i] = _mm_loadu_si128((const __m128i *)(x + (size_t)i * ldx));
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 4; i++) {
            t[2 * i] = _mm_unpacklo_epi16(r[i], r[i + 4]);
            t[2 * i + 1] = _mm_unpackhi_epi16(r[i], r[i + 4]);
        }
        for (int i = 0; i < 8; i++)
            r[i] = t[i];
    }
    for (int i = 0; i < 8; i++)
        _mm_storeu_si128((__m128i *)(y + (size_t)i * ldy), r[i]);
}

/* As pixels_of_3: four pixels of 3 elements, each stored with a fourth that is written over. */
static void pixels_of_3_16(size_t cols, const uint16_t *x, size_t ldx, uint16_t *y) {
    size_t col = 0;
    for (; col + 5 <= cols; col += 4) {
        __m128i r = _mm_loadl_epi64((const __m128i *)(x + col)),
                g = _mm_loadl_epi64((const __m128i *)(x + ldx + col)),
                b = _mm_loadl_epi64((const __m128i *)(x + 2 * ldx + col)),
                rg = _mm_unpacklo_epi16(r, g), b0 = _mm_unpacklo_epi16(b, _mm_setzero_si128()),
                low = _mm_unpacklo_epi32(rg, b0), high = _mm_unpackhi_epi32(rg, b0);
        _mm_storel_epi64((__m128i *)(y + col * 3), low);
        _mm_storel_epi64((__m128i *)(y + col * 3 + 3), _mm_unpackhi_epi64(low, low));
        _mm_storel_epi64((__m128i *)(y + col * 3 + 6), high);
        _mm_storel_epi64((__m128i *)(y + col * 3 + 9), _mm_unpackhi_epi64(high, high));
    }
    for (size_t row = 0; row < 3; row++)
        for (size_t at = col; at < cols; at++)
            y[at * 3 + row] = x[row * ldx + at];
}

void transpose_16_avx2(size_t rows, size_t cols, const void *x, size_t ldx, void *y, size_t ldy) {
    const uint16_t *from = x;
    uint16_t *to = y;
    if (rows == 3 && ldy == 3) {
        pixels_of_3_16(cols, from, ldx, to);
        return;
    }
    size_t whole_rows = rows / BLOCK16 * BLOCK16, whole_cols = cols / BLOCK16 * BLOCK16;
    for (size_t row = 0; row < whole_rows; row += BLOCK16)
        for (size_t col = 0; col < whole_cols; col += BLOCK16)
            block_16(from + row * ldx + col, ldx, to + col * ldy + row, ldy);
    for (size_t row = 0; row < rows; row++)
        for (size_t col = row < whole_rows ? whole_cols : 0; col < cols; col++)
            to[col * ldy + row] = from[row * ldx + col];
}
