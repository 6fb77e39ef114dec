/* SPDX-License-Identifier: Apache-2.0 */
/* Operators that carry a state from one call to the next (opset 27): linear_attention and
 * causal_conv_with_state.
 *
 * linear_attention keeps, per batch entry and key head, a matrix S (d_k, d_v). For each step t:
 *   gated, gated_delta   S = exp(g_t) * S      per key dim, or one g_t per head
 *   delta, gated_delta   v' = beta_t * (v_t - S^T k_t);  otherwise v' = v_t
 *   S = S + k_t v'^T;    o_t = scale * q_t^T S  for every query head that shares the key head */
#include "op/operand.h"

#include <math.h>

/* --- linear_attention --- */

enum { IN_Q, IN_K, IN_V, IN_STATE, IN_DECAY, IN_BETA };

struct linear_attention {
    size_t batch, steps, q_heads, heads, d_k, d_v;
    bool gated, delta, decay_per_key, beta_per_head;
    float scale;
};

static enum code read_rule(const struct operand_at *at, struct linear_attention *l, struct err *e) {
    struct str rule = attr_str(at->node, "update_rule", "gated_delta");
    int64_t q = attr_int(at->node, "q_num_heads", 0), kv = attr_int(at->node, "kv_num_heads", 0);
    l->gated = str_starts(rule, "gated");
    l->delta = str_ends(rule, "delta");
    if (!l->gated && !l->delta && !str_is(rule, "linear"))
        return operand_fail(at, e, FORMAT, "update_rule '%.*s'", STR(rule));
    if (q < 1 || kv < 1 || q % kv || q > 1 << 20)
        return operand_fail(at, e, FORMAT, "%lld query heads share %lld key heads", (long long)q,
                            (long long)kv);
    l->q_heads = (size_t)q;
    l->heads = (size_t)kv;
    return OK;
}

static bool is_packed(const struct shape *s, const struct shape *q) {
    return s->rank == 3 && s->dims[0] == q->dims[0] && s->dims[1] == q->dims[1];
}

/* s: shapes of the six inputs, NULL where absent */
static enum code read_linear(const struct operand_at *at, const struct shape *const s[6],
                             struct linear_attention *l, struct err *e) {
    TRY(read_rule(at, l, e));
    const struct shape *q = s[IN_Q];
    int64_t heads = (int64_t)l->heads;
    bool fits = is_packed(q, q) && is_packed(s[IN_K], q) && is_packed(s[IN_V], q) &&
                q->dims[2] % (int64_t)l->q_heads == 0 && s[IN_V]->dims[2] % heads == 0;
    if (fits) {
        l->batch = (size_t)q->dims[0];
        l->steps = (size_t)q->dims[1];
        l->d_k = (size_t)q->dims[2] / l->q_heads;
        l->d_v = (size_t)s[IN_V]->dims[2] / l->heads;
        fits = s[IN_K]->dims[2] == heads * (int64_t)l->d_k;
    }
    if (fits && s[IN_STATE])
        fits = shape_eq(s[IN_STATE], &(struct shape){.rank = 4,
                                                     .dims = {q->dims[0], heads, (int64_t)l->d_k,
                                                              (int64_t)l->d_v}});
    if (fits && l->gated) {
        fits = s[IN_DECAY] && is_packed(s[IN_DECAY], q);
        l->decay_per_key = fits && s[IN_DECAY]->dims[2] == heads * (int64_t)l->d_k;
        fits = fits && (l->decay_per_key || s[IN_DECAY]->dims[2] == heads);
    }
    if (fits && l->delta) {
        fits = s[IN_BETA] && is_packed(s[IN_BETA], q);
        l->beta_per_head = fits && s[IN_BETA]->dims[2] == heads;
        fits = fits && (l->beta_per_head || s[IN_BETA]->dims[2] == 1);
    }
    if (!fits)
        return operand_fail(at, e, INVALID, "the shapes of the inputs do not fit each other");
    float scale = attr_float(at->node, "scale", 0);
    l->scale = scale != 0 ? scale : 1 / sqrtf((float)l->d_k);
    return OK;
}

static enum code infer_linear_attention(struct op_infer *c, struct err *e) {
    struct linear_attention l = {0};
    const struct shape *s[6] = {NULL};
    TRY(operand_need(c, 3, e));
    enum dtype t = c->in[0].dtype, kept = operand_given(c, IN_STATE) ? c->in[IN_STATE].dtype : t;
    operand_out_later(c, 0, t);
    operand_out_later(c, 1, kept);
    for (int i = 0; i < c->node->n_in && i < 6; i++) {
        s[i] = operand_given(c, i) ? &c->in[i].shape : NULL;
        if (s[i] && !dtype_is_float(c->in[i].dtype))
            return operand_fail(c, e, INVALID, "input %d is %s", i, dtype_name(c->in[i].dtype));
    }
    if (!operand_known(c))
        return OK;
    TRY(read_linear(OPERAND_AT(c), s, &l, e));
    struct shape out = c->in[0].shape;
    out.dims[2] = (int64_t)(l.q_heads * l.d_v);
    TRY(operand_out(c, 0, t, &out, e));
    struct shape state = {
        .rank = 4, .dims = {(int64_t)l.batch, (int64_t)l.heads, (int64_t)l.d_k, (int64_t)l.d_v}};
    return operand_out(c, 1, kept, &state, e);
}

