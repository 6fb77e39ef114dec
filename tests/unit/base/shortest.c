/* SPDX-License-Identifier: Apache-2.0 */
#include "base/shortest.c"

#include "check.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

static void known_texts(void **state) {
    (void)state;
    static const struct {
        double v;
        const char *wide, *single; /* single NULL: not asked */
    } cases[] = {{0.0, "0.0", "0.0"},
                 {-0.0, "-0.0", "-0.0"},
                 {1.0, "1.0", "1.0"},
                 {-1.5, "-1.5", "-1.5"},
                 {0.1, "0.1", "0.1"},
                 {0.3, "0.3", "0.3"},
                 {100.0, "100.0", "100.0"},
                 {123456789.0, "123456789.0", "123456790.0"},
                 {1e15, "1000000000000000.0", NULL},
                 {9007199254740992.0, "9007199254740992.0", NULL},
                 {1e16, "1e16", "1e16"},
                 {1.5e16, "1.5e16", "1.5e16"},
                 {1e22, "1e22", "1e22"},
                 {1e23, "1e23", "1e23"},
                 {0.0001, "0.0001", "0.0001"},
                 {0.00012345, "0.00012345", "0.00012345"},
                 {0.00001, "1e-5", "1e-5"},
                 {1.25e-7, "1.25e-7", "1.25e-7"},
                 {5e-324, "5e-324", NULL},
                 {DBL_MIN, "2.2250738585072014e-308", NULL},
                 {DBL_MAX, "1.7976931348623157e308", NULL},
                 {(double)FLT_MAX, NULL, "3.4028235e38"},
                 {(double)FLT_MIN, NULL, "1.1754944e-38"},
                 {1.401298464324817e-45, NULL, "1e-45"},
                 {16777216.0, "16777216.0", "16777216.0"},
                 {33554432.0, "33554432.0", "33554432.0"},
                 {9.5367431640625e-07, "9.5367431640625e-7", "9.536743e-7"},
                 {5.684341886080802e-14, "5.684341886080802e-14", NULL},
                 {(double)NAN, "NaN", "NaN"},
                 {(double)INFINITY, "Infinity", "Infinity"},
                 {-(double)INFINITY, "-Infinity", "-Infinity"}};
    char text[SHORTEST_ROOM + 1];
    for (size_t at = 0; at < sizeof cases / sizeof *cases; at++) {
        *shortest_f64(cases[at].v, text) = '\0';
        if (cases[at].wide)
            assert_string_equal(text, cases[at].wide);
        *shortest_f32((float)cases[at].v, text) = '\0';
        if (cases[at].single)
            assert_string_equal(text, cases[at].single);
    }
}

/* The significant digits of a number's text, no leading or trailing zeros. */
static void significant(const char *text, char out[64]) {
    size_t n = 0;
    for (; *text && *text != 'e'; text++)
        if (*text >= '0' && *text <= '9' && (n || *text != '0'))
            out[n++] = *text;
    while (n && out[n - 1] == '0')
        n--;
    out[n] = '\0';
}

/* It reads back; no precision of printf below its length does; and the one of its length, where it
 * reads back, has the same digits (it is the nearest). */
static void check_f64(double v) {
    char text[SHORTEST_ROOM + 1], other[64], digits[64], wanted[64];
    *shortest_f64(v, text) = '\0';
    double back = strtod(text, NULL);
    if (memcmp(&back, &v, sizeof v) != 0)
        fail_msg("%a is written %s", v, text);
    significant(text, digits);
    int n = (int)strlen(digits);
    for (int precision = n - 1; precision <= n; precision++) {
        if (precision < 1)
            continue;
        snprintf(other, sizeof other, "%.*e", precision - 1, v);
        if (strtod(other, NULL) != v)
            continue;
        significant(other, wanted);
        if (precision < n || strcmp(digits, wanted) != 0)
            fail_msg("%a is written %s, but %s reads the same", v, text, other);
    }
}

