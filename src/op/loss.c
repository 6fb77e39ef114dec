/* SPDX-License-Identifier: Apache-2.0 */
/* negative_log_likelihood_loss and softmax_cross_entropy_loss.
 *
 * Scores are (N, C, D1, ..., Dk), targets (N, D1, ..., Dk) with classes in [0, C) or ignore_index.
 * Sums run in f64. The mean is over the weights of the targets that count. */
#include "op/operand.h"

#include <math.h>

enum reduction { REDUCTION_NONE, REDUCTION_SUM, REDUCTION_MEAN };

static enum code reduction_of(const struct operand_at *at, enum reduction *out, struct err *e) {
    struct str text = attr_str(at->node, "reduction", "mean");
    static const char *const names[] = {"none", "sum", "mean"};
    for (int k = 0; k < 3; k++)
        if (str_is(text, names[k])) {
            *out = (enum reduction)k;
            return OK;
        }
    return operand_fail(at, e, FORMAT, "reduction '%.*s' is not one of none, sum, mean", STR(text));
}

static enum code check_shapes(const struct op_infer *c, struct err *e) {
    const struct shape *x = &c->in[0].shape, *target = &c->in[1].shape;
    char text[2][SHAPE_TEXT];
    bool fits = x->rank >= 2 && target->rank == x->rank - 1 && x->dims[0] == target->dims[0];
    for (int k = 2; fits && k < x->rank; k++)
        fits = x->dims[k] == target->dims[k - 1];
    if (fits && operand_given(c, 2))
        fits = c->in[2].shape.rank == 1 && c->in[2].shape.dims[0] == x->dims[1];
    if (!fits)
        return operand_fail(c, e, INVALID, "scores %s do not fit targets %s and the weights",
                            shape_print(x, text[0]), shape_print(target, text[1]));
    return OK;
}

static enum code infer_loss(struct op_infer *c, struct err *e) {
    enum reduction how;
    TRY(operand_need(c, 2, e));
    TRY(reduction_of(OPERAND_AT(c), &how, e));
    enum dtype t = c->in[0].dtype;
    if (!dtype_is_float(t) || (c->in[1].dtype != DT_I32 && c->in[1].dtype != DT_I64) ||
        (operand_given(c, 2) && c->in[2].dtype != t))
        return operand_fail(c, e, INVALID, "scores of %s, targets of %s", dtype_name(t),
                            dtype_name(c->in[1].dtype));
    operand_out_later(c, 0, t);
    operand_out_later(c, 1, t);
    if (!operand_known(c))
        return OK;
    TRY(check_shapes(c, e));
    TRY(operand_out(c, 1, t, &c->in[0].shape, e));
    return operand_out(c, 0, t, how == REDUCTION_NONE ? &c->in[1].shape : &(struct shape){0}, e);
}

struct loss {
    const struct op_call *c;
    size_t classes, inner; /* inner: product of D1 ... Dk */
    bool softmax;
};

/* log(sum(exp(x))) over the classes of one position, shifted by the largest. */
static double log_sum(const struct loss *l, size_t first) {
    const struct tensor *x = l->c->in[0];
    double top = -INFINITY, sum = 0;
    for (size_t k = 0; k < l->classes; k++)
        top = fmax(top, tensor_f64(x, first + k * l->inner));
    for (size_t k = 0; k < l->classes; k++)
        sum += exp(tensor_f64(x, first + k * l->inner) - top);
    return top + log(sum);
}

/* One position: its loss and weight; weight 0 and loss 0 when ignored. */
static enum code one_loss(const struct loss *l, size_t position, double *value, double *weight,
                          struct err *e) {
    const struct op_call *c = l->c;
    const struct tensor *weights = operand_in(c, 2);
    struct tensor *log_prob = operand_to(c, 1);
    size_t first = position / l->inner * l->classes * l->inner + position % l->inner;
    double shift = l->softmax ? log_sum(l, first) : 0;
    for (size_t k = 0; log_prob && k < l->classes; k++)
        operand_put(log_prob, first + k * l->inner,
                    tensor_f64(c->in[0], first + k * l->inner) - shift);
    int64_t target = tensor_i64(c->in[1], position);
    *value = *weight = 0;
    if (attr_find(c->node, "ignore_index") && target == attr_int(c->node, "ignore_index", 0))
        return OK;
    if (target < 0 || (size_t)target >= l->classes)
        return operand_fail(c, e, INVALID, "target %lld at position %zu of %zu classes",
                            (long long)target, position, l->classes);
    *weight = weights ? tensor_f64(weights, (size_t)target) : 1;
    *value = *weight * (shift - tensor_f64(c->in[0], first + (size_t)target * l->inner));
    return OK;
}

static enum code loss(const struct op_call *c, bool softmax, struct err *e) {
    const struct shape *x = &c->in[0]->shape;
    struct loss l = {.c = c, .classes = (size_t)x->dims[1], .inner = 1, .softmax = softmax};
    enum reduction how;
    double total = 0, weights = 0, value, weight;
    TRY(reduction_of(OPERAND_AT(c), &how, e));
    for (int k = 2; k < x->rank; k++)
        l.inner *= (size_t)x->dims[k];
    for (size_t k = 0, n = tensor_count(c->in[1]); k < n; k++) {
        TRY(one_loss(&l, k, &value, &weight, e));
        total += value;
        weights += weight;
        if (how == REDUCTION_NONE && c->out[0])
            operand_put(c->out[0], k, value);
    }
    if (how != REDUCTION_NONE && c->out[0])
        operand_put(c->out[0], 0, how == REDUCTION_SUM ? total : total / weights);
    return OK;
}

static enum code run_nll(const struct op_call *c, struct err *e) { return loss(c, false, e); }
static enum code run_cross_entropy(const struct op_call *c, struct err *e) {
    return loss(c, true, e);
}

const struct op op_negative_log_likelihood_loss = {
    .name = "negative_log_likelihood_loss", .flags = OP_PURE, .infer = infer_loss, .run = run_nll};
const struct op op_softmax_cross_entropy_loss = {.name = "softmax_cross_entropy_loss",
                                                 .flags = OP_PURE,
                                                 .infer = infer_loss,
                                                 .run = run_cross_entropy};
