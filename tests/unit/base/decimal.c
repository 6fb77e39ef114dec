/* SPDX-License-Identifier: Apache-2.0 */
#include "base/decimal.c"

#include "check.h"

/* glibc's strtod rounds correctly: it is the reference. */
static void same_as_libc(const char *text) {
    struct decimal d;
    const char *after, *end = text + strlen(text);
    if (!decimal_scan(text, end, &d, &after) || after != end)
        fail_msg("'%.60s' does not scan", text);
    double wide = decimal_f64(&d), want = strtod(text, NULL);
    float single = decimal_f32(&d), want_single = strtof(text, NULL);
    if (memcmp(&wide, &want, sizeof wide) != 0)
        fail_msg("'%.60s' as f64: %a, expected %a", text, wide, want);
    if (memcmp(&single, &want_single, sizeof single) != 0)
        fail_msg("'%.60s' as f32: %a, expected %a", text, (double)single, (double)want_single);
    double hard = decimal_f64_hard(&d);
    float hard_single = decimal_f32_hard(&d);
    if (memcmp(&hard, &want, sizeof hard) != 0 ||
        memcmp(&hard_single, &want_single, sizeof single) != 0)
        fail_msg("'%.60s' the hard way: %a %a", text, hard, (double)hard_single);
}

static void chosen_numbers(void **state) {
    (void)state;
    static const char *const texts[] = {
        "0",
        "-0",
        "0.0",
        "0e99",
        "-0e-99",
        "1",
        "-1",
        "0.1",
        "123456789",
        "1e22",
        "1e23",
        "-1e-22",
        "8.5e-23",
        /* halfway between two doubles, and a hair off */
        "9007199254740993",
        "9007199254740993.0",
        "9007199254740992.9999999999999999999999",
        "9007199254740993.00000000000000001",
        "1.00000000000000011102230246251565404236316680908203125",
        "1.00000000000000011102230246251565404236316680908203124",
        "1.00000000000000011102230246251565404236316680908203126",
        "1.00000000000000033306690738754696212708950042724609375",
        /* halfway between two floats, and a hair off */
        "16777217",
        "16777217.0000000000000001",
        "16777216.9999999999999999",
        "1.000000059604644775390625",
        "1.000000059604644775390624",
        "1.000000059604644775390626",
        "1.00000017881393432617187500",
        "0.000000059604644775390625",
        /* the ends of f64 */
        "1.7976931348623157e308",
        "1.7976931348623158e308",
        "1.7976931348623159e308",
        "1.797693134862315807e308",
        "1e309",
        "1e99999999999",
        "-1e400",
        "2.2250738585072014e-308",
        "2.2250738585072011e-308",
        "2.2250738585072012e-308",
        "4.9406564584124654e-324",
        "2.4703282292062327e-324",
        "2.4703282292062328e-324",
        "2.47032822920623272088284396434110686182e-324",
        "1e-324",
        "1e-400",
        "1e-99999999999",
        /* the ends of f32 */
        "3.4028235e38",
        "3.40282346638528859811704183484516925440e38",
        "3.4028235677973366e38",
        "3.4028235677973365e38",
        "3.4028236e38",
        "1.1754943508222875e-38",
        "1.17549431e-38",
        "1.1754942e-38",
        "1.4e-45",
        "7.006492321624085e-46",
        "7.0064923216240853e-46",
        "7.0064923216240854e-46",
        "7.1e-46",
        "1e-46",
        "-1e-50",
        /* long */
        "0.00000000000000000000000000000000000000000000001",
        "100000000000000000000000000000000000000000000000",
        "1234567890123456789012345678901234567890",
        "0.1234567890123456789012345678901234567890e-10",
        "123456789012345678.90e5",
        "18446744073709551615",
        "18446744073709551616",
        "9999999999999999999",
        "99999999999999999999",
        "0.000000000000000000000000000000123456789012345678912345",
        "1e-0",
        "1E+5",
        "1e05",
        "6.02214076e23",
        "8.41e21",
        "5e-20",
        "67108863.99999999",
        "2.0e-3",
        "45035996273704985",
        "7205759403792793200001e-5",
        "3.5028234666e-100",
    };
    for (size_t at = 0; at < sizeof texts / sizeof *texts; at++)
        same_as_libc(texts[at]);
}

/* Exact midpoints of neighbouring doubles have up to 767 digits; a difference in the last of them,
 * or behind the 800th digit, decides. */
static void midpoints_in_full(void **state) {
    (void)state;
    static const double values[] = {4.9406564584124654e-324,
                                    2.2250738585072009e-308,
                                    2.2250738585072014e-308,
                                    1.5,
                                    0.1,
                                    1e-100,
                                    1e22,
                                    9007199254740991.0};
    static char text[3000], longer[5000];
    for (size_t at = 0; at < sizeof values / sizeof *values; at++) {
        /* the midpoint of v and its neighbour, printed in 64-bit extended precision, which holds it
         */
        long double middle =
            ((long double)values[at] + (long double)nextafter(values[at], INFINITY)) / 2;
        snprintf(text, sizeof text, "%.1200Lf", middle);
        same_as_libc(text);
        for (int extra = 0; extra < 3; extra++) {
            snprintf(longer, sizeof longer, "%s%0*d", text, 900, extra);
            same_as_libc(longer);
        }
        text[strlen(text) - 1] = '1';
        same_as_libc(text);
    }
}

