/* SPDX-License-Identifier: Apache-2.0 */
/* Products with weights of 4 or 8 bits as a file holds them (kernel.h's struct codes): a few rows
 * meet the numbers as they are, more of them meet columns widened into scratch, some at a time. */
#pragma once

#include "kernel/kernel.h"
#include "op/operand.h"

/* Constant scales of any float type (an input of the node) as f32: where they lie, or widened once
 * and shared by the session's plans. *out: NULL when they are not constant. */
MUST_USE enum code numbers_scales(struct op_prepare *c, int input, const float **out,
                                  struct err *e);

/* Bytes for a product of m rows. */
size_t numbers_scratch(const struct codes *w, size_t m, int threads);

/* A row of n <= w->k numbers in the order that the weights want, zeros behind. */
void numbers_arrange(const struct codes *w, size_t n, const float *x, float *to);

/* y (m, n) = a (m, k) * w^T + bias; a: arranged rows; bias: (n) or NULL. */
void numbers_multiply(const struct codes *w, size_t m, const float *a, const float *bias, float *y,
                      size_t y_row, void *scratch, int threads);
