"""Folders as transformers saves them: the same logits as the same weights in GGUF, the same ids as the tokenizers library, and what is
refused."""
import json
import os
import subprocess
import unicodedata

import fetch
import gguf
import language_models as models
import mixed_text
import numpy as np
import pytest
import tokenizers
from safetensors.numpy import save_file
from test_chat_templates import ours as rendered
from test_language import DRIVER, LIMIT, RECORD, compute, wanted
from test_tokenizers import field, ours

LINES = int(os.environ.get("SLIPWAY_TOKENIZER_LINES", "1500"))
KINDS = {"llama3": "llama", "qwen2moe": "qwen2_moe", "qwen3moe": "qwen3_moe", "gemma3": "gemma3_text", "phi3long": "phi3", "yarn": "llama", "qwen2window": "qwen2"}
EXPERT = {"gate": ("gate_proj", "w1"), "up": ("up_proj", "w3"), "down": ("down_proj", "w2")}


def config_of(arch):
    """config.json as transformers writes it."""
    options, layers, dim = models.sizes(arch)
    c = {"model_type": KINDS.get(arch, arch), "vocab_size": models.VOCAB, "hidden_size": models.WIDTH, "num_hidden_layers": layers,
         "num_attention_heads": models.HEADS, "intermediate_size": models.FFN, "max_position_embeddings": models.CONTEXT}
    if arch == "bert":
        return {**c, "layer_norm_eps": 1e-12}
    c |= {"num_key_value_heads": models.KV, "head_dim": dim, "rms_norm_eps": 1e-6, "rope_theta": 10000.0,
          "tie_word_embeddings": bool(options.get("tied")), "sliding_window": options.get("window")}
    rope = models.rope_of(options)
    if rope["rope_type"] != "default":
        c |= {"rope_scaling": {k: v for k, v in rope.items() if k != "rope_theta"}, "rope_theta": rope["rope_theta"]}
    if arch == "mixtral":
        c |= {"num_local_experts": models.EXPERTS, "num_experts_per_tok": 2}
    elif options.get("experts"):
        c |= {"num_experts": models.EXPERTS, "num_experts_per_tok": 2, "moe_intermediate_size": models.FFN, "decoder_sparse_step": 1,
              "norm_topk_prob": arch == "qwen3moe"}
    if "window_from" in options:
        c |= {"use_sliding_window": True, "max_window_layers": options["window_from"]}
    if arch == "gemma3":
        c |= {"query_pre_attn_scalar": dim, "rope_local_base_freq": 10000.0}
    return c


def state_of(arch):
    """Tensors by transformers' names, experts one by one as checkpoints have them."""
    state = {}
    for name, w in models.hf_state(arch).items():
        at, _, what = name.partition("mlp.experts.")
        if not what:
            state[name.replace("mlp.gate.", "block_sparse_moe.gate.") if arch == "mixtral" else name] = w
            continue
        parts = {"gate": w[:, :models.FFN], "up": w[:, models.FFN:]} if what == "gate_up_proj" else {"down": w}
        for part, stack in parts.items():
            for i, one in enumerate(stack):
                block = f"block_sparse_moe.experts.{i}.{EXPERT[part][1]}" if arch == "mixtral" else f"mlp.experts.{i}.{EXPERT[part][0]}"
                state[f"{at}{block}.weight"] = one
    return {k: np.ascontiguousarray(v) for k, v in state.items()}


def write_folder(arch, folder, shards=1):
    os.makedirs(folder, exist_ok=True)
    with open(f"{folder}/config.json", "w") as f:
        json.dump(config_of(arch), f)
    state = state_of(arch)
    if shards == 1:
        save_file(state, f"{folder}/model.safetensors", metadata={"format": "pt"})
        return folder
    names, index = sorted(state), {}
    for s in range(shards):
        file = f"model-{s + 1:05d}-of-{shards:05d}.safetensors"
        save_file({n: state[n] for n in names[s::shards]}, f"{folder}/{file}")
        index |= {n: file for n in names[s::shards]}
    with open(f"{folder}/model.safetensors.index.json", "w") as f:
        json.dump({"metadata": {}, "weight_map": index}, f)
    return folder


