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

static struct window window_of_form(const struct form *f, int64_t step) {
    struct window w = {.n = 2};
    for (int i = 0; i < 2; i++) {
        w.in[i] = f->size[i], w.before[i] = f->before[i], w.after[i] = f->after[i];
        w.kernel[i] = 3, w.stride[i] = step, w.dilation[i] = 1;
        w.out[i] = (f->size[i] + f->before[i] + f->after[i] - 3) / step + 1;
    }
    return w;
}

static bool plan(struct winograd *p, const struct window *w, size_t batch, size_t groups,
                 enum winograd_kind kind) {
    struct implicit of;
    implicit_plan(&of, w, batch, groups, 8, 8);
    return winograd_plan(p, &of, kind, 2);
}

/* Of elements that are f32, or bf16 as `x` holds them after the call. */
static void *as_kind(float *x, size_t n, bool bf16) {
    if (!bf16)
        return x;
    uint16_t *narrow = malloc(n * sizeof *narrow);
    assert_non_null(narrow);
    kernel_set()->narrow_bf16(n, x, narrow);
    kernel_set()->widen_bf16(n, narrow, x);
    return narrow;
}

enum variant { F32, F32_2X2, F32_STRIDED, BF16, BF16_WIDE, KINDS };
static const enum winograd_kind kinds[KINDS] = {WINOGRAD_F32, WINOGRAD_F32_2X2,
                                                WINOGRAD_F32_STRIDED, WINOGRAD_BF16, WINOGRAD_BF16};

/* In units of the sums' standard deviation. The largest seen: f32 4e-5, 2 x 2 and strided 2e-6,
 * bf16 2.7e-2. A result in bf16 is rounded once more. */
static double limit_of(const struct winograd *p, enum variant kind, double want) {
    static const double limits[] = {[WINOGRAD_F32] = 1e-4,
                                    [WINOGRAD_F32_2X2] = 1e-5,
                                    [WINOGRAD_F32_STRIDED] = 1e-5,
                                    [WINOGRAD_BF16] = 4e-2};
    return limits[p->kind] * sqrt((double)p->in) + (kind == BF16 ? fabs(want) * 0x1p-8 : 0);
}

static void check_form(const struct form *f, int threads, enum variant kind) {
    const struct window window = window_of_form(f, kind == F32_STRIDED ? 2 : 1);
    struct implicit of;
    struct winograd p;
    implicit_plan(&of, &window, f->batch, 1, f->in, f->out);
    if (!winograd_plan(&p, &of, kinds[kind], threads)) {
        assert_true(kinds[kind] == WINOGRAD_BF16 && f->in % 2);
        return;
    }
    size_t pixels = f->batch * window_pixels(&window), n_in = f->batch * window_inputs(&window);
    float *x = numbers(n_in * f->in), *w = numbers(f->out * f->in * 9), *bias = numbers(f->out),
          *y = numbers(pixels * f->out);
    uint16_t *narrow = calloc(pixels * f->out, sizeof *narrow);
    void *packed = aligned_alloc(64, mem_round_up(winograd_packed(&p), MEM_LINE)),
         *given = as_kind(x, n_in * f->in, p.kind == WINOGRAD_BF16);
    char *scratch = aligned_alloc(64, winograd_scratch(&p, threads));
    unsigned char *done = calloc(pixels * f->out, 1);
    assert_true(packed && scratch && done && narrow);
    memset(scratch, 0xff, winograd_scratch(&p, threads));
    winograd_pack(&p, w, packed);
    winograd_run(&p, &(struct winograd_run){.x = given,
                                            .packed = packed,
                                            .bias = f->bias ? bias : NULL,
                                            .y = kind == BF16 ? (void *)narrow : y,
                                            .wide = kind == BF16_WIDE,
                                            .scratch = scratch,
                                            .threads = threads,
                                            .relu = f->relu,
                                            .done = count_done,
                                            .ctx = done});
    if (kind == BF16)
        kernel_set()->widen_bf16(pixels * f->out, narrow, y);
    for (size_t i = 0; i < pixels * f->out; i++) {
        double want =
            definition(&p, x, w, i / f->out, i % f->out) + (f->bias ? (double)bias[i % f->out] : 0);
        if (f->relu && want < 0)
            want = 0;
        if (fabs(want - (double)y[i]) > limit_of(&p, kind, want))
            fail_msg("%zu: %g is %g", i, want, (double)y[i]);
        assert_int_equal(done[i], 1);
    }
    if (given != x)
        free(given);
    free(x), free(w), free(bias), free(y), free(narrow), free(packed), free(scratch), free(done);
}

