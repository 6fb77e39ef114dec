/* SPDX-License-Identifier: Apache-2.0 */
/* Transforms and labels of classic models; see scores.h. */
#include "op/scores.h"

#include <math.h>

enum code scores_after_of(const struct operand_at *at, enum scores_after *out, struct err *e) {
    static const char *const words[] = {"NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT"};
    const struct str word = attr_str(at->node, "post_transform", "NONE");
    for (size_t k = 0; k < sizeof words / sizeof *words; k++)
        if (str_is(word, words[k])) {
            *out = (enum scores_after)k;
            return OK;
        }
    return operand_fail(at, e, FORMAT, "post_transform '%.*s' is not known", STR(word));
}

/* Winitzki's approximation of erf^-1, as good as f32 needs in the middle and 2e-3 at the ends. */
static double inverse_erf(double x) {
    double sign = x < 0 ? -1 : 1, l = log((1 - x) * (1 + x));
    double v = 2 / (M_PI * 0.147) + 0.5 * l;
    return sign * sqrt(sqrt(v * v - l / 0.147) - v);
}

static double logistic(double v) { return 1 / (1 + exp(-v)); }
static double probit(double v) { return M_SQRT2 * inverse_erf(2 * v - 1); }

static void softmax(double *v, size_t n, bool zero_stays) {
    double top = -INFINITY, sum = 0;
    for (size_t k = 0; k < n; k++)
        top = fmax(top, v[k]);
    for (size_t k = 0; k < n; k++) {
        v[k] = zero_stays && fabs(v[k]) <= 1e-7 ? v[k] * exp(-top) : exp(v[k] - top);
        sum += v[k];
    }
    for (size_t k = 0; k < n && sum > 0; k++)
        v[k] /= sum;
}

void scores_finish(enum scores_after after, double *v, size_t n) {
    if (after == SCORES_SOFTMAX || after == SCORES_SOFTMAX_ZERO) {
        softmax(v, n, after == SCORES_SOFTMAX_ZERO);
        return;
    }
    for (size_t k = 0; k < n && after != SCORES_NONE; k++)
        v[k] = after == SCORES_LOGISTIC ? logistic(v[k]) : probit(v[k]);
}

void scores_of_binary(enum scores_after after, bool positive, double v, double out[2]) {
    const bool logit = after == SCORES_LOGISTIC;
    out[0] = logit ? logistic(-v) : positive ? 1 - v : -v;
    out[1] = logit ? logistic(v) : v;
}

size_t scores_top(const double *v, size_t n) {
    size_t top = 0;
    for (size_t k = 1; k < n; k++)
        top = v[k] > v[top] ? k : top;
    return top;
}

enum code scores_labels_of(const struct operand_at *at, struct scores_labels *out, struct err *e) {
    static const char *const numbers[] = {"classlabels_ints", "classlabels_int64s"};
    const struct attr *texts = attr_find(at->node, "classlabels_strings");
    *out = (struct scores_labels){0};
    if (texts && texts->kind == ATTR_STRS && texts->n) {
        out->texts = texts->strs;
        out->n = texts->n;
        return OK;
    }
    for (int k = 0; k < 2; k++)
        if (attr_ints(at->node, numbers[k], &out->numbers, &out->n) && out->n)
            return OK;
    return operand_fail(at, e, FORMAT, "the labels of the classes are missing");
}

enum dtype scores_labels_dtype(const struct scores_labels *l) {
    return l->texts ? DT_STRING : DT_I64;
}

void scores_put_label(const struct scores_labels *l, size_t at, const struct tensor *to,
                      size_t row) {
    if (l->texts)
        ((struct str *)to->data)[row] = l->texts[at];
    else
        ((int64_t *)to->data)[row] = l->numbers[at];
}

enum code scores_rows(const struct operand_at *at, const struct shape *x, size_t *rows,
                      size_t *features, struct err *e) {
    if (x->rank != 1 && x->rank != 2)
        return operand_fail(at, e, INVALID, "an input of rank %d; (rows, features) was expected",
                            x->rank);
    *rows = x->rank == 2 ? (size_t)x->dims[0] : 1;
    *features = (size_t)x->dims[x->rank - 1];
    return OK;
}

enum code scores_infer(struct op_infer *c, const struct scores_labels *l, size_t columns,
                       struct err *e) {
    size_t rows, features;
    TRY(operand_need(c, 1, e));
    const enum dtype t = c->in[0].dtype;
    operand_out_later(c, 0, scores_labels_dtype(l));
    operand_out_later(c, 1, DT_F32);
    if (!dtype_is_float(t) && !dtype_is_integer(t))
        return operand_fail(c, e, INVALID, "features of type %s", dtype_name(t));
    if (!c->in[0].known)
        return OK;
    TRY(scores_rows(OPERAND_AT(c), &c->in[0].shape, &rows, &features, e));
    TRY(operand_out(c, 0, scores_labels_dtype(l), &(struct shape){1, {(int64_t)rows}}, e));
    return operand_out(c, 1, DT_F32, &(struct shape){2, {(int64_t)rows, (int64_t)columns}}, e);
}

const float *scores_floats(const struct node *n, const char *name, size_t *count) {
    const struct attr *a = attr_find(n, name);
    *count = a && a->kind == ATTR_FLOATS ? a->n : 0;
    return *count ? a->floats : NULL;
}
