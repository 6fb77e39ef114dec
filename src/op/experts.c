/* SPDX-License-Identifier: Apache-2.0 */
/* Mixture of experts: each token goes through the k networks its router likes best, and their
 * answers are added up by weight (com.microsoft's MoE and QMoE; ContribOperators.md).
 *
 * Letters: T tokens, H numbers of each, E experts, I numbers between an expert's two layers, F = 2
 * where the first layer makes gates and values at once (swiglu_fusion), else 1.
 *
 *   y = sum over the chosen of weight * (fc2 * act(fc1 * x + b1) + b2)
 *
 * 1. A third layer, where given, makes what the activated first one is multiplied with (for swiglu,
 * the values of its gates).
 * 2. Weights are softmax over all experts, or router_weights; of the chosen ones divided by their
 * sum with normalize_routing_weights, and always where weights of few bits come without
 * router_weights, as ONNX Runtime 1.32 does. Experts that are liked the same: the first.
 * 3. Experts take turns; each sees all of its tokens at once, so its weights are read once.
 * 4. mixture_of_experts holds weights (E, N, K) as floats. mixture_of_experts_n_bits holds numbers
 * of 2, 4 or 8 bits, low ones first, with a scale and a zero point per block of K, or per row; 4
 * and 8 bits are multiplied as they lie (op/numbers.h), others as floats in scratch. */
#include "op/numbers.h"
#include "op/op_list.h"
#include "op/operand.h"
#include "op/product.h"
#include "op/scratch.h"
#include "op/wide.h"

#include <math.h>

enum { IN_X, IN_ROUTER, LAYERS = 3, INPUTS_MOST = 21, CHOSEN_MOST = 64 };

struct form { /* which input holds what of layers 1, 2 and 3; 0: none does */
    int w[LAYERS], scales[LAYERS], bias[LAYERS], zeros[LAYERS], weights, known;
};
static const struct form floats_form = {.w = {2, 4, 6}, .bias = {3, 5, 7}, .known = 8};
static const struct form bits_form = {.w = {2, 5, 8},
                                      .scales = {3, 6, 9},
                                      .bias = {4, 7, 10},
                                      .zeros = {11, 12, 13},
                                      .weights = 14,
                                      .known = 15};

enum act { ACT_RELU, ACT_GELU, ACT_SILU, ACT_IDENTITY, ACT_SWIGLU, ACT_N };
static const char *const act_names[ACT_N] = {"relu", "gelu", "silu", "identity", "swiglu"};

struct sizes {
    size_t t, h, experts, inner, k;
    enum act act;
    int fusion;   /* 0: F = 1; 1: gates and values take turns; 2: gates first */
    size_t block; /* of packed weights; 0: a row */
    int bits[LAYERS];
    bool third;
};

static const struct form *form_of(const struct node *n) {
    return n->op == &op_mixture_of_experts_n_bits ? &bits_form : &floats_form;
}
static size_t rows_of(const struct sizes *z, int layer) { /* N */
    return layer == 1 ? z->h : layer == 0 && z->fusion ? 2 * z->inner : z->inner;
}
static size_t columns_of(const struct sizes *z, int layer) { return layer == 1 ? z->inner : z->h; }

/* --- attributes and shapes --- */

static enum code attributes(const struct operand_at *at, struct sizes *z, struct err *e) {
    static const char *const bits[LAYERS] = {"fc1_expert_weight_bits", "fc2_expert_weight_bits",
                                             "fc3_expert_weight_bits"};
    const struct node *n = at->node;
    const struct str act = attr_str(n, "activation_type", "relu");
    const int64_t k = attr_int(n, "k", 1), block = attr_int(n, "block_size", 0);
    z->act = ACT_N;
    for (int i = 0; i < ACT_N; i++)
        if (str_is(act, act_names[i]))
            z->act = (enum act)i;
    if (z->act == ACT_N)
        return operand_fail(at, e, UNSUPPORTED, "activation_type '%.*s'", STR(act));
    if (attr_int(n, "use_sparse_mixer", 0) || attr_int(n, "swiglu_limit_after_activation", 0) ||
        attr_int(n, "weights_prepacked", 0) > 0 || !str_is(attr_str(n, "quant_type", "int"), "int"))
        return operand_fail(at, e, UNSUPPORTED,
                            "use_sparse_mixer, swiglu_limit_after_activation, weights_prepacked "
                            "and quant_type other than 'int' are not supported");
    if (k < 1 || k > CHOSEN_MOST || block < 0 ||
        (block && (block < 16 || block > 1 << 16 || block & (block - 1))))
        return operand_fail(at, e, INVALID, "k %lld, block_size %lld", (long long)k,
                            (long long)block);
    z->k = (size_t)k;
    z->block = (size_t)block;
    z->fusion = z->act == ACT_SWIGLU ? (int)attr_int(n, "swiglu_fusion", 0) : 0;
    for (int i = 0; i < LAYERS; i++) {
        const int64_t b = attr_int(n, bits[i], attr_int(n, "expert_weight_bits", 4));
        if (b != 2 && b != 4 && b != 8)
            return operand_fail(at, e, UNSUPPORTED, "weights of %lld bits", (long long)b);
        z->bits[i] = (int)b;
    }
    return OK;
}

