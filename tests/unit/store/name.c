/* SPDX-License-Identifier: Apache-2.0 */
/* Names: what is let through, what is refused and with which words. */
#include "store/name.c"

#include "shelf.h"

static void models(void **state) {
    (void)state;
    struct err e;
    static const char *const good[] = {"a", "0", "resnet50", "PP-OCRv4_rec.en", "a.b-c_d"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_int_equal(name_model(str_of(good[i]), &e), OK);
    static const char *const bad[] = {"",    ".",   "-a",  "_a",       "a/b",
                                      "a b", "a@1", "a\n", "\xc3\xa9", "a:b"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(name_model(str_of(bad[i]), &e), ERR_INVALID);
    char longest[STORE_NAME_MAX + 1];
    memset(longest, 'x', sizeof longest);
    assert_int_equal(name_model((struct str){longest, STORE_NAME_MAX}, &e), OK);
    assert_int_equal(name_model((struct str){longest, STORE_NAME_MAX + 1}, &e), ERR_INVALID);
    assert_non_null(strstr(e.text, "129 characters"));
}

static void aliases(void **state) {
    (void)state;
    struct err e;
    assert_int_equal(name_alias(LIT("prod"), &e), OK);
    assert_int_equal(name_alias(LIT("2024-01"), &e), OK);
    assert_int_equal(name_alias(LIT("7"), &e), ERR_INVALID);
    assert_non_null(strstr(e.text, "version number"));
    assert_int_equal(name_alias(LIT(""), &e), ERR_INVALID);
}

static void files(void **state) {
    (void)state;
    struct err e;
    static const char *const good[] = {"model.onnx", "a/b/c",        "..a", "a..",
                                       "with space", "\xc3\xa9.bin", "-x"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_int_equal(name_file(str_of(good[i]), &e), OK);
    static const char *const bad[] = {"",     "/etc/passwd", "..",   "a/../b", "../a",
                                      "a/..", ".",           "a//b", "a/",     "a\nb"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(name_file(str_of(bad[i]), &e), ERR_INVALID);
    char component[COMPONENT_MAX + 1];
    memset(component, 'x', sizeof component);
    assert_int_equal(name_file((struct str){component, COMPONENT_MAX}, &e), OK);
    assert_int_equal(name_file((struct str){component, COMPONENT_MAX + 1}, &e), ERR_INVALID);
    assert_int_equal(name_file((struct str){"a\0b", 3}, &e), ERR_INVALID);
}

static void refs(void **state) {
    (void)state;
    struct err e;
    struct store_ref r;
    assert_int_equal(store_ref_parse(LIT("ocr"), &r, &e), OK);
    assert_true(str_is(r.model, "ocr") && r.version == 0 && r.alias.n == 0);
    assert_int_equal(store_ref_parse(LIT("ocr@3"), &r, &e), OK);
    assert_true(str_is(r.model, "ocr") && r.version == 3 && r.alias.n == 0);
    assert_int_equal(store_ref_parse(LIT("ocr@prod"), &r, &e), OK);
    assert_true(r.version == 0 && str_is(r.alias, "prod"));
    static const char *const bad[] = {"",
                                      "@",
                                      "@3",
                                      "ocr@",
                                      "ocr@0",
                                      "ocr@00",
                                      "ocr@99999999999999999999",
                                      "ocr@a@b",
                                      "ocr@-1",
                                      "a/b@1",
                                      "ocr@18446744073709551615"};
    struct store_ref before = r;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (store_ref_parse(str_of(bad[i]), &r, &e) != ERR_INVALID)
            fail_msg("'%s' was let through", bad[i]);
        assert_memory_equal(&before, &r, sizeof r); /* untouched on failure */
    }
}

static void texts(void **state) {
    (void)state;
    struct err e;
    assert_int_equal(name_text("origin", LIT(""), 10, &e), OK);
    assert_int_equal(name_text("origin", LIT("0123456789"), 10, &e), OK);
    assert_int_equal(name_text("origin", LIT("0123456789a"), 10, &e), ERR_INVALID);
    assert_int_equal(name_text("origin", LIT("a\x1b[31m"), 10, &e), ERR_INVALID);
    assert_non_null(strstr(e.text, "origin"));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(models), cmocka_unit_test(aliases),
                                       cmocka_unit_test(files), cmocka_unit_test(refs),
                                       cmocka_unit_test(texts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
