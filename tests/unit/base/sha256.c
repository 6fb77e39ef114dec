/* SPDX-License-Identifier: Apache-2.0 */
#include "base/sha256.c"

#include "check.h"

static void sha256_of_known_texts(void **state) { /* FIPS 180-4 examples */
    (void)state;
    static const char *const cases[][2] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"}};
    for (size_t at = 0; at < 3; at++) {
        uint8_t digest[SHA256_BYTES];
        char hex[SHA256_HEX + 1];
        sha256_of((struct span){(const uint8_t *)cases[at][0], strlen(cases[at][0])}, digest);
        hex_put(digest, sizeof digest, hex);
        assert_string_equal(hex, cases[at][1]);
    }
}

static void sha256_in_pieces(void **state) {
    (void)state;
    struct sha256 h;
    uint8_t whole[SHA256_BYTES], pieces[SHA256_BYTES];
    static uint8_t bytes[1000];
    for (size_t at = 0; at < sizeof bytes; at++)
        bytes[at] = (uint8_t)(at * 31);
    sha256_of((struct span){bytes, sizeof bytes}, whole);
    sha256_begin(&h);
    for (size_t at = 0, n = 0; at < sizeof bytes; at += n, n++)
        sha256_add(&h, bytes + at, at + n > sizeof bytes ? sizeof bytes - at : n);
    sha256_end(&h, pieces);
    assert_memory_equal(whole, pieces, sizeof whole);
}

/* of every length around the blocks' ends: the padding is one block or two */
static void sha256_of_every_tail(void **state) {
    (void)state;
    uint8_t bytes[200], digest[SHA256_BYTES], all[SHA256_BYTES];
    char hex[SHA256_HEX + 1];
    struct sha256 h;
    memset(bytes, 'a', sizeof bytes);
    sha256_begin(&h);
    for (size_t n = 0; n <= sizeof bytes; n++) {
        sha256_of((struct span){bytes, n}, digest);
        sha256_add(&h, digest, sizeof digest);
    }
    sha256_end(&h, all);
    hex_put(all, sizeof all, hex); /* hashlib's, of the same */
    assert_string_equal(hex, "1be2d7d291484baf4c78d463a65b40a26c255b1946e5205eac8edad606a76fdd");
}

static void sha256_of_a_million(void **state) { /* FIPS 180-2 appendix B.3 */
    (void)state;
    static const char a[1000] = {[0 ... 999] = 'a'};
    struct sha256 h;
    uint8_t digest[SHA256_BYTES];
    char hex[SHA256_HEX + 1];
    sha256_begin(&h);
    for (int k = 0; k < 1000; k++)
        sha256_add(&h, a, sizeof a);
    sha256_end(&h, digest);
    hex_put(digest, sizeof digest, hex);
    assert_string_equal(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

/* What blocks() chose above and what it did not choose. */
static void instructions_and_the_standard_agree(void **state) {
    (void)state;
#ifdef __x86_64__
    if (!cpu_has_sha())
        skip();
    uint32_t one[8], other[8], random = 1;
    uint8_t bytes[3 * BLOCK];
    for (int round = 0; round < 100; round++) {
        for (size_t i = 0; i < sizeof bytes; i++)
            bytes[i] = (uint8_t)((random = random * 1664525 + 1013904223) >> 24);
        for (int i = 0; i < 8; i++)
            one[i] = other[i] = random = random * 1664525 + 1013904223;
        blocks_sha(one, bytes, 3);
        for (int k = 0; k < 3; k++)
            block_scalar(other, bytes + k * BLOCK);
        assert_memory_equal(one, other, sizeof one);
    }
#endif
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha256_of_known_texts), cmocka_unit_test(sha256_in_pieces),
        cmocka_unit_test(sha256_of_every_tail), cmocka_unit_test(sha256_of_a_million),
        cmocka_unit_test(instructions_and_the_standard_agree)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