static void check_f32(float v) {
    char text[SHORTEST_ROOM + 1], other[64], digits[64], wanted[64];
    *shortest_f32(v, text) = '\0';
    float back = strtof(text, NULL);
    if (memcmp(&back, &v, sizeof v) != 0)
        fail_msg("%a is written %s", (double)v, text);
    significant(text, digits);
    int n = (int)strlen(digits);
    for (int precision = n - 1; precision <= n; precision++) {
        if (precision < 1)
            continue;
        snprintf(other, sizeof other, "%.*e", precision - 1, (double)v);
        if (strtof(other, NULL) != v)
            continue;
        significant(other, wanted);
        if (precision < n || strcmp(digits, wanted) != 0)
            fail_msg("%a is written %s, but %s reads the same", (double)v, text, other);
    }
}

static void every_power_of_two_and_its_neighbours(void **state) {
    (void)state;
    for (int power = -1074; power <= 1023; power++) {
        double v = ldexp(1, power);
        check_f64(v);
        check_f64(nextafter(v, 0) == 0 ? v : nextafter(v, 0));
        check_f64(nextafter(v, DBL_MAX));
    }
    for (int power = -149; power <= 127; power++) {
        float v = ldexpf(1, power);
        check_f32(v);
        check_f32(nextafterf(v, 0) == 0 ? v : nextafterf(v, 0));
        check_f32(nextafterf(v, FLT_MAX));
    }
    check_f64(DBL_MAX);
    check_f32(FLT_MAX);
}

static void random_bits(void **state) {
    (void)state;
    uint64_t seed = 3;
    for (int round = 0; round < 60000; round++) {
        uint64_t bits = check_random(&seed);
        uint32_t narrow = (uint32_t)bits;
        double wide;
        float single;
        memcpy(&wide, &bits, sizeof wide);
        memcpy(&single, &narrow, sizeof single);
        if (isfinite(wide))
            check_f64(wide);
        if (isfinite(single))
            check_f32(single);
        check_f32((float)(bits >> 40) / 16777216.0f);
        check_f64((double)(bits >> 11) / 9007199254740992.0);
        check_f64((double)((int64_t)bits >> (bits & 63)));
        check_f64((double)(int32_t)bits / 1000);
    }
}

static void integers(void **state) {
    (void)state;
    char text[SHORTEST_ROOM + 1], want[32];
    uint64_t edge = 1;
    for (int digits = 0; digits < 20; digits++, edge *= 10)
        for (int off = -1; off <= 1; off++) {
            uint64_t v = edge + (uint64_t)off;
            *shortest_u64(v, text) = '\0';
            snprintf(want, sizeof want, "%llu", (unsigned long long)v);
            assert_string_equal(text, want);
            *shortest_i64((int64_t)v, text) = '\0';
            snprintf(want, sizeof want, "%lld", (long long)v);
            assert_string_equal(text, want);
        }
    const int64_t ends[] = {INT64_MIN, INT64_MAX, -1, 0};
    for (size_t at = 0; at < 4; at++) {
        *shortest_i64(ends[at], text) = '\0';
        snprintf(want, sizeof want, "%lld", (long long)ends[at]);
        assert_string_equal(text, want);
    }
    *shortest_u64(UINT64_MAX, text) = '\0';
    assert_string_equal(text, "18446744073709551615");
}

/* Nothing is written beyond SHORTEST_ROOM, and no text is longer than 24 bytes. */
static void the_room_is_enough(void **state) {
    (void)state;
    uint64_t seed = 9;
    unsigned char room[SHORTEST_ROOM + 8];
    for (int round = 0; round < 20000; round++) {
        uint64_t bits = check_random(&seed) | (uint64_t)1 << 63;
        double v;
        memcpy(&v, &bits, sizeof v);
        memset(room, 0xee, sizeof room);
        char *end = shortest_f64(round % 2 ? v : -(double)(bits >> 30) / 1e9 * 1e-4, (char *)room);
        assert_true(end - (char *)room <= 24);
        for (size_t at = SHORTEST_ROOM; at < sizeof room; at++)
            assert_int_equal(room[at], 0xee);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_texts),
        cmocka_unit_test(every_power_of_two_and_its_neighbours),
        cmocka_unit_test(random_bits),
        cmocka_unit_test(integers),
        cmocka_unit_test(the_room_is_enough),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
