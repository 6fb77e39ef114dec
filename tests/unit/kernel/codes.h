/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of the slots of struct codes, for the test that iterates the list (choose.c, which
 * includes this). */
#pragma once

enum { CODES_K = 384, CODES_N = 7, CODES_M = 9 };
static uint8_t codes_w[CODES_N * CODES_K], codes_zeros[CODES_N * CODES_K];
static float codes_scales[CODES_N * CODES_K / CODES_GROUP], codes_a[CODES_M * CODES_K];

static struct codes some_codes(size_t block, int bits, bool zeros) {
    struct codes c = {.n = CODES_N,
                      .k = CODES_K,
                      .block = block,
                      .bits = bits,
                      .w = codes_w,
                      .scales = codes_scales,
                      .zeros = zeros ? codes_zeros : NULL};
    c.zeros_row = (CODES_K / block * (size_t)bits + 7) / 8;
    for (size_t i = 0; i < sizeof codes_w; i++)
        codes_w[i] = (uint8_t)next(), codes_zeros[i] = (uint8_t)next();
    for (size_t i = 0; i < sizeof codes_scales / sizeof codes_scales[0]; i++)
        codes_scales[i] = uniform(-0.01f, 0.01f);
    for (size_t i = 0; i < sizeof codes_a / sizeof codes_a[0]; i++)
        codes_a[i] = uniform(-1, 1);
    return c;
}

#define EACH_CODES(c)                                                                              \
    for (size_t block = CODES_GROUP; block <= 4 * CODES_GROUP; block *= 2)                         \
        for (int bits = 4; bits <= 8; bits += 4)                                                   \
            for (int zeros = 0; zeros < 2; zeros++)                                                \
                for (struct codes c = some_codes(block, bits, zeros); c.n; c.n = 0)

static void check_codes_widen(const struct limit *l, codes_widen_fn *scalar, codes_widen_fn *fn) {
    static float want[CODES_K];
    EACH_CODES(c) {
        for (size_t row = 0; row < CODES_N; row++) {
            float *got = guard(&room, sizeof want, 0);
            scalar(&c, row, want);
            fn(&c, row, got);
            assert_memory_equal(want, got, sizeof want);
            check_guard(l, &room);
        }
    }
}

static void check_codes_dot(const struct limit *l, codes_dot_fn *scalar, codes_dot_fn *fn) {
    static float want[CODES_M * (CODES_N + 1)];
    EACH_CODES(c) {
        for (size_t m = 1; m <= CODES_M; m++) {
            const size_t floats = (m - 1) * (CODES_N + 1) + CODES_N;
            float *got = guard(&room, floats * sizeof(float), 0);
            scalar(&c, m, codes_a, want, CODES_N + 1);
            fn(&c, m, codes_a, got, CODES_N + 1);
            for (size_t i = 0; i < floats; i++)
                if (i % (CODES_N + 1) < CODES_N)
                    check_float(l, want[i], got[i], (float)i);
            check_guard(l, &room);
        }
    }
}
