/* SPDX-License-Identifier: Apache-2.0 */
/* The most multiply-adds an instruction set does: independent sums in registers, as many as hide
 * the latency of one. STRAIN(name, vector, start, step, elements): step(sum, a, b) multiplies
 * `elements` pairs and adds them. */
#pragma once

enum { STRAIN_SUMS = 12 };

/* The compiler may neither hoist what is made of it nor leave it out. */
#define STRAIN_HOLD(v) __asm__ volatile("" : "+" STRAIN_REGISTER(v))

#define STRAIN(name, vector, start, step, elements)                                                \
    double ISA(name)(size_t rounds) {                                                              \
        vector sums[STRAIN_SUMS], a = start(1), b = start(2);                                      \
        for (int k = 0; k < STRAIN_SUMS; k++)                                                      \
            sums[k] = start(0);                                                                    \
        for (size_t r = 0; r < rounds; r++)                                                        \
            for (int k = 0; k < STRAIN_SUMS; k++) {                                                \
                sums[k] = step(sums[k], a, b);                                                     \
                STRAIN_HOLD(a);                                                                    \
            }                                                                                      \
        for (int k = 0; k < STRAIN_SUMS; k++)                                                      \
            STRAIN_HOLD(sums[k]);                                                                  \
        return 2.0 * (elements)*STRAIN_SUMS * (double)rounds;                                      \
    }