@pytest.mark.parametrize("arch", models.ARCHS)
def test_folder_equals_transformers(tmp_path, arch):
    got = compute(write_folder(arch, f"{tmp_path}/{arch}", 3 if arch == "llama" else 1), tmp_path / "out")
    assert np.abs(got - wanted(arch)).max() < LIMIT


@pytest.mark.parametrize("arch", ["mixtral", "qwen2moe", "qwen3moe"])
def test_experts_in_one_tensor(tmp_path, arch):
    """As newer versions of transformers hold them, and save them."""
    folder = write_folder(arch, f"{tmp_path}/{arch}")
    state = {k: np.ascontiguousarray(v) for k, v in models.hf_state(arch).items()}
    assert "model.layers.0.mlp.experts.gate_up_proj" in state
    save_file(state, f"{folder}/model.safetensors", metadata={"format": "pt"})
    assert np.abs(compute(folder, tmp_path / "out") - wanted(arch)).max() < LIMIT
    state["model.layers.0.mlp.experts.gate_up_proj"] = np.ascontiguousarray(state["model.layers.0.mlp.experts.gate_up_proj"][:, 1:])
    save_file(state, f"{folder}/model.safetensors")
    assert "blk.0.ffn_gate_up_exps.weight" in refused(folder)


def test_windows_of_qwen(tmp_path):
    """From a layer on, or as layer_types lists them; none unless use_sliding_window says so."""
    folder, full, seen = write_folder("qwen2window", f"{tmp_path}/m"), "full_attention", "sliding_attention"
    for change, of in (({"layer_types": [full, seen, seen]}, "qwen2window"), ({"layer_types": [full] * 3}, "qwen2"),
                       ({"layer_types": None, "max_window_layers": 28}, "qwen2"),
                       ({"max_window_layers": 1, "use_sliding_window": False}, "qwen2")):
        assert np.abs(compute(changed(folder, **change), tmp_path / "out") - RECORD[of].reshape(-1)).max() < LIMIT, change


def changed(folder, **changes):
    """The folder, with another config.json."""
    with open(f"{folder}/config.json") as f:
        config = json.load(f)
    with open(f"{folder}/config.json", "w") as f:
        json.dump(config | changes, f)
    return folder


def test_layer_types(tmp_path):
    """Which layers see a window, as newer configurations list it."""
    folder, types = write_folder("gemma3", f"{tmp_path}/gemma3"), ["sliding_attention"] * 5 + ["full_attention", "sliding_attention"]
    changed(folder, layer_types=types, sliding_window_pattern=2)
    assert np.abs(compute(folder, tmp_path / "out") - RECORD["gemma3"].reshape(-1)).max() < LIMIT
    changed(folder, layer_types=["full_attention"] * 7)
    assert np.abs(compute(folder, tmp_path / "out") - RECORD["gemma3"].reshape(-1)).max() > LIMIT
    assert "other layers than every n-th or the first" in refused(changed(folder, layer_types=types[::-1]))
    assert "layer_types: 'linear_attention'" in refused(changed(folder, layer_types=["linear_attention"] * 7))


def test_yarn(tmp_path):
    folder, rope = write_folder("yarn", f"{tmp_path}/yarn"), models.YARN
    usual = {"attention_factor": 1 + 0.1 * float(np.log(rope["factor"]))}
    for more, same in ((usual, True), ({"mscale": 1.0, "mscale_all_dim": 1.0}, False), ({"attention_factor": 1.5}, False),
                       ({"beta_fast": 32.0}, False), ({"beta_slow": 1.0}, False)):
        got = compute(changed(folder, rope_scaling=rope | more), tmp_path / "out")
        assert (np.abs(got - RECORD["yarn"].reshape(-1)).max() < LIMIT) == same, more


def test_snapshot_of_the_cache(tmp_path):
    """As huggingface_hub keeps it: snapshots/REVISION/NAME is a link to ../../blobs/HASH. Links elsewhere are refused."""
    write_folder("llama", f"{tmp_path}/blobs")
    snapshot = tmp_path / "snapshots" / "0123abcd"
    snapshot.mkdir(parents=True)
    for name in ("config.json", "model.safetensors"):
        (snapshot / name).symlink_to(f"../../blobs/{name}")
    got = compute(str(snapshot), tmp_path / "out")
    assert np.abs(got - RECORD["llama"].reshape(-1)).max() < LIMIT
    os.rename(tmp_path / "blobs" / "model.safetensors", tmp_path / "outside.safetensors")
    for target in (tmp_path / "outside.safetensors", "../../outside.safetensors", "../../blobs/../outside.safetensors"):
        (snapshot / "model.safetensors").unlink()
        (snapshot / "model.safetensors").symlink_to(target)
        assert "outside the model's folder" in refused(snapshot)


