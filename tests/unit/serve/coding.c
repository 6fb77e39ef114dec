/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/coding.c"

#include "../base/check.h"

static void test_headers(void **state) {
    (void)state;
    bool only;
    assert_int_equal(coding_of(LIT("gzip")), CODING_GZIP);
    assert_int_equal(coding_of(LIT(" Deflate ")), CODING_DEFLATE);
    assert_int_equal(coding_of(LIT("identity")), CODING_NONE);
    assert_int_equal(coding_of(LIT("br")), CODING_UNKNOWN);
    assert_int_equal(coding_of(LIT("gzip, deflate")), CODING_UNKNOWN);
    assert_int_equal(coding_accepted(LIT("gzip"), &only), CODING_GZIP);
    assert_true(only);
    assert_int_equal(coding_accepted(LIT("deflate, gzip;q=0.5, br"), &only), CODING_GZIP);
    assert_false(only);
    assert_int_equal(coding_accepted(LIT("gzip;q=0, deflate"), &only), CODING_DEFLATE);
    assert_true(only);
    assert_int_equal(coding_accepted(LIT("br, *"), &only), CODING_NONE);
    assert_int_equal(coding_accepted(LIT(""), &only), CODING_NONE);
    assert_int_equal(coding_accepted(LIT("identity"), &only), CODING_NONE);
}

static void round_trip(enum coding c, size_t n) {
    struct err e;
    struct buf there, back;
    uint8_t *bytes = malloc(n + 1);
    for (size_t i = 0; i < n; i++)
        bytes[i] = (uint8_t)(i * i >> 7);
    const struct span parts[] = {{bytes, n / 3}, {bytes + n / 3, 0}, {bytes + n / 3, n - n / 3}};
    buf_init(&there, 1 << 24);
    buf_init(&back, 1 << 24);
    assert_ok(coding_apply(c, parts, 3, &there, &e));
    assert_ok(coding_undo(c, (struct span){(const uint8_t *)there.p, there.n}, &back, &e));
    assert_int_equal(back.n, n);
    assert_true(n == 0 || memcmp(back.p, bytes, n) == 0);
    if (n > 1000) {
        buf_clear(&back);
        back.cap_bytes = n - 1;
        back.room = 0;
        free(back.p);
        back.p = NULL;
        assert_fails(coding_undo(c, (struct span){(const uint8_t *)there.p, there.n}, &back, &e),
                     TOO_LARGE, "--max-body");
        buf_clear(&back);
        back.cap_bytes = 1 << 24;
        assert_fails(
            coding_undo(c, (struct span){(const uint8_t *)there.p, there.n - 9}, &back, &e),
            INVALID, "too early");
    }
    buf_deinit(&there);
    buf_deinit(&back);
    free(bytes);
}

static void test_round_trips(void **state) {
    (void)state;
    static const size_t sizes[] = {0, 1, 100, 65536, 65537, 3000000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        round_trip(CODING_GZIP, sizes[i]);
        round_trip(CODING_DEFLATE, sizes[i]);
    }
}

static void test_raw_deflate(void **state) {
    (void)state;
    struct err e;
    struct buf b;
    static const uint8_t raw[] = {0x4b, 0x4c, 0x4a, 0x06,
                                  0x00}; /* "abc" without RFC 1950's frame */
    buf_init(&b, 100);
    assert_ok(coding_undo(CODING_DEFLATE, (struct span){raw, sizeof raw}, &b, &e));
    assert_true(str_is(buf_str(&b), "abc"));
    buf_deinit(&b);
}

static void test_damage(void **state) {
    (void)state;
    struct err e;
    struct buf b;
    buf_init(&b, 1 << 20);
    assert_fails(coding_undo(CODING_GZIP, (struct span){(const uint8_t *)"not gzip", 8}, &b, &e),
                 INVALID, "damaged");
    assert_fails(coding_undo(CODING_GZIP, (struct span){(const uint8_t *)"", 0}, &b, &e), INVALID,
                 "too early");
    struct buf there;
    buf_init(&there, 1 << 20);
    assert_ok(
        coding_apply(CODING_GZIP, &(struct span){(const uint8_t *)"hello", 5}, 1, &there, &e));
    buf_put_text(&there, "more");
    assert_fails(coding_undo(CODING_GZIP, (struct span){(const uint8_t *)there.p, there.n}, &b, &e),
                 INVALID, "4 bytes follow");
    buf_deinit(&there);
    buf_deinit(&b);
}

/* Two frames are one body; a bomb is stopped at the limit; what is cut or damaged says so. */
static void test_zstd(void **state) {
    (void)state;
    static char plain[1 << 20], packed[1 << 16];
    struct err e;
    struct buf b;
    memset(plain, 'z', sizeof plain);
    size_t n = ZSTD_compress(packed, sizeof packed, plain, sizeof plain, 3);
    size_t more = ZSTD_compress(packed + n, sizeof packed - n, "tail", 4, 3);
    assert_false(ZSTD_isError(n) || ZSTD_isError(more));
    assert_int_equal(coding_of(LIT("zstd")), CODING_ZSTD);
    buf_init(&b, 2 << 20);
    assert_ok(coding_undo(CODING_ZSTD, (struct span){(const uint8_t *)packed, n + more}, &b, &e));
    assert_int_equal(b.n, sizeof plain + 4);
    assert_memory_equal(b.p + sizeof plain, "tail", 4);
    buf_deinit(&b);
    buf_init(&b, 1000);
    assert_fails(coding_undo(CODING_ZSTD, (struct span){(const uint8_t *)packed, n}, &b, &e),
                 TOO_LARGE, "limit");
    buf_deinit(&b);
    buf_init(&b, 2 << 20);
    assert_fails(coding_undo(CODING_ZSTD, (struct span){(const uint8_t *)packed, n - 1}, &b, &e),
                 INVALID, "too early");
    packed[0] ^= 1;
    assert_fails(coding_undo(CODING_ZSTD, (struct span){(const uint8_t *)packed, n}, &b, &e),
                 INVALID, "damaged");
    buf_deinit(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_headers),     cmocka_unit_test(test_round_trips),
        cmocka_unit_test(test_raw_deflate), cmocka_unit_test(test_damage),
        cmocka_unit_test(test_zstd),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