/* --- bytes: exactly what the definition says --- */

static const struct form byte_forms[] = {
    {1, 64, 64, {15, 17}, {1, 1}, {1, 1}, true, true},
    {3, 32, 96, {6, 5}, {0, 2}, {1, 0}, true, false},
    {2, 96, 32, {14, 14}, {1, 1}, {1, 1}, false, true},
    {1, 32, 32, {1, 1}, {1, 1}, {1, 1}, true, false},
};

static int32_t byte_at(const uint8_t *x, size_t at, bool is_signed) {
    return is_signed ? ((const int8_t *)x)[at] : x[at];
}

static int64_t sum_at(const struct winograd *p, const uint8_t *x, const int8_t *w, size_t at,
                      size_t out, const struct winograd_q8 *b) {
    size_t picture = at / window_pixels(&p->w), pixel = at % window_pixels(&p->w);
    int64_t sum = b->bias[out];
    for (size_t tap = 0; tap < 9; tap++) {
        ptrdiff_t from = window_at(&p->w, pixel, tap);
        const size_t first = (picture * window_inputs(&p->w) + (size_t)from) * p->in;
        for (size_t i = 0; i < p->in; i++) {
            int32_t v = byte_at(from < 0 ? &b->padding : x, from < 0 ? 0 : first + i, b->x_signed);
            sum += (v + (b->x_signed ? 128 : 0)) * w[(out * p->in + i) * 9 + tap];
        }
    }
    return sum;
}

static void check_bytes(const struct form *f, int threads, bool is_signed) {
    struct winograd p;
    const struct window window = window_of_form(f, 1);
    struct implicit of;
    implicit_plan(&of, &window, f->batch, 1, f->in, f->out);
    assert_true(winograd_plan(&p, &of, WINOGRAD_Q8, threads));
    size_t pixels = f->batch * window_pixels(&window),
           inputs = f->batch * window_inputs(&window) * f->in, weights = f->out * f->in * 9;
    uint8_t *x = malloc(inputs), *y = malloc(pixels * f->out);
    int8_t *w = malloc(weights);
    float *scale = numbers(f->out);
    void *packed = aligned_alloc(64, mem_round_up(winograd_packed(&p), MEM_LINE));
    int32_t *bias = malloc(f->out * sizeof *bias);
    char *scratch = aligned_alloc(64, winograd_scratch(&p, threads));
    assert_true(x && y && w && bias && packed && scratch);
    memset(scratch, 0xff, winograd_scratch(&p, threads));
    for (size_t i = 0; i < inputs; i++)
        x[i] = (uint8_t)(128 + 128 * number());
    for (size_t i = 0; i < weights; i++)
        w[i] = (int8_t)(128 * number());
    for (size_t i = 0; i < f->out; i++)
        bias[i] = (int32_t)(1e5f * number()), scale[i] = 1e-3f * (scale[i] + 1.5f);
    const struct winograd_q8 b = {.bias = bias,
                                  .scale = scale,
                                  .padding = 77,
                                  .x_signed = is_signed,
                                  .y_signed = is_signed,
                                  .y_zero = is_signed ? -9 : 90};
    assert_true(winograd_is_exact(&p, w));
    winograd_pack_q8(&p, w, packed);
    winograd_run(
        &p,
        &(struct winograd_run){
            .x = x, .packed = packed, .y = y, .scratch = scratch, .threads = threads, .q8 = &b});
    for (size_t i = 0; i < pixels * f->out; i++) {
        const size_t out = i % f->out;
        float v = rintf((float)sum_at(&p, x, w, i / f->out, out, &b) * scale[out]) +
                  (float)b.y_zero,
              low = is_signed ? -128 : 0;
        assert_int_equal(byte_at(y, i, is_signed), (int)fmaxf(low, fminf(low + 255, v)));
    }
    free(x), free(y), free(w), free(scale), free(packed), free(bias), free(scratch);
}

