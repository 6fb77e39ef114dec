# SPDX-License-Identifier: Apache-2.0
"""Greedy answers of slipway and of llama.cpp beside each other, with tests/golden/judge.py (f32) to say who is right where they part, and who
is nearer to the model over all the rows that both computed from the same tokens.

Usage: python tests/bench/greedy.py MODEL.gguf [--prompts 50] [--tokens 200]   (a Python that has llama-cpp-python)"""
import argparse
import ctypes
import os
import subprocess
import sys
import tempfile

import llama_cpp as L
import numpy as np

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "golden"))
from judge import Judge, distance  # noqa: E402

DRIVER = os.path.join(os.environ.get("SLIPWAY_BUILD", os.path.join(ROOT, "build")), "tests", "golden", "run_language")
QUIET = L.llama_log_callback(lambda *_: None)
PROMPTS = """The capital of France is|Once upon a time, there was a little|def fibonacci(n):|Water boils at|The history of Rome begins
In mathematics, a prime number is|Dear Sir or Madam,|The best way to learn programming|List three colours:|Photosynthesis is the process
import numpy as np|Q: What is gravity? A:|She opened the door and|The weather in London|To bake a cake, first|Der schnelle braune Fuchs|La vie est
SELECT name FROM|The year 1969 was|A neural network consists of|Shakespeare wrote|The Pacific Ocean|#include <stdio.h>|My favourite book is
The human heart|Economics studies|When the sun rises|Machine learning models|A haiku about rain:|The law of supply|Newton's second law
Yesterday I went|Computers store data|The Great Wall|In the beginning|The recipe calls for|Dogs are known for|Electric cars|The moon orbits
Our company|Breaking news:|The theory of evolution|If x = 3 then|HTML stands for|Mount Everest|The piano was invented|Exercise is important because
The French Revolution|Quantum mechanics|Good morning""".replace("\n", "|").split("|")


class Theirs:
    def __init__(self, path, flash):
        model = L.llama_model_load_from_file(path.encode(), L.llama_model_default_params())
        p = L.llama_context_default_params()
        p.n_ctx, p.n_batch, p.n_ubatch, p.n_threads, p.n_threads_batch, p.flash_attn_type = 2048, 512, 512, 2, 2, flash
        self.context, self.vocab = L.llama_init_from_model(model, p), L.llama_model_get_vocab(model)
        self.width = L.llama_vocab_n_tokens(self.vocab)

    def tokens(self, text):
        room = (ctypes.c_int32 * 512)()
        return list(room[: L.llama_tokenize(self.vocab, text.encode(), len(text.encode()), room, 512, True, False)])

    def forget(self):
        L.llama_memory_clear(L.llama_get_memory(self.context), True)

    def greedy(self, ids, n):
        self.forget()
        out, now = [], ids
        for _ in range(n):
            room = (ctypes.c_int32 * len(now))(*now)
            assert L.llama_decode(self.context, L.llama_batch_get_one(room, len(now))) == 0
            row = np.ctypeslib.as_array(L.llama_get_logits_ith(self.context, -1), (self.width,))
            out.append(int(row.argmax()))
            now = out[-1:]
        return out

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
    def __init__(self, path):
        self.process = subprocess.Popen([DRIVER, path, "--threads", "2"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
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


def compare(name, sides, answers, judge, prompts):
    """Prints a row: how often both say the same n tokens; where they part, with whom the judge is and by what gap; distances."""
    a, b = sides
    same, with_a, with_b, gaps, far = 0, 0, 0, [], []
    for ids, one, other in zip(prompts, answers[a], answers[b]):
        n = len(one)
        at = next((i for i in range(n) if one[i] != other[i]), n)
        same += at == n
        known = ids + one[: min(at, n - 1)]
        first = len(ids) - 1
        rows = [side.logits(known, first) for side in (a, b, judge)]
        far.append([distance(rows[0], rows[2]), distance(rows[1], rows[2]), distance(rows[0], rows[1])])
        if at < n:
            gap = rows[2][-1][one[at]] - rows[2][-1][other[at]]
            with_a, with_b = with_a + (gap > 0), with_b + (gap < 0)
            gaps.append(abs(float(gap)))
    far = np.sqrt((np.array(far) ** 2).mean(0))
    gaps = np.sort(gaps) if gaps else np.zeros(1)
    print(f"| {name} | {same} of {len(prompts)} | {with_a} : {with_b} | {np.median(gaps):.3f}, {gaps[-1]:.3f} | {far[0]:.3f} | {far[1]:.3f} | {far[2]:.3f} |", flush=True)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("model")
    p.add_argument("--prompts", type=int, default=len(PROMPTS))
    p.add_argument("--tokens", type=int, default=200)
    a = p.parse_args()
    L.llama_log_set(QUIET, None)
    L.llama_backend_init()
    plain, flash, judge, ours = Theirs(a.model, 0), Theirs(a.model, 1), Judge(a.model), Ours(a.model)
    prompts = [plain.tokens(text) for text in PROMPTS[: a.prompts]]
    print(f"{os.path.basename(a.model)}, {len(prompts)} prompts, {a.tokens} tokens\n\n| first, second | equal | judge with first : second | judge's gap: median, "
          "most | first to judge, rms | second to judge | first to second |\n|---|---:|---:|---:|---:|---:|---:|")
    answers = {side: [side.greedy(ids, a.tokens) for ids in prompts] for side in (ours, plain, flash)}
    compare("Slipway, llama.cpp", (ours, plain), answers, judge, prompts)
    compare("Slipway, llama.cpp with flash attention", (ours, flash), answers, judge, prompts)
    compare("llama.cpp, llama.cpp with flash attention", (plain, flash), answers, judge, prompts)


if __name__ == "__main__":
    main()
