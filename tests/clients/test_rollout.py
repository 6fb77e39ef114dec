# SPDX-License-Identifier: Apache-2.0
"""Splitting traffic: canary, sticky routing, A/B/n, shadows, rollback, the circuit; by CLI, REST and file."""

import collections
import json
import signal
import threading

import numpy as np
import pytest
import requests
from onnx import TensorProto, helper

from conftest import Server, Store, affine, constant, info, save, slow, until

ROW = {"inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP32", "data": [1, 2, 3, 4]}]}
ANSWERS = {1: [1.5, 4, 9, 17], 2: [10, 20, 30, 40], 3: [2, 4, 6, 8]}


def fails(path):
    """Takes what affine takes, and fails at every run: the index lies outside."""
    f32 = TensorProto.FLOAT
    return save(
        path,
        [helper.make_node("Gather", ["x", "at"], ["h"], axis=1), helper.make_node("Mul", ["x", "h"], ["y"])],
        [info("x", f32, ["N", 4])],
        [info("y", f32, ["N", 4])],
        [constant("at", np.array([9, 9, 9, 9], np.int64))],
    )


@pytest.fixture
def shop(tmp_path, models):
    """m@1 (prod), m@2, m@3, and a server that looks often."""
    store = Store(tmp_path / "store")
    store.add(models["affine"], "m")
    store.add(models["affine2"], "m")
    store.add(affine(tmp_path / "third.onnx", factor=(2, 2, 2, 2), offset=(0, 0, 0, 0)), "m")
    store.run("alias", "m@1", "prod")
    server = Server(store, "--poll-ms", "20")
    server.admin = "http://" + server.process.stdout.readline().split("http://")[1].strip()
    yield store, server
    server.stop()


def ask(server, session=requests, **more):
    answer = session.post(server.url + "/v2/models/m/infer", data=json.dumps(ROW), **more)
    assert answer.status_code == 200, answer.text
    version = int(answer.json()["model_version"])
    assert answer.json()["outputs"][0]["data"] == ANSWERS[version]
    return version, answer


def share(server, n=200, **more):
    session = requests.Session()
    return collections.Counter(ask(server, session, **more)[0] for _ in range(n))


def loaded(server, version):
    def there():
        all_ = requests.get(server.admin + "/admin/models/m").json()["versions"]
        return any(v["version"] == version and v["state"] == "ready" for v in all_)

    return until(there)


def test_canary_by_command_line(shop):
    store, server = shop
    assert share(server, 20) == {1: 20}
    store.run("route", "m", "2=25")
    assert until(lambda: share(server, 40)[2] > 0)
    counts = share(server)
    assert counts[2] == pytest.approx(50, abs=2) and counts[1] + counts[2] == 200  # evenly, not by luck
    _, answer = ask(server)
    assert answer.headers["x-model-version"] in "12"
    # whoever names a version or an alias gets it
    exact = requests.post(server.url + "/v2/models/m/versions/1/infer", data=json.dumps(ROW))
    assert exact.json()["model_version"] == "1"
    store.run("route", "m", "--clear")
    assert until(lambda: share(server, 40) == {1: 40})
    assert "x-model-version" not in ask(server)[1].headers
    assert json.loads(store.run("route", "m", "--json").stdout) == {}


def test_sticky(shop):
    store, server = shop
    store.run("route", "m", "2=30", "3=30", "--sticky", "header:x-user")
    assert loaded(server, 2) and loaded(server, 3) and until(lambda: len(share(server, 40)) == 3)
    where = {u: ask(server, headers={"X-User": f"u{u}"})[0] for u in range(150)}
    assert len(set(where.values())) == 3
    for u in range(0, 150, 7):
        assert ask(server, headers={"X-User": f"u{u}"})[0] == where[u]
    # the last share grows: nobody who was away from stable comes back to it or changes sides
    store.run("route", "m", "2=30", "3=60")
    grown = lambda: [ask(server, headers={"X-User": f"u{u}"})[0] for u in range(150) if where[u] == 1]
    assert until(lambda: 3 in grown())
    for u in range(150):
        now = ask(server, headers={"X-User": f"u{u}"})[0]
        assert now == where[u] or (where[u] == 1 and now == 3)
    store.run("route", "m", "--sticky", "cookie:session")
    assert until(lambda: len({ask(server, headers={"X-User": "u1"})[0] for _ in range(20)}) > 1)
    assert len({ask(server, headers={"Cookie": "a=b; session=zz; c=d"})[0] for _ in range(20)}) == 1
    store.run("route", "m", "--sticky", "field:user")
    body = lambda user: json.dumps({**ROW, "parameters": {"user": user}})
    post = lambda user: requests.post(server.url + "/v2/models/m/infer", data=body(user)).json()["model_version"]
    assert until(lambda: len({post("a") for _ in range(20)}) == 1)
    assert len({post(f"user-{i}") for i in range(40)}) == 3


