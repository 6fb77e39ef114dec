/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/auth.c"

#include "../base/check.h"

#include <unistd.h>

static const char *key_file(const char *text) {
    static char path[] = "/tmp/slipway-keys-XXXXXX";
    memcpy(path + sizeof path - 7, "XXXXXX", 6);
    int fd = mkstemp(path);
    assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
    return path;
}

static enum code check(const struct auth *a, const char *header, struct err *e) {
    struct http_request r = {0};
    if (header)
        r.headers[r.n_headers++] = (struct http_header){LIT("Authorization"), str_of(header)};
    return auth_check(a, &r, e);
}

static void test_keys(void **state) {
    (void)state;
    struct err e;
    struct auth a;
    const char *path = key_file("# staff\nsecret-1\n\n  \r\nsecret-2\r\n");
    assert_ok(auth_open(&a, path, &e));
    unlink(path);
    assert_int_equal(a.n, 2);
    assert_ok(check(&a, "Bearer secret-1", &e));
    assert_ok(check(&a, "bearer secret-2", &e));
    assert_fails(check(&a, NULL, &e), UNAUTHENTICATED, "Authorization: Bearer KEY");
    assert_fails(check(&a, "Basic c2VjcmV0", &e), UNAUTHENTICATED, "Bearer");
    assert_fails(check(&a, "Bearer secret", &e), DENIED, "not one");
    assert_fails(check(&a, "Bearer # staff", &e), DENIED, "not one");
    auth_close(&a);
}

static void test_without(void **state) {
    (void)state;
    struct err e;
    struct auth a;
    assert_ok(auth_open(&a, NULL, &e));
    assert_ok(check(&a, NULL, &e));
    const char *path = key_file("# nothing\n");
    assert_fails(auth_open(&a, path, &e), INVALID, "holds no key");
    unlink(path);
    assert_fails(auth_open(&a, path, &e), NOT_FOUND, path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_without),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
