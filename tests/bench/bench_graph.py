"""The graph engine beside ONNX Runtime and OpenVINO on whole models, interleaved: each has a process of its own, and they take
turns within the same seconds (A B C A B C), so that a busy machine slows all three. Whoever is not at work is stopped: no
spinning thread of one is paid by another. Minimum and median of all runs of a model.

Usage: python tests/bench/bench_graph.py [--threads 2,1] [--batch 1,8] [--only NAME,...] [--precision f32|bf16] [--cpu avx2]
                                     [--json FILE]
--cpu avx2: no wider instructions for us nor for oneDNN within OpenVINO; ONNX Runtime cannot be told.
Prints a table as it goes. The JSON keeps what earlier runs wrote of other rows, so a table may be filled part by part;
--markdown prints all of it as markdown and measures nothing."""
import argparse
import json
import math
import os
import signal
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

# name -> (model, {input: shape}; N stands for the batch; an input that is not named takes its own shape)
CASES = {
    "resnet50": ("resnet50", {"x": ("N", 3, 224, 224)}),
    "resnet50 int8": ("resnet50_int8", {"x": ("N", 3, 224, 224)}),
    "PP-OCRv4 det 640x640": ("ocr_det", {"x": ("N", 3, 640, 640)}),
    "PP-OCRv4 rec 48x320": ("ocr_rec", {"x": ("N", 3, 48, 320)}),
    "PP-OCR cls 48x192": ("ocr_cls", {"x": ("N", 3, 48, 192)}),
    "nudenet 320": ("nudenet", {"images": ("N", 3, 320, 320)}),
    "magika": ("magika", {"bytes": ("N", 2048)}),
    "silero-vad": ("silero", {"input": ("N", 512), "state": (2, "N", 128)}),
    "light densenet121": ("light_densenet121", {}),
    "light shufflenet": ("light_shufflenet", {}),
    "light inception_v2": ("light_inception_v2", {}),
    "light vgg19": ("light_vgg19", {}),
    "MiniLM-L6 128 tokens": ("minilm_17", dict.fromkeys(("input_ids", "attention_mask", "token_type_ids"), ("N", 128))),
    "MiniLM-L6 opset 14": ("minilm_14", dict.fromkeys(("input_ids", "attention_mask", "token_type_ids"), ("N", 128))),
    "mlp": ("mlp", {"x": ("N", 4)}),
}
FIXED = {"sr": 16000, "attention_mask": 1, "token_type_ids": 0}  # inputs whose numbers mean something
NUMPY = {"f32": np.float32, "f64": np.float64, "i64": np.int64, "i32": np.int32, "u8": np.uint8}
PEERS = ("onnxruntime", "openvino")
LIMIT_EACH, LIMIT_MEAN = 1.15, 1.0  # beside onnxruntime, both
ONEDNN_LEVEL = {"avx2": "AVX2"}  # of --cpu, as OpenVINO's oneDNN calls it
SECONDS = 4.0  # of work per contender and model, beyond which fewer than all runs are made
RUNS_LEAST = 6


def onnxruntime(model, threads, precision, feed):
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, feed)


def openvino(model, threads, precision, feed):
    import openvino as ov

    core = ov.Core()
    read = core.read_model(model)
    read.reshape({name: x.shape for name, x in feed.items()})
    hints = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": precision}
    request = core.compile_model(read, "CPU", hints).create_infer_request()
    return lambda: request.infer(feed)


def timed(run):
    """Milliseconds of one run."""
    began = time.perf_counter()
    run()
    return (time.perf_counter() - began) * 1e3


def peer(kinds):
    """The other process: its case as one line of JSON, answered by "ready" or a reason, then counts of runs, answered by ms.
    kinds: {name: function of a case that answers a function that runs it once}."""
    case = json.loads(sys.stdin.readline())
    try:
        feed = dict(np.load(case["feed"]))
        run = kinds[case["peer"]](case["model"], case["threads"], case["precision"], feed)
        run()
        print("ready", flush=True)
    except Exception as e:  # the peer's own words are the answer
        print(" ".join(str(e).split())[:200] or type(e).__name__, flush=True)
        return
    for line in sys.stdin:
        print(" ".join(str(timed(run)) for _ in range(int(line))), flush=True)


