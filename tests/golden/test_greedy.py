# SPDX-License-Identifier: Apache-2.0
"""Greedy answers of a real model. As F32: token by token llama.cpp's (exact_greedy.py). With weights of 4 bits and activations of 8, which each
engine rounds in its own way: against the same equations in f32 (judge.py), nearly always the same token, never one that the judge finds much
worse, and logits as near as 8-bit activations get. Those beside llama.cpp: tests/bench/greedy.py."""
import os
import subprocess

import numpy as np
import pytest
from engine import BUILD
from exact_greedy import GAP, PROMPTS as TEXTS, compare
from judge import Judge, distance

import fetch

TOKENS = 40
PROMPTS = ["The capital of France is", "def fibonacci(n):", "Once upon a time, there was a little"]


@pytest.fixture(scope="module")
def model():
    return str(fetch.all_models()["smollm2"])


def program(name, *arguments, given):
    return subprocess.run([os.path.join(BUILD, "tests", "golden", name), *arguments], input=given, capture_output=True, check=True).stdout


def test_answers_as_the_judge_would(model, tmp_path):
    judge, same, total = Judge(model), 0, 0
    for prompt in PROMPTS:
        text = prompt.encode()
        ids = list(map(int, program("tokenize", model, "1", given=b"%d\n" % len(text) + text).split(b"\n")[0].split()))
        words = " ".join(map(str, ids))
        answer = [int(pair.split(b":")[0]) for pair in program("run_language", model, "--threads", "2", given=f"greedy {TOKENS} {words}\n".encode())
                  .split(b"\n")[1].split()]
        known = ids + answer[:-1]
        program("run_language", model, "--threads", "2", given=f"logits {tmp_path / 'out'} {' '.join(map(str, known))}\n".encode())
        first = len(ids) - 1
        got = np.fromfile(tmp_path / "out", np.float32).reshape(len(known), -1)[first:]
        want = judge.logits(known, first)
        assert got.argmax(1).tolist() == answer  # alone or all at once: the same
        assert distance(got, want) < 0.2
        behind = want.max(1) - want[np.arange(TOKENS), answer]
        assert behind.max() < 0.3
        same, total = same + (behind == 0).sum(), total + TOKENS
    assert same / total > 0.95


def test_same_tokens_as_llama_cpp(model):
    assert all(gap < GAP for _, gap in compare(model, TEXTS[:10], 50))
