/* SPDX-License-Identifier: Apache-2.0 */
/* Stretches of 16-bit floats as f32 and back, by kernels: operators compute f16 and bf16 in f32. */
#pragma once

#include "kernel/kernel.h"
#include "op/team.h"
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

/* The same of n elements from the first, by a team. */
static inline void wide_load_all(enum dtype t, const void *data, size_t n, float *to, int threads) {
    const int team = team_size(threads, 0.15 * (double)n);
#pragma omp parallel for num_threads(team) if (team > 1)
    for (int i = 0; i < team; i++) {
        size_t at = team_cut(n, 64, team, i);
        wide_load(t, data, at, team_cut(n, 64, team, i + 1) - at, to + at);
    }
}
static inline void wide_store_all(enum dtype t, void *data, size_t n, const float *from,
                                  int threads) {
    const int team = team_size(threads, 0.15 * (double)n);
#pragma omp parallel for num_threads(team) if (team > 1)
    for (int i = 0; i < team; i++) {
        size_t at = team_cut(n, 64, team, i);
        wide_store(t, data, at, team_cut(n, 64, team, i + 1) - at, from + at);
    }
}

/* n floats rounded to what bf16 holds, in place. */
static inline void wide_round_bf16(float *p, size_t n) {
    enum { BLOCK = 512 };
    uint16_t rounded[BLOCK];
    for (size_t i = 0; i < n; i += BLOCK) {
        size_t some = n - i < BLOCK ? n - i : BLOCK;
        kernel_set()->narrow_bf16(some, p + i, rounded);
        kernel_set()->widen_bf16(some, rounded, p + i);
    }
}
