# SPDX-License-Identifier: Apache-2.0
"""What a model says in f32: the equations of Llama and Gemma 3 in numpy, over the weights that a GGUF file's blocks stand for. No activation
is rounded to 8 bits here, so it judges between engines that do that each in its own way."""
import gguf
import numpy as np


def gelu(x):
    return 0.5 * x * (1 + np.tanh(0.7978845608028654 * (x + 0.044715 * x**3)))


def silu(x):
    return x / (1 + np.exp(-x))


def turn(x, base, pairs):
    """x (positions, heads, dims): neighbours turn together, or the halves of a head."""
    n, _, d = x.shape
    angle = np.arange(n)[:, None] * base ** (-np.arange(0, d, 2) / d)
    c, s = np.cos(angle)[:, None].astype(np.float32), np.sin(angle)[:, None].astype(np.float32)
    a, b = (x[..., 0::2], x[..., 1::2]) if pairs else (x[..., : d // 2], x[..., d // 2 :])
    turned = a * c - b * s, a * s + b * c
    return np.stack(turned, -1).reshape(x.shape) if pairs else np.concatenate(turned, -1)


class Judge:
    def __init__(self, path):
        reader = gguf.GGUFReader(path)
        self.arch = reader.fields["general.architecture"].contents()
        assert self.arch in ("llama", "gemma3"), self.arch
        self.facts = reader.fields
        self.weights = {t.name.removesuffix(".weight"): gguf.quants.dequantize(t.data, t.tensor_type).astype(np.float32).reshape(t.shape[::-1])
                        for t in reader.tensors}
        self.gemma = self.arch == "gemma3"
        self.layers, self.heads, self.epsilon = self.fact("block_count"), self.fact("attention.head_count"), self.fact("attention.layer_norm_rms_epsilon")
        self.kv_heads = self.fact("attention.head_count_kv")
        self.head = self.weights.get("output", self.weights["token_embd"])

    def fact(self, name):
        return self.facts[f"{self.arch}.{name}"].contents()

    def norm(self, x, name):
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + self.epsilon) * self.weights[name]

    def attend(self, x, layer):
        p, n = f"blk.{layer}.", len(x)
        q, k, v = ((x @ self.weights[p + "attn_" + part].T).reshape(n, heads, -1)
                   for part, heads in (("q", self.heads), ("k", self.kv_heads), ("v", self.kv_heads)))
        if self.gemma:
            q, k = self.norm(q, p + "attn_q_norm"), self.norm(k, p + "attn_k_norm")
        local = self.gemma and (layer + 1) % 6
        base = 10000.0 if local else self.fact("rope.freq_base")
        q, k = turn(q, base, not self.gemma) / np.float32(np.sqrt(q.shape[-1])), turn(k, base, not self.gemma)
        k, v = (np.repeat(t, self.heads // self.kv_heads, 1) for t in (k, v))
        score = np.einsum("ihd,jhd->hij", q, k, optimize=True)
        seen = np.tril(np.ones((n, n), bool))
        if local:
            seen &= ~np.tril(seen, -self.fact("attention.sliding_window"))
        score = np.where(seen, score, -np.inf)
        share = np.exp(score - score.max(-1, keepdims=True))
        share /= share.sum(-1, keepdims=True)
        return np.einsum("hij,jhd->ihd", share, v, optimize=True).reshape(n, -1) @ self.weights[p + "attn_output"].T

    def feed(self, x, layer):
        p = f"blk.{layer}.ffn_"
        gate = (gelu if self.gemma else silu)(x @ self.weights[p + "gate"].T)
        return (gate * (x @ self.weights[p + "up"].T)) @ self.weights[p + "down"].T

    def logits(self, ids, first=0):
        """Rows of logits from position `first` on."""
        x = self.weights["token_embd"][list(ids)]
        if self.gemma:
            x = x * np.float32(np.sqrt(x.shape[1]))
        for layer in range(self.layers):
            p = f"blk.{layer}."
            y = self.attend(self.norm(x, p + "attn_norm"), layer)
            x = x + (self.norm(y, p + "post_attention_norm") if self.gemma else y)
            y = self.feed(self.norm(x, p + "ffn_norm"), layer)
            x = x + (self.norm(y, p + "post_ffw_norm") if self.gemma else y)
        return self.norm(x[first:], "output_norm") @ self.head.T


def distance(a, b):
    """rms over rows of logits, each without its mean, which no softmax sees."""
    d = a - b
    return float(np.sqrt(np.mean((d - d.mean(-1, keepdims=True)) ** 2)))
