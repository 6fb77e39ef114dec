"""Tiny language models of every architecture with weights from a seed, as GGUF files and as what transformers computes.

Continuous integration writes the files and compares the engine's logits with language_logits.npz. That file is made by

    python tests/golden/language_models.py        # needs torch and transformers

from the same weights: torch is too big to install for every run of the tests."""
import os
import sys
import zlib

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
RECORD = os.path.join(HERE, "language_logits.npz")
VOCAB, WIDTH, LAYERS, HEADS, KV, DIM, FFN, CONTEXT, EXPERTS = 96, 64, 3, 4, 2, 16, 96, 128, 4
TOKENS = [5, 17, 80, 3, 3, 61, 44, 90, 12, 7, 33, 58, 21, 9, 70, 2]
LLAMA3 = {"rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 32}
YARN = {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0, "beta_fast": 2.0, "beta_slow": 0.25, "original_max_position_embeddings": 64}
LONGROPE = {"rope_type": "longrope", "rope_theta": 10000.0, "short_factor": [1.0] * (DIM // 2), "original_max_position_embeddings": 8,
            "long_factor": [1.0 + 0.5 * i for i in range(DIM // 2)]}
ARCHS = {  # name: (GGUF architecture, what differs)
    "llama": ("llama", {}), "llama3": ("llama", {"scaled": True}), "mistral": ("llama", {"window": 6}),
    "mixtral": ("llama", {"experts": True}), "qwen2": ("qwen2", {"bias": True}), "qwen3": ("qwen3", {"qk_norm": True, "dim": 32}),
    "qwen2moe": ("qwen2moe", {"bias": True, "experts": True, "shared": True}), "qwen3moe": ("qwen3moe", {"qk_norm": True, "experts": True}),
    "gemma3": ("gemma3", {"qk_norm": True, "dim": 32, "layers": 7, "window": 5, "four_norms": True, "tied": True}),
    "phi3": ("phi3", {"fused": True}), "phi3long": ("phi3", {"fused": True, "longrope": True}), "yarn": ("llama", {"yarn": True}), "bert": ("bert", {}),
    "qwen2window": ("qwen2", {"bias": True, "window": 6, "window_from": 1}),
}
FOLDERS = ["qwen2window"]  # what GGUF files cannot say


def draw(name, *shape, around=0.0, span=0.3):
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    return (around + span * rng.standard_normal(shape)).astype(np.float32)


def sizes(arch):
    options = ARCHS[arch][1]
    return options, options.get("layers", LAYERS), options.get("dim", DIM)


def attention(t, p, options, dim, bias_all=False):
    q, kv = HEADS * dim, KV * dim
    if options.get("fused"):
        t[p + "attn_qkv.weight"] = draw(p + "qkv", q + 2 * kv, WIDTH)
    else:
        for part, rows in (("q", q), ("k", kv), ("v", kv)):
            t[p + f"attn_{part}.weight"] = draw(p + part, rows, WIDTH)
            if options.get("bias") or bias_all:
                t[p + f"attn_{part}.bias"] = draw(p + part + "bias", rows)
    t[p + "attn_output.weight"] = draw(p + "o", WIDTH, q)
    if options.get("qk_norm"):
        t[p + "attn_q_norm.weight"] = draw(p + "qn", dim, around=1.0)
        t[p + "attn_k_norm.weight"] = draw(p + "kn", dim, around=1.0)


def feed_forward(t, p, options):
    if options.get("experts"):
        t[p + "ffn_gate_inp.weight"] = draw(p + "router", EXPERTS, WIDTH)
        t[p + "ffn_gate_exps.weight"] = draw(p + "ge", EXPERTS, FFN, WIDTH)
        t[p + "ffn_up_exps.weight"] = draw(p + "ue", EXPERTS, FFN, WIDTH)
        t[p + "ffn_down_exps.weight"] = draw(p + "de", EXPERTS, WIDTH, FFN)
        if options.get("shared"):
            t[p + "ffn_gate_shexp.weight"], t[p + "ffn_up_shexp.weight"] = draw(p + "gs", FFN, WIDTH), draw(p + "us", FFN, WIDTH)
            t[p + "ffn_down_shexp.weight"], t[p + "ffn_gate_inp_shexp.weight"] = draw(p + "ds", WIDTH, FFN), draw(p + "rs", 1, WIDTH)
        return
    if options.get("fused"):
        t[p + "ffn_up.weight"] = draw(p + "gu", 2 * FFN, WIDTH)
    else:
        t[p + "ffn_gate.weight"], t[p + "ffn_up.weight"] = draw(p + "g", FFN, WIDTH), draw(p + "u", FFN, WIDTH)
    t[p + "ffn_down.weight"] = draw(p + "d", WIDTH, FFN)


def decoder(arch):
    options, layers, dim = sizes(arch)
    t = {"token_embd.weight": draw("embed", VOCAB, WIDTH), "output_norm.weight": draw("out", WIDTH, around=1.0)}
    if not options.get("tied"):
        t["output.weight"] = draw("head", VOCAB, WIDTH)
    for i in range(layers):
        p = f"blk.{i}."
        attention(t, p, options, dim)
        feed_forward(t, p, options)
        names = ["attn_norm", "ffn_norm"] + (["post_attention_norm", "post_ffw_norm"] if options.get("four_norms") else [])
        for name in names:
            t[p + name + ".weight"] = draw(p + name, WIDTH, around=1.0)
    return t


def encoder():
    t = {"token_embd.weight": draw("embed", VOCAB, WIDTH), "position_embd.weight": draw("pos", CONTEXT, WIDTH),
         "token_types.weight": draw("types", 2, WIDTH)}

    def norm(name):
        t[name + ".weight"], t[name + ".bias"] = draw(name, WIDTH, around=1.0), draw(name + "b", WIDTH)

    norm("token_embd_norm")
    for i in range(LAYERS):
        p = f"blk.{i}."
        for part in "qkv":
            t[p + f"attn_{part}.weight"], t[p + f"attn_{part}.bias"] = draw(p + part, WIDTH, WIDTH), draw(p + part + "b", WIDTH)
        for name, rows, cols in (("attn_output", WIDTH, WIDTH), ("ffn_up", FFN, WIDTH), ("ffn_down", WIDTH, FFN)):
            t[p + name + ".weight"], t[p + name + ".bias"] = draw(p + name, rows, cols), draw(p + name + "b", rows)
        norm(p + "attn_output_norm")
        norm(p + "layer_output_norm")
    return t


def weights(arch):
    """Tensors under GGUF's names, rows as transformers has them."""
    return encoder() if arch == "bert" else decoder(arch)


def neighbours(w, heads):
    """Rows of q or k in the order of llama's GGUF files: the two that turn together side by side."""
    return w.reshape(heads, 2, w.shape[0] // heads // 2, *w.shape[1:]).swapaxes(1, 2).reshape(w.shape)


def as_stored(gguf_arch, name, w):
    if gguf_arch == "llama" and name.endswith(("attn_q.weight", "attn_k.weight")):
        return neighbours(w, HEADS if "attn_q" in name else KV)
    return w


def write_gguf(arch, path, pooling="mean"):
    import gguf
    options, layers, dim = sizes(arch)
    kind = ARCHS[arch][0]
    g = gguf.GGUFWriter(path, kind)
    g.add_context_length(CONTEXT)
    g.add_embedding_length(WIDTH)
    g.add_block_count(layers)
    g.add_feed_forward_length(FFN)
    g.add_head_count(HEADS)
    g.add_vocab_size(VOCAB)
    if arch == "bert":
        g.add_layer_norm_eps(1e-12)
        g.add_pooling_type(gguf.PoolingType[pooling.upper()])
    else:
        g.add_head_count_kv(KV)
        g.add_key_length(dim)
        g.add_value_length(dim)
        g.add_layer_norm_rms_eps(1e-6)
        g.add_rope_freq_base(500000.0 if options.get("scaled") else 10000.0)
    if options.get("window"):
        g.add_sliding_window(options["window"])
    if options.get("experts"):
        g.add_expert_count(EXPERTS)
        g.add_expert_used_count(2)
        g.add_expert_feed_forward_length(FFN)
    if options.get("scaled"):
        g.add_tensor("rope_freqs.weight", llama3_factors(dim))
    if options.get("yarn"):
        g.add_rope_scaling_type(gguf.RopeScalingType.YARN)
        g.add_rope_scaling_factor(YARN["factor"])
        g.add_rope_scaling_orig_ctx_len(YARN["original_max_position_embeddings"])
        g.add_rope_scaling_yarn_beta_fast(YARN["beta_fast"])
        g.add_rope_scaling_yarn_beta_slow(YARN["beta_slow"])
    if options.get("longrope"):
        g.add_rope_scaling_orig_ctx_len(LONGROPE["original_max_position_embeddings"])
        for kind in ("long", "short"):
            g.add_tensor(f"rope_factors_{kind}.weight", np.array(LONGROPE[f"{kind}_factor"], np.float32))
    for name, w in weights(arch).items():
        g.add_tensor(name, np.ascontiguousarray(as_stored(kind, name, w)))
    g.write_header_to_file()
    g.write_kv_data_to_file()
    g.write_tensors_to_file()
    g.close()


def llama3_factors(dim):
    """As converters store them (Llama 3.1's rope_scaling)."""
    wave = 2 * np.pi * LLAMA3["rope_theta"] ** (np.arange(0, dim, 2) / dim)
    low, high, factor, original = (LLAMA3[k] for k in ("low_freq_factor", "high_freq_factor", "factor", "original_max_position_embeddings"))
    share = (original / wave - low) / (high - low)
    middle = 1 / ((1 - share) / factor + share)
    return np.where(wave < original / high, 1, np.where(wave > original / low, factor, middle)).astype(np.float32)


# --- transformers ---

NAMES = [("token_embd", "model.embed_tokens"), ("output_norm", "model.norm"), ("blk.", "model.layers."), ("attn_qkv", "self_attn.qkv_proj"),
         ("attn_output", "self_attn.o_proj"), ("attn_q_norm", "self_attn.q_norm"), ("attn_k_norm", "self_attn.k_norm"),
         ("post_attention_norm", "post_attention_layernorm"), ("post_ffw_norm", "post_feedforward_layernorm"),
         ("attn_norm", "input_layernorm"), ("attn_q", "self_attn.q_proj"), ("attn_k", "self_attn.k_proj"), ("attn_v", "self_attn.v_proj"),
         ("ffn_gate_inp_shexp", "mlp.shared_expert_gate"), ("ffn_gate_shexp", "mlp.shared_expert.gate_proj"),
         ("ffn_up_shexp", "mlp.shared_expert.up_proj"), ("ffn_down_shexp", "mlp.shared_expert.down_proj"), ("ffn_gate_inp", "mlp.gate"),
         ("ffn_gate", "mlp.gate_proj"), ("ffn_up", "mlp.up_proj"), ("ffn_down", "mlp.down_proj")]
BERT = [("token_embd_norm", "embeddings.LayerNorm"), ("token_embd", "embeddings.word_embeddings"), ("position_embd", "embeddings.position_embeddings"),
        ("token_types", "embeddings.token_type_embeddings"), ("blk.", "encoder.layer."), ("attn_output_norm", "attention.output.LayerNorm"),
        ("attn_output", "attention.output.dense"), ("layer_output_norm", "output.LayerNorm"), ("attn_q", "attention.self.query"),
        ("attn_k", "attention.self.key"), ("attn_v", "attention.self.value"), ("ffn_up", "intermediate.dense"), ("ffn_down", "output.dense")]


def hf_state(arch):
    state, options = {}, ARCHS[arch][1]
    for name, w in weights(arch).items():
        if name == "output.weight":
            state["lm_head.weight"] = w
            continue
        if options.get("fused") and "ffn_up" in name:
            name = name.replace("ffn_up", "mlp.gate_up_proj")
        if "ffn_norm" in name:
            name = name.replace("ffn_norm", "pre_feedforward_layernorm" if options.get("four_norms") else "post_attention_layernorm")
        if arch == "gemma3" and "norm" in name:
            w = w - 1  # the code adds 1, GGUF files have it in
        for theirs, ours in BERT if arch == "bert" else NAMES:
            if theirs in name:
                name = name.replace(theirs, ours)
                if theirs != "blk.":
                    break
        state[name] = w
    for i in range(sizes(arch)[1]):  # experts in one tensor
        p = f"model.layers.{i}.mlp."
        gate, up = (state.pop(p + f"{part}_proj_exps.weight", None) for part in ("gate", "up"))
        if gate is not None:
            state[p + "experts.gate_up_proj"] = np.concatenate([gate, up], 1)
            state[p + "experts.down_proj"] = state.pop(p + "down_proj_exps.weight")
    return state


def rope_of(options):
    """rope_parameters of config.json."""
    for key, rope in (("scaled", LLAMA3), ("yarn", YARN), ("longrope", LONGROPE)):
        if options.get(key):
            return rope
    return {"rope_type": "default", "rope_theta": 10000.0}


def hf_model(arch):
    import transformers as T
    options, layers, dim = sizes(arch)
    if arch == "bert":
        config = T.BertConfig(vocab_size=VOCAB, hidden_size=WIDTH, num_hidden_layers=LAYERS, num_attention_heads=HEADS, intermediate_size=FFN,
                              max_position_embeddings=CONTEXT, layer_norm_eps=1e-12)
        return T.BertModel(config, add_pooling_layer=False)
    rope = rope_of(options)
    common = dict(vocab_size=VOCAB, hidden_size=WIDTH, num_hidden_layers=layers, num_attention_heads=HEADS, num_key_value_heads=KV, head_dim=dim,
                  intermediate_size=FFN, max_position_embeddings=CONTEXT, rms_norm_eps=1e-6, tie_word_embeddings=bool(options.get("tied")),
                  attn_implementation="eager", pad_token_id=0, bos_token_id=1, eos_token_id=2)
    experts = dict(num_experts_per_tok=2, moe_intermediate_size=FFN, decoder_sparse_step=1, mlp_only_layers=[])
    if arch == "gemma3":
        config = T.Gemma3TextConfig(**common, sliding_window=options["window"], query_pre_attn_scalar=dim,
                                    layer_types=["full_attention" if i % 6 == 5 else "sliding_attention" for i in range(layers)],
                                    rope_parameters={"full_attention": {"rope_type": "default", "rope_theta": 10000.0},
                                                     "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0}})
        return T.Gemma3ForCausalLM(config)
    common["rope_parameters"] = rope
    make = {"llama": (T.LlamaConfig, T.LlamaForCausalLM, {}), "llama3": (T.LlamaConfig, T.LlamaForCausalLM, {}),
            "yarn": (T.LlamaConfig, T.LlamaForCausalLM, {}),
            "phi3long": (T.Phi3Config, T.Phi3ForCausalLM,
                         {"sliding_window": None, "original_max_position_embeddings": LONGROPE["original_max_position_embeddings"]}),
            "mistral": (T.MistralConfig, T.MistralForCausalLM, {"sliding_window": options.get("window")}),
            "mixtral": (T.MixtralConfig, T.MixtralForCausalLM, {"num_local_experts": EXPERTS, "num_experts_per_tok": 2, "sliding_window": None}),
            "qwen2window": (T.Qwen2Config, T.Qwen2ForCausalLM, {"use_sliding_window": True, "sliding_window": options.get("window"),
                                                                "max_window_layers": options.get("window_from")}),
            "qwen2": (T.Qwen2Config, T.Qwen2ForCausalLM, {}), "qwen3": (T.Qwen3Config, T.Qwen3ForCausalLM, {}),
            "qwen2moe": (T.Qwen2MoeConfig, T.Qwen2MoeForCausalLM,
                         {**experts, "num_experts": EXPERTS, "shared_expert_intermediate_size": FFN, "norm_topk_prob": False}),
            "qwen3moe": (T.Qwen3MoeConfig, T.Qwen3MoeForCausalLM, {**experts, "num_experts": EXPERTS, "norm_topk_prob": True}),
            "phi3": (T.Phi3Config, T.Phi3ForCausalLM, {"sliding_window": None})}
    config, model, more = make[arch]
    return model(config(**common, **more))


def reference(arch):
    import torch
    model = hf_model(arch).eval()
    state = {k: torch.from_numpy(np.ascontiguousarray(v)) for k, v in hf_state(arch).items()}
    missing, unexpected = model.load_state_dict(state, strict=False)
    missing = [m for m in missing if m != "lm_head.weight" or arch != "gemma3"]
    assert not unexpected and not missing, (arch, missing, unexpected)
    if arch == "gemma3":
        model.tie_weights()
    with torch.no_grad():
        out = model(torch.tensor([TOKENS]))
    return (out.last_hidden_state if arch == "bert" else out.logits)[0].float().numpy()


def pooled(rows, how="mean"):
    """An encoder's last hidden states as one vector of length 1."""
    y = {"mean": rows.mean(0), "cls": rows[0], "last": rows[-1]}[how]
    return y / np.linalg.norm(y)


if __name__ == "__main__":
    only = sys.argv[1:] or list(ARCHS)
    record = dict(np.load(RECORD)) if os.path.exists(RECORD) else {}
    for name in only:
        record[name] = reference(name)
        print(name, record[name].shape, float(np.abs(record[name]).max()))
    np.savez_compressed(RECORD, **record)
