/* SPDX-License-Identifier: Apache-2.0 */
/* Tasks of oneDNN: right answers, one task run by several threads at once, packing shared between
 * equal tasks, clear refusals. What convolutions and products of every form give is tested with
 * their operators (tests/unit/op). */
#include "kernel/dnnl.c"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

enum { CHANNELS = 32, SIDE = 12, PIXELS = SIDE * SIDE, TEAM = 4, ROUNDS = 50 };

static struct dnnl_conv pointwise(void) { /* 1x1, CHANNELS to CHANNELS, with bias */
    return (struct dnnl_conv){.n_spatial = 2,
                              .batch = 1,
                              .groups = 1,
                              .in_channels = CHANNELS,
                              .out_channels = CHANNELS,
                              .in = {SIDE, SIDE},
                              .out = {SIDE, SIDE},
                              .kernel = {1, 1},
                              .stride = {1, 1},
                              .dilation = {1, 1},
                              .bias = true,
                              .threads = 1};
}

static float weights[CHANNELS * CHANNELS], bias[CHANNELS];
static void *packed;

static void fill(void) {
    for (int i = 0; i < CHANNELS * CHANNELS; i++)
        weights[i] = (float)(i * 7 % 13 - 6) / 8;
    for (int i = 0; i < CHANNELS; i++)
        bias[i] = (float)(i % 5);
}

static struct dnnl_task *make(const struct dnnl_conv *c) {
    struct dnnl_task *t;
    struct err e;
    if (dnnl_task_conv(c, &t, &e) != OK)
        fail_msg("%s", e.text);
    packed = mem_alloc_aligned(dnnl_task_packed(t), 64);
    assert_non_null(packed);
    assert_int_equal(dnnl_task_pack(t, weights, packed, &e), OK);
    return t;
}

struct runner {
    struct dnnl_task *task;
    int seed, wrong;
    bool relu;
};

/* Runs over inputs of its own and compares each with the definition. */
static void *run_many(void *arg) {
    struct runner *r = arg;
    float *x = mem_alloc_aligned(PIXELS * CHANNELS * sizeof *x, 64),
          *y = mem_alloc_aligned(PIXELS * CHANNELS * sizeof *y, 64);
    void *scratch = mem_alloc_aligned(dnnl_task_scratch(r->task) + 64, 64);
    for (int round = 0; round < ROUNDS; round++) {
        struct err e;
        for (int i = 0; i < PIXELS * CHANNELS; i++)
            x[i] = (float)((i * 11 + r->seed + round) % 17 - 8) / 8;
        const struct dnnl_run run = {
            .src = x, .weights = packed, .bias = bias, .dst = y, .scratch = scratch};
        if (dnnl_task_run(r->task, &run, &e) != OK)
            r->wrong++;
        for (int i = 0; i < PIXELS * CHANNELS; i++) {
            float sum = bias[i % CHANNELS];
            for (int k = 0; k < CHANNELS; k++)
                sum += x[i / CHANNELS * CHANNELS + k] * weights[i % CHANNELS * CHANNELS + k];
            sum = r->relu && sum < 0 ? 0 : sum;
            r->wrong += !(sum - y[i] < 1e-4f && y[i] - sum < 1e-4f);
        }
    }
    mem_free(x);
    mem_free(y);
    mem_free(scratch);
    return NULL;
}

static void test_many_threads_share_a_task(void **state) {
    (void)state;
    if (!dnnl_task_usable())
        skip();
    struct dnnl_conv c = pointwise();
    c.n_fused = 1;
    c.fused[0].kind = DNNL_FUSED_RELU;
    struct dnnl_task *t = make(&c);
    struct runner runners[TEAM];
    pthread_t threads[TEAM];
    for (int i = 0; i < TEAM; i++) {
        runners[i] = (struct runner){.task = t, .seed = i * 1000, .relu = true};
        assert_int_equal(pthread_create(&threads[i], NULL, run_many, &runners[i]), 0);
    }
    for (int i = 0; i < TEAM; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(runners[i].wrong, 0);
    }
    int kits = 0;
    for (const struct kit *k = t->kits; k; k = k->next)
        kits++;
    assert_in_range(kits, 1, TEAM); /* one per run at a time, all given back */
    dnnl_task_free(t);
    mem_free(packed);
}

static void test_runs_allocate_nothing(void **state) {
    (void)state;
    if (!dnnl_task_usable())
        skip();
    struct dnnl_conv c = pointwise();
    struct dnnl_task *t = make(&c);
    struct runner r = {.task = t};
    run_many(&r);
    uint64_t before = mem_count();
    run_many(&r); /* its own three buffers */
    assert_int_equal(mem_count() - before, 3);
    assert_int_equal(r.wrong, 0);
    dnnl_task_free(t);
    mem_free(packed);
}

static void test_packing_is_named(void **state) {
    (void)state;
    if (!dnnl_task_usable())
        skip();
    struct dnnl_conv c = pointwise(), other = pointwise();
    other.out_channels = CHANNELS / 2;
    struct dnnl_task *a = make(&c);
    mem_free(packed);
    struct dnnl_task *b = make(&c);
    mem_free(packed);
    struct dnnl_task *d = make(&other);
    mem_free(packed);
    assert_true(dnnl_task_packing(a) == dnnl_task_packing(b));
    assert_true(dnnl_task_packing(a) != dnnl_task_packing(d));
    assert_non_null(strstr(dnnl_task_kernel(a), "dnnl "));
    dnnl_task_free(a);
    dnnl_task_free(b);
    dnnl_task_free(d);
    dnnl_task_free(NULL);
}

static void test_refusals(void **state) {
    (void)state;
    struct dnnl_conv c = pointwise();
    struct dnnl_task *t = NULL;
    struct err e;
    c.out[0] = SIDE + 1; /* not the size that follows */
    assert_int_equal(dnnl_task_conv(&c, &t, &e), ERR_UNSUPPORTED);
    assert_non_null(strstr(e.text, "convolution"));
    struct dnnl_matmul m = {.batch = 1, .m = -1, .n = 4, .k = 4, .b_batch = 1, .threads = 1};
    assert_int_equal(dnnl_task_matmul(&m, &t, &e), ERR_UNSUPPORTED);
    assert_null(t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many_threads_share_a_task),
        cmocka_unit_test(test_runs_allocate_nothing),
        cmocka_unit_test(test_packing_is_named),
        cmocka_unit_test(test_refusals),
    };
    struct err e;
    if (cpu_setup(&e) != OK)
        return 1;
    fill();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
