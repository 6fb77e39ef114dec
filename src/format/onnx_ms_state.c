/* SPDX-License-Identifier: Apache-2.0 */
/* Signals, gates and layers with a state of com.microsoft as nodes of ours; see onnx_ms.c. */
#include "format/onnx_compose.h"

/* --- Fourier transforms of the last signal_ndim dims --- */

static int64_t signal_dims(struct compose *c) {
    const int64_t dims = attr_int(&c->node, "signal_ndim", 1);
    if (dims < 1 || dims > 3 || !attr_int(&c->node, "onesided", 1) ||
        attr_int(&c->node, "normalized", 0))
        compose_refuse(c, "signals of 1 to 3 dims, one side, not normalized are supported");
    return dims;
}

/* x (..., 1 or 2) transformed along its dim `axis`. */
static value_id transform(struct compose *c, value_id x, int64_t axis, bool one_sided,
                          bool inverse) {
    value_id y = OP_OF(c, "dft", x, VALUE_NONE, compose_whole(c, axis));
    compose_int(c, "onesided", one_sided);
    compose_int(c, "inverse", inverse);
    return y;
}

void onnx_ms_rfft(struct compose *c) {
    const int64_t dims = signal_dims(c);
    value_id x = OP_OF(c, "unsqueeze", compose_in(c, 0), LIST(c, -1));
    for (int64_t k = 0; k < dims; k++)
        x = transform(c, x, -2 - k, k == 0, false);
    compose_give(c, 0, x);
}

void onnx_ms_irfft(struct compose *c) {
    value_id x = compose_in(c, 0);
    for (int64_t k = signal_dims(c) - 1; k >= 0; k--)
        x = transform(c, x, -2 - k, k == 0, true);
    compose_give(c, 0, OP_OF(c, "squeeze", x, LIST(c, -1)));
}

/* --- gates --- */

static value_id like(struct compose *c, value_id x, value_id type) {
    return OP_OF(c, "cast_like", x, type);
}
static value_id as_f32(struct compose *c, value_id x) {
    value_id y = OP_OF(c, "cast", x);
    compose_int(c, "to", 1);
    return y;
}

/* X, scale */
void onnx_ms_scaled_silu(struct compose *c) {
    const value_id x = compose_in(c, 0);
    value_id scale = compose_in(c, 1);
    if (scale == VALUE_NONE)
        scale = compose_real(c, attr_float(&c->node, "alpha", 1));
    compose_give(c, 0, OP_OF(c, "swish", OP_OF(c, "mul", x, like(c, scale, x))));
}

/* X, Y, gate, gate_weight */
void onnx_ms_gated_add(struct compose *c) {
    value_id gate = compose_in(c, 2);
    if (compose_in(c, 3) != VALUE_NONE)
        gate = OP_OF(c, "sigmoid", OP_OF(c, "mat_mul", gate, compose_in(c, 3)));
    compose_give(c, 0, OP_OF(c, "add", compose_in(c, 0), OP_OF(c, "mul", compose_in(c, 1), gate)));
}

/* X (..., H * C), scale (C), gate like X */
void onnx_ms_gated_rms_norm(struct compose *c) {
    const value_id x = compose_in(c, 0), scale = compose_in(c, 1), gate = compose_in(c, 2);
    const struct str act = attr_str(&c->node, "activation", "silu");
    value_id outer = OP_OF(c, "shape", x);
    compose_int(c, "end", -1);
    value_id groups = OP_OF(c, "concat", outer, LIST(c, -1), OP_OF(c, "shape", scale));
    compose_int(c, "axis", 0);
    value_id y =
        OP_OF(c, "rms_normalization", as_f32(c, OP_OF(c, "reshape", x, groups)), as_f32(c, scale));
    compose_float(c, "epsilon", attr_float(&c->node, "epsilon", 1e-5F));
    y = OP_OF(c, "reshape", y, OP_OF(c, "shape", x));
    if (!str_is(act, "silu") && !str_is(act, "swish") && !str_is(act, "sigmoid"))
        compose_refuse(c, "its activation is not known");
    value_id opened = OP_OF(c, str_is(act, "sigmoid") ? "sigmoid" : "swish", as_f32(c, gate));
    compose_give(c, 0, like(c, OP_OF(c, "mul", y, opened), x));
}

/* a, dt_bias, decay_scale, b */
void onnx_ms_linear_attention_gate(struct compose *c) {
    const value_id a = compose_in(c, 0);
    value_id decay = OP_OF(c, "softplus", OP_OF(c, "add", as_f32(c, a), compose_in(c, 1)));
    compose_give(c, 0, like(c, OP_OF(c, "mul", decay, compose_in(c, 2)), a));
    if (compose_in(c, 3) != VALUE_NONE)
        compose_give(c, 1, OP_OF(c, "sigmoid", compose_in(c, 3)));
}

/* --- layers with a state: those of ai.onnx 27, and more that only accelerators have --- */

static void give_with_state(struct compose *c, const char *op, int n) {
    value_id in[6];
    for (int i = 0; i < n; i++)
        in[i] = compose_in(c, i);
    value_id y = compose_op(c, op, n, in);
    compose_keep(c);
    value_id state = compose_more(c);
    compose_give(c, 0, y);
    compose_give(c, 1, state);
}

void onnx_ms_linear_attention(struct compose *c) {
    if (attr_int(&c->node, "state_window", 0))
        compose_refuse(c, "state_window is not supported");
    give_with_state(c, "linear_attention", 6);
}

void onnx_ms_causal_conv(struct compose *c) {
    const struct node *n = &c->node;
    if (attr_int(n, "ndim", 1) != 1 || attr_int(n, "dilation", 1) != 1 ||
        attr_int(n, "state_window", 0) || attr_int(n, "channels_last", 0) ||
        attr_int(n, "state_length", 0) || attr_int(n, "state_update_capacity", 0) ||
        attr_int(n, "input_channels", 0) || attr_int(n, "input_channel_offset", 0))
        compose_refuse(c, "only one dim, channels first, without dilation or windows is supported");
    give_with_state(c, "causal_conv_with_state", 4);
}
