# SPDX-License-Identifier: Apache-2.0
"""Greedy answers of slipway and of llama.cpp beside each other, with tests/golden/judge.py (f32) to say who is right where they part, and who
is nearer to the model over all the rows that both computed from the same tokens.

Usage: python tests/bench/greedy.py MODEL.gguf [--prompts 50] [--tokens 200] [--json FILE]   (a Python that has llama-cpp-python)"""
import argparse
import ctypes
import functools
import itertools
import json
import os
import subprocess
import sys
import tempfile

import llama_cpp as L
import numpy as np

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "golden"))
from exact_greedy import DRIVER, GAP, PROMPTS  # noqa: E402
from judge import Judge, distance  # noqa: E402

QUIET = L.llama_log_callback(lambda *_: None)
# llama.cpp as it comes; with flash attention; on one thread; the prompt a token at a time
LLAMAS = {"llama.cpp": {}, "llama.cpp, flash attention": {"flash": 1}, "llama.cpp, 1 thread": {"threads": 1}, "llama.cpp, prompt by tokens": {"chunk": 1}}


class Theirs:
    def __init__(self, path, flash=0, threads=2, chunk=512, kv=L.GGML_TYPE_F16):
        model = L.llama_model_load_from_file(path.encode(), L.llama_model_default_params())
        p = L.llama_context_default_params()
        p.n_ctx, p.n_batch, p.n_ubatch, p.n_threads, p.n_threads_batch, p.flash_attn_type = 2048, 512, 512, threads, threads, flash
        p.type_k = p.type_v = kv
        self.chunk = chunk
        self.context, self.vocab = L.llama_init_from_model(model, p), L.llama_model_get_vocab(model)
        self.width = L.llama_vocab_n_tokens(self.vocab)

    def tokens(self, text):
        most = len(text.encode()) + 1
        room = (ctypes.c_int32 * most)()
        return list(room[: L.llama_tokenize(self.vocab, text.encode(), most - 1, room, most, True, False)])

    def forget(self):
        L.llama_memory_clear(L.llama_get_memory(self.context), True)

    def greedy(self, ids, n):
        self.forget()
        out, row = [], None
        for at in range(0, len(ids), self.chunk):
            row = self.step(ids[at : at + self.chunk])
        for i in range(n):
            best = int(row.argmax())
            out.append(best)
            if i < n - 1:
                row = self.step([best])
        return out

    def step(self, ids):
        room = (ctypes.c_int32 * len(ids))(*ids)
        assert L.llama_decode(self.context, L.llama_batch_get_one(room, len(ids))) == 0
        return np.ctypeslib.as_array(L.llama_get_logits_ith(self.context, -1), (self.width,))

    def logits(self, ids, first):
        self.forget()
        batch = L.llama_batch_init(len(ids), 0, 1)
        batch.n_tokens = len(ids)
        for i, token in enumerate(ids):
            batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.seq_id[i][0], batch.logits[i] = token, i, 1, 0, i >= first
        assert L.llama_decode(self.context, batch) == 0
        rows = np.stack([np.ctypeslib.as_array(L.llama_get_logits_ith(self.context, i), (self.width,)).copy() for i in range(first, len(ids))])
        L.llama_batch_free(batch)
        return rows


class Ours:
    def __init__(self, path, kv="f16"):
        self.process = subprocess.Popen([DRIVER, path, "--threads", "2", "--kv", kv], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "ready\n"

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline()

    def greedy(self, ids, n):
        return [int(pair.split(":")[0]) for pair in self.ask(f"greedy {n} {' '.join(map(str, ids))}").split()]

    def logits(self, ids, first):
        with tempfile.NamedTemporaryFile() as f:
            assert self.ask(f"logits {f.name} {' '.join(map(str, ids))}") == "ok\n"
            return np.fromfile(f.name, np.float32).reshape(len(ids), -1)[first:]


def compare(sides, answers, judge, ids):
    """Of one prompt: how many tokens are the same, and at the first that differs by how much the first, the second and the judge find the first's
    better than the second's; distances over all rows before it."""
    one, other = answers
    n = len(one)
    at = next((i for i in range(n) if one[i] != other[i]), n)
    known = ids + one[: min(at, n - 1)]
    rows = [side.logits(known, len(ids) - 1) for side in sides] + [judge(tuple(known), len(ids) - 1)]
    gaps = [float(row[-1][one[at]] - row[-1][other[at]]) for row in rows] if at < n else None
    return {"same": at, "gaps": gaps, "far": [distance(rows[0], rows[2]), distance(rows[1], rows[2]), distance(rows[0], rows[1])]}


def table(records):
    print("| first, second | equal | or gap of the first or second < 0.01 | judge with first : second | judge's gap: median, most | first to judge, rms | "
          "second to judge | first to second |\n|---|---:|---:|---:|---:|---:|---:|---:|")
    for pair, group in itertools.groupby(sorted(records, key=lambda r: r["pair"]), key=lambda r: r["pair"]):
        group = list(group)
        gaps = np.array([r["gaps"] for r in group if r["gaps"]]).reshape(-1, 3)
        near = int((np.abs(gaps[:, :2]).min(1) < GAP).sum())
        by = np.append(np.sort(np.abs(gaps[:, 2])), 0)
        far = np.sqrt((np.array([r["far"] for r in group]) ** 2).mean(0))
        print(f"| {pair} | {len(group) - len(gaps)} of {len(group)} | {near} | {(gaps[:, 2] > 0).sum()} : {(gaps[:, 2] < 0).sum()} | "
              f"{by[len(gaps) // 2]:.3f}, {by.max():.3f} | {far[0]:.3f} | {far[1]:.3f} | {far[2]:.3f} |")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("model")
    p.add_argument("--prompts", type=int, default=len(PROMPTS))
    p.add_argument("--tokens", type=int, default=200)
    p.add_argument("--json", help="keeps what was found about each prompt: what is there already is not computed again")
    a = p.parse_args()
    L.llama_log_set(QUIET, None)
    L.llama_backend_init()
    records = []
    if a.json and os.path.exists(a.json):
        with open(a.json, encoding="utf-8") as f:
            records = [json.loads(line) for line in f]
    judge = functools.lru_cache(2)(Judge(a.model).logits)
    sides = {"Slipway": Ours(a.model)} | {name: Theirs(a.model, **how) for name, how in LLAMAS.items()}
    pairs = [("Slipway", "llama.cpp"), ("Slipway", "llama.cpp, flash attention")] + [("llama.cpp", other) for other in list(LLAMAS)[1:]]
    for text in PROMPTS[: a.prompts]:
        if any(r["text"] == text for r in records):
            continue
        ids = sides["llama.cpp"].tokens(text)
        answers = {name: side.greedy(ids, a.tokens) for name, side in sides.items()}
        now = [{"text": text, "pair": " / ".join(pair), **compare([sides[n] for n in pair], [answers[n] for n in pair], judge, ids)} for pair in pairs]
        records += now
        if a.json:
            with open(a.json, "a", encoding="utf-8") as f:
                f.writelines(json.dumps(r) + "\n" for r in now)
    print(f"{os.path.basename(a.model)}, {len(records) // len(pairs)} prompts, {a.tokens} tokens\n")
    table(records)


if __name__ == "__main__":
    main()
