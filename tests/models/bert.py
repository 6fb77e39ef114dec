"""A BERT as torch.onnx writes it, from a folder of safetensors: the shape arithmetic of views, masks and layer normalisations node by
node. Two dialects:

    14  transformers before 4.36: LayerNormalization and Gelu in arithmetic, scores / sqrt(d) + (1 - mask) * lowest
    17  scaled_dot_product_attention: q and k^T each times d^(-1/4), a boolean mask expanded and turned into -inf, rows without a
        key cleared by IsNaN

Batch and sequence are free. Usage: python tests/models/bert.py FOLDER FILE.onnx [14|17] [layers]"""
import json
import math
import os
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

LOWEST = float(np.finfo(np.float32).min)


class Writer:
    def __init__(self, folder, opset):
        from safetensors.numpy import load_file

        self.config = json.load(open(os.path.join(folder, "config.json"), encoding="utf-8"))
        self.tensors = load_file(os.path.join(folder, "model.safetensors"))
        self.opset = opset
        self.nodes, self.weights = [], []

    def node(self, kind, *inputs, **attributes):
        out = f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [out], name=out, **attributes))
        return out

    def constant(self, value, dtype=np.float32):
        return self.node("Constant", value=numpy_helper.from_array(np.asarray(value, dtype)))

    def integers(self, *values):
        return self.constant(values, np.int64)

    def weight(self, name, turned=False):
        array = self.tensors[name].astype(np.float32)
        name = f"onnx::MatMul_{len(self.weights)}" if turned else name
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(array.T if turned else array), name))
        return name

    def dim(self, x, axis):
        """One dim of x, as a vector of one."""
        return self.node("Unsqueeze", self.node("Gather", self.node("Shape", x), self.constant(axis, np.int64), axis=0), self.integers(0))

    def linear(self, x, name):
        return self.node("Add", self.weight(name + ".bias"), self.node("MatMul", x, self.weight(name + ".weight", turned=True)))

    def norm(self, x, name):
        gamma, beta, epsilon = self.weight(name + ".weight"), self.weight(name + ".bias"), self.config["layer_norm_eps"]
        if self.opset >= 17:
            return self.node("LayerNormalization", x, gamma, beta, axis=-1, epsilon=epsilon)
        d = self.node("Sub", x, self.node("ReduceMean", x, axes=[-1]))
        variance = self.node("ReduceMean", self.node("Pow", d, self.constant(2)), axes=[-1])
        root = self.node("Sqrt", self.node("Add", variance, self.constant(epsilon)))
        return self.node("Add", self.node("Mul", self.node("Div", d, root), gamma), beta)

    def gelu(self, x):
        erf = self.node("Erf", self.node("Div", x, self.constant(math.sqrt(2))))
        return self.node("Mul", self.node("Mul", x, self.node("Add", erf, self.constant(1))), self.constant(0.5))

    def embeddings(self, ids, types):
        n = self.dim(ids, 1)
        places = np.arange(self.config["max_position_embeddings"])[None]
        at = self.node("Slice", self.constant(places, np.int64), self.integers(0), n, self.integers(1), self.integers(1))
        tables = ["embeddings.word_embeddings.weight", "embeddings.token_type_embeddings.weight", "embeddings.position_embeddings.weight"]
        word, kind, place = (self.node("Gather", self.weight(t), i) for t, i in zip(tables, (ids, types, at)))
        return self.norm(self.node("Add", self.node("Add", word, kind), place), "embeddings.LayerNorm")

    def mask_of(self, ids, mask):
        """14: what is added to scores (B, 1, 1, T). 17: may be seen, (B, 1, T, T)."""
        wide = self.node("Unsqueeze", self.node("Unsqueeze", mask, self.integers(1)), self.integers(2))
        if self.opset < 17:
            left = self.node("Sub", self.constant(1), self.node("Cast", wide, to=TensorProto.FLOAT))
            return self.node("Mul", left, self.constant(LOWEST))
        b, t = self.dim(ids, 0), self.dim(ids, 1)
        return self.node("Expand", self.node("Cast", wide, to=TensorProto.BOOL), self.node("Concat", b, self.integers(1), t, t, axis=0))

    def heads(self, x, perm):
        """(B, S, H * D) to (B, H, S, D), or k's (B, H, D, S)."""
        h = self.config["num_attention_heads"]
        shape = self.node("Concat", self.dim(x, 0), self.dim(x, 1), self.integers(h), self.integers(self.config["hidden_size"] // h), axis=0)
        return self.node("Transpose", self.node("Reshape", x, shape), perm=perm)

    def probabilities(self, q, k, mask):
        d = self.config["hidden_size"] // self.config["num_attention_heads"]
        if self.opset < 17:
            scores = self.node("Div", self.node("MatMul", q, k), self.constant(math.sqrt(d)))
            return self.node("Softmax", self.node("Add", scores, mask), axis=-1)
        part = d**-0.25
        scores = self.node("MatMul", self.node("Mul", q, self.constant(part)), self.node("Mul", k, self.constant(part)))
        bias = self.node("Where", mask, self.constant([0]), self.constant([-math.inf]))
        p = self.node("Softmax", self.node("Add", scores, bias), axis=-1)
        return self.node("Where", self.node("IsNaN", p), self.constant([0]), p)

    def layer(self, x, mask, name):
        q, k, v = (self.linear(x, f"{name}.attention.self.{part}") for part in ("query", "key", "value"))
        q, k, v = self.heads(q, [0, 2, 1, 3]), self.heads(k, [0, 2, 3, 1]), self.heads(v, [0, 2, 1, 3])
        y = self.node("Transpose", self.node("MatMul", self.probabilities(q, k, mask), v), perm=[0, 2, 1, 3])
        shape = self.node("Concat", self.dim(y, 0), self.dim(y, 1), self.integers(self.config["hidden_size"]), axis=0)
        y = self.linear(self.node("Reshape", y, shape), name + ".attention.output.dense")
        x = self.norm(self.node("Add", y, x), name + ".attention.output.LayerNorm")
        y = self.linear(self.gelu(self.linear(x, name + ".intermediate.dense")), name + ".output.dense")
        return self.norm(self.node("Add", y, x), name + ".output.LayerNorm")


def write(folder, path, opset=17, layers=None):
    w = Writer(folder, opset)
    mask = w.mask_of("input_ids", "attention_mask")
    x = w.embeddings("input_ids", "token_type_ids")
    for i in range(layers or w.config["num_hidden_layers"]):
        x = w.layer(x, mask, f"encoder.layer.{i}")
    w.nodes.append(helper.make_node("Identity", [x], ["last_hidden_state"]))
    names = ("input_ids", "attention_mask", "token_type_ids")
    inputs = [helper.make_tensor_value_info(n, TensorProto.INT64, ["batch", "sequence"]) for n in names]
    outputs = [helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, ["batch", "sequence", w.config["hidden_size"]])]
    graph = helper.make_graph(w.nodes, "bert", inputs, outputs, w.weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8), path + ".part")
    os.rename(path + ".part", path)


if __name__ == "__main__":
    write(*sys.argv[1:3], *map(int, sys.argv[3:]))
