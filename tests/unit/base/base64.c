/* SPDX-License-Identifier: Apache-2.0 */
#include "base/base64.c"

#include "check.h"

static void published_vectors(void **state) { /* RFC 4648 §10 */
    (void)state;
    static const char *const pairs[][2] = {{"", ""},
                                           {"f", "Zg=="},
                                           {"fo", "Zm8="},
                                           {"foo", "Zm9v"},
                                           {"foob", "Zm9vYg=="},
                                           {"fooba", "Zm9vYmE="},
                                           {"foobar", "Zm9vYmFy"}};
    for (size_t at = 0; at < 7; at++) {
        struct buf b;
        struct err e;
        buf_init(&b, 100);
        base64_put((struct span){(const uint8_t *)pairs[at][0], strlen(pairs[at][0])}, &b);
        assert_str(buf_str(&b), pairs[at][1]);
        buf_clear(&b);
        assert_ok(base64_take(str_of(pairs[at][1]), &b, &e));
        assert_str(buf_str(&b), pairs[at][0]);
        buf_clear(&b);
        assert_ok(base64_take((struct str){pairs[at][1], strcspn(pairs[at][1], "=")}, &b, &e));
        assert_str(buf_str(&b), pairs[at][0]);
        buf_deinit(&b);
    }
}

static void every_length_comes_back(void **state) {
    (void)state;
    uint8_t bytes[200];
    uint64_t seed = 1;
    for (size_t n = 0; n < sizeof bytes; n++) {
        struct buf text, back;
        struct err e;
        buf_init(&text, 1000);
        buf_init(&back, 1000);
        for (size_t at = 0; at < n; at++)
            bytes[at] = (uint8_t)check_random(&seed);
        base64_put((struct span){bytes, n}, &text);
        assert_int_equal(text.n, (n + 2) / 3 * 4);
        assert_ok(base64_take(buf_str(&text), &back, &e));
        assert_int_equal(back.n, n);
        if (n)
            assert_memory_equal(back.p, bytes, n);
        buf_deinit(&text);
        buf_deinit(&back);
    }
}

static void both_alphabets(void **state) {
    (void)state;
    struct buf b;
    struct err e;
    buf_init(&b, 100);
    assert_ok(base64_take(LIT("-_+/"), &b, &e));
    assert_memory_equal(b.p, "\xfb\xff\xbf", 3);
    buf_deinit(&b);
}

static void complaints_name_the_byte_and_change_nothing(void **state) {
    (void)state;
    struct buf b;
    struct err e;
    buf_init(&b, 100);
    buf_put_text(&b, "kept");
    assert_fails(base64_take(LIT("Zm9v Zg="), &b, &e), INVALID, "byte 5 (0x20)");
    assert_fails(base64_take(LIT("Zm9*"), &b, &e), INVALID, "byte 4 (0x2a)");
    assert_fails(base64_take(LIT("Zm9vZ*"), &b, &e), INVALID, "byte 6");
    assert_fails(base64_take(LIT("Zm9vZ"), &b, &e), INVALID, "5 digits ends inside a byte");
    assert_fails(base64_take(LIT("Zg="), &b, &e), INVALID, "padding");
    assert_fails(base64_take(LIT("Zg==="), &b, &e), INVALID, "byte 4");
    assert_fails(base64_take(LIT("Zh=="), &b, &e), INVALID, "bits beyond");
    assert_fails(base64_take(LIT("Zm9="), &b, &e), INVALID, "bits beyond");
    assert_fails(base64_take(LIT("\xff\xff\xff\xff"), &b, &e), INVALID, "byte 1 (0xff)");
    assert_str(buf_str(&b), "kept");
    buf_deinit(&b);
    buf_init(&b, 2);
    assert_fails(base64_take(LIT("Zm9v"), &b, &e), TOO_LARGE, "2 bytes");
    buf_deinit(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_vectors),
        cmocka_unit_test(every_length_comes_back),
        cmocka_unit_test(both_alphabets),
        cmocka_unit_test(complaints_name_the_byte_and_change_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