def test_split_gguf(tmp_path):
    """Parts as gguf-split writes them."""
    models.write_gguf("llama", f"{tmp_path}/whole.gguf")
    whole = gguf.GGUFReader(f"{tmp_path}/whole.gguf")
    for part in range(2):
        g = gguf.GGUFWriter(f"{tmp_path}/parts-{part + 1:05d}-of-00002.gguf", "llama")
        if part == 0:
            for key, f in whole.fields.items():
                if not key.startswith("GGUF.") and key != "general.architecture":
                    g.add_key_value(key, f.contents(), f.types[0])
        g.add_uint16("split.no", part)
        g.add_uint16("split.count", 2)
        for t in whole.tensors[part::2]:
            g.add_tensor(t.name, t.data)
        g.write_header_to_file()
        g.write_kv_data_to_file()
        g.write_tensors_to_file()
        g.close()
    first = f"{tmp_path}/parts-00001-of-00002.gguf"
    got = compute(first, tmp_path / "out")
    assert np.abs(got - RECORD["llama"].reshape(-1)).max() < LIMIT
    assert "not the first part" in refused(f"{tmp_path}/parts-00002-of-00002.gguf")
    os.remove(f"{tmp_path}/parts-00002-of-00002.gguf")
    assert "2 parts, 1 are in the folder" in refused(first)


def refused(path):
    done = subprocess.run([DRIVER, str(path)], input="", capture_output=True, text=True, timeout=60)
    line = done.stdout.split("\n")[0]
    assert line.startswith("error "), done.stdout + done.stderr
    return line


@pytest.mark.parametrize("change, says", [
    ({"model_type": "mamba"}, "model_type 'mamba'"),
    ({"quantization_config": {"bits": 4}}, "quantised by another library"),
    ({"rope_scaling": {"rope_type": "dynamic", "factor": 2}}, "rope scaling 'dynamic'"),
    ({"hidden_size": "big"}, "'hidden_size' is \"big\""),
    ({"hidden_size": -64}, "width"),
    ({"num_hidden_layers": 4}, "blk.3"),
])
def test_configurations_that_are_refused(tmp_path, change, says):
    folder = write_folder("llama", f"{tmp_path}/m")
    with open(f"{folder}/config.json", "w") as f:
        json.dump(config_of("llama") | change, f)
    assert says in refused(folder)


def pooled(tmp_path, pooling, modules=("Transformer", "Pooling", "Normalize")):
    folder = write_folder("bert", f"{tmp_path}/bert")
    os.makedirs(f"{folder}/1_Pooling", exist_ok=True)
    with open(f"{folder}/1_Pooling/config.json", "w") as f:
        json.dump(pooling, f)
    with open(f"{folder}/modules.json", "w") as f:
        json.dump([{"idx": i, "path": "", "type": f"sentence_transformers.models.{m}"} for i, m in enumerate(modules)], f)
    return folder


