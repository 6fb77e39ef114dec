/* SPDX-License-Identifier: Apache-2.0 */
/* Crews of more threads than this machine has cores: nobody passes a barrier early, nobody sleeps
 * through the end of a round, and every piece is taken once. */
#include "llm/crew.c"

#include "../base/check.h"

#include <sched.h>
#include <time.h>

enum { ROUNDS = 300, PIECES = 37, MOST = 16 };

struct work {
    struct crew crew;
    unsigned char taken[ROUNDS][PIECES]; /* how often; by one thread each, if all is well */
    atomic_int arrived[ROUNDS];
    atomic_int early, threads;
    const cpu_set_t *cores; /* NULL: any */
};

static void work(void *arg, int thread) {
    struct work *w = arg;
    size_t from, to;
    cpu_set_t before;
    (void)thread;
    if (w->cores)
        (void)(sched_getaffinity(0, sizeof before, &before) ||
               sched_setaffinity(0, sizeof *w->cores, w->cores));
    atomic_fetch_add(&w->threads, 1);
    for (int r = 0; r < ROUNDS; r++) {
        while (crew_take(&w->crew, PIECES, 2, &from, &to))
            for (size_t i = from; i < to; i++)
                w->taken[r][i]++;
        atomic_fetch_add(&w->arrived[r], 1);
        crew_barrier(&w->crew);
        if (atomic_load(&w->arrived[r]) != w->crew.n)
            atomic_store(&w->early, 1);
    }
    if (w->cores)
        (void)sched_setaffinity(0, sizeof before, &before);
}

static void check(int threads, const cpu_set_t *cores) {
    static struct work w;
    memset(&w, 0, sizeof w);
    w.cores = cores;
    crew_run(&w.crew, threads, work, &w);
    assert_int_equal(w.threads, threads);
    assert_int_equal(w.early, 0);
    for (int r = 0; r < ROUNDS; r++)
        for (int i = 0; i < PIECES; i++)
            assert_int_equal(w.taken[r][i], 1);
    assert_int_equal(w.crew.asleep, 0);
    if (threads == 1)
        assert_int_equal(w.crew.late_ns, 0);
}

static void barriers_hold_for_any_number_of_threads(void **state) {
    (void)state;
    for (int threads = 1; threads <= MOST; threads++)
        check(threads, NULL);
}

/* All threads on one core: whoever waits does so for one that cannot run meanwhile. */
static void barriers_hold_on_one_core(void **state) {
    (void)state;
    cpu_set_t any, one;
    assert_int_equal(sched_getaffinity(0, sizeof any, &any), 0);
    CPU_ZERO(&one);
    for (int i = 0; i < CPU_SETSIZE && !CPU_COUNT(&one); i++)
        if (CPU_ISSET(i, &any))
            CPU_SET(i, &one);
    check(3, &one);
    check(MOST, &one);
}

/* A thread that comes late is seen in late_ns. */
static void late(void *arg, int thread) {
    struct work *w = arg;
    if (thread == 1)
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    crew_barrier(&w->crew);
}

static void who_is_waited_for_is_counted(void **state) {
    (void)state;
    static struct work w;
    crew_run(&w.crew, 2, late, &w);
    assert_true(w.crew.late_ns > 0);
    crew_run(&w.crew, 1, late, &w);
    assert_int_equal(w.crew.late_ns, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(barriers_hold_for_any_number_of_threads),
        cmocka_unit_test(barriers_hold_on_one_core),
        cmocka_unit_test(who_is_waited_for_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
