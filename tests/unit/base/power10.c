/* SPDX-License-Identifier: Apache-2.0 */
#include "base/power10.c"

#include "check.h"

#include <stdbool.h>

/* Exact arithmetic on WORDS 32-bit words, least first. */
enum { WORDS = 80 };

struct big {
    uint32_t w[WORDS];
};

static void multiply(struct big *b, uint32_t by) {
    uint64_t carry = 0;
    for (int at = 0; at < WORDS; at++) {
        carry += (uint64_t)b->w[at] * by;
        b->w[at] = (uint32_t)carry;
        carry >>= 32;
    }
    assert_int_equal(carry, 0);
}

static bool divide(struct big *b, uint32_t by) { /* true: there was a rest */
    uint64_t rest = 0;
    for (int at = WORDS - 1; at >= 0; at--) {
        rest = rest << 32 | b->w[at];
        b->w[at] = (uint32_t)(rest / by);
        rest %= by;
    }
    return rest != 0;
}

static bool bit(const struct big *b, int at) { return at >= 0 && (b->w[at / 32] >> (at % 32) & 1); }

/* The 128 leading bits, rounded up when anything is below them. */
static struct power10 leading(const struct big *b, bool rest) {
    int top = WORDS * 32 - 1;
    while (!bit(b, top))
        top--;
    unsigned __int128 v = 0;
    for (int at = 0; at < 128; at++)
        v = v << 1 | bit(b, top - at);
    for (int at = top - 128; at >= 0; at--)
        rest |= bit(b, at);
    v += rest;
    return (struct power10){(uint64_t)(v >> 64), (uint64_t)v};
}

static void check_power(int k, struct power10 want) {
    struct power10 got = power10_of(k);
    if (got.high != want.high || got.low != want.low)
        fail_msg("10^%d is %016llx %016llx, expected %016llx %016llx", k,
                 (unsigned long long)got.high, (unsigned long long)got.low,
                 (unsigned long long)want.high, (unsigned long long)want.low);
}

/* A power of ten and the power of five in it have the same leading bits. */
static void every_entry_is_exact_or_rounded_up(void **state) {
    (void)state;
    struct big b = {{1}};
    for (int k = 0; k <= POWER10_MAX; k++, multiply(&b, 5))
        check_power(k, leading(&b, false));
    b = (struct big){{0}};
    b.w[WORDS - 1] = 1u << 31; /* 2^2559 / 5^342 has 1,700 bits to spare */
    bool rest = false;
    for (int k = -1; k >= POWER10_MIN; k--) {
        rest |= divide(&b, 5);
        check_power(k, leading(&b, rest));
    }
}

static void integers(void **state) {
    (void)state;
    uint64_t v = 1;
    for (int k = 0; k < 20; k++, v *= 10)
        assert_int_equal(power10_u64[k], v);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_entry_is_exact_or_rounded_up),
                                       cmocka_unit_test(integers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
