/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/memory.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

enum { MANY = 300 };

static uint32_t state = 1;
static uint32_t dice(uint32_t n) { return ((state = state * 1664525u + 1013904223u) >> 8) % n; }

static void check_apart(const struct memory_span *s, int n, size_t total) {
    for (int i = 0; i < n; i++) {
        assert_true(s[i].offset + s[i].bytes <= total);
        assert_int_equal(s[i].offset % MEM_LINE, 0);
        for (int k = 0; k < i; k++)
            if (alive_together(&s[i], &s[k]))
                assert_true(s[i].offset + s[i].bytes <= s[k].offset ||
                            s[k].offset + s[k].bytes <= s[i].offset);
    }
}

/* Buffers alive at once never overlap, and the slab is not far above the busiest step. */
static void random_lives(void **unused) {
    (void)unused;
    static struct memory_span s[MANY];
    static int order[MANY];
    for (int round = 0; round < 50; round++) {
        int n = 1 + (int)dice(MANY);
        size_t busiest = 0, busy[64] = {0};
        for (int i = 0; i < n; i++) {
            int first = (int)dice(60), last = first + (int)dice(8);
            s[i] = (struct memory_span){first, last < 63 ? last : 63, dice(100000), 0};
        }
        size_t total = memory_place(s, order, n);
        check_apart(s, n, total);
        for (int i = 0; i < n; i++)
            for (int t = s[i].first; t <= s[i].last; t++)
                busy[t] += s[i].bytes;
        for (int t = 0; t < 64; t++)
            busiest = busy[t] > busiest ? busy[t] : busiest;
        size_t room[66];
        assert_int_equal(memory_live(s, n, room, 65), busiest);
        assert_true(total >= busiest);
        assert_true(total <= busiest + busiest / 2);
    }
}

/* A chain needs two buffers, however long. */
static void chain(void **unused) {
    (void)unused;
    struct memory_span s[20];
    int order[20];
    for (int i = 0; i < 20; i++)
        s[i] = (struct memory_span){i, i + 1, 1000, 0};
    assert_int_equal(memory_place(s, order, 20), 2 * 1024);
}

static void none_and_overflow(void **unused) {
    (void)unused;
    int order[2];
    assert_int_equal(memory_place(NULL, order, 0), 0);
    struct memory_span s[2] = {{0, 1, SIZE_MAX / 2, 0}, {0, 1, SIZE_MAX / 2, 0}};
    assert_int_equal(memory_place(s, order, 2), SIZE_MAX);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_lives),
        cmocka_unit_test(chain),
        cmocka_unit_test(none_and_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