/* shapes: of the form's inputs; rank -1: absent. */
static enum code sizes_of(const struct operand_at *at, const struct shape *shapes, struct sizes *z,
                          struct err *e) {
    const struct form *f = form_of(at->node);
    const struct shape *x = &shapes[IN_X], *router = &shapes[IN_ROUTER], *w = &shapes[f->w[0]];
    *z = (struct sizes){0};
    TRY(attributes(at, z, e));
    z->third = shapes[f->w[2]].rank >= 0;
    if ((z->act == ACT_SWIGLU) != (z->fusion || z->third) && z->act == ACT_SWIGLU)
        return operand_fail(at, e, INVALID, "swiglu needs swiglu_fusion or a third layer");
    if (x->rank < 2 || x->rank > 3 || router->rank != 2 || w->rank != 3 || z->fusion < 0 ||
        z->fusion > 2 || (z->fusion && (z->third || w->dims[1] % 2)))
        return operand_fail(at, e, INVALID, "the shapes of input, router and weights do not fit");
    z->h = (size_t)x->dims[x->rank - 1];
    z->t = (size_t)router->dims[0];
    z->experts = (size_t)router->dims[1];
    z->inner = (size_t)w->dims[1] / (z->fusion ? 2 : 1);
    size_t all, want;
    if (!shape_count(x, &all) || !mul_size(z->t, z->h, &want) || all != want || z->h == 0 ||
        z->inner == 0 || z->k > z->experts || z->h > INT32_MAX || z->inner > INT32_MAX / 2)
        return operand_fail(at, e, INVALID, "%zu tokens, %zu experts, %zu chosen", z->t, z->experts,
                            z->k);
    return OK;
}

/* --- one layer of one expert --- */

struct layer {
    int bits; /* 0: floats */
    size_t n, k, blocks, zero_row;
    bool by_rows; /* one scale a row: zero points are packed along the rows */
};

static struct layer layer_of(const struct sizes *z, const struct form *f, int i, bool zeros) {
    struct layer l = {.n = rows_of(z, i), .k = columns_of(z, i), .blocks = 1};
    if (!f->scales[0])
        return l;
    l.bits = z->bits[i];
    l.by_rows = z->block == 0;
    if (!l.by_rows)
        l.blocks = l.k / z->block;
    if (zeros)
        l.zero_row = l.by_rows ? 0 : (l.blocks * (size_t)l.bits + 7) / 8;
    return l;
}
static size_t zero_bytes(const struct layer *l) { /* of an expert */
    return l->by_rows ? (l->n * (size_t)l->bits + 7) / 8 : l->n * l->zero_row;
}

/* The numbers are multiplied as they lie. */
static bool as_codes(const struct layer *l, bool zeros) {
    return l->bits >= 4 && l->k / l->blocks % CODES_GROUP == 0 && !(zeros && l->by_rows);
}
static struct codes codes_of(const struct layer *l) {
    return (struct codes){
        .n = l->n, .k = l->k, .block = l->k / l->blocks, .bits = l->bits, .zeros_row = l->zero_row};
}

