/* SPDX-License-Identifier: Apache-2.0 */
#include "tensor/cast.c"

#include "../base/check.h"

#include <math.h>

static struct err e;

/* Sizes around the vector widths and the block of the narrow types. */
static const size_t sizes[] = {0, 1, 3, 7, 8, 9, 31, 33, 511, 512, 513, 1030};
enum { N_SIZES = sizeof sizes / sizeof sizes[0], MOST = 1030 };

static double small_value(size_t i) { return (double)(i % 7); }

/* Small whole numbers exist in every type: through any pair they must stay what they are. */
static void every_pair_keeps_small_numbers(void **state) {
    (void)state;
    static double source[MOST];
    static uint64_t first[2 * MOST], second[2 * MOST];
    for (size_t i = 0; i < MOST; i++)
        source[i] = small_value(i);
    for (int from = 1; from < DT_STRING; from++) {
        for (int to = 1; to < DT_STRING; to++) {
            size_t n = sizes[(size_t)(from * 31 + to) % N_SIZES];
            assert_ok(cast_elements((enum dtype)from, first, DT_F64, source, n, true, NULL, &e));
            assert_ok(
                cast_elements((enum dtype)to, second, (enum dtype)from, first, n, true, NULL, &e));
            struct tensor t = {.dtype = (enum dtype)to, .data = second};
            for (size_t i = 0; i < n; i++) {
                double want = from == DT_BOOL || to == DT_BOOL ? source[i] != 0 : source[i];
                if (tensor_f64(&t, i) != want)
                    fail_msg("%s to %s: element %zu is %g, expected %g",
                             dtype_name((enum dtype)from), dtype_name((enum dtype)to), i,
                             tensor_f64(&t, i), want);
            }
        }
    }
}

