/* SPDX-License-Identifier: Apache-2.0 */
#include "tensor/minifloat.c"

#include "../base/check.h"

#include <math.h>

static const enum dtype types[] = {DT_F8E4M3FN, DT_F8E4M3FNUZ, DT_F8E5M2, DT_F8E5M2FNUZ, DT_F4E2M1};
enum { N_TYPES = sizeof types / sizeof types[0] };

static int codes_of(enum dtype t) { return t == DT_F4E2M1 ? 16 : 256; }

static void every_code_reads_and_writes_back(void **state) {
    (void)state;
    for (int i = 0; i < N_TYPES; i++) {
        for (int code = 0; code < codes_of(types[i]); code++) {
            float v = minifloat_to_f32(types[i], (uint8_t)code);
            uint8_t back = minifloat_from_f32(types[i], v, false);
            if (isnan(v))
                assert_true(isnan(minifloat_to_f32(types[i], back)));
            else
                assert_int_equal(back, code);
        }
    }
    for (int code = 0; code < 255; code++)
        assert_int_equal(
            minifloat_from_f32(DT_F8E8M0, minifloat_to_f32(DT_F8E8M0, (uint8_t)code), true), code);
    assert_true(isnan(minifloat_to_f32(DT_F8E8M0, 255)));
}

/* For floats of every size: the code given is one whose value is nearest, and even on a tie. */
static void rounding_is_to_the_nearest_even(void **state) {
    (void)state;
    uint64_t seed = 7;
    for (int i = 0; i < N_TYPES; i++) {
        for (int n = 0; n < 4000; n++) {
            float v =
                ldexpf((float)(check_random(&seed) >> 54), (int)(check_random(&seed) % 24) - 22);
            uint8_t got = minifloat_from_f32(types[i], v, true);
            float distance = fabsf(minifloat_to_f32(types[i], got) - v);
            for (int code = 0; code < codes_of(types[i]); code++) {
                float other = fabsf(minifloat_to_f32(types[i], (uint8_t)code) - v);
                if (other < distance ||
                    (other == distance && code < 128 && (got & 1) && !(code & 1)))
                    fail_msg("%s: %g gives code %02x, %02x is nearer", dtype_name(types[i]),
                             (double)v, got, code);
            }
        }
    }
}

/* The table of ONNX Cast (opset 19 and later). */
static void ends_follow_the_standard(void **state) {
    (void)state;
    struct {
        enum dtype t;
        float v;
        uint8_t saturated, plain;
    } cases[] = {
        {DT_F8E4M3FN, 1e6f, 0x7e, 0x7f},     {DT_F8E4M3FN, -1e6f, 0xfe, 0xff},
        {DT_F8E4M3FN, INFINITY, 0x7e, 0x7f}, {DT_F8E4M3FN, 448.0f, 0x7e, 0x7e},
        {DT_F8E4M3FN, -0.0f, 0x80, 0x80},    {DT_F8E4M3FNUZ, 1e6f, 0x7f, 0x80},
        {DT_F8E4M3FNUZ, NAN, 0x80, 0x80},    {DT_F8E4M3FNUZ, -0.0f, 0, 0},
        {DT_F8E5M2, 1e6f, 0x7b, 0x7c},       {DT_F8E5M2, -INFINITY, 0xfb, 0xfc},
        {DT_F8E5M2FNUZ, 1e6f, 0x7f, 0x80},   {DT_F8E5M2FNUZ, -1e-30f, 0, 0},
        {DT_F4E2M1, 9.0f, 0x7, 0x7},         {DT_F4E2M1, -INFINITY, 0xf, 0xf},
        {DT_F4E2M1, NAN, 0x8, 0x8},          {DT_F4E2M1, -0.0f, 0x8, 0x8},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(minifloat_from_f32(cases[i].t, cases[i].v, true), cases[i].saturated);
        assert_int_equal(minifloat_from_f32(cases[i].t, cases[i].v, false), cases[i].plain);
    }
    assert_true(isnan(minifloat_to_f32(DT_F8E4M3FN, minifloat_from_f32(DT_F8E4M3FN, -NAN, true))));
    assert_true(isinf(minifloat_to_f32(DT_F8E5M2, 0xfc)));
}

static void e8m0_rounds_three_ways(void **state) {
    (void)state;
    assert_int_equal(minifloat_e8m0(1.0f, true, MINIFLOAT_UP), 127);
    assert_int_equal(minifloat_e8m0(1.25f, true, MINIFLOAT_UP), 128);
    assert_int_equal(minifloat_e8m0(1.25f, true, MINIFLOAT_DOWN), 127);
    assert_int_equal(minifloat_e8m0(1.25f, true, MINIFLOAT_NEAREST), 127);
    assert_int_equal(minifloat_e8m0(1.5f, true, MINIFLOAT_NEAREST), 128);
    assert_int_equal(minifloat_e8m0(0x1p-127f, true, MINIFLOAT_UP), 0);
    assert_int_equal(minifloat_e8m0(0x1.8p-127f, true, MINIFLOAT_UP), 1);
    assert_int_equal(minifloat_e8m0(0.0f, true, MINIFLOAT_UP), 0);
    assert_int_equal(minifloat_e8m0(3.4e38f, true, MINIFLOAT_UP), 254);
    assert_int_equal(minifloat_e8m0(3.4e38f, false, MINIFLOAT_UP), 255);
    assert_int_equal(minifloat_e8m0(INFINITY, true, MINIFLOAT_UP), 255);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_reads_and_writes_back),
        cmocka_unit_test(rounding_is_to_the_nearest_even),
        cmocka_unit_test(ends_follow_the_standard),
        cmocka_unit_test(e8m0_rounds_three_ways),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
