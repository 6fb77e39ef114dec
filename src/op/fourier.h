/* SPDX-License-Identifier: Apache-2.0 */
/* Discrete Fourier transforms of any length, in double precision: radix 2 where the length is a
 * power of two, Bluestein's chirp (1970) over such a one otherwise. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct fourier {     /* complex numbers as pairs */
    size_t n;        /* length of the transform */
    size_t m;        /* power of two that carries it: n itself, or >= 2n - 1 */
    double *work;    /* (m, 2) */
    double *twiddle; /* (m / 2, 2) */
    double *chirp;   /* (n, 2), and its transform (m, 2); unused when m == n */
    double *kernel;
};

/* Doubles that fourier_init needs for transforms up to n; false: too large. */
bool fourier_room(size_t n, size_t *out);
void fourier_init(struct fourier *f, size_t n, double *room);
/* x (n, 2) in place; inverse: not scaled by 1/n. */
void fourier_run(const struct fourier *f, double *x, bool inverse);
