/* SPDX-License-Identifier: Apache-2.0 */
/* Transposes by 8 x 8 blocks of 32-bit and 16 x 16 blocks of 8-bit elements; edges go element by
 * element. */
#include "kernel/kernel.h"

#include <immintrin.h>

enum { BLOCK32 = 8, BLOCK8 = 16 };

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

void transpose_32_avx2(size_t rows, size_t cols, const void *x, size_t ldx, void *y, size_t ldy) {
    const uint32_t *from = x;
    uint32_t *to = y;
    size_t whole_rows = rows / BLOCK32 * BLOCK32, whole_cols = cols / BLOCK32 * BLOCK32;
    for (size_t row = 0; row < whole_rows; row += BLOCK32)
        for (size_t col = 0; col < whole_cols; col += BLOCK32)
            block_32(from + row * ldx + col, ldx, to + col * ldy + row, ldy);
    for (size_t row = 0; row < rows; row++)
        for (size_t col = row < whole_rows ? whole_cols : 0; col < cols; col++)
            to[col * ldy + row] = from[row * ldx + col];
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

void transpose_8_avx2(size_t rows, size_t cols, const void *x, size_t ldx, void *y, size_t ldy) {
    const uint8_t *from = x;
    uint8_t *to = y;
    size_t whole_rows = rows / BLOCK8 * BLOCK8, whole_cols = cols / BLOCK8 * BLOCK8;
    for (size_t row = 0; row < whole_rows; row += BLOCK8)
        for (size_t col = 0; col < whole_cols; col += BLOCK8)
            block_8(from + row * ldx + col, ldx, to + col * ldy + row, ldy);
    for (size_t row = 0; row < rows; row++)
        for (size_t col = row < whole_rows ? whole_cols : 0; col < cols; col++)
            to[col * ldy + row] = from[row * ldx + col];
}
