/* SPDX-License-Identifier: Apache-2.0 */
/* Products with a matrix that does not lie as f32: some of its columns at a time are widened into
 * scratch, so that it is read once whatever the number of rows it meets. */
#pragma once

#include <stddef.h>

struct columns {
    size_t n, k;
    /* Column `at` of the matrix as k floats. */
    void (*widen)(const void *context, size_t at, float *to);
    const void *context;
};

/* Bytes for a product of m rows by a team; SIZE_MAX: too many. */
size_t columns_scratch(const struct columns *w, size_t m, int team);

/* y (m, n) = a (m, k) * w + bias; bias: (n) or NULL. */
void columns_multiply(const struct columns *w, size_t m, const float *a, const float *bias,
                      float *y, size_t y_row, void *scratch, int team);
