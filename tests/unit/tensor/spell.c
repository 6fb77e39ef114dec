/* SPDX-License-Identifier: Apache-2.0 */
#include "tensor/spell.c"

#include "../base/check.h"

#include <math.h>

static void writes(enum dtype t, const void *element, const char *expected) {
    char text[SPELL_TEXT];
    assert_str(((struct str){text, spell_put(t, element, text)}), expected);
}

static void numbers_are_written_shortest(void **state) {
    (void)state;
    writes(DT_F32, &(float){0.1f}, "0.1");
    writes(DT_F32, &(float){3.0f}, "3.0");
    writes(DT_F64, &(double){0.1}, "0.1");
    writes(DT_F64, &(double){-1.2345678901234567e-300}, "-1.2345678901234568e-300");
    writes(DT_F32, &(float){NAN}, "NaN");
    writes(DT_F32, &(float){-INFINITY}, "-INF");
    writes(DT_F16, &(uint16_t){0x7c00}, "INF");
    writes(DT_F16, &(uint16_t){0x3c00}, "1.0");
    writes(DT_I64, &(int64_t){INT64_MIN}, "-9223372036854775808");
    writes(DT_U64, &(uint64_t){UINT64_MAX}, "18446744073709551615");
    writes(DT_I4, &(int8_t){-8}, "-8");
    writes(DT_BOOL, &(uint8_t){1}, "True");
}

static void what_is_written_reads_back(void **state) {
    (void)state;
    uint64_t seed = 3;
    for (int i = 0; i < 2000; i++) {
        uint64_t bits = check_random(&seed);
        char text[SPELL_TEXT];
        double v, back = 0;
        memcpy(&v, &bits, sizeof v);
        struct str s = {text, spell_put(DT_F64, &v, text)};
        assert_true(spell_take(DT_F64, s, &back));
        assert_true(back == v || (isnan(v) && isnan(back)));
    }
}

static void texts_are_read_as_onnx_says(void **state) {
    (void)state;
    float f = 0;
    int32_t i = 0;
    uint8_t u = 0;
    int64_t l = 0;
    uint64_t w = 0;
    assert_true(spell_take(DT_F32, LIT("+INF"), &f) && isinf(f));
    assert_true(spell_take(DT_F32, LIT("NaN"), &f) && isnan(f));
    assert_true(spell_take(DT_F32, LIT(" -1e-3 "), &f) && f == -1e-3f);
    assert_true(spell_take(DT_I32, LIT("+12"), &i) && i == 12);
    assert_true(spell_take(DT_I32, LIT("3.9"), &i) && i == 3);
    assert_true(spell_take(DT_I64, LIT("-9223372036854775808"), &l) && l == INT64_MIN);
    assert_true(spell_take(DT_U64, LIT("18446744073709551615"), &w) && w == UINT64_MAX);
    assert_true(spell_take(DT_BOOL, LIT("true"), &u) && u == 1);
    assert_true(spell_take(DT_BOOL, LIT("0"), &u) && u == 0);
    assert_false(spell_take(DT_F32, LIT(""), &f));
    assert_false(spell_take(DT_F32, LIT("12x"), &f));
    assert_false(spell_take(DT_I32, LIT("twelve"), &i));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_written_shortest),
        cmocka_unit_test(what_is_written_reads_back),
        cmocka_unit_test(texts_are_read_as_onnx_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
