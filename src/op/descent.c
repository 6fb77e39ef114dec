/* SPDX-License-Identifier: Apache-2.0 */
/* One step of gradient descent (ai.onnx.preview.training 1): adagrad, adam, momentum.
 *
 * Inputs are a rate R and a count T of steps made, then for each kind in turn the tensors of all n
 * variables: X1 ... Xn, their gradients G1 ... Gn, and the one (H or V) or two (V, H) histories.
 * Outputs are the new X, then the new histories, in the same order. */
#include "op/operand.h"

#include <math.h>

struct descent { /* numbers of one step */
    double rate, count;
    double norm, norm_post, epsilon, alpha, beta, decay;
    bool nesterov;
};

struct point {                  /* one element */
    double x, g, first, second; /* histories */
};

typedef void descend_fn(const struct descent *d, struct point *p);

static enum code infer_descent(struct op_infer *c, int histories, struct err *e) {
    TRY(operand_need(c, c->node->n_in > 2 ? c->node->n_in : 3, e));
    int kinds = 2 + histories, n = (c->node->n_in - 2) / kinds;
    if (c->node->n_in != 2 + n * kinds || c->node->n_out > n * (1 + histories))
        return operand_fail(c, e, FORMAT, "%d inputs and %d outputs", c->node->n_in,
                            c->node->n_out);
    for (int i = 2; i < c->node->n_in; i++) {
        const struct op_value *v = &c->in[i], *x = &c->in[2 + (i - 2) % n];
        if (v->dtype != x->dtype || !dtype_is_float(v->dtype) ||
            (v->known && x->known && !shape_eq(&v->shape, &x->shape)))
            return operand_fail(c, e, INVALID, "input %d does not fit its variable", i);
    }
    for (int i = 0; i < c->node->n_out; i++) {
        const struct op_value *x = &c->in[2 + i % n];
        operand_out_later(c, i, x->dtype);
        if (x->known)
            TRY(operand_out(c, i, x->dtype, &x->shape, e));
    }
    return OK;
}

static enum code read_descent(const struct op_call *c, struct descent *d, struct err *e) {
    const struct node *n = c->node;
    TRY(operand_number(OPERAND_AT(c), c->in[0], "the rate", &d->rate, e));
    TRY(operand_number(OPERAND_AT(c), c->in[1], "the count", &d->count, e));
    d->norm = (double)attr_float(n, "norm_coefficient", 0);
    d->norm_post = (double)attr_float(n, "norm_coefficient_post", 0);
    d->epsilon = (double)attr_float(n, "epsilon", 1e-6F);
    d->alpha = (double)attr_float(n, "alpha", 0.9F);
    d->beta = (double)attr_float(n, "beta", 0.999F);
    d->decay = (double)attr_float(n, "decay_factor", 0);
    d->nesterov = str_is(attr_str(n, "mode", "standard"), "nesterov");
    return OK;
}

static enum code descend(const struct op_call *c, int histories, descend_fn *fn, struct err *e) {
    struct descent d;
    int n = (c->node->n_in - 2) / (2 + histories);
    TRY(read_descent(c, &d, e));
    for (int v = 0; v < n; v++)
        for (size_t k = 0; k < tensor_count(c->in[2 + v]); k++) {
            struct point p = {.x = tensor_f64(c->in[2 + v], k),
                              .g = tensor_f64(c->in[2 + n + v], k),
                              .first = tensor_f64(c->in[2 + 2 * n + v], k)};
            if (histories > 1)
                p.second = tensor_f64(c->in[2 + 3 * n + v], k);
            p.g += d.norm * p.x;
            fn(&d, &p);
            const double results[3] = {p.x, p.first, p.second};
            for (int i = 0; i <= histories; i++)
                if (operand_to(c, i * n + v))
                    operand_put(c->out[i * n + v], k, results[i]);
        }
    return OK;
}

static void adagrad(const struct descent *d, struct point *p) {
    p->first += p->g * p->g;
    p->x -= d->rate / (1 + d->count * d->decay) * p->g / (sqrt(p->first) + d->epsilon);
}

/* first: V, second: H */
static void adam(const struct descent *d, struct point *p) {
    double rate = d->rate;
    if (d->count > 0)
        rate *= sqrt(1 - pow(d->beta, d->count)) / (1 - pow(d->alpha, d->count));
    p->first = d->alpha * p->first + (1 - d->alpha) * p->g;
    p->second = d->beta * p->second + (1 - d->beta) * p->g * p->g;
    p->x -= rate * p->first / (sqrt(p->second) + d->epsilon);
    p->x *= 1 - d->norm_post;
}

static void momentum(const struct descent *d, struct point *p) {
    p->first = d->alpha * p->first + (d->count > 0 ? d->beta : 1) * p->g;
    p->x -= d->rate * (d->nesterov ? p->g + d->alpha * p->first : p->first);
}

#define DESCENT(which, histories)                                                                  \
    static enum code infer_##which(struct op_infer *c, struct err *e) {                            \
        return infer_descent(c, histories, e);                                                     \
    }                                                                                              \
    static enum code run_##which(const struct op_call *c, struct err *e) {                         \
        return descend(c, histories, which, e);                                                    \
    }                                                                                              \
    const struct op op_##which = {                                                                 \
        .name = #which, .flags = OP_PURE, .infer = infer_##which, .run = run_##which}
DESCENT(adagrad, 1);
DESCENT(adam, 2);
DESCENT(momentum, 1);
