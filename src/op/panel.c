/* SPDX-License-Identifier: Apache-2.0 */
/* Packing and walking of panels; see panel.h. Rows are taken in blocks that stay in the
 * second-level cache while all panels pass over them; with few rows and many columns the team
 * shares the panels instead. */
#include "op/panel.h"

#include "op/team.h"

#include <string.h>

enum {
    TILES = 8,              /* of rows in a block */
    TILE_MAX = 32,          /* rows of the largest tile */
    PANELS_STAY = 96 << 10, /* floats */
};

static struct gemm_tile tile_size(void) {
    struct gemm_tile t;
    kernel_set()->gemm_tile_f32(&t);
    return t;
}

size_t panel_floats(size_t rows, size_t n) {
    size_t nr = tile_size().nr;
    return rows * ((n + nr - 1) / nr * nr);
}

static void pack_one(const struct panel_source *s, size_t col, size_t nr, float *to) {
    size_t some = s->n - col < nr ? s->n - col : nr;
    for (size_t tap = 0; tap < s->taps; tap++)
        for (size_t k = 0; k < s->k; k++, to += nr) {
            const float *from = s->b + (ptrdiff_t)tap * s->tap_step + (ptrdiff_t)k * s->k_step +
                                (ptrdiff_t)col * s->n_step;
            if (s->n_step == 1)
                memcpy(to, from, some * sizeof *to);
            else
                for (size_t i = 0; i < some; i++)
                    to[i] = from[(ptrdiff_t)i * s->n_step];
            for (size_t i = some; i < nr; i++)
                to[i] = 0;
        }
}

void panel_pack(const struct panel_source *s, float *panels) {
    const size_t nr = tile_size().nr, rows = s->taps * s->k;
    if (s->k_step == 1 && s->taps == 1 &&
        s->n_step >= (ptrdiff_t)s->k) { /* columns lie in a row: transpose */
        for (size_t col = 0; col < s->n; col += nr, panels += rows * nr) {
            size_t some = s->n - col < nr ? s->n - col : nr;
            kernel_set()->transpose_32(some, rows, s->b + (ptrdiff_t)col * s->n_step,
                                       (size_t)s->n_step, panels, nr);
            for (size_t i = 0; some < nr && i < rows; i++)
                for (size_t j = some; j < nr; j++)
                    panels[i * nr + j] = 0;
        }
        return;
    }
    for (size_t col = 0; col < s->n; col += nr, panels += rows * nr)
        pack_one(s, col, nr, panels);
}

size_t panel_tiles(size_t m) {
    size_t mr = tile_size().mr;
    return (m + mr - 1) / mr;
}

/* Half of the next panel is fetched during the first tile, half during the second. */
static const float *fetched(const struct panel_rows *r, size_t col, size_t tile, size_t nr) {
    const size_t each = r->taps * r->k * nr;
    return tile < 2 && col + nr < r->to ? r->panels + (col / nr + 1) * each + tile * each / 2
                                        : NULL;
}

/* Rows from tile `tile` of `tiles`, columns from `col`. */
static void one_tile(const struct panel_rows *r, gemm_f32_fn *fn, size_t nr, size_t col,
                     size_t tile, size_t tiles, const float *ahead) {
    const size_t row = panel_tile(r->m, tiles, tile), at = row * r->c_row + col;
    fn(&(struct gemm_f32){.m = panel_tile(r->m, tiles, tile + 1) - row,
                          .n = r->to - col < nr ? r->to - col : nr,
                          .k = r->k,
                          .taps = r->taps,
                          .a = r->a + row * r->taps,
                          .b = r->panels + col * r->taps * r->k,
                          .bias = r->bias ? r->bias + col : NULL,
                          .c = panel_element(r->c, at, r->finish),
                          .ldc = r->c_row,
                          .plus = panel_element(r->plus, at, r->finish),
                          .plus_row = r->c_row,
                          .relu = r->relu,
                          .ahead = ahead,
                          .scale = r->scale ? r->scale + col : NULL,
                          .finish = r->finish});
}

/* All panels over one tile of rows where they stay in the second-level cache, so that whole rows
 * are written; else all rows over one panel. */
void panel_multiply_rows(const struct panel_rows *r) {
    const size_t nr = tile_size().nr, tiles = panel_tiles(r->m);
    const bool small = (r->to - r->from) * r->taps * r->k <= PANELS_STAY;
    gemm_f32_fn *fn = r->finish  ? kernel_set()->gemm_quads
                      : r->pairs ? kernel_set()->gemm_pairs
                                 : kernel_set()->gemm_f32;
    for (size_t i = 0; small && i < tiles; i++)
        for (size_t col = r->from; col < r->to; col += nr)
            one_tile(r, fn, nr, col, i, tiles, NULL);
    for (size_t col = r->from; !small && col < r->to; col += nr)
        for (size_t i = 0; i < tiles; i++)
            one_tile(r, fn, nr, col, i, tiles, fetched(r, col, i, nr));
}

/* Rows [row, row + rows) by columns [from, to), which begin at a panel. */
static void block(const struct panel_product *p, size_t row, size_t rows, size_t from, size_t to) {
    const struct gemm_tile t = tile_size();
    gemm_f32_fn *fn = p->pairs ? kernel_set()->gemm_pairs : kernel_set()->gemm_f32;
    const float *a[TILES * TILE_MAX];
    for (size_t i = 0; i < rows; i++)
        a[i] = p->a + (row + i) * p->a_row;
    for (size_t col = from; col < to; col += t.nr)
        for (size_t i = 0; i < rows; i += t.mr) {
            struct gemm_f32 g = {.m = rows - i < t.mr ? rows - i : t.mr,
                                 .n = p->n - col < t.nr ? p->n - col : t.nr,
                                 .k = p->k,
                                 .taps = 1,
                                 .a = a + i,
                                 .b = p->panels + col * p->k,
                                 .bias = p->bias ? p->bias + col : NULL,
                                 .c = p->c + (row + i) * p->c_row + col,
                                 .ldc = p->c_row,
                                 .add = p->add};
            fn(&g);
        }
}

void panel_multiply(const struct panel_product *p, int threads) {
    const struct gemm_tile t = tile_size();
    const size_t step = TILES * t.mr, blocks = (p->m + step - 1) / step;
    const int team = team_size(threads, (double)p->m * (double)p->n * (double)p->k * 0.025);
    if (team == 1) {
        for (size_t row = 0; row < p->m; row += step)
            block(p, row, p->m - row < step ? p->m - row : step, 0, p->n);
        return;
    }
    const bool by_rows = p->m >= (size_t)team * t.mr * 2; /* else by columns */
    const size_t rows_each =
        by_rows && blocks < 2 * (size_t)team ? (p->m + (size_t)team - 1) / (size_t)team : step;
    const size_t each = rows_each < step ? (rows_each + t.mr - 1) / t.mr * t.mr : step;
#pragma omp parallel for num_threads(team) schedule(static)
    for (int part = 0; part < team; part++) {
        size_t first = by_rows ? team_cut(p->m, each, team, part) : 0,
               last = by_rows ? team_cut(p->m, each, team, part + 1) : p->m;
        size_t from = by_rows ? 0 : team_cut(p->n, t.nr, team, part),
               to = by_rows ? p->n : team_cut(p->n, t.nr, team, part + 1);
        for (size_t row = first; row < last; row += each)
            block(p, row, last - row < each ? last - row : each, from, to);
    }
}
