/* SPDX-License-Identifier: Apache-2.0 */
/* simd/winograd.h and simd/winograd_q8.h for AVX-512; compiled with that instruction set, so
 * nothing here may be called before cpu_flags() allows it. */
#include "kernel/simd/avx512.h"

#include "kernel/simd/winograd.h"
#include "kernel/simd/winograd_q8.h"
