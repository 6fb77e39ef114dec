# SPDX-License-Identifier: Apache-2.0
"""Who goes first where a language model answers one at a time: a number in the body as vLLM counts, a word in a header, and no higher
than the key may ask for."""

import json
import threading

import pytest
import requests
from conftest import Server, Store, until
from language import smollm2


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    s = Store(tmp_path_factory.mktemp("priority"))
    s.add(smollm2(), "chat")
    return s


@pytest.fixture(scope="module")
def keys(store):
    add = lambda *words: {"Authorization": "Bearer " + store.run("key", "add", *words).stdout.strip()}
    return {"staff": add("staff"), "guest": add("guest", "--priority", "low"), "ops": add("ops", "--scope", "admin")}


def test_who_goes_first(store, keys):
    server = Server(store, "--sequences", "1", "--queue", "8", "--threads", "2", "--access-log")
    slots = lambda: requests.get(server.url + "/slots", headers=keys["ops"]).json()
    waiting = lambda: sum(
        float(line.rpartition(" ")[2])
        for line in requests.get(server.url + "/metrics", headers=keys["ops"]).text.splitlines()
        if line.startswith("slipway_sequences_waiting{")
    )
    body = {"model": "chat", "prompt": "A", "temperature": 0, "ignore_eos": True}

    def say(name, key, header, priority):
        more = {} if priority is None else {"priority": priority}
        headers = keys[key] | {"X-Request-Id": name} | ({"X-Priority": header} if header else {})
        requests.post(server.url + "/v1/completions", json={**body, "max_tokens": 16, **more}, headers=headers)

    holds = requests.post(server.url + "/v1/completions", json={**body, "max_tokens": 2000, "stream": True}, headers=keys["staff"], stream=True)
    assert until(lambda: slots()[0]["is_processing"])
    who = [  # in the order they come
        ("last", "staff", None, 7), ("usual", "staff", None, None), ("guest", "guest", "high", None), ("pushy-guest", "guest", None, -9),
        ("urgent", "staff", None, -3), ("high", "staff", "high", None), ("both", "staff", "low", -2),
    ]
    threads = []
    for n, asked in enumerate(who, 1):
        threads.append(threading.Thread(target=say, args=asked))
        threads[-1].start()
        assert until(lambda: waiting() == n), (n, waiting())
    holds.close()
    for t in threads:
        t.join()
    _, log = server.stop()
    served = [json.loads(line) for line in log.splitlines() if '"/v1/completions"' in line]
    order = [line["id"] for line in served if line["status"] == 200 and line["id"] in {name for name, *_ in who}]
    assert order == ["urgent", "both", "high", "usual", "guest", "pushy-guest", "last"]


def test_no_priority(store, keys):
    server = Server(store, "--sequences", "1", "--threads", "2")
    for priority in ("soon", 2**40, 1.5):
        r = requests.post(server.url + "/v1/completions", json={"model": "chat", "prompt": "A", "priority": priority}, headers=keys["staff"])
        assert r.status_code == 400 and "priority" in r.json()["error"]["message"], priority
    server.stop()
