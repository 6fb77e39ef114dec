/* SPDX-License-Identifier: Apache-2.0 */
/* Stretches of 16-bit floats as f32 and back, by kernels: operators compute f16 and bf16 in f32. */
#pragma once

#include "kernel/kernel.h"
#include "tensor/tensor.h"

static inline bool wide_half(enum dtype t) { return t == DT_F16 || t == DT_BF16; }

/* Elements [at, at + n) of data, f32, f16 or bf16. */
static inline void wide_load(enum dtype t, const void *data, size_t at, size_t n, float *to) {
    const struct kernel_set *k = kernel_set();
    if (n == 0)
        return;
    if (t == DT_F32)
        memcpy(to, (const float *)data + at, n * sizeof *to);
    else
        (t == DT_F16 ? k->widen_f16 : k->widen_bf16)(n, (const uint16_t *)data + at, to);
}
static inline void wide_store(enum dtype t, void *data, size_t at, size_t n, const float *from) {
    const struct kernel_set *k = kernel_set();
    if (n == 0)
        return;
    if (t == DT_F32)
        memcpy((float *)data + at, from, n * sizeof *from);
    else
        (t == DT_F16 ? k->narrow_f16 : k->narrow_bf16)(n, from, (uint16_t *)data + at);
}
