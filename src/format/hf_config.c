/* SPDX-License-Identifier: Apache-2.0 */
/* config.json (transformers) in our words: `num_attention_heads` is `heads`. Names changed between
 * versions of transformers (rope_scaling became rope_parameters, torch_dtype dtype); both are read.
 * docs/formats/huggingface.md has the table. */
#include "format/hf.h"

#include "base/json.h"

#include <math.h>

static const struct {
    const char *model_type, *arch;
} architectures[] = {
    {"llama", "llama"},        {"mistral", "llama"},      {"mixtral", "llama"},
    {"qwen2", "qwen2"},        {"qwen3", "qwen3"},        {"qwen2_moe", "qwen2moe"},
    {"qwen3_moe", "qwen3moe"}, {"gemma3_text", "gemma3"}, {"gemma3", "gemma3"},
    {"phi3", "phi3"},          {"bert", "bert"},          {"roberta", "bert"},
    {"xlm-roberta", "bert"},
};

static const struct {
    const char *theirs, *ours;
    bool real;
} words[] = {
    {"max_position_embeddings", "context", false},
    {"hidden_size", "width", false},
    {"num_hidden_layers", "layers", false},
    {"intermediate_size", "ffn", false},
    {"num_attention_heads", "heads", false},
    {"num_key_value_heads", "kv_heads", false},
    {"vocab_size", "vocab", false},
    {"rms_norm_eps", "norm_epsilon", true},
    {"layer_norm_eps", "norm_epsilon", true},
    {"attn_logit_softcapping", "attn_softcap", true},
    {"final_logit_softcapping", "logit_softcap", true},
    {"num_experts_per_tok", "experts_used", false},
    {"moe_intermediate_size", "expert_ffn", false},
    {"shared_expert_intermediate_size", "expert_shared_ffn", false},
};

static enum code put_words(struct hf_reader *r, struct err *e) {
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        bool found = false;
        int64_t whole = 0;
        double real = 0;
        if (words[i].real) {
            TRY(hf_object_real(&r->config, words[i].theirs, &found, &real, e));
            if (found)
                fact_float(&r->facts, words[i].ours, real);
        } else {
            TRY(hf_object_int(&r->config, words[i].theirs, &found, &whole, e));
            if (found)
                fact_int(&r->facts, words[i].ours, whole);
        }
    }
    return OK;
}

static int64_t int_or(const struct hf_object *o, const char *key, int64_t otherwise) {
    struct err ignored;
    bool found;
    int64_t v = 0;
    return hf_object_int(o, key, &found, &v, &ignored) == OK && found ? v : otherwise;
}

static double real_or(const struct hf_object *o, const char *key, double otherwise) {
    struct err ignored;
    bool found;
    double v = 0;
    return hf_object_real(o, key, &found, &v, &ignored) == OK && found ? v : otherwise;
}

/* --- positions --- */

/* Divisors of longrope: GGUF files have them as tensors, so they become some. */
static enum code put_factors(struct hf_reader *r, const struct hf_object *rope, const char *key,
                             const char *name, struct err *e) {
    struct str raw;
    struct json j;
    struct json_tensor shape;
    struct buf b;
    struct arena *a = r->a;
    if (!hf_object_find(rope, key, &raw))
        return OK;
    json_init(&j, raw, a);
    buf_init(&b, 1 << 20);
    enum code code = json_tensor(&j, JN_F32, &b, &shape, e);
    struct tensor *t = ARENA_NEW(a, struct tensor);
    float *data = ARENA_ARRAY(a, b.n / sizeof *data + 1, float);
    value_id v = graph_add_value(r->m->main, str_of(name));
    if (code == OK && (!t || !data || v == VALUE_NONE))
        code = arena_fail(a, b.n, "rotary factors", e);
    if (code == OK) {
        if (b.n)
            memcpy(data, b.p, b.n);
        *t = (struct tensor){
            .dtype = DT_F32, .shape = {.rank = 1, .dims = {(int64_t)shape.count}}, .data = data};
        struct value *value = &r->m->main->values[v];
        value->dtype = DT_F32;
        value->ranked = true;
        value->shape = t->shape;
        value->constant = t;
    }
    buf_deinit(&b);
    return code;
}

/* YaRN (arXiv 2309.00071): the borders of its ramp, in turns, and what scales cosine and sine. */
static void put_yarn(struct hf_reader *r, const struct hf_object *rope) {
    double fast = real_or(rope, "beta_fast", 0), slow = real_or(rope, "beta_slow", 0),
           over = real_or(rope, "mscale", 0), under = real_or(rope, "mscale_all_dim", 0),
           stretch = 0.1 * log(fmax(1, real_or(rope, "factor", 1))),
           magnitude = real_or(rope, "attention_factor", 0);
    if (!(magnitude > 0) && over > 0 && under > 0)
        magnitude = (1 + over * stretch) / (1 + under * stretch);
    if (fast > 0)
        fact_float(&r->facts, "rope_yarn_fast", fast);
    if (slow > 0)
        fact_float(&r->facts, "rope_yarn_slow", slow);
    if (magnitude > 0)
        fact_float(&r->facts, "rope_magnitude", magnitude);
}

