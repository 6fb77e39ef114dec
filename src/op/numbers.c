/* SPDX-License-Identifier: Apache-2.0 */
/* See numbers.h. */
#include "op/numbers.h"

#include "base/mem.h"
#include "op/product.h"
#include "op/team.h"

#include <string.h>

enum { COLUMNS = 32, FEW = 24 };

static struct product some_columns(const struct codes *w, size_t m, size_t y_row) {
    return (struct product){.m = m,
                            .n = COLUMNS,
                            .k = w->k,
                            .a_row = w->k,
                            .b_row = w->k,
                            .c_row = y_row,
                            .b_transposed = true};
}

static size_t widened(const struct codes *w) {
    return mem_round_up(COLUMNS * w->k * sizeof(float), MEM_LINE);
}
static size_t of_thread(const struct codes *w, size_t m) {
    const struct product p = some_columns(w, m, w->n);
    return widened(w) + mem_round_up(product_scratch(&p), MEM_LINE);
}

size_t numbers_scratch(const struct codes *w, size_t m, int threads) {
    return m <= FEW ? 0 : (size_t)threads * of_thread(w, m);
}

void numbers_arrange(const struct codes *w, size_t n, const float *x, float *to) {
    enum { HALF = CODES_GROUP / 2 };
    memset(to + n / CODES_GROUP * CODES_GROUP, 0,
           (w->k - n / CODES_GROUP * CODES_GROUP) * sizeof *to);
    if (w->bits == 8) {
        memcpy(to, x, n * sizeof *to);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        const size_t at = i % CODES_GROUP;
        to[i - at + at / 2 + at % 2 * HALF] = x[i];
    }
}

static void few(const struct codes *w, size_t m, const float *a, const float *bias, float *y,
                size_t y_row, size_t from, size_t to) {
    struct codes part = *w;
    part.n = to - from;
    part.w += from * codes_row(w);
    part.scales += from * (w->k / w->block);
    part.zeros = w->zeros ? w->zeros + from * w->zeros_row : NULL;
    if (part.n)
        kernel_set()->codes_dot(&part, m, a, y + from, y_row);
    for (size_t row = 0; bias && row < m; row++)
        for (size_t i = from; i < to; i++)
            y[row * y_row + i] += bias[i];
}

static void many(const struct codes *w, size_t m, const float *a, const float *bias, float *y,
                 size_t y_row, size_t from, size_t to, char *scratch) {
    float *wide = (float *)(void *)scratch;
    for (size_t at = from; at < to; at += COLUMNS) {
        struct product p = some_columns(w, m, y_row);
        p.n = to - at < COLUMNS ? to - at : COLUMNS;
        p.bias = bias ? bias + at : NULL;
        for (size_t i = 0; i < p.n; i++)
            kernel_set()->codes_widen(w, at + i, wide + i * w->k);
        product_run(&p, a, wide, y + at, scratch + widened(w), 1);
    }
}

void numbers_multiply(const struct codes *w, size_t m, const float *a, const float *bias, float *y,
                      size_t y_row, void *scratch, int threads) {
    const double ns = (double)w->n * (double)w->k * (0.02 + 0.015 * (double)m);
    const int team = team_size(threads, ns);
#pragma omp parallel for num_threads(team) if (team > 1)
    for (int t = 0; t < team; t++) {
        const size_t from = team_cut(w->n, COLUMNS, team, t),
                     to = team_cut(w->n, COLUMNS, team, t + 1);
        if (m <= FEW)
            few(w, m, a, bias, y, y_row, from, to);
        else
            many(w, m, a, bias, y, y_row, from, to, (char *)scratch + (size_t)t * of_thread(w, m));
    }
}
