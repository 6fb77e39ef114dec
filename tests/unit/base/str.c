/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.c"

#include "check.h"

#include <locale.h>

static void comparing(void **state) {
    (void)state;
    const struct str none = {NULL, 0};
    assert_true(str_eq(none, LIT("")));
    assert_true(str_is(LIT("ab"), "ab"));
    assert_false(str_is(LIT("ab"), "abc"));
    assert_false(str_eq((struct str){"a\0b", 3}, (struct str){"a\0c", 3}));
    assert_true(str_cmp(LIT("a"), LIT("b")) < 0);
    assert_true(str_cmp(LIT("ab"), LIT("a")) > 0);
    assert_true(str_cmp(none, LIT("a")) < 0);
    assert_int_equal(str_cmp(LIT("ab"), LIT("ab")), 0);
    assert_true(str_cmp(LIT("\xff"), LIT("a")) > 0);
    assert_true(str_eq_nocase(LIT("Content-TYPE"), LIT("content-type")));
    assert_false(str_eq_nocase(LIT("a["), LIT("a{"))); /* differ by 0x20 but are no letters */
    assert_false(str_eq_nocase(LIT("a"), LIT("ab")));
}

static void parts(void **state) {
    (void)state;
    size_t at = 9;
    assert_true(str_starts(LIT("resnet50@3"), "resnet"));
    assert_false(str_starts(LIT("re"), "resnet"));
    assert_true(str_ends(LIT("model.onnx"), ".onnx"));
    assert_false(str_ends(LIT("nx"), ".onnx"));
    assert_true(str_starts(LIT(""), "") && str_ends(LIT(""), ""));
    assert_str(str_sub(LIT("abcdef"), 2, 4), "cd");
    assert_str(str_sub(LIT("abcdef"), 4, 100), "ef");
    assert_int_equal(str_sub(LIT("abc"), 3, 3).n, 0);
    assert_int_equal(str_sub(LIT("abc"), 9, 1).n, 0);
    assert_true(str_find(LIT("a@b@c"), '@', &at) && at == 1);
    assert_false(str_find((struct str){NULL, 0}, '@', &at));
    assert_int_equal(at, 1);
}

static void numbers(void **state) {
    (void)state;
    int64_t i = 5;
    uint64_t u = 5;
    double d = 5;
    assert_true(str_to_i64(LIT("-9223372036854775808"), &i) && i == INT64_MIN);
    assert_true(str_to_i64(LIT("9223372036854775807"), &i) && i == INT64_MAX);
    assert_true(str_to_u64(LIT("18446744073709551615"), &u) && u == UINT64_MAX);
    assert_true(str_to_i64(LIT("-0"), &i) && i == 0);
    i = 5;
    u = 5;
    static const char *const bad[] = {
        "",    "-", "+1", "1 ", " 1", "1x", "--1", "9223372036854775808", "-9223372036854775809",
        "0x10"};
    for (size_t at = 0; at < sizeof bad / sizeof *bad; at++)
        assert_false(str_to_i64(str_of(bad[at]), &i));
    assert_false(str_to_u64(LIT("18446744073709551616"), &u));
    assert_false(str_to_u64(LIT("-1"), &u));
    assert_true(i == 5 && u == 5);
    assert_true(str_to_f64(LIT("-2.5e3"), &d) && d == -2500);
    d = 5;
    static const char *const bad_f64[] = {"",    "x",   "1.5x",  "1 ",       " 1", "1,5",
                                          "nan", "inf", "0x1p3", "infinity", "1e"};
    for (size_t at = 0; at < sizeof bad_f64 / sizeof *bad_f64; at++)
        assert_false(str_to_f64(str_of(bad_f64[at]), &d));
    assert_true(d == 5);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(comparing), cmocka_unit_test(parts),
                                       cmocka_unit_test(numbers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
