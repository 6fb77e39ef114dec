# SPDX-License-Identifier: Apache-2.0
"""One model guesses for another, because serve --draft, the version or its policy says so. Whatever it guesses, and whether it pays or not,
answers are those the other gives alone."""

import pytest
from conftest import Server, Store
from language import PERSON, ask, fetch, first_layers, smollm2

ASKED = [
    dict(messages=ask("Name three colours."), temperature=0, max_tokens=40),
    dict(messages=ask("Write a line about rain. " * 20), temperature=0, max_tokens=30, logprobs=True, top_logprobs=2),
    dict(messages=ask("Tell a story."), temperature=0.9, top_p=0.9, seed=3, n=2, max_tokens=30),
    dict(messages=ask("Describe a person."), temperature=0, max_tokens=150, response_format={"type": "json_schema", "json_schema": {"name": "p", "schema": PERSON}}),
    dict(messages=ask("Count."), temperature=0, max_tokens=60, stop=["3"]),
]


def answers(server):
    return [server.post("/v1/chat/completions", json={"model": "chat", **a}).json()["choices"] for a in ASKED]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """`guess` is the same model by another name: every guess at temperature 0 is right. `small` is its first layers: it guesses quickly, and mostly
    wrong. `chat2`'s one version says itself who guesses for it."""
    s = Store(tmp_path_factory.mktemp("draft"))
    for name in ("chat", "guess"):
        s.add(smollm2(), name)
    s.add(first_layers(tmp_path_factory.mktemp("small"), 4), "small")
    s.add(fetch.all_models()["minilm"], "encoder")
    s.run("add", smollm2(), "chat2", "--draft", "small")
    return s


@pytest.fixture(scope="module")
def alone(store):
    server = Server(store, "--context", "1024", "--threads", "2", models=["chat"])
    yield answers(server)
    server.stop()


def drafted(server, model):
    return [server.metric(f"slipway_draft_tokens_{k}total", model=model) for k in ("", "accepted_")]


@pytest.mark.parametrize("draft", ["guess", "small"])
def test_the_same_answers(store, alone, draft):
    server = Server(store, "--context", "1024", "--threads", "2", "--draft", draft, models=["chat"])
    assert answers(server) == alone
    made, right = drafted(server, "chat")
    assert made > 0 and (0 if draft == "small" else 1) <= right <= made
    names = ("num_drafts", "num_draft_tokens", "num_accepted_tokens")
    drafts, *theirs = (server.metric(f"vllm:spec_decode_{name}_total", model_name="chat") for name in names)
    assert theirs == [made, right] and 0 < drafts <= made
    code, log = server.stop()
    assert code == 0 and "left out" not in log


def test_each_step_is_guessed_or_counted(store):
    """The first steps of a model go without, to know what they take; those that do not pay are counted."""
    server = Server(store, "--context", "1024", "--threads", "2", "--draft", "guess", models=["chat"])
    body = {"model": "chat", "messages": ask("Count to fifty."), "temperature": 0, "max_tokens": 120, "ignore_eos": True}
    usage = server.post("/v1/chat/completions", json=body).json()["usage"]
    made, right = drafted(server, "chat")
    skipped = server.metric("slipway_draft_skipped_steps_total", model="chat")
    drafts = server.metric("vllm:spec_decode_num_drafts_total", model_name="chat")
    assert skipped >= 5 and drafts > 0 and right > 0
    assert skipped + drafts + right in (usage["completion_tokens"] - 1, usage["completion_tokens"])  # the first token is the prompt's
    server.stop()


def test_a_version_says(store, alone):
    """The version's word goes before the server's, the model's policy before both."""
    assert store.json("show", "chat2")["draft"] == "small" and "draft" not in store.json("show", "chat")
    assert "small guesses for it" in store.run("show", "chat2").stdout
    at_once = lambda: Server(store, "--context", "1024", "--threads", "2", "--draft", "encoder", models=["chat2"])
    body = {"model": "chat2", **ASKED[0]}
    for policy, guesses in ((None, True), ("draft=none", False), ("draft=guess@1", True), ("draft=auto", True)):
        if policy:
            store.run("policy", "chat2", policy)
        server = at_once()
        assert server.post("/v1/chat/completions", json=body).json()["choices"] == alone[0]
        assert (drafted(server, "chat2")[0] > 0) == guesses, policy
        _, log = server.stop()
        assert "left out" not in log


@pytest.mark.parametrize("draft, why", [("encoder", "share a vocabulary"), ("nobody", "no model"), ("small@7", "7"), ("other", "say which"), ("a b", "a b")])
def test_a_version_is_not_added(store, draft, why):
    """With a draft that does not fit nothing is added, and one line says why."""
    refused = store.run("add", smollm2(), "other", "--draft", draft, check=False)
    assert refused.returncode != 0 and why in refused.stderr and len(refused.stderr.splitlines()) == 1, refused.stderr
    assert store.run("show", "other", check=False).returncode != 0


@pytest.mark.parametrize("draft, why", [("encoder", "share a vocabulary"), ("nobody", "no model"), ("guess@7", "7"), ("chat", None)])
def test_one_that_does_not_fit(store, alone, draft, why):
    """It is left out, which the log says; a model does not guess for itself."""
    server = Server(store, "--context", "1024", "--threads", "2", "--draft", draft, models=["chat"])
    assert answers(server)[0] == alone[0]
    assert server.metric("slipway_draft_tokens_total") == 0
    _, log = server.stop()
    lines = [line for line in log.splitlines() if "the draft model is left out" in line]
    assert len(lines) == (1 if why else 0) and (why or "") in "".join(lines), log


def test_one_that_nobody_asks_for(tmp_path):
    """In a store without language models too, a name that is wrong is said."""
    s = Store(tmp_path)
    s.add(fetch.all_models()["mlp"], "mlp")
    server = Server(s, "--draft", "nosuch", models=["mlp"])
    _, log = server.stop()
    lines = [line for line in log.splitlines() if "--draft names nothing" in line]
    assert len(lines) == 1 and "nosuch" in lines[0], log


def test_bench(store):
    load = store.json("bench", "chat", "--threads", "2", "--runs", "4", "--scenario", "offline", "--draft", "guess")
    assert 0 < load["accepted_tokens"] <= load["drafted_tokens"] and 0 < load["skipped_steps"] < load["steps"]
    assert store.json("bench", "chat2", "--threads", "2", "--runs", "2", "--scenario", "offline")["drafted_tokens"] > 0
    refused = store.run("bench", "chat", "--scenario", "offline", "--draft", "encoder", check=False)
    assert refused.returncode != 0 and "vocabulary" in refused.stderr
