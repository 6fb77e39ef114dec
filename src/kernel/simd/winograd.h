/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies of Winograd's transforms; winograd_f32.c says what they are. The sums of B' and A' are
 * shared between the rows that differ in signs only. */
#pragma once

#include "kernel/kernel.h"
#include "kernel/simd/some.h"

/* t = B' d */
SIMD void line_in(const enum winograd_form form, const vf *d, vf *t) {
    if (form == WINOGRAD_2X2) {
        t[0] = vf_sub(d[0], d[2]);
        t[1] = vf_add(d[1], d[2]);
        t[2] = vf_sub(d[2], d[1]);
        t[3] = vf_sub(d[1], d[3]);
        return;
    }
    if (form == WINOGRAD_STRIDED) {
        t[0] = vf_sub(d[0], d[2]);
        t[1] = d[2];
        t[2] = vf_sub(d[4], d[2]);
        t[3] = d[1];
        t[4] = d[3];
        return;
    }
    const vf two = vf_set(2), four = vf_set(4), five = vf_set(5);
    vf even = vf_fnma(four, d[2], d[4]), odd = vf_fnma(four, d[1], d[3]);
    vf even2 = vf_sub(d[4], d[2]), odd2 = vf_mul(two, vf_sub(d[3], d[1]));
    t[0] = vf_fma(four, d[0], vf_fnma(five, d[2], d[4]));
    t[1] = vf_add(even, odd);
    t[2] = vf_sub(even, odd);
    t[3] = vf_add(even2, odd2);
    t[4] = vf_sub(even2, odd2);
    t[5] = vf_fma(four, d[1], vf_fnma(five, d[3], d[5]));
}

/* in: pixels of a side of the patch. Form and in are constant after inlining. */
SIMD void patch_in(const struct winograd_in *c, const enum winograd_form form, const size_t in,
                   size_t i, const size_t some) {
    vf half[WINOGRAD_IN][WINOGRAD_IN]; /* by row */
#pragma GCC unroll 6
    for (size_t col = 0; col < in; col++) {
        vf d[WINOGRAD_IN], t[WINOGRAD_IN];
#pragma GCC unroll 6
        for (size_t row = 0; row < in; row++)
            d[row] = some_load(c->x[row * in + col] + i, some);
        line_in(form, d, t);
#pragma GCC unroll 6
        for (size_t row = 0; row < in; row++)
            half[row][col] = t[row];
    }
#pragma GCC unroll 6
    for (size_t row = 0; row < in; row++) {
        vf t[WINOGRAD_IN];
        line_in(form, half[row], t);
#pragma GCC unroll 6
        for (size_t col = 0; col < in; col++)
            some_store(c->v + (row * in + col) * c->v_step + i, t[col], some);
    }
}

SIMD void form_in(const struct winograd_in *c, const enum winograd_form form, const size_t in) {
    size_t i = 0;
    for (; i + VL <= c->n; i += VL)
        patch_in(c, form, in, i, VL);
    if (i < c->n)
        patch_in(c, form, in, i, c->n - i);
}

void ISA(winograd_in)(const struct winograd_in *c) {
    switch (c->form) {
    case WINOGRAD_2X2: form_in(c, WINOGRAD_2X2, WINOGRAD2_IN); break;
    case WINOGRAD_STRIDED: form_in(c, WINOGRAD_STRIDED, WINOGRADS_IN); break;
    default: form_in(c, WINOGRAD_4X4, WINOGRAD_IN);
    }
}

/* t = A' m */
SIMD void line_out(const enum winograd_form form, const vf *m, vf *t) {
    if (form == WINOGRAD_2X2) {
        t[0] = vf_add(vf_add(m[0], m[1]), m[2]);
        t[1] = vf_sub(vf_sub(m[1], m[2]), m[3]);
        return;
    }
    if (form == WINOGRAD_STRIDED) {
        t[0] = vf_add(vf_add(m[0], m[1]), m[3]);
        t[1] = vf_add(vf_add(m[1], m[2]), m[4]);
        return;
    }
    vf sum = vf_add(m[1], m[2]), less = vf_sub(m[1], m[2]), sum2 = vf_add(m[3], m[4]),
       less2 = vf_sub(m[3], m[4]);
    t[0] = vf_add(vf_add(m[0], sum), sum2);
    t[1] = vf_fma(vf_set(2), less2, less);
    t[2] = vf_fma(vf_set(4), sum2, sum);
    t[3] = vf_add(vf_fma(vf_set(8), less2, less), m[5]);
}

/* in and out: numbers, and pixels, of a side. */
SIMD void patch_out(const struct winograd_out *c, const enum winograd_form form, const size_t in,
                    const size_t out, size_t i, const size_t some) {
    vf half[WINOGRAD_OUT][WINOGRAD_IN]; /* by row */
#pragma GCC unroll 6
    for (size_t col = 0; col < in; col++) {
        vf m[WINOGRAD_IN], t[WINOGRAD_OUT];
#pragma GCC unroll 6
        for (size_t row = 0; row < in; row++)
            m[row] = some_load(c->m + (row * in + col) * c->m_step + i, some);
        line_out(form, m, t);
#pragma GCC unroll 4
        for (size_t row = 0; row < out; row++)
            half[row][col] = t[row];
    }
    const vf bias = c->bias ? some_load(c->bias + i, some) : vf_zero();
#pragma GCC unroll 4
    for (size_t row = 0; row < out; row++) {
        vf t[WINOGRAD_OUT];
        line_out(form, half[row], t);
#pragma GCC unroll 4
        for (size_t col = 0; col < out; col++) {
            vf y = vf_add(t[col], bias);
            if (c->relu)
                y = vf_max(vf_zero(), y); /* the second operand is answered for NaN */
            if (c->y[row * out + col])
                some_store(c->y[row * out + col] + i, y, some);
        }
    }
}

SIMD void form_out(const struct winograd_out *c, const enum winograd_form form, const size_t in,
                   const size_t out) {
    size_t i = 0;
    for (; i + VL <= c->n; i += VL)
        patch_out(c, form, in, out, i, VL);
    if (i < c->n)
        patch_out(c, form, in, out, i, c->n - i);
}

void ISA(winograd_out)(const struct winograd_out *c) {
    switch (c->form) {
    case WINOGRAD_2X2: form_out(c, WINOGRAD_2X2, WINOGRAD2_IN, WINOGRAD2_OUT); break;
    case WINOGRAD_STRIDED: form_out(c, WINOGRAD_STRIDED, WINOGRADS_IN, WINOGRADS_OUT); break;
    default: form_out(c, WINOGRAD_4X4, WINOGRAD_IN, WINOGRAD_OUT);
    }
}
