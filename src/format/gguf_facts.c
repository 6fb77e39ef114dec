/* SPDX-License-Identifier: Apache-2.0 */
/* GGUF's metadata keys in our words (llm/facts.h): `llama.attention.head_count` is `heads`. Keys of
 * an architecture begin with its name; what is not listed is not needed to run a model and stays in
 * the file. */
#include "format/fact_list.h"
#include "format/gguf.h"

#include <stdio.h>

const struct attr *gguf_pair(const struct gguf_pairs *p, const char *key) {
    for (size_t i = 0; i < p->n; i++)
        if (str_is(p->pairs[i].name, key))
            return &p->pairs[i];
    return NULL;
}

struct word {
    const char *theirs, *ours;
    enum attr_kind kind; /* INT, FLOAT, STR: a list of equal numbers counts as the number (a value
                            per layer); INTS, FLOATS, STRS: exactly that */
};

static const struct word of_architecture[] = {
    {"context_length", "context", ATTR_INT},
    {"embedding_length", "width", ATTR_INT},
    {"block_count", "layers", ATTR_INT},
    {"feed_forward_length", "ffn", ATTR_INT},
    {"vocab_size", "vocab", ATTR_INT},
    {"attention.head_count", "heads", ATTR_INT},
    {"attention.head_count_kv", "kv_heads", ATTR_INT},
    {"attention.key_length", "head_dim", ATTR_INT},
    {"attention.value_length", "value_dim", ATTR_INT},
    {"attention.layer_norm_rms_epsilon", "norm_epsilon", ATTR_FLOAT},
    {"attention.layer_norm_epsilon", "norm_epsilon", ATTR_FLOAT},
    {"attention.sliding_window", "window", ATTR_INT},
    {"attention.scale", "query_scale", ATTR_FLOAT},
    {"attn_logit_softcapping", "attn_softcap", ATTR_FLOAT},
    {"final_logit_softcapping", "logit_softcap", ATTR_FLOAT},
    {"rope.dimension_count", "rope_dims", ATTR_INT},
    {"rope.freq_base", "rope_theta", ATTR_FLOAT},
    {"rope.freq_base_swa", "rope_theta_local", ATTR_FLOAT},
    {"rope.scaling.type", "rope_scaling", ATTR_STR},
    {"rope.scaling.factor", "rope_factor", ATTR_FLOAT},
    {"rope.scaling.original_context_length", "rope_original", ATTR_INT},
    {"rope.scaling.attn_factor", "rope_attn_factor", ATTR_FLOAT},
    {"rope.scaling.yarn_ext_factor", "rope_yarn_ext", ATTR_FLOAT},
    {"rope.scaling.yarn_attn_factor", "rope_yarn_attn", ATTR_FLOAT},
    {"rope.scaling.yarn_beta_fast", "rope_yarn_fast", ATTR_FLOAT},
    {"rope.scaling.yarn_beta_slow", "rope_yarn_slow", ATTR_FLOAT},
    {"expert_count", "experts", ATTR_INT},
    {"expert_used_count", "experts_used", ATTR_INT},
    {"expert_feed_forward_length", "expert_ffn", ATTR_INT},
    {"expert_shared_feed_forward_length", "expert_shared_ffn", ATTR_INT},
    {"expert_weights_norm", "norm_experts", ATTR_INT},
    {"embedding_scale", "embed_scale", ATTR_FLOAT},
};

