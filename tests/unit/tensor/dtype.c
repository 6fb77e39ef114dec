/* SPDX-License-Identifier: Apache-2.0 */
#include "tensor/dtype.c"

#include "../base/check.h"

#include <math.h>

static void every_type_has_a_name_and_a_size(void **state) {
    (void)state;
    for (int t = DT_NONE + 1; t < DT_N; t++) {
        enum dtype back = DT_NONE;
        assert_true(dtype_from_name(str_of(dtype_name((enum dtype)t)), &back));
        assert_int_equal(back, t);
        assert_true(dtype_block_bytes((enum dtype)t) > 0);
        assert_int_equal(dtype_size((enum dtype)t) == 0, dtype_block((enum dtype)t) > 1);
    }
    assert_int_equal(dtype_block(DT_Q4_K), 256);
    assert_int_equal(dtype_block_bytes(DT_Q4_K), 144);
    enum dtype unused;
    assert_int_equal(dtype_size(DT_NONE), 0);
    assert_int_equal(dtype_size((enum dtype)99), 0);
    assert_string_equal(dtype_name((enum dtype)99), "unknown");
    assert_false(dtype_from_name(LIT("none"), &unused));
    assert_false(dtype_from_name(LIT("F32"), &unused));
}

static void classes_are_disjoint(void **state) {
    (void)state;
    for (int t = 0; t < DT_N; t++)
        assert_false(dtype_is_float((enum dtype)t) && dtype_is_integer((enum dtype)t));
    assert_true(dtype_is_signed(DT_I4));
    assert_false(dtype_is_signed(DT_U8));
    assert_false(dtype_is_integer(DT_BOOL));
    assert_true(dtype_is_integer(DT_U64));
}

/* Value of an f16 by its definition (IEEE 754-2019 §3.4). */
static double half_value(unsigned bits) {
    int exponent = (int)(bits >> 10 & 31), fraction = (int)(bits & 1023);
    double v = exponent == 31 ? (fraction ? NAN : INFINITY)
               : exponent     ? ldexp(1024 + fraction, exponent - 25)
                              : ldexp(fraction, -24);
    return bits >> 15 ? -v : v;
}

static void every_f16_reads_and_writes_back(void **state) {
    (void)state;
    for (unsigned bits = 0; bits < 65536; bits++) {
        float f = dtype_f16_to_f32((uint16_t)bits);
        if (isnan(half_value(bits))) {
            assert_true(isnan(f));
            assert_true(isnan(dtype_f16_to_f32(dtype_f32_to_f16(f))));
            continue;
        }
        if ((double)f != half_value(bits) || !!signbit(f) != (int)(bits >> 15))
            fail_msg("f16 %04x reads as %g", bits, (double)f);
        assert_int_equal(dtype_f32_to_f16(f), bits);
    }
}

/* Halfway between two neighbours goes to the even one, one step to either side to the nearer. */
static void f16_rounds_to_nearest_even(void **state) {
    (void)state;
    for (unsigned bits = 0; bits < 0x7bff; bits++) {
        float middle = (float)((half_value(bits) + half_value(bits + 1)) / 2);
        unsigned even = bits & 1 ? bits + 1 : bits;
        assert_int_equal(dtype_f32_to_f16(middle), even);
        assert_int_equal(dtype_f32_to_f16(nextafterf(middle, 0)), bits);
        assert_int_equal(dtype_f32_to_f16(nextafterf(middle, 1e9f)), bits + 1);
        assert_int_equal(dtype_f32_to_f16(-middle), even | 0x8000);
    }
    assert_int_equal(dtype_f32_to_f16(65519.0f), 0x7bff);
    assert_int_equal(dtype_f32_to_f16(65520.0f), 0x7c00);
    assert_int_equal(dtype_f32_to_f16(INFINITY), 0x7c00);
    assert_int_equal(dtype_f32_to_f16(1e-30f), 0);
}

static void bf16_rounds_to_nearest_even(void **state) {
    (void)state;
    assert_int_equal(dtype_f32_to_bf16(1.0f), 0x3f80);
    assert_int_equal(dtype_f32_to_bf16(0x1.01p0f), 0x3f80); /* halfway: even */
    assert_int_equal(dtype_f32_to_bf16(0x1.03p0f), 0x3f82);
    assert_int_equal(dtype_f32_to_bf16(0x1.010002p0f), 0x3f81);
    assert_int_equal(dtype_f32_to_bf16(3.4e38f), 0x7f80);
    assert_true(isnan(dtype_bf16_to_f32(dtype_f32_to_bf16(NAN))));
    for (unsigned bits = 0; bits < 0x7f80; bits++)
        assert_int_equal(dtype_f32_to_bf16(dtype_bf16_to_f32((uint16_t)bits)), bits);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_has_a_name_and_a_size),
        cmocka_unit_test(classes_are_disjoint),
        cmocka_unit_test(every_f16_reads_and_writes_back),
        cmocka_unit_test(f16_rounds_to_nearest_even),
        cmocka_unit_test(bf16_rounds_to_nearest_even),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
