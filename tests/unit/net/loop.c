/* SPDX-License-Identifier: Apache-2.0 */
/* Also the program for a thread-sanitizer run: four threads post to one loop. */
#include "net/loop.c"

#include "base/thread.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

enum { POSTERS = 4, POSTS = 20000 };

struct shared {
    struct loop *loop;
    int ran;              /* loop thread */
    int last_of[POSTERS]; /* loop thread: order per poster */
    bool in_order;
};

struct post {
    struct loop_job job;
    struct shared *shared;
    int poster, number;
};

static void ran(struct loop_job *job) {
    struct post *p = (struct post *)job;
    struct shared *s = p->shared;
    s->in_order = s->in_order && p->number == s->last_of[p->poster] + 1;
    s->last_of[p->poster] = p->number;
    if (++s->ran == POSTERS * POSTS)
        loop_stop(s->loop);
    mem_free(p);
}

struct poster {
    struct shared *shared;
    int index;
    pthread_t thread;
};

static void *post_many(void *arg) {
    struct poster *me = arg;
    for (int i = 1; i <= POSTS; i++) {
        struct post *p = mem_zalloc(1, sizeof *p);
        if (!p)
            abort();
        *p = (struct post){.job.fn = ran, .shared = me->shared, .poster = me->index, .number = i};
        loop_post(me->shared->loop, &p->job);
    }
    return NULL;
}

static void test_posts_from_threads(void **state) {
    (void)state;
    struct err e;
    struct shared shared = {.in_order = true};
    assert_int_equal(loop_open(&shared.loop, &e), OK);
    struct poster posters[POSTERS];
    for (int i = 0; i < POSTERS; i++) {
        posters[i] = (struct poster){.shared = &shared, .index = i};
        assert_int_equal(thread_start(&posters[i].thread, "poster", post_many, &posters[i], &e),
                         OK);
    }
    loop_run(shared.loop);
    for (int i = 0; i < POSTERS; i++)
        pthread_join(posters[i].thread, NULL);
    assert_int_equal(shared.ran, POSTERS * POSTS);
    assert_true(shared.in_order);
    loop_close(shared.loop);
}

struct again {
    struct loop_job job;
    struct loop *loop;
    int left;
};

static void post_again(struct loop_job *job) {
    struct again *a = (struct again *)job;
    if (--a->left)
        loop_post(a->loop, &a->job);
    else
        loop_stop(a->loop);
}

static void test_job_posts_itself(void **state) {
    (void)state;
    struct err e;
    struct again a = {.job.fn = post_again, .left = 100};
    assert_int_equal(loop_open(&a.loop, &e), OK);
    loop_post(a.loop, &a.job);
    loop_run(a.loop);
    assert_int_equal(a.left, 0);
    loop_close(a.loop);
}

static void count_job(struct loop_job *job) { ((struct again *)job)->left++; }

static void test_stop_before_run_and_close_runs_jobs(void **state) {
    (void)state;
    struct err e;
    struct again a = {.job.fn = count_job};
    assert_int_equal(loop_open(&a.loop, &e), OK);
    loop_stop(a.loop);
    loop_run(a.loop);
    loop_post(a.loop, &a.job);
    loop_close(a.loop);
    assert_int_equal(a.left, 1);
}

static void tick(void *ctx) {
    struct again *a = ctx;
    if (++a->left == 3)
        kill(getpid(), SIGUSR1);
}

static void got_signal(void *ctx, int number) {
    struct again *a = ctx;
    a->left += number == SIGUSR1 ? 1000 : 0;
    loop_stop(a->loop);
}

static void test_timer_and_signal(void **state) {
    (void)state;
    struct err e;
    struct again a = {0};
    struct loop_timer *t, *left_open;
    assert_int_equal(loop_open(&a.loop, &e), OK);
    assert_int_equal(loop_timer_open(a.loop, 2, tick, &a, &t, &e), OK);
    assert_int_equal(loop_timer_open(a.loop, 1000, tick, &a, &left_open, &e), OK);
    assert_int_equal(loop_on_signal(a.loop, SIGUSR1, got_signal, &a, &e), OK);
    loop_run(a.loop);
    assert_true(a.left >= 1003);
    loop_timer_close(t);
    assert_true(loop_on_signal(a.loop, -1, got_signal, &a, &e) != OK);
    loop_close(a.loop);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_posts_from_threads),
                                       cmocka_unit_test(test_job_posts_itself),
                                       cmocka_unit_test(test_stop_before_run_and_close_runs_jobs),
                                       cmocka_unit_test(test_timer_and_signal)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
