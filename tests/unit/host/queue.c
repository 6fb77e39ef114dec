/* SPDX-License-Identifier: Apache-2.0 */
/* The order of a queue: by priority, within one by arrival; taken from the middle; shed from the
 * end. */
#include "host/queue.c"

#include "../base/check.h"

static struct host h;
static struct live l;

static int clear(void **state) {
    (void)state;
    memset(&h, 0, sizeof h);
    memset(&l, 0, sizeof l);
    l.curve.one.row_ns[0] = 10;
    l.curve.one.runs[0] = 1;
    return 0;
}

static struct ask *add(struct ask *a, int priority) {
    *a = (struct ask){.priority = priority, .rows = 1};
    queue_put(&h, &l, a);
    return a;
}

static void test_order(void **state) {
    (void)state;
    struct ask a[6];
    static const int priorities[6] = {PRIORITY_NORMAL, PRIORITY_LOW,  PRIORITY_HIGH,
                                      PRIORITY_NORMAL, PRIORITY_HIGH, PRIORITY_SHADOW};
    static const int order[6] = {2, 4, 0, 3, 1, 5};
    for (int i = 0; i < 6; i++)
        add(&a[i], priorities[i]);
    assert_true(h.n_waiting == 6 && l.backlog[1] == 20);
    for (int i = 0; i < 6; i++)
        assert_ptr_equal(queue_take(&h, &l, NULL), &a[order[i]]);
    assert_true(l.waiting == 0 && h.n_waiting == 0 && !l.first);
    for (int p = 0; p < PRIORITIES; p++)
        assert_true(!l.last_of[p] && l.backlog[p] == 0 && h.backlog[p] == 0);
}

static void test_middle(void **state) {
    (void)state;
    struct ask a[4];
    for (int i = 0; i < 3; i++)
        add(&a[i], PRIORITY_NORMAL);
    assert_ptr_equal(queue_take(&h, &l, &a[1]), &a[2]); /* the last one */
    add(&a[3], PRIORITY_NORMAL);
    assert_ptr_equal(a[1].next, &a[3]);
    assert_ptr_equal(queue_take(&h, &l, &a[0]), &a[1]);
    assert_ptr_equal(queue_take(&h, &l, NULL), &a[0]);
    assert_ptr_equal(queue_take(&h, &l, NULL), &a[3]);
}

static void test_shedding(void **state) {
    (void)state;
    struct ask a[4], high = {.priority = PRIORITY_HIGH}, low = {.priority = PRIORITY_LOW};
    add(&a[0], PRIORITY_NORMAL);
    add(&a[1], PRIORITY_LOW);
    add(&a[2], PRIORITY_LOW);
    add(&a[3], PRIORITY_HIGH);
    assert_true(queue_sheds(&l, &high) && !queue_sheds(&l, &low));
    assert_null(queue_shed(&h, &l, &low));
    assert_ptr_equal(queue_shed(&h, &l, &high), &a[2]); /* the latest of the lowest */
    assert_ptr_equal(queue_shed(&h, &l, &high), &a[1]);
    assert_ptr_equal(queue_shed(&h, &l, &high), &a[0]);
    assert_null(queue_shed(&h, &l, &high));
    assert_ptr_equal(queue_take(&h, &l, NULL), &a[3]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_order, clear),
        cmocka_unit_test_setup(test_middle, clear),
        cmocka_unit_test_setup(test_shedding, clear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
