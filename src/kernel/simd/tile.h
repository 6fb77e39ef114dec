/* SPDX-License-Identifier: Apache-2.0 */
/* What the matrix tiles share: their size, MR x 2 vectors (12 x 32 numbers on AVX-512, 6 x 16 on
 * AVX2), and a case for each number of rows, which are instances of one body with a constant. */
#pragma once

#include "kernel/kernel.h"
#include "kernel/simd/some.h"

#include <string.h>

enum { MR = SIMD_ROWS, NR = 2 * VL, MEM_FLOATS = 16 /* of a cache line */ };

#define TILE(body, m)                                                                              \
    case m:                                                                                        \
        if (wide)                                                                                  \
            body(g, m, 2);                                                                         \
        else                                                                                       \
            body(g, m, 1);                                                                         \
        break;
#if SIMD_ROWS == 12
#define TILES(body)                                                                                \
    TILE(body, 2)                                                                                  \
    TILE(body, 3)                                                                                  \
    TILE(body, 4)                                                                                  \
    TILE(body, 5)                                                                                  \
    TILE(body, 6)                                                                                  \
    TILE(body, 7)                                                                                  \
    TILE(body, 8)                                                                                  \
    TILE(body, 9)                                                                                  \
    TILE(body, 10)                                                                                 \
    TILE(body, 11)                                                                                 \
    TILE(body, 12)
#else
#define TILES(body) TILE(body, 2) TILE(body, 3) TILE(body, 4) TILE(body, 5) TILE(body, 6)
#endif
