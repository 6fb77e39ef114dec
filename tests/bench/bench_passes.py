"""What each pass of the graph engine, and each step of instruction sets, buys: a model with one of them off beside the same model
with everything on, in turns (all, without A, without B, ... and again). The factor is time without / time with, of the minima:
1.00 is no gain.

Usage: python tests/bench/bench_passes.py [--threads 2] [--only NAME,...] [--runs 12]"""
import argparse
import os
import sys

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tests", "golden"))
import bench_graph  # noqa: E402
import engine  # noqa: E402
import fetch  # noqa: E402

MODELS = ("resnet50", "resnet50 int8", "PP-OCRv4 det 640x640", "PP-OCRv4 rec 48x320", "nudenet 320", "magika", "silero-vad", "light densenet121",
          "MiniLM-L6 128 tokens", "MiniLM-L6 opset 14")
LEVELS = ("vnni", "avx512", "avx2")  # what the processor may use at most; scalar is a reference, not a choice
WORTH = 0.02  # factors nearer to 1 than this are noise


def contenders(model, threads):
    """{what is off: engine}; "slipway" has everything."""
    first = bench_graph.Ours(model, threads=threads)
    out = {"slipway": first}
    for bit, name in enumerate(first.passes):
        out[f"pass {name}"] = bench_graph.Ours(model, threads=threads, off=1 << bit)
    for level in LEVELS:
        out[f"at most {level}"] = bench_graph.Ours(model, threads=threads, cpu=level)
    return out


def measure(model, shapes, a):
    """{what is off: milliseconds, minimum}."""
    all_of = contenders(model, a.threads)
    feed = bench_graph.feed_of(all_of["slipway"].inputs, shapes, 1)
    for c in all_of.values():
        c.feed(feed)
    return {name: t["min"] for name, t in bench_graph.in_turns(all_of, a.runs, 3).items()}


def factor(times, what):
    return times[what] / times["slipway"]


def cell(times, what):
    f = factor(times, what)
    return "·" if abs(f - 1) < WORTH else f"{f:.2f}"


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--runs", type=int, default=12)
    p.add_argument("--only", default="", help="names, or parts of names, separated by commas")
    a = p.parse_args()
    models = dict(fetch.all_models(), **{name: model for name, model, _ in fetch.light_models()})
    table = {}
    for name in MODELS:
        if not a.only or any(part in name for part in a.only.split(",")):
            model, shapes = bench_graph.CASES[name]
            table[name] = measure(models[model], shapes, a)
            print(f"{name}: {table[name]['slipway']:.2f} ms", file=sys.stderr, flush=True)
    print(f"| off | {' | '.join(table)} | geometric mean |\n|---|{'---:|' * (len(table) + 1)}")
    print(f"| nothing, ms | {' | '.join(format(t['slipway'], '.2f') for t in table.values())} | |")
    for what in list(next(iter(table.values())))[1:]:
        mean = np.exp(np.mean([np.log(factor(t, what)) for t in table.values()]))
        print(f"| {what} | {' | '.join(cell(t, what) for t in table.values())} | {mean:.2f} |")


if __name__ == "__main__":
    main()
