/* SPDX-License-Identifier: Apache-2.0 */
/* The facts of a language model as numbers: what format/gguf.c translates into model->facts, with
 * the defaults of what a file may leave out. */
#pragma once

#include "graph/model.h"

struct llm_facts {
    struct str arch;
    int64_t context, width, layers, ffn, heads, kv_heads, head_dim, vocab;
    float norm_shift; /* added to the weights of norms */
    float norm_epsilon, rope_theta, rope_theta_local;
    int64_t rope_dims;
    bool rope_pairs; /* neighbours rotate together; else the halves of a head */
    struct str rope_scaling;
    float rope_factor, rope_low, rope_high, rope_original;
    float rope_yarn_fast, rope_yarn_slow, rope_magnitude; /* yarn; magnitude 0: by its formula */
    int64_t window, window_from, window_pattern, experts, experts_used, expert_ffn;
    bool norm_experts;
    float embed_scale, attn_softcap, logit_softcap, query_scale;
    struct str pooling;
    int64_t longest_text; /* tokens an encoder was trained for: the context, or less */
};
MUST_USE enum code llm_facts_read(const struct model *m, struct llm_facts *f, struct err *e);
