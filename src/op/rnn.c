/* SPDX-License-Identifier: Apache-2.0 */
/* rnn, gru, lstm: what one row of gates does to its state. recurrent.c does the rest.
 *
 * In the file's order of gates, with * the product of elements:
 *   rnn   h = f(i)
 *   gru   z, r = f(z), f(r);  h~ = g(x + R (r * h)), or g(x + r * (R h + b)) when
 * linear_before_reset; h = (1 - z) * h~ + z * h
 *   lstm  i, f = f(i + p_i * c), f(f + p_f * c);  c' = f * c + i * g(c~);
 *         o = f(o + p_o * c');  h = o * h(c') */
#include "op/recurrent.h"

#include "kernel/kernel.h"

static void clip_row(const struct recurrent_lane *l, float *x, size_t n) {
    if (l->clip > 0)
        kernel_set()->clip_f32(n, x, x, -l->clip, l->clip);
}

/* y += a * b */
static void add_product(float *restrict y, const float *restrict a, const float *restrict b,
                        size_t n) {
    for (size_t k = 0; k < n; k++)
        y[k] += a[k] * b[k];
}

static void rnn_last(const struct recurrent_lane *l, size_t row, float *gates) {
    size_t n = l->d->hidden;
    clip_row(l, gates, n);
    recurrent_apply(&l->act[0], gates, n);
    memcpy(l->h + row * n, gates, n * sizeof *gates);
}

/* gates: z r h. Leaves r * h in spare, for the product with R. */
static void gru_first(const struct recurrent_lane *l, size_t row, float *gates) {
    size_t n = l->d->hidden;
    const float *h = l->h + row * n, *r = gates + n;
    float *spare = l->spare + row * n;
    clip_row(l, gates, 2 * n);
    recurrent_apply(&l->act[0], gates, 2 * n);
    for (size_t k = 0; k < n; k++)
        spare[k] = r[k] * h[k];
}

static void gru_last(const struct recurrent_lane *l, size_t row, float *gates) {
    size_t n = l->d->hidden;
    float *h = l->h + row * n, *z = gates, *r = gates + n, *next = gates + 2 * n;
    if (l->coupled) { /* spare holds R h + b */
        clip_row(l, gates, 2 * n);
        recurrent_apply(&l->act[0], gates, 2 * n);
        add_product(next, r, l->spare + row * n, n);
    }
    clip_row(l, next, n);
    recurrent_apply(&l->act[1], next, n);
    for (size_t k = 0; k < n; k++)
        h[k] = (1 - z[k]) * next[k] + z[k] * h[k];
}

/* gates: i o f c */
static void lstm_last(const struct recurrent_lane *l, size_t row, float *gates) {
    size_t n = l->d->hidden;
    float *i = gates, *o = gates + n, *f = gates + 2 * n, *fresh = gates + 3 * n;
    float *c = l->c + row * n, *h = l->h + row * n;
    const float *p = l->peephole;
    if (p) {
        add_product(i, p, c, n);
        add_product(f, p + 2 * n, c, n);
    }
    clip_row(l, i, n);
    clip_row(l, f, n);
    clip_row(l, fresh, n);
    recurrent_apply(&l->act[0], i, n);
    recurrent_apply(&l->act[0], f, n);
    recurrent_apply(&l->act[1], fresh, n);
    for (size_t k = 0; k < n; k++)
        c[k] = (l->coupled ? 1 - i[k] : f[k]) * c[k] + i[k] * fresh[k];
    if (p)
        add_product(o, p + n, c, n);
    clip_row(l, o, n);
    recurrent_apply(&l->act[0], o, n);
    memcpy(fresh, c, n * sizeof *c);
    recurrent_apply(&l->act[2], fresh, n);
    for (size_t k = 0; k < n; k++)
        h[k] = o[k] * fresh[k];
}

static const struct recurrent_cell rnn_cell = {
    .gates = 1, .early = 1, .states = 1, .n_acts = 1, .defaults = {"tanh"}, .last = rnn_last};
static const struct recurrent_cell gru_cell = {.gates = 3,
                                               .early = 2,
                                               .states = 1,
                                               .n_acts = 2,
                                               .defaults = {"sigmoid", "tanh"},
                                               .first = gru_first,
                                               .last = gru_last,
                                               .coupled = "linear_before_reset"};
static const struct recurrent_cell lstm_cell = {.gates = 4,
                                                .early = 4,
                                                .states = 2,
                                                .n_acts = 3,
                                                .defaults = {"sigmoid", "tanh", "tanh"},
                                                .last = lstm_last,
                                                .coupled = "input_forget"};

#define RECURRENT(which)                                                                           \
    static enum code infer_##which(struct op_infer *c, struct err *e) {                            \
        return recurrent_infer(c, &which##_cell, e);                                               \
    }                                                                                              \
    static enum code prepare_##which(struct op_prepare *c, struct err *e) {                        \
        return recurrent_prepare(c, &which##_cell, e);                                             \
    }                                                                                              \
    static enum code run_##which(const struct op_call *c, struct err *e) {                         \
        return recurrent_run(c, &which##_cell, e);                                                 \
    }                                                                                              \
    const struct op op_##which = {.name = #which,                                                  \
                                  .flags = OP_PURE | OP_TEAM,                                      \
                                  .infer = infer_##which,                                          \
                                  .prepare = prepare_##which,                                      \
                                  .run = run_##which};
RECURRENT(rnn)
RECURRENT(gru)
RECURRENT(lstm)