static void random_numbers(void **state) {
    (void)state;
    uint64_t seed = 7;
    char text[64];
    for (int round = 0; round < 60000; round++) {
        uint64_t bits = check_random(&seed);
        double v;
        memcpy(&v, &bits, sizeof v);
        float single;
        uint32_t narrow = (uint32_t)(bits >> 7);
        memcpy(&single, &narrow, sizeof single);
        if (isfinite(v)) {
            snprintf(text, sizeof text, "%.*e", (int)(bits % 21), v);
            same_as_libc(text);
        }
        if (isfinite(single)) {
            snprintf(text, sizeof text, "%.*g", 1 + (int)(bits % 20), (double)single);
            same_as_libc(text);
        }
        snprintf(text, sizeof text, "%llu.%llue%d", (unsigned long long)(bits >> (bits & 63)),
                 (unsigned long long)check_random(&seed), (int)(bits % 60) - 30);
        same_as_libc(text);
        snprintf(text, sizeof text, "%.*f", (int)(bits % 12), (double)(int64_t)bits / 1e15);
        same_as_libc(text);
    }
}

/* Numbers exactly between two floats, as sums of powers of two with 25 bits. */
static void float_midpoints(void **state) {
    (void)state;
    uint64_t seed = 11;
    char text[64];
    for (int round = 0; round < 20000; round++) {
        uint64_t odd = (check_random(&seed) & 0xffffff) | 0x1000001; /* 25 bits, the last set */
        int power = (int)(check_random(&seed) % 60) - 40;
        snprintf(text, sizeof text, "%.25g", ldexp((double)odd, power));
        same_as_libc(text);
    }
}

static void the_grammar_is_json(void **state) {
    (void)state;
    static const struct {
        const char *text;
        size_t at; /* of the wrong byte */
    } bad[] = {{"", 0},     {"-", 1},  {"+1", 0},  {".5", 0},   {"-.5", 1}, {"1.", 2},
               {"1.e5", 2}, {"1e", 2}, {"1e+", 3}, {"1e-x", 3}, {"01", 1},  {"-00", 2},
               {"0x1", 1},  {"x", 0},  {"--1", 1}, {"1.-5", 2}};
    struct decimal d;
    const char *after;
    for (size_t at = 0; at < sizeof bad / sizeof *bad; at++) {
        const char *text = bad[at].text;
        bool ok = decimal_scan(text, text + strlen(text), &d, &after);
        assert_true(!ok || *after); /* "0x1" is the number 0, then junk for the caller */
        assert_int_equal(after - text, bad[at].at);
    }
}

static void whole_numbers(void **state) {
    (void)state;
    static const struct {
        const char *text;
        enum decimal_whole want;
        uint64_t value;
    } cases[] = {{"0", DECIMAL_WHOLE, 0},
                 {"3.0", DECIMAL_WHOLE, 3},
                 {"3e2", DECIMAL_WHOLE, 300},
                 {"3.5", DECIMAL_FRACTION, 0},
                 {"3.5e1", DECIMAL_WHOLE, 35},
                 {"-350e-1", DECIMAL_WHOLE, 35},
                 {"355e-1", DECIMAL_FRACTION, 0},
                 {"18446744073709551615", DECIMAL_WHOLE, UINT64_MAX},
                 {"18446744073709551616", DECIMAL_TOO_LARGE, 0},
                 {"1844674407370955161.5e1", DECIMAL_WHOLE, UINT64_MAX},
                 {"1e19", DECIMAL_WHOLE, 10000000000000000000u},
                 {"1e20", DECIMAL_TOO_LARGE, 0},
                 {"1e999999999999", DECIMAL_TOO_LARGE, 0},
                 {"0e999999999999", DECIMAL_WHOLE, 0},
                 {"0.000e5", DECIMAL_WHOLE, 0},
                 {"1e-999999999999", DECIMAL_FRACTION, 0},
                 {"0.00001e5", DECIMAL_WHOLE, 1},
                 {"1.00000000000000000000000000000000000000000", DECIMAL_WHOLE, 1},
                 {"1.00000000000000000000000000000000000000001", DECIMAL_FRACTION, 0},
                 {"100000000000000000000000000000e-29", DECIMAL_WHOLE, 1}};
    for (size_t at = 0; at < sizeof cases / sizeof *cases; at++) {
        struct decimal d;
        const char *after, *text = cases[at].text;
        uint64_t value = 0;
        assert_true(decimal_scan(text, text + strlen(text), &d, &after));
        if (decimal_u64(&d, &value) != cases[at].want || value != cases[at].value)
            fail_msg("%s: %llu", text, (unsigned long long)value);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chosen_numbers),      cmocka_unit_test(midpoints_in_full),
        cmocka_unit_test(random_numbers),      cmocka_unit_test(float_midpoints),
        cmocka_unit_test(the_grammar_is_json), cmocka_unit_test(whole_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
