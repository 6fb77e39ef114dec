/* SPDX-License-Identifier: Apache-2.0 */
/* Convolution by gathered rows against the definition in f64: windows, groups, sizes that are no
 * multiple of a tile; shared by rows and by columns; residual, relu and the finished stretches; at
 * every CPU level. */
#include "op/implicit.c"

#include "base/cpu.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

struct form {
    size_t batch, groups, in, out; /* in, out: of one group */
    int64_t size[2], kernel, stride, before;
    bool bias, plus, relu;
};

static const struct form forms[] = {
    {1, 1, 64, 160, {7, 7}, 1, 1, 0, true, true, true},   /* by columns */
    {2, 1, 17, 133, {7, 7}, 3, 1, 1, true, true, false},  /* by columns, a last panel in part */
    {1, 1, 20, 513, {9, 9}, 3, 2, 1, false, false, true}, /* by columns */
    {3, 1, 9, 40, {13, 11}, 1, 1, 0, true, true, true},
    {1, 1, 3, 24, {23, 31}, 7, 2, 3, true, false, true},
    {2, 3, 5, 35, {12, 9}, 3, 1, 0, true, true, true},
    {1, 1, 5, 7, {40, 41}, 2, 2, 0, false, true, false},
    {1, 1, 250, 450, {5, 30}, 1, 1, 0, true, true, true}, /* panels larger than a cache */
    {1, 24, 1, 1, {10, 10}, 3, 1, 1, true, false, false}, /* depthwise */
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

static double definition(const struct implicit *p, const float *x, const float *w, size_t at,
                         size_t out) {
    const size_t picture = at / window_pixels(&p->w), pixel = at % window_pixels(&p->w),
                 group = out / p->out, taps = window_taps(&p->w);
    double sum = 0;
    for (size_t tap = 0; tap < taps; tap++) {
        ptrdiff_t from = window_at(&p->w, pixel, tap);
        for (size_t i = 0; from >= 0 && i < p->in; i++)
            sum += (double)x[((picture * window_inputs(&p->w) + (size_t)from) * p->groups + group) *
                                 p->in +
                             i] *
                   (double)w[(out * p->in + i) * taps + tap];
    }
    return sum;
}

static void count_done(void *ctx, size_t begin, size_t count) {
    unsigned char *times = ctx;
    for (size_t i = 0; i < count; i++)
        times[begin + i]++;
}

static struct window window_for(const struct form *f) {
    struct window w = {.n = 2};
    for (int i = 0; i < 2; i++) {
        w.in[i] = f->size[i], w.before[i] = w.after[i] = f->before;
        w.kernel[i] = f->kernel, w.stride[i] = f->stride, w.dilation[i] = 1;
        w.out[i] = (f->size[i] + 2 * f->before - f->kernel) / f->stride + 1;
    }
    return w;
}

static void check_form(const struct form *f, int threads) {
    const struct window window = window_for(f);
    struct implicit p;
    implicit_plan(&p, &window, f->batch, f->groups, f->in, f->out);
    const size_t outs = f->groups * f->out, n = f->batch * window_pixels(&window) * outs;
    float *x = numbers(f->batch * window_inputs(&window) * f->groups * f->in),
          *w = numbers(outs * f->in * window_taps(&window)), *bias = numbers(outs),
          *plus = numbers(n), *y = numbers(n),
          *packed = aligned_alloc(64, (implicit_packed(&p) * sizeof(float) + 63) / 64 * 64);
    char *scratch = aligned_alloc(64, implicit_scratch(&p, threads));
    unsigned char *done = calloc(n, 1);
    assert_true(packed && scratch && done);
    implicit_pack(&p, w, packed);
    implicit_run(&p, &(struct implicit_run){.x = x,
                                            .packed = packed,
                                            .bias = f->bias ? bias : NULL,
                                            .plus = f->plus ? plus : NULL,
                                            .relu = f->relu,
                                            .y = y,
                                            .scratch = scratch,
                                            .threads = threads,
                                            .ahead = {w, f->in * 9}, /* is only fetched */
                                            .done = count_done,
                                            .ctx = done});
    for (size_t i = 0; i < n; i++) {
        double want = definition(&p, x, w, i / outs, i % outs) +
                      (f->bias ? (double)bias[i % outs] : 0) + (f->plus ? (double)plus[i] : 0);
        if (f->relu && want < 0)
            want = 0;
        if (fabs(want - (double)y[i]) > 1e-5 * sqrt((double)(f->in * window_taps(&window))))
            fail_msg("%zu: %g is %g", i, want, (double)y[i]);
        assert_int_equal(done[i], 1);
    }
    free(x), free(w), free(bias), free(plus), free(y), free(packed), free(scratch), free(done);
}

static void test_forms(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++)
        for (int threads = 1; threads <= 3; threads++)
            check_form(&forms[i], threads);
}

/* Members of a team fetch all of it, each once. */
static void test_ahead(void **state) {
    (void)state;
    static const float memory[1000];
    for (int parts = 1; parts <= 3; parts++) {
        const float *at = memory;
        for (int i = 0; i < parts; i++) {
            struct panel_ahead part =
                panel_ahead_part(&(struct panel_ahead){memory, 1000}, parts, i);
            assert_ptr_equal(part.at, at);
            at += part.left;
        }
        assert_ptr_equal(at, memory + 1000);
    }
    assert_int_equal(panel_ahead_part(&(struct panel_ahead){0}, 2, 1).left, 0);
}

int main(void) {
    struct err e;
    if (cpu_setup(&e) != OK)
        return 1;
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_forms), cmocka_unit_test(test_ahead)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