def test_a_share_waits_for_its_version(shop, tmp_path):
    store, server = shop
    broken = store.run("route", "m", "9=10", check=False)
    assert broken.returncode == 66 and "no version 9" in broken.stderr
    for wrong in (["2=80", "3=30"], ["2=x"], ["2=10", "2=10"], ["2=101"]):
        assert store.run("route", "m", *wrong, check=False).returncode in (64, 65)
    assert share(server, 20) == {1: 20}


def test_shadow(shop):
    store, server = shop
    store.run("route", "m", "--shadow", "2")
    assert loaded(server, 2)
    metric = lambda result: server.metric("slipway_shadow_total", model="m", version="1", shadow="2", result=result)
    assert until(lambda: share(server, 5) == {1: 5} and metric("different") > 0)
    before = metric("different") + metric("skipped")
    assert share(server, 50) == {1: 50}  # its answers are never sent
    assert until(lambda: metric("different") + metric("skipped") >= before + 50)  # those before may still be compared
    assert metric("same") == 0 and metric("failed") == 0
    versions = lambda: requests.get(server.admin + "/admin/models/m").json()["versions"]
    assert until(lambda: next(v for v in versions() if v["version"] == 2)["shadow"]["different"] == metric("different"))
    store.run("alias", "m@2", "old")
    requests.put(server.admin + "/admin/models/m/route", data='{"shadow": {"version": 1, "relative": 10}}')
    store.run("alias", "m@2", "prod")  # 1 beside 2, and almost anything is the same
    assert until(lambda: share(server, 5) == {2: 5} and server.metric("slipway_shadow_total", result="same") > 0)


def test_rest_and_history(shop):
    store, server = shop
    url = server.admin + "/admin/models/m"
    answer = requests.put(url + "/route", data='{"arms": [{"version": 2, "percent": 50}]}')
    assert answer.status_code == 200, answer.text
    assert requests.get(url + "/route").json()["arms"] == [{"version": 2, "percent": 50}]
    assert until(lambda: len(share(server, 20)) == 2)
    assert requests.delete(url + "/route").status_code == 200 and until(lambda: len(share(server, 20)) == 1)
    assert requests.put(url + "/aliases/prod", data='{"version": 3}').status_code == 200
    assert until(lambda: share(server, 5) == {3: 5})
    assert requests.post(url + "/rollback").json() == {"alias": "prod", "version": 1}
    assert share(server, 20) == {1: 20}  # at once: nothing to wait for
    events = requests.get(url + "/log").json()
    assert [v["what"] for v in events[:4]] == ["rollback", "alias", "route", "route"]
    assert all(v["who"].startswith("admin:127.0.0.1:") for v in events[:4])
    assert events[2]["note"] == "none" and json.loads(events[3]["note"])["arms"][0]["version"] == 2
    assert "admin:127.0.0.1" in store.run("log", "m").stdout and "cli:" in store.run("log", "m").stdout
    for path, body, status in (
        ("/admin/models/m/route", '{"arms": [{"version": 7, "percent": 1}]}', 404),
        ("/admin/models/m/route", '{"legs": []}', 400),
        ("/admin/models/m/route", "", 400),
        ("/admin/models/m/policy", '{"weight": -1}', 400),
        ("/admin/models/none/policy", '{"weight": 2}', 404),
        ("/admin/models/m/aliases/prod", "{}", 400),
    ):
        assert requests.put(server.admin + path, data=body).status_code == status, path
    warned = requests.put(url + "/policy", data='{"draft": "small"}').json()["warning"]  # it may come later
    assert warned.startswith("draft: no model 'small' in the store;"), warned
    done = store.run("policy", "m", "draft=small@2")
    assert "warning: draft: no model 'small'" in done.stderr and '"draft":"small@2"' in done.stdout
    assert requests.put(url + "/policy", data='{"draft": "none"}').json() == {}
    assert requests.delete(url + "/policy").json() == {}
    assert requests.get(server.url + "/admin/models").status_code == 404  # not where the world asks


def test_file(shop, tmp_path):
    store, server = shop
    wanted = tmp_path / "wanted.json"
    wanted.write_text(
        json.dumps(
            {
                "models": {
                    "m": {
                        "aliases": {"prod": 2, "next": 3},
                        "route": {"arms": [{"version": 3, "percent": 50}]},
                        "policy": {"weight": 2},
                    }
                }
            }
        )
    )
    said = store.run("apply", str(wanted), "--dry-run").stdout
    assert "alias prod: 1 -> 2" in said and "4 changes would be made" in said
    assert share(server, 10) == {1: 10}
    assert "4 changes" in store.run("apply", str(wanted)).stdout
    assert until(lambda: set(share(server, 20)) == {2, 3})
    assert "0 changes" in store.run("apply", str(wanted)).stdout
    wanted.write_text('{"models": {"m": {"aliases": {"next": null}, "route": null}, "x": {"policy": {}}}}')
    assert store.run("apply", str(wanted), check=False).returncode == 66  # as a whole, or not at all
    assert len(share(server, 20)) == 2
    answer = requests.post(server.admin + "/admin/apply", data='{"models": {"m": {"route": null}}}')
    assert answer.json()["changes"] == [{"model": "m", "change": "route: none"}]
    assert until(lambda: share(server, 10) == {2: 10})


