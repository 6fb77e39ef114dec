"""From a version in the store to its first answer, and what is resident then, for graphs, beside ONNX Runtime.

Both as a whole process, from exec to its end: ours is `slipway predict`; theirs a Python that imports onnxruntime, makes a session and
runs it once. "session + run" is the part of theirs after the import, which is what ours is compared with: it favours theirs by the start
of a process. The page cache is warm; the first question of ours, which packs weights and keeps them (decision 0008), is not counted.
Memory: peak resident set of a process; theirs less what it had when onnxruntime was imported, ours less nothing.

Usage: python tests/bench/bench_start_graph.py [--rounds 7] [--threads 2] [--only NAME,...]"""
import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [os.path.join(ROOT, "tests", "golden"), os.path.join(ROOT, "tests", "models")]
import bench_graph  # noqa: E402
import fetch  # noqa: E402

SLIPWAY = os.environ.get("SLIPWAY", os.path.join(ROOT, "build", "slipway"))
NAMES = ("resnet50", "resnet50 int8", "PP-OCRv4 det 640x640", "PP-OCRv4 rec 48x320", "PP-OCR cls 48x192", "nudenet 320", "MiniLM-L6 128 tokens")
THEIRS = """
import sys, time, numpy as np, onnxruntime as ort
def peak(): return [int(x.split()[1]) for x in open("/proc/self/status") if x.startswith("VmHWM")][0]
feed, before = dict(np.load(sys.argv[2])), peak()
began, o = time.perf_counter(), ort.SessionOptions()
o.intra_op_num_threads = int(sys.argv[3])
ort.InferenceSession(sys.argv[1], o, providers=["CPUExecutionProvider"]).run(None, feed)
print(time.perf_counter() - began, (peak() - before) * 1024)
"""


def process(args, env):
    """(seconds from exec to the end, what it printed)"""
    began = time.perf_counter()
    done = subprocess.run(args, env=env, capture_output=True, text=True, check=True)
    return time.perf_counter() - began, done.stdout


def peak(args, env):
    """Bytes; looked at until the process has ended (the kernel's own count at its end has the parent's in it)."""
    p, most = subprocess.Popen(args, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL), 0
    while p.poll() is None:
        try:
            with open(f"/proc/{p.pid}/status", encoding="utf-8") as f:
                most = max([most, *(int(line.split()[1]) * 1024 for line in f if line.startswith("VmHWM"))])
        except OSError:
            break
    p.wait()
    return most


def cases(only, folder):
    """(name, model, feed)"""
    import onnx

    models = fetch.all_models()
    for name in NAMES:
        if only and not any(part in name for part in only.split(",")):
            continue
        model, shapes = bench_graph.CASES[name]
        types = {1: "f32", 7: "i64", 6: "i32"}
        inputs = [(i.name, types[i.type.tensor_type.elem_type], "[]") for i in onnx.load(models[model], load_external_data=False).graph.input]
        yield name, models[model], bench_graph.feed_of(inputs, shapes, 1)
    if not only or "forest" in only:
        import bench_trees

        yield "forest, 500 trees", bench_trees.train("xgboost", 500, folder)[0], {"x": bench_trees.data(1, 1)[0]}


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--rounds", type=int, default=7)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--only", default="")
    a = p.parse_args()
    print("| model | file MB | slipway, ms | session + run, ms | their process, ms | ours / session + run | our peak MB | theirs MB |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as folder:
        env = dict(os.environ, SLIPWAY_STORE=os.path.join(folder, "store"))
        for name, model, feed in cases(a.only, folder):
            np.savez(os.path.join(folder, "feed.npz"), **feed)
            ours = [SLIPWAY, "predict", "m", "-q", "-t", str(a.threads)]
            for i, (key, x) in enumerate(feed.items()):
                np.save(os.path.join(folder, f"{i}.npy"), x)
                ours += ["-i", f"{key}={os.path.join(folder, f'{i}.npy')}"]
            theirs = [sys.executable, "-c", THEIRS, model, os.path.join(folder, "feed.npz"), str(a.threads)]
            process([SLIPWAY, "add", model, "m", "-q"], env)
            process(ours, env)
            rounds = [(process(ours, env), process(theirs, env)) for _ in range(a.rounds)]
            mine, whole = min(r[0][0] for r in rounds), min(r[1][0] for r in rounds)
            part = min(float(r[1][1].split()[0]) for r in rounds)
            grown = statistics.median(float(r[1][1].split()[1]) for r in rounds)
            print(f"| {name} | {os.path.getsize(model) / 1e6:.0f} | {mine * 1e3:.1f} | {part * 1e3:.1f} | {whole * 1e3:.0f} | {mine / part:.2f} | "
                  f"{peak(ours, env) / 1e6:.0f} | {grown / 1e6:.0f} |", flush=True)


if __name__ == "__main__":
    main()
