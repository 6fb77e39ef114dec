/* SPDX-License-Identifier: Apache-2.0 */
/* Our own f32 matrix product, for shapes that would not pay for oneDNN, and wherever it is not
 * usable. B is packed into panels of the kernel's tile width: (columns / nr, taps * k, nr),
 * zero-filled; kernel.h's gemm_f32 says what a panel means. */
#pragma once

#include "base/mem.h"
#include "kernel/kernel.h"

/* Where the elements of B lie: (taps, k) rows by n columns, each with its stride in elements. */
struct panel_source {
    const float *b;
    size_t taps, k, n;
    ptrdiff_t tap_step, k_step, n_step;
};
size_t panel_floats(size_t rows, size_t n); /* room for the packed form of rows x n */
void panel_pack(const struct panel_source *s, float *panels);

/* Called on stretches of C (in elements) as they are finished, by the thread that made them. */
typedef void panel_done_fn(const void *context, size_t begin, size_t count);

/* Memory that is wanted after a product: fetched while it is at work. */
struct panel_ahead {
    const float *at;
    size_t left; /* floats; 0: nothing */
};

/* C (m, n) = A (m, k) * B + bias, rows of A with a stride; panels: packed B of one tap. */
struct panel_product {
    size_t m, n, k;
    const float *a;
    size_t a_row;
    const float *panels;
    const float *bias; /* (n) or NULL */
    float *c;
    size_t c_row;
    const float *plus; /* like C, or NULL: added */
    bool add;          /* to what C holds */
    bool pairs; /* kernel.h's gemm_pairs: pairs of int16 in the place of floats, int32 results */
    panel_done_fn *done; /* or NULL */
    const void *context;
};
void panel_multiply(const struct panel_product *p, int threads);

/* Rows are cut into tiles of about the same size: tile i of `tiles` begins here. */
static inline size_t panel_tile(size_t m, size_t tiles, size_t i) { return m * i / tiles; }
size_t panel_tiles(size_t m); /* how many */

/* What thread `index` of `parts` fetches. */
struct panel_ahead panel_ahead_part(const struct panel_ahead *all, int parts, int index);

/* Element `at` of C, or of what is like it: a float, or a byte. NULL stays NULL. */
static inline void *panel_element(const void *of, size_t at, bool bytes) {
    return of ? (char *)(uintptr_t)of + at * (bytes ? 1 : sizeof(float)) : NULL;
}

/* One stretch of rows, by one thread, of a product whose rows are gathered: rows given as pointers.
 * `a` holds for each tile its (taps, rows of the tile) pointers, tile after tile. */
struct panel_rows {
    size_t m, n, k, taps;
    size_t from, to; /* columns; from begins at a panel */
    const float *const *a;
    const float *panels, *bias; /* of column 0 */
    float *c;                   /* row 0, column 0 */
    size_t c_row;
    const float *plus; /* like c, or NULL: added */
    bool relu, pairs;
    const float *scale; /* of column 0, and... */
    const struct quads_finish
        *finish;               /* ...not NULL: kernel.h's gemm_quads; c and plus are bytes */
    struct panel_ahead *ahead; /* or NULL: moves on */
};
void panel_multiply_rows(const struct panel_rows *r);
