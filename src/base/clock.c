/* SPDX-License-Identifier: Apache-2.0 */
/* Time: see clock.h. */
#include "base/clock.h"

#include <stdio.h>
#include <time.h>

static uint64_t ns_of(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t clock_ns(void) { return ns_of(CLOCK_MONOTONIC); }
uint64_t clock_cpu_ns(void) { return ns_of(CLOCK_THREAD_CPUTIME_ID); }

static uint64_t wall_us(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

uint64_t clock_wall_us(void) { return wall_us(CLOCK_REALTIME); }
uint64_t clock_wall_coarse_us(void) { return wall_us(CLOCK_REALTIME_COARSE); }

size_t clock_print(uint64_t wall_us, char text[CLOCK_TEXT]) {
    time_t seconds = (time_t)(wall_us / 1000000u);
    struct tm day;
    gmtime_r(&seconds, &day);
    size_t n = strftime(text, CLOCK_TEXT, "%Y-%m-%dT%H:%M:%S", &day);
    return n + (size_t)snprintf(text + n, CLOCK_TEXT - n, ".%06uZ", (unsigned)(wall_us % 1000000u));
}
