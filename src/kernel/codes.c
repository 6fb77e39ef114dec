/* SPDX-License-Identifier: Apache-2.0 */
/* Scalar twins of the products with weights of 4 and 8 bits that stay as a file holds them: see
 * struct codes. */
#include "kernel/kernel.h"

/* Where a row of activations keeps number i. */
static size_t place_of(size_t i, int bits) {
    const size_t at = i % CODES_GROUP;
    return bits == 8 ? i : i - at + at / 2 + at % 2 * (CODES_GROUP / 2);
}

static float weight_at(const struct codes *c, size_t row, size_t i) {
    const size_t block = i / c->block;
    const int zero = codes_zero(c, row, block, (size_t)c->bits);
    const uint8_t *w = c->w + row * codes_row(c);
    return (float)((int)codes_number(w, i, (size_t)c->bits) - zero) *
           c->scales[row * (c->k / c->block) + block];
}

void codes_widen_scalar(const struct codes *c, size_t row, float *y) {
    for (size_t i = 0; i < c->k; i++)
        y[place_of(i, c->bits)] = weight_at(c, row, i);
}

void codes_dot_scalar(const struct codes *c, size_t m, const float *a, float *y, size_t y_row) {
    for (size_t r = 0; r < m; r++)
        for (size_t row = 0; row < c->n; row++) {
            float sum = 0;
            for (size_t i = 0; i < c->k; i++)
                sum += a[r * c->k + place_of(i, c->bits)] * weight_at(c, row, i);
            y[r * y_row + row] = sum;
        }
}
