/* SPDX-License-Identifier: Apache-2.0 */
/* Scalar twins of the transforms around Winograd's convolutions, Lavin and Gray 2015, sections 4.1
 * and 4.3: y = A' ((G w G') . (B' x B)) A. Points 0, 1, -1, 2, -2 and infinity; of 2 x 2 without
 * the twos. A window that moves by two sees even and odd pixels apart: F(2, 2) over the even ones,
 * one product each over the odd ones. */
#include "kernel/kernel.h"

enum { IN = WINOGRAD_IN, OUT = WINOGRAD_OUT };

static const struct {
    int in, out;
    float b[IN][IN], a[OUT][IN]; /* B', A' */
} forms[] = {
    [WINOGRAD_4X4] =
        {WINOGRAD_IN,
         WINOGRAD_OUT,
         {{4, 0, -5, 0, 1, 0},
          {0, -4, -4, 1, 1, 0},
          {0, 4, -4, -1, 1, 0},
          {0, -2, -1, 2, 1, 0},
          {0, 2, -1, -2, 1, 0},
          {0, 4, 0, -5, 0, 1}},
         {{1, 1, 1, 1, 1, 0}, {0, 1, -1, 2, -2, 0}, {0, 1, 1, 4, 4, 0}, {0, 1, -1, 8, -8, 1}}},
    [WINOGRAD_2X2] = {WINOGRAD2_IN,
                      WINOGRAD2_OUT,
                      {{1, 0, -1, 0}, {0, 1, 1, 0}, {0, -1, 1, 0}, {0, 1, 0, -1}},
                      {{1, 1, 1, 0}, {0, 1, -1, -1}}},
    [WINOGRAD_STRIDED] =
        {WINOGRADS_IN,
         WINOGRADS_OUT,
         {{1, 0, -1, 0, 0}, {0, 0, 1, 0, 0}, {0, 0, -1, 0, 1}, {0, 1, 0, 0, 0}, {0, 0, 0, 1, 0}},
         {{1, 1, 0, 1, 0}, {0, 1, 1, 0, 1}}},
};

/* to (n, n) = rows (n, m) * from (m, m) * rows'. */
static void sandwich(const float (*rows)[IN], int n, int m, float from[IN][IN], float to[IN][IN]) {
    float half[IN][IN] = {{0}};
    for (int i = 0; i < n; i++)
        for (int j = 0; j < m; j++)
            for (int k = 0; k < m; k++)
                half[i][j] += rows[i][k] * from[k][j];
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            to[i][j] = 0;
            for (int k = 0; k < m; k++)
                to[i][j] += half[i][k] * rows[j][k];
        }
}

void winograd_in_scalar(const struct winograd_in *c) {
    const int in = forms[c->form].in;
    for (size_t i = 0; i < c->n; i++) {
        float from[IN][IN], to[IN][IN];
        for (int p = 0; p < in * in; p++)
            from[p / in][p % in] = c->x[p][i];
        sandwich(forms[c->form].b, in, in, from, to);
        for (int p = 0; p < in * in; p++)
            c->v[(size_t)p * c->v_step + i] = to[p / in][p % in];
    }
}

void winograd_out_scalar(const struct winograd_out *c) {
    const int in = forms[c->form].in, out = forms[c->form].out;
    for (size_t i = 0; i < c->n; i++) {
        float from[IN][IN], to[IN][IN];
        for (int p = 0; p < in * in; p++)
            from[p / in][p % in] = c->m[(size_t)p * c->m_step + i];
        sandwich(forms[c->form].a, out, in, from, to);
        for (int p = 0; p < out * out; p++) {
            float y = to[p / out][p % out] + (c->bias ? c->bias[i] : 0);
            if (c->y[p])
                c->y[p][i] = c->relu && !(y > 0) && y == y ? 0 : y;
        }
    }
}
