/* SPDX-License-Identifier: Apache-2.0 */
/* Fast Fourier transforms; see fourier.h. */
#include "op/fourier.h"

#include <math.h>
#include <string.h>

static size_t power_of_two(size_t n) {
    size_t m = 1;
    while (m < n)
        m *= 2;
    return m;
}

bool fourier_room(size_t n, size_t *out) {
    if (n > (size_t)1 << 40)
        return false;
    size_t m = power_of_two(2 * n);
    *out = 2 * (m + m / 2 + 1 + n + m);
    return true;
}

static void multiply(double *y, const double *a, const double *b) {
    double re = a[0] * b[0] - a[1] * b[1], im = a[0] * b[1] + a[1] * b[0];
    y[0] = re;
    y[1] = im;
}

static void turn(double *y, double angle) {
    y[0] = cos(angle);
    y[1] = sin(angle);
}

/* Puts element k at the place whose bits are k's, reversed. */
static void reverse_bits(double *x, size_t m) {
    for (size_t k = 1, j = 0; k < m; k++) {
        size_t bit = m >> 1;
        for (; j & bit; bit >>= 1)
            j ^= bit;
        j ^= bit;
        if (k < j) {
            double swap[2] = {x[2 * k], x[2 * k + 1]};
            memcpy(x + 2 * k, x + 2 * j, sizeof swap);
            memcpy(x + 2 * j, swap, sizeof swap);
        }
    }
}

/* x (m, 2), forward. */
static void radix2(const struct fourier *f, double *x) {
    reverse_bits(x, f->m);
    for (size_t half = 1; half < f->m; half *= 2) {
        size_t step = f->m / (2 * half);
        for (size_t first = 0; first < f->m; first += 2 * half)
            for (size_t k = 0; k < half; k++) {
                double *a = x + 2 * (first + k), *b = a + 2 * half, t[2];
                multiply(t, b, f->twiddle + 2 * k * step);
                b[0] = a[0] - t[0];
                b[1] = a[1] - t[1];
                a[0] += t[0];
                a[1] += t[1];
            }
    }
}

/* The inverse of x is the conjugate of the transform of x's conjugate. */
static void conjugate(double *x, size_t n) {
    for (size_t k = 0; k < n; k++)
        x[2 * k + 1] = -x[2 * k + 1];
}

void fourier_init(struct fourier *f, size_t n, double *room) {
    f->n = n;
    f->m = power_of_two(n);
    if (f->m != n)
        f->m = power_of_two(2 * n);
    f->work = room;
    f->twiddle = f->work + 2 * f->m;
    f->chirp = f->twiddle + f->m + 2;
    f->kernel = f->chirp + 2 * n;
    for (size_t k = 0; k < f->m / 2; k++)
        turn(f->twiddle + 2 * k, -2 * M_PI * (double)k / (double)f->m);
    if (f->m == n)
        return;
    memset(f->kernel, 0, 2 * f->m * sizeof *f->kernel);
    for (size_t k = 0; k < n; k++) { /* k * k modulo 2n, so that the angle stays exact */
        double angle = M_PI * (double)((__uint128_t)k * k % (2 * n)) / (double)n;
        turn(f->chirp + 2 * k, -angle);
        turn(f->kernel + 2 * k, angle);
        if (k)
            turn(f->kernel + 2 * (f->m - k), angle);
    }
    radix2(f, f->kernel);
}

static void bluestein(const struct fourier *f, double *x) {
    for (size_t k = 0; k < f->n; k++)
        multiply(f->work + 2 * k, x + 2 * k, f->chirp + 2 * k);
    memset(f->work + 2 * f->n, 0, 2 * (f->m - f->n) * sizeof *f->work);
    radix2(f, f->work);
    for (size_t k = 0; k < f->m; k++)
        multiply(f->work + 2 * k, f->work + 2 * k, f->kernel + 2 * k);
    conjugate(f->work, f->m);
    radix2(f, f->work);
    conjugate(f->work, f->m);
    for (size_t k = 0; k < f->n; k++) {
        multiply(x + 2 * k, f->work + 2 * k, f->chirp + 2 * k);
        x[2 * k] /= (double)f->m;
        x[2 * k + 1] /= (double)f->m;
    }
}

void fourier_run(const struct fourier *f, double *x, bool inverse) {
    if (inverse)
        conjugate(x, f->n);
    if (f->m == f->n)
        radix2(f, x);
    else
        bluestein(f, x);
    if (inverse)
        conjugate(x, f->n);
}
