/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.c"

#include "check.h"

static void text_of_known_moments(void **state) {
    (void)state;
    char text[CLOCK_TEXT];
    assert_int_equal(clock_print(0, text), 27);
    assert_string_equal(text, "1970-01-01T00:00:00.000000Z");
    clock_print(1700000000123456u, text);
    assert_string_equal(text, "2023-11-14T22:13:20.123456Z");
    clock_print(951827696000001u, text); /* a leap day */
    assert_string_equal(text, "2000-02-29T12:34:56.000001Z");
}

static void a_moment_beyond_the_calendar_stays_in_its_room(void **state) {
    (void)state;
    char text[CLOCK_TEXT];
    assert_true(clock_print(UINT64_MAX, text) < CLOCK_TEXT);
}

static void clocks_move_forward(void **state) {
    (void)state;
    uint64_t last = clock_ns();
    for (int at = 0; at < 1000; at++) {
        uint64_t now = clock_ns();
        assert_true(now >= last);
        last = now;
    }
    assert_true(clock_cpu_ns() > 0 && clock_cpu_ns() <= clock_ns());
    assert_true(clock_wall_us() > 1700000000000000u);
    assert_true(clock_wall_coarse_us() > 1700000000000000u);
}

/* Sleeping is not computing. */
static void a_thread_s_own_time_is_what_it_computes(void **state) {
    (void)state;
    uint64_t began = clock_ns(), computed = clock_cpu_ns();
    nanosleep(&(struct timespec){.tv_nsec = 30000000}, NULL);
    uint64_t slept = clock_cpu_ns() - computed;
    for (volatile int at = 0; at < 1000000; at++) {
    }
    computed = clock_cpu_ns() - computed;
    assert_true(slept < 30000000 && computed > slept && computed <= clock_ns() - began);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_of_known_moments),
        cmocka_unit_test(a_moment_beyond_the_calendar_stays_in_its_room),
        cmocka_unit_test(clocks_move_forward),
        cmocka_unit_test(a_thread_s_own_time_is_what_it_computes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
