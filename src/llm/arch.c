/* SPDX-License-Identifier: Apache-2.0 */
/* Facts to blueprints: what all architectures share, then the one's own file. */
#include "llm/arch.h"

#include "llm/rope.h"

#include <math.h>

static const struct arch *const archs[] = {
#define ARCH(name) &arch_##name,
#include "llm/list.h"
#undef ARCH
};

enum { LAYERS_MAX = 1024, EXPERTS_MAX = 256 };
#define SIZE_CAP ((int64_t)1 << 28) /* of any one size: products of two stay within 2^56 */

static enum code check_size(const char *name, int64_t v, int64_t most, struct err *e) {
    if (v > 0 && v <= most)
        return OK;
    return fail(e, FORMAT, "fact '%s' is %lld: 1 to %lld", name, (long long)v, (long long)most);
}

static enum code check_sizes(const struct llm_facts *f, struct err *e) {
    TRY(check_size("width", f->width, SIZE_CAP, e));
    TRY(check_size("layers", f->layers, LAYERS_MAX, e));
    TRY(check_size("heads", f->heads, 1 << 16, e));
    TRY(check_size("kv_heads", f->kv_heads, f->heads, e));
    TRY(check_size("head_dim", f->head_dim, HEAD_MAX, e));
    TRY(check_size("ffn", f->ffn, SIZE_CAP, e));
    TRY(check_size("vocab", f->vocab, SIZE_CAP, e));
    TRY(check_size("context", f->context, SIZE_CAP, e));
    if (f->heads % f->kv_heads)
        return fail(e, FORMAT, "%lld heads are no multiple of %lld key heads", (long long)f->heads,
                    (long long)f->kv_heads);
    if (f->head_dim % 16)
        return fail(e, UNSUPPORTED, "heads of %lld dims: multiples of 16", (long long)f->head_dim);
    if (f->rope_dims < 0 || f->rope_dims > f->head_dim || f->rope_dims % 2)
        return fail(e, FORMAT, "%lld rotary dims of %lld", (long long)f->rope_dims,
                    (long long)f->head_dim);
    if (f->experts < 0 || f->experts > EXPERTS_MAX || f->experts_used < 0 ||
        f->experts_used > f->experts)
        return fail(e, FORMAT, "%lld of %lld experts: at most %d", (long long)f->experts_used,
                    (long long)f->experts, EXPERTS_MAX);
    return OK;
}

static int pooling_named(struct str name) {
    static const char *const names[] = {"none", "mean", "cls", "last"}; /* of enum pooling */
    for (int i = POOL_NONE; i <= POOL_LAST; i++)
        if (str_is(name, names[i]))
            return i;
    return POOL_NONE;
}

static void common(const struct llm_facts *f, struct blueprint *b) {
    *b = (struct blueprint){
        .width = (size_t)f->width,
        .layers = (size_t)f->layers,
        .heads = (size_t)f->heads,
        .kv_heads = (size_t)f->kv_heads,
        .head_dim = (size_t)f->head_dim,
        .ffn = (size_t)f->ffn,
        .vocab = (size_t)f->vocab,
        .context = (size_t)f->context,
        .epsilon = f->norm_epsilon,
        .norm_shift = f->norm_shift,
        .embed_scale = f->embed_scale > 0 ? f->embed_scale : 1,
        .query_scale = f->query_scale > 0 ? f->query_scale : 1 / sqrtf((float)f->head_dim),
        .logit_cap = f->logit_softcap,
        .score_cap = f->attn_softcap,
        .rope_dims = (size_t)f->rope_dims,
        .rope_pairs = f->rope_pairs,
        .rope = {.base = f->rope_theta, .scale = 1, .magnitude = 1},
        .window = (int32_t)f->window,
        .window_from = (int)f->window_from,
        .window_pattern = (int)f->window_pattern,
        .experts = (size_t)f->experts,
        .experts_used = (size_t)f->experts_used,
        .expert_ffn = (size_t)(f->expert_ffn > 0 ? f->expert_ffn : f->ffn),
        .experts_normed = f->norm_experts,
        .pooling = pooling_named(f->pooling),
    };
    b->rope_local = b->rope;
    if (f->rope_theta_local > 0)
        b->rope_local.base = f->rope_theta_local;
}

enum code arch_plan(const struct llm_facts *f, struct blueprint *out, struct err *e) {
    for (size_t i = 0; i < sizeof archs / sizeof archs[0]; i++)
        if (str_is(f->arch, archs[i]->name)) {
            struct blueprint b;
            TRY(check_sizes(f, e));
            common(f, &b);
            TRY(archs[i]->plan(f, &b, e));
            *out = b;
            return OK;
        }
    return fail(e, UNSUPPORTED, "architecture '%.*s' is not computed here", STR(f->arch));
}

/* Dims of the yarn ramp (arXiv 2309.00071, section 3.2). */
static float yarn_dim(const struct llm_facts *f, float turns) {
    return (float)f->rope_dims * logf(f->rope_original / (turns * 2 * (float)M_PI)) /
           (2 * logf(f->rope_theta));
}

/* Of all positions of a model whose context was stretched, also of short ones. */
static float longrope_magnitude(const struct llm_facts *f) {
    float stretch = (float)f->context / f->rope_original;
    return stretch <= 1 ? 1 : sqrtf(1 + logf(stretch) / logf(f->rope_original));
}

enum code arch_finish(const struct llm_facts *f, const struct weights *w, struct arena *a,
                      struct blueprint *b, struct err *e) {
    struct rope_plan *r = &b->rope;
    if (b->rope_dims == 0)
        return OK;
    bool stretched = (float)b->context > f->rope_original;
    if (w->rope_factors_long && stretched) { /* Phi-3: arXiv 2402.13753 */
        r->factors = w->rope_factors_long;
        r->magnitude = longrope_magnitude(f);
    } else if (w->rope_factors) {
        r->factors = w->rope_factors;
        r->magnitude = w->rope_factors_long ? longrope_magnitude(f) : 1;
    } else if (str_is(f->rope_scaling, "llama3")) {
        float *factors = ARENA_ARRAY(a, b->rope_dims / 2, float);
        if (!factors)
            return arena_fail(a, b->rope_dims * 2, "rotary factors", e);
        rope_llama3(r->base, b->rope_dims, f->rope_factor, f->rope_low, f->rope_high,
                    f->rope_original, factors);
        r->factors = factors;
    }
    if (str_is(f->rope_scaling, "linear") && f->rope_factor > 0)
        r->scale = 1 / f->rope_factor;
    if (str_is(f->rope_scaling, "yarn") && f->rope_factor > 0) {
        r->yarn_factor = f->rope_factor;
        r->low = fmaxf(0, floorf(yarn_dim(f, f->rope_yarn_fast)));
        r->high = fminf((float)b->rope_dims - 1, ceilf(yarn_dim(f, f->rope_yarn_slow)));
        r->magnitude = f->rope_magnitude > 0 ? f->rope_magnitude : 1 + 0.1f * logf(f->rope_factor);
    }
    return OK;
}
