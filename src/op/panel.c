/* SPDX-License-Identifier: Apache-2.0 */
/* Packing and walking of panels; see panel.h. Rows are taken in blocks that stay in the
 * second-level cache while all panels pass over them, the next panel on its way meanwhile; with few
 * rows and many columns the team shares the panels instead of the rows. */
#include "op/panel.h"

#include "op/team.h"

#include <string.h>

enum {
    ROWS = 192,             /* of a block */
    PANELS_STAY = 96 << 10, /* floats */
    STRETCH = 12,           /* panels that are finished together */
    LINE = MEM_LINE / sizeof(float),
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

struct panel_ahead panel_ahead_part(const struct panel_ahead *all, int parts, int index) {
    const size_t from = team_cut(all->left, LINE, parts, index),
                 to = team_cut(all->left, LINE, parts, index + 1);
    return to > from ? (struct panel_ahead){all->at + from, to - from} : (struct panel_ahead){0};
}

/* What a tile of k rows of B fetches when no panel of its own product is left to. */
static const float *fetched_after(struct panel_ahead *a, size_t k) {
    const float *at = a->at;
    const size_t some = k * LINE < a->left ? k * LINE : a->left;
    if (!some)
        return NULL;
    a->at += some;
    a->left -= some;
    return at;
}

/* Half of the next panel is fetched during the first tile, half during the second. */
static const float *fetched(const struct panel_rows *r, size_t col, size_t tile, size_t nr) {
    const size_t each = r->taps * r->k * nr;
    return tile < 2 && col + nr < r->to ? r->panels + (col / nr + 1) * each + tile * each / 2
                                        : NULL;
}

/* Rows from tile `tile` of `tiles`, at most n columns from `col`. */
static void one_tile(const struct panel_rows *r, gemm_f32_fn *fn, size_t n, size_t col, size_t tile,
                     size_t tiles, const float *ahead) {
    if (!ahead && r->ahead)
        ahead = fetched_after(r->ahead, r->taps * r->k);
    const size_t row = panel_tile(r->m, tiles, tile), at = row * r->c_row + col;
    fn(&(struct gemm_f32){.m = panel_tile(r->m, tiles, tile + 1) - row,
                          .n = r->to - col < n ? r->to - col : n,
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
    const size_t nr = tile_size().nr,
                 tiles = r->finish && r->taps == 1 ? 1 : panel_tiles(r->m); /* quads: many rows */
    const bool small = (r->to - r->from) * r->taps * r->k <= PANELS_STAY;
    gemm_f32_fn *fn = r->finish  ? kernel_set()->gemm_quads
                      : r->pairs ? kernel_set()->gemm_pairs
                                 : kernel_set()->gemm_f32;
    const size_t some = r->finish ? r->to - r->from : nr; /* quads take many panels */
    for (size_t i = 0; small && i < tiles; i++)
        for (size_t col = r->from; col < r->to; col += some)
            one_tile(r, fn, some, col, i, tiles, NULL);
    for (size_t col = r->from; !small && col < r->to; col += nr)
        for (size_t i = 0; i < tiles; i++)
            one_tile(r, fn, nr, col, i, tiles, fetched(r, col, i, nr));
}

/* Rows [row, row + rows) by columns [from, to), which begin at a panel. */
struct part {
    size_t row, rows, from, to;
};

/* Columns [from, to) of some rows have been made. */
static void finish(const struct panel_product *p, const struct part *b, size_t from, size_t to) {
    for (size_t row = b->row; row < b->row + b->rows; row++)
        p->done(p->context, row * p->c_row + from, to - from);
}

/* At most ROWS rows. */
static void multiply_block(const struct panel_product *p, const struct part *b) {
    const struct gemm_tile t = tile_size();
    gemm_f32_fn *fn = p->pairs ? kernel_set()->gemm_pairs : kernel_set()->gemm_f32;
    const float *a[ROWS];
    const size_t tiles = panel_tiles(b->rows), half = p->k * t.nr / 2;
    for (size_t i = 0; i < b->rows; i++)
        a[i] = p->a + (b->row + i) * p->a_row;
    size_t finished = b->from;
    for (size_t col = b->from; col < b->to; col += t.nr) {
        const float *panel = p->panels + col * p->k;
        for (size_t i = 0; i < tiles; i++) {
            const size_t first = panel_tile(b->rows, tiles, i),
                         at = (b->row + first) * p->c_row + col;
            fn(&(struct gemm_f32){
                .m = panel_tile(b->rows, tiles, i + 1) - first,
                .n = p->n - col < t.nr ? p->n - col : t.nr,
                .k = p->k,
                .taps = 1,
                .a = a + first,
                .b = panel,
                .bias = p->bias ? p->bias + col : NULL,
                .c = p->c + at,
                .ldc = p->c_row,
                .add = p->add,
                .plus = p->plus ? p->plus + at : NULL,
                .plus_row = p->c_row,
                .ahead = i < 2 && col + t.nr < b->to ? panel + t.nr * p->k + i * half : NULL});
        }
        const size_t to = col + t.nr < b->to ? col + t.nr : b->to;
        if (p->done && (to == b->to || to - finished >= STRETCH * t.nr)) {
            finish(p, b, finished, to);
            finished = to;
        }
    }
}

static void multiply_part(const struct panel_product *p, struct part part) {
    const size_t blocks = (part.rows + ROWS - 1) / ROWS;
    for (size_t i = 0; i < blocks; i++) {
        struct part b = part;
        b.row += panel_tile(part.rows, blocks, i);
        b.rows = part.row + panel_tile(part.rows, blocks, i + 1) - b.row;
        multiply_block(p, &b);
    }
}

void panel_multiply(const struct panel_product *p, int threads) {
    const struct gemm_tile t = tile_size();
    const int team = team_size(threads, (double)p->m * (double)p->n * (double)p->k * 0.025);
    const bool by_columns = p->m < (size_t)team * ROWS && p->n >= 2 * (size_t)team * t.nr;
    if (team == 1) { /* often within a team already: not even a region of one */
        multiply_part(p, (struct part){.rows = p->m, .to = p->n});
        return;
    }
#pragma omp parallel for num_threads(team) schedule(static)
    for (int i = 0; i < team; i++) {
        struct part part = {.rows = p->m, .to = p->n};
        if (by_columns) {
            part.from = team_cut(p->n, t.nr, team, i);
            part.to = team_cut(p->n, t.nr, team, i + 1);
        } else {
            part.row = panel_tile(p->m, (size_t)team, (size_t)i);
            part.rows = panel_tile(p->m, (size_t)team, (size_t)i + 1) - part.row;
        }
        multiply_part(p, part);
    }
}
