/* SPDX-License-Identifier: Apache-2.0 */
/* linear_classifier, linear_regressor (ai.onnx.ml 1): scores = x * coefficients^T + intercepts over
 * rows (N, F), coefficients (targets, F). A classifier with one row of coefficients and two labels
 * is binary. Sums are kept in f64. */
#include "op/scores.h"

struct linear {
    const float *coefficients; /* (targets, F) */
    const float *intercepts;   /* (targets), or NULL */
    size_t targets, n_coefficients;
    enum scores_after after;
    struct scores_labels labels; /* classifier */
    bool binary;
};

static enum code read_common(const struct operand_at *at, struct linear *l, size_t targets,
                             struct err *e) {
    size_t n;
    TRY(scores_after_of(at, &l->after, e));
    l->targets = targets;
    l->coefficients = scores_floats(at->node, "coefficients", &l->n_coefficients);
    l->intercepts = scores_floats(at->node, "intercepts", &n);
    if (targets < 1 || targets > 1 << 24 || !l->coefficients || l->n_coefficients % targets ||
        (n && n != targets))
        return operand_fail(at, e, FORMAT, "%zu coefficients and %zu intercepts for %zu targets",
                            l->n_coefficients, n, targets);
    return OK;
}

static enum code read_classifier(const struct operand_at *at, struct linear *l, struct err *e) {
    size_t n;
    TRY(scores_labels_of(at, &l->labels, e));
    (void)scores_floats(at->node, "intercepts", &n);
    TRY(read_common(at, l, n ? n : l->labels.n, e));
    l->binary = l->targets == 1 && l->labels.n == 2;
    if (!l->binary && l->targets != l->labels.n)
        return operand_fail(at, e, FORMAT, "%zu rows of coefficients for %zu labels", l->targets,
                            l->labels.n);
    return OK;
}

static enum code read_regressor(const struct operand_at *at, struct linear *l, struct err *e) {
    int64_t targets = attr_int(at->node, "targets", 1);
    return read_common(at, l, targets > 0 ? (size_t)targets : 0, e);
}

static enum code check_features(const struct op_infer *c, const struct linear *l, struct err *e) {
    size_t rows, features;
    if (!c->in[0].known)
        return OK;
    TRY(scores_rows(OPERAND_AT(c), &c->in[0].shape, &rows, &features, e));
    if (features * l->targets != l->n_coefficients)
        return operand_fail(c, e, INVALID, "%zu features, the model has %zu", features,
                            l->n_coefficients / l->targets);
    return OK;
}

static enum code infer_classifier(struct op_infer *c, struct err *e) {
    struct linear l = {0};
    TRY(read_classifier(OPERAND_AT(c), &l, e));
    TRY(scores_infer(c, &l.labels, l.labels.n, e));
    return check_features(c, &l, e);
}

static enum code infer_regressor(struct op_infer *c, struct err *e) {
    struct linear l = {0};
    size_t rows, features;
    TRY(operand_need(c, 1, e));
    TRY(read_regressor(OPERAND_AT(c), &l, e));
    operand_out_later(c, 0, DT_F32);
    if (!dtype_is_float(c->in[0].dtype) && !dtype_is_integer(c->in[0].dtype))
        return operand_fail(c, e, INVALID, "features of type %s", dtype_name(c->in[0].dtype));
    TRY(check_features(c, &l, e));
    if (!c->in[0].known)
        return OK;
    TRY(scores_rows(OPERAND_AT(c), &c->in[0].shape, &rows, &features, e));
    return operand_out(c, 0, DT_F32, &(struct shape){2, {(int64_t)rows, (int64_t)l.targets}}, e);
}

static enum code prepare(struct op_prepare *c, struct err *e) {
    struct linear *l = ARENA_NEW(c->arena, struct linear);
    bool classifier = str_is(c->node->op_name, "linear_classifier");
    if (!l)
        return arena_fail(c->arena, sizeof *l, "a linear model", e);
    TRY(classifier ? read_classifier(OPERAND_AT(c), l, e) : read_regressor(OPERAND_AT(c), l, e));
    c->state = l;
    c->scratch_bytes = (l->targets + 1) * sizeof(double);
    return OK;
}

static void score_row(const struct linear *l, const struct tensor *x, size_t row, size_t features,
                      double *out) {
    for (size_t t = 0; t < l->targets; t++) {
        double sum = l->intercepts ? (double)l->intercepts[t] : 0;
        for (size_t f = 0; f < features; f++)
            sum += tensor_f64(x, row * features + f) * (double)l->coefficients[t * features + f];
        out[t] = sum;
    }
}

static enum code run_classifier(const struct op_call *c, struct err *e) {
    const struct linear *l = c->state;
    struct tensor *labels = operand_to(c, 0), *scores = operand_to(c, 1);
    size_t rows, features;
    double *v = c->scratch;
    TRY(scores_rows(OPERAND_AT(c), &c->in[0]->shape, &rows, &features, e));
    for (size_t row = 0; row < rows; row++) {
        score_row(l, c->in[0], row, features, v);
        size_t top = l->binary ? v[0] > 0 : scores_top(v, l->targets);
        if (labels)
            scores_put_label(&l->labels, top, labels, row);
        if (!scores)
            continue;
        if (l->binary)
            scores_of_binary(l->after, true, v[0], v);
        else
            scores_finish(l->after, v, l->targets);
        for (size_t k = 0; k < l->labels.n; k++)
            ((float *)scores->data)[row * l->labels.n + k] = (float)v[k];
    }
    return OK;
}

static enum code run_regressor(const struct op_call *c, struct err *e) {
    const struct linear *l = c->state;
    size_t rows, features;
    double *v = c->scratch;
    TRY(scores_rows(OPERAND_AT(c), &c->in[0]->shape, &rows, &features, e));
    for (size_t row = 0; row < rows; row++) {
        score_row(l, c->in[0], row, features, v);
        if (l->targets > 1 || l->after == SCORES_PROBIT)
            scores_finish(l->after, v, l->targets);
        for (size_t k = 0; k < l->targets; k++)
            ((float *)c->out[0]->data)[row * l->targets + k] = (float)v[k];
    }
    return OK;
}

const struct op op_linear_classifier = {.name = "linear_classifier",
                                        .flags = OP_PURE,
                                        .infer = infer_classifier,
                                        .prepare = prepare,
                                        .run = run_classifier};
const struct op op_linear_regressor = {.name = "linear_regressor",
                                       .flags = OP_PURE,
                                       .infer = infer_regressor,
                                       .prepare = prepare,
                                       .run = run_regressor};
