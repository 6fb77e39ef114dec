# SPDX-License-Identifier: Apache-2.0
"""serve --draft: one model guesses for another. Whatever it guesses, answers are those the other gives alone."""

import pytest
from conftest import Server, Store
from language import PERSON, ask, fetch, smollm2

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
    """The draft is the same model by another name: every guess at temperature 0 is right."""
    s = Store(tmp_path_factory.mktemp("draft"))
    for name in ("chat", "guess"):
        s.add(smollm2(), name)
    s.add(fetch.all_models()["minilm"], "encoder")
    return s


@pytest.fixture(scope="module")
def alone(store):
    server = Server(store, "--context", "1024", "--threads", "2", models=["chat"])
    yield answers(server)
    server.stop()


def test_the_same_answers(store, alone):
    server = Server(store, "--context", "1024", "--threads", "2", "--draft", "guess", models=["chat"])
    assert answers(server) == alone
    drafted, accepted = (server.metric(f"slipway_draft_tokens_{k}total", model="chat") for k in ("", "accepted_"))
    assert drafted > 50 and accepted > 0.5 * drafted  # what is drawn at random or by a schema is guessed wrong more often
    code, log = server.stop()
    assert code == 0 and "left out" not in log


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
    assert 0 < load["accepted_tokens"] <= load["drafted_tokens"]
    refused = store.run("bench", "chat", "--scenario", "offline", "--draft", "encoder", check=False)
    assert refused.returncode != 0 and "vocabulary" in refused.stderr
