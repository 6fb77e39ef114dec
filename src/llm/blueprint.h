/* SPDX-License-Identifier: Apache-2.0 */
/* What the forward pass does for a model: sizes, and where an architecture differs from the common
 * decoder block. Made from the model's facts by the architecture's file. What a block has besides
 * (biases, norms of q and k, fused matrices, experts) is told by the tensors that are there. */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum gate { GATE_SILU, GATE_GELU_TANH, GATE_GELU_ERF };

struct rope_plan {
    float base, scale; /* angle = position * scale * base^(-2i / dims) / factor[i] */
    float magnitude;   /* of cosine and sine */
    float low, high;   /* yarn: ramp between interpolated and original frequencies; 0: none */
    float yarn_factor;
    const float *factors; /* (dims / 2) divisors, or NULL */
};

struct blueprint {
    size_t width, layers, heads, kv_heads, head_dim, ffn, vocab, context;
    float epsilon;
    bool layer_norm;  /* mean taken off, bias added; else RMS */
    float norm_shift; /* added to the weights of RMS norms */
    enum gate gate;
    bool encoder; /* bidirectional, norms after the residual, no output head */
    float embed_scale, query_scale, logit_cap, score_cap; /* caps: 0 none */
    size_t rope_dims;
    bool rope_pairs; /* neighbours turn together, else halves; */
    struct rope_plan rope, rope_local;
    int32_t window;     /* positions that local layers see; 0: all */
    int window_from;    /* the first local layer */
    int window_pattern; /* every n-th layer is global; 0: all layers are local when there is a
                           window */
    size_t experts, experts_used, expert_ffn;
    bool experts_normed; /* weights of the chosen ones sum to 1 */
    int pooling;         /* encoders: enum pooling */
};

enum pooling { POOL_NONE, POOL_MEAN, POOL_CLS, POOL_LAST };

/* Whether a layer sees the window only. */
static inline bool blueprint_local(const struct blueprint *b, size_t layer) {
    if (b->window <= 0 || layer < (size_t)b->window_from)
        return false;
    return b->window_pattern <= 0 || (layer + 1) % (size_t)b->window_pattern != 0;
}
