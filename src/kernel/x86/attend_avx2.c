/* SPDX-License-Identifier: Apache-2.0 */
/* simd/attend.h for AVX2. */
#include "kernel/simd/avx2.h"

#include "kernel/simd/attend.h"
