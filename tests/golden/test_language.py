"""The forward pass against transformers: tiny random models of every architecture (language_models.py), f32 weights and cache. And the
same tokens at every CPU level, in every cache type within what its bits allow."""
import os
import subprocess

import language_models as models
import numpy as np
import pytest
from engine import BUILD

DRIVER = os.path.join(BUILD, "tests", "golden", "run_language")
RECORD = np.load(models.RECORD)
LIMIT = 1e-3


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("language")


def file_of(folder, arch):
    path = str(folder / f"{arch}.gguf")
    if not os.path.exists(path):
        models.write_gguf(arch, path)
    return path


def compute(path, out, kv="f32", cpu=None, threads=2, rows=512):
    """Logits of all rows of TOKENS, or an encoder's embedding."""
    words = " ".join(map(str, models.TOKENS))
    command = "embed" if os.path.basename(path).startswith("bert") else "logits"
    done = subprocess.run([DRIVER, path, "--threads", str(threads), "--kv", kv, "--rows", str(rows)], input=f"{command} {out} {words}\n",
                          capture_output=True, text=True, env=dict(os.environ, **({"SLIPWAY_CPU": cpu} if cpu else {})), timeout=120)
    assert done.stdout.split("\n")[:2] == ["ready", "ok"], done.stdout + done.stderr
    return np.fromfile(out, np.float32)


def wanted(arch):
    return models.pooled(RECORD[arch]) if arch == "bert" else RECORD[arch].reshape(-1)


@pytest.mark.parametrize("arch", [a for a in models.ARCHS if a not in models.FOLDERS])
def test_equals_transformers(folder, arch):
    got = compute(file_of(folder, arch), folder / "out")
    want = wanted(arch)
    assert got.shape == want.shape
    assert np.abs(got - want).max() < LIMIT
    if arch == "bert":
        assert got @ want > 0.9999


@pytest.mark.parametrize("how", ["mean", "cls", "last"])
def test_each_pooling(tmp_path, how):
    path = str(tmp_path / "bert.gguf")
    models.write_gguf("bert", path, how)
    assert np.abs(compute(path, tmp_path / "out") - models.pooled(RECORD["bert"], how)).max() < LIMIT


@pytest.mark.parametrize("cpu", ["scalar", "avx2", "avxvnni", "avx512"])
@pytest.mark.parametrize("arch", ["llama3", "gemma3", "mixtral", "bert"])
def test_every_cpu_level(folder, arch, cpu):
    got = compute(file_of(folder, arch), folder / "out", cpu=cpu)
    assert np.abs(got - wanted(arch)).max() < LIMIT


@pytest.mark.parametrize("kv, limit", [("f16", 0.01), ("bf16", 0.1), ("q8_0", 0.4)])
def test_every_cache_type(folder, kv, limit):
    got = compute(file_of(folder, "qwen3"), folder / "out", kv=kv)  # heads of 32 dims: q8_0 wants that
    assert 0 < np.abs(got - RECORD["qwen3"].reshape(-1)).max() < limit