static enum code put_scaling(struct hf_reader *r, const struct hf_object *rope, struct err *e) {
    struct str type = LIT("default");
    TRY(hf_object_text(rope, "type", &type, e));
    TRY(hf_object_text(rope, "rope_type", &type, e));
    if (str_is(type, "default"))
        return OK;
    if (str_is(type, "su"))
        type = LIT("longrope");
    if (!str_is(type, "linear") && !str_is(type, "llama3") && !str_is(type, "yarn") &&
        !str_is(type, "longrope"))
        return fail(e, UNSUPPORTED,
                    "rope scaling '%.*s'; this build knows linear, llama3, yarn and longrope",
                    STR(str_sub(type, 0, 40)));
    fact_str(&r->facts, "rope_scaling", type);
    fact_float(&r->facts, "rope_factor", real_or(rope, "factor", 1));
    fact_float(&r->facts, "rope_low", real_or(rope, "low_freq_factor", 1));
    fact_float(&r->facts, "rope_high", real_or(rope, "high_freq_factor", 4));
    if (str_is(type, "yarn"))
        put_yarn(r, rope);
    int64_t original = int_or(rope, "original_max_position_embeddings",
                              int_or(&r->config, "original_max_position_embeddings", 0));
    if (original > 0)
        fact_int(&r->facts, "rope_original", original);
    TRY(put_factors(r, rope, "short_factor", "rope_factors_short.weight", e));
    return put_factors(r, rope, "long_factor", "rope_factors_long.weight", e);
}

static enum code put_positions(struct hf_reader *r, struct err *e) {
    struct hf_object rope, local;
    double theta = real_or(&r->config, "rope_theta", 0),
           theta_local = real_or(&r->config, "rope_local_base_freq", 0);
    TRY(hf_object_object(&r->config, "rope_scaling", &rope, e));
    if (rope.n == 0)
        TRY(hf_object_object(&r->config, "rope_parameters", &rope, e));
    TRY(hf_object_object(&rope, "sliding_attention", &local, e)); /* one per kind of layer */
    if (local.n) {
        theta_local = real_or(&local, "rope_theta", theta_local);
        TRY(hf_object_object(&rope, "full_attention", &rope, e));
    }
    theta = real_or(&rope, "rope_theta", theta);
    if (theta > 0)
        fact_float(&r->facts, "rope_theta", theta);
    if (theta_local > 0)
        fact_float(&r->facts, "rope_theta_local", theta_local);
    return put_scaling(r, &rope, e);
}

static void put_heads(struct hf_reader *r) {
    int64_t width = int_or(&r->config, "hidden_size", 0),
            heads = int_or(&r->config, "num_attention_heads", 0),
            dim = int_or(&r->config, "head_dim", heads > 0 ? width / heads : 0);
    if (str_is(r->arch, "gemma3"))
        dim = int_or(&r->config, "head_dim", 256);
    double part = real_or(&r->config, "partial_rotary_factor", 1);
    fact_int(&r->facts, "head_dim", dim);
    if (part > 0 && part < 1 && dim > 0 && dim < 1 << 20)
        fact_int(&r->facts, "rope_dims", (int64_t)(part * (double)dim));
}

/* --- what is particular --- */

/* Which layers see a window only. */
struct local {
    int64_t from, pattern; /* from that one on; every n-th one is full, 0: none */
};

/* layer_types: every n-th layer full, all of them or none; or the first ones. */
static enum code read_layers(struct hf_reader *r, bool *said, struct local *out, struct err *e) {
    struct str raw;
    struct json j;
    bool more = true, regular = true, leading = true;
    int64_t n = 0, first = 0, lead = 0;
    *said = hf_object_find(&r->config, "layer_types", &raw) && !str_is(raw, "null");
    if (!*said)
        return OK;
    json_init(&j, raw, r->a);
    TRY(json_enter_array(&j, e));
    for (;;) {
        struct str kind;
        TRY(json_next_item(&j, &more, e));
        if (!more)
            break;
        TRY(json_string(&j, &kind, e));
        n++;
        bool is_full = str_is(kind, "full_attention");
        if (!is_full && !str_is(kind, "sliding_attention"))
            return fail(e, UNSUPPORTED, "layer_types: '%.*s'", STR(str_sub(kind, 0, 64)));
        first = is_full && first == 0 ? n : first;
        regular &= is_full == (first > 0 && n % first == 0);
        leading &= !is_full || lead == n - 1;
        lead += is_full && lead == n - 1;
    }
    if (!regular && !leading)
        return fail(e, UNSUPPORTED,
                    "layer_types: full attention in other layers than every n-th or the first");
    *out = regular ? (struct local){0, first} : (struct local){lead, 0};
    return OK;
}

