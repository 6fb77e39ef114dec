/* SPDX-License-Identifier: Apache-2.0 */
#include "tensor/nibble.c"

#include "../base/check.h"

static void sizes(void **state) {
    (void)state;
    size_t n = 0;
    assert_true(nibble_bytes(DT_U4, 5, &n));
    assert_int_equal(n, 3);
    assert_true(nibble_bytes(DT_I2, 5, &n));
    assert_int_equal(n, 2);
    assert_true(nibble_bytes(DT_U2, 4, &n));
    assert_int_equal(n, 1);
    assert_true(nibble_bytes(DT_F4E2M1, 0, &n));
    assert_int_equal(n, 0);
    assert_true(nibble_bytes(DT_F64, 3, &n));
    assert_int_equal(n, 24);
    assert_false(nibble_bytes(DT_F64, SIZE_MAX / 4, &n));
    for (int t = 0; t < DT_N; t++)
        assert_true(nibble_bits((enum dtype)t) == 0 || dtype_size((enum dtype)t) == 1);
}

static void lowest_bits_come_first(void **state) {
    (void)state;
    const uint8_t in[] = {0x8f, 0x71, 0x0e};
    int8_t s[5];
    uint8_t u[8];
    nibble_open(DT_I4, s, in, 5);
    assert_memory_equal(s, ((int8_t[]){-1, -8, 1, 7, -2}), 5);
    nibble_open(DT_U4, u, in, 5);
    assert_memory_equal(u, ((uint8_t[]){15, 8, 1, 7, 14}), 5);
    nibble_open(DT_U2, u, (const uint8_t[]){0xe4, 0x1b}, 8);
    assert_memory_equal(u, ((uint8_t[]){0, 1, 2, 3, 3, 2, 1, 0}), 8);
    nibble_open(DT_I2, s, (const uint8_t[]){0xe4}, 4);
    assert_memory_equal(s, ((int8_t[]){0, 1, -2, -1}), 4);
    nibble_open(DT_F4E2M1, u, in, 2);
    assert_memory_equal(u, ((uint8_t[]){15, 8}), 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes),
        cmocka_unit_test(lowest_bits_come_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
