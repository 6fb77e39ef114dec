/* SPDX-License-Identifier: Apache-2.0 */
/* Tiny language models of every architecture with random weights, for the tests of the forward
 * pass. */
#pragma once

#include "kernel/kernel.h"
#include "llm/forward.h"

#include <stdio.h>
#include <string.h>

enum { TINY_VOCAB = 83, TINY_FACTS = 32 };

struct tiny {
    struct arena arena;
    struct model *model;
    enum dtype matrices; /* type of the matrices */
    uint64_t seed;
    const char *arch;
    int64_t width, layers, heads, kv_heads, head_dim, ffn, experts;
};

static float tiny_uniform(struct tiny *t, float low, float high) {
    t->seed = t->seed * 6364136223846793005u + 1442695040888963407u;
    return low + (high - low) * (float)(t->seed >> 40) / 16777216.0f;
}

static struct attr *tiny_fact(struct tiny *t, const char *name, enum attr_kind kind) {
    struct attr *a = &t->model->facts[t->model->n_facts++];
    *a = (struct attr){.name = str_of(name), .kind = kind, .origin = {.file = -1}};
    return a;
}
static void tiny_int(struct tiny *t, const char *name, int64_t v) {
    tiny_fact(t, name, ATTR_INT)->i = v;
}

static void tiny_add(struct tiny *t, const char *name, const struct tensor *tensor) {
    value_id id = graph_add_value(t->model->main, arena_str(&t->arena, str_of(name)));
    struct value *v = &t->model->main->values[id];
    v->constant = ARENA_NEW(&t->arena, struct tensor);
    *v->constant = *tensor;
    v->dtype = tensor->dtype;
}

/* Random floats; a block type: random codes under scales that keep the weights small. */
static void tiny_fill(struct tiny *t, struct tensor *x, float around, float span) {
    size_t n = tensor_bytes(x);
    if (x->dtype == DT_F32) {
        for (size_t i = 0; i < n / 4; i++)
            ((float *)x->data)[i] = tiny_uniform(t, around - span, around + span);
        return;
    }
    if (x->dtype == DT_F16 || x->dtype == DT_BF16) {
        for (size_t i = 0; i < n / 2; i++) {
            float v = tiny_uniform(t, around - span, around + span);
            ((uint16_t *)x->data)[i] =
                x->dtype == DT_F16 ? dtype_f32_to_f16(v) : dtype_f32_to_bf16(v);
        }
        return;
    }
    size_t block = dtype_block_bytes(x->dtype);
    for (size_t i = 0; i < n; i++)
        ((uint8_t *)x->data)[i] = (uint8_t)tiny_uniform(t, 0, 255.9f);
    for (size_t at = 0; at < n; at += block) {
        uint16_t d = dtype_f32_to_f16(span / 24), low = dtype_f32_to_f16(-span / 2);
        uint8_t *b = (uint8_t *)x->data + at;
        memcpy(x->dtype == DT_Q6_K ? b + 208 : b, &d, 2);
        if (x->dtype == DT_Q4_1 || x->dtype == DT_Q4_K)
            memcpy(b + 2, &low, 2);
        if (x->dtype == DT_Q6_K || x->dtype == DT_Q4_K) {
            d = dtype_f32_to_f16(span / 1000);
            memcpy(x->dtype == DT_Q6_K ? b + 208 : b, &d, 2);
            memcpy(x->dtype == DT_Q6_K ? b + 208 : b + 2, &d, 2);
        }
    }
}

static void tiny_tensor(struct tiny *t, enum dtype dtype, const char *name, int64_t rows,
                        int64_t cols, float around, float span) {
    struct tensor x = {.dtype = dtype, .shape = {.rank = rows ? 2 : 1}};
    x.shape.dims[0] = rows ? rows : cols;
    x.shape.dims[1] = cols;
    x.data = arena_push_aligned(&t->arena, tensor_bytes(&x), 64);
    tiny_fill(t, &x, around, span);
    tiny_add(t, name, &x);
}

static void tiny_matrix(struct tiny *t, const char *name, int64_t rows, int64_t cols) {
    tiny_tensor(t, t->matrices, name, rows, cols, 0, 0.25f);
}
static void tiny_vector(struct tiny *t, const char *name, int64_t n, float around) {
    tiny_tensor(t, DT_F32, name, 0, n, around, 0.2f);
}

static const char *tiny_name(struct tiny *t, int64_t layer, const char *end) {
    return arena_printf(&t->arena, "blk.%d.%s", (int)layer, end);
}

static void tiny_norm(struct tiny *t, int64_t layer, const char *what, bool bias) {
    tiny_vector(t, tiny_name(t, layer, arena_printf(&t->arena, "%s.weight", what)), t->width, 1);
    if (bias)
        tiny_vector(t, tiny_name(t, layer, arena_printf(&t->arena, "%s.bias", what)), t->width, 0);
}

static void tiny_linear(struct tiny *t, int64_t layer, const char *what, int64_t rows, int64_t cols,
                        bool bias) {
    tiny_matrix(t, tiny_name(t, layer, arena_printf(&t->arena, "%s.weight", what)), rows, cols);
    if (bias)
        tiny_vector(t, tiny_name(t, layer, arena_printf(&t->arena, "%s.bias", what)), rows, 0);
}