def test_split_survives_a_restart(shop):
    store, server = shop
    store.run("route", "m", "2=40", "--sticky", "header:x-user")
    assert until(lambda: len(share(server, 20)) == 2)
    before = [ask(server, headers={"X-User": str(u)})[0] for u in range(40)]
    again = Server(store)
    assert [ask(again, headers={"X-User": str(u)})[0] for u in range(40)] == before
    again.stop()


def test_a_failing_version_goes_back_by_itself(shop, tmp_path):
    store, server = shop
    store.add(fails(tmp_path / "fails.onnx"), "m")
    store.run("alias", "m@4", "prod")
    codes = []

    def back():
        codes.append(requests.post(server.url + "/v2/models/m/infer", data=json.dumps(ROW)))
        return codes[-1].status_code != 200

    assert until(back)
    failed = 0
    while requests.post(server.url + "/v2/models/m/infer", data=json.dumps(ROW)).status_code != 200:
        failed += 1
        assert failed < 20
    assert share(server, 20) == {1: 20}
    assert until(lambda: json.loads(store.run("log", "m", "--json").stdout)[0]["who"] == "circuit")
    event = json.loads(store.run("log", "m", "--json").stdout)[0]
    assert event["what"] == "rollback" and event["version"] == 1 and "in a row failed" in event["note"]
    # the same as a canary: its share goes, stable answers
    store.run("route", "m", "4=50")
    for _ in range(100):
        requests.post(server.url + "/v2/models/m/infer", data=json.dumps(ROW))
    assert until(lambda: json.loads(store.run("route", "m", "--json").stdout) == {})
    assert share(server, 20) == {1: 20}
    store.run("alias", "m@4", "prod")  # a person insists
    assert until(back)


def test_changes_under_load_fail_nothing(shop):
    store, server = shop
    stop, wrong, counts = threading.Event(), [], collections.Counter()

    def hammer():
        session = requests.Session()
        while not stop.is_set():
            try:
                counts[ask(server, session)[0]] += 1
            except Exception as problem:  # noqa: BLE001
                wrong.append(repr(problem))

    threads = [threading.Thread(target=hammer) for _ in range(4)]
    for t in threads:
        t.start()
    for turn in range(4):
        requests.put(
            server.admin + "/admin/models/m/route",
            data=json.dumps({"arms": [{"version": 2 + turn % 2, "percent": 50}], "shadow": {"version": 3}}),
        ).raise_for_status()
        seen = counts[2 + turn % 2]
        assert until(lambda: counts[2 + turn % 2] > seen + 5)
        store.run("alias", f"m@{1 + turn % 3}", "prod")
        requests.post(server.admin + "/admin/models/m/rollback")
        requests.delete(server.admin + "/admin/models/m/route")
    stop.set()
    for t in threads:
        t.join()
    assert not wrong, wrong[:3]


def test_rollback_is_at_once_however_often(shop):
    store, server = shop
    store.run("alias", "m@3", "prod")
    assert until(lambda: share(server, 5) == {3: 5})
    for turn in range(6):
        requests.post(server.admin + "/admin/models/m/rollback").raise_for_status()
        assert share(server, 5) == {1 if turn % 2 == 0 else 3: 5}  # nobody waits for a look at the store


def cpu_ticks(process):
    fields = open(f"/proc/{process.pid}/stat").read().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def test_a_version_that_takes_the_server_down_is_not_loaded_again(tmp_path):
    """Three servers die of a fault while version 2 runs; the fourth goes back to version 1 by itself, and a person may insist."""
    store = Store(tmp_path / "store")
    for name in ("one", "two"):
        store.add(slow(tmp_path / f"{name}.onnx"), "m")
    store.run("alias", "m@1", "prod")
    store.run("alias", "m@2", "prod")
    ask = lambda n: json.dumps({"inputs": [{"name": "n", "shape": [1], "datatype": "INT64", "data": [n]}]})

    def version(server):
        return requests.post(server.url + "/v2/models/m/infer", data=ask(1)).json().get("model_version")

    for _ in range(3):
        server = Server(store, "--poll-ms", "20", "--allow-control")
        assert version(server) == "2"
        before = cpu_ticks(server.process)
        client = threading.Thread(target=lambda: pytest.raises(requests.ConnectionError, requests.post, server.url + "/v2/models/m/infer", data=ask(900_000)))
        client.start()
        assert until(lambda: cpu_ticks(server.process) > before + 20)  # it runs
        server.process.send_signal(signal.SIGSEGV)
        assert server.process.wait() == -signal.SIGSEGV
        client.join()
    server = Server(store, "--poll-ms", "20", "--allow-control")
    assert until(lambda: version(server) == "1")
    last = lambda: json.loads(store.run("log", "m", "--json").stdout)[0]
    assert until(lambda: last()["who"] == "circuit")  # traffic goes back first, then the store is told
    event = last()
    assert event["what"] == "rollback" and "died" in event["note"]
    requests.post(server.url + "/v2/repository/models/m/load").raise_for_status()
    store.run("alias", "m@2", "prod")
    assert until(lambda: version(server) == "2")
    server.stop()
