/* SPDX-License-Identifier: Apache-2.0 */
#include "base/thread.c"

#include "base/clock.h"

#include "check.h"

struct seen {
    char name[16];
    bool blocked;
};

static void *look(void *arg) {
    struct seen *s = arg;
    sigset_t now;
    pthread_getname_np(pthread_self(), s->name, sizeof s->name);
    pthread_sigmask(SIG_SETMASK, NULL, &now);
    s->blocked = sigismember(&now, SIGTERM) && sigismember(&now, SIGINT);
    return s;
}

static void threads_have_names_and_no_signals(void **state) {
    (void)state;
    struct seen s = {0};
    struct err e;
    pthread_t t;
    void *back;
    assert_ok(thread_start(&t, "a-name-that-is-too-long", look, &s, &e));
    pthread_join(t, &back);
    assert_ptr_equal(back, &s);
    assert_string_equal(s.name, "a-name-that-is-");
    assert_true(s.blocked);
    sigset_t here;
    pthread_sigmask(SIG_SETMASK, NULL, &here);
    assert_false(sigismember(&here, SIGTERM)); /* the caller's mask is as before */
}

static void waiting_ends_at_the_deadline(void **state) {
    (void)state;
    pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t c;
    thread_cond_init(&c);
    pthread_mutex_lock(&m);
    uint64_t start = clock_ns();
    while (thread_cond_wait_until(&c, &m, start + 20000000)) {
    }
    assert_true(clock_ns() - start >= 20000000);
    assert_false(thread_cond_wait_until(&c, &m, 0)); /* long past */
    pthread_mutex_unlock(&m);
    pthread_cond_destroy(&c);
}

struct gate {
    pthread_mutex_t m;
    pthread_cond_t c;
    bool open;
};

static void *open_gate(void *arg) {
    struct gate *g = arg;
    pthread_mutex_lock(&g->m);
    g->open = true;
    pthread_cond_signal(&g->c);
    pthread_mutex_unlock(&g->m);
    return NULL;
}

static void waiting_ends_with_a_signal(void **state) {
    (void)state;
    struct gate g = {.m = PTHREAD_MUTEX_INITIALIZER};
    struct err e;
    pthread_t t;
    thread_cond_init(&g.c);
    pthread_mutex_lock(&g.m);
    assert_ok(thread_start(&t, "gate", open_gate, &g, &e));
    uint64_t deadline = clock_ns() + 30000000000u;
    while (!g.open)
        assert_true(thread_cond_wait_until(&g.c, &g.m, deadline));
    pthread_mutex_unlock(&g.m);
    pthread_join(t, NULL);
    pthread_cond_destroy(&g.c);
}

/* How nice threads are: one that stepped back, one that it starts, and one of that one's. */
struct family {
    int nice[3];
    int depth;
};

static void *descend(void *arg) {
    struct family *f = arg;
    struct err e;
    pthread_t t;
    if (f->depth == 0)
        thread_step_back();
    f->nice[f->depth++] = getpriority(PRIO_PROCESS, 0); /* Linux: of this thread */
    if (f->depth == 3)
        return NULL;
    if (thread_start(&t, "child", descend, f, &e) == OK)
        pthread_join(t, NULL);
    return NULL;
}

static void who_steps_back_does_not_take_his_threads_with_him(void **state) {
    (void)state;
    int here = getpriority(PRIO_PROCESS, 0);
    for (int turn = 0; turn < 2; turn++) {
        struct family f = {0};
        struct err e;
        pthread_t t;
        assert_ok(thread_start(&t, "back", descend, &f, &e));
        pthread_join(t, NULL);
        assert_int_equal(f.depth, 3);
        assert_int_equal(f.nice[0], here + BACK_NICE > 19 ? 19 : here + BACK_NICE);
        assert_int_equal(f.nice[1], here);
        assert_int_equal(f.nice[2], here);
    }
    assert_int_equal(getpriority(PRIO_PROCESS, 0), here);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_have_names_and_no_signals),
        cmocka_unit_test(waiting_ends_at_the_deadline),
        cmocka_unit_test(waiting_ends_with_a_signal),
        cmocka_unit_test(who_steps_back_does_not_take_his_threads_with_him),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
