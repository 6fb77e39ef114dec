/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of normalisation one by one; tests/golden/test_tokenizer_families.py compares them with
 * the libraries they come from. */
#include "llm/normalize.c"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static enum code run(const char *step, struct str text, struct str *out, struct arena *a,
                     struct err *e) {
    struct str name = str_of(step);
    struct attr fact = {.name = LIT("tok.normalize"), .kind = ATTR_STRS, .n = 1, .strs = &name};
    struct model m = {.facts = &fact, .n_facts = 1};
    struct normalizer n;
    TRY(normalizer_open(&m, &n, e));
    return normalizer_run(&n, text, a, out, e);
}

static void expect(const char *step, struct str text, struct str want) {
    struct arena a;
    struct err e = {0};
    struct str got = {0};
    arena_init(&a, 1 << 24);
    if (run(step, text, &got, &a, &e) != OK)
        fail_msg("%s", e.text);
    if (!str_eq(got, want))
        fail_msg("%s: '%.*s', not '%.*s'", step, STR(got), STR(want));
    arena_deinit(&a);
}
#define EXPECT(step, text, want) expect(step, LIT(text), LIT(want))

static void test_spaces(void **state) {
    (void)state;
    EXPECT("strip_left", " \xe3\x80\x80\ta ", "a ");
    EXPECT("strip_right", " a\xe2\x80\x89\n", " a");
    EXPECT("strip_right", " \xc2\xa0 ", "");
    EXPECT("squeeze", "a  b c   ", "a b c ");
    EXPECT("squeeze_blank", "a  b c",
           "a\xe2\x96\x81"
           "b c");
    EXPECT("words", "\t a \xe3\x80\x80 b\n", "a b");
    EXPECT("spaces", "  a   b\t ", "a b\t");
    EXPECT("prepend", "", "");
    EXPECT("prepend", "a",
           "\xe2\x96\x81"
           "a");
    EXPECT("blanks", " a",
           "\xe2\x96\x81"
           "a");
}

static void test_form_c(void **state) {
    (void)state;
    EXPECT("nfc", "plain \xc3\xa9 text", "plain \xc3\xa9 text");
    EXPECT("nfc", "e\xcc\x81", "\xc3\xa9");
    /* marks are put in order first: below (class 220) before above (230) */
    EXPECT("nfc", "a\xcc\x81\xcc\xa3", "\xe1\xba\xa1\xcc\x81");
    /* a mark of the same class between blocks, one of another class does not */
    EXPECT("nfc", "a\xcc\x87\xcc\x81", "\xc8\xa7\xcc\x81");
    EXPECT("nfc", "a\xcc\xa7\xcc\x81", "\xc3\xa1\xcc\xa7");
    EXPECT("nfc", "\xe1\x84\x80\xe1\x85\xa1\xe1\x86\xa8", "\xea\xb0\x81"); /* Jamo */
    EXPECT("nfc", "\xe2\x84\xab", "\xc3\x85");                             /* a singleton */
    EXPECT("nfc", "\xe0\xa5\x98", "\xe0\xa4\x95\xe0\xa4\xbc");       /* excluded from composition */
    EXPECT("nfc", "e\xcc\xff\xcc\x81\xfe", "e\xcc\xff\xcc\x81\xfe"); /* bytes that are no text */
}

/* One letter with 200,000 marks in the wrong order takes no time, and comes out in order. */
static void test_many_marks(void **state) {
    enum { MARKS = 200000 };
    static char text[1 + 2 * MARKS];
    struct arena a;
    struct err e = {0};
    struct str got = {0};
    (void)state;
    text[0] = 'q';
    for (size_t i = 0; i < MARKS; i++) /* U+0301 (230), U+0316 (220) in turn */
        memcpy(text + 1 + 2 * i, i % 2 ? "\xcc\x96" : "\xcc\x81", 2);
    arena_init(&a, 1 << 24);
    assert_int_equal(run("nfc", (struct str){text, sizeof text}, &got, &a, &e), OK);
    assert_int_equal(got.n, sizeof text);
    assert_memory_equal(got.p + 1, "\xcc\x96\xcc\x96", 4);
    assert_memory_equal(got.p + got.n - 4, "\xcc\x81\xcc\x81", 4);
    arena_deinit(&a);
}

static void put_unit(uint8_t *table, uint32_t at, uint32_t unit) {
    memcpy(table + 4 + 4 * (size_t)at, &unit, 4);
}

/* A table that turns 'x' into 4096 letters. */
static void test_growth_has_an_end(void **state) {
    enum { UNITS = 768, LETTERS = 4096 };
    static uint8_t table[4 + 4 * UNITS + LETTERS];
    static char text[1000];
    struct str name = LIT("charsmap"), got = {0};
    struct attr facts[2] = {
        {.name = LIT("tok.normalize"), .kind = ATTR_STRS, .n = 1, .strs = &name},
        {.name = LIT("tok.charsmap"), .kind = ATTR_STR, .s = {(char *)table, sizeof table}}};
    struct model m = {.facts = facts, .n_facts = 2};
    struct normalizer n;
    struct arena a;
    struct err e = {0};
    (void)state;
    memcpy(table, &(uint32_t){4 * UNITS}, 4);
    put_unit(table, 0, 1u << 10 | 1u << 9);                         /* children from 256 on */
    put_unit(table, 256 ^ 'x', 3u << 10 | 1u << 9 | 1u << 8 | 'x'); /* a key; value in block 2 */
    put_unit(table, (256 ^ 'x') ^ 3u << 8, 1u << 31);               /* at 0 of the texts */
    memset(table + 4 + 4 * UNITS, 'y', LETTERS);
    memset(text, 'x', sizeof text);
    arena_init(&a, 1 << 24);
    assert_int_equal(normalizer_open(&m, &n, &e), OK);
    assert_int_equal(normalizer_run(&n, (struct str){text, sizeof text}, &a, &got, &e), ERR_LIMIT);
    memset(table + 4 + 4 * UNITS, 0, LETTERS);
    assert_int_equal(normalizer_run(&n, LIT("axb"), &a, &got, &e), OK);
    assert_true(str_is(got, "ab"));
    arena_deinit(&a);
}

static void test_refused(void **state) {
    struct arena a;
    struct err e = {0};
    struct str got = {0};
    (void)state;
    arena_init(&a, 1 << 20);
    assert_int_equal(run("rot13", LIT("a"), &got, &a, &e), ERR_UNSUPPORTED);
    assert_non_null(strstr(e.text, "rot13"));
    assert_int_equal(run("charsmap", LIT("a"), &got, &a, &e), ERR_FORMAT); /* without its table */
    arena_deinit(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spaces),     cmocka_unit_test(test_form_c),
        cmocka_unit_test(test_many_marks), cmocka_unit_test(test_growth_has_an_end),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
