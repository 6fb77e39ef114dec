/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/rank.c"

#include "../base/check.h"

static void test_order(void **state) {
    (void)state;
    const float v[] = {9, 9, 0.5f, NAN, 3, 3, -1, 7};
    struct tensor t = {.dtype = DT_F32, .shape = {1, {8}}, .data = (void *)(uintptr_t)v};
    struct ranked out[7];
    rank_top(&t, 1, 7, out, 7); /* 9 .5 nan 3 3 -1 7 */
    const size_t want[] = {0, 6, 3, 4, 1, 5, 2};
    for (size_t i = 0; i < 7; i++)
        assert_int_equal(out[i].index, want[i]);
    rank_top(&t, 1, 7, out, 2);
    assert_int_equal(out[0].index, 0);
    assert_int_equal(out[1].index, 6);
    rank_top(&t, 1, 7, out, 0);
}

static void test_against_sorting(void **state) {
    (void)state;
    enum { N = 500 };
    static int32_t v[N];
    unsigned seed = 1;
    for (int round = 0; round < 50; round++) {
        for (int i = 0; i < N; i++)
            v[i] = (int32_t)((seed = seed * 1103515245u + 12345u) >> 16) % 100;
        struct tensor t = {.dtype = DT_I32, .shape = {1, {N}}, .data = v};
        struct ranked out[N];
        size_t k = 1 + seed % (N - 1);
        rank_top(&t, 0, N, out, k);
        for (size_t i = 1; i < k; i++)
            assert_true(out[i - 1].score > out[i].score ||
                        (out[i - 1].score == out[i].score && out[i - 1].index < out[i].index));
        size_t larger = 0;
        for (int i = 0; i < N; i++)
            larger += v[i] > out[k - 1].score;
        assert_true(larger < k);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_against_sorting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
