/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/limit.c"

#include "../base/check.h"

static void test_limit(void **state) {
    (void)state;
    struct err e;
    struct limit l = {.most = 2};
    assert_ok(limit_enter(&l, &e));
    assert_ok(limit_enter(&l, &e));
    assert_fails(limit_enter(&l, &e), OVERLOAD, "the limit is 2 (--max-requests)");
    assert_int_equal(atomic_load(&l.requests), 2);
    limit_leave(&l);
    assert_ok(limit_enter(&l, &e));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_limit)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