class Peer:
    def __init__(self, script=os.path.abspath(__file__), cpu=None, **case):
        environment = dict(os.environ, **({"ONEDNN_MAX_CPU_ISA": ONEDNN_LEVEL[cpu]} if cpu else {}))
        self.process = subprocess.Popen([sys.executable, script, "--peer"], stdin=subprocess.PIPE, env=environment,
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.process.stdin.write(json.dumps(case) + "\n")
        self.process.stdin.flush()
        self.answer = self.process.stdout.readline().strip()
        self.pause()

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def runs(self, n):
        self.process.send_signal(signal.SIGCONT)
        self.process.stdin.write(f"{n + 1}\n")  # the first one wakes its threads
        self.process.stdin.flush()
        times = [float(x) for x in self.process.stdout.readline().split()]
        self.pause()
        return times[1:]

    def close(self):
        self.process.kill()
        self.process.wait()


class Ours(engine.Engine):
    """run_model warms up before each turn itself."""

    def runs(self, n):
        self.process.send_signal(signal.SIGCONT)
        times = self.bench_again(n)
        self.process.send_signal(signal.SIGSTOP)
        return times

    def close(self):
        self.process.send_signal(signal.SIGCONT)
        super().close()


def feed_of(inputs, shapes, batch):
    """Arrays in the model's order for its inputs [name, dtype, dims]."""
    rng = np.random.default_rng(0)
    feed = {}
    for name, dtype, dims in inputs:
        own = [1 if d == "-1" else int(d) for d in dims.strip("[]").split(",") if d not in ("", "?")]
        shape = [batch if d == "N" else d for d in shapes.get(name, own)]
        kind = NUMPY[dtype]
        feed[name] = rng.random(shape, dtype=np.float32).astype(kind) if dtype[0] == "f" else rng.integers(0, 200, shape).astype(kind)
        if name in FIXED:
            feed[name] = np.full([] if name == "sr" else shape, FIXED[name], dtype=kind)
    return feed


def measure(model, shapes, threads, batch, a):
    """{contender: {"min", "median", "runs"} or {"refused": why}}, in milliseconds."""
    ours = Ours(model, threads=threads, precision=a.precision, cpu=a.cpu)
    feed = feed_of(ours.inputs, shapes, batch)
    ours.feed(feed)
    np.savez(os.path.join(ours.folder, "feed.npz"), **feed)
    contenders, refused = {"slipway": ours}, {}
    for name in PEERS:
        p = Peer(cpu=a.cpu, peer=name, model=model, threads=threads, precision=a.precision, feed=os.path.join(ours.folder, "feed.npz"))
        if p.answer == "ready":
            contenders[name] = p
        else:
            refused[name] = {"refused": p.answer or "it died"}
            p.close()
    return {**in_turns(contenders, a.runs, a.turn), **refused}


def in_turns(contenders, runs, turn):
    """{name: {"min", "median", "runs"}} of contenders that take turns; they are closed."""
    times = {name: [] for name in contenders}
    while len(times["slipway"]) < runs:
        for name, c in contenders.items():
            times[name] += c.runs(turn)
        if len(times["slipway"]) >= RUNS_LEAST and any(sum(t) > SECONDS * 1e3 for t in times.values()):
            break
    for c in contenders.values():
        c.close()
    return {n: {"min": min(t), "median": statistics.median(t), "runs": len(t)} for n, t in times.items()}


def cell(r):
    return f"{r['min']:.2f} ({r['median']:.2f})" if "min" in r else "refused"


def ratio(row, name):
    return row["slipway"]["min"] / row[name]["min"] if "min" in row[name] else None


def best_ratio(row):
    known = [r for r in (ratio(row, n) for n in PEERS) if r]
    return max(known) if known else None


def mean(ratios):
    ratios = [r for r in ratios if r]
    return math.exp(statistics.fmean(map(math.log, ratios))) if ratios else float("nan")


def number(x):
    return f"{x:.2f}" if x else "-"


def markdown(table):
    for key in sorted({setting(r) for r in table}, reverse=True):
        rows, (threads, batch, precision, cpu) = [r for r in table if setting(r) == key], key
        print(f"\n{threads} thread{'s' * (threads > 1)}, batch {batch}, {precision}{', ' * bool(cpu)}{cpu}:\n")
        print("| model | Slipway | ONNX Runtime | OpenVINO | to ONNX Runtime | to the better |\n|---|---:|---:|---:|---:|---:|")
        for r in rows:
            cells = [cell(r["times"][n]) for n in ("slipway", *PEERS)]
            print(f"| {r['name']} | {' | '.join(cells)} | {number(ratio(r['times'], PEERS[0]))} | {number(best_ratio(r['times']))} |")
        print(f"| geometric mean | | | | {mean(ratio(r['times'], PEERS[0]) for r in rows):.2f} | "
              f"{mean(best_ratio(r['times']) for r in rows):.2f} |")


def setting(row):
    return row["threads"], row["batch"], row["precision"], row.get("cpu") or ""


def keep(table, row):
    return [r for r in table if (r["name"], setting(r)) != (row["name"], setting(row))] + [row]


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--threads", default="2")
    p.add_argument("--batch", default="1")
    p.add_argument("--precision", default="f32", choices=["f32", "bf16"])
    p.add_argument("--cpu", choices=list(ONEDNN_LEVEL))
    p.add_argument("--runs", type=int, default=30)
    p.add_argument("--turn", type=int, default=3, help="runs of one contender before the next one's turn")
    p.add_argument("--only", default="", help="names, or parts of names, separated by commas")
    p.add_argument("--json", default=os.path.join(engine.BUILD, "bench_graph.json"))
    p.add_argument("--markdown", action="store_true")
    a = p.parse_args()
    table = json.load(open(a.json))["rows"] if os.path.exists(a.json) else []
    if a.markdown:
        markdown(table)
        return
    models = dict(fetch.all_models(), **{name: model for name, model, _ in fetch.light_models()})
    print(f"{a.precision} unless int8, up to {a.runs} runs each, milliseconds: minimum (median)")
    print(f"{'model':22} {'thr':>3} {'n':>2} {'slipway':>19} {'onnxruntime':>19} {'openvino':>19} {'/ort':>6} {'/best':>6}")
    done = []
    for threads in map(int, a.threads.split(",")):
        for batch in map(int, a.batch.split(",")):
            for name, (model, shapes) in CASES.items():
                if (a.only and not any(part in name for part in a.only.split(","))) or (batch > 1 and not shapes):
                    continue  # the light models have their batch in the file
                times = measure(models[model], shapes, threads, batch, a)
                row = {"name": name, "threads": threads, "batch": batch, "precision": a.precision, "cpu": a.cpu, "times": times}
                table = keep(table, row)
                done.append(row)
                print(f"{name:22} {threads:3} {batch:2} " + " ".join(f"{cell(times[n]):>19}" for n in ("slipway", *PEERS)) +
                      f" {number(ratio(times, PEERS[0])):>6} {number(best_ratio(times)):>6}", flush=True)
                with open(a.json, "w") as f:
                    json.dump({"cores": os.cpu_count(), "rows": table}, f, indent=1)
    print(f"{'geometric mean':90} {mean(ratio(r['times'], PEERS[0]) for r in done):6.2f} {mean(best_ratio(r['times']) for r in done):6.2f}")
    over = [r["name"] for r in done if (ratio(r["times"], PEERS[0]) or 0) > LIMIT_EACH]
    if over:
        print(f"more than {LIMIT_EACH} x onnxruntime: {', '.join(over)}")


if __name__ == "__main__":
    peer({"onnxruntime": onnxruntime, "openvino": openvino}) if "--peer" in sys.argv else main()
