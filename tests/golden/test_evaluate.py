# SPDX-License-Identifier: Apache-2.0
"""slipway evaluate: perplexity and the distance of two versions, computed again here in float64 from the logits that the engine gives for the
same windows. Against llama.cpp's perplexity: tests/bench/perplexity.py."""
import json
import os
import pathlib
import shutil
import subprocess

import gguf
import numpy as np
import pytest
from engine import BUILD, ROOT

import fetch

BINARY = os.path.join(BUILD, "slipway")
WINDOW, CHUNKS, VOCAB = 128, 3, 49152


@pytest.fixture(scope="module")
def box(tmp_path_factory):
    """SmolLM2 twice: as it is, and with its last norm bent, which changes every logit; and a text."""
    folder = tmp_path_factory.mktemp("evaluate")
    first, second = fetch.all_models()["smollm2"], folder / "bent.gguf"
    shutil.copy(first, second)
    norm = next(t for t in gguf.GGUFReader(first).tensors if t.name == "output_norm.weight")
    bent = np.array(norm.data, np.float32) * np.linspace(0.7, 1.3, norm.data.size, dtype=np.float32)
    with open(second, "r+b") as f:
        f.seek(int(norm.data_offset))
        f.write(bent.tobytes())
    for path in (first, second):
        subprocess.run([BINARY, "add", str(path), "m", "--store", str(folder / "store")], check=True, capture_output=True)
    text = folder / "text.txt"
    text.write_text(pathlib.Path(ROOT, "CONTRIBUTING.md").read_text() + pathlib.Path(ROOT, "HACKING.md").read_text())
    return {"store": str(folder / "store"), "files": [str(first), str(second)], "text": text, "folder": folder}


def evaluate(box, *more):
    done = subprocess.run([BINARY, "evaluate", *more, "--context", str(WINDOW), "--chunks", str(CHUNKS), "--threads", "2", "--json", "--store",
                           box["store"]], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def log_softmax(box, which, ids):
    out = box["folder"] / "logits"
    driver = os.path.join(BUILD, "tests", "golden", "run_language")
    done = subprocess.run([driver, box["files"][which], "--threads", "2"], input=f"logits {out} {' '.join(map(str, ids))}\n", capture_output=True, text=True)
    assert done.stdout.split("\n")[:2] == ["ready", "ok"], done.stdout
    l = np.fromfile(out, np.float32).reshape(len(ids), VOCAB)[WINDOW // 2 : -1].astype(np.float64)
    l -= l.max(1, keepdims=True)
    return l - np.log(np.exp(l).sum(1, keepdims=True))


def test_equals_numpy(box):
    text = box["text"].read_bytes()
    tokenize = [os.path.join(BUILD, "tests", "golden", "tokenize"), box["files"][0], "1"]
    ids = list(map(int, subprocess.run(tokenize, input=b"%d\n" % len(text) + text, capture_output=True, check=True).stdout.split(b"\n")[0].split()))
    p, q, n = [], [], []
    for k in range(CHUNKS):
        window = ids[k * WINDOW : (k + 1) * WINDOW]
        p.append(log_softmax(box, 0, window))
        q.append(log_softmax(box, 1, window))
        n += window[WINDOW // 2 + 1 :]
    p, q, at = np.concatenate(p), np.concatenate(q), np.arange(len(n))
    got = evaluate(box, "m@1", "--against", "m@2", "--perplexity", str(box["text"]))
    assert got["tokens"] == len(n) == CHUNKS * (WINDOW // 2 - 1)
    kl = (np.exp(p) * (p - q)).sum(1)
    for name, want in {"perplexity": np.exp(-p[at, n].mean()), "other_perplexity": np.exp(-q[at, n].mean()), "kl_mean": kl.mean(), "kl_max": kl.max(),
                       "same_first": (p.argmax(1) == q.argmax(1)).mean()}.items():
        assert got[name] == pytest.approx(want, rel=1e-4), name
    assert got["kl_mean"] > 0.001 and got["same_first"] < 1
    alone = evaluate(box, "m@1", "--perplexity", str(box["text"]))
    assert alone["perplexity"] == got["perplexity"] and "kl_mean" not in alone
    assert evaluate(box, "m@2", "--perplexity", str(box["text"]))["perplexity"] == got["other_perplexity"]


def test_a_version_is_no_distance_from_itself(box):
    got = evaluate(box, "m@2", "--against", "m@2", "--perplexity", str(box["text"]))
    assert got["kl_mean"] == 0 and got["same_first"] == 1 and got["perplexity"] == got["other_perplexity"]


def test_every_kv_type(box):
    found = {kind: evaluate(box, "m@1", "--perplexity", str(box["text"]), "--kv-type", kind)["perplexity"] for kind in ("f32", "f16", "bf16", "q8_0")}
    assert len(set(found.values())) == 4  # each has its own rounding, none of which matters
    for kind, perplexity in found.items():  # of 189 tokens
        assert perplexity == pytest.approx(found["f32"], rel=0.03), kind
    assert found["f16"] == evaluate(box, "m@1", "--perplexity", str(box["text"]))["perplexity"]
