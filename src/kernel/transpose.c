/* SPDX-License-Identifier: Apache-2.0 */
/* Scalar twins of the two-dimensional transposes, by element size, in blocks that stay in the
 * first-level cache. */
#include "kernel/kernel.h"

enum { BLOCK = 16 };

#define TRANSPOSE(name, type)                                                                      \
    void name##_scalar(size_t rows, size_t cols, const void *x, size_t ldx, void *y, size_t ldy) { \
        const type *from = x;                                                                      \
        type *to = y;                                                                              \
        for (size_t row0 = 0; row0 < rows; row0 += BLOCK)                                          \
            for (size_t col0 = 0; col0 < cols; col0 += BLOCK)                                      \
                for (size_t row = row0; row < rows && row < row0 + BLOCK; row++)                   \
                    for (size_t col = col0; col < cols && col < col0 + BLOCK; col++)               \
                        to[col * ldy + row] = from[row * ldx + col];                               \
    }

TRANSPOSE(transpose_8, uint8_t)
TRANSPOSE(transpose_16, uint16_t)
TRANSPOSE(transpose_32, uint32_t)
TRANSPOSE(transpose_64, uint64_t)