static enum code prepare_linear_attention(struct op_prepare *c, struct err *e) {
    size_t k = (size_t)c->in[IN_Q].shape.dims[2], v = (size_t)c->in[IN_V].shape.dims[2], n;
    if (!mul_size(k + 2, v + 2, &n) || !mul_size(n, 2 * sizeof(float), &c->scratch_bytes))
        return operand_fail(c, e, LIMIT, "the state is too large");
    return OK;
}

static void load(const struct tensor *t, size_t at, size_t n, float *to) {
    if (t->dtype == DT_F32 && n)
        memcpy(to, (const float *)t->data + at, n * sizeof *to);
    else
        for (size_t k = 0; k < n; k++)
            to[k] = (float)tensor_f64(t, at + k);
}

struct lane { /* one batch entry and key head */
    const struct op_call *c;
    const struct linear_attention *l;
    size_t batch, head;
    float *s, *k, *v, *q; /* (d_k, d_v), (d_k), (d_v), (d_k) */
};

static void decay(const struct lane *w, size_t step) {
    const struct linear_attention *l = w->l;
    const struct tensor *g = w->c->in[IN_DECAY];
    size_t row = w->batch * l->steps + step;
    for (size_t i = 0; i < l->d_k; i++) {
        size_t at =
            l->decay_per_key ? (row * l->heads + w->head) * l->d_k + i : row * l->heads + w->head;
        float factor = expf((float)tensor_f64(g, at));
        for (size_t j = 0; j < l->d_v; j++)
            w->s[i * l->d_v + j] *= factor;
    }
}

/* v = beta * (v - S^T k) */
static void correct(const struct lane *w, size_t step) {
    const struct linear_attention *l = w->l;
    size_t row = w->batch * l->steps + step;
    size_t at = l->beta_per_head ? row * l->heads + w->head : row;
    float beta = (float)tensor_f64(w->c->in[IN_BETA], at);
    for (size_t i = 0; i < l->d_k; i++)
        for (size_t j = 0; j < l->d_v; j++)
            w->v[j] -= w->s[i * l->d_v + j] * w->k[i];
    for (size_t j = 0; j < l->d_v; j++)
        w->v[j] *= beta;
}

static void answer(const struct lane *w, size_t step, size_t head) {
    const struct linear_attention *l = w->l;
    size_t row = (w->batch * l->steps + step) * l->q_heads + head;
    load(w->c->in[IN_Q], row * l->d_k, l->d_k, w->q);
    memset(w->v, 0, l->d_v * sizeof *w->v);
    for (size_t i = 0; i < l->d_k; i++)
        for (size_t j = 0; j < l->d_v; j++)
            w->v[j] += w->q[i] * w->s[i * l->d_v + j];
    for (size_t j = 0; j < l->d_v; j++)
        operand_put(w->c->out[0], row * l->d_v + j, (double)(w->v[j] * l->scale));
}

static void attend(const struct lane *w) {
    const struct linear_attention *l = w->l;
    const struct tensor *past = operand_in(w->c, IN_STATE);
    struct tensor *present = operand_to(w->c, 1);
    size_t group = l->q_heads / l->heads, cell = w->batch * l->heads + w->head;
    size_t n = l->d_k * l->d_v;
    if (past)
        load(past, cell * n, n, w->s);
    else
        memset(w->s, 0, n * sizeof *w->s);
    for (size_t t = 0; t < l->steps; t++) {
        size_t row = (w->batch * l->steps + t) * l->heads + w->head;
        load(w->c->in[IN_K], row * l->d_k, l->d_k, w->k);
        load(w->c->in[IN_V], row * l->d_v, l->d_v, w->v);
        if (l->gated)
            decay(w, t);
        if (l->delta)
            correct(w, t);
        for (size_t i = 0; i < l->d_k; i++)
            for (size_t j = 0; j < l->d_v; j++)
                w->s[i * l->d_v + j] += w->k[i] * w->v[j];
        for (size_t h = 0; h < group && w->c->out[0]; h++)
            answer(w, t, w->head * group + h);
    }
    for (size_t k = 0; present && k < n; k++)
        operand_put(present, cell * n + k, (double)w->s[k]);
}