static enum code check_layer(const struct op_infer *c, const struct sizes *z, int i,
                             struct err *e) {
    const struct form *f = form_of(c->node);
    const struct layer l = layer_of(z, f, i, true);
    const enum dtype t = c->in[IN_X].dtype;
    const int64_t experts = (int64_t)z->experts, n = (int64_t)l.n;
    struct shape w = {3, {experts, n, (int64_t)(l.bits ? l.k * (size_t)l.bits / 8 : l.k)}};
    if (l.bits && (l.k * (size_t)l.bits % 8 || (z->block && l.k % z->block)))
        return operand_fail(c, e, INVALID, "layer %d: rows of %zu numbers are no whole blocks",
                            i + 1, l.k);
    if (!shape_eq(&c->in[f->w[i]].shape, &w) || c->in[f->w[i]].dtype != (l.bits ? DT_U8 : t))
        return operand_fail(c, e, INVALID, "the weights of layer %d do not fit", i + 1);
    const struct {
        int input;
        size_t count;
        bool needed, number;
    } rest[] = {{f->bias[i], z->experts * l.n, false, true},
                {f->scales[i], z->experts * l.n * l.blocks, l.bits != 0, true},
                {f->zeros[i], z->experts * zero_bytes(&l), false, false}};
    for (int j = 0; j < 3; j++) {
        size_t count = 0;
        const int in = rest[j].input;
        if (!in || (!operand_given(c, in) && !rest[j].needed))
            continue;
        const enum dtype type = operand_given(c, in) ? c->in[in].dtype : DT_NONE;
        const bool fits = rest[j].number ? type == DT_F32 || wide_half(type) : type == DT_U8;
        if (!fits || !shape_count(&c->in[in].shape, &count) || count != rest[j].count)
            return operand_fail(c, e, INVALID, "input %d does not fit layer %d", in, i + 1);
    }
    return OK;
}

static enum code infer(struct op_infer *c, struct err *e) {
    const struct form *f = form_of(c->node);
    TRY(operand_need(c, 3, e));
    const enum dtype t = c->in[IN_X].dtype;
    for (int i = f->known; i < c->node->n_in; i++)
        if (operand_given(c, i))
            return operand_fail(c, e, UNSUPPORTED, "input %d", i);
    if (!operand_given(c, f->w[1]) || (t != DT_F32 && !wide_half(t)) ||
        c->in[IN_ROUTER].dtype != t ||
        (f->weights && operand_given(c, f->weights) && c->in[f->weights].dtype != t))
        return operand_fail(c, e, INVALID, "inputs of %s and %s, or a layer is missing",
                            dtype_name(t), dtype_name(c->in[IN_ROUTER].dtype));
    operand_out_later(c, 0, t);
    if (!operand_known(c))
        return OK;
    struct shape shapes[INPUTS_MOST];
    struct sizes z;
    for (int i = 0; i < f->known; i++)
        shapes[i] = operand_given(c, i) ? c->in[i].shape : (struct shape){.rank = -1};
    TRY(sizes_of(OPERAND_AT(c), shapes, &z, e));
    for (int i = 0; i < (z.third ? 3 : 2); i++)
        TRY(check_layer(c, &z, i, e));
    if (f->weights && shapes[f->weights].rank >= 0 &&
        !shape_eq(&shapes[f->weights], &shapes[IN_ROUTER]))
        return operand_fail(c, e, INVALID, "router_weights must be like router_probs");
    return operand_out(c, 0, t, &c->in[IN_X].shape, e);
}

/* --- scratch --- */

struct plan {
    struct sizes z;
    struct layer layer[LAYERS];
    bool codes[LAYERS];
    const float *all_scales[LAYERS];    /* constant ones as f32; NULL: an expert's are widened */
    size_t x, y;                        /* bytes: as f32, where they are not */
    size_t chosen, weight;              /* (T, k) experts, and how much each counts */
    size_t tokens, share;               /* (T) of the expert at work */
    size_t in, first, third, out;       /* (T, H), (T, F I), (T, I), (T, H) of these tokens */
    size_t arranged;                    /* (T, the longer of H and I) */
    size_t wide, scales, bias, product; /* an expert's layer as f32 */
};

static bool has(const struct op_prepare *c, int i) { return i && operand_takes(c, i); }

static struct product layer_product(const struct layer *l, size_t m) {
    return (struct product){.m = m,
                            .n = l->n,
                            .k = l->k,
                            .a_row = l->k,
                            .b_row = l->k,
                            .c_row = l->n,
                            .b_transposed = true};
}

