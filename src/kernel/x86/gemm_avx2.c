/* SPDX-License-Identifier: Apache-2.0 */
/* simd/gemm.h and simd/pairs.h for AVX2; compiled with that instruction set, so nothing here may be
 * called before cpu_flags() allows it. */
#include "kernel/simd/avx2.h"

#include "kernel/simd/gemm.h"
#include "kernel/simd/pairs.h"
