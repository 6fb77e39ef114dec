/* SPDX-License-Identifier: Apache-2.0 */
/* What the classic models (trees, linear, support vectors) do with the numbers of a row when these
 * are known: base values were added, now a transform, a label. */
#pragma once

#include "op/operand.h"

enum scores_after {
    SCORES_NONE,
    SCORES_SOFTMAX,
    SCORES_LOGISTIC,
    SCORES_SOFTMAX_ZERO, /* zeros stay */
    SCORES_PROBIT
};

/* Attribute `post_transform`, a word. */
MUST_USE enum code scores_after_of(const struct operand_at *at, enum scores_after *out,
                                   struct err *e);
void scores_finish(enum scores_after after, double *v, size_t n);
/* How one number v of a binary classifier becomes two, as ONNX Runtime has it: the logistics of -v
 * and v, else (1 - v, v) where all weights are positive, else (-v, v); no other transform. */
void scores_of_binary(enum scores_after after, bool positive, double v, double out[2]);
size_t scores_top(const double *v, size_t n); /* the first of the largest */

/* Labels of classes: attributes classlabels_strings, or classlabels_ints (or _int64s). */
struct scores_labels {
    const struct str *texts; /* or NULL */
    const int64_t *numbers;
    size_t n;
};
MUST_USE enum code scores_labels_of(const struct operand_at *at, struct scores_labels *out,
                                    struct err *e);
enum dtype scores_labels_dtype(const struct scores_labels *l);
/* Element `row` of a tensor of labels becomes label `at`. */
void scores_put_label(const struct scores_labels *l, size_t at, const struct tensor *to,
                      size_t row);

/* Outputs of a classifier over (N, F) or (F): labels (N), scores (N, columns). */
MUST_USE enum code scores_infer(struct op_infer *c, const struct scores_labels *l, size_t columns,
                                struct err *e);
/* Rows and features of an input of rank 1 or 2; INVALID otherwise. */
MUST_USE enum code scores_rows(const struct operand_at *at, const struct shape *x, size_t *rows,
                               size_t *features, struct err *e);
/* A list of f32 as an attribute; n = 0: absent. */
const float *scores_floats(const struct node *n, const char *name, size_t *count);
