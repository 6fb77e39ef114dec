# SPDX-License-Identifier: Apache-2.0
"""Requests kept for later, within limits, and replayed to another version."""

import json
import pathlib
import stat

import numpy as np
import pytest
import requests

from conftest import Server, Store, affine, echo, until
from onnx import TensorProto


@pytest.fixture
def kept(tmp_path, models):
    store = Store(tmp_path / "store")
    store.add(models["affine"], "m")
    store.add(affine(tmp_path / "near.onnx", offset=(0.5, 0, 0.00001, 1)), "m")
    store.add(models["affine2"], "m")
    store.add(echo(tmp_path / "words.onnx", TensorProto.STRING), "words")
    store.run("alias", "m@1", "prod")
    store.run("policy", "m", "capture=100%")
    store.run("policy", "words", "capture=100%")
    return store


def tapes(store, model="m"):
    return sorted(pathlib.Path(store.folder, "captures", model).glob("*.tape"))


def test_capture_and_replay(kept):
    none = kept.run("replay", "m", check=False)
    assert none.returncode == 66 and "capture=1%" in none.stderr
    server = Server(kept)
    rng = np.random.default_rng(0)
    for _ in range(40):
        rows = rng.random((2, 4)).round(3).tolist()
        requests.post(server.url + "/v1/models/m:predict", data=json.dumps({"instances": rows})).raise_for_status()
    requests.post(server.url + "/v1/models/m:predict", data='{"instances": [[1]]}')  # refused: not kept
    requests.post(server.url + "/v1/models/words:predict", data='{"instances": [["a", "bb"]]}').raise_for_status()
    assert until(lambda: server.metric("slipway_capture_total", model="m", result="kept") == 40)
    server.stop()
    assert len(tapes(kept)) == 1
    assert stat.S_IMODE(tapes(kept)[0].stat().st_mode) == 0o600
    report = json.loads(kept.run("replay", "m@1", "--json").stdout)
    assert report["requests"] == report["same"] == 40 and report["against"] == [1]
    near = json.loads(kept.run("replay", "m@2", "--json").stdout)
    assert near["same"] == 40 and 5e-6 < near["outputs"][0]["max_abs"] < 2e-5
    strict = json.loads(kept.run("replay", "m@2", "--json", "--relative", "0", "--absolute", "0").stdout)
    assert strict["different"] == 40
    other = json.loads(kept.run("replay", "m@3", "--json", "--limit", "10").stdout)
    assert other["requests"] == other["different"] == 10 and other["outputs"][0]["top_moved"] > 0
    said = kept.run("replay", "m@3").stdout
    assert "40 different" in said and "answered then by @1" in said
    words = json.loads(kept.run("replay", "words", "--json").stdout)
    assert words["same"] == 1
    with open(tapes(kept)[0], "ab") as f:
        f.write(b"TAPE\1\0\0\0\xff\0\0\0\0\0\0\0torn")
    assert json.loads(kept.run("replay", "m@1", "--json").stdout)["same"] == 40


def test_sampling_and_limits(kept):
    kept.run("policy", "m", "capture=10%", "keep-bytes=300000")
    server = Server(kept)
    row = json.dumps({"instances": [[1, 2, 3, 4]] * 400})  # 13 kB of tensors
    session = requests.Session()
    for _ in range(300):
        session.post(server.url + "/v1/models/m:predict", data=row).raise_for_status()
    assert until(lambda: server.metric("slipway_capture_total", model="m", result="kept") >= 29)
    assert server.metric("slipway_capture_total", model="m", result="kept") <= 31
    kept.run("policy", "m", "capture=100%")
    for _ in range(200):
        session.post(server.url + "/v1/models/m:predict", data=row).raise_for_status()
    assert until(lambda: len(tapes(kept)) >= 2)
    server.stop()
    assert sum(t.stat().st_size for t in tapes(kept)) < 300000 + 80000  # the one being written, too
    report = json.loads(kept.run("replay", "m@1", "--json").stdout)
    assert report["requests"] == report["same"] > 5
