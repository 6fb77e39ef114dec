/* SPDX-License-Identifier: Apache-2.0 */
/* Scalar twins of the two transforms around Winograd's F(4x4, 3x3), Lavin and Gray 2015, section
 * 4.3: y = A' ((G w G') . (B' x B)) A. Points 0, 1, -1, 2, -2 and infinity. */
#include "kernel/kernel.h"

enum { IN = WINOGRAD_IN, OUT = WINOGRAD_OUT };

static const float b_rows[IN][IN] = {{4, 0, -5, 0, 1, 0},  {0, -4, -4, 1, 1, 0},
                                     {0, 4, -4, -1, 1, 0}, {0, -2, -1, 2, 1, 0},
                                     {0, 2, -1, -2, 1, 0}, {0, 4, 0, -5, 0, 1}};
static const float a_rows[OUT][IN] = {
    {1, 1, 1, 1, 1, 0}, {0, 1, -1, 2, -2, 0}, {0, 1, 1, 4, 4, 0}, {0, 1, -1, 8, -8, 1}};

/* to = rows * from * rows', from (IN, IN). */
static void sandwich(const float (*rows)[IN], int n, float from[IN][IN], float to[IN][IN]) {
    float half[IN][IN] = {{0}};
    for (int i = 0; i < n; i++)
        for (int j = 0; j < IN; j++)
            for (int k = 0; k < IN; k++)
                half[i][j] += rows[i][k] * from[k][j];
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            to[i][j] = 0;
            for (int k = 0; k < IN; k++)
                to[i][j] += half[i][k] * rows[j][k];
        }
}

void winograd_in_scalar(const struct winograd_in *c) {
    for (size_t i = 0; i < c->n; i++) {
        float from[IN][IN], to[IN][IN];
        for (int p = 0; p < IN * IN; p++)
            from[p / IN][p % IN] = c->x[p][i];
        sandwich(b_rows, IN, from, to);
        for (int p = 0; p < IN * IN; p++)
            c->v[(size_t)p * c->v_step + i] = to[p / IN][p % IN];
    }
}

void winograd_out_scalar(const struct winograd_out *c) {
    for (size_t i = 0; i < c->n; i++) {
        float from[IN][IN], to[IN][IN];
        for (int p = 0; p < IN * IN; p++)
            from[p / IN][p % IN] = c->m[(size_t)p * c->m_step + i];
        sandwich(a_rows, OUT, from, to);
        for (int p = 0; p < OUT * OUT; p++) {
            float y = to[p / OUT][p % OUT] + (c->bias ? c->bias[i] : 0);
            if (c->y[p])
                c->y[p][i] = c->relu && !(y > 0) && y == y ? 0 : y;
        }
    }
}
