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

static int count_digits(uint64_t v) {
    v |= 1;                                             /* 0 has one digit */
    int guess = (64 - __builtin_clzll(v)) * 1233 >> 12; /* bits * log10(2) */
    return guess + (v >= power10_u64[guess]);
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

/* The best integer of the interval lower..upper around v (all times 4): a multiple of ten if there
 * is one, else the only one, else the nearer one, ties to even. Computed without branches: digits
 * are what a processor cannot predict. */
static inline struct digits choose(uint64_t lower, uint64_t v, uint64_t upper, int k) {
    uint64_t s = v / 4, t = s / 10, middle = 4 * s + 2;
    uint64_t t_below = lower <= 40 * t, t_above = 40 * t + 40 <= upper;
    uint64_t s_below = lower <= 4 * s, s_above = 4 * s + 4 <= upper;
    uint64_t nearer = (v > middle) | ((v == middle) & s);
    uint64_t one_s = s_below ^ s_above, one_t = (t_below ^ t_above) & (s >= 10);
    uint64_t at_s = s + ((s_above & one_s) | (nearer & ~one_s & 1));
    uint64_t take_t = 0 - one_t;
    return (struct digits){((t + t_above) & take_t) | (at_s & ~take_t), k + (int)one_t};
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

enum { F32_DIGITS = 9, F64_DIGITS = 17 };

/* A number's digits as characters, zeros behind: 17 of them, kept in registers. Through an array in
 * memory they would be read back in other pieces than they were written in, which stalls. */
struct spread {
    char first;
    uint64_t high, low; /* characters 1 to 8 and 9 to 16, first one lowest */
    int n;              /* how many are significant */
};

static const uint64_t zeros = 0x3030303030303030u;

/* The eight digits of v < 10^8 as bytes 0 to 9, first digit lowest: halves, quarters, eighths at
 * once. */
static inline uint64_t eight_digits(uint32_t v) {
    uint64_t x = v / 10000 | (uint64_t)(v % 10000) << 32;
    uint64_t hundreds = (x * 10486 >> 20) & 0x0000007f0000007fu;
    x = hundreds | (x - 100 * hundreds) << 16;
    uint64_t tenths = (x * 103 >> 10) & 0x000f000f000f000fu;
    return tenths | (x - 10 * tenths) << 8;
}

static inline int count_significant(uint64_t eight) { /* without the zeros behind */
    return eight ? 8 - __builtin_clzll(eight) / 8 : 0;
}

/* v of n digits, at most 9 (wide: 17); padded to that many on the right, so that all is of fixed
 * length. */
static inline struct spread spread(uint64_t v, int n, bool wide) {
    v *= power10_u64[(wide ? F64_DIGITS : F32_DIGITS) - n];
    uint64_t low = wide ? eight_digits((uint32_t)(v % 100000000)) : 0;
    uint64_t top = wide ? v / 100000000 : v;
    uint64_t high = eight_digits((uint32_t)(top % 100000000));
    return (struct spread){(char)('0' + top / 100000000), high | zeros, low | zeros,
                           low ? 9 + count_significant(low) : 1 + count_significant(high)};
}

static inline void put_eight(uint64_t eight, char *out) { memcpy(out, &eight, 8); }

static inline void put_all(const struct spread *s, char *out) {
    out[0] = s->first;
    put_eight(s->high, out + 1);
    put_eight(s->low, out + 9);
}

/* d.ddde±x */
static char *put_scientific(const struct spread *s, int power, char *out) {
    put_all(s, out + 1);
    out[0] = s->first;
    out[1] = '.';
    out += s->n > 1 ? s->n + 1 : 1;
    *out++ = 'e';
    return shortest_i64(power, out);
}

/* dd.ddd or dd000.0: all digits, then again what stands behind the point, one place on. */
static inline char *put_plain(const struct spread *s, int point, char *out) {
    put_all(s, out);
    out[point] = '.';
    if (point <= 8) {
        put_eight(s->high >> 8 * (point - 1), out + point + 1);
        put_eight(s->low, out + 10);
    } else
        put_eight(s->low >> 8 * (point - 9), out + point + 1);
    return out + (s->n > point ? s->n : point + 1) + 1;
}

static inline char *put_float(struct digits d, bool wide, char *out) {
    int length = count_digits(d.digits), point = length + d.exponent; /* value = 0.ddd * 10^point */
    struct spread s = spread(d.digits, length, wide);
    if (point > 0 && point <= 16)
        return put_plain(&s, point, out);
    if (point > 0 || point <= -4)
        return put_scientific(&s, point - 1, out);
    memcpy(out, "0.000", 5);
    put_all(&s, out + 2 - point);
    return out + 2 - point + s.n;
}

static char *put_word(char *out, const char *word) {
    size_t n = strlen(word);
    memcpy(out, word, n);
    return out + n;
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
        return put_float((struct digits){c >> -q, 0}, false, out);
    return put_float(shorten32(c, q, fraction == 0 && exponent > 1), false, out);
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
        return put_float((struct digits){c >> -q, 0}, true, out);
    return put_float(shorten64(c, q, fraction == 0 && exponent > 1), true, out);
}
