/* SPDX-License-Identifier: Apache-2.0 */
/* com.microsoft, the operators of ONNX Runtime that exported models carry, each as nodes of ours:
 * activations, norms and products here, attention and 8-bit in onnx_ms_*.c. The table is at the
 * bottom. Operators that mean what one of ours means are rows of onnx_ops.c instead.
 *
 * What they mean is described by ONNX Runtime's docs/ContribOperators.md; where that is silent, its
 * answers are what counts (tests/golden/samples_ms.py). */
#include "format/onnx_compose.h"

/* --- activations --- */

static void bias_gelu(struct compose *c) {
    value_id x = OP_OF(c, "add", compose_in(c, 0), compose_in(c, 1));
    compose_give(c, 0, OP_OF(c, "gelu", x));
}

static value_id with_bias(struct compose *c, value_id x, value_id bias) {
    return bias == VALUE_NONE ? x : OP_OF(c, "add", x, bias);
}

static void fast_gelu(struct compose *c) {
    value_id y = OP_OF(c, "gelu", with_bias(c, compose_in(c, 0), compose_in(c, 1)));
    compose_str(c, "approximate", "tanh");
    compose_give(c, 0, y);
}

static void quick_gelu(struct compose *c) {
    value_id y = OP_OF(c, "swish", compose_in(c, 0));
    compose_float(c, "alpha", attr_float(&c->node, "alpha", 1.702F));
    compose_give(c, 0, y);
}

static float parameter(const struct compose *c, const char *name, size_t k, float otherwise) {
    const struct attr *list = attr_find(&c->node, "activation_params");
    if (list && list->kind == ATTR_FLOATS && k < list->n)
        return list->floats[k];
    return attr_float(&c->node, name, otherwise);
}

value_id compose_activation(struct compose *c, value_id x) {
    const struct str kind = attr_str(&c->node, "activation", "");
    if (!kind.n)
        return x;
    if (str_is(kind, "Relu"))
        return OP_OF(c, "relu", x);
    if (str_is(kind, "Tanh"))
        return OP_OF(c, "tanh", x);
    if (str_is(kind, "Sigmoid"))
        return OP_OF(c, "sigmoid", x);
    if (str_is(kind, "LeakyRelu")) {
        value_id y = OP_OF(c, "leaky_relu", x);
        compose_float(c, "alpha", parameter(c, "activation_alpha", 0, 0.01F));
        return y;
    }
    if (str_is(kind, "HardSigmoid")) {
        value_id y = OP_OF(c, "hard_sigmoid", x);
        compose_float(c, "alpha", parameter(c, "activation_alpha", 0, 0.2F));
        compose_float(c, "beta", parameter(c, "activation_beta", 1, 0.5F));
        return y;
    }
    if (str_is(kind, "Clip")) {
        value_id low = compose_real(c, parameter(c, "activation_alpha", 0, -3.4028235e38F));
        value_id high = compose_real(c, parameter(c, "activation_beta", 1, 3.4028235e38F));
        return OP_OF(c, "clip", x, OP_OF(c, "cast_like", low, x), OP_OF(c, "cast_like", high, x));
    }
    compose_refuse(c, "its activation is not known");
    return VALUE_NONE;
}

/* --- products --- */

/* Product of a and b, either with its last two dims exchanged, whatever their ranks. */
static value_id product(struct compose *c, value_id a, value_id b, bool turn_a, bool turn_b) {
    static const char *const equations[] = {NULL, "...km,...kn->...mn", "...mk,...nk->...mn",
                                            "...km,...nk->...mn"};
    if (!turn_a && !turn_b)
        return OP_OF(c, "mat_mul", a, b);
    value_id y = OP_OF(c, "einsum", a, b);
    compose_str(c, "equation", equations[turn_a + 2 * turn_b]);
    return y;
}

static value_id times(struct compose *c, value_id x, float factor) {
    if (factor == 1)
        return x;
    return OP_OF(c, "mul", x, OP_OF(c, "cast_like", compose_real(c, factor), x));
}

