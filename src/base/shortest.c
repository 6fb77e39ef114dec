/* SPDX-License-Identifier: Apache-2.0 */
/* Shortest float text: see shortest.h.
 *
 * Schubfach (R. Giulietti, "The Schubfach way to render doubles", 2020). With v = c * 2^q, the
 * interval of numbers that read back as v is scaled by a power of ten so that it holds one or two
 * integers of full length, or one multiple of ten. The scaled values are kept times four with a
 * sticky low bit ("round to odd"), so every comparison is exact. */
#include "base/shortest.h"

#include "base/power10.h"

#include <stdbool.h>
#include <string.h>

struct digits { /* value = digits * 10^exponent */
    uint64_t digits;
    int exponent;
};

/* --- integers --- */

static const char pairs[201] =
    "0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546"
    "4748495051525354555657585960616263646566676869707172737475767778798081828384858687888990919293"
    "949596979899";

static const uint64_t tens[20] = {0,
                                  10,
                                  100,
                                  1000,
                                  10000,
                                  100000,
                                  1000000,
                                  10000000,
                                  100000000,
                                  1000000000,
                                  10000000000,
                                  100000000000,
                                  1000000000000,
                                  10000000000000,
                                  100000000000000,
                                  1000000000000000,
                                  10000000000000000,
                                  100000000000000000,
                                  1000000000000000000,
                                  10000000000000000000u};

static int count_digits(uint64_t v) {
    int guess = (64 - __builtin_clzll(v | 1)) * 1233 >> 12; /* bits * log10(2) */
    return guess + (v >= tens[guess]);
}

/* Exactly n digits of v, leading zeros included. */
static void put_digits(uint64_t v, int n, char *out) {
    for (; n >= 2; n -= 2, v /= 100)
        memcpy(out + n - 2, pairs + 2 * (v % 100), 2);
    if (n)
        out[0] = (char)('0' + v % 10);
}

char *shortest_u64(uint64_t v, char *out) {
    int n = count_digits(v);
    put_digits(v, n, out);
    return out + n;
}

char *shortest_i64(int64_t v, char *out) {
    *out = '-';
    return v < 0 ? shortest_u64(0 - (uint64_t)v, out + 1) : shortest_u64((uint64_t)v, out);
}

/* --- Schubfach --- */

static int floor_log2_of_power10(int k) { return k * 1741647 >> 19; }

/* floor(log10(2^q)), or of 3/4 * 2^q where the interval below v is half as wide. */
static int floor_log10_of_power2(int q, bool narrow) {
    return (q * 1262611 - (narrow ? 524031 : 0)) >> 22;
}

static uint64_t round_to_odd64(struct power10 g, uint64_t c) {
    uint64_t x = (uint64_t)((unsigned __int128)g.low * c >> 64);
    unsigned __int128 y = (unsigned __int128)g.high * c + x;
    return (uint64_t)(y >> 64) | ((uint64_t)y > 1);
}

static uint32_t round_to_odd32(uint64_t g, uint32_t c) {
    unsigned __int128 p = (unsigned __int128)g * c;
    return (uint32_t)(p >> 64) | ((uint32_t)(p >> 32) > 1);
}

/* The best integer of the interval lower..upper around v (all times 4): one digit shorter if there
 * is one. */
static struct digits choose(uint64_t lower, uint64_t v, uint64_t upper, int k) {
    uint64_t s = v / 4;
    if (s >= 10) {
        uint64_t t = s / 10;
        bool down = lower <= 40 * t, up = 40 * t + 40 <= upper;
        if (down != up)
            return (struct digits){t + up, k + 1};
    }
    bool down = lower <= 4 * s, up = 4 * s + 4 <= upper;
    if (down != up)
        return (struct digits){s + up, k};
    uint64_t middle = 4 * s + 2;
    return (struct digits){s + (v > middle || (v == middle && (s & 1))), k};
}

/* c * 2^q; narrow: v is a power of two, so its lower neighbour is half as far. */
static struct digits shorten64(uint64_t c, int q, bool narrow) {
    uint64_t odd = c & 1;
    int k = floor_log10_of_power2(q, narrow), h = q + floor_log2_of_power10(-k) + 1;
    struct power10 g = power10_of(-k);
    uint64_t lower = round_to_odd64(g, (4 * c - 2 + narrow) << h);
    uint64_t v = round_to_odd64(g, (4 * c) << h);
    uint64_t upper = round_to_odd64(g, (4 * c + 2) << h);
    return choose(lower + odd, v, upper - odd, k);
}

