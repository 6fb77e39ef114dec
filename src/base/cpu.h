/* SPDX-License-Identifier: Apache-2.0 */
/* What this CPU can do, read once; lowered by SLIPWAY_CPU=scalar|avx2|avxvnni|avx512|vnni|bf16|amx
 * for tests. */
#pragma once

#include "base/err.h"
#include "base/str.h"

enum cpu_flag {
    CPU_SSE42 = 1 << 0,
    CPU_AVX2 = 1 << 1,   /* with FMA and F16C */
    CPU_AVX512 = 1 << 2, /* F, BW, DQ, VL, CD */
    CPU_VNNI = 1 << 3,   /* AVX512_VNNI */
    CPU_AVX_VNNI = 1 << 4,
    CPU_BF16 = 1 << 5, /* AVX512_BF16 */
    CPU_AMX = 1 << 6,  /* AMX_TILE + INT8 + BF16, usable by this process */
};

unsigned cpu_flags(void); /* after lowering */
/* reads SLIPWAY_CPU; USAGE names the levels when it is wrong */
MUST_USE enum code cpu_setup(struct err *e);
/* "scalar", "avx2", "avxvnni", "avx512", "vnni", "bf16", "amx": the highest usable */
const char *cpu_level(void);
const char *cpu_model(void); /* "Intel(R) Xeon(R) Processor" */
/* usable by this process: affinity and cgroup quota, at least 1 */
int cpu_cores(void);
bool cpu_has_sha(void); /* SHA-NI; not when lowered to scalar */
size_t cpu_l2_bytes(void);