static const struct word of_file[] = {
    {"general.name", "name", ATTR_STR},
    {"tokenizer.ggml.pre", "tok.pre", ATTR_STR},
    {"tokenizer.ggml.tokens", "tok.tokens", ATTR_STRS},
    {"tokenizer.ggml.token_type", "tok.types", ATTR_INTS},
    {"tokenizer.ggml.scores", "tok.scores", ATTR_FLOATS},
    {"tokenizer.ggml.merges", "tok.merges", ATTR_STRS},
    {"tokenizer.ggml.bos_token_id", "tok.bos", ATTR_INT},
    {"tokenizer.ggml.eos_token_id", "tok.eos", ATTR_INT},
    {"tokenizer.ggml.eot_token_id", "tok.eot", ATTR_INT},
    {"tokenizer.ggml.eom_token_id", "tok.eom", ATTR_INT},
    {"tokenizer.ggml.unknown_token_id", "tok.unk", ATTR_INT},
    {"tokenizer.ggml.seperator_token_id", "tok.sep", ATTR_INT}, /* spelt so in files */
    {"tokenizer.ggml.padding_token_id", "tok.pad", ATTR_INT},
    {"tokenizer.ggml.cls_token_id", "tok.cls", ATTR_INT},
    {"tokenizer.ggml.mask_token_id", "tok.mask", ATTR_INT},
    {"tokenizer.ggml.add_bos_token", "tok.add_bos", ATTR_INT},
    {"tokenizer.ggml.add_eos_token", "tok.add_eos", ATTR_INT},
    {"tokenizer.ggml.add_space_prefix", "tok.add_prefix_space", ATTR_INT},
    {"general.sampling.temp", "sample.temperature", ATTR_FLOAT},
    {"general.sampling.top_k", "sample.top_k", ATTR_INT},
    {"general.sampling.top_p", "sample.top_p", ATTR_FLOAT},
    {"general.sampling.min_p", "sample.min_p", ATTR_FLOAT},
    {"general.sampling.penalty_repeat", "sample.repetition_penalty", ATTR_FLOAT},
    {"general.sampling.penalty_last_n", "sample.repeat_last_n", ATTR_INT},
    {"tokenizer.chat_template", "chat.template", ATTR_STR},
    {"tokenizer.chat_template.tool_use", "chat.template.tools", ATTR_STR},
};

static const struct {
    const char *theirs, *ours;
    bool rope_pairs; /* converters turn the rows of q and k so that neighbours rotate together */
} architectures[] = {
    {"llama", "llama", true},        {"qwen2", "qwen2", false}, {"qwen3", "qwen3", false},
    {"gemma3", "gemma3", false},     {"phi3", "phi3", false},   {"qwen2moe", "qwen2moe", false},
    {"qwen3moe", "qwen3moe", false}, {"bert", "bert", false},
};

/* A value per layer, the same for all: one value. */
static bool one_of_all(const struct attr *from, enum attr_kind kind, struct attr *to) {
    for (size_t i = 0; i < from->n; i++)
        if (kind == ATTR_INT ? from->ints[i] != from->ints[0] : from->floats[i] != from->floats[0])
            return false;
    if (from->n == 0)
        return false;
    if (kind == ATTR_INT)
        to->i = from->ints[0];
    else
        to->f = from->floats[0];
    return true;
}

static enum code translate(struct fact_list *f, const struct attr *from, const struct word *word,
                           struct err *e) {
    struct attr to = *from;
    bool fits = from->kind == word->kind;
    if (word->kind == ATTR_FLOAT && from->kind == ATTR_INT) {
        to.f = (float)from->i;
        fits = true;
    }
    if ((word->kind == ATTR_INT && from->kind == ATTR_INTS) ||
        (word->kind == ATTR_FLOAT && from->kind == ATTR_FLOATS)) {
        if (!one_of_all(from, word->kind, &to))
            return fail(e, UNSUPPORTED, "'%.*s' differs from layer to layer", STR(from->name));
        fits = true;
    }
    if (!fits)
        return fail(e, FORMAT, "metadata '%.*s' has the wrong type",
                    STR(str_sub(from->name, 0, 64)));
    to.kind = word->kind;
    to.name = str_of(word->ours);
    fact_add(f, to);
    return OK;
}

static enum code translate_all(struct fact_list *f, const struct gguf_pairs *p, struct str prefix,
                               const struct word *words, size_t n, struct err *e) {
    for (size_t i = 0; i < p->n; i++) {
        struct str key = p->pairs[i].name;
        if (prefix.n) {
            if (key.n <= prefix.n + 1 || key.p[prefix.n] != '.' ||
                !str_eq(str_sub(key, 0, prefix.n), prefix))
                continue;
            key = str_sub(key, prefix.n + 1, key.n);
        }
        for (size_t w = 0; w < n; w++)
            if (str_is(key, words[w].theirs) && !fact_list_has(f, words[w].ours))
                TRY(translate(f, &p->pairs[i], &words[w], e));
    }
    return OK;
}

static enum code add_architecture(struct fact_list *f, const struct gguf_pairs *p,
                                  struct str *prefix, struct err *e) {
    const struct attr *a = gguf_pair(p, "general.architecture");
    if (!a || a->kind != ATTR_STR)
        return fail(e, FORMAT, "general.architecture is missing: what kind of model is this?");
    *prefix = a->s;
    for (size_t i = 0; i < sizeof architectures / sizeof architectures[0]; i++)
        if (str_is(a->s, architectures[i].theirs)) {
            fact_str(f, "arch", str_of(architectures[i].ours));
            fact_int(f, "rope_pairs", architectures[i].rope_pairs);
            return OK;
        }
    return fail(e, UNSUPPORTED, "architecture '%.*s' is not one this build runs",
                STR(str_sub(a->s, 0, 64)));
}

