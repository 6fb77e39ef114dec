/* SPDX-License-Identifier: Apache-2.0 */
/* Borrowed text: see str.h. */
#include "base/str.h"

#include "base/decimal.h"

#include <math.h>

int str_cmp(struct str a, struct str b) {
    size_t n = a.n < b.n ? a.n : b.n;
    int order = n ? memcmp(a.p, b.p, n) : 0;
    return order ? order : a.n < b.n ? -1 : a.n > b.n;
}

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c; }

bool str_eq_nocase(struct str a, struct str b) {
    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++)
        if (lower(a.p[i]) != lower(b.p[i]))
            return false;
    return true;
}

bool str_find(struct str a, char c, size_t *at) {
    const char *hit = a.n ? memchr(a.p, c, a.n) : NULL;
    if (!hit)
        return false;
    *at = (size_t)(hit - a.p);
    return true;
}

bool str_to_u64(struct str a, uint64_t *out) {
    if (a.n == 0)
        return false;
    uint64_t v = 0;
    for (size_t i = 0; i < a.n; i++) {
        if (a.p[i] < '0' || a.p[i] > '9')
            return false;
        if (__builtin_mul_overflow(v, (uint64_t)10, &v) ||
            __builtin_add_overflow(v, (uint64_t)(a.p[i] - '0'), &v))
            return false;
    }
    *out = v;
    return true;
}

bool str_to_i64(struct str a, int64_t *out) {
    bool minus = a.n && a.p[0] == '-';
    uint64_t v;
    if (!str_to_u64(str_sub(a, minus ? 1 : 0, a.n), &v) ||
        v > (uint64_t)INT64_MAX + (minus ? 1 : 0))
        return false;
    *out = minus ? (int64_t)(0 - v) : (int64_t)v;
    return true;
}

bool str_to_f64(struct str a, double *out) {
    struct decimal d;
    const char *after;
    if (a.n == 0 || !decimal_scan(a.p, a.p + a.n, &d, &after) || after != a.p + a.n)
        return false;
    double v = decimal_f64(&d);
    if (isinf(v))
        return false;
    *out = v;
    return true;
}