static enum code put_window(struct hf_reader *r, struct err *e) {
    bool said, uses = true, qwen = str_starts(r->arch, "qwen");
    int64_t window = int_or(&r->config, "sliding_window", 0);
    struct local local = {0};
    if (qwen) {
        uses = false;
        local.from = int_or(&r->config, "max_window_layers", 28);
        TRY(hf_object_bool(&r->config, "use_sliding_window", &uses, e));
    }
    TRY(read_layers(r, &said, &local, e));
    if (!said && str_is(r->arch, "gemma3"))
        local.pattern = int_or(&r->config, "sliding_window_pattern", 6);
    if (uses && window > 0 && local.pattern != 1)
        fact_int(&r->facts, "window", window);
    if (local.from > 0)
        fact_int(&r->facts, "window_from", local.from);
    if (local.pattern > 1 || str_is(r->arch, "gemma3"))
        fact_int(&r->facts, "window_pattern", local.pattern);
    return OK;
}

static enum code put_experts(struct hf_reader *r, struct err *e) {
    bool normed = str_is(r->arch, "qwen3moe") ? false : !str_is(r->arch, "qwen2moe");
    int64_t n = int_or(&r->config, "num_experts", int_or(&r->config, "num_local_experts", 0));
    if (n == 0)
        return OK;
    fact_int(&r->facts, "experts", n);
    TRY(hf_object_bool(&r->config, "norm_topk_prob", &normed, e));
    fact_int(&r->facts, "norm_experts", normed);
    if (int_or(&r->config, "decoder_sparse_step", 1) != 1)
        return fail(e, UNSUPPORTED, "decoder_sparse_step other than 1");
    return OK;
}

static void put_gemma(struct hf_reader *r) {
    double scalar = real_or(&r->config, "query_pre_attn_scalar", 256);
    if (!str_is(r->arch, "gemma3"))
        return;
    fact_float(&r->facts, "norm_shift", 1); /* weights hold w of (1 + w) */
    if (scalar > 0)
        fact_float(&r->facts, "query_scale", 1 / sqrt(scalar));
}

/* --- sentence transformers --- */

/* modules.json: what comes behind the encoder. Vectors always leave with length 1, so Normalize
 * adds nothing; a Dense layer would. */
static enum code check_modules(struct hf_reader *r, struct err *e) {
    static const char *const known[] = {"Transformer", "Pooling", "Normalize"};
    struct str text = {0}, one = {0};
    struct json j;
    bool more;
    if (!hf_file(r, "modules.json", &text))
        return OK;
    json_init(&j, text, r->a);
    TRY(json_enter_array(&j, e));
    for (;;) {
        struct hf_object o;
        struct str type = {0};
        bool found = false;
        TRY(json_next_item(&j, &more, e));
        if (!more)
            return json_end(&j, e);
        TRY(json_skip(&j, &one, e));
        TRY(hf_object_read(one, r->a, &o, e));
        TRY(hf_object_text(&o, "type", &type, e));
        for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
            found |= str_ends(type, known[i]);
        if (!found)
            return fail(e, UNSUPPORTED, "modules.json: '%.*s' behind the encoder",
                        STR(str_sub(type, 0, 100)));
    }
}

/* 1_Pooling/config.json: one mode as a word, or each as a bool. */
static enum code put_pooling(struct hf_reader *r, struct err *e) {
    static const struct {
        const char *word, *flag, *ours;
    } modes[] = {{"mean", "pooling_mode_mean_tokens", "mean"},
                 {"cls", "pooling_mode_cls_token", "cls"},
                 {"lasttoken", "pooling_mode_lasttoken", "last"},
                 {"max", "pooling_mode_max_tokens", NULL},
                 {"mean_sqrt_len_tokens", "pooling_mode_mean_sqrt_len_tokens", NULL},
                 {"weightedmean", "pooling_mode_weightedmean_tokens", NULL}};
    struct str text = {0}, word = {0};
    struct hf_object o;
    const char *ours = NULL;
    int on = 0;
    TRY(check_modules(r, e));
    if (!hf_file(r, "1_Pooling/config.json", &text))
        return OK;
    TRY(hf_object_read(text, r->a, &o, e));
    TRY(hf_object_text(&o, "pooling_mode", &word, e));
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        bool flag = str_is(word, modes[i].word);
        TRY(hf_object_bool(&o, modes[i].flag, &flag, e));
        on += flag;
        ours = flag ? modes[i].ours : ours;
    }
    if (on != 1 || !ours)
        return fail(e, UNSUPPORTED,
                    "1_Pooling/config.json: this build pools by mean, cls or last token, "
                    "one of them");
    fact_str(&r->facts, "pooling", str_of(ours));
    return OK;
}

