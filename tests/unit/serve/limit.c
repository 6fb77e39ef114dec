/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/limit.c"

#include "../base/check.h"

static void test_limit(void **state) {
    (void)state;
    struct err e;
    struct limit l = {.most = 2};
    assert_ok(limit_enter(&l, false, &e));
    assert_ok(limit_enter(&l, false, &e));
    assert_fails(limit_enter(&l, false, &e), OVERLOAD, "the limit is 2 (--max-requests)");
    assert_int_equal(atomic_load(&l.requests), 2);
    limit_leave(&l, false);
    assert_ok(limit_enter(&l, false, &e));
}

/* Streams leave half to others, and are none too many where all is taken. */
static void test_streams(void **state) {
    (void)state;
    struct err e;
    struct limit l = {.most = 3};
    assert_ok(limit_enter(&l, true, &e));
    assert_ok(limit_enter(&l, true, &e));
    assert_fails(limit_enter(&l, true, &e), OVERLOAD,
                 "2 streams are open, the limit is 2 (half of --max-requests)");
    assert_ok(limit_enter(&l, false, &e));
    limit_leave(&l, true);
    assert_ok(limit_enter(&l, false, &e));
    assert_fails(limit_enter(&l, true, &e), OVERLOAD, "3 requests are in flight");
    assert_int_equal(atomic_load(&l.streams), 1);
    assert_int_equal(atomic_load(&l.requests), 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_limit),
                                       cmocka_unit_test(test_streams)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
