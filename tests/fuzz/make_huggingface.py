"""Writes tests/fuzz/corpus/huggingface: small folders as one file each (huggingface.c says how)."""
import json
import os
import struct

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus", "huggingface")
BYTE = {"pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True},
                                                                 {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True}]},
        "normalizer": {"type": "NFC"},
        "post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A"}}],
                           "special_tokens": {"<s>": {"id": "<s>", "ids": [5]}}},
        "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2, "\u0120": 3}, "merges": ["a b", ["ab", "a"]], "ignore_merges": False},
        "added_tokens": [{"id": 5, "content": "<s>", "special": True}, {"id": 7, "content": "<u>", "special": False}],
        "bos_token": {"content": "<s>"}, "eos_token": "<u>",
        "chat_template": [{"name": "default", "template": "{{ messages }}"}, {"name": "tool_use", "template": "t"}]}
SPM = {"pre_tokenizer": {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "first"},
       "normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "\u2581"},
                                                          {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}]},
       "model": {"type": "Unigram", "unk_id": 0, "byte_fallback": True, "vocab": [["<unk>", 0], ["<0x0A>", -1.5], ["\u2581a", -2]]},
       "added_tokens": []}
BERT = {"pre_tokenizer": {"type": "BertPreTokenizer"}, "normalizer": {"type": "BertNormalizer", "lowercase": True, "strip_accents": None},
        "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 2], "cls": ["[CLS]", 1]},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "vocab": {"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "a": 3, "##b": 4}}}
SIZES = {"hidden_size": 4, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 4, "max_position_embeddings": 8, "vocab_size": 8}


def weights(**tensors):
    header, at = {"__metadata__": {"format": "pt"}}, 0
    for name, shape in tensors.items():
        n = 4
        for d in shape:
            n *= d
        header[name.replace("__", ".")] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + n]}
        at += n
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(at)


def write(name, config, tokenizer, data):
    os.makedirs(OUT, exist_ok=True)
    with open(os.path.join(OUT, name), "wb") as f:
        f.write(json.dumps(config).encode() + b"\0" + json.dumps(tokenizer).encode() + b"\0" + data)


write("llama", {"model_type": "llama", **SIZES, "rope_scaling": {"type": "longrope", "short_factor": [1, 2], "long_factor": [1.5, 4]},
                "eos_token_id": [5, 7]}, BYTE,
      weights(model__embed_tokens__weight=[8, 4], model__layers__0__self_attn__q_proj__weight=[4, 4], lm_head__weight=[8, 4]))
write("gemma3", {"model_type": "gemma3", "text_config": {**SIZES, "sliding_window": 4, "rope_parameters": {
    "full_attention": {"rope_type": "linear", "factor": 8, "rope_theta": 1e6}, "sliding_attention": {"rope_theta": 1e4}}}}, SPM,
      weights(language_model__model__embed_tokens__weight=[8, 4]))
write("mixtral", {"model_type": "mixtral", **SIZES, "num_local_experts": 2, "num_experts_per_tok": 1}, {},
      weights(model__layers__0__block_sparse_moe__experts__1__w1__weight=[4, 4]))
write("bert", {"model_type": "bert", **SIZES}, BERT, weights(embeddings__word_embeddings__weight=[8, 4], encoder__layer__0__output__dense__bias=[4]))
write("whole", {"model_type": "llama", **SIZES, "rms_norm_eps": 1e-6, "rope_theta": 1e4, "tie_word_embeddings": False, "eos_token_id": 7}, BYTE,
      weights(model__embed_tokens__weight=[8, 4], model__norm__weight=[4], lm_head__weight=[8, 4],
              model__layers__0__input_layernorm__weight=[4], model__layers__0__self_attn__q_proj__weight=[4, 4],
              model__layers__0__self_attn__k_proj__weight=[4, 4], model__layers__0__self_attn__v_proj__weight=[4, 4],
              model__layers__0__self_attn__o_proj__weight=[4, 4], model__layers__0__post_attention_layernorm__weight=[4],
              model__layers__0__mlp__gate_proj__weight=[4, 4], model__layers__0__mlp__up_proj__weight=[4, 4],
              model__layers__0__mlp__down_proj__weight=[4, 4]))
write("roberta", {"model_type": "xlm-roberta", **SIZES, "pad_token_id": 1}, {**SPM, "normalizer": {"type": "Sequence", "normalizers": [
    {"type": "Precompiled", "precompiled_charsmap": "BAAAAAAAAAA="}, {"type": "Strip", "strip_left": False, "strip_right": True},
    {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "\u2581"}]}, "decoder": {"type": "Metaspace", "prepend_scheme": "always"},
    "added_tokens": [{"id": 3, "content": "<mask>", "special": True, "lstrip": True}, {"id": 4, "content": "x", "single_word": True, "normalized": True}]},
      weights(roberta__embeddings__position_embeddings__weight=[8, 4], roberta__embeddings__word_embeddings__weight=[8, 4]))
