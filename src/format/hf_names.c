/* SPDX-License-Identifier: Apache-2.0 */
/* Tensor names of transformers as GGUF has them, which is what llm/ looks for:
 * `model.layers.3.self_attn.q_proj.weight` is `blk.3.attn_q.weight`. Read from the left: prefix,
 * layer, words, ".weight" or ".bias". */
#include "format/hf.h"

#include <stdio.h>

struct word {
    const char *theirs, *ours;
};

static const struct word decoder_ends[] = {
    {"embed_tokens", "token_embd"}, {"norm", "output_norm"}, {"lm_head", "output"}};

static const struct word encoder_ends[] = {
    {"embeddings.word_embeddings", "token_embd"},
    {"embeddings.position_embeddings", "position_embd"},
    {"embeddings.token_type_embeddings", "token_types"},
    {"embeddings.LayerNorm", "token_embd_norm"},
};

static const struct word decoder_layer[] = {
    {"input_layernorm", "attn_norm"},
    {"self_attn.qkv_proj", "attn_qkv"},
    {"self_attn.q_proj", "attn_q"},
    {"self_attn.k_proj", "attn_k"},
    {"self_attn.v_proj", "attn_v"},
    {"self_attn.o_proj", "attn_output"},
    {"self_attn.q_norm", "attn_q_norm"},
    {"self_attn.k_norm", "attn_k_norm"},
    {"pre_feedforward_layernorm", "ffn_norm"},
    {"post_feedforward_layernorm", "post_ffw_norm"},
    {"mlp.gate_up_proj", "ffn_up"},
    {"mlp.gate_proj", "ffn_gate"},
    {"mlp.up_proj", "ffn_up"},
    {"mlp.down_proj", "ffn_down"},
    {"mlp.gate", "ffn_gate_inp"},
    {"block_sparse_moe.gate", "ffn_gate_inp"},
    {"mlp.shared_expert_gate", "ffn_gate_inp_shexp"},
    {"mlp.shared_expert.gate_proj", "ffn_gate_shexp"},
    {"mlp.shared_expert.up_proj", "ffn_up_shexp"},
    {"mlp.shared_expert.down_proj", "ffn_down_shexp"},
};

static const struct word encoder_layer[] = {
    {"attention.self.query", "attn_q"},
    {"attention.self.key", "attn_k"},
    {"attention.self.value", "attn_v"},
    {"attention.output.dense", "attn_output"},
    {"attention.output.LayerNorm", "attn_output_norm"},
    {"intermediate.dense", "ffn_up"},
    {"output.dense", "ffn_down"},
    {"output.LayerNorm", "layer_output_norm"},
};

static const struct word expert[] = {{"gate_proj", "ffn_gate"}, {"up_proj", "ffn_up"},
                                     {"down_proj", "ffn_down"}, {"w1", "ffn_gate"},
                                     {"w3", "ffn_up"},          {"w2", "ffn_down"}};

/* All experts of a layer in one tensor, which has no ".weight" behind its name. */
static const struct word experts[] = {{"gate_up_proj", "ffn_gate_up_exps.weight"},
                                      {"down_proj", "ffn_down_exps.weight"}};

#define FIND(list, s) find(list, sizeof list / sizeof list[0], s)

static const char *find(const struct word *list, size_t n, struct str s) {
    for (size_t i = 0; i < n; i++)
        if (str_is(s, list[i].theirs))
            return list[i].ours;
    return NULL;
}

static bool cut_front(struct str *s, const char *prefix) {
    if (!str_starts(*s, prefix))
        return false;
    *s = str_sub(*s, strlen(prefix), s->n);
    return true;
}

/* "12.rest": the number off the front. */
static bool cut_number(struct str *s, struct str *number) {
    size_t dot;
    uint64_t n;
    if (!str_find(*s, '.', &dot) || dot == 0 || dot > 5 || !str_to_u64(str_sub(*s, 0, dot), &n))
        return false;
    *number = str_sub(*s, 0, dot);
    *s = str_sub(*s, dot + 1, s->n);
    return true;
}

/* Weights that computing the text does not need. */
static bool is_other(struct str s) {
    static const char *const starts[] = {"pooler.",      "cls.",    "vision_tower.",
                                         "multi_modal_", "visual.", "embeddings.position_ids"};
    for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++)
        if (str_starts(s, starts[i]))
            return true;
    return str_ends(s, "rotary_emb.inv_freq");
}

static struct str print(char text[160], const char *layer_format, struct str layer,
                        const char *ours, struct str number, struct str end) {
    int n = snprintf(text, 160, "%s%.*s%s%s%s%.*s%.*s", layer_format, STR(layer),
                     layer.n ? "." : "", ours, number.n ? "." : "", STR(number), STR(end));
    return (struct str){text, (size_t)n};
}

static struct str translate_layer(const struct hf_reader *r, struct str s, struct str end,
                                  struct str whole, char text[160]) {
    struct str layer, number = {0};
    const char *ours = NULL;
    if (!cut_number(&s, &layer))
        return whole;
    if (str_is(r->arch, "bert"))
        ours = FIND(encoder_layer, s);
    else if (cut_front(&s, "mlp.experts.") || cut_front(&s, "block_sparse_moe.experts."))
        ours = cut_number(&s, &number) ? FIND(expert, s) : end.n ? NULL : FIND(experts, s);
    else if (str_is(s, "post_attention_layernorm"))
        ours = str_is(r->arch, "gemma3") ? "post_attention_norm" : "ffn_norm";
    else
        ours = FIND(decoder_layer, s);
    return ours ? print(text, "blk.", layer, ours, number, end) : whole;
}

struct str hf_names_translate(void *ctx, struct str name, char text[160]) {
    const struct hf_reader *r = ctx;
    struct str s = name, end = {0};
    const char *ours;
    bool encoder = str_is(r->arch, "bert");
    (void)cut_front(&s, "model.language_model.");
    (void)cut_front(&s, "language_model.");
    (void)cut_front(&s, "model.");
    (void)cut_front(&s, "bert.");
    (void)cut_front(&s, "roberta.");
    if (is_other(s))
        return (struct str){0};
    if (str_ends(s, ".weight"))
        end = LIT(".weight");
    else if (str_ends(s, ".bias"))
        end = LIT(".bias");
    s = str_sub(s, 0, s.n - end.n);
    if (cut_front(&s, encoder ? "encoder.layer." : "layers."))
        return translate_layer(r, s, end, name, text);
    ours = encoder ? FIND(encoder_ends, s) : FIND(decoder_ends, s);
    if (!ours)
        return name;
    if (r->tied && strcmp(ours, "output") == 0)
        return (struct str){0};
    return print(text, "", (struct str){0}, ours, (struct str){0}, end);
}
