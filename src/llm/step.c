/* SPDX-License-Identifier: Apache-2.0 */
/* A step: rows through all layers inside one parallel region. Phases end in a barrier:
 *
 *   enter   norm of x, to the intake of q, k, v          by rows
 *   qkv     three products                                by columns
 *   write   norms of q and k, RoPE, into the cache        by rows
 *   attend                                                by tiles and heads
 *   o       product, added to x                           by columns
 *   turn    norm of x, to the intake of gate and up      by rows
 *   gate    two products, their gate, to down's intake   by columns
 *   down    product, added to x                           by columns
 *
 * In the last layer only the wanted rows go past the cache. */
#include "llm/step.h"

#include "base/mem.h"

#include <math.h>
#include <string.h>

enum { ROWS_AT_ONCE = 128, GRAIN = 32 };

/* --- products --- */

/* Columns per piece: enough pieces to even out the threads, wide enough to stream. */
static size_t piece_columns(const struct forward *f, size_t n, size_t m, size_t grain) {
    size_t pieces = (size_t)f->crew.n * (m > 16 ? 16 : 8), columns = n / pieces / grain * grain;
    size_t most = m > 16 ? 64 : 512;
    most = most < grain ? grain : most;
    return columns < grain ? grain : columns > most ? most : columns;
}

static void one_piece(const struct intake *o, size_t m, const struct product *p, size_t from,
                      size_t to) {
    for (size_t row = 0; row < m; row += ROWS_AT_ONCE) {
        size_t rows = m - row < ROWS_AT_ONCE ? m - row : ROWS_AT_ONCE;
        linear_run(p->w, o, row, rows, from, to, p->y + row * p->y_row + from, p->y_row, p->add);
    }
}

void step_products(struct forward *f, const struct intake *o, size_t m,
                   const struct product *products, int n) {
    size_t all = 0, columns, pieces = 0, from, to;
    for (int i = 0; i < n; i++)
        all += products[i].w->n;
    columns = piece_columns(f, all, m, GRAIN);
    for (int i = 0; i < n; i++)
        pieces += (products[i].w->n + columns - 1) / columns;
    while (crew_take(&f->crew, pieces, 1, &from, &to)) {
        const struct product *p = products;
        for (size_t mine; from >= (mine = (p->w->n + columns - 1) / columns); p++)
            from -= mine;
        size_t end = (from + 1) * columns;
        one_piece(o, m, p, from * columns, end < p->w->n ? end : p->w->n);
    }
}

static void apply_gate(enum gate kind, size_t n, float *gate, const float *up) {
    const struct kernel_set *k = kernel_set();
    unary_f32_fn *fn = kind == GATE_SILU        ? k->silu_f32
                       : kind == GATE_GELU_TANH ? k->gelu_tanh_f32
                                                : k->gelu_erf_f32;
    fn(n, gate, gate, 1, 0); /* silu: alpha 1 */
    if (up)
        k->mul_f32(&(struct binary_f32){.rows = 1, .n = n, .a = gate, .b = up, .y = gate});
}

/* Columns [from, to) of all rows, in blocks that stay in the cache with the weights. */
static void gate_piece(const struct forward *f, const struct intake *in, const struct intake *mid,
                       size_t m, const struct linear *const w[2], size_t from, size_t to,
                       float *room) {
    size_t n = to - from;
    float *gate = room, *up = room + ROWS_AT_ONCE * n;
    for (size_t row = 0; row < m; row += ROWS_AT_ONCE) {
        size_t rows = m - row < ROWS_AT_ONCE ? m - row : ROWS_AT_ONCE;
        bool gated = w[0]->kind != LINEAR_NONE;
        linear_run(w[1], in, row, rows, from, to, gated ? up : gate, n, false);
        if (gated)
            linear_run(w[0], in, row, rows, from, to, gate, n, false);
        apply_gate(f->plan.gate, rows * n, gate, gated ? up : NULL);
        for (size_t i = 0; i < rows; i++)
            intake_put(mid, row + i, from, n, gate + i * n);
    }
}

void step_gate(struct forward *f, const struct intake *in, const struct intake *mid, size_t m,
               const struct linear *gate, const struct linear *up, int thread) {
    const struct linear *w[2] = {gate, up};
    size_t grain = intake_grain(mid) > GRAIN ? intake_grain(mid) : GRAIN, from, to;
    size_t columns = piece_columns(f, up->n, m, grain), n = up->n;
    columns = columns > SUPER ? SUPER : columns; /* thread_room */
    while (crew_take(&f->crew, (n + columns - 1) / columns, 1, &from, &to)) {
        size_t end = to * columns < n ? to * columns : n;
        gate_piece(f, in, mid, m, w, from * columns, end, f->thread_room[thread]);
    }
}

/* --- rows --- */

void step_norm(const struct forward *f, const struct norm *norm, size_t n, const float *x,
               float *y) {
    kernel_set()->norm_f32(&(struct norm_f32){.n = n,
                                              .x = x,
                                              .gamma = norm->weight,
                                              .beta = norm->bias,
                                              .y = y,
                                              .epsilon = f->plan.epsilon,
                                              .rms = !f->plan.layer_norm});
}

static void add_to(float *x, const float *y, size_t n) {
    kernel_set()->add_f32(&(struct binary_f32){.rows = 1, .n = n, .a = x, .b = y, .y = x});
}

