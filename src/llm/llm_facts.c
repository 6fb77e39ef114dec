/* SPDX-License-Identifier: Apache-2.0 */
/* Facts of a language model: see llm_facts.h. What a file leaves out follows from what it says, or
 * is what the architecture's first implementation has. */
#include "llm/llm_facts.h"

#include <math.h>

static int64_t whole(const struct model *m, const char *name, int64_t otherwise) {
    const struct attr *a = model_fact(m, name);
    return a && a->kind == ATTR_INT ? a->i : otherwise;
}

static float real(const struct model *m, const char *name, float otherwise) {
    const struct attr *a = model_fact(m, name);
    return a && a->kind == ATTR_FLOAT ? a->f : a && a->kind == ATTR_INT ? (float)a->i : otherwise;
}

static struct str text(const struct model *m, const char *name, const char *otherwise) {
    const struct attr *a = model_fact(m, name);
    return a && a->kind == ATTR_STR ? a->s : str_of(otherwise);
}

static int64_t count(const struct model *m, const char *name) {
    const struct attr *a = model_fact(m, name);
    return a && a->kind == ATTR_STRS ? (int64_t)a->n : 0;
}

enum code llm_facts_read(const struct model *m, struct llm_facts *f, struct err *e) {
    struct llm_facts k = {.arch = text(m, "arch", "")};
    bool gemma = str_is(k.arch, "gemma3"), bert = str_is(k.arch, "bert");
    if (k.arch.n == 0)
        return fail(e, INVALID, "this is no language model: it has no fact \"arch\"");
    k.context = whole(m, "context", 2048);
    k.width = whole(m, "width", 0);
    k.layers = whole(m, "layers", 0);
    k.ffn = whole(m, "ffn", 0);
    k.heads = whole(m, "heads", 0);
    k.kv_heads = whole(m, "kv_heads", k.heads);
    k.head_dim = whole(m, "head_dim", k.heads > 0 ? k.width / k.heads : 0);
    k.vocab = whole(m, "vocab", 0);
    if (count(m, "tok.tokens"))
        k.vocab = count(m, "tok.tokens");
    k.norm_shift = real(m, "norm_shift", 0);
    k.norm_epsilon = real(m, "norm_epsilon", bert ? 1e-12f : 1e-5f);
    k.rope_theta = real(m, "rope_theta", gemma ? 1e6f : 10000);
    k.rope_theta_local = real(m, "rope_theta_local", 10000);
    k.rope_dims = whole(m, "rope_dims", bert ? 0 : k.head_dim);
    k.rope_pairs = whole(m, "rope_pairs", 0) != 0;
    k.rope_scaling = text(m, "rope_scaling", "none");
    k.rope_factor = real(m, "rope_factor", 1);
    k.rope_low = real(m, "rope_low", 1);
    k.rope_high = real(m, "rope_high", 4);
    k.rope_original = real(m, "rope_original", (float)k.context);
    k.rope_yarn_fast = real(m, "rope_yarn_fast", 32);
    k.rope_yarn_slow = real(m, "rope_yarn_slow", 1);
    k.rope_magnitude = real(m, "rope_magnitude", 0);
    k.window = whole(m, "window", 0);
    k.window_from = whole(m, "window_from", 0);
    k.window_pattern = whole(m, "window_pattern", gemma ? 6 : 0);
    k.experts = whole(m, "experts", 0);
    k.experts_used = whole(m, "experts_used", 0);
    k.expert_ffn = whole(m, "expert_ffn", k.ffn);
    k.norm_experts = whole(m, "norm_experts", 1) != 0;
    k.embed_scale = real(m, "embed_scale", gemma ? sqrtf((float)k.width) : 1);
    k.attn_softcap = real(m, "attn_softcap", 0);
    k.logit_softcap = real(m, "logit_softcap", 0);
    k.query_scale = real(m, "query_scale", 0);
    k.pooling = text(m, "pooling", bert ? "mean" : "none");
    k.longest_text = whole(m, "longest_text", k.context);
    *f = k;
    return OK;
}
