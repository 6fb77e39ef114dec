/* SPDX-License-Identifier: Apache-2.0 */
/* simd/attend.h for AVX-512. */
#include "kernel/simd/avx512.h"

#include "kernel/simd/attend.h"