static enum code run_linear_attention(const struct op_call *c, struct err *e) {
    struct linear_attention l = {0};
    const struct shape *s[6];
    for (int i = 0; i < 6; i++)
        s[i] = operand_in(c, i) ? &c->in[i]->shape : NULL;
    TRY(read_linear(OPERAND_AT(c), s, &l, e));
    float *room = c->scratch;
    struct lane w = {.c = c, .l = &l, .s = room};
    w.k = w.s + l.d_k * l.d_v;
    w.v = w.k + l.d_k;
    w.q = w.v + l.d_v;
    for (w.batch = 0; w.batch < l.batch; w.batch++)
        for (w.head = 0; w.head < l.heads; w.head++)
            attend(&w);
    return OK;
}

/* --- causal_conv_with_state: x (B, C, T), w (C, 1, k), state (B, C, k - 1) --- */

enum { CONV_X, CONV_W, CONV_BIAS, CONV_STATE };

static enum code infer_causal_conv(struct op_infer *c, struct err *e) {
    TRY(operand_need(c, 2, e));
    enum dtype t = c->in[0].dtype;
    struct str act = attr_str(c->node, "activation", "none");
    for (int i = 0; i < c->node->n_in; i++)
        if (operand_given(c, i) && (c->in[i].dtype != t || !dtype_is_float(t)))
            return operand_fail(c, e, INVALID, "input %d is %s", i, dtype_name(c->in[i].dtype));
    if (!str_is(act, "none") && !str_is(act, "silu") && !str_is(act, "swish"))
        return operand_fail(c, e, FORMAT, "activation '%.*s'", STR(act));
    operand_out_later(c, 0, t);
    operand_out_later(c, 1, t);
    if (!operand_known(c))
        return OK;
    const struct shape *x = &c->in[CONV_X].shape, *w = &c->in[CONV_W].shape;
    bool fits = x->rank == 3 && w->rank == 3 && w->dims[0] == x->dims[1] && w->dims[1] == 1 &&
                w->dims[2] >= 1;
    struct shape state = *x;
    state.dims[2] = fits ? w->dims[2] - 1 : 0;
    if (fits && operand_given(c, CONV_BIAS))
        fits = c->in[CONV_BIAS].shape.rank == 1 && c->in[CONV_BIAS].shape.dims[0] == x->dims[1];
    if (fits && operand_given(c, CONV_STATE))
        fits = shape_eq(&c->in[CONV_STATE].shape, &state);
    if (!fits)
        return operand_fail(c, e, INVALID, "the shapes of the inputs do not fit each other");
    TRY(operand_out(c, 0, t, x, e));
    return operand_out(c, 1, t, &state, e);
}

/* Position `at` of the state followed by the input, of one channel. */
static double causal_value(const struct op_call *c, size_t row, size_t kept, size_t steps,
                           size_t at) {
    const struct tensor *state = operand_in(c, CONV_STATE);
    if (at >= kept)
        return tensor_f64(c->in[CONV_X], row * steps + at - kept);
    return state ? tensor_f64(state, row * kept + at) : 0;
}

static enum code run_causal_conv(const struct op_call *c, struct err *e) {
    (void)e;
    const int64_t *x = c->in[CONV_X]->shape.dims;
    const struct tensor *bias = operand_in(c, CONV_BIAS);
    struct tensor *out = c->out[0], *present = operand_to(c, 1);
    size_t k = (size_t)c->in[CONV_W]->shape.dims[2], kept = k - 1, steps = (size_t)x[2];
    bool silu = !str_is(attr_str(c->node, "activation", "none"), "none");
    for (size_t row = 0; row < (size_t)(x[0] * x[1]); row++) {
        size_t channel = row % (size_t)x[1];
        for (size_t t = 0; out && t < steps; t++) {
            double sum = bias ? tensor_f64(bias, channel) : 0;
            for (size_t i = 0; i < k; i++)
                sum += tensor_f64(c->in[CONV_W], channel * k + i) *
                       causal_value(c, row, kept, steps, t + i);
            operand_put(out, row * steps + t, silu ? sum / (1 + exp(-sum)) : sum);
        }
        for (size_t i = 0; present && i < kept; i++)
            operand_put(present, row * kept + i, causal_value(c, row, kept, steps, steps + i));
    }
    return OK;
}

const struct op op_linear_attention = {.name = "linear_attention",
                                       .flags = OP_PURE,
                                       .infer = infer_linear_attention,
                                       .prepare = prepare_linear_attention,
                                       .run = run_linear_attention};
const struct op op_causal_conv_with_state = {.name = "causal_conv_with_state",
                                             .flags = OP_PURE,
                                             .infer = infer_causal_conv,
                                             .run = run_causal_conv};