/* The largest of what each layer asks for. */
static bool plan_layers(const struct op_prepare *c, struct plan *p, size_t *total) {
    size_t wide = 0, scales = 0, rows = 0, product = 0;
    for (int i = 0; i < (p->z.third ? 3 : 2); i++) {
        const struct layer *l = &p->layer[i];
        const struct product dense = layer_product(l, p->z.t);
        const struct codes codes = codes_of(l);
        const size_t inner =
            p->codes[i] ? numbers_scratch(&codes, p->z.t, c->threads) : product_scratch(&dense);
        size_t all;
        if (!mul_size(l->n, l->k, &all))
            return false;
        const bool lies = p->codes[i] || (!l->bits && c->in[IN_X].dtype == DT_F32);
        wide = !lies && all > wide ? all : wide;
        const size_t ours = p->all_scales[i] ? 0 : l->n * l->blocks;
        scales = ours > scales ? ours : scales;
        rows = l->n > rows ? l->n : rows;
        product = inner > product ? inner : product;
    }
    return scratch_reserve(total, wide, sizeof(float), &p->wide) &&
           scratch_reserve(total, scales, sizeof(float), &p->scales) &&
           scratch_reserve(total, rows, sizeof(float), &p->bias) &&
           scratch_reserve(total, product, 1, &p->product);
}

static bool plan_tokens(const struct op_prepare *c, struct plan *p, size_t *total) {
    const struct sizes *z = &p->z;
    const bool half = wide_half(c->in[IN_X].dtype);
    const size_t longer = z->h > z->inner ? z->h : z->inner;
    size_t th, tf, ti, tl, tk;
    return mul_size(z->t, z->h, &th) && mul_size(z->t, rows_of(z, 0), &tf) &&
           mul_size(z->t, z->inner, &ti) && mul_size(z->t, longer, &tl) &&
           mul_size(z->t, z->k, &tk) && scratch_reserve(total, half ? th : 0, 4, &p->x) &&
           scratch_reserve(total, th, 4, &p->y) && scratch_reserve(total, tk, 4, &p->chosen) &&
           scratch_reserve(total, tk, 4, &p->weight) &&
           scratch_reserve(total, z->t, 4, &p->tokens) &&
           scratch_reserve(total, z->t, 4, &p->share) && scratch_reserve(total, th, 4, &p->in) &&
           scratch_reserve(total, tf, 4, &p->first) &&
           scratch_reserve(total, z->third ? ti : 0, 4, &p->third) &&
           scratch_reserve(total, th, 4, &p->out) && scratch_reserve(total, tl, 4, &p->arranged);
}

static enum code prepare(struct op_prepare *c, struct err *e) {
    const struct form *f = form_of(c->node);
    struct plan *p = ARENA_NEW(c->arena, struct plan);
    struct shape shapes[INPUTS_MOST];
    size_t total = 0;
    if (!p)
        return arena_fail(c->arena, sizeof *p, "the plan of a mixture of experts", e);
    for (int i = 0; i < f->known; i++)
        shapes[i] = operand_takes(c, i) ? c->in[i].shape : (struct shape){.rank = -1};
    TRY(sizes_of(OPERAND_AT(c), shapes, &p->z, e));
    for (int i = 0; i < LAYERS; i++) {
        p->layer[i] = layer_of(&p->z, f, i, has(c, f->zeros[i]));
        p->codes[i] = as_codes(&p->layer[i], has(c, f->zeros[i]));
        if (has(c, f->scales[i]))
            TRY(numbers_scales(c, f->scales[i], &p->all_scales[i], e));
    }
    if (!plan_tokens(c, p, &total) || !plan_layers(c, p, &total))
        return operand_fail(c, e, LIMIT, "the operands are too large");
    c->state = p;
    c->scratch_bytes = total;
    c->kernel = p->codes[0] ? "numbers" : "gemm";
    c->flops = 2.0 * (double)p->z.t * (double)p->z.k * (double)p->z.inner * (double)p->z.h *
               (double)(1 + (p->z.fusion ? 2 : 1) + p->z.third);
    return OK;
}

/* --- a run --- */

struct job {
    const struct op_call *call;
    const struct plan *p;
    const struct form *form;
    const float *x;
};

static float *part(const struct job *j, size_t at) {
    return (float *)(void *)((char *)j->call->scratch + at);
}

