/* SPDX-License-Identifier: Apache-2.0 */
/* Multiply-adds for their own sake: how fast this machine could be, for whoever says how much of it
 * a node reached. */
#include "kernel/kernel.h"

enum { SUMS = 8 };

static volatile float sink; /* what is written here was computed */

double strain_f32_scalar(size_t rounds) {
    float sums[SUMS] = {0}, a = sink + 1, b = a / 2;
    for (size_t r = 0; r < rounds; r++)
        for (int k = 0; k < SUMS; k++)
            sums[k] = sums[k] * b + a;
    for (int k = 0; k < SUMS; k++)
        a += sums[k];
    sink = a * 0;
    return 2.0 * SUMS * (double)rounds;
}

/* Without units for bf16 it is widened and computed in f32. */
double strain_bf16_scalar(size_t rounds) { return strain_f32_scalar(rounds); }

double strain_i8_scalar(size_t rounds) {
    uint32_t sums[SUMS] = {0}, a = (uint8_t)(sink + 3);
    for (size_t r = 0; r < rounds; r++)
        for (uint32_t k = 0; k < SUMS; k++)
            sums[k] += (sums[k] & 127) * a;
    for (int k = 0; k < SUMS; k++)
        a += sums[k];
    sink = (float)a * 0;
    return 2.0 * SUMS * (double)rounds;
}
