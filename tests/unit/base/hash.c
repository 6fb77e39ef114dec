/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hash.c"

#include "check.h"

static void hex_both_ways(void **state) {
    (void)state;
    uint8_t bytes[3];
    char text[7];
    assert_true(hex_take(LIT("00fFa5"), bytes, 3));
    hex_put(bytes, 3, text);
    assert_string_equal(text, "00ffa5");
    assert_false(hex_take(LIT("00ff"), bytes, 3));
    assert_false(hex_take(LIT("00ff0g"), bytes, 3));
    assert_false(hex_take(LIT("00ff0a0"), bytes, 3));
    assert_true(hex_take(LIT(""), bytes, 0));
}

static void crc32c_of_known_bytes(void **state) { /* RFC 3720 appendix B.4 */
    (void)state;
    uint8_t zeros[32] = {0}, ones[32], up[32];
    memset(ones, 0xff, sizeof ones);
    for (size_t at = 0; at < 32; at++)
        up[at] = (uint8_t)at;
    assert_int_equal(crc32c(0, zeros, 32), 0x8a9136aa);
    assert_int_equal(crc32c(0, ones, 32), 0x62a8ab43);
    assert_int_equal(crc32c(0, up, 32), 0x46dd794e);
    assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
    assert_int_equal(crc32c(crc32c(0, "1234", 4), "56789", 5), 0xe3069283);
    assert_int_equal(crc32c(0, NULL, 0), 0);
    for (size_t n = 0; n <= 32; n++)
        assert_int_equal(crc32c(0, up, n), ~crc_scalar(~0u, up, n));
}

static void table_hashes_differ(void **state) {
    (void)state;
    uint8_t bytes[64] = {0};
    uint64_t seen[65];
    for (size_t n = 0; n <= 64; n++) { /* zeros of each length */
        seen[n] = hash_bytes(bytes, n);
        for (size_t other = 0; other < n; other++)
            assert_true(seen[n] != seen[other]);
    }
    for (size_t at = 0; at < 64; at++) /* each byte matters, at each length */
        for (size_t n = at + 1; n <= 64; n++) {
            bytes[at] = 1;
            assert_true(hash_bytes(bytes, n) != seen[n]);
            bytes[at] = 0;
        }
    assert_true(hash_bytes("abc", 3) == hash_bytes("abc", 3));
}

/* 64 buckets from 64,000 counted names: no bucket far from its share. */
static void table_hashes_spread(void **state) {
    (void)state;
    int low[64] = {0}, high[64] = {0};
    for (int at = 0; at < 64000; at++) {
        char name[32];
        uint64_t h = hash_bytes(name, (size_t)snprintf(name, sizeof name, "layer.%d.weight", at));
        low[h & 63]++;
        high[h >> 57 & 63]++;
    }
    for (int bucket = 0; bucket < 64; bucket++) {
        assert_in_range(low[bucket], 800, 1200);
        assert_in_range(high[bucket], 800, 1200);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hex_both_ways),
        cmocka_unit_test(crc32c_of_known_bytes),
        cmocka_unit_test(table_hashes_differ),
        cmocka_unit_test(table_hashes_spread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
