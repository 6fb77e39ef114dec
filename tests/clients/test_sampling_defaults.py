# SPDX-License-Identifier: Apache-2.0
"""A model's own defaults of sampling: they stand in for what a request leaves out, are shown, and can be overridden or left aside."""

import json
import shutil

import pytest
from conftest import Server, Store
from language import ask, fetch, with_metadata

STORY = dict(model="chat", messages=ask("Tell a story."), max_tokens=16)


def text(server, **more):
    return server.post("/v1/chat/completions", json={**STORY, **more}).json()["choices"][0]["message"]["content"]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Its maker says: always the likeliest word."""
    s = Store(tmp_path_factory.mktemp("defaults"))
    s.add(with_metadata(tmp_path_factory.mktemp("model"), temp=0.0, top_k=7, penalty_repeat=1.25), "chat")
    return s


@pytest.fixture(scope="module")
def server(store):
    s = Server(store, "--context", "512", "--threads", "2", "--admin", "off")
    yield s
    s.stop()


def test_stand_in_for_what_is_left_out(server):
    greedy = text(server)
    assert greedy == text(server, seed=1) == text(server, temperature=0) == text(server, temperature=0, repetition_penalty=1.25)
    assert len({text(server, temperature=1.5, top_k=0, seed=k) for k in range(4)}) > 1
    by_ollama = {"model": "chat", "messages": STORY["messages"], "stream": False, "options": {"num_predict": 16}}
    assert len({server.post("/api/chat", json=by_ollama).json()["message"]["content"] for _ in range(3)}) == 1


def test_shown(store, server):
    shown = store.json("show", "chat")["sampling"]
    assert shown == {"temperature": 0, "top_k": 7, "repetition_penalty": 1.25}
    assert "temperature 0, top_k 7, repetition_penalty 1.25" in store.run("show", "chat").stdout
    params = server.get("/props").json()["default_generation_settings"]["params"]
    assert (params["temperature"], params["top_k"], params["repeat_penalty"]) == (0, 7, 1.25) and params["top_p"] == pytest.approx(0.95)


def test_left_aside(store):
    plain = Server(store, "--context", "512", "--threads", "2", "--admin", "off", "--plain-sampling")
    try:
        assert len({text(plain) for _ in range(4)}) > 1
        assert plain.get("/props").json()["default_generation_settings"]["params"]["top_k"] == 40
    finally:
        plain.stop()


def test_nonsense_is_refused(tmp_path):
    s = Store(tmp_path / "store")
    done = s.run("add", with_metadata(tmp_path, temp=-1.0), "chat", check=False)
    assert done.returncode == 65 and "own defaults: temperature is -1" in done.stderr


def test_generation_config_of_a_folder(tmp_path):
    """The same facts from transformers' file; of an encoder here, whose folder is at hand."""
    folder = tmp_path / "model"
    shutil.copytree(fetch.all_models()["minilm"], folder)
    (folder / "generation_config.json").write_text(
        json.dumps({"do_sample": True, "temperature": 0.6, "top_k": 20, "top_p": 0.95, "repetition_penalty": 1.05, "eos_token_id": [102, 0]})
    )
    s = Store(tmp_path / "store")
    s.add(folder, "m")
    assert s.json("show", "m")["sampling"] == pytest.approx({"temperature": 0.6, "top_k": 20, "top_p": 0.95, "repetition_penalty": 1.05})
