/* SPDX-License-Identifier: Apache-2.0 */
/* Strassen's product against the definition in f64: entries, an odd number of rows, both ways of
 * sharing the work, rows that must not meet in a sum, the finished stretches. */
#include "op/strassen.c"

#include "base/cpu.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static float number(void) {
    static uint64_t seed = 88172645463325252u;
    seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
    return (float)(seed >> 40) / (float)(1 << 23) - 1;
}

static float *numbers(size_t n) {
    float *p = aligned_alloc(64, mem_round_up(n * sizeof *p, MEM_LINE));
    assert_non_null(p);
    for (size_t i = 0; i < n; i++)
        p[i] = number();
    return p;
}

static void count_done(const void *context, size_t begin, size_t count) {
    unsigned char *times = (unsigned char *)(uintptr_t)context;
    for (size_t i = 0; i < count; i++)
        times[begin + i]++;
}

struct form {
    size_t entries, rows, n, k;
    bool bias;
};

struct product {
    struct strassen p;
    float *a, *b, *bias, *c, *packed;
    unsigned char *done;
};

static struct product product_of(const struct form *f, int threads) {
    struct product t;
    const size_t m = f->entries * f->rows;
    assert_true(strassen_plan(&t.p, f->entries, f->rows, f->n, f->k, threads));
    t.a = numbers(m * f->k), t.b = numbers(f->k * f->n), t.c = numbers(m * f->n);
    t.bias = numbers(f->n), t.packed = numbers(strassen_floats(&t.p));
    assert_non_null(t.done = calloc(m * f->n, 1));
    strassen_pack(&t.p, t.b, t.packed);
    return t;
}

static void product_run(const struct product *t, bool bias) {
    char *scratch = aligned_alloc(64, strassen_scratch(&t->p));
    assert_non_null(scratch);
    memset(scratch, 0xff, strassen_scratch(&t->p));
    strassen_run(&t->p, &(struct strassen_run){.a = t->a,
                                               .packed = t->packed,
                                               .bias = bias ? t->bias : NULL,
                                               .c = t->c,
                                               .scratch = scratch,
                                               .done = count_done,
                                               .context = t->done});
    free(scratch);
}

static void product_free(struct product *t) {
    free(t->a), free(t->b), free(t->bias), free(t->c), free(t->packed), free(t->done);
}

static double definition(const struct product *t, size_t row, size_t col, bool bias) {
    double sum = bias ? (double)t->bias[col] : 0;
    for (size_t k = 0; k < t->p.k; k++)
        sum += (double)t->a[row * t->p.k + k] * (double)t->b[k * t->p.n + col];
    return sum;
}

/* Every row within `limit` of its length times that of a column, which is about sqrt(k / 3). */
static void check(const struct product *t, size_t row, bool bias, double limit) {
    double length = 0;
    for (size_t k = 0; k < t->p.k; k++)
        length += pow((double)t->a[row * t->p.k + k], 2);
    length = sqrt(length) * sqrt((double)t->p.k / 3) + (bias ? 1 : 0);
    for (size_t col = 0; col < t->p.n; col += 7) {
        const double want = definition(t, row, col, bias), got = (double)t->c[row * t->p.n + col];
        if (!(fabs(want - got) <= limit * length))
            fail_msg("row %zu, column %zu: %g is %g, off by %g", row, col, want, got,
                     fabs(want - got) / length);
    }
}

static void test_forms(void **state) {
    (void)state;
    static const struct form forms[] = {
        {1, 128, 256, 768, true}, {3, 65, 320, 770, true},  {1, 200, 256, 768, false},
        {5, 64, 256, 770, false}, {2, 127, 384, 768, true},
    };
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        for (int threads = 1; threads <= 2; threads++) {
            struct product t = product_of(&forms[i], threads);
            product_run(&t, forms[i].bias);
            for (size_t row = 0; row < forms[i].entries * forms[i].rows; row += 3)
                check(&t, row, forms[i].bias, 4e-7);
            for (size_t at = 0; at < forms[i].entries * forms[i].rows * forms[i].n; at++)
                assert_int_equal(t.done[at], 1);
            product_free(&t);
        }
}

/* Row 3 meets row 67, 10 meets 74, 20 meets 84, 30 meets 94. */
static void test_rows_apart(void **state) {
    (void)state;
    const struct form f = {1, 128, 256, 768, true};
    struct product t = product_of(&f, 2);
    for (size_t k = 0; k < f.k; k++) {
        t.a[3 * f.k + k] *= 1e6F;
        t.a[74 * f.k + k] *= 1e-6F;
        t.a[20 * f.k + k] = 0;
    }
    t.a[30 * f.k + 5] = NAN;
    t.a[40 * f.k + 700] = INFINITY;
    product_run(&t, false);
    for (size_t row = 0; row < f.rows; row++)
        if (row == 20)
            for (size_t col = 0; col < f.n; col++)
                assert_true(t.c[row * f.n + col] == 0);
        else if (row == 30 || row == 40)
            for (size_t col = 0; col < f.n; col++)
                assert_false(isfinite(t.c[row * f.n + col]));
        else
            check(&t, row, false, 4e-7);
    product_free(&t);
}

static void test_plan(void **state) {
    (void)state;
    const size_t nr = tile_size().nr;
    struct strassen p;
    assert_false(strassen_plan(&p, 4, 32, 256, 768, 1));  /* few rows */
    assert_false(strassen_plan(&p, 1, 128, 256, 769, 1)); /* no halves */
    assert_false(strassen_plan(&p, 1, 128, 256 + nr, 768, 1));
    assert_true(strassen_plan(&p, 1, 128, 256, 768, 2));
    assert_true(p.share);
    assert_true(strassen_plan(&p, 8, 128, 256, 768, 2));
    assert_false(p.share);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_rows_apart),
        cmocka_unit_test(test_plan),
    };
    struct err e;
    if (cpu_setup(&e) != OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
