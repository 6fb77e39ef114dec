/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/side.c"

#include "../base/check.h"

#include <stdatomic.h>

enum { JOBS = 1000 };
static struct side_job jobs[JOBS];
static _Atomic int ran, at_home;
static pthread_t home;

static void run(struct side_job *job) {
    (void)job;
    atomic_fetch_add(&ran, 1);
    if (pthread_equal(pthread_self(), home))
        atomic_fetch_add(&at_home, 1);
}

static void test_side(void **state) {
    (void)state;
    struct err e;
    struct side *s;
    home = pthread_self();
    assert_ok(side_open(3, &s, &e));
    for (int i = 0; i < JOBS; i++) {
        jobs[i].fn = run;
        side_post(s, &jobs[i]);
    }
    side_stop(s); /* what is queued is done first */
    assert_int_equal(ran, JOBS);
    assert_int_equal(at_home, 0);
    side_post(s, &jobs[0]); /* no thread is left: done at once, here */
    assert_int_equal(ran, JOBS + 1);
    assert_int_equal(at_home, 1);
    side_close(s);
    side_close(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_side)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