static void embed(struct forward *f, size_t row, float *room) {
    const struct forward_row *r = &f->rows[row];
    size_t width = f->plan.width;
    float *x = f->x + row * width;
    linear_row(&f->weights.embedding, (size_t)r->token, x);
    if (f->plan.embed_scale != 1)
        for (size_t i = 0; i < width; i++)
            x[i] *= f->plan.embed_scale;
    if (f->weights.positions.kind) {
        linear_row(&f->weights.positions, (size_t)r->position, room);
        add_to(x, room, width);
    }
    if (f->weights.types.kind) {
        linear_row(&f->weights.types, 0, room);
        add_to(x, room, width);
    }
    if (f->weights.embedding_norm.weight)
        step_norm(f, &f->weights.embedding_norm, width, x, x);
}

/* A block's output is added to x (it was at once, without a norm of its own), x is normed where
 * the norm comes after; then x, normed, becomes the intake of what follows. */
static void settle_row(struct forward *f, size_t row, const struct norm *post,
                       const struct norm *after, const struct norm *before, const struct intake *o,
                       float *room) {
    size_t width = f->plan.width;
    float *x = f->x + row * width;
    if (post && post->weight) {
        step_norm(f, post, width, f->side + row * width, room);
        add_to(x, room, width);
    }
    if (after && after->weight)
        step_norm(f, after, width, x, x);
    if (!o)
        return;
    const float *y = x;
    if (before->weight) {
        step_norm(f, before, width, x, room);
        y = room;
    }
    intake_put(o, row, 0, width, y);
}

/* --- phases --- */

#define EACH_ROW(m) for (size_t row, end; crew_take(&f->crew, (m), 1, &row, &end);)

static struct product into_x(struct forward *f, const struct linear *w, const struct norm *post) {
    size_t width = f->plan.width;
    return post->weight ? (struct product){w, f->side, width, false}
                        : (struct product){w, f->x, width, true};
}

/* x keeps the wanted rows only, in their order. */
static void keep_wanted(struct forward *f) {
    size_t width = f->plan.width;
    for (size_t i = 0; i < f->n_wanted; i++)
        if ((size_t)f->wanted[i] != i)
            memcpy(f->x + i * width, f->x + (size_t)f->wanted[i] * width, width * sizeof *f->x);
}

/* Everything up to and with the o product; returns how many rows go on. */
static size_t attention_phases(struct forward *f, size_t layer, int thread) {
    const struct layer *l = &f->weights.layers[layer];
    size_t m = f->n_rows, kv = f->plan.kv_heads * f->plan.head_dim;
    size_t q = f->plan.heads * f->plan.head_dim, from, to;
    bool last = layer + 1 == f->plan.layers && !f->all_rows;
    const struct product qkv[] = {
        {&l->q, f->q, q, false}, {&l->k, f->k, kv, false}, {&l->v, f->v, kv, false}};
    step_products(f, &f->in, m, qkv, 3);
    crew_barrier(&f->crew);
    while (crew_take(&f->crew, m, 1, &from, &to))
        attention_write(f, l, layer, from, to);
    crew_barrier(&f->crew);
    if (last) {
        m = f->n_wanted;
        if (m == 0)
            return 0;
        if (thread == 0)
            keep_wanted(f);
    }
    attention_run(f, l, layer, last ? &f->last_tiles : &f->tiles, thread);
    crew_barrier(&f->crew);
    if (f->plan.head_dim % intake_grain(&f->attn)) {
        EACH_ROW(m) intake_put(&f->attn, row, 0, q, f->attended + row * q);
        crew_barrier(&f->crew);
    }
    const struct product o = into_x(f, &l->o, &l->attn_post);
    step_products(f, &f->attn, m, &o, 1);
    crew_barrier(&f->crew);
    return m;
}

static void ffn_phases(struct forward *f, const struct layer *l, size_t m, int thread) {
    const struct product down = into_x(f, &l->down, &l->ffn_post);
    if (l->experts) {
        experts_run(f, l, m, f->x, thread);
        return;
    }
    step_gate(f, &f->in, &f->mid, m, &l->gate, &l->up, thread);
    crew_barrier(&f->crew);
    step_products(f, &f->mid, m, &down, 1);
    crew_barrier(&f->crew);
}

static void head_phases(struct forward *f, size_t m) {
    const struct product head = {&f->weights.head, f->logits, f->plan.vocab, false};
    step_products(f, &f->out, m, &head, 1);
    crew_barrier(&f->crew);
    float cap = f->plan.logit_cap;
    if (cap > 0)
        EACH_ROW(m) {
            float *y = f->logits + row * f->plan.vocab;
            for (size_t i = 0; i < f->plan.vocab; i++)
                y[i] = cap * tanhf(y[i] / cap);
        }
}

static void run(void *arg, int thread) {
    struct forward *f = arg;
    const struct weights *w = &f->weights;
    float *room = f->thread_room[thread];
    size_t m = f->n_rows;
    EACH_ROW(m) {
        embed(f, row, room);
        settle_row(f, row, NULL, NULL, &w->layers[0].attn_norm, &f->in, room);
    }
    crew_barrier(&f->crew);
    for (size_t i = 0; i < f->plan.layers; i++) {
        const struct layer *l = &w->layers[i];
        bool last = i + 1 == f->plan.layers;
        m = attention_phases(f, i, thread);
        if (m == 0)
            return;
        EACH_ROW(m) settle_row(f, row, &l->attn_post, &l->attn_out, &l->ffn_norm, &f->in, room);
        crew_barrier(&f->crew);
        ffn_phases(f, l, m, thread);
        const struct norm *next = last ? &w->output_norm : &w->layers[i + 1].attn_norm;
        const struct intake *o = !last ? &f->in : f->all_rows ? NULL : &f->out;
        EACH_ROW(m) settle_row(f, row, &l->ffn_post, &l->ffn_out, next, o, room);
        crew_barrier(&f->crew);
    }
    if (!f->all_rows)
        head_phases(f, m);
}

void step_run(struct forward *f, int threads) { crew_run(&f->crew, threads, run, f); }