static void test_bytes(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof byte_forms / sizeof byte_forms[0]; i++)
        for (int threads = 1; threads <= 3; threads++)
            check_bytes(&byte_forms[i], threads, i % 2);
}

static bool plan_q8(struct winograd *p, const struct window *w, size_t in, size_t out) {
    struct implicit of;
    implicit_plan(&of, w, 1, 1, in, out);
    return winograd_plan(p, &of, WINOGRAD_Q8, 1);
}

/* Beyond 26 bits, and channels that no kernel takes. */
static void test_bytes_refused(void **state) {
    (void)state;
    struct winograd p;
    struct form f = {1, 128, 32, {6, 6}, {1, 1}, {1, 1}, false, false};
    struct window w = window_of_form(&f, 1);
    static int8_t weights[32 * 128 * 9];
    assert_true(plan_q8(&p, &w, 128, 32));
    memset(weights, 114, sizeof weights);
    assert_true(winograd_is_exact(&p, weights));
    memset(weights + 31 * 128 * 9, 115, 128 * 9);
    assert_false(winograd_is_exact(&p, weights));
    memset(weights, -115, sizeof weights);
    assert_false(winograd_is_exact(&p, weights));
    assert_false(plan_q8(&p, &w, 48, 32));
    assert_false(plan_q8(&p, &w, 32, 16));
}

static void test_forms(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++)
        for (int threads = 1; threads <= 3; threads++)
            for (enum variant kind = F32; kind < KINDS; kind++)
                check_form(&forms[i], threads, kind);
}

static void test_other_windows(void **state) {
    (void)state;
    struct winograd p;
    struct window w = {2, {9, 9}, {9, 9}, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}}, other = w;
    assert_true(plan(&p, &w, 1, 1, WINOGRAD_F32));
    assert_false(winograd_pays(&p));
    assert_false(plan(&p, &w, 1, 2, WINOGRAD_F32));
    assert_false(plan(&p, &w, 1, 1, WINOGRAD_F32_STRIDED));
    other.stride[1] = 2;
    assert_false(plan(&p, &other, 1, 1, WINOGRAD_F32));
    assert_false(plan(&p, &other, 1, 1, WINOGRAD_F32_STRIDED));
    other = w, other.kernel[0] = 1;
    assert_false(plan(&p, &other, 1, 1, WINOGRAD_F32));
    other = w, other.dilation[0] = 2;
    assert_false(plan(&p, &other, 1, 1, WINOGRAD_F32));
    assert_false(plan(&p, &w, 0, 1, WINOGRAD_BF16));
    w.in[0] = w.in[1] = w.out[0] = w.out[1] = 56;
    struct implicit of;
    implicit_plan(&of, &w, 1, 1, 64, 64);
    assert_true(winograd_plan(&p, &of, WINOGRAD_F32, 2));
    assert_true(winograd_pays(&p));
    implicit_plan(&of, &w, 1, 1, 63, 64); /* pairs */
    assert_false(winograd_plan(&p, &of, WINOGRAD_BF16, 2));
}

int main(void) {
    struct err e;
    if (cpu_setup(&e) != OK)
        return 1;
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_forms), cmocka_unit_test(test_bytes),
                                       cmocka_unit_test(test_bytes_refused),
                                       cmocka_unit_test(test_other_windows)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
