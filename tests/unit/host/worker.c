/* SPDX-License-Identifier: Apache-2.0 */
/* Whose turn it is, and who may wait for company. No threads: the host is made up. */
#include "host/worker.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static struct host h;
static struct live l;
static struct ask asks[16];
static size_t n;

/* Eight rows cost a row 1 ms, a single one 10; an ask came every 100 us. */
static int begin(void **state) {
    (void)state;
    memset(&h, 0, sizeof h);
    memset(&l, 0, sizeof l);
    n = 0;
    h.threads = 2;
    h.options.batch = 32;
    l.batches = true;
    l.weight = 1;
    l.wait_ns = -1;
    for (int k = 0; k < 4; k++) {
        static const double ns[4] = {10e6, 6e6, 3e6, 1e6};
        l.curve.one.row_ns[k] = ns[k];
        l.curve.one.runs[k] = 100;
    }
    l.gap_ns = 1e5;
    l.came_ns = clock_ns();
    return 0;
}

/* One that came 100 us after the one before. */
static struct ask *come(uint64_t deadline_ns) {
    struct ask *a = &asks[n++];
    *a = (struct ask){.rows = 1, .queued_ns = l.came_ns + 100000, .deadline_ns = deadline_ns};
    queue_put(&h, &l, a);
    return a;
}

static struct live *next(uint64_t *wake) {
    if (!l.in_ring)
        worker_wake(&h, &l);
    return choose(&h, false, wake);
}

static void waits_on_the_last_core(void **state) {
    (void)state;
    uint64_t wake;
    come(0);
    assert_int_equal(l.company, 8);
    assert_int_equal(l.ripe_ns, asks[0].queued_ns + 9000000);
    h.n_running = 1;
    l.ripe_ns = clock_ns() + 3600000000000; /* a slow machine is none the wiser */
    assert_null(next(&wake));
    assert_int_equal(wake, l.ripe_ns);
    while (n < 7)
        come(0);
    assert_null(next(&wake));
    come(0); /* the eighth */
    assert_ptr_equal(next(&wake), &l);
}

static void ends_with_time_and_with_the_host(void **state) {
    (void)state;
    uint64_t wake, ripe = clock_ns() + 3600000000000;
    come(0);
    l.ripe_ns = ripe;
    assert_ptr_equal(next(&wake), &l); /* both cores are free */
    h.n_running = 1;
    assert_null(next(&wake));
    h.draining = true;
    assert_ptr_equal(next(&wake), &l);
    h.draining = false;
    l.ripe_ns = 1;
    assert_ptr_equal(next(&wake), &l);
    assert_int_equal(wake, 0);
}

static void none_when_it_does_not_pay(void **state) {
    (void)state;
    for (int k = 1; k < 4; k++)
        l.curve.one.row_ns[k] = 9e6; /* a tenth less */
    come(0);
    assert_int_equal(l.ripe_ns, 0);
    begin(NULL);
    l.curve.one.runs[1] = 0; /* not known */
    come(0);
    assert_int_equal(l.ripe_ns, 0);
    begin(NULL);
    l.gap_ns = 20e6; /* nobody comes in time */
    come(0);
    assert_int_equal(l.ripe_ns, 0);
    begin(NULL);
    l.batch_limit = 1;
    come(0);
    assert_int_equal(l.ripe_ns, 0);
    begin(NULL);
    l.batches = false;
    come(0);
    assert_int_equal(l.ripe_ns, 0);
}

static void shorter_for_a_deadline(void **state) {
    (void)state;
    uint64_t from = l.came_ns + 100000;
    come(from + 11000000); /* 1 ms beyond what its run takes */
    assert_int_equal(l.ripe_ns, from + 500000);
    assert_int_equal(l.company, 4);
    begin(NULL);
    come(l.came_ns + 100001); /* cannot be met anyway */
    assert_int_equal(l.ripe_ns, 0);
}

/* What was left by a batch has waited already. */
static void once(void **state) {
    (void)state;
    struct batch b;
    uint64_t wake;
    come(0);
    come(0);
    l.batch_limit = 1;
    batch_take(&h, &l, true, &b);
    assert_ptr_equal(b.first, &asks[0]);
    h.n_running = 1;
    assert_ptr_equal(next(&wake), &l);
}

static void the_least_served_is_next(void **state) {
    (void)state;
    static struct live other;
    struct ask a = {.rows = 1, .queued_ns = 1};
    uint64_t wake;
    memset(&other, 0, sizeof other);
    other.weight = 1;
    other.vtime = 5;
    l.vtime = 7;
    come(0);
    queue_put(&h, &other, &a);
    worker_wake(&h, &l);
    worker_wake(&h, &other);
    assert_ptr_equal(choose(&h, false, &wake), &other);
    assert_ptr_equal(choose(&h, false, &wake), &l);
    assert_null(choose(&h, false, &wake));
}

/* What a model's policy says of it. */
static void waits_no_longer_than_it_may(void **state) {
    (void)state;
    l.wait_ns = 250000;
    come(0);
    assert_int_equal(l.company, 2);
    assert_int_equal(l.ripe_ns, asks[0].queued_ns + 250000);
    begin(NULL);
    l.wait_ns = 0;
    come(0);
    assert_int_equal(l.ripe_ns, 0);
}

static void runs_of_a_model_may_be_counted(void **state) {
    (void)state;
    uint64_t wake;
    l.wait_ns = 0;
    l.run_limit = 2;
    l.running = 1;
    come(0);
    assert_ptr_equal(next(&wake), &l);
    l.running = 2;
    assert_null(next(&wake));
    assert_int_equal(wake, 0);
    assert_true(l.in_ring);
    l.running = 1;
    assert_ptr_equal(next(&wake), &l);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(waits_on_the_last_core, begin),
        cmocka_unit_test_setup(ends_with_time_and_with_the_host, begin),
        cmocka_unit_test_setup(none_when_it_does_not_pay, begin),
        cmocka_unit_test_setup(shorter_for_a_deadline, begin),
        cmocka_unit_test_setup(once, begin),
        cmocka_unit_test_setup(the_least_served_is_next, begin),
        cmocka_unit_test_setup(waits_no_longer_than_it_may, begin),
        cmocka_unit_test_setup(runs_of_a_model_may_be_counted, begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
