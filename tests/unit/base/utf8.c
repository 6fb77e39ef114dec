/* SPDX-License-Identifier: Apache-2.0 */
#include "base/utf8.c"

#include "check.h"

/* Every code point there is: written, valid, and of the length read. */
static void every_code_point(void **state) {
    (void)state;
    for (uint32_t c = 0; c <= 0x110000; c++) {
        char text[4];
        size_t n = utf8_put(c, text);
        bool is_real = c <= 0x10ffff && (c < 0xd800 || c > 0xdfff);
        assert_int_equal(utf8_length(text, n), n);
        assert_true(is_real || (n == 3 && memcmp(text, "\xef\xbf\xbd", 3) == 0));
        for (size_t cut = 0; cut < n; cut++)
            assert_int_equal(utf8_length(text, cut), 0);
    }
}

/* All two-byte fronts against RFC 3629 §4's table, decoded the long way. */
static bool decodes(const uint8_t *p, size_t n) {
    static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
    size_t want = p[0] < 0x80       ? 1
                  : p[0] >> 5 == 6  ? 2
                  : p[0] >> 4 == 14 ? 3
                  : p[0] >> 3 == 30 ? 4
                                    : 0;
    if (want == 0 || want > n)
        return false;
    uint32_t c = want == 1 ? p[0] : p[0] & (0x7fu >> want);
    for (size_t at = 1; at < want; at++) {
        if (p[at] >> 6 != 2)
            return false;
        c = c << 6 | (p[at] & 63);
    }
    return c >= least[want] && c <= 0x10ffff && !(c >= 0xd800 && c <= 0xdfff);
}

static void every_front(void **state) {
    (void)state;
    static const uint8_t tails[] = {0x00, 0x7f, 0x80, 0xbf, 0xc0};
    for (unsigned front = 0; front < 0x10000; front++)
        for (size_t a = 0; a < sizeof tails; a++)
            for (size_t b = 0; b < sizeof tails; b++) {
                uint8_t p[4] = {(uint8_t)(front >> 8), (uint8_t)front, tails[a], tails[b]};
                assert_int_equal(utf8_length((const char *)p, 4) > 0, decodes(p, 4));
            }
}

static void whole_texts(void **state) {
    (void)state;
    assert_true(utf8_valid((struct str){NULL, 0}));
    assert_true(utf8_valid(LIT("plain ASCII, longer than eight bytes")));
    assert_true(utf8_valid(
        LIT("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80 and more text behind it")));
    assert_true(utf8_valid((struct str){"a\0b", 3}));
    for (size_t at = 0; at < 30; at++) { /* one bad byte at each place */
        char text[30];
        memset(text, 'x', sizeof text);
        text[at] = '\x80';
        assert_false(utf8_valid((struct str){text, sizeof text}));
        text[at] = '\xc3';
        assert_false(utf8_valid((struct str){text, sizeof text}));
    }
    assert_false(utf8_valid(LIT("\xed\xa0\x80")));
    assert_false(utf8_valid(LIT("\xf4\x90\x80\x80")));
    assert_false(utf8_valid(LIT("\xc0\xaf")));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_code_point),
                                       cmocka_unit_test(every_front),
                                       cmocka_unit_test(whole_texts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
