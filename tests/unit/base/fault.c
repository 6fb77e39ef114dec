/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fault.c"

#include "check.h"

#ifdef SLIPWAY_FAULT

static void the_nth_call_fails_once(void **state) {
    (void)state;
    fault_arm(FAULT_READ, 3, false);
    assert_false(FAULT(FAULT_READ));
    assert_false(FAULT(FAULT_WRITE)); /* another site */
    assert_false(FAULT(FAULT_READ));
    assert_false(fault_fired());
    assert_true(FAULT(FAULT_READ));
    assert_true(fault_fired());
    for (int call = 0; call < 10; call++)
        assert_false(FAULT(FAULT_READ));
    fault_arm(FAULT_READ, 0, false);
    assert_false(fault_fired());
}

static void sticky_stays(void **state) {
    (void)state;
    fault_arm(FAULT_ALLOC, 2, true);
    assert_false(FAULT(FAULT_ALLOC));
    for (int call = 0; call < 10; call++)
        assert_true(FAULT(FAULT_ALLOC));
    fault_arm(FAULT_ALLOC, 0, false);
    assert_false(FAULT(FAULT_ALLOC));
}

#else

static void release_builds_have_no_faults(void **state) {
    (void)state;
    assert_int_equal(FAULT(FAULT_READ), 0);
}

#endif

int main(void) {
    const struct CMUnitTest tests[] = {
#ifdef SLIPWAY_FAULT
        cmocka_unit_test(the_nth_call_fails_once),
        cmocka_unit_test(sticky_stays),
#else
        cmocka_unit_test(release_builds_have_no_faults),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
