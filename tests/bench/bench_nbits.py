#!/usr/bin/env python3
"""MatMulNBits beside ONNX Runtime: weights of 4 bits in blocks of 32, a few to many rows, f32 and byte activations (accuracy_level 0 and 4).

usage: bench_nbits.py [--rounds 3] [--threads 2] [--k 2048] [--n 8192]     prints a table; the two take turns"""

import argparse
import json
import os
import subprocess
import tempfile
import time

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
SLIPWAY = os.environ.get("SLIPWAY", os.path.join(ROOT, "build", "slipway"))
ROWS, BLOCK, RUNS = (1, 4, 16, 128), 32, 20


def model(path, k, n, level):
    r = np.random.default_rng(0)
    w = r.integers(0, 256, (n, k // BLOCK, BLOCK // 2)).astype(np.uint8)
    scales = r.uniform(0.002, 0.02, n * k // BLOCK).astype(np.float32)
    node = helper.make_node("MatMulNBits", ["x", "w", "s"], ["y"], domain="com.microsoft", K=k, N=n, bits=4, block_size=BLOCK, accuracy_level=level)
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["m", size]) for name, size in (("x", k), ("y", n)))
    graph = helper.make_graph([node], "g", [x], [y], [numpy_helper.from_array(w, "w"), numpy_helper.from_array(scales, "s")])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)


def theirs(session, rows, k):
    x, best = np.random.default_rng(1).standard_normal((rows, k)).astype(np.float32), 1e9
    for _ in range(RUNS):
        begin = time.perf_counter()
        session.run(None, {"x": x})
        best = min(best, time.perf_counter() - begin)
    return best


def ours(store, name, rows, threads):
    out = subprocess.run(
        [SLIPWAY, "bench", name, "--store", store, "--batch", str(rows), "-n", str(RUNS), "-t", str(threads), "--json"], check=True, capture_output=True, text=True
    )
    return json.loads(out.stdout)["min_ms"] / 1e3


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--k", type=int, default=2048)
    p.add_argument("--n", type=int, default=8192)
    o = p.parse_args()
    print("| accuracy_level | rows | Slipway ms | ONNX Runtime ms | ratio |\n|---:|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as folder:
        store = os.path.join(folder, "store")
        for level in (0, 4):
            path = os.path.join(folder, f"level{level}.onnx")
            model(path, o.k, o.n, level)
            subprocess.run([SLIPWAY, "add", path, f"level{level}", "--store", store, "-q"], check=True, stdout=subprocess.DEVNULL)
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = o.threads
            for rows in ROWS:
                a = b = 1e9
                for _ in range(o.rounds):
                    a = min(a, ours(store, f"level{level}", rows, o.threads))
                    session = onnxruntime.InferenceSession(path, options)
                    b = min(b, theirs(session, rows, o.k))
                    del session  # its threads would wait spinning beside ours
                print(f"| {level} | {rows} | {a * 1e3:.3f} | {b * 1e3:.3f} | {a / b:.2f} |", flush=True)


if __name__ == "__main__":
    main()
