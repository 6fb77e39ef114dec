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

static enum code find_key(struct auth *a, const char *header, struct auth_key **out,
                          struct err *e) {
    struct http_request r = {0};
    if (header)
        r.headers[r.n_headers++] = (struct http_header){LIT("Authorization"), str_of(header)};
    return auth_check(a, &r, out, e);
}

static enum code check(struct auth *a, const char *header, struct err *e) {
    struct auth_key *k = NULL;
    enum code code = find_key(a, header, &k, e);
    auth_unref(k);
    return code;
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
    const char *path = key_file("{\"management\": {\"key\": \"a\"}}\n"); /* TorchServe's */
    assert_fails(auth_open(&a, path, &e), INVALID, "is JSON");
    unlink(path);
    path = key_file("# nothing\n");
    assert_fails(auth_open(&a, path, &e), INVALID, "holds no key");
    unlink(path);
    assert_fails(auth_open(&a, path, &e), NOT_FOUND, path);
}

static struct store_key stored(const char *name, const char *key, const char *rights) {
    struct store_key k = {.name = str_of(name), .rights = str_of(rights)};
    sha256_of((struct span){(const uint8_t *)key, strlen(key)}, k.digest);
    return k;
}

/* Scopes, models, and a key that is revoked while a request has it. */
static void test_store(void **state) {
    (void)state;
    struct err e;
    struct auth a;
    struct auth_key *web, *ops;
    assert_ok(auth_open(&a, NULL, &e));
    struct store_key keys[] = {
        stored("web", "k1", "{\"scopes\":[\"predict\"],\"models\":[\"ocr\",\"text-*\"]}"),
        stored("ops", "k2", "{\"scopes\":[\"admin\"]}"), stored("bad", "k3", "{}")};
    assert_ok(take_keys(&a, keys, 3, &e));
    assert_true(a.wanted);
    assert_fails(check(&a, "Bearer k3", &e), DENIED, "not one");
    assert_ok(find_key(&a, "Bearer k1", &web, &e));
    assert_ok(find_key(&a, "Bearer k2", &ops, &e));
    assert_ok(auth_allows(web, SCOPE_PREDICT, LIT("ocr"), &e));
    assert_ok(auth_allows(web, SCOPE_PREDICT | SCOPE_READ, LIT("text-7"), &e));
    assert_fails(auth_allows(web, SCOPE_PREDICT, LIT("ocr2"), &e), DENIED, "not for model 'ocr2'");
    assert_fails(auth_allows(web, SCOPE_ADMIN, LIT(""), &e), DENIED, "scope admin");
    assert_fails(auth_allows(web, SCOPE_READ, LIT(""), &e), DENIED, "scope read");
    assert_ok(auth_allows(ops, SCOPE_PREDICT, LIT("any"), &e));
    assert_ok(auth_allows(NULL, SCOPE_ADMIN, LIT("any"), &e));
    keys[0].revoked_us = 1;
    assert_ok(take_keys(&a, keys, 3, &e));
    assert_fails(check(&a, "Bearer k1", &e), DENIED, "not one");
    assert_true(strcmp(web->name, "web") == 0); /* still ours */
    assert_ok(take_keys(&a, keys, 0, &e));
    assert_fails(check(&a, NULL, &e), UNAUTHENTICATED, ""); /* none left opens nothing */
    auth_unref(web);
    auth_unref(ops);
    auth_close(&a);
}

static void test_quotas(void **state) {
    (void)state;
    struct err e;
    struct auth a;
    struct auth_key *k;
    uint64_t retry = 0, now = 5000000000;
    assert_ok(auth_open(&a, NULL, &e));
    struct store_key key =
        stored("k", "k", "{\"scopes\":[\"predict\"],\"rate\":10,\"concurrency\":20}");
    assert_ok(take_keys(&a, &key, 1, &e));
    assert_ok(find_key(&a, "Bearer k", &k, &e));
    for (int i = 0; i < 10; i++) /* a second's worth at once */
        assert_ok(auth_enter(k, now, &retry, &e));
    assert_fails(auth_enter(k, now, &retry, &e), OVERLOAD, "10 requests a second");
    assert_int_equal(retry, 100000000);
    assert_ok(auth_enter(k, now + retry, &retry, &e));
    for (int i = 0; i < 9; i++)
        assert_ok(auth_enter(k, now + 3000000000, &retry, &e));
    assert_fails(auth_enter(k, now + 9000000000, &retry, &e), OVERLOAD, "20 requests in flight");
    assert_ok(take_keys(&a, &key, 1, &e)); /* the same key keeps its counts */
    auth_leave(k);
    assert_ok(auth_enter(k, now + 9000000000, &retry, &e));
    auth_unref(k);
    auth_close(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_without),
        cmocka_unit_test(test_store),
        cmocka_unit_test(test_quotas),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