static enum code find_arch(struct hf_reader *r, struct hf_object *top, struct err *e) {
    struct str type = {0}, raw;
    TRY(hf_object_text(top, "model_type", &type, e));
    for (size_t i = 0; i < sizeof architectures / sizeof architectures[0]; i++)
        if (str_is(type, architectures[i].model_type))
            r->arch = str_of(architectures[i].arch);
    if (r->arch.n == 0)
        return fail(e, UNSUPPORTED,
                    "model_type '%.*s'; this build knows llama, mistral, mixtral, qwen2, qwen3, "
                    "qwen2_moe, qwen3_moe, gemma3, phi3, bert, roberta and xlm-roberta",
                    STR(str_sub(type, 0, 64)));
    if (hf_object_find(top, "quantization_config", &raw))
        return fail(e, UNSUPPORTED,
                    "quantization_config: weights quantised by another library; "
                    "take the original folder or a GGUF file");
    r->config = *top;
    if (hf_object_find(top, "text_config", &raw)) /* beside an image encoder, which is left out */
        return hf_object_object(top, "text_config", &r->config, e);
    return OK;
}

/* sentence_bert_config.json: texts of this many tokens were trained on, though there may be
 * positions for more. */
static enum code put_longest(struct hf_reader *r, struct err *e) {
    struct str text = {0};
    struct hf_object o;
    bool found = false;
    int64_t most = 0;
    if (!hf_file(r, "sentence_bert_config.json", &text))
        return OK;
    TRY(hf_object_read(text, r->a, &o, e));
    TRY(hf_object_int(&o, "max_seq_length", &found, &most, e));
    if (found && most <= 0)
        return fail(e, FORMAT, "sentence_bert_config.json: max_seq_length is %lld",
                    (long long)most);
    if (found)
        fact_int(&r->facts, "longest_text", most);
    return OK;
}

/* RoBERTa counts positions from the padding's number on: the rows before are nobody's, as in GGUF.
 */
static enum code put_encoder(struct hf_reader *r, const struct hf_object *top, struct err *e) {
    struct str type = {0}, act = LIT("gelu"), positions = LIT("absolute");
    if (!str_is(r->arch, "bert"))
        return OK;
    TRY(hf_object_text(top, "model_type", &type, e));
    TRY(hf_object_text(top, "hidden_act", &act, e));
    TRY(hf_object_text(top, "position_embedding_type", &positions, e));
    if (!str_is(act, "gelu") || !str_is(positions, "absolute"))
        return fail(e, UNSUPPORTED, "an encoder with hidden_act '%.*s' and %.*s positions",
                    STR(str_sub(act, 0, 40)), STR(str_sub(positions, 0, 40)));
    TRY(put_longest(r, e));
    if (str_is(type, "bert"))
        return OK;
    int64_t padding = int_or(top, "pad_token_id", 1),
            all = int_or(top, "max_position_embeddings", 0);
    if (padding < 0 || padding >= all)
        return fail(e, FORMAT, "pad_token_id %lld of %lld positions", (long long)padding,
                    (long long)all);
    r->skipped_positions = padding + 1;
    fact_int(&r->facts, "context", all - r->skipped_positions);
    return OK;
}

enum code hf_config_read(struct hf_reader *r, struct err *e) {
    struct str text = {(const char *)r->in->bytes.p, r->in->bytes.n}, name = {0};
    struct hf_object top;
    TRY(hf_object_read(text, r->a, &top, e));
    TRY(find_arch(r, &top, e));
    fact_str(&r->facts, "arch", r->arch);
    fact_int(&r->facts, "rope_pairs", 0);
    TRY(hf_object_text(&top, "_name_or_path", &name, e));
    if (name.n)
        fact_str(&r->facts, "name", name);
    r->tied = str_is(r->arch, "gemma3");
    TRY(hf_object_bool(&r->config, "tie_word_embeddings", &r->tied, e));
    TRY(put_encoder(r, &top, e)); /* the first fact of a name counts */
    TRY(put_words(r, e));
    put_heads(r);
    TRY(put_positions(r, e));
    TRY(put_window(r, e));
    TRY(put_experts(r, e));
    put_gemma(r);
    return put_pooling(r, e);
}
