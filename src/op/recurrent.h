/* SPDX-License-Identifier: Apache-2.0 */
/* What rnn, gru and lstm share: shapes, packed weights, the projection of all inputs at once, the
 * walk over time. The three differ only in what one row of gates does to its state (rnn.c).
 *
 * Sizes: T steps, B batch, I inputs, H hidden, G gates, D directions. */
#pragma once

#include "op/operand.h"

struct recurrent_dims {
    size_t steps, batch, inputs, hidden, gates, directions;
    bool batch_first;
};

enum recurrent_kind {
    ACT_TANH,
    ACT_SIGMOID,
    ACT_RELU,
    ACT_AFFINE,
    ACT_LEAKY_RELU,
    ACT_THRESHOLDED_RELU,
    ACT_SCALED_TANH,
    ACT_HARD_SIGMOID,
    ACT_ELU,
    ACT_SOFTSIGN,
    ACT_SOFTPLUS,
};
struct recurrent_act {
    enum recurrent_kind kind;
    float alpha, beta;
};
void recurrent_apply(const struct recurrent_act *act, float *x, size_t n);

/* One direction of a run. */
struct recurrent_lane {
    const struct recurrent_dims *d;
    struct recurrent_act act[3];
    float clip;               /* 0: none */
    bool coupled;             /* lstm: input_forget; gru: linear_before_reset */
    const float *peephole;    /* (3, H), lstm: i o f; or NULL */
    const float *hidden_bias; /* (H), gru with linear_before_reset; or NULL */
    float *h, *c, *spare;     /* (B, H) */
};

/* What an operator of the family does. A row is one batch entry: gates (G, H) already hold
 * W x + R h + biases, in the file's order of gates. */
struct recurrent_cell {
    int gates, states; /* states: 1, or 2 with a cell state */
    /* The recurrent product covers the first `early` gates; the rest are added by a second product:
     * of spare (H) after `first` filled it, or, when coupled, of h into spare. 0: there is none. */
    int early;
    const char *defaults[3]; /* activations */
    int n_acts;
    void (*first)(const struct recurrent_lane *l, size_t row, float *gates); /* NULL: none */
    void (*last)(const struct recurrent_lane *l, size_t row, float *gates);
    const char *coupled; /* the attribute */
};

MUST_USE enum code recurrent_infer(struct op_infer *c, const struct recurrent_cell *cell,
                                   struct err *e);
MUST_USE enum code recurrent_prepare(struct op_prepare *c, const struct recurrent_cell *cell,
                                     struct err *e);
MUST_USE enum code recurrent_run(const struct op_call *c, const struct recurrent_cell *cell,
                                 struct err *e);
