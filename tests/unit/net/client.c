/* SPDX-License-Identifier: Apache-2.0 */
#include "net/client.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static bool may(const char *hosts, const char *host, const char *port) {
    return client_may(hosts, str_of(host), str_of(port));
}

static void test_hosts(void **state) {
    (void)state;
    assert_true(may("*", "a.example", "80"));
    assert_true(may("a.example", "a.example", "8080"));
    assert_true(may("a.example", "A.Example", "443"));
    assert_true(may("b.example,a.example:443", "a.example", "443"));
    assert_false(may("b.example,a.example:443", "a.example", "80"));
    assert_false(may("a.example", "xa.example", "80"));
    assert_false(may("a.example", "a.example.evil", "80"));
    assert_false(may("", "a.example", "80"));
    assert_false(may(NULL, "a.example", "80"));
    assert_false(may("a.example,", "", "80"));
}

static enum code get(const char *url, const char *hosts) {
    const struct client_get g = {.url = str_of(url), .hosts = hosts, .most = 10};
    uint64_t bytes = 0;
    struct err e;
    return client_get(&g, -1, &bytes, &e);
}

static void test_refusals(void **state) {
    (void)state;
    if (get("http://a.example/x", NULL) == ERR_UNSUPPORTED)
        skip(); /* no libcurl here */
    assert_int_equal(get("http://a.example/x", NULL), ERR_DENIED);
    assert_int_equal(get("http://a.example/x", "b.example"), ERR_DENIED);
    assert_int_equal(get("file:///etc/passwd", "*"), ERR_INVALID);
    assert_int_equal(get("ftp://a.example/x", "*"), ERR_INVALID);
    assert_int_equal(get("http://user:word@a.example/x", "*"), ERR_INVALID);
    assert_int_equal(get("no address", "*"), ERR_INVALID);
    assert_int_equal(get("", "*"), ERR_INVALID);
}

static void test_long_address(void **state) {
    static char url[URL_BYTES + 10];
    (void)state;
    memset(url, 'a', sizeof url - 1);
    memcpy(url, "http://", 7);
    if (get(url, "*") != ERR_UNSUPPORTED)
        assert_int_equal(get(url, "*"), ERR_INVALID);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hosts),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_long_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
