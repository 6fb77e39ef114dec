/* SPDX-License-Identifier: Apache-2.0 */
/* flex_attention (ai.onnx.preview 1): attention whose scores, and whose probabilities, a graph of
 * the node may change.
 *
 * q (B, Hq, Tq, d), k (B, Hk, Tk, d), v (B, Hk, Tk, dv); scores and probabilities are one tensor
 * (B, Hq, Tq, Tk) of f32 (f64 when q is, or as softmax_precision says), for the graphs see it
 * whole. */
#include "op/operand.h"

#include <math.h>

struct flex {
    size_t batch, heads, kv_heads, tq, tk, d, dv;
    enum dtype inner;
    double scale;
};

static enum code flex_read(const struct operand_at *at, const struct shape *q,
                           const struct shape *k, const struct shape *v, struct flex *f,
                           struct err *e) {
    bool fits = q->rank == 4 && k->rank == 4 && v->rank == 4 && q->dims[0] == k->dims[0] &&
                k->dims[0] == v->dims[0] && k->dims[1] == v->dims[1] && k->dims[2] == v->dims[2] &&
                q->dims[3] == k->dims[3] && k->dims[1] > 0 && q->dims[1] % k->dims[1] == 0;
    if (!fits)
        return operand_fail(at, e, INVALID, "the shapes of Q, K and V do not fit each other");
    f->batch = (size_t)q->dims[0];
    f->heads = (size_t)q->dims[1];
    f->kv_heads = (size_t)k->dims[1];
    f->tq = (size_t)q->dims[2];
    f->tk = (size_t)k->dims[2];
    f->d = (size_t)q->dims[3];
    f->dv = (size_t)v->dims[3];
    f->scale = (double)attr_float(at->node, "scale", 1 / sqrtf((float)q->dims[3]));
    return OK;
}

static enum code flex_precision(const struct operand_at *at, enum dtype q, struct flex *f,
                                struct err *e) {
    f->inner = q == DT_F64 ? DT_F64 : DT_F32;
    if (attr_find(at->node, "softmax_precision"))
        f->inner = operand_dtype(attr_int(at->node, "softmax_precision", 1));
    if (!dtype_is_float(f->inner))
        return operand_fail(at, e, FORMAT, "softmax_precision %s", dtype_name(f->inner));
    return OK;
}

static enum code infer_flex(struct op_infer *c, struct err *e) {
    struct flex f;
    TRY(operand_need(c, 3, e));
    enum dtype t = c->in[0].dtype;
    operand_out_later(c, 0, t);
    if (!dtype_is_float(t) || c->in[1].dtype != t || c->in[2].dtype != t)
        return operand_fail(c, e, INVALID, "Q, K and V must be floats of one type");
    TRY(flex_precision(OPERAND_AT(c), t, &f, e));
    if (!operand_known(c))
        return OK;
    return flex_read(OPERAND_AT(c), &c->in[0].shape, &c->in[1].shape, &c->in[2].shape, &f, e);
}

/* Element (b, h, t, i) of q, k or v; h is the tensor's own head. */
static double element(const struct tensor *x, size_t b, size_t h, size_t t, size_t i) {
    const int64_t *d = x->shape.dims;
    return tensor_f64(x, ((b * (size_t)d[1] + h) * (size_t)d[2] + t) * (size_t)d[3] + i);
}

static void flex_scores(const struct op_call *c, const struct flex *f, const struct tensor *s) {
    size_t at = 0, group = f->heads / f->kv_heads;
    for (size_t row = 0; row < f->batch * f->heads * f->tq; row++) {
        size_t b = row / f->tq / f->heads, h = row / f->tq % f->heads, t = row % f->tq;
        for (size_t k = 0; k < f->tk; k++) {
            double sum = 0;
            for (size_t i = 0; i < f->d; i++)
                sum += element(c->in[0], b, h, t, i) * element(c->in[1], b, h / group, k, i);
            operand_put(s, at++, sum * f->scale);
        }
    }
}

static void flex_softmax(const struct flex *f, const struct tensor *s) {
    for (size_t row = 0; row < f->batch * f->heads * f->tq; row++) {
        double top = -INFINITY, sum = 0;
        for (size_t k = 0; k < f->tk; k++)
            top = fmax(top, tensor_f64(s, row * f->tk + k));
        for (size_t k = 0; k < f->tk; k++)
            sum += exp(tensor_f64(s, row * f->tk + k) - top);
        for (size_t k = 0; k < f->tk; k++)
            operand_put(s, row * f->tk + k, exp(tensor_f64(s, row * f->tk + k) - top) / sum);
    }
}

static void flex_answer(const struct op_call *c, const struct flex *f, const struct tensor *p) {
    size_t at = 0, group = f->heads / f->kv_heads;
    for (size_t row = 0; row < f->batch * f->heads * f->tq; row++)
        for (size_t i = 0; i < f->dv; i++) {
            size_t b = row / f->tq / f->heads, h = row / f->tq % f->heads;
            double sum = 0;
            for (size_t k = 0; k < f->tk; k++)
                sum += tensor_f64(p, row * f->tk + k) * element(c->in[2], b, h / group, k, i);
            operand_put(c->out[0], at++, sum);
        }
}

/* What the graph of this name, if there is one, makes of s. */
static enum code flex_change(const struct op_call *c, const char *name, struct tensor *s,
                             struct err *e) {
    const struct graph *g = attr_graph(c->node, name);
    const struct tensor *in[1] = {s};
    struct tensor out;
    if (!g)
        return OK;
    if (g->n_inputs != 1 || g->n_outputs != 1)
        return operand_fail(c, e, FORMAT, "'%s' has %d inputs and %d outputs", name, g->n_inputs,
                            g->n_outputs);
    TRY(c->host->run_graph(c->host, c, g, in, &out, e));
    if (out.dtype != s->dtype || !shape_eq(&out.shape, &s->shape))
        return operand_fail(c, e, INVALID, "'%s' changes the type or shape of the scores", name);
    *s = out;
    return OK;
}

static enum code run_flex(const struct op_call *c, struct err *e) {
    struct flex f;
    TRY(flex_precision(OPERAND_AT(c), c->in[0]->dtype, &f, e));
    TRY(flex_read(OPERAND_AT(c), &c->in[0]->shape, &c->in[1]->shape, &c->in[2]->shape, &f, e));
    struct tensor s = {
        .dtype = f.inner,
        .shape = {.rank = 4,
                  .dims = {(int64_t)f.batch, (int64_t)f.heads, (int64_t)f.tq, (int64_t)f.tk}}};
    struct shape out = s.shape;
    size_t n;
    out.dims[3] = (int64_t)f.dv;
    if (!shape_count(&s.shape, &n))
        return operand_fail(c, e, LIMIT, "the scores are too large");
    TRY(operand_alloc(c, n, dtype_size(s.dtype), &s.data, e));
    flex_scores(c, &f, &s);
    TRY(flex_change(c, "score_mod", &s, e));
    flex_softmax(&f, &s);
    TRY(flex_change(c, "prob_mod", &s, e));
    TRY(op_output(c, 0, c->in[0]->dtype, &out, e));
    if (c->out[0])
        flex_answer(c, &f, &s);
    return OK;
}

const struct op op_flex_attention = {
    .name = "flex_attention", .flags = OP_DYNAMIC, .infer = infer_flex, .run = run_flex};