static void choose(const struct job *j, size_t token) {
    const struct sizes *z = &j->p->z;
    const struct tensor *router = j->call->in[IN_ROUTER],
                        *given = j->form->weights ? operand_in(j->call, j->form->weights) : NULL;
    int32_t *chosen = (int32_t *)(void *)part(j, j->p->chosen) + token * z->k;
    float *weight = part(j, j->p->weight) + token * z->k;
    const size_t row = token * z->experts;
    double top = -INFINITY, all = 0, some = 0;
    for (size_t i = 0; i < z->k; i++) {
        int32_t best = -1;
        for (size_t x = 0; x < z->experts; x++) {
            bool taken = false;
            for (size_t k = 0; k < i; k++)
                taken |= chosen[k] == (int32_t)x;
            if (!taken &&
                (best < 0 || tensor_f64(router, row + x) > tensor_f64(router, row + (size_t)best)))
                best = (int32_t)x;
        }
        chosen[i] = best;
        if (i == 0)
            top = tensor_f64(router, row + (size_t)best);
    }
    for (size_t x = 0; x < z->experts; x++)
        all += exp(tensor_f64(router, row + x) - top);
    for (size_t i = 0; i < z->k; i++) {
        const size_t at = row + (size_t)chosen[i];
        weight[i] =
            (float)(given ? tensor_f64(given, at) : exp(tensor_f64(router, at) - top) / all);
        some += (double)weight[i];
    }
    const bool normalize = attr_int(j->call->node, "normalize_routing_weights", 0) ||
                           (j->form == &bits_form && !given);
    for (size_t i = 0; normalize && some != 0 && i < z->k; i++)
        weight[i] = (float)((double)weight[i] / some);
}

/* The tokens of an expert and what it counts for each; their rows one behind the other. */
static size_t gather(const struct job *j, size_t expert) {
    const struct sizes *z = &j->p->z;
    const int32_t *chosen = (const int32_t *)(void *)part(j, j->p->chosen);
    int32_t *tokens = (int32_t *)(void *)part(j, j->p->tokens);
    float *share = part(j, j->p->share), *in = part(j, j->p->in);
    size_t m = 0;
    for (size_t at = 0; at < z->t * z->k; at++)
        if (chosen[at] == (int32_t)expert) {
            tokens[m] = (int32_t)(at / z->k);
            share[m] = part(j, j->p->weight)[at];
            memcpy(in + m++ * z->h, j->x + at / z->k * z->h, z->h * sizeof *in);
        }
    return m;
}

static int zero_of(const struct layer *l, const uint8_t *zeros, size_t row, size_t block) {
    if (!zeros)
        return 1 << (l->bits - 1);
    return (int)(l->by_rows ? codes_number(zeros, row, (size_t)l->bits)
                            : codes_number(zeros + row * l->zero_row, block, (size_t)l->bits));
}

static void widen(const struct layer *l, const uint8_t *w, const float *scales,
                  const uint8_t *zeros, float *to) {
    const size_t block = l->k / l->blocks, bits = (size_t)l->bits;
    for (size_t row = 0; row < l->n; row++)
        for (size_t i = 0; i < l->k; i++) {
            const int zero = zero_of(l, zeros, row, i / block);
            *to++ = (float)((int)codes_number(w, row * l->k + i, bits) - zero) *
                    scales[row * l->blocks + i / block];
        }
}

static void by_codes(const struct job *j, const struct layer *l, const uint8_t *w,
                     const float *scales, const uint8_t *zeros, size_t m, const float *a,
                     const float *bias, float *y) {
    struct codes codes = codes_of(l);
    float *arranged = part(j, j->p->arranged);
    codes.w = w, codes.scales = scales, codes.zeros = zeros;
    for (size_t row = 0; row < m; row++)
        numbers_arrange(&codes, l->k, a + row * l->k, arranged + row * l->k);
    numbers_multiply(&codes, m, arranged, bias, y, l->n, part(j, j->p->product), j->call->threads);
}

/* y (m, N) = a (m, K) * layer i of the expert. */
static void run_layer(const struct job *j, int i, size_t expert, size_t m, const float *a,
                      float *y) {
    const struct layer *l = &j->p->layer[i];
    const struct form *f = j->form;
    const struct tensor *w = j->call->in[f->w[i]], *b = operand_in(j->call, f->bias[i]);
    const size_t all = l->n * l->k;
    float *bias = NULL, *wide = part(j, j->p->wide), *widened = part(j, j->p->scales);
    if (b)
        wide_load(b->dtype, b->data, expert * l->n, l->n, bias = part(j, j->p->bias));
    const float *dense = wide;
    if (l->bits) {
        const struct tensor *s = j->call->in[f->scales[i]],
                            *zero = operand_in(j->call, f->zeros[i]);
        const uint8_t *numbers = (const uint8_t *)w->data + expert * (all * (size_t)l->bits / 8),
                      *zeros = zero ? (const uint8_t *)zero->data + expert * zero_bytes(l) : NULL;
        const size_t ours = l->n * l->blocks;
        const float *scales = j->p->all_scales[i] ? j->p->all_scales[i] + expert * ours : widened;
        if (scales == widened)
            wide_load(s->dtype, s->data, expert * ours, ours, widened);
        if (j->p->codes[i]) {
            by_codes(j, l, numbers, scales, zeros, m, a, bias, y);
            return;
        }
        widen(l, numbers, scales, zeros, wide);
    } else if (w->dtype == DT_F32) {
        dense = (const float *)w->data + expert * all;
    } else {
        wide_load_all(w->dtype, (const uint16_t *)w->data + expert * all, all, wide,
                      j->call->threads);
    }
    struct product p = layer_product(l, m);
    p.bias = bias;
    product_run(&p, a, dense, y, part(j, j->p->product), j->call->threads);
}