def test_pooling_of_sentence_transformers(tmp_path):
    """By flags or by a word, each with its own numbers; what is not mean, cls or last token, or comes behind it, is refused by name."""
    for pooling, how in (({"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}, "mean"), ({"pooling_mode": "mean"}, "mean"),
                         ({"pooling_mode": "cls"}, "cls"), ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, "cls"),
                         ({"pooling_mode_lasttoken": True}, "last"), ({"pooling_mode": "lasttoken"}, "last")):
        got = compute(pooled(tmp_path, pooling), tmp_path / "out")
        assert np.abs(got - models.pooled(RECORD["bert"], how)).max() < LIMIT, pooling
    for pooling in ({"pooling_mode_max_tokens": True}, {"pooling_mode": "weightedmean"}, {"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True}, {}):
        assert "1_Pooling/config.json" in refused(pooled(tmp_path, pooling))
    assert "models.Dense'" in refused(pooled(tmp_path, {"pooling_mode": "mean"}, ("Transformer", "Pooling", "Dense")))


@pytest.mark.parametrize("kind, prefix", [("xlm-roberta", ""), ("roberta", "roberta.")])
def test_roberta_counts_positions_from_its_padding_on(tmp_path, kind, prefix):
    """The same weights with two rows before the positions' table give the same embedding."""
    want = compute(write_folder("bert", f"{tmp_path}/bert"), tmp_path / "out")
    folder = write_folder("bert", f"{tmp_path}/bert-shifted")
    state = {prefix + k: np.concatenate([np.full((2, v.shape[1]), 7, v.dtype), v]) if "position_embeddings" in k else v for k, v in state_of("bert").items()}
    save_file({k: np.ascontiguousarray(v) for k, v in state.items()}, f"{folder}/model.safetensors")
    config = config_of("bert") | {"model_type": kind, "max_position_embeddings": models.CONTEXT + 2, "pad_token_id": 1}
    with open(f"{folder}/config.json", "w") as f:
        json.dump(config, f)
    assert np.array_equal(compute(folder, tmp_path / "out"), want)
    for change, says in (({"pad_token_id": 999}, "pad_token_id 999"), ({"hidden_act": "relu"}, "hidden_act 'relu'"),
                         ({"position_embedding_type": "relative_key"}, "relative_key positions")):
        with open(f"{folder}/config.json", "w") as f:
            json.dump(config | change, f)
        assert says in refused(folder)


def test_missing_weights_are_named(tmp_path):
    folder = write_folder("llama", f"{tmp_path}/m", 3)
    os.remove(f"{folder}/model-00002-of-00003.safetensors")
    assert "'model-00002-of-00003.safetensors', which is not in the folder" in refused(folder)
    assert "weights alone" in refused(f"{folder}/model-00001-of-00003.safetensors")


# --- tokenizer.json ---

CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
TAIL = r"\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA3 = CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|" + TAIL
QWEN2 = LLAMA3.replace("{1,3}", "")
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
LEAD = r"[^\r\n\p{L}\p{N}]?"
GPT4O = (f"{LEAD}{UPPER}*{LOWER}+{CONTRACTIONS}?|{LEAD}{UPPER}+{LOWER}*{CONTRACTIONS}?|" + r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|" + TAIL)
pre, dec, norm, post = tokenizers.pre_tokenizers, tokenizers.decoders, tokenizers.normalizers, tokenizers.processors


def byte_level(split):
    reader = gguf.GGUFReader(fetch.all_models()["smollm2"])
    words, merges = field(reader, "tokenizer.ggml.tokens"), field(reader, "tokenizer.ggml.merges")
    t = tokenizers.Tokenizer(tokenizers.models.BPE({w: i for i, w in enumerate(words)}, [tuple(m.split(" ")) for m in merges]))
    last = pre.ByteLevel(add_prefix_space=False, use_regex=split in ("smollm", "gpt2"))
    first = {"smollm": [pre.Digits(individual_digits=True)], "gpt2": []}.get(split)
    if first is None:
        first = [pre.Split(tokenizers.Regex({"llama3": LLAMA3, "qwen2": QWEN2, "gpt4o": GPT4O}[split]), "isolated")]
    t.pre_tokenizer, t.decoder = pre.Sequence(first + [last]), dec.ByteLevel()
    t.add_special_tokens(["<|im_start|>", "<|im_end|>"])
    if split == "llama3":
        t.post_processor = post.TemplateProcessing(single="<|im_start|> $A", special_tokens=[("<|im_start|>", 1)])
    return t


def sentence_bpe(prefix):
    t = tokenizers.Tokenizer(tokenizers.models.BPE(unk_token="<unk>"))
    t.normalizer = norm.Replace(" ", "\u2581")
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=3000, special_tokens=["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)],
                                             show_progress=False)
    t.train_from_iterator([" " + line for line in mixed_text.lines(1500)], trainer)
    made = json.loads(t.to_str())
    made["added_tokens"] = [a for a in made["added_tokens"] if not a["content"].startswith("<0x")]
    made["model"] |= {"byte_fallback": True, "fuse_unk": True}
    made["normalizer"] = {"type": "Sequence", "normalizers": ([{"type": "Prepend", "prepend": "\u2581"}] if prefix else []) +
                          [{"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}]}
    t = tokenizers.Tokenizer.from_str(json.dumps(made))
    strip = [dec.Strip(" ", 1, 0)] if prefix else []
    t.decoder = dec.Sequence([dec.Replace("\u2581", " "), dec.ByteFallback(), dec.Fuse()] + strip)
    t.post_processor = post.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return t


def unigram():
    t = tokenizers.Tokenizer(tokenizers.models.Unigram())
    t.pre_tokenizer, t.decoder = pre.Metaspace(), dec.Metaspace()
    trainer = tokenizers.trainers.UnigramTrainer(vocab_size=2000, special_tokens=["<unk>", "<s>", "</s>"], unk_token="<unk>", show_progress=False)
    t.train_from_iterator(mixed_text.lines(1500), trainer)
    return t


def folder_of(tokenizer, path, arch="llama"):
    write_folder(arch, path)
    tokenizer.save(f"{path}/tokenizer.json")
    return str(path)


def compare(folder, peer, texts, decodes=True):
    got = ours(folder, [t.encode() for t in texts], 1)
    wrong = [(t, ids, theirs.ids) for t, (ids, _), theirs in zip(texts, got, peer.encode_batch(texts)) if ids != theirs.ids]
    assert wrong[:3] == [] and len(wrong) == 0
    for text, (ids, back) in zip(texts, got):
        if decodes:
            assert back.decode() == peer.decode(ids), text


@pytest.mark.parametrize("split", ["smollm", "gpt2", "llama3", "qwen2", "gpt4o"])
def test_byte_level(tmp_path, split):
    peer = byte_level(split)
    compare(folder_of(peer, tmp_path / "m"), peer, mixed_text.lines(LINES))


@pytest.mark.parametrize("prefix", [False, True])
def test_sentencepiece_bpe(tmp_path, prefix):
    peer = sentence_bpe(prefix)
    compare(folder_of(peer, tmp_path / "m"), peer, mixed_text.lines(LINES))


def test_wordpiece():
    folder = fetch.all_models()["minilm"]
    peer = tokenizers.Tokenizer.from_file(f"{folder}/tokenizer.json")
    peer.no_padding()
    peer.no_truncation()
    texts = ["".join(c for c in line if not newer(c)) for line in mixed_text.lines(LINES)]
    compare(folder, peer, texts, decodes=False)  # the library's decoder mends spaces before punctuation


@pytest.mark.parametrize("how", ["list", "files"])
def test_a_template_of_its_own_for_tools(tmp_path, how):
    """As tokenizer_config.json's list of named templates, or as files; it is used where a request brings tools."""
    path = folder_of(byte_level("gpt2"), tmp_path / "m")
    plain, tools = "plain {{ messages[0].content }}", "{{ tools | length }} tools {{ messages[0].content }}"
    if how == "list":
        with open(f"{path}/tokenizer_config.json", "w") as f:
            json.dump({"chat_template": [{"name": "default", "template": plain}, {"name": "tool_use", "template": tools}]}, f)
    else:
        os.makedirs(f"{path}/additional_chat_templates")
        for name, text in (("chat_template", plain), ("additional_chat_templates/tool_use", tools)):
            with open(f"{path}/{name}.jinja", "w") as f:
                f.write(text)
    ask = [{"role": "user", "content": "hi"}]
    answers = rendered(path, [("", ask, None, None), ("", ask, [{"type": "function"}], None)])
    assert [a[1] for a in answers] == ["plain hi", "1 tools hi"]


def newer(c):
    """Characters that came, or changed their kind, after the library's tables of Unicode were made."""
    return unicodedata.category(c) != unicodedata.ucd_3_2_0.category(c)


def test_unknown_parts_are_named(tmp_path):
    peer = byte_level("gpt2")
    peer.normalizer = norm.Lowercase()
    assert "normalizer 'Lowercase'" in refused(folder_of(peer, tmp_path / "a"))
    peer.normalizer = None
    peer.pre_tokenizer = pre.Sequence([pre.Split(tokenizers.Regex("a+b"), "isolated"), pre.ByteLevel(add_prefix_space=False, use_regex=False)])
    assert "unknown pattern 'a+b'" in refused(folder_of(peer, tmp_path / "b"))
    peer.pre_tokenizer = pre.Punctuation()
    assert "tokenizer.json: pre_tokenizer 'Punctuation'" in refused(folder_of(peer, tmp_path / "c"))
