/* SPDX-License-Identifier: Apache-2.0 */
/* Decimal text to binary, the hard cases: see decimal.h.
 *
 * 1. Eisel-Lemire (D. Lemire, "Number parsing at a gigabyte per second", 2021, §5-8): digits times
 * a 128-bit power of five decides all but a handful of numbers.
 * 2. A number of more than 19 digits lies between digits and digits + 1: when both round to the
 * same float, that is it.
 * 3. What is left goes to strtod in the C locale, with at most EXACT_DIGITS digits: no midpoint of
 * two doubles has more than 767 significant ones, so a 1 in place of all that follow decides the
 * same way. */
#include "base/decimal.h"

#include "base/power10.h"

#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { EXACT_DIGITS = 800 };

struct kind { /* of binary float */
    int mantissa_bits;
    int bias;
    int infinite;            /* exponent field of an infinity */
    int least, most;         /* powers of ten outside give 0 or infinity for every 64-bit digits */
    int tie_least, tie_most; /* powers of ten at which a product can lie exactly between two */
};

static const struct kind f64_kind = {52, 1023, 0x7ff, -342, 308, -4, 23};
static const struct kind f32_kind = {23, 127, 0xff, -65, 38, -17, 10};

/* --- digits --- */

/* d->digits from the first 19 significant digits of the text, when there are more than 19
 * characters. */
void decimal_cut(struct decimal *d) {
    const char *p = d->from;
    int64_t point = 0, used = 0, seen = 0;
    bool after_point = false;
    uint64_t w = 0;
    for (; p < d->to; p++) {
        if (*p == '.') {
            after_point = true;
            continue;
        }
        point += !after_point;
        seen++;
        if (used == 19) {
            d->cut = true;
            continue;
        }
        w = w * 10 + (uint64_t)(*p - '0');
        used += w != 0;
        d->exponent = -seen;
    }
    d->digits = w;
    d->exponent += point + d->power;
}

enum decimal_whole decimal_u64(const struct decimal *d, uint64_t *magnitude) {
    int64_t whole = 0, at = 0; /* digits before the point once the exponent is applied */
    for (const char *p = d->from; p < d->to && *p != '.'; p++)
        whole++;
    whole += d->power;
    uint64_t v = 0;
    for (const char *p = d->from; p < d->to; p++) {
        if (*p == '.')
            continue;
        uint64_t digit = (uint64_t)(*p - '0');
        if (at++ >= whole) {
            if (digit)
                return DECIMAL_FRACTION;
        } else if (__builtin_mul_overflow(v, (uint64_t)10, &v) ||
                   __builtin_add_overflow(v, digit, &v))
            return DECIMAL_TOO_LARGE;
    }
    for (; v && at < whole; at++)
        if (__builtin_mul_overflow(v, (uint64_t)10, &v))
            return DECIMAL_TOO_LARGE;
    *magnitude = v;
    return DECIMAL_WHOLE;
}

/* --- Eisel-Lemire --- */

/* w * 5^q, the upper 128 bits of 192; exact enough for `bits` leading bits, or the second product
 * is added. */
static unsigned __int128 scale(uint64_t w, int q, int bits) {
    struct power10 t = power10_of(q);
    if (q < -27 || q > 55) /* the table is rounded up, the proof wants it down there */
        t.high -= t.low-- == 0;
    unsigned __int128 first = (unsigned __int128)w * t.high;
    uint64_t mask = ~(uint64_t)0 >> bits;
    if (((uint64_t)(first >> 64) & mask) == mask)
        first += (uint64_t)((unsigned __int128)w * t.low >> 64);
    return first;
}

/* The bits of digits * 10^q as a float of this kind, sign not included. False: not decided. */
static bool eisel_lemire(uint64_t w, int64_t q64, const struct kind *k, uint64_t *bits) {
    *bits = 0;
    if (w == 0 || q64 < k->least)
        return true;
    *bits = (uint64_t)k->infinite << k->mantissa_bits;
    if (q64 > k->most)
        return true;
    int q = (int)q64, zeros = __builtin_clzll(w);
    unsigned __int128 product = scale(w << zeros, q, k->mantissa_bits + 3);
    uint64_t high = (uint64_t)(product >> 64), low = (uint64_t)product;
    if (low == UINT64_MAX && (q < -27 || q > 55))
        return false;
    int upper = (int)(high >> 63), shift = upper + 64 - k->mantissa_bits - 3;
    uint64_t m = high >> shift;
    int exponent = (217706 * q >> 16) + 63 + upper - zeros + k->bias;
    if (exponent <= 0) { /* subnormal or zero; ties cannot happen here */
        m = -exponent + 1 >= 64 ? 0 : m >> (-exponent + 1);
        *bits = (m + (m & 1)) >> 1; /* a carry makes it the least normal number, rightly */
        return true;
    }
    if (low <= 1 && q >= k->tie_least && q <= k->tie_most && (m & 3) == 1 && m << shift == high)
        m &= ~(uint64_t)1; /* exactly between: to even */
    m = (m + (m & 1)) >> 1;
    if (m >> (k->mantissa_bits + 1)) {
        m >>= 1;
        exponent++;
    }
    if (exponent < k->infinite)
        *bits =
            (uint64_t)exponent << k->mantissa_bits | (m & (((uint64_t)1 << k->mantissa_bits) - 1));
    return true;
}

static bool decide(const struct decimal *d, const struct kind *k, uint64_t *bits) {
    uint64_t above;
    return eisel_lemire(d->digits, d->exponent, k, bits) &&
           (!d->cut || (eisel_lemire(d->digits + 1, d->exponent, k, &above) && above == *bits));
}

/* --- exact --- */

static locale_t c_locale;
static pthread_once_t c_locale_once = PTHREAD_ONCE_INIT;
static void open_locale(void) { c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0); }

/* "0.DIGITSeEXPONENT" with the significant digits only; the value is unchanged (3. above). */
static void respell(const struct decimal *d, char text[EXACT_DIGITS + 64]) {
    size_t n = (size_t)snprintf(text, 8, "0."), first = n;
    int64_t point = d->power;
    bool after_point = false, sticky = false;
    for (const char *p = d->from; p < d->to; p++) {
        if (*p == '.') {
            after_point = true;
            continue;
        }
        point += !after_point;
        if (n == first && *p == '0') {
            point--;
            continue;
        }
        if (n - first < EXACT_DIGITS)
            text[n++] = *p;
        else
            sticky |= *p != '0';
    }
    if (sticky)
        text[n++] = '1';
    snprintf(text + n, 32, "0e%lld", (long long)point);
}

double decimal_f64_hard(const struct decimal *d) {
    uint64_t bits;
    double v;
    char text[EXACT_DIGITS + 64];
    if (decide(d, &f64_kind, &bits))
        memcpy(&v, &bits, sizeof v);
    else {
        pthread_once(&c_locale_once, open_locale);
        respell(d, text);
        v = strtod_l(text, NULL, c_locale);
    }
    return d->minus ? -v : v;
}

float decimal_f32_hard(const struct decimal *d) {
    uint64_t bits;
    float v;
    char text[EXACT_DIGITS + 64];
    if (decide(d, &f32_kind, &bits)) {
        uint32_t narrow = (uint32_t)bits;
        memcpy(&v, &narrow, sizeof v);
    } else {
        pthread_once(&c_locale_once, open_locale);
        respell(d, text);
        v = strtof_l(text, NULL, c_locale);
    }
    return d->minus ? -v : v;
}
