/* SPDX-License-Identifier: Apache-2.0 */
/* 8-bit operators of com.microsoft as nodes of ours; see onnx_ms.c. Those that ONNX Runtime
 * computes on bytes directly are written out as dequantise, compute, quantise: the answer is the
 * same but for one step where a rounding falls in the middle. */
#include "format/onnx_compose.h"

value_id compose_dequantized(struct compose *c, value_id x, value_id scale, value_id zero) {
    return OP_OF(c, "dequantize_linear", x, scale, zero);
}

static value_id quantized(struct compose *c, value_id x, value_id scale, value_id zero) {
    return OP_OF(c, "quantize_linear", x, scale, zero);
}

static void only_channels_first(struct compose *c) {
    if (attr_int(&c->node, "channels_last", 0))
        compose_refuse(c, "channels_last is not supported");
}

void onnx_ms_q_conv(struct compose *c) {
    value_id in[9];
    only_channels_first(c);
    for (int i = 0; i < 9; i++)
        in[i] = compose_in(c, i);
    value_id y = compose_op(c, "q_linear_conv", in[8] == VALUE_NONE ? 8 : 9, in);
    compose_keep(c);
    compose_give(c, 0, y);
}

/* y_scale, y_zero, then (x, scale, zero) of each part */
void onnx_ms_q_concat(struct compose *c) {
    value_id parts[64];
    int n = 0;
    for (int i = 2; i + 2 < c->n_in; i += 3) {
        if (n == 64) {
            compose_refuse(c, "more than 64 parts");
            return;
        }
        parts[n++] =
            compose_dequantized(c, compose_in(c, i), compose_in(c, i + 1), compose_in(c, i + 2));
    }
    value_id whole = compose_op(c, "concat", n, parts);
    compose_int(c, "axis", attr_int(&c->node, "axis", 0));
    compose_give(c, 0, quantized(c, whole, compose_in(c, 0), compose_in(c, 1)));
}

static value_id first_as_real(struct compose *c) {
    return compose_dequantized(c, compose_in(c, 0), compose_in(c, 1), compose_in(c, 2));
}
static void give_as_bytes(struct compose *c, value_id y) {
    compose_give(c, 0, quantized(c, y, compose_in(c, 3), compose_in(c, 4)));
}

void onnx_ms_q_average_pool(struct compose *c) {
    only_channels_first(c);
    value_id y = OP_OF(c, "average_pool", first_as_real(c));
    compose_keep(c);
    give_as_bytes(c, y);
}

void onnx_ms_q_softmax(struct compose *c) {
    value_id y = OP_OF(c, "softmax", first_as_real(c));
    compose_int(c, "axis", attr_int(&c->node, "axis", -1));
    compose_opset(c, (int)attr_int(&c->node, "opset", 13));
    give_as_bytes(c, y);
}

/* condition, x, x_scale, x_zero, y, y_scale, y_zero, z_scale, z_zero */
void onnx_ms_q_where(struct compose *c) {
    value_id x = compose_dequantized(c, compose_in(c, 1), compose_in(c, 2), compose_in(c, 3));
    value_id y = compose_dequantized(c, compose_in(c, 4), compose_in(c, 5), compose_in(c, 6));
    value_id z = OP_OF(c, "where", compose_in(c, 0), x, y);
    compose_give(c, 0, quantized(c, z, compose_in(c, 7), compose_in(c, 8)));
}

value_id compose_scaled_product(struct compose *c, value_id a, value_id b, value_id a_scale,
                                value_id b_scale, value_id a_zero, value_id b_zero, value_id bias) {
    value_id sum = OP_OF(c, "mat_mul_integer", a, b, a_zero, b_zero);
    value_id y = OP_OF(c, "cast", sum);
    compose_int(c, "to", 1);
    y = OP_OF(c, "mul", y, OP_OF(c, "mul", a_scale, b_scale));
    return bias == VALUE_NONE ? y : OP_OF(c, "add", y, bias);
}

void onnx_ms_mat_mul_integer_to_float(struct compose *c) {
    compose_give(c, 0,
                 compose_scaled_product(c, compose_in(c, 0), compose_in(c, 1), compose_in(c, 2),
                                        compose_in(c, 3), compose_in(c, 4), compose_in(c, 5),
                                        compose_in(c, 6)));
}

/* A, B, b_scale, b_zero, bias */
void onnx_ms_dynamic_quantize_mat_mul(struct compose *c) {
    value_id a = OP_OF(c, "dynamic_quantize_linear", compose_in(c, 0));
    value_id scale = compose_more(c), zero = compose_more(c);
    compose_give(c, 0,
                 compose_scaled_product(c, a, compose_in(c, 1), scale, compose_in(c, 2), zero,
                                        compose_in(c, 3), compose_in(c, 4)));
}

/* X, W (D, input, 4H), R (D, H, 4H), B, lengths, h, c, P, W_scale, W_zero, R_scale, R_zero. Weights
 * become f32 once; the activations are not quantised, which ONNX Runtime does. */
static value_id gates_first(struct compose *c, value_id w, value_id scale, value_id zero) {
    const int64_t perm[] = {0, 2, 1};
    if (compose_rank(c, scale) > 1) { /* per direction and column */
        compose_refuse(c, "scales per column are not supported");
        return VALUE_NONE;
    }
    value_id x = compose_dequantized(c, w, scale, zero);
    compose_int(c, "axis", 0);
    x = OP_OF(c, "transpose", x);
    compose_ints(c, "perm", 3, perm);
    return x;
}

void onnx_ms_dynamic_lstm(struct compose *c) {
    value_id w = gates_first(c, compose_in(c, 1), compose_in(c, 8), compose_in(c, 9));
    value_id r = gates_first(c, compose_in(c, 2), compose_in(c, 10), compose_in(c, 11));
    value_id y = OP_OF(c, "lstm", compose_in(c, 0), w, r, compose_in(c, 3), compose_in(c, 4),
                       compose_in(c, 5), compose_in(c, 6), compose_in(c, 7));
    compose_keep(c);
    value_id h = compose_more(c), cell = compose_more(c);
    compose_give(c, 0, y);
    compose_give(c, 1, h);
    compose_give(c, 2, cell);
}

/* data, indices, scales, zero_points: blocks of the quantised axis share a scale. */
void onnx_ms_gather_block_quantized(struct compose *c) {
    const value_id data = compose_in(c, 0);
    if (data != VALUE_NONE && c->s->g->values[data].dtype == DT_U8) {
        value_id rows =
            OP_OF(c, "gather_n_bits", data, compose_in(c, 1), compose_in(c, 2), compose_in(c, 3));
        compose_keep(c);
        compose_give(c, 0, rows);
        return;
    }
    value_id x = compose_dequantized(c, data, compose_in(c, 2), compose_in(c, 3));
    compose_int(c, "axis", attr_int(&c->node, "quantize_axis", 1));
    compose_int(c, "block_size", attr_int(&c->node, "block_size", 128));
    value_id y = OP_OF(c, "gather", x, compose_in(c, 1));
    compose_int(c, "axis", attr_int(&c->node, "gather_axis", 0));
    compose_give(c, 0, y);
}
