/* SPDX-License-Identifier: Apache-2.0 */
/* Scalar twins of Winograd's transforms of bytes; kernel.h says how they stay exact. */
#include "kernel/kernel.h"

enum { IN = WINOGRAD_IN, OUT = WINOGRAD_OUT };

static const int32_t b_rows[IN][IN] = {{4, 0, -5, 0, 1, 0},  {0, -4, -4, 1, 1, 0},
                                       {0, 4, -4, -1, 1, 0}, {0, -2, -1, 2, 1, 0},
                                       {0, 2, -1, -2, 1, 0}, {0, 4, 0, -5, 0, 1}};
/* A' with the weights' factors taken out again: 24, 12, 6 and 6 times its rows... */
static const int32_t a_rows[OUT][IN] = {
    {1, -4, -4, 1, 1, 0}, {0, -2, 2, 1, -1, 0}, {0, -1, -1, 1, 1, 0}, {0, -1, 1, 2, -2, 1}};
/* ...which are 3 times these powers of two. */
static const int twos[OUT] = {3, 2, 1, 1};

void winograd_in_q8_scalar(const struct winograd_in_q8 *c) {
    for (size_t i = 0; i < c->n; i++)
        for (int row = 0; row < IN; row++)
            for (int col = 0; col < IN; col++) {
                int32_t sum = 0;
                for (int p = 0; p < IN * IN; p++)
                    sum += b_rows[row][p / IN] * b_rows[col][p % IN] * (c->x[p][i] ^ c->flip);
                c->v[(size_t)(row * IN + col) * c->v_step + i] = (int16_t)sum;
            }
}

void winograd_out_q8_scalar(const struct winograd_out_q8 *c) {
    const uint32_t ninth = 954437177; /* of 1, modulo 2^32 */
    for (size_t i = 0; i < c->n; i++)
        for (int at = 0; at < OUT * OUT; at++) {
            uint32_t sum = 0;
            for (int p = 0; p < IN * IN; p++)
                sum += (uint32_t)(a_rows[at / OUT][p / IN] * a_rows[at % OUT][p % IN]) *
                       (uint32_t)c->m[(size_t)p * c->m_step + i];
            const int32_t exact = (int32_t)(sum * ninth) >> (twos[at / OUT] + twos[at % OUT]);
            if (c->y[at])
                requant_scalar(&(struct requant){.n = 1,
                                                 .sums = &exact,
                                                 .bias = c->bias + i,
                                                 .scale = c->scale + i,
                                                 .zero = c->zero,
                                                 .low = c->is_signed ? -128 : 0,
                                                 .high = c->is_signed ? 127 : 255,
                                                 .y = c->y[at] + i});
        }
}
