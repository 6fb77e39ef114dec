/* SPDX-License-Identifier: Apache-2.0 */
/* Writing a foreign operator out as several nodes of ours: what the files onnx_ms*.c share.
 *
 * The node at hand becomes nodes of the default domain's newest opset, in the caller's graph;
 * passes fuse them again where that pays. A failure sticks: after the first one every call answers
 * VALUE_NONE and does nothing, so a composition reads as the formula it is. An input that is absent
 * is VALUE_NONE too. */
#pragma once

#include "format/onnx_read.h"

enum { COMPOSE_ATTRS = 12, COMPOSE_INPUTS = 10 };

struct compose {
    struct onnx_reader *r;
    struct onnx_scope *s;
    const struct onnx_node *foreign;
    struct node node; /* the foreign one: its attributes for attr_int and its like */
    value_id *in, *out;
    int n_in, n_out;
    enum code code;
    struct err *e;
    int made;
    struct attr nowhere; /* where attributes go after a failure */
};

typedef void compose_fn(struct compose *c);

/* Input i, or VALUE_NONE. */
value_id compose_in(const struct compose *c, int i);
/* Somebody names output i. */
bool compose_wants(const struct compose *c, int i);
/* Rank of a value as far as the file says; -1: unknown. */
int compose_rank(const struct compose *c, value_id v);
/* Refuses the node: text without the node's name. */
void compose_refuse(struct compose *c, const char *why);

/* Constants: a list of whole numbers, one whole number (rank 0), one f32 (rank 0). */
value_id compose_list(struct compose *c, int n, const int64_t *numbers);
value_id compose_whole(struct compose *c, int64_t number);
value_id compose_real(struct compose *c, float number);
#define LIST(c, ...)                                                                               \
    compose_list(c, (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)),                     \
                 (int64_t[]){__VA_ARGS__})

/* A node of our operator `op`: value of its first output. Trailing absent inputs may be left out.
 */
value_id compose_op(struct compose *c, const char *op, int n, const value_id *in);
#define OP_OF(c, op, ...)                                                                          \
    compose_op(c, op, (int)(sizeof((value_id[]){__VA_ARGS__}) / sizeof(value_id)),                 \
               (value_id[]){__VA_ARGS__})
/* Of the node made last: attributes, one more output, the opset that it means. */
void compose_int(struct compose *c, const char *name, int64_t v);
void compose_float(struct compose *c, const char *name, float v);
void compose_str(struct compose *c, const char *name, const char *v);
void compose_ints(struct compose *c, const char *name, int n, const int64_t *v);
/* Every attribute of the foreign node goes to the node made last. */
void compose_keep(struct compose *c);
value_id compose_more(struct compose *c);
void compose_opset(struct compose *c, int opset);

/* v is output i of the foreign node. */
void compose_give(struct compose *c, int i, value_id v);

/* The composition of an operator of com.microsoft; NULL: none. */
compose_fn *onnx_ms_find(struct str type);
enum code compose_write_out(struct onnx_reader *r, struct onnx_scope *s, const struct onnx_node *n,
                            compose_fn *f, value_id *in, value_id *out, struct err *e);

/* --- what more than one file composes --- */

/* onnx_ms.c: the activation that attributes `activation` and its parameters name. */
value_id compose_activation(struct compose *c, value_id x);
/* onnx_ms_quant.c */
value_id compose_dequantized(struct compose *c, value_id x, value_id scale, value_id zero);
/* Integer product of a and b times their scales, plus bias. */
value_id compose_scaled_product(struct compose *c, value_id a, value_id b, value_id a_scale,
                                value_id b_scale, value_id a_zero, value_id b_zero, value_id bias);
/* onnx_ms_attention.c: qkv (B, S, 3 * heads * head size) of Attention and QAttention. */
void compose_attend_packed(struct compose *c, value_id qkv, value_id mask, value_id past,
                           value_id bias);

compose_fn onnx_ms_attention, onnx_ms_multi_head, onnx_ms_group_query, onnx_ms_rotary,
    onnx_ms_m_rotary, onnx_ms_q_attention, onnx_ms_q_concat, onnx_ms_q_average_pool,
    onnx_ms_q_softmax, onnx_ms_q_where, onnx_ms_dynamic_quantize_mat_mul,
    onnx_ms_mat_mul_integer_to_float, onnx_ms_gather_block_quantized, onnx_ms_dynamic_lstm,
    onnx_ms_q_conv, onnx_ms_rfft, onnx_ms_irfft, onnx_ms_scaled_silu, onnx_ms_gated_add,
    onnx_ms_gated_rms_norm, onnx_ms_linear_attention_gate, onnx_ms_linear_attention,
    onnx_ms_causal_conv;
