/* SPDX-License-Identifier: Apache-2.0 */
/* Matrix products of runtime operands; see product.h. A few rows are not worth packing B: they are
 * weighted sums of its rows. */
#include "op/product.h"

#include "op/team.h"

enum { FEW_ROWS = 3 };

static bool by_rows(const struct product *p) {
    return !p->panels && !p->b_transposed && !p->pairs && p->m <= FEW_ROWS;
}

size_t product_pack_floats(const struct product *p) { return panel_floats(p->k, p->n); }

void product_pack(const struct product *p, const float *b, float *panels) {
    struct panel_source s = {.b = b, .taps = 1, .k = p->k, .n = p->n};
    s.k_step = p->b_transposed ? 1 : (ptrdiff_t)p->b_row;
    s.n_step = p->b_transposed ? (ptrdiff_t)p->b_row : 1;
    panel_pack(&s, panels);
}

/* [A with its rows in rows] [B packed, or a pointer to each of its rows] */
static size_t a_bytes(const struct product *p) {
    return p->a_transposed ? mem_round_up(p->m * p->k * sizeof(float), MEM_LINE) : 0;
}

size_t product_scratch(const struct product *p) {
    size_t b = by_rows(p)  ? p->k * sizeof(float *)
               : p->panels ? 0
                           : product_pack_floats(p) * sizeof(float);
    return mem_round_up(a_bytes(p) + b, MEM_LINE);
}

static void few_rows(const struct product *p, const float *a, size_t a_row, const float *b,
                     float *c, const float **rows) {
    const struct kernel_set *k = kernel_set();
    for (size_t i = 0; i < p->k; i++)
        rows[i] = b + i * p->b_row;
    for (size_t row = 0; row < p->m; row++) {
        float *y = c + row * p->c_row;
        k->blend_f32(p->k, rows, a + row * a_row, p->n, y);
        if (p->bias)
            k->add_f32(&(struct binary_f32){.rows = 1, .n = p->n, .a = y, .b = p->bias, .y = y});
    }
}

void product_run(const struct product *p, const float *a, const float *b, float *c, void *scratch,
                 int threads) {
    size_t a_row = p->a_row;
    if (p->m == 0 || p->n == 0)
        return;
    if (p->a_transposed) {
        kernel_set()->transpose_32(p->k, p->m, a, p->a_row, scratch, p->k);
        a = scratch;
        a_row = p->k;
    }
    void *rest = (char *)scratch + a_bytes(p);
    if (by_rows(p)) {
        few_rows(p, a, a_row, b, c, rest);
        return;
    }
    if (!p->panels)
        product_pack(p, b, rest);
    panel_multiply(&(struct panel_product){.m = p->m,
                                           .n = p->n,
                                           .k = p->k,
                                           .a = a,
                                           .a_row = a_row,
                                           .panels = p->panels ? p->panels : rest,
                                           .bias = p->bias,
                                           .c = c,
                                           .c_row = p->c_row,
                                           .plus = p->plus,
                                           .done = p->done,
                                           .context = p->context,
                                           .pairs = p->pairs},
                   threads);
}

size_t product_batch_scratch(const struct product *p, size_t batch, int threads) {
    return product_scratch(p) * (batch > 1 ? (size_t)threads : 1);
}

static void some(const struct product_batch *b, size_t from, size_t to, void *scratch,
                 int threads) {
    for (size_t i = from; i < to; i++)
        product_run(&b->product, b->a + b->a_at[i], b->b + b->b_at[i], b->c + b->c_at[i], scratch,
                    threads);
}

void product_batch_run(const struct product_batch *b, void *scratch, int threads) {
    const struct product *p = &b->product;
    const double ns = (double)b->batch * (double)p->m * (double)p->n * (double)p->k * 0.03;
    const int team = b->batch > 1 ? team_size(threads, ns) : 1;
    if (team == 1) {
        some(b, 0, b->batch, scratch, b->batch > 1 ? 1 : threads);
        return;
    }
#pragma omp parallel for num_threads(team) schedule(static)
    for (int t = 0; t < team; t++)
        some(b, team_cut(b->batch, 1, team, t), team_cut(b->batch, 1, team, t + 1),
             (char *)scratch + (size_t)t * product_scratch(p), 1);
}
