"""A folder of transformers and a GGUF file through the real binary: stored, shown, given back bit for bit, refused by name."""
import json
import os
import random
import subprocess
import sys
import time

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
SLIPWAY = os.environ.get("SLIPWAY", os.path.join(ROOT, "build", "slipway"))
sys.path.insert(0, os.path.join(ROOT, "tests", "models"))
import fetch  # noqa: E402


def slipway(store, *args):
    return subprocess.run([SLIPWAY, *map(str, args)], env=dict(os.environ, SLIPWAY_STORE=str(store)), capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("name, facts", [
    ("smollm2", {"format": "gguf", "architecture": "llama", "parameters": 134515008, "context": 8192, "layers": 30, "tokens": 49152,
                 "tokenizer": "bpe", "chat_template": True, "encoder": False}),
    ("minilm", {"format": "huggingface", "architecture": "bert", "context": 512, "layers": 6, "tokens": 30522, "tokenizer": "wordpiece",
                "chat_template": False, "encoder": True}),
])
def test_stored_shown_and_given_back(tmp_path, name, facts):
    source, store = fetch.all_models()[name], tmp_path / "store"
    added = slipway(store, "add", source, name)
    assert added.returncode == 0, added.stderr
    shown = json.loads(slipway(store, "show", name, "--json").stdout)
    assert {k: shown[k] for k in facts} == facts
    assert facts["architecture"] in slipway(store, "show", name).stdout
    out = tmp_path / "out"
    assert slipway(store, "export", name, f"{out}/").returncode == 0
    for folder, _, files in os.walk(out):
        for file in files:
            path = os.path.join(folder, file)
            original = os.path.join(source, os.path.relpath(path, out)) if os.path.isdir(source) else source
            with open(path, "rb") as a, open(original, "rb") as b:
                assert a.read() == b.read()


def test_a_cut_file_is_refused_and_leaves_nothing(tmp_path):
    with open(fetch.all_models()["smollm2"], "rb") as f:
        (tmp_path / "cut.gguf").write_bytes(f.read(4 << 20))
    done = slipway(tmp_path / "store", "add", tmp_path / "cut.gguf")
    assert done.returncode == 65 and "beyond the file" in done.stderr and done.stderr.count("\n") == 1
    assert json.loads(slipway(tmp_path / "store", "list", "--json").stdout or "[]") in ([], {"models": []})


CORPUS = os.path.join(ROOT, "tests", "fuzz", "corpus")


def listed(store):
    said = json.loads(slipway(store, "list", "--json").stdout or "[]")
    return {m["model"] for m in (said["models"] if isinstance(said, dict) else said)}


def damaged(raw, r):
    raw = bytearray(raw)
    for _ in range(r.randrange(1, 4)):
        at = r.randrange(len(raw))
        raw[at:at + r.choice([0, 1, 1, 8])] = r.choice([b"", bytes([r.randrange(256)]), b"\xff" * 8, b"\0" * 8])
    return bytes(raw)


def folder(path, raw):
    """A folder of transformers from one file of the fuzzer's corpus (tests/fuzz/import_language.h)."""
    path.mkdir()
    parts = raw.split(b"\0", 2) + [b""] * 2
    for name, part in zip(("config.json", "tokenizer.json", "model.safetensors"), parts):
        (path / name).write_bytes(part)
    return path


def test_what_is_refused_leaves_nothing(tmp_path):
    """Every hostile file of the corpus, and damaged ones: one line, an exit code for bad files, nothing stored."""
    r, cases, taken = random.Random(6), [], set()
    for name in sorted(os.listdir(f"{CORPUS}/gguf")):
        with open(f"{CORPUS}/gguf/{name}", "rb") as f:
            cases.append((name, f.read()))
    for kind in ("gguf", "huggingface"):
        with open(f"{CORPUS}/{kind}/whole", "rb") as f:
            raw = f.read()
        cases += [(f"{kind}-{i}", damaged(raw, r)) for i in range(60)]
    for name, raw in cases:
        if name.startswith("huggingface"):
            path = folder(tmp_path / name, raw)
        else:
            path = tmp_path / f"{name}.gguf"
            path.write_bytes(raw)
        done = slipway(tmp_path / "store", "add", path, name)
        assert done.returncode in (0, 64, 65, 66, 69), (name, done)
        assert done.returncode == 0 or done.stderr.count("\n") == 1, (name, done.stderr)
        taken |= {name} if done.returncode == 0 else set()
    assert listed(tmp_path / "store") == taken and "whole" in taken
    assert len(taken) < len(cases) / 2
    assert slipway(tmp_path / "store", "verify").returncode == 0


@pytest.mark.parametrize("name", ["smollm2", "minilm"])
def test_killed_while_adding(tmp_path, name):
    """kill -9 at any moment: the version is there whole, or not at all, and the next try succeeds."""
    source, store = fetch.all_models()[name], tmp_path / "store"
    r, began = random.Random(9), time.monotonic()
    assert slipway(tmp_path / "other", "add", source, name).returncode == 0
    takes = time.monotonic() - began
    for _ in range(8):
        p = subprocess.Popen([SLIPWAY, "add", source, name], env=dict(os.environ, SLIPWAY_STORE=str(store)), stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL)
        time.sleep(r.random() * takes)
        p.kill()
        p.wait()
        assert listed(store) in (set(), {name})
        assert slipway(store, "verify").returncode == 0
    assert slipway(store, "add", source, name).returncode == 0
    assert listed(store) == {name} and slipway(store, "verify").returncode == 0