static void fused_mat_mul(struct compose *c) {
    const struct node *n = &c->node;
    if (attr_int(n, "transBatchA", 0) || attr_int(n, "transBatchB", 0))
        compose_refuse(c, "transBatchA and transBatchB are not supported");
    value_id y = product(c, compose_in(c, 0), compose_in(c, 1), attr_int(n, "transA", 0) != 0,
                         attr_int(n, "transB", 0) != 0);
    y = times(c, y, attr_float(n, "alpha", 1));
    compose_give(c, 0, compose_activation(c, y));
}

static void fused_gemm(struct compose *c) {
    const struct node *n = &c->node;
    value_id y = OP_OF(c, "gemm", compose_in(c, 0), compose_in(c, 1), compose_in(c, 2));
    compose_float(c, "alpha", attr_float(n, "alpha", 1));
    compose_float(c, "beta", attr_float(n, "beta", 1));
    compose_int(c, "transA", attr_int(n, "transA", 0));
    compose_int(c, "transB", attr_int(n, "transB", 0));
    compose_give(c, 0, compose_activation(c, y));
}

static void fused_conv(struct compose *c) {
    value_id y = OP_OF(c, "conv", compose_in(c, 0), compose_in(c, 1), compose_in(c, 2));
    compose_keep(c);
    compose_give(c, 0, compose_activation(c, with_bias(c, y, compose_in(c, 3))));
}

/* --- norms --- */

/* x normalised over its last dim; outputs 0 to 2 of the foreign node. */
static void normalized(struct compose *c, value_id x, value_id scale, value_id bias, bool simple) {
    float epsilon = attr_float(&c->node, "epsilon", simple ? 1e-6F : 1e-12F);
    if (simple) {
        value_id y = OP_OF(c, "rms_normalization", x, scale);
        compose_int(c, "axis", -1);
        compose_float(c, "epsilon", epsilon);
        compose_give(c, 0, y);
        return;
    }
    value_id y = OP_OF(c, "layer_normalization", x, scale, bias);
    compose_int(c, "axis", -1);
    compose_float(c, "epsilon", epsilon);
    value_id mean = compose_more(c), inverse = compose_more(c);
    compose_give(c, 0, y);
    compose_give(c, 1, mean);
    compose_give(c, 2, inverse);
}

static void skip_norm(struct compose *c) {
    value_id x = OP_OF(c, "add", compose_in(c, 0), compose_in(c, 1));
    x = with_bias(c, x, compose_in(c, 4));
    normalized(c, x, compose_in(c, 2), compose_in(c, 3), false);
    compose_give(c, 3, x);
}

static void skip_simple_norm(struct compose *c) {
    value_id x = OP_OF(c, "add", compose_in(c, 0), compose_in(c, 1));
    x = with_bias(c, x, compose_in(c, 3));
    normalized(c, x, compose_in(c, 2), VALUE_NONE, true);
    compose_give(c, 3, x);
}

static void simple_norm(struct compose *c) {
    value_id y = OP_OF(c, "rms_normalization", compose_in(c, 0), compose_in(c, 1));
    compose_int(c, "axis", attr_int(&c->node, "axis", -1));
    compose_float(c, "epsilon", attr_float(&c->node, "epsilon", 1e-5F));
    compose_give(c, 0, y);
}

/* Table i of an embedding, or rows of it, as floats: bytes have a scale, of one element, six inputs
 * later, and a zero point eleven. */
static value_id as_real(struct compose *c, int i, value_id x, bool bytes) {
    if (!bytes)
        return x;
    value_id one[2];
    for (int k = 0; k < 2; k++)
        one[k] = OP_OF(c, "reshape", compose_in(c, i + (k ? 11 : 6)), compose_list(c, 0, NULL));
    return compose_dequantized(c, x, one[0], one[1]);
}
static value_id rows_of(struct compose *c, int i, value_id at, bool bytes) {
    return as_real(c, i, OP_OF(c, "gather", compose_in(c, i), at), bytes);
}

