/* SPDX-License-Identifier: Apache-2.0 */
/* Fourier transforms of every small length against the definition. */
#include "op/fourier.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

static void check_length(size_t n) {
    size_t room;
    assert_true(fourier_room(n, &room));
    double *work = malloc(room * sizeof *work), *x = malloc(2 * n * sizeof *x),
           *in = malloc(2 * n * sizeof *in);
    struct fourier f;
    for (size_t k = 0; k < 2 * n; k++)
        x[k] = in[k] = (double)(k * k % 17) - 8;
    fourier_init(&f, n, work);
    fourier_run(&f, x, false);
    for (size_t k = 0; k < n; k++) {
        double re = 0, im = 0;
        for (size_t j = 0; j < n; j++) {
            double angle = -2 * M_PI * (double)(k * j % n) / (double)n;
            re += in[2 * j] * cos(angle) - in[2 * j + 1] * sin(angle);
            im += in[2 * j] * sin(angle) + in[2 * j + 1] * cos(angle);
        }
        assert_true(fabs(x[2 * k] - re) < 1e-9 * (double)n);
        assert_true(fabs(x[2 * k + 1] - im) < 1e-9 * (double)n);
    }
    fourier_run(&f, x, true);
    for (size_t k = 0; k < 2 * n; k++)
        assert_true(fabs(x[k] / (double)n - in[k]) < 1e-9);
    free(in);
    free(x);
    free(work);
}

static void every_length(void **state) {
    (void)state;
    for (size_t n = 1; n <= 68; n++)
        check_length(n);
    check_length(127);
    check_length(400);
    check_length(512);
}

static void a_length_that_is_too_large(void **state) {
    (void)state;
    size_t room;
    assert_false(fourier_room(SIZE_MAX, &room));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_length),
                                       cmocka_unit_test(a_length_that_is_too_large)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
