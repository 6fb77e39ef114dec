# SPDX-License-Identifier: Apache-2.0
"""Perplexity of a text by slipway and by llama.cpp, the way llama-perplexity takes it: windows of --context tokens, the second half counts.

Usage: python tests/bench/perplexity.py MODEL.gguf TEXT [--context 512] [--chunks 8]   (a Python that has llama-cpp-python)"""
import argparse
import json
import os
import subprocess
import tempfile

import llama_cpp
import numpy as np

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def ours(binary, model, text, context, chunks):
    with tempfile.TemporaryDirectory() as store:
        subprocess.run([binary, "add", model, "m", "--store", store], check=True, capture_output=True)
        done = subprocess.run([binary, "evaluate", "m", "--perplexity", text, "--context", str(context), "--chunks", str(chunks), "--threads", "2",
                               "--json", "--store", store], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def theirs(model, text, context, chunks):
    l = llama_cpp.Llama(model, n_ctx=context, n_batch=context, n_threads=2, logits_all=True, verbose=False)
    ids = l.tokenize(open(text, "rb").read(), add_bos=True, special=False)
    adds_bos = ids[0] == l.token_bos() and bool(llama_cpp.llama_vocab_get_add_bos(l._model.vocab))
    nll, n = 0.0, 0
    for k in range(min(chunks, len(ids) // context)):
        window = ids[k * context : (k + 1) * context]
        if adds_bos:
            window[0] = l.token_bos()
        l.reset()
        l.eval(window)
        rows = l.scores[context // 2 : context - 1].astype(np.float64)
        rows -= rows.max(1, keepdims=True)
        rows -= np.log(np.exp(rows).sum(1, keepdims=True))
        nll -= rows[np.arange(len(rows)), window[context // 2 + 1 :]].sum()
        n += len(rows)
    return float(np.exp(nll / n)), n


def main():
    p = argparse.ArgumentParser()
    p.add_argument("model")
    p.add_argument("text")
    p.add_argument("--context", type=int, default=512)
    p.add_argument("--chunks", type=int, default=8)
    a = p.parse_args()
    mine = ours(os.environ.get("SLIPWAY", os.path.join(ROOT, "build", "slipway")), a.model, a.text, a.context, a.chunks)
    peer, n = theirs(a.model, a.text, a.context, a.chunks)
    assert n == mine["tokens"], (n, mine)
    print(f"{os.path.basename(a.model)}: {n} tokens, slipway {mine['perplexity']:.4f}, llama.cpp {peer:.4f}, {100 * (mine['perplexity'] / peer - 1):+.3f} %")


if __name__ == "__main__":
    main()
