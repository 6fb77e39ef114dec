/* SPDX-License-Identifier: Apache-2.0 */
/* The regular expressions: what matches, what does not, what is refused, and that time stays
 * linear. */
#include "op/regex.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static enum code try(const char *pattern, struct str text, bool *matches, struct err *e) {
    struct arena a;
    const struct regex *r;
    arena_init(&a, 4 << 20);
    enum code code = regex_compile(str_of(pattern), &a, &r, e);
    if (code == OK) {
        void *room = malloc(regex_room(r));
        *matches = regex_matches(r, text, room);
        free(room);
    }
    arena_deinit(&a);
    return code;
}

static void check(const char *pattern, const char *text, bool want) {
    struct err e;
    bool got = false;
    if (try(pattern, str_of(text), &got, &e) != OK)
        fail_msg("%s: %s", pattern, e.text);
    if (got != want)
        fail_msg("'%s' %s '%s'", pattern, got ? "matches" : "does not match", text);
}

static void what_matches(void **state) {
    (void)state;
    static const char *const yes[][2] = {
        {"", ""},
        {"abc", "abc"},
        {"a|b|cd", "cd"},
        {"a*", ""},
        {"a*", "aaa"},
        {"a+b?", "aab"},
        {"(ab)*", "abab"},
        {"(?:ab|c){2,3}", "abcab"},
        {"x{0}", ""},
        {"x{3}", "xxx"},
        {"x{2,}", "xxxxx"},
        {"x{0,2}", "xx"},
        {"x{0,2}", ""},
        {"[a-cx]+", "abcx"},
        {"[^a-c]+", "xyz"},
        {"[]]", "]"},
        {"[a-]", "-"},
        {"[[:digit:]_]+", "12_"},
        {"\\d+\\.\\d", "12.5"},
        {"\\w+\\s\\W", "ab_1 !"},
        {".", "x"},
        {"(?s).", "\n"},
        {"(?i)AbC", "aBc"},
        {"a(?i:b)c", "aBc"},
        {"^a$", "a"},
        {"\\Aa\\z", "a"},
        {"\\bfoo\\b", "foo"},
        {"a\\b-\\bb", "a-b"},
        {"a\\Bb", "ab"},
        {"\\x41\\x{e9}", "A\xc3\xa9"},
        {"\xc3\xa9+", "\xc3\xa9\xc3\xa9"},
        {"[\xc3\xa0-\xc3\xbf]", "\xc3\xa9"},
        {"a{,2}", "a{,2}"},
        {"a{x", "a{x"},
        {"(a|b)*?c", "abac"},
        {"(?P<n>a)b", "ab"},
        {"()*x", "x"},
        {"(a*)*b", "aab"},
        {"www.[\\w.-]+.\\bcom\\b", "www.google.com"},
        {"a||b", ""},
        {"\\t\\\\", "\t\\"},
        {"[\\d\\-]+", "1-2"},
        {"[^\\w]", "-"},
    };
    for (size_t k = 0; k < sizeof yes / sizeof yes[0]; k++)
        check(yes[k][0], yes[k][1], true);
}

static void what_does_not(void **state) {
    (void)state;
    static const char *const no[][2] = {
        {"abc", "abcd"},    {"abc", "xabc"},       {"a+", ""},      {"a|b", "ab"},
        {"x{2}", "xxx"},    {"x{2,3}", "xxxx"},    {".", "\n"},     {"[^a]", "a"},
        {"\\d", "x"},       {"a$b", "ab"},         {"a\\bb", "ab"}, {"\\Ba", "a"},
        {"[^\\s\\S]", "a"}, {"(?i)a(?-i)b", "AB"},
    };
    for (size_t k = 0; k < sizeof no / sizeof no[0]; k++)
        check(no[k][0], no[k][1], false);
}

static void what_is_refused(void **state) {
    (void)state;
    static const char *const wrong[][2] = {
        {"(", "')' is missing"},         {")", "')' without '('"},
        {"[a", "']' is missing"},        {"*a", "nothing to repeat"},
        {"a**{9999}", "bad repetition"}, {"x{3,2}", "bad repetition"},
        {"\\q", "unknown escape"},       {"[b-a]", "backwards"},
        {"[[:what:]]", "unknown class"}, {"(?z)", "unknown flag"},
        {"\\x{110000}", "bad \\x"},      {"a\\", "nothing follows"},
        {"\xff", "not UTF-8"},           {"((((x{99}){99}){99}){99})", "too large"},
    };
    for (size_t k = 0; k < sizeof wrong / sizeof wrong[0]; k++) {
        struct err e = {0};
        bool matches;
        if (try(wrong[k][0], LIT("x"), &matches, &e) == OK || !strstr(e.text, wrong[k][1]))
            fail_msg("'%s': '%s'", wrong[k][0], e.text);
    }
}

static void groups_may_not_nest_without_end(void **state) {
    (void)state;
    char pattern[1001];
    struct err e = {0};
    bool matches;
    memset(pattern, '(', 1000);
    pattern[1000] = '\0';
    assert_int_equal(try(pattern, LIT(""), &matches, &e), ERR_LIMIT);
}

/* A backtracking matcher would take 2^30 steps. */
static void time_stays_linear(void **state) {
    (void)state;
    char text[31];
    memset(text, 'a', 30);
    text[30] = '\0';
    check("(a?){30}a{30}", text, true);
    check("(a*)*(a*)*(a*)*b", text, false);
}

static void bytes_that_are_no_text(void **state) {
    (void)state;
    struct err e;
    bool matches = false;
    assert_int_equal(try("..", (struct str){"\xff\0", 2}, &matches, &e), OK);
    assert_true(matches);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_matches),      cmocka_unit_test(what_does_not),
        cmocka_unit_test(what_is_refused),   cmocka_unit_test(groups_may_not_nest_without_end),
        cmocka_unit_test(time_stays_linear), cmocka_unit_test(bytes_that_are_no_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
