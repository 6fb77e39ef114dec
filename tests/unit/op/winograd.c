/* SPDX-License-Identifier: Apache-2.0 */
/* Winograd's convolution against the definition in f64: sizes that are no multiple of a tile,
 * channels that are no multiple of a vector, uneven pads, batches, both ways of sharing the work,
 * the finished stretches; at every CPU level. */
#include "op/winograd.c"

#include "base/cpu.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

struct form {
    size_t batch, in, out;
    int64_t size[2], before[2], after[2];
    bool bias, relu;
};

static const struct form forms[] = {
    {1, 64, 64, {15, 17}, {1, 1}, {1, 1}, true, true},
    {3, 17, 33, {6, 5}, {0, 2}, {1, 0}, true, false},
    {1, 96, 130, {14, 14}, {1, 1}, {1, 1}, false, false},
    {2, 8, 40, {30, 31}, {1, 1}, {1, 1}, true, false},
    {1, 3, 5, {33, 47}, {1, 0}, {0, 1}, false, true},
    {1, 1, 1, {1, 1}, {1, 1}, {1, 1}, true, false},
    {5, 32, 16, {3, 3}, {0, 0}, {0, 0}, false, false},
};

static float number(void) {
    static uint64_t seed = 88172645463325252u;
    seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
    return (float)(seed >> 40) / (float)(1 << 23) - 1;
}

static float *numbers(size_t n) {
    float *p = malloc(n * sizeof *p);
    assert_non_null(p);
    for (size_t i = 0; i < n; i++)
        p[i] = number();
    return p;
}

static double definition(const struct winograd *p, const float *x, const float *w, size_t at,
                         size_t out) {
    size_t picture = at / window_pixels(&p->w), pixel = at % window_pixels(&p->w);
    double sum = 0;
    for (size_t tap = 0; tap < 9; tap++) {
        ptrdiff_t from = window_at(&p->w, pixel, tap);
        for (size_t i = 0; from >= 0 && i < p->in; i++)
            sum += (double)x[(picture * window_inputs(&p->w) + (size_t)from) * p->in + i] *
                   (double)w[(out * p->in + i) * 9 + tap];
    }
    return sum;
}

static void count_done(void *ctx, size_t begin, size_t count) {
    unsigned char *times = ctx;
    for (size_t i = 0; i < count; i++)
        times[begin + i]++;
}

static void check_form(const struct form *f, int threads) {
    struct window window = {.n = 2};
    struct winograd p;
    for (int i = 0; i < 2; i++) {
        window.in[i] = f->size[i], window.before[i] = f->before[i], window.after[i] = f->after[i];
        window.kernel[i] = 3, window.stride[i] = window.dilation[i] = 1;
        window.out[i] = f->size[i] + f->before[i] + f->after[i] - 2;
    }
    assert_true(winograd_plan(&p, &window, f->batch, 1, f->in, f->out, threads));
    size_t pixels = f->batch * window_pixels(&window);
    float *x = numbers(f->batch * window_inputs(&window) * f->in), *w = numbers(f->out * f->in * 9),
          *bias = numbers(f->out), *y = numbers(pixels * f->out),
          *packed = aligned_alloc(64, line_up(winograd_packed(&p)));
    char *scratch = aligned_alloc(64, winograd_scratch(&p, threads));
    unsigned char *done = calloc(pixels * f->out, 1);
    assert_true(packed && scratch && done);
    memset(scratch, 0xff, winograd_scratch(&p, threads));
    winograd_pack(&p, w, packed);
    winograd_run(&p, &(struct winograd_run){.x = x,
                                            .packed = packed,
                                            .bias = f->bias ? bias : NULL,
                                            .y = y,
                                            .scratch = scratch,
                                            .threads = threads,
                                            .relu = f->relu,
                                            .done = count_done,
                                            .ctx = done});
    /* In units of the sums' standard deviation; the largest seen is 4e-5. */
    const double limit = 1e-4 * sqrt((double)f->in);
    for (size_t i = 0; i < pixels * f->out; i++) {
        double want =
            definition(&p, x, w, i / f->out, i % f->out) + (f->bias ? (double)bias[i % f->out] : 0);
        if (f->relu && want < 0)
            want = 0;
        if (fabs(want - (double)y[i]) > limit)
            fail_msg("%zu: %g is %g", i, want, (double)y[i]);
        assert_int_equal(done[i], 1);
    }
    free(x), free(w), free(bias), free(y), free(packed), free(scratch), free(done);
}

static void test_forms(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++)
        for (int threads = 1; threads <= 3; threads++)
            check_form(&forms[i], threads);
}

static void test_other_windows(void **state) {
    (void)state;
    struct winograd p;
    struct window w = {2, {9, 9}, {9, 9}, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}}, other = w;
    assert_true(winograd_plan(&p, &w, 1, 1, 8, 8, 2));
    assert_false(winograd_pays(&p));
    assert_false(winograd_plan(&p, &w, 1, 2, 8, 8, 2));
    other.stride[1] = 2;
    assert_false(winograd_plan(&p, &other, 1, 1, 8, 8, 2));
    other = w, other.kernel[0] = 1;
    assert_false(winograd_plan(&p, &other, 1, 1, 8, 8, 2));
    other = w, other.dilation[0] = 2;
    assert_false(winograd_plan(&p, &other, 1, 1, 8, 8, 2));
    assert_false(winograd_plan(&p, &w, 0, 1, 8, 8, 2));
    w.in[0] = w.in[1] = w.out[0] = w.out[1] = 56;
    assert_true(winograd_plan(&p, &w, 1, 1, 64, 64, 2));
    assert_true(winograd_pays(&p));
}

int main(void) {
    struct err e;
    if (cpu_setup(&e) != OK)
        return 1;
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_forms),
                                       cmocka_unit_test(test_other_windows)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
