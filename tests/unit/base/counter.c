/* SPDX-License-Identifier: Apache-2.0 */
#include "base/counter.c"

#include "base/thread.h"

#include "check.h"

#include <math.h>

static const struct counter_family requests = {.name = "slipway_requests_total",
                                               .help = "requests",
                                               .kind = COUNTER_TOTAL,
                                               .n_labels = 2,
                                               .labels = {"model", "code"}};
static const struct counter_family loaded = {
    .name = "slipway_loaded", .help = "models", .kind = COUNTER_GAUGE};
static const struct counter_family seconds = {.name = "slipway_seconds",
                                              .help = "time",
                                              .kind = COUNTER_HISTOGRAM,
                                              .n_buckets = 3,
                                              .buckets = {0.1, 1, 10}};

static void series_are_found_again(void **state) {
    (void)state;
    char name[] = "ocr";
    struct str a[2] = {str_of(name), LIT("200")}, b[2] = {LIT("ocr"), LIT("500")};
    struct counter *first = counter_get(&requests, a), *other = counter_get(&requests, b);
    name[0] = 'x'; /* the values were copied */
    struct str again[2] = {LIT("ocr"), LIT("200")};
    assert_ptr_equal(counter_get(&requests, again), first);
    assert_ptr_not_equal(first, other);
    counter_add(first, 2);
    counter_add(first, 3);
    assert_int_equal(counter_total(first), 5);
    assert_int_equal(counter_total(other), 0);
    counter_drop(first); /* the second owner still counts in it */
    counter_add(first, 1);
    assert_int_equal(counter_total(first), 6);
    counter_drop(first);
    counter_drop(other);
    first = counter_get(&requests, again);
    assert_int_equal(counter_total(first), 0);
    counter_drop(first);
}

static void nothing_counts_nothing(void **state) {
    (void)state;
    counter_add(NULL, 1);
    counter_set(NULL, 1);
    counter_move(NULL, 1);
    counter_observe(NULL, 1);
    counter_drop(NULL);
    assert_int_equal(counter_total(NULL), 0);
}

static void gauges_go_up_and_down(void **state) {
    (void)state;
    struct counter *c = counter_get(&loaded, NULL);
    counter_set(c, 5);
    counter_move(c, -7);
    assert_int_equal((int64_t)counter_total(c), -2);
    counter_drop(c);
}

struct seen {
    int n;
    char names[200];
    int64_t values[5];
    double sum;
};

static void see(void *ctx, const struct counter_family *f, const struct str *labels,
                const int64_t *values, double sum) {
    struct seen *s = ctx;
    size_t used = strlen(s->names);
    snprintf(s->names + used, sizeof s->names - used, "%s%s%.*s", s->n ? " " : "", f->name,
             f->n_labels ? (int)labels[0].n : 0, f->n_labels ? labels[0].p : "");
    s->n++;
    if (f == &seconds) {
        memcpy(s->values, values, 4 * sizeof *values);
        s->sum = sum;
    }
}

static void a_visit_sees_series_by_family(void **state) {
    (void)state;
    struct str a[2] = {LIT("A"), LIT("")}, b[2] = {LIT("B"), LIT("")};
    struct counter *ca = counter_get(&requests, a), *g = counter_get(&loaded, NULL),
                   *cb = counter_get(&requests, b), *h = counter_get(&seconds, NULL);
    const double observed[] = {0.05, 0.1, 0.5, 10, 11, 1e9, NAN, -1};
    for (size_t at = 0; at < 8; at++)
        counter_observe(h, observed[at]);
    struct seen s = {0};
    counter_visit(see, &s);
    assert_string_equal(
        s.names, "slipway_requests_totalA slipway_requests_totalB slipway_loaded slipway_seconds");
    const int64_t want[4] = {3, 1, 1, 2}; /* 0.05 0.1 -1 | 0.5 | 10 | 11 1e9; NaN counts nowhere */
    assert_memory_equal(s.values, want, sizeof want);
    assert_true(fabs(s.sum - (0.05 + 0.1 + 0.5 + 10 + 11 + 1e9 - 1)) < 1e-3);
    counter_drop(ca); /* middle, last and first of a list */
    counter_drop(h);
    s = (struct seen){0};
    counter_visit(see, &s);
    assert_string_equal(s.names, "slipway_requests_totalB slipway_loaded");
    counter_drop(cb);
    counter_drop(g);
    s = (struct seen){0};
    counter_visit(see, &s);
    assert_int_equal(s.n, 0);
}

enum { THREADS = 24, ADDS = 20000 }; /* more threads than stripes */

struct shared {
    struct counter *total, *gauge, *histogram;
};

static void *work(void *arg) {
    struct shared *s = arg;
    for (int at = 0; at < ADDS; at++) {
        counter_add(s->total, 1);
        counter_move(s->gauge, at % 2 ? -1 : 1);
        counter_observe(s->histogram, 0.5);
    }
    return NULL;
}

static void no_count_is_lost_between_threads(void **state) {
    (void)state;
    struct str labels[2] = {LIT("t"), LIT("")};
    struct shared s = {counter_get(&requests, labels), counter_get(&loaded, NULL),
                       counter_get(&seconds, NULL)};
    pthread_t threads[THREADS];
    struct err e;
    for (int at = 0; at < THREADS; at++)
        assert_ok(thread_start(&threads[at], "count", work, &s, &e));
    for (int at = 0; at < THREADS; at++)
        pthread_join(threads[at], NULL);
    assert_int_equal(counter_total(s.total), THREADS * ADDS);
    assert_int_equal(counter_total(s.gauge), 0);
    struct seen seen = {0};
    counter_visit(see, &seen);
    assert_int_equal(seen.values[1], THREADS * ADDS);
    assert_true(fabs(seen.sum - THREADS * ADDS * 0.5) < 1e-6);
    counter_drop(s.total);
    counter_drop(s.gauge);
    counter_drop(s.histogram);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(series_are_found_again),
        cmocka_unit_test(nothing_counts_nothing),
        cmocka_unit_test(gauges_go_up_and_down),
        cmocka_unit_test(a_visit_sees_series_by_family),
        cmocka_unit_test(no_count_is_lost_between_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
