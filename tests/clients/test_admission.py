# SPDX-License-Identifier: Apache-2.0
"""What is let in: expected wait against deadline, priorities, Retry-After; models on demand within a memory budget."""

import concurrent.futures
import io
import json
import threading
import time

import numpy as np
import pytest
import requests
from onnx import TensorProto, helper

from conftest import Server, Store, constant, info, save, until

SLOW = "/v1/models/slow:predict"


@pytest.fixture
def slow_server(tmp_path, models):
    store = Store(tmp_path / "store")
    store.add(models["slow"], "slow")
    store.add(models["affine"], "affine")
    server = Server(store, "--threads", "1", "--batch", "1", "--queue", "8", "--timeout-ms", "200000")
    yield server
    server.stop()


def ask(server, loops, **headers):
    answer = requests.post(server.url + SLOW, data=json.dumps({"inputs": [loops]}), headers=headers)
    return answer


def occupy(server, n, loops=40000, **headers):
    pool = concurrent.futures.ThreadPoolExecutor(n)
    futures = [pool.submit(ask, server, loops, **headers) for _ in range(n)]
    return pool, futures


def test_no_hope_is_refused_at_once(slow_server):
    for _ in range(3):
        assert ask(slow_server, 40000).status_code == 200  # it knows what a run costs
    pool, futures = occupy(slow_server, 7)
    assert until(lambda: slow_server.metric("slipway_requests_in_flight") >= 6)
    refused = ask(slow_server, 40000, **{"X-Timeout-Ms": "1"})
    assert refused.status_code in (429, 504)
    hopeless = ask(slow_server, 40000, **{"X-Timeout-Ms": "20"})
    assert hopeless.status_code == 429, hopeless.text
    assert "expected wait" in hopeless.json()["error"] and int(hopeless.headers["retry-after"]) >= 1
    assert all(f.result().status_code == 200 for f in futures)
    assert ask(slow_server, 40000, **{"X-Timeout-Ms": "60000"}).status_code == 200
    assert ask(slow_server, 1, **{"X-Timeout-Ms": "never"}).status_code == 400


def test_a_large_batch_is_not_judged_by_single_rows(slow_server):
    for _ in range(3):  # what a row costs alone is known now, mostly the run's own overhead
        assert requests.post(slow_server.url + "/predict/affine", json=[[1, 2, 3, 4]]).status_code == 200
    body = io.BytesIO()
    np.save(body, np.ones((250_000, 4), np.float32))
    answer = requests.post(slow_server.url + "/predict/affine", data=body.getvalue(),
                           headers={"X-Timeout-Ms": "10000", "Accept": "application/x-npy"})
    assert answer.status_code == 200, answer.text
    assert np.load(io.BytesIO(answer.content)).shape == (250_000, 4)


def test_priorities(slow_server):
    assert ask(slow_server, 10, **{"X-Priority": "urgent"}).status_code == 400
    order, lock = [], threading.Lock()

    def one(name, **headers):
        status = ask(slow_server, 100000, **headers).status_code
        with lock:
            order.append((name, status))

    def waiting():
        versions = requests.get(admin + "/admin/models/slow").json()["versions"]
        return versions[0]["waiting"]

    admin = "http://" + slow_server.process.stdout.readline().split("http://")[1].strip()
    threads = [threading.Thread(target=one, args=("first",))]
    threads[0].start()
    for i in range(8):
        threads.append(threading.Thread(target=one, args=("low",), kwargs={"X-Priority": "low"}))
        threads[-1].start()
    assert until(lambda: waiting() >= 6)
    threads.append(threading.Thread(target=one, args=("high",), kwargs={"X-Priority": "high"}))
    threads[-1].start()
    for t in threads:
        t.join()
    statuses = dict.fromkeys(name for name, _ in order)
    assert ("high", 200) in order and set(statuses) == {"first", "low", "high"}
    answered = [name for name, status in order if status == 200]
    assert answered.index("high") < len(answered) - 1  # before low ones that came earlier
    assert all(status in (200, 429) for _, status in order)


def weighty(path, seed, megabytes=4):
    f32 = TensorProto.FLOAT
    side = int((megabytes * (1 << 20) / 4) ** 0.5)
    w = np.random.default_rng(seed).random((side, side), np.float32)
    return save(
        path,
        [helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("ReduceMean", ["h"], ["y"], axes=[1])],
        [info("x", f32, ["N", side])],
        [info("y", f32, ["N", 1])],
        [constant("w", w)],
    ), side


@pytest.fixture
def crowd(tmp_path):
    """Ten models of 4 MB each."""
    store = Store(tmp_path / "store")
    sides = {}
    for i in range(10):
        path, sides[f"m{i}"] = weighty(tmp_path / f"m{i}.onnx", i)
        store.add(path, f"m{i}")
    store.side = sides["m0"]
    return store


def states(server):
    index = server.post("/v2/repository/index").json()
    return {m["name"]: m["state"] for m in index}


def predict(server, model, side):
    return requests.post(
        server.url + f"/v1/models/{model}:predict", data=json.dumps({"instances": [[1.0] * side]})
    )


def test_models_on_demand(crowd):
    crowd.run("policy", "m3", "pin=yes")
    everything = Server(crowd)
    answers = {f"m{i}": predict(everything, f"m{i}", crowd.side).json() for i in range(10)}
    held = everything.metric("slipway_model_bytes") / 10
    everything.stop()
    assert held > 3e6
    server = Server(crowd, "--memory", "40M")
    ready = lambda: sum(s == "READY" for s in states(server).values())
    assert 2 <= ready() <= 9, states(server)  # as many as fit
    if states(server)["m3"] != "READY":
        assert predict(server, "m3", crowd.side).status_code == 200
    for round_ in range(2):
        for i in range(10):
            answer = predict(server, f"m{i}", crowd.side)  # waits while it loads
            assert answer.status_code == 200 and answer.json() == answers[f"m{i}"], answer.text
            assert states(server)["m3"] == "READY" and ready() <= 9
    server.stop()


def test_many_ask_for_what_is_loading(crowd):
    server = Server(crowd, "--memory", "16M")
    asleep = [m for m, s in states(server).items() if s != "READY"]
    assert asleep
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        got = list(pool.map(lambda i: predict(server, asleep[0], crowd.side).status_code, range(16)))
    assert got == [200] * 16
    server.stop()


def test_what_cannot_fit_says_so(crowd):
    server = Server(crowd, "--memory", "1M", "--timeout-ms", "5000")
    answer = predict(server, "m0", crowd.side)
    assert answer.status_code == 503 and "memory budget" in answer.json()["error"]
    server.stop()
