"""The graph engine beside onnxruntime on whole models, interleaved: each has a process of its own, and they take turns within
the same seconds (A B A B), so that a busy machine slows both. Minimum and median of all runs of a model.

Usage: python tests/bench/bench_graph.py [--threads 2] [--rounds 6] [--runs 5] [--only NAME,...] [--json FILE]
Prints a table; a ratio above 1 means that onnxruntime is faster. The JSON has every number and the machine it came from."""
import argparse
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import time

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tests", "golden"))
import engine  # noqa: E402
import fetch  # noqa: E402

# name -> (model, shape of the input, integers?)
CASES = {
    "resnet50 f32": ("resnet50", (1, 3, 224, 224)),
    "resnet50 int8": ("resnet50_int8", (1, 3, 224, 224)),
    "PP-OCRv4 det 640x640": ("ocr_det", (1, 3, 640, 640)),
    "PP-OCRv4 rec 48x320": ("ocr_rec", (1, 3, 48, 320)),
    "PP-OCR cls 48x192": ("ocr_cls", (1, 3, 48, 192)),
    "nudenet 320": ("nudenet", (1, 3, 320, 320)),
    "magika": ("magika", (1, 2048)),
    "light densenet121": ("light_densenet121", (1, 3, 224, 224)),
    "light shufflenet": ("light_shufflenet", (1, 3, 224, 224)),
    "light inception_v2": ("light_inception_v2", (1, 3, 224, 224)),
}
LIMIT_EACH, LIMIT_MEAN = 1.15, 1.0


def peer():
    """The other process: "MODEL THREADS FILE" once, then counts of runs, answered by milliseconds."""
    import onnxruntime as ort

    model, threads, file = sys.stdin.readline().rstrip("\n").split("\t")
    options = ort.SessionOptions()
    options.intra_op_num_threads = int(threads)
    options.log_severity_level = 3
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    feed = {session.get_inputs()[0].name: np.load(file)}
    for line in sys.stdin:
        times = []
        for _ in range(int(line)):
            began = time.perf_counter()
            session.run(None, feed)
            times.append((time.perf_counter() - began) * 1e3)
        print(" ".join(map(str, times)), flush=True)


class Peer:
    def __init__(self, model, threads, file):
        self.process = subprocess.Popen([sys.executable, os.path.abspath(__file__), "--peer"], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.process.stdin.write(f"{model}\t{threads}\t{file}\n")

    def runs(self, n):
        self.process.stdin.write(f"{n}\n")
        self.process.stdin.flush()
        return [float(x) for x in self.process.stdout.readline().split()]

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def measure(model, shape, a):
    """{"ours": (min, median), "theirs": (min, median)} in milliseconds."""
    rng = np.random.default_rng(0)
    ours = engine.Engine(model, threads=a.threads)
    x = rng.random(shape, dtype=np.float32) if ours.inputs[0][1] == "f32" else rng.integers(0, 200, shape).astype(np.int32)
    ours.feed([x])
    theirs = Peer(model, a.threads, os.path.join(ours.folder, "in_0.npy"))
    theirs.runs(5)
    ours.bench_again(2)
    mine, its = [], []
    for _ in range(a.rounds):
        mine += ours.bench_again(a.runs)
        time.sleep(0.05)  # the peer's threads spin a while after its runs, ours a little
        its += theirs.runs(a.runs)
        time.sleep(0.05)
    ours.close()
    theirs.close()
    return {"ours": (min(mine), statistics.median(mine)), "theirs": (min(its), statistics.median(its))}


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--rounds", type=int, default=6)
    p.add_argument("--runs", type=int, default=5)
    p.add_argument("--only", default="", help="names, or parts of names, separated by commas")
    p.add_argument("--json", default=os.path.join(engine.BUILD, "bench_graph.json"))
    a = p.parse_args()
    models = dict(fetch.all_models(), **{name: model for name, model, _ in fetch.light_models()})
    rows = {}
    print(f"{a.threads} threads, f32 unless int8, {a.rounds * a.runs} runs each, milliseconds: minimum (median)")
    print(f"{'model':24} {'slipway':>18} {'onnxruntime':>18} {'ratio of minima':>16}")
    for name, (model, shape) in CASES.items():
        if a.only and not any(part in name for part in a.only.split(",")):
            continue
        r = measure(models[model], shape, a)
        r["ratio"] = r["ours"][0] / r["theirs"][0]
        rows[name] = r
        pair = lambda v: f"{v[0]:8.2f} ({v[1]:7.2f})"
        print(f"{name:24} {pair(r['ours']):>18} {pair(r['theirs']):>18} {r['ratio']:16.3f}", flush=True)
    mean = math.exp(statistics.fmean(math.log(r["ratio"]) for r in rows.values()))
    print(f"{'geometric mean':24} {mean:54.3f}")
    over = [name for name, r in rows.items() if r["ratio"] > LIMIT_EACH]
    if over or mean > LIMIT_MEAN:
        print(f"over the target ({LIMIT_EACH} each, {LIMIT_MEAN} in the mean): {', '.join(over) or 'the mean'}")
    with open(a.json, "w") as f:
        json.dump({"threads": a.threads, "runs": a.rounds * a.runs, "machine": platform.processor() or platform.machine(),
                   "cores": os.cpu_count(), "rows": rows, "geometric_mean": mean}, f, indent=1)


if __name__ == "__main__":
    peer() if "--peer" in sys.argv else main()
