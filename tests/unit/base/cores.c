/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cores.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

static void alone_gets_all(void **unused) {
    (void)unused;
    cores_setup(4);
    assert_int_equal(cores_total(), 4);
    assert_int_equal(cores_take(8), 4);
    cores_give(4);
    assert_int_equal(cores_take(2), 2);
    assert_int_equal(cores_take(9), 2);
    cores_give(2);
    cores_give(2);
    assert_int_equal(cores_take(0), 1);
    cores_give(1);
}

enum { MEMBERS = 6, ROUNDS = 2000, CORES = 3 };
static int in_use, most;

static void *member(void *unused) {
    (void)unused;
    for (int i = 0; i < ROUNDS; i++) {
        int n = cores_take(1 + i % CORES);
        int now = __atomic_add_fetch(&in_use, n, __ATOMIC_SEQ_CST);
        if (now > __atomic_load_n(&most, __ATOMIC_SEQ_CST))
            __atomic_store_n(&most, now, __ATOMIC_SEQ_CST);
        __atomic_sub_fetch(&in_use, n, __ATOMIC_SEQ_CST);
        cores_give(n);
    }
    return NULL;
}

/* However many ask, never more than there are, and everybody is served. */
static void never_more_than_there_are(void **unused) {
    (void)unused;
    pthread_t threads[MEMBERS];
    cores_setup(CORES);
    for (int i = 0; i < MEMBERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, member, NULL), 0);
    for (int i = 0; i < MEMBERS; i++)
        pthread_join(threads[i], NULL);
    assert_true(most <= CORES);
    assert_int_equal(in_use, 0);
    assert_int_equal(cores_waiting(), 0);
    assert_int_equal(cores_take(CORES), CORES);
    cores_give(CORES);
}

static void *waiter(void *granted) {
    *(int *)granted = cores_take(4);
    return NULL;
}

/* Those who wait share what comes free. */
static void waiters_share(void **unused) {
    (void)unused;
    pthread_t threads[4];
    int granted[4] = {0}, sum = 0;
    cores_setup(4);
    assert_int_equal(cores_take(4), 4);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, waiter, &granted[i]), 0);
    while (cores_waiting() < 4)
        usleep(1000);
    cores_give(4);
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(granted[i], 1);
        sum += granted[i];
    }
    cores_give(sum);
}

static int order[3], arrivals;
static void *behind(void *unused) {
    (void)unused;
    int n = cores_take_behind(1);
    order[arrivals++] = 1;
    cores_give(n);
    return NULL;
}
static void *ahead(void *unused) {
    (void)unused;
    int n = cores_take(1);
    order[arrivals++] = 2;
    cores_give(n);
    return NULL;
}

/* One core, somebody waits: who would come back at once lets him go first. */
static void behind_lets_others_go_first(void **unused) {
    (void)unused;
    pthread_t first, second;
    cores_setup(1);
    for (int round = 0; round < 50; round++) {
        arrivals = 0;
        assert_int_equal(cores_take_behind(1), 1);
        assert_int_equal(pthread_create(&first, NULL, ahead, NULL), 0);
        while (cores_waiting() < 1)
            usleep(100);
        assert_int_equal(pthread_create(&second, NULL, behind, NULL), 0);
        while (cores_waiting() < 2)
            usleep(100);
        cores_give(1);
        int n = cores_take_behind(1); /* at once: but two wait */
        order[arrivals++] = 3;
        cores_give(n);
        pthread_join(first, NULL);
        pthread_join(second, NULL);
        assert_true(order[0] == 2 && arrivals == 3);
    }
}

static void shrinking(void **unused) {
    (void)unused;
    cores_setup(4);
    assert_int_equal(cores_take(4), 4);
    cores_setup(2);
    cores_give(4);
    assert_int_equal(cores_take(4), 2);
    cores_give(2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alone_gets_all), cmocka_unit_test(never_more_than_there_are),
        cmocka_unit_test(waiters_share),  cmocka_unit_test(behind_lets_others_go_first),
        cmocka_unit_test(shrinking),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
