"""A folder of transformers and a GGUF file through the real binary: stored, shown, given back bit for bit, refused by name."""
import json
import os
import subprocess
import sys

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
