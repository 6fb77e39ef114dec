/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that sleeps comes back as it was, whatever was in it. */
#include "net/doze.c"

#include "../base/check.h"

static void test_comes_back(void **state) {
    (void)state;
    struct doze d;
    uint8_t was[5 * PAGE];
    uint32_t seed = 1;
    assert_true(doze_open(&d, sizeof was - 100));
    uint8_t *p = doze_take(&d, 20000);
    assert_non_null(p);
    for (int round = 0; round < 200; round++) { /* from empty to full, in runs of every length */
        for (int i = 0; i < round * 40; i++) {
            seed = seed * 1664525 + 1013904223;
            p[(seed >> 8) % 20000] = (uint8_t)(seed >> 24);
        }
        memcpy(was, d.base, sizeof was);
        assert_true(doze_sleep(&d));
        assert_true(doze_sleep(&d)); /* already */
        doze_wake(&d);
        doze_wake(&d);
        assert_memory_equal(was, d.base, sizeof was);
    }
    doze_close(&d);
}

static void test_room(void **state) {
    (void)state;
    struct doze d;
    char outside;
    assert_true(doze_open(&d, PAGE));
    char *a = doze_take(&d, 10), *b = doze_take(&d, 1);
    assert_int_equal(b - a, ALIGN);
    assert_true(doze_after(&d, a) == PAGE && doze_after(&d, b) == PAGE - ALIGN);
    assert_int_equal(doze_after(&d, &outside), 0);
    assert_null(doze_take(&d, PAGE));
    assert_non_null(doze_take(&d, PAGE - 2 * ALIGN));
    assert_null(doze_take(&d, 1));
    assert_true(doze_sleep(&d)); /* of nothing but zeros */
    doze_close(&d);              /* asleep */
}

#ifdef SLIPWAY_FAULT
static void test_without_memory(void **state) {
    (void)state;
    struct doze d;
    fault_arm(FAULT_MMAP, 1, false);
    assert_false(doze_open(&d, PAGE));
    fault_arm(FAULT_MMAP, 0, false);
    assert_null(doze_take(&d, 1));
    assert_int_equal(doze_after(&d, &d), 0);
    assert_false(doze_sleep(&d));
    doze_wake(&d);
    doze_close(&d);
    assert_true(doze_open(&d, PAGE));
    *(char *)doze_take(&d, 1) = 7;
    fault_arm(FAULT_ALLOC, 1, false);
    assert_false(doze_sleep(&d));
    fault_arm(FAULT_ALLOC, 0, false);
    assert_int_equal(*(char *)d.base, 7);
    doze_close(&d);
}
#endif

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_comes_back),
        cmocka_unit_test(test_room),
#ifdef SLIPWAY_FAULT
        cmocka_unit_test(test_without_memory),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