#define CAST(TO, T, FROM, F, value, expected)                                                      \
    do {                                                                                           \
        F in_ = (F)(value);                                                                        \
        T out_ = 0;                                                                                \
        assert_ok(cast_elements(TO, &out_, FROM, &in_, 1, true, NULL, &e));                        \
        if (out_ != (T)(expected))                                                                 \
            fail_msg("line %d: not %s", __LINE__, #expected);                                      \
    } while (0)

static void floats_saturate_where_c_is_undefined(void **state) {
    (void)state;
    CAST(DT_I8, int8_t, DT_F32, float, 127.9f, 127);
    CAST(DT_I8, int8_t, DT_F32, float, 128.0f, 127);
    CAST(DT_I8, int8_t, DT_F64, double, -1e30, -128);
    CAST(DT_U8, uint8_t, DT_F32, float, -0.9f, 0);
    CAST(DT_U8, uint8_t, DT_F32, float, -5.0f, 0);
    CAST(DT_U8, uint8_t, DT_F32, float, NAN, 0);
    CAST(DT_I32, int32_t, DT_F32, float, 2147483520.0f, 2147483520);
    CAST(DT_I32, int32_t, DT_F32, float, 2147483648.0f, INT32_MAX);
    CAST(DT_I32, int32_t, DT_F32, float, -2147483648.0f, INT32_MIN);
    CAST(DT_I32, int32_t, DT_F64, double, 2147483646.9, 2147483646);
    CAST(DT_I64, int64_t, DT_F32, float, INFINITY, INT64_MAX);
    CAST(DT_I64, int64_t, DT_F64, double, 0x1p63, INT64_MAX);
    CAST(DT_I64, int64_t, DT_F64, double, -INFINITY, INT64_MIN);
    CAST(DT_I64, int64_t, DT_F64, double, 9223372036854774784.0, 9223372036854774784);
    CAST(DT_U64, uint64_t, DT_F64, double, 0x1p64, UINT64_MAX);
    CAST(DT_U64, uint64_t, DT_F32, float, 0x1p63f, (uint64_t)1 << 63);
    CAST(DT_U32, uint32_t, DT_F32, float, 4294967040.0f, 4294967040u);
    CAST(DT_U32, uint32_t, DT_F64, double, NAN, 0);
    CAST(DT_I16, int16_t, DT_F32, float, -2.9f, -2);
    CAST(DT_BOOL, uint8_t, DT_F32, float, NAN, 1);
    CAST(DT_BOOL, uint8_t, DT_F32, float, -0.0f, 0);
}

static void integers_wrap_as_in_c(void **state) {
    (void)state;
    CAST(DT_U8, uint8_t, DT_I32, int32_t, 300, 44);
    CAST(DT_I8, int8_t, DT_U8, uint8_t, 200, -56);
    CAST(DT_I32, int32_t, DT_I64, int64_t, 0x1fffffffe, -2);
    CAST(DT_U64, uint64_t, DT_I8, int8_t, -1, UINT64_MAX);
    CAST(DT_BOOL, uint8_t, DT_I64, int64_t, (int64_t)1 << 40, 1);
    CAST(DT_I4, int8_t, DT_F32, float, 15.0f, -1);
    CAST(DT_I4, int8_t, DT_F32, float, -9.0f, 7);
    CAST(DT_U4, uint8_t, DT_F32, float, -1.0f, 15);
    CAST(DT_I2, int8_t, DT_I32, int32_t, 2, -2);
    CAST(DT_U2, uint8_t, DT_F16, uint16_t, 0xbc00, 3); /* -1 */
}

/* Vectors and single elements take different ways to the same f16. */
static void f16_vectors_equal_singles(void **state) {
    (void)state;
    static float in[MOST], back[MOST];
    static uint16_t out[MOST];
    uint64_t seed = 11;
    for (int round = 0; round < 50; round++) {
        for (size_t i = 0; i < MOST; i++) {
            uint32_t bits = (uint32_t)check_random(&seed);
            if (round % 2) /* half of them near the range of f16 */
                bits = (bits & 0x807fffff) | (0x66 + bits % 0x2c) << 23;
            memcpy(&in[i], &bits, sizeof bits);
        }
        assert_ok(cast_elements(DT_F16, out, DT_F32, in, MOST, true, NULL, &e));
        assert_ok(cast_elements(DT_F32, back, DT_F16, out, MOST, true, NULL, &e));
        for (size_t i = 0; i < MOST; i++) {
            if (isnan(in[i])) {
                assert_true(isnan(back[i]));
                continue;
            }
            assert_int_equal(out[i], dtype_f32_to_f16(in[i]));
            assert_true(back[i] == dtype_f16_to_f32(out[i]));
        }
    }
}

/* 1 + 2^-11 + 2^-40 is just above the middle of two f16; as a float it would be the middle itself.
 */
static void doubles_are_rounded_once(void **state) {
    (void)state;
    CAST(DT_F16, uint16_t, DT_F64, double, 1 + 0x1p-11 + 0x1p-40, 0x3c01);
    CAST(DT_F16, uint16_t, DT_F64, double, 1 + 0x1p-11, 0x3c00);
    CAST(DT_F16, uint16_t, DT_F64, double, -(1 + 0x1p-11 + 0x1p-40), 0xbc01);
    CAST(DT_BF16, uint16_t, DT_F64, double, 1 + 0x1p-8 + 0x1p-50, 0x3f81);
    CAST(DT_F8E4M3FN, uint8_t, DT_F64, double, 1 + 0x1p-4 + 0x1p-50, 0x39);
    CAST(DT_F16, uint16_t, DT_F64, double, 1e300, 0x7c00);
    CAST(DT_F16, uint16_t, DT_F64, double, 65519.999, 0x7bff);
}

static void complex_takes_reals_and_gives_none(void **state) {
    (void)state;
    float c[4] = {9, 9, 9, 9};
    double d[4];
    int32_t i[2] = {3, -4};
    assert_ok(cast_elements(DT_C64, c, DT_I32, i, 2, true, NULL, &e));
    assert_true(c[0] == 3 && c[1] == 0 && c[2] == -4 && c[3] == 0);
    assert_ok(cast_elements(DT_C128, d, DT_C64, c, 2, true, NULL, &e));
    assert_true(d[2] == -4 && d[3] == 0);
    assert_fails(cast_elements(DT_F32, c, DT_C128, d, 2, true, NULL, &e), UNSUPPORTED,
                 "c128 to f32");
    assert_fails(cast_elements(DT_SEQUENCE, c, DT_SEQUENCE, d, 1, true, NULL, &e), UNSUPPORTED,
                 "sequence");
}

static void strings_go_both_ways(void **state) {
    (void)state;
    struct arena a;
    struct str text[3];
    float in[3] = {0.5f, -2, INFINITY}, out[3];
    int32_t i[3];
    arena_init(&a, 4096);
    assert_ok(cast_elements(DT_STRING, text, DT_F32, in, 3, true, &a, &e));
    assert_str(text[0], "0.5");
    assert_str(text[2], "INF");
    assert_ok(cast_elements(DT_F32, out, DT_STRING, text, 3, true, &a, &e));
    assert_memory_equal(in, out, sizeof in);
    text[1] = LIT("two");
    assert_fails(cast_elements(DT_I32, i, DT_STRING, text, 3, true, &a, &e), INVALID,
                 "element 1: 'two'");
    arena_deinit(&a);
    arena_init(&a, 4);
    assert_fails(cast_elements(DT_STRING, text, DT_F32, in, 3, true, &a, &e), LIMIT,
                 "text of numbers");
    arena_deinit(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_pair_keeps_small_numbers),
        cmocka_unit_test(floats_saturate_where_c_is_undefined),
        cmocka_unit_test(integers_wrap_as_in_c),
        cmocka_unit_test(f16_vectors_equal_singles),
        cmocka_unit_test(doubles_are_rounded_once),
        cmocka_unit_test(complex_takes_reals_and_gives_none),
        cmocka_unit_test(strings_go_both_ways),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