static enum code add_tokenizer(struct fact_list *f, const struct gguf_pairs *p, struct err *e) {
    static const struct {
        const char *theirs, *ours;
    } tokenizers[] = {{"gpt2", "bpe"}, {"llama", "spm"}, {"bert", "wordpiece"}, {"t5", "unigram"}};
    const struct attr *a = gguf_pair(p, "tokenizer.ggml.model");
    if (!a || a->kind != ATTR_STR || str_is(a->s, "none") || str_is(a->s, "no_vocab"))
        return OK; /* whoever needs one says so */
    for (size_t i = 0; i < sizeof tokenizers / sizeof tokenizers[0]; i++)
        if (str_is(a->s, tokenizers[i].theirs)) {
            fact_str(f, "tok.kind", str_of(tokenizers[i].ours));
            return OK;
        }
    return fail(e, UNSUPPORTED, "tokenizer '%.*s' is not one this build knows",
                STR(str_sub(a->s, 0, 64)));
}

static enum code add_pooling(struct fact_list *f, const struct gguf_pairs *p, struct str prefix,
                             struct err *e) {
    static const char *const poolings[] = {"none", "mean", "cls", "last"};
    char key[96];
    snprintf(key, sizeof key, "%.*s.pooling_type", STR(str_sub(prefix, 0, 64)));
    const struct attr *a = gguf_pair(p, key);
    if (!a)
        return OK;
    if (a->kind != ATTR_INT || a->i < 0 || a->i >= (int64_t)(sizeof poolings / sizeof poolings[0]))
        return fail(e, UNSUPPORTED, "'%s' is not none, mean, cls or last", key);
    fact_str(f, "pooling", str_of(poolings[a->i]));
    return OK;
}

/* The table of character mappings is a list of bytes in the file. */
static enum code add_charsmap(struct fact_list *f, const struct attr *map, struct err *e) {
    char *p = arena_push(f->arena, map->n);
    if (!p)
        return arena_fail(f->arena, map->n, "precompiled_charsmap", e);
    for (size_t i = 0; i < map->n; i++)
        p[i] = (char)map->ints[i];
    fact_str(f, "tok.charsmap", (struct str){p, map->n});
    return OK;
}

/* What SentencePiece's unigram model does to a text first; and Qwen's tokenizer, whose files say no
 * more than its name. */
static enum code add_normalisation(struct fact_list *f, const struct gguf_pairs *p, struct err *e) {
    const struct attr *model = gguf_pair(p, "tokenizer.ggml.model"),
                      *pre = gguf_pair(p, "tokenizer.ggml.pre"),
                      *map = gguf_pair(p, "tokenizer.ggml.precompiled_charsmap"),
                      *extra = gguf_pair(p, "tokenizer.ggml.remove_extra_whitespaces");
    struct str *steps = ARENA_ARRAY(f->arena, 2, struct str);
    size_t n = 0;
    bool unigram = model && model->kind == ATTR_STR && str_is(model->s, "t5");
    if (!steps)
        return arena_fail(f->arena, 2 * sizeof *steps, "metadata", e);
    if (pre && pre->kind == ATTR_STR && str_is(pre->s, "qwen2"))
        steps[n++] = LIT("nfc");
    if (unigram && map && map->kind != ATTR_INTS)
        return fail(e, FORMAT, "metadata '%.*s' has the wrong type", STR(map->name));
    if (unigram && map && map->n) {
        TRY(add_charsmap(f, map, e));
        steps[n++] = LIT("charsmap");
    }
    if (unigram && extra && extra->kind == ATTR_INT && extra->i)
        steps[n++] = LIT("spaces");
    if (n)
        fact_strs(f, "tok.normalize", steps, n);
    return OK;
}

enum code gguf_facts(const struct gguf_pairs *p, struct model *m, struct err *e) {
    struct fact_list f;
    struct str prefix = {0};
    fact_list_begin(&f, m->arena);
    TRY(add_architecture(&f, p, &prefix, e));
    TRY(translate_all(&f, p, prefix, of_architecture,
                      sizeof of_architecture / sizeof of_architecture[0], e));
    TRY(add_pooling(&f, p, prefix, e));
    TRY(add_tokenizer(&f, p, e));
    TRY(add_normalisation(&f, p, e));
    TRY(translate_all(&f, p, (struct str){0}, of_file, sizeof of_file / sizeof of_file[0], e));
    return fact_list_end(&f, m, e);
}
