/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/rights.c"

#include "../base/check.h"

static void test_round_trip(void **state) {
    (void)state;
    struct err e;
    struct rights r;
    struct buf b;
    const char *text =
        "{\"scopes\":[\"predict\",\"admin\"],\"models\":[\"a\",\"b-*\"],\"rate\":2.5,"
        "\"concurrency\":3,\"priority\":\"low\"}";
    buf_init(&b, 1 << 16);
    assert_ok(rights_parse(str_of(text), &r, &e));
    rights_write(&r, &b);
    assert_true(str_is(buf_str(&b), text));
    buf_deinit(&b);
    assert_true(rights_name(&r, LIT("a")) && rights_name(&r, LIT("b-")) &&
                rights_name(&r, LIT("b-x")));
    assert_false(rights_name(&r, LIT("ab")) || rights_name(&r, LIT("b")));
}

static void test_refused(void **state) {
    (void)state;
    struct err e;
    struct rights r;
    assert_fails(rights_parse(LIT("{}"), &r, &e), INVALID, "scopes");
    assert_fails(rights_parse(LIT("{\"scopes\":[\"root\"]}"), &r, &e), INVALID, "'root'");
    assert_fails(rights_parse(LIT("{\"scope\":[]}"), &r, &e), INVALID, "\"scope\"");
    assert_fails(rights_parse(LIT("{\"scopes\":[\"read\"],\"rate\":-1}"), &r, &e), INVALID,
                 "negative");
    assert_fails(rights_parse(LIT("{\"scopes\":[\"read\"],\"models\":[\"\"]}"), &r, &e), INVALID,
                 "1 to 128");
}

static void test_new_keys(void **state) {
    (void)state;
    struct err e;
    char one[RIGHTS_KEY], two[RIGHTS_KEY];
    uint8_t digest[SHA256_BYTES], again[SHA256_BYTES];
    assert_ok(rights_new_key(one, digest, &e));
    assert_ok(rights_new_key(two, again, &e));
    assert_true(strlen(one) == 51 && strncmp(one, "sk-", 3) == 0 && strcmp(one, two) != 0);
    sha256_of((struct span){(const uint8_t *)one, strlen(one)}, again);
    assert_memory_equal(digest, again, SHA256_BYTES);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_new_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
