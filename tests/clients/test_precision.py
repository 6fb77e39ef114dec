# SPDX-License-Identifier: Apache-2.0
"""The precision of a server's sessions: its own flag, a model's policy that goes first, "auto" by the stored report."""

import numpy as np
import pytest
from conftest import Server, Store
from test_cli import dense

X = np.random.default_rng(3).random((2, 256), dtype=np.float32)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("precision")
    s = Store(folder / "store")
    s.add(dense(folder / "d.onnx", 1), "net")
    return s


def answer(store, *flags):
    server = Server(store, "--admin", "off", *flags)
    try:
        reply = server.post("/v1/models/net:predict", json={"instances": X.tolist()})
        assert reply.status_code == 200, reply.text
        return np.array(reply.json()["predictions"], np.float32)
    finally:
        server.stop()


def test_flag_policy_report(store):
    f32, bf16 = answer(store), answer(store, "--precision", "bf16")
    assert 0 < np.abs(f32 - bf16).max() < 0.02 * np.abs(f32).max()
    assert np.array_equal(answer(store, "--precision", "auto"), f32)  # never measured
    store.run("bench", "net", "--compare", "--runs", "2")
    usable = '"precision":"bf16"' in store.run("bench", "net", "--precision", "auto", "--runs", "1", "--json").stdout
    assert np.array_equal(answer(store, "--precision", "auto"), bf16 if usable else f32)
    store.run("policy", "net", "precision=f32")
    assert np.array_equal(answer(store, "--precision", "bf16"), f32)