/* How many of each row of a mask count. */
static void give_lengths(struct compose *c, value_id mask, value_id ids) {
    if (!compose_wants(c, 1))
        return;
    if (mask == VALUE_NONE)
        mask = OP_OF(c, "mul", ids, OP_OF(c, "cast_like", compose_whole(c, 0), ids));
    value_id n = OP_OF(c, "reduce_sum", mask, LIST(c, 1));
    compose_int(c, "keepdims", 0);
    compose_give(c, 1, n);
    struct value *given = &c->s->g->values[c->out[1]];
    given->ranked = true;
    given->shape = (struct shape){1, {-1}};
}

/* input_ids, segment_ids, word, position, segment, gamma, beta, mask, then what each form has */
static void embed(struct compose *c, value_id places, bool bytes) {
    const value_id ids = compose_in(c, 0), segments = compose_in(c, 1);
    value_id x = rows_of(c, 2, ids, bytes), at;
    if (places != VALUE_NONE) {
        at = rows_of(c, 3, places, bytes);
    } else {
        value_id length = OP_OF(c, "shape", ids);
        compose_int(c, "start", 1);
        at = as_real(c, 3, OP_OF(c, "slice", compose_in(c, 3), LIST(c, 0), length), bytes);
    }
    x = OP_OF(c, "add", x, at);
    if (segments != VALUE_NONE)
        x = OP_OF(c, "add", x, rows_of(c, 4, segments, bytes));
    value_id y = OP_OF(c, "layer_normalization", x, as_real(c, 5, compose_in(c, 5), bytes),
                       as_real(c, 6, compose_in(c, 6), bytes));
    compose_float(c, "epsilon", attr_float(&c->node, "epsilon", 1e-12F));
    compose_give(c, 0, y);
    give_lengths(c, compose_in(c, 7), ids);
    if (!bytes)
        compose_give(c, 2, x);
}

static void embed_norm(struct compose *c) { embed(c, compose_in(c, 8), false); }
static void q_embed_norm(struct compose *c) { embed(c, VALUE_NONE, true); }

/* --- the rest --- */

static void expand_dims(struct compose *c) {
    value_id axis = OP_OF(c, "reshape", compose_in(c, 1), LIST(c, -1));
    value_id wide = OP_OF(c, "cast", axis);
    compose_int(c, "to", 7);
    compose_give(c, 0, OP_OF(c, "unsqueeze", compose_in(c, 0), wide));
}

/* (M, K) and (N, K): distances of every pair of rows. */
static void c_dist(struct compose *c) {
    value_id a = OP_OF(c, "unsqueeze", compose_in(c, 0), LIST(c, 1));
    value_id b = OP_OF(c, "unsqueeze", compose_in(c, 1), LIST(c, 0));
    value_id d = OP_OF(c, "reduce_sum_square", OP_OF(c, "sub", a, b), LIST(c, 2));
    compose_int(c, "keepdims", 0);
    if (!str_is(attr_str(&c->node, "metric", "sqeuclidean"), "sqeuclidean"))
        d = OP_OF(c, "sqrt", d);
    compose_give(c, 0, d);
}

/* Products of 16-bit numbers, summed in 32 bits. */
static void mat_mul_integer_16(struct compose *c) {
    value_id wide[2];
    for (int i = 0; i < 2; i++) {
        wide[i] = OP_OF(c, "cast", compose_in(c, i));
        compose_int(c, "to", 6);
    }
    compose_give(c, 0, OP_OF(c, "mat_mul", wide[0], wide[1]));
}

static void nhwc_max_pool(struct compose *c) {
    const int64_t inward[] = {0, 3, 1, 2}, outward[] = {0, 2, 3, 1};
    value_id x = OP_OF(c, "transpose", compose_in(c, 0));
    compose_ints(c, "perm", 4, inward);
    value_id y = OP_OF(c, "max_pool", x);
    compose_keep(c);
    y = OP_OF(c, "transpose", y);
    compose_ints(c, "perm", 4, outward);
    compose_give(c, 0, y);
}

/* pads may be (1, 2 * rank) */
static void pad(struct compose *c) {
    value_id pads = OP_OF(c, "reshape", compose_in(c, 1), LIST(c, -1));
    value_id y = OP_OF(c, "pad", compose_in(c, 0), pads, compose_in(c, 2));
    compose_keep(c);
    compose_give(c, 0, y);
}