/* One row of what the first layer made (and the third), to (I) in place. */
static void swiglu(const struct job *j, float *first, const float *third) {
    const struct node *n = j->call->node;
    const size_t inner = j->p->z.inner;
    const float alpha = attr_float(n, "activation_alpha", 1),
                beta = attr_float(n, "activation_beta", 0),
                limit = attr_float(n, "swiglu_limit", INFINITY);
    for (size_t i = 0; i < inner; i++) {
        const bool turns = j->p->z.fusion == 1;
        float gate = turns ? first[2 * i] : first[i], value = third   ? third[i]
                                                              : turns ? first[2 * i + 1]
                                                                      : first[inner + i];
        gate = gate > limit ? limit : gate;
        value = value > limit ? limit : value < -limit ? -limit : value;
        first[i] = gate / (1 + expf(-alpha * gate)) * (value + beta);
    }
}

static void activate(const struct job *j, float *first, const float *third) {
    const struct kernel_set *k = kernel_set();
    const size_t n = j->p->z.inner;
    switch (j->p->z.act) {
    case ACT_RELU: k->relu_f32(n, first, first, 0, 0); break;
    case ACT_GELU: k->gelu_tanh_f32(n, first, first, 0, 0); break;
    case ACT_SILU: k->silu_f32(n, first, first, 1, 0); break;
    case ACT_SWIGLU: swiglu(j, first, third); return;
    case ACT_IDENTITY:
    case ACT_N: break;
    }
    if (third)
        k->mul_f32(&(struct binary_f32){.rows = 1, .n = n, .a = first, .b = third, .y = first});
}

static void run_expert(const struct job *j, size_t expert) {
    const struct sizes *z = &j->p->z;
    const size_t m = gather(j, expert), wide = rows_of(z, 0);
    const int32_t *tokens = (const int32_t *)(void *)part(j, j->p->tokens);
    float *in = part(j, j->p->in), *first = part(j, j->p->first), *third = part(j, j->p->third),
          *out = part(j, j->p->out), *y = part(j, j->p->y);
    if (m == 0)
        return;
    run_layer(j, 0, expert, m, in, first);
    if (z->third)
        run_layer(j, 2, expert, m, in, third);
    for (size_t row = 0; row < m; row++) {
        activate(j, first + row * wide, z->third ? third + row * z->inner : NULL);
        memmove(first + row * z->inner, first + row * wide, z->inner * sizeof *first);
    }
    run_layer(j, 1, expert, m, first, out);
    for (size_t row = 0; row < m; row++) {
        const float share = part(j, j->p->share)[row];
        for (size_t i = 0; i < z->h; i++)
            y[(size_t)tokens[row] * z->h + i] += share * out[row * z->h + i];
    }
}

static enum code run(const struct op_call *c, struct err *e) {
    (void)e;
    const struct plan *p = c->state;
    const struct tensor *x = c->in[IN_X];
    struct job j = {.call = c, .p = p, .form = form_of(c->node), .x = x->data};
    const size_t n = tensor_count(x);
    if (n == 0)
        return OK;
    if (wide_half(x->dtype)) {
        wide_load_all(x->dtype, x->data, n, part(&j, p->x), c->threads);
        j.x = part(&j, p->x);
    }
    memset(part(&j, p->y), 0, n * sizeof(float));
    for (size_t token = 0; token < p->z.t; token++)
        choose(&j, token);
    for (size_t expert = 0; expert < p->z.experts; expert++)
        run_expert(&j, expert);
    wide_store_all(x->dtype, c->out[0]->data, n, part(&j, p->y), c->threads);
    return OK;
}

const struct op op_mixture_of_experts = {
    "mixture_of_experts", OP_PURE | OP_TEAM, infer, prepare, run, NULL};
const struct op op_mixture_of_experts_n_bits = {
    "mixture_of_experts_n_bits", OP_PURE | OP_TEAM, infer, prepare, run, NULL};
