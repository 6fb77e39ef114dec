/* SPDX-License-Identifier: Apache-2.0 */
/* See columns.h. */
#include "op/columns.h"

#include "base/mem.h"
#include "op/product.h"
#include "op/team.h"

enum { AT_ONCE = 32 };

static struct product some(const struct columns *w, size_t m, size_t y_row) {
    return (struct product){.m = m,
                            .n = AT_ONCE,
                            .k = w->k,
                            .a_row = w->k,
                            .b_row = w->k,
                            .c_row = y_row,
                            .b_transposed = true};
}

static size_t widened(const struct columns *w) {
    return mem_round_up(AT_ONCE * w->k * sizeof(float), MEM_LINE);
}
static size_t of_thread(const struct columns *w, size_t m) {
    const struct product p = some(w, m, w->n);
    return widened(w) + mem_round_up(product_scratch(&p), MEM_LINE);
}

size_t columns_scratch(const struct columns *w, size_t m, int team) {
    size_t all;
    return w->k < SIZE_MAX / 1024 && mul_size((size_t)team, of_thread(w, m), &all) ? all : SIZE_MAX;
}

static void some_columns(const struct columns *w, size_t m, const float *a, const float *bias,
                         float *y, size_t y_row, size_t from, size_t to, void *scratch) {
    float *wide = scratch;
    for (size_t at = from; at < to; at += AT_ONCE) {
        struct product p = some(w, m, y_row);
        p.n = to - at < AT_ONCE ? to - at : AT_ONCE;
        p.bias = bias ? bias + at : NULL;
        for (size_t i = 0; i < p.n; i++)
            w->widen(w->context, at + i, wide + i * w->k);
        product_run(&p, a, wide, y + at, (char *)scratch + widened(w), 1);
    }
}

void columns_multiply(const struct columns *w, size_t m, const float *a, const float *bias,
                      float *y, size_t y_row, void *scratch, int team) {
#pragma omp parallel for num_threads(team) if (team > 1)
    for (int t = 0; t < team; t++)
        some_columns(w, m, a, bias, y, y_row, team_cut(w->n, AT_ONCE, team, t),
                     team_cut(w->n, AT_ONCE, team, t + 1),
                     (char *)scratch + (size_t)t * of_thread(w, m));
}