static struct digits shorten32(uint32_t c, int q, bool narrow) {
    uint32_t odd = c & 1;
    int k = floor_log10_of_power2(q, narrow), h = q + floor_log2_of_power10(-k) + 1;
    struct power10 wide = power10_of(-k);
    uint64_t g = wide.high + (wide.low != 0); /* rounded up to 64 bits; never wraps in this range */
    uint32_t lower = round_to_odd32(g, (4 * c - 2 + narrow) << h);
    uint32_t v = round_to_odd32(g, (4 * c) << h);
    uint32_t upper = round_to_odd32(g, (4 * c + 2) << h);
    return choose(lower + odd, v, upper - odd, k);
}

/* --- layout --- */

static char *put_word(char *out, const char *word) {
    size_t n = strlen(word);
    memcpy(out, word, n);
    return out + n;
}

static void trim(struct digits *d) {
    while (d->digits % 10 == 0) {
        d->digits /= 10;
        d->exponent++;
    }
}

/* n digits as d.ddde±x */
static char *put_scientific(uint64_t v, int n, int power, char *out) {
    put_digits(v, n, out + 1);
    out[0] = out[1];
    out[1] = '.';
    out += n > 1 ? n + 1 : 1;
    *out++ = 'e';
    return shortest_i64(power, out);
}

static char *put_plain(uint64_t v, int n, int point, char *out) {
    if (point <= 0) { /* 0.000ddd */
        memcpy(out, "0.000000", 8);
        put_digits(v, n, out + 2 - point);
        return out + 2 - point + n;
    }
    if (point >= n) { /* ddd000.0 */
        put_digits(v, n, out);
        memset(out + n, '0', (size_t)(point - n));
        memcpy(out + point, ".0", 2);
        return out + point + 2;
    }
    put_digits(v, n, out + 1); /* dd.ddd */
    memmove(out, out + 1, (size_t)point);
    out[point] = '.';
    return out + n + 1;
}

static char *put_float(struct digits d, char *out) {
    trim(&d);
    int n = count_digits(d.digits), point = n + d.exponent; /* value = 0.ddd * 10^point */
    if (point > -4 && point <= 16)
        return put_plain(d.digits, n, point, out);
    return put_scientific(d.digits, n, point - 1, out);
}

char *shortest_f32(float v, char *out) {
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    uint32_t fraction = bits & 0x7fffff;
    int exponent = (int)(bits >> 23 & 0xff);
    if (exponent == 0xff && fraction)
        return put_word(out, "NaN");
    *out = '-';
    out += bits >> 31;
    if (exponent == 0xff)
        return put_word(out, "Infinity");
    if (exponent == 0 && fraction == 0)
        return put_word(out, "0.0");
    uint32_t c = exponent ? fraction | 0x800000 : fraction;
    int q = (exponent ? exponent : 1) - 150;
    if (q <= 0 && q > -24 && (c & (((uint32_t)1 << -q) - 1)) == 0)
        return put_float((struct digits){c >> -q, 0}, out);
    return put_float(shorten32(c, q, fraction == 0 && exponent > 1), out);
}

char *shortest_f64(double v, char *out) {
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    uint64_t fraction = bits & 0xfffffffffffff;
    int exponent = (int)(bits >> 52 & 0x7ff);
    if (exponent == 0x7ff && fraction)
        return put_word(out, "NaN");
    *out = '-';
    out += bits >> 63;
    if (exponent == 0x7ff)
        return put_word(out, "Infinity");
    if (exponent == 0 && fraction == 0)
        return put_word(out, "0.0");
    uint64_t c = exponent ? fraction | 0x10000000000000 : fraction;
    int q = (exponent ? exponent : 1) - 1075;
    if (q <= 0 && q > -53 && (c & (((uint64_t)1 << -q) - 1)) == 0)
        return put_float((struct digits){c >> -q, 0}, out);
    return put_float(shorten64(c, q, fraction == 0 && exponent > 1), out);
}