static void tiny_experts(struct tiny *t, int64_t i) {
    static const char *const parts[] = {"ffn_gate_exps.weight", "ffn_up_exps.weight",
                                        "ffn_down_exps.weight"};
    tiny_tensor(t, DT_F32, tiny_name(t, i, "ffn_gate_inp.weight"), t->experts, t->width, 0, 1);
    for (int p = 0; p < 3; p++)
        tiny_matrix(t, tiny_name(t, i, parts[p]), t->experts * (p == 2 ? t->width : t->ffn),
                    p == 2 ? t->ffn : t->width);
    if (strcmp(t->arch, "qwen2moe") != 0)
        return;
    tiny_linear(t, i, "ffn_gate_shexp", t->ffn, t->width, false);
    tiny_linear(t, i, "ffn_up_shexp", t->ffn, t->width, false);
    tiny_linear(t, i, "ffn_down_shexp", t->width, t->ffn, false);
    tiny_tensor(t, DT_F32, tiny_name(t, i, "ffn_gate_inp_shexp.weight"), 1, t->width, 0, 1);
}

static void tiny_layer(struct tiny *t, int64_t i) {
    int64_t q = t->heads * t->head_dim, kv = t->kv_heads * t->head_dim;
    bool bert = strcmp(t->arch, "bert") == 0, phi = strcmp(t->arch, "phi3") == 0;
    bool bias = bert || strncmp(t->arch, "qwen2", 5) == 0, gemma = strcmp(t->arch, "gemma3") == 0;
    if (phi) {
        tiny_linear(t, i, "attn_qkv", q + 2 * kv, t->width, false);
    } else {
        tiny_linear(t, i, "attn_q", q, t->width, bias);
        tiny_linear(t, i, "attn_k", kv, t->width, bias);
        tiny_linear(t, i, "attn_v", kv, t->width, bias);
    }
    tiny_linear(t, i, "attn_output", t->width, q, bert);
    if (gemma || strncmp(t->arch, "qwen3", 5) == 0) {
        tiny_vector(t, tiny_name(t, i, "attn_q_norm.weight"), t->head_dim, 1);
        tiny_vector(t, tiny_name(t, i, "attn_k_norm.weight"), t->head_dim, 1);
    }
    tiny_norm(t, i, bert ? "attn_output_norm" : "attn_norm", bert);
    tiny_norm(t, i, bert ? "layer_output_norm" : "ffn_norm", bert);
    if (gemma) {
        tiny_norm(t, i, "post_attention_norm", false);
        tiny_norm(t, i, "post_ffw_norm", false);
    }
    if (t->experts) {
        tiny_experts(t, i);
        return;
    }
    if (!bert && !phi)
        tiny_linear(t, i, "ffn_gate", t->ffn, t->width, false);
    tiny_linear(t, i, "ffn_up", phi ? 2 * t->ffn : t->ffn, t->width, bert);
    tiny_linear(t, i, "ffn_down", t->width, t->ffn, bert);
}

static void tiny_facts(struct tiny *t) {
    t->model->facts = ARENA_ARRAY(&t->arena, TINY_FACTS, struct attr);
    tiny_fact(t, "arch", ATTR_STR)->s = str_of(t->arch);
    tiny_int(t, "width", t->width);
    tiny_int(t, "layers", t->layers);
    tiny_int(t, "heads", t->heads);
    tiny_int(t, "kv_heads", t->kv_heads);
    tiny_int(t, "head_dim", t->head_dim);
    tiny_int(t, "ffn", t->ffn);
    tiny_int(t, "vocab", TINY_VOCAB);
    tiny_int(t, "context", 256);
    tiny_int(t, "rope_pairs", strcmp(t->arch, "llama") == 0);
    if (strcmp(t->arch, "gemma3") == 0)
        tiny_int(t, "window", 7);
    if (t->experts) {
        tiny_int(t, "experts", t->experts);
        tiny_int(t, "experts_used", 2);
    }
}

/* The caller ends with arena_deinit(&t->arena). */
static void tiny_make(struct tiny *t, const char *arch, enum dtype matrices, int64_t experts) {
    *t = (struct tiny){.matrices = matrices,
                       .seed = 1,
                       .arch = arch,
                       .width = 256,
                       .layers = 3,
                       .heads = 4,
                       .kv_heads = strcmp(arch, "bert") == 0 ? 4 : 2,
                       .head_dim = 64,
                       .ffn = 512,
                       .experts = experts};
    arena_init(&t->arena, (size_t)1 << 30);
    t->model = model_new(&t->arena);
    tiny_facts(t);
    tiny_matrix(t, "token_embd.weight", TINY_VOCAB, t->width);
    if (strcmp(arch, "bert") == 0) {
        tiny_tensor(t, DT_F32, "position_embd.weight", 256, t->width, 0, 0.2f);
        tiny_tensor(t, DT_F32, "token_types.weight", 2, t->width, 0, 0.2f);
        tiny_vector(t, "token_embd_norm.weight", t->width, 1);
        tiny_vector(t, "token_embd_norm.bias", t->width, 0);
    } else {
        tiny_vector(t, "output_norm.weight", t->width, 1);
    }
    for (int64_t i = 0; i < t->layers; i++)
        tiny_layer(t, i);
}
