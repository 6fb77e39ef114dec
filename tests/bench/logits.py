# SPDX-License-Identifier: Apache-2.0
"""How far logits are from what the same weights say in f32 (tests/golden/judge.py), by slipway and by llama.cpp, and the perplexity of each, over
windows of a text.

Usage: python tests/bench/logits.py MODEL.gguf TEXT [--f16] [--windows 12] [--length 256]   (a Python that has llama-cpp-python)
--f16: the model's matrices as F16, whatever the file has."""
import argparse
import os
import tempfile

import llama_cpp as L
import numpy as np
from greedy import QUIET, Ours, Theirs  # finds the folder of the next two

from exact_greedy import widen  # isort: skip
from judge import Judge, distance  # isort: skip


def losses(rows, ids):
    rows = rows[:-1].astype(np.float64)
    rows -= rows.max(-1, keepdims=True)
    return np.log(np.exp(rows).sum(-1)) - rows[np.arange(len(rows)), ids[1:]]


def main():
    p = argparse.ArgumentParser()
    p.add_argument("model")
    p.add_argument("text")
    p.add_argument("--f16", action="store_true")
    p.add_argument("--windows", type=int, default=12)
    p.add_argument("--length", type=int, default=256)
    a = p.parse_args()
    L.llama_log_set(QUIET, None)
    L.llama_backend_init()
    with tempfile.TemporaryDirectory() as folder:
        path = a.model
        if a.f16:
            path = os.path.join(folder, "f16.gguf")
            widen(a.model, path, np.float16)
        sides = {"f32": Judge(path)} | {f"Slipway, caches of {kv}": Ours(path, kv) for kv in ("f32", "f16")}
        sides |= {f"llama.cpp, caches of {kv}": Theirs(path, kv=kind) for kv, kind in (("f32", L.GGML_TYPE_F32), ("f16", L.GGML_TYPE_F16))}
        with open(a.text, encoding="utf-8") as f:
            ids = sides["llama.cpp, caches of f16"].tokens(f.read())
        far, loss = {name: [] for name in sides}, {name: [] for name in sides}
        for at in range(0, a.windows * a.length, a.length):
            window = ids[:1] + ids[at + 1 : at + a.length]
            rows = {name: side.logits(window, 0) for name, side in sides.items()}
            for name, row in rows.items():
                far[name].append(distance(row, rows["f32"]) ** 2)
                loss[name].append(losses(row, window).mean())
    print(f"{os.path.basename(a.model)}: {a.windows} windows of {a.length}\n\n| | rms to f32 | perplexity |\n|---|---:|---:|")
    for name in sides:
        print(f"| {name} | {np.sqrt(np.mean(far[name])):.5f} | {np.exp(np.mean(loss[name])):.4f} |")


if __name__ == "__main__":
    main()
