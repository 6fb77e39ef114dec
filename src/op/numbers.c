/* SPDX-License-Identifier: Apache-2.0 */
/* See numbers.h. */
#include "op/numbers.h"

#include "op/columns.h"
#include "op/pack.h"
#include "op/team.h"
#include "op/wide.h"

#include <string.h>

enum { CUT = 32, FEW = 24 };

static void widen(const void *w, size_t at, float *to) { kernel_set()->codes_widen(w, at, to); }

static struct columns as_columns(const struct codes *w) {
    return (struct columns){.n = w->n, .k = w->k, .widen = widen, .context = w};
}

enum code numbers_scales(struct op_prepare *c, int input, const float **out, struct err *e) {
    const struct tensor *scales = c->in[input].data;
    const size_t n = scales ? tensor_count(scales) : 0;
    void *wide;
    bool filled;
    *out = scales ? scales->data : NULL;
    if (!n || !wide_half(scales->dtype))
        return OK;
    TRY(pack_room_passing(c, scales->data, PACK_SCALES, n * sizeof **out, &wide, &filled, e));
    if (!filled)
        wide_load(scales->dtype, scales->data, 0, n, wide);
    *out = wide;
    return OK;
}

size_t numbers_scratch(const struct codes *w, size_t m, int threads) {
    const struct columns columns = as_columns(w);
    return m <= FEW ? 0 : columns_scratch(&columns, m, threads);
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
    if (bias)
        kernel_add_bias(m, part.n, bias + from, y + from, y_row);
}

void numbers_multiply(const struct codes *w, size_t m, const float *a, const float *bias, float *y,
                      size_t y_row, void *scratch, int threads) {
    const double ns = (double)w->n * (double)w->k * (0.02 + 0.015 * (double)m);
    const int team = team_size(threads, ns);
    if (m > FEW) {
        const struct columns columns = as_columns(w);
        columns_multiply(&columns, m, a, bias, y, y_row, scratch, team);
        return;
    }
#pragma omp parallel for num_threads(team) if (team > 1)
    for (int t = 0; t < team; t++)
        few(w, m, a, bias, y, y_row, team_cut(w->n, CUT, team, t),
            team_cut(w->n, CUT, team, t + 1));
}