/* start, limit, delta (1): numbers or lists of one */
static void range(struct compose *c) {
    value_id ends[3];
    for (int i = 0; i < 3; i++) {
        ends[i] = compose_in(c, i);
        if (ends[i] == VALUE_NONE)
            ends[i] = OP_OF(c, "cast_like", compose_whole(c, 1), ends[0]);
        ends[i] = OP_OF(c, "squeeze", ends[i]);
    }
    compose_give(c, 0, compose_op(c, "range", 3, ends));
}

/* In the order in which they come: values, which of them each number is, how often each is there */
static void unique(struct compose *c) {
    value_id y = OP_OF(c, "unique", compose_in(c, 0));
    compose_int(c, "sorted", 0);
    (void)compose_more(c);
    value_id of = compose_more(c), counts = compose_more(c);
    compose_give(c, 0, y);
    compose_give(c, 1, of);
    compose_give(c, 2, counts);
}

static void grid_sample(struct compose *c) {
    value_id y = OP_OF(c, "grid_sample", compose_in(c, 0), compose_in(c, 1));
    compose_keep(c);
    compose_opset(c, 16);
    compose_give(c, 0, y);
}

static const struct {
    const char *type;
    compose_fn *compose;
} table[] = {
    {"Attention", onnx_ms_attention},
    {"BiasGelu", bias_gelu},
    {"CDist", c_dist},
    {"CausalConvWithState", onnx_ms_causal_conv},
    {"DynamicQuantizeLSTM", onnx_ms_dynamic_lstm},
    {"DynamicQuantizeMatMul", onnx_ms_dynamic_quantize_mat_mul},
    {"EmbedLayerNormalization", embed_norm},
    {"ExpandDims", expand_dims},
    {"FastGelu", fast_gelu},
    {"FusedConv", fused_conv},
    {"FusedGemm", fused_gemm},
    {"FusedMatMul", fused_mat_mul},
    {"GatedAdd", onnx_ms_gated_add},
    {"GatedRMSNorm", onnx_ms_gated_rms_norm},
    {"GatherBlockQuantized", onnx_ms_gather_block_quantized},
    {"GridSample", grid_sample},
    {"GroupQueryAttention", onnx_ms_group_query},
    {"Irfft", onnx_ms_irfft},
    {"LinearAttention", onnx_ms_linear_attention},
    {"LinearAttentionGate", onnx_ms_linear_attention_gate},
    {"MRotaryEmbedding", onnx_ms_m_rotary},
    {"MatMulInteger16", mat_mul_integer_16},
    {"MatMulIntegerToFloat", onnx_ms_mat_mul_integer_to_float},
    {"MultiHeadAttention", onnx_ms_multi_head},
    {"NhwcMaxPool", nhwc_max_pool},
    {"Pad", pad},
    {"QAttention", onnx_ms_q_attention},
    {"QEmbedLayerNormalization", q_embed_norm},
    {"QLinearAveragePool", onnx_ms_q_average_pool},
    {"QLinearConcat", onnx_ms_q_concat},
    {"QLinearConv", onnx_ms_q_conv},
    {"QLinearSoftmax", onnx_ms_q_softmax},
    {"QLinearWhere", onnx_ms_q_where},
    {"QuickGelu", quick_gelu},
    {"Range", range},
    {"Rfft", onnx_ms_rfft},
    {"RotaryEmbedding", onnx_ms_rotary},
    {"ScaledSiLU", onnx_ms_scaled_silu},
    {"SimplifiedLayerNormalization", simple_norm},
    {"SkipLayerNormalization", skip_norm},
    {"SkipSimplifiedLayerNormalization", skip_simple_norm},
    {"TransposeMatMul", fused_mat_mul},
    {"Unique", unique},
};

compose_fn *onnx_ms_find(struct str type) {
    for (size_t k = 0; k < sizeof table / sizeof *table; k++)
        if (str_is(type, table[k].type))
            return table[k].compose;
    return NULL;
}
