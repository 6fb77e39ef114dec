/* SPDX-License-Identifier: Apache-2.0 */
#include "net/deadline.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_order(void **state) {
    (void)state;
    struct deadline_queue q;
    struct deadline a = {0}, b = {0}, c = {0};
    deadline_queue_init(&q, 100);
    assert_true(deadline_next_ms(&q) == UINT64_MAX);
    deadline_set(&q, &a, 0);
    deadline_set(&q, &b, 10);
    deadline_set(&q, &c, 20);
    assert_true(deadline_next_ms(&q) == 100);
    deadline_set(&q, &a, 30); /* again: to the back */
    assert_true(deadline_next_ms(&q) == 110);
    assert_null(deadline_take(&q, 109));
    assert_ptr_equal(deadline_take(&q, 1000), &b);
    assert_false(deadline_is_set(&b));
    deadline_clear(&c);
    deadline_clear(&c);
    assert_ptr_equal(deadline_take(&q, 1000), &a);
    assert_null(deadline_take(&q, 1000));
}

static void test_moves_between_queues(void **state) {
    (void)state;
    struct deadline_queue slow, fast;
    struct deadline a = {0};
    deadline_queue_init(&slow, 1000);
    deadline_queue_init(&fast, 10);
    deadline_set(&slow, &a, 0);
    deadline_set(&fast, &a, 0);
    assert_null(deadline_take(&slow, 5000));
    assert_ptr_equal(deadline_take(&fast, 10), &a);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_order),
                                       cmocka_unit_test(test_moves_between_queues)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
