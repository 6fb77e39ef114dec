#!/usr/bin/env python3
"""Writes the corpus of the fuzzer gguf, tests/fuzz/corpus/gguf: small files that each show something. No dependencies."""
import os
import struct

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus", "gguf")
U32, F32, BOOL, TEXT, ARRAY, I32 = 4, 6, 7, 8, 9, 5


def text(s):
    s = s if isinstance(s, bytes) else s.encode()
    return struct.pack("<Q", len(s)) + s


def value(kind, v):
    return text(v) if kind == TEXT else struct.pack({U32: "<I", F32: "<f", BOOL: "<B", I32: "<i"}[kind], v)


def pair(key, kind, v):
    if isinstance(v, list):
        return text(key) + struct.pack("<IIQ", ARRAY, kind, len(v)) + b"".join(value(kind, x) for x in v)
    return text(key) + struct.pack("<I", kind) + value(kind, v)


def tensor(name, dims, kind, offset):
    return text(name) + struct.pack("<I", len(dims)) + b"".join(struct.pack("<Q", d) for d in dims) + struct.pack("<IQ", kind, offset)


def gguf(pairs, tensors=(), data=b"", version=3, align=32):
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(pairs)) + b"".join(pairs) + b"".join(tensors)
    return head + b"\0" * (-len(head) % align) + data


ARCH = pair("general.architecture", TEXT, "llama")
SIZES = [pair(f"llama.{k}", U32, v) for k, v in (("block_count", 1), ("embedding_length", 32), ("attention.head_count", 2),
                                                 ("context_length", 64), ("feed_forward_length", 64))]
WORDS = [pair("tokenizer.ggml.model", TEXT, "gpt2"), pair("tokenizer.ggml.tokens", TEXT, ["a", "b", "ab", b"\xff"]),
         pair("tokenizer.ggml.token_type", I32, [1, 1, 1, 3]), pair("tokenizer.ggml.merges", TEXT, ["a b"]),
         pair("tokenizer.ggml.eos_token_id", U32, 3), pair("tokenizer.ggml.add_bos_token", BOOL, 0)]


def whole():
    """A llama of one layer that passes every check of an import: blocks of 4 and 8 bits, byte-level words, a template."""
    shapes = [("token_embd.weight", [32, 8], 8), ("output_norm.weight", [32], 0), ("output.weight", [32, 8], 2),
              ("blk.0.attn_norm.weight", [32], 0), ("blk.0.attn_q.weight", [32, 32], 2), ("blk.0.attn_k.weight", [32, 32], 3),
              ("blk.0.attn_v.weight", [32, 32], 6), ("blk.0.attn_output.weight", [32, 32], 7), ("blk.0.ffn_norm.weight", [32], 0),
              ("blk.0.ffn_gate.weight", [32, 64], 20), ("blk.0.ffn_up.weight", [32, 64], 1), ("blk.0.ffn_down.weight", [64, 32], 30)]
    bits = {0: 32 * 4, 1: 32 * 2, 2: 18, 3: 20, 6: 22, 7: 24, 8: 34, 20: 18, 30: 32 * 2}  # bytes of 32 elements
    tensors, at = [], 0
    for name, dims, kind in shapes:
        tensors.append(tensor(name, dims, kind, at))
        at += dims[0] // 32 * bits[kind] * (dims[1] if len(dims) > 1 else 1)
        at += -at % 32
    words = ["<unk>", "<s>", "</s>", "a", "b", "ab", "\u0120", "\u0120ab"]
    pairs = [ARCH, *SIZES, pair("llama.attention.layer_norm_rms_epsilon", F32, 1e-5), pair("llama.rope.freq_base", F32, 1e4),
             pair("tokenizer.ggml.model", TEXT, "gpt2"), pair("tokenizer.ggml.pre", TEXT, "llama-bpe"), pair("tokenizer.ggml.tokens", TEXT, words),
             pair("tokenizer.ggml.token_type", I32, [2, 3, 3, 1, 1, 1, 1, 1]), pair("tokenizer.ggml.merges", TEXT, ["a b", "\u0120 ab"]),
             pair("tokenizer.ggml.bos_token_id", U32, 1), pair("tokenizer.ggml.eos_token_id", U32, 2),
             pair("tokenizer.chat_template", TEXT, "{{ bos_token }}{% for m in messages %}{{ m.role }}: {{ m['content'] | trim }}{% endfor %}")]
    return gguf(pairs, tensors, bytes(i * 7 % 61 for i in range(at)))


Q8 = bytes(range(34))
CASES = {
    "whole": whole(),
    "empty_graph": gguf([ARCH]),
    "sizes": gguf([ARCH, *SIZES, pair("llama.attention.layer_norm_rms_epsilon", F32, 1e-5)]),
    "words": gguf([ARCH, *WORDS, pair("tokenizer.chat_template", TEXT, "{{ x }}")]),
    "tensors": gguf([ARCH], [tensor("a.weight", [32, 2], 8, 0), tensor("b.bias", [4], 0, 96)], Q8 + Q8 + b"\0" * 28 + bytes(16)),
    "per_layer": gguf([ARCH, pair("llama.attention.head_count_kv", U32, [2, 2, 2])]),
    "layers_differ": gguf([ARCH, pair("llama.attention.head_count_kv", U32, [2, 4])]),
    "unknown_arch": gguf([pair("general.architecture", TEXT, "plan9")]),
    "no_arch": gguf([pair("general.name", TEXT, "x")]),
    "twice": gguf([ARCH, ARCH]),
    "tensor_twice": gguf([ARCH], [tensor("a", [4], 0, 0), tensor("a", [4], 0, 32)], bytes(64)),
    "wrap": gguf([ARCH], [tensor("a", [1 << 63, 2], 0, 0)], bytes(64)),
    "product": gguf([ARCH], [tensor("a", [1 << 32, 1 << 32], 0, 0)], bytes(64)),
    "ragged_row": gguf([ARCH], [tensor("a", [33], 2, 0)], bytes(64)),
    "beyond": gguf([ARCH], [tensor("a", [64], 0, 32)], bytes(64)),
    "odd_offset": gguf([ARCH], [tensor("a", [1], 0, 4)], bytes(64)),
    "alignment": gguf([ARCH, pair("general.alignment", U32, 3)]),
    "alignment_huge": gguf([ARCH, pair("general.alignment", U32, 1 << 31)]),
    "scores_of_bytes": gguf([ARCH, text("tokenizer.ggml.scores") + struct.pack("<IIQ", ARRAY, 0, 4) + b"abcd"]),
    "array_of_arrays": gguf([ARCH, text("x") + struct.pack("<IIQ", ARRAY, ARRAY, 1 << 60)]),
    "array_endless": gguf([ARCH, text("x") + struct.pack("<IIQ", ARRAY, 8, 1 << 63)]),
    "big_endian": b"GGUF" + struct.pack(">IQQ", 3, 0, 0),
    "version_1": gguf([ARCH], version=1),
    "iq1": gguf([ARCH], [tensor("a", [256], 19, 0)], bytes(64)),
    "cut": gguf([ARCH, *WORDS])[:150],
}

os.makedirs(HERE, exist_ok=True)
for name, data in CASES.items():
    with open(os.path.join(HERE, name), "wb") as f:
        f.write(data)
