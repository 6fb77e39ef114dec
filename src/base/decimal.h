/* SPDX-License-Identifier: Apache-2.0 */
/* Decimal text of JSON numbers to binary, correctly rounded.
 *
 * Scanning is inline because tensors of millions of numbers go through it; what the fast path
 * cannot decide falls to decimal.c (Eisel-Lemire, then exact arithmetic). */
#pragma once

#include "base/power10.h"

#include <float.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct decimal {
    uint64_t digits;  /* the first 19 significant ones */
    int64_t exponent; /* value = ±digits * 10^exponent, exactly unless cut */
    int64_t power;    /* the written exponent, clamped to ±2^28 */
    const char *from; /* first digit; borrowed */
    const char *to;   /* behind the last digit of the mantissa */
    bool minus;
    bool cut; /* more than 19 significant digits */
};

/* One number of the JSON grammar (RFC 8259 §6) from p on; *after is where it ends. False: *after is
 * the byte that is wrong: a digit is missing there, or it is a digit after a leading zero. */
static inline bool decimal_scan(const char *p, const char *end, struct decimal *d,
                                const char **after);

/* Nearest float or double, ties to even; overflow gives an infinity, underflow a (signed) zero. */
static inline float decimal_f32(const struct decimal *d);
static inline double decimal_f64(const struct decimal *d);

/* Its magnitude when it is a whole number below 2^64. */
enum decimal_whole { DECIMAL_WHOLE, DECIMAL_FRACTION, DECIMAL_TOO_LARGE };
enum decimal_whole decimal_u64(const struct decimal *d, uint64_t *magnitude);

/* --- the rest is how --- */

float decimal_f32_hard(const struct decimal *d);
double decimal_f64_hard(const struct decimal *d);
void decimal_cut(struct decimal *d);

static inline bool decimal_digit(const char *p, const char *end) {
    return p < end && (unsigned char)(*p - '0') < 10;
}

/* Eight characters less '0' each (so digits are bytes 0 to 9): how many digits stand in front. */
static inline unsigned decimal_count(uint64_t v) {
    uint64_t others = ((v + 0x7676767676767676u) | v) & 0x8080808080808080u;
    return (unsigned)__builtin_ctzll(others | (uint64_t)1 << 63) / 8 + (others == 0);
}

/* The value of the first n of them, all at once (Lemire, "Number parsing at a gigabyte per second",
 * §3). */
static inline uint64_t decimal_value(uint64_t v, unsigned n) {
    v = v << 4 * (8 - n) << 4 * (8 - n); /* in two steps: 64 is no shift */
    v = v * 10 + (v >> 8);
    return ((v & 0x000000ff000000ffu) * 0x000f424000000064u +
            (v >> 16 & 0x000000ff000000ffu) * 0x0000271000000001u) >>
           32;
}

static inline uint64_t decimal_load(const char *p) {
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v ^ 0x3030303030303030u;
}

/* Appends the digits at p to *w; returns where they end. No branch depends on how many there are,
 * up to 15: lengths of numbers are what a processor cannot predict. */
static inline const char *decimal_digits(const char *p, const char *end, uint64_t *w) {
    if (end - p >= 16) {
        uint64_t a = decimal_load(p), b = decimal_load(p + 8);
        unsigned n_a = decimal_count(a), n_b = decimal_count(b);
        n_b &= 0 - n_a / 8; /* only behind eight of a */
        *w = (*w * power10_u64[n_a] + decimal_value(a, n_a)) * power10_u64[n_b] +
             decimal_value(b, n_b);
        p += n_a + n_b;
        if (n_a + n_b < 16)
            return p;
    }
    for (; decimal_digit(p, end); p++)
        *w = *w * 10 + (uint64_t)(*p - '0');
    return p;
}

/* [eE][+-]?digits at p, where an e stands. */
static inline bool decimal_scan_power(const char *p, const char *end, int64_t *power,
                                      const char **after) {
    bool minus = ++p < end && *p == '-';
    if (p < end && (*p == '-' || *p == '+'))
        p++;
    *after = p;
    if (!decimal_digit(p, end))
        return false;
    int64_t v = 0;
    for (; decimal_digit(p, end); p++)
        if (v < 1 << 28)
            v = v * 10 + (*p - '0');
    *power = minus ? -v : v;
    *after = p;
    return true;
}

static inline bool decimal_scan(const char *p, const char *end, struct decimal *d,
                                const char **after) {
    uint64_t w;
    int64_t exponent = 0, power = 0;
    d->minus = p < end && *p == '-';
    p += d->minus;
    const char *from = p;
    *after = p;
    if (!decimal_digit(p, end))
        return false;
    w = (uint64_t)(*p++ - '0');
    if (decimal_digit(p, end)) {
        *after = p;
        if (w == 0)
            return false;
        for (; decimal_digit(p, end); p++)
            w = w * 10 + (uint64_t)(*p - '0');
    }
    int64_t n = p - from;
    if (p < end && *p == '.') {
        const char *fraction = ++p;
        *after = p;
        if (!decimal_digit(p, end))
            return false;
        if (decimal_digit(p + 1, end))
            p = decimal_digits(p, end, &w);
        else /* 255.0 */
            w = w * 10 + (uint64_t)(*p++ - '0');
        exponent = fraction - p;
        n -= exponent;
    }
    d->from = from;
    d->to = p;
    if (p < end && (*p | 0x20) == 'e') {
        if (!decimal_scan_power(p, end, &power, &p)) {
            *after = p;
            return false;
        }
    }
    d->digits = w;
    d->exponent = exponent + power;
    d->power = power;
    d->cut = false;
    if (__builtin_expect(n > 19, 0))
        decimal_cut(d);
    *after = p;
    return true;
}

/* Powers of ten that a double holds exactly. */
static const double decimal_exact[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                       1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                       1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

static inline double decimal_sign(double v, bool minus) { /* no branch: signs are random */
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    bits |= (uint64_t)minus << 63;
    memcpy(&v, &bits, sizeof v);
    return v;
}

/* Clinger's fast path: both operands exact, so the one operation rounds correctly. */
static inline bool decimal_easy(const struct decimal *d, double *out) {
    if (d->cut || d->digits > (uint64_t)1 << 53 || d->exponent < -22 || d->exponent > 22)
        return false;
    double v = (double)d->digits;
    v = d->exponent < 0 ? v / decimal_exact[-d->exponent] : v * decimal_exact[d->exponent];
    *out = decimal_sign(v, d->minus);
    return true;
}

static inline double decimal_f64(const struct decimal *d) {
    double v;
    return decimal_easy(d, &v) ? v : decimal_f64_hard(d);
}

/* Rounding twice (to double, then to float) is wrong only where the double lies exactly between two
 * floats: its 29 low bits are then 1 followed by zeros. Those, subnormal floats and overflows go
 * the hard way. */
static inline float decimal_f32(const struct decimal *d) {
    double v;
    if (!decimal_easy(d, &v))
        return decimal_f32_hard(d);
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    double size = __builtin_fabs(v);
    if ((bits & 0x1fffffff) == 0x10000000 || size > (double)FLT_MAX ||
        (size < (double)FLT_MIN && d->digits != 0))
        return decimal_f32_hard(d);
    return (float)v;
}
