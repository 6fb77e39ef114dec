/* SPDX-License-Identifier: Apache-2.0 */
/* Moving an array to other sizes along its axes, when it is known for each axis which elements of
 * the old one make an element of the new one. Nothing here knows scales, modes or coordinates.
 *
 * 1. Axes are in the order in which elements lie; shapes and tables were checked by the caller.
 * 2. Element o of an axis is made from `taps` elements from start[o] on, which all exist;
 * start[o] < 0: it lies outside and takes the fill value.
 * 3. An axis with taps = 0 stays as it is. */
#pragma once

#include "tensor/shape.h"

struct resample_axis {
    size_t in, out, taps;
    ptrdiff_t *start; /* (out) */
    void *weight;     /* (out, taps) f32 or f64; not read by resample_nearest */
};
struct resample {
    int rank;
    struct resample_axis axis[SHAPE_MAX];
    int threads;
};

/* Elements of any type, `bytes` each; every axis that changes has one tap. */
void resample_nearest(const struct resample *r, size_t bytes, const void *x, const void *fill,
                      void *y);

/* Weighted sums, one axis after the other: those that shrink first. */
struct resample_room {
    void *between[2]; /* results between axes: as many elements as the larger of x and y; the second
                         only for three axes or more */
    const float **rows; /* (threads, most taps) */
};
void resample_f32(const struct resample *r, const struct resample_room *room, const float *x,
                  float fill, float *y);
void resample_f64(const struct resample *r, const struct resample_room *room, const double *x,
                  double fill, double *y);
