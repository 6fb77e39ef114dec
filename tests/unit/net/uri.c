/* SPDX-License-Identifier: Apache-2.0 */
#include "net/uri.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static bool splits(const char *method, const char *target, const char *path, const char *query) {
    struct uri_target t;
    return !uri_split(str_of(method), str_of(target), &t) && str_is(t.path, path) &&
           str_is(t.query, query);
}

static bool refused(const char *method, const char *target) {
    struct uri_target t;
    return uri_split(str_of(method), str_of(target), &t) != NULL;
}

static void test_forms(void **state) {
    (void)state;
    assert_true(splits("GET", "/", "/", ""));
    assert_true(splits("GET", "/a/b?x=1&y=2?3", "/a/b", "x=1&y=2?3"));
    assert_true(splits("GET", "/?", "/", ""));
    assert_true(splits("GET", "http://host:80/a?b", "/a", "b"));
    assert_true(splits("GET", "HTTPS://host", "/", ""));
    assert_true(splits("GET", "http://host?q", "/", "q"));
    assert_true(splits("OPTIONS", "*", "*", ""));
    assert_true(refused("GET", "*"));
    assert_true(refused("GET", ""));
    assert_true(refused("GET", "a/b"));
    assert_true(refused("GET", "http://"));
    assert_true(refused("GET", "http:///a"));
    assert_true(refused("GET", "http://user@host/a"));
    assert_true(refused("GET", "ftp://host/a"));
    assert_true(refused("CONNECT", "host:443"));
    assert_true(refused("CONNECT", "/a"));
}

static bool decodes(const char *text, bool form, const char *want, size_t n) {
    char to[64];
    return uri_decode(str_of(text), form, to) == n && (n == SIZE_MAX || memcmp(to, want, n) == 0);
}

static void test_decode(void **state) {
    (void)state;
    assert_true(decodes("/a%20b", false, "/a b", 4));
    assert_true(decodes("/a+b", false, "/a+b", 4));
    assert_true(decodes("a+b%2B", true, "a b+", 4));
    assert_true(decodes("%c3%A9", false, "\xc3\xa9", 2));
    assert_true(decodes("%ff", false, "\xff", 1));
    const char *bad[] = {"%", "%2", "a%2", "%zz", "%0g", "%00", "%-1", "% 1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_true(decodes(bad[i], false, "", SIZE_MAX));
        assert_true(decodes(bad[i], true, "", SIZE_MAX));
    }
    assert_true(decodes("%0a", false, "", SIZE_MAX));
    assert_true(decodes("%7f", false, "", SIZE_MAX));
    assert_true(decodes("%0a", true, "\n", 1));
}

static bool finds(const char *query, const char *name, const char *want) {
    struct str value;
    return uri_query_find(str_of(query), str_of(name), &value) && str_is(value, want);
}

static void test_query(void **state) {
    (void)state;
    struct str value;
    assert_true(finds("x=1&y=2", "x", "1"));
    assert_true(finds("x=1&y=2", "y", "2"));
    assert_true(finds("x=1&x=2", "x", "1"));
    assert_true(finds("flag&y=2", "flag", ""));
    assert_true(finds("&&y=a=b", "y", "a=b"));
    assert_true(finds("a%20b=1", "a b", "1"));
    assert_true(finds("a+b=1", "a b", "1"));
    assert_true(finds("xy=1&x=%31", "x", "%31"));
    assert_false(uri_query_find(LIT("xy=1"), LIT("x"), &value));
    assert_false(uri_query_find(LIT("x%=1"), LIT("x"), &value));
    assert_false(uri_query_find(LIT(""), LIT("x"), &value));
}

static void test_host(void **state) {
    (void)state;
    const char *good[] = {"", "a", "a.b-c_d:80", "[::1]:8080", "127.0.0.1", "caf%C3%A9"};
    const char *bad[] = {"a b", "a,b", "a@b", "a/b", "a?b", "a#b", "a\tb", "\xc3\xa9", "a\\b"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(uri_is_host(str_of(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(uri_is_host(str_of(bad[i])));
    assert_false(uri_is_host((struct str){"a\0b", 3}));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_forms), cmocka_unit_test(test_decode),
                                       cmocka_unit_test(test_query), cmocka_unit_test(test_host)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
