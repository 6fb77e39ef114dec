# SPDX-License-Identifier: Apache-2.0
"""Keys with scopes, models and quotas; the admin listener; CORS; trace context; nothing leaks into logs."""

import concurrent.futures
import json
import socket
import threading
import time

import pytest
import requests

from conftest import BINARY, Server, Store, until

ROW = '{"instances": [[1, 2, 3, 4]]}'
PREDICT = "/v1/models/affine:predict"


def admin_of(server):
    line = server.process.stdout.readline()
    assert line.startswith("admin API on http://"), line
    return "http://" + line.split("http://")[1].strip()


@pytest.fixture
def own(tmp_path, models):
    store = Store(tmp_path / "store")
    store.add(models["affine"], "affine")
    store.add(models["pair"], "pair")
    store.add(models["slow"], "slow")
    return store


def bearer(key):
    return {"Authorization": "Bearer " + key}


def test_scopes_and_models(own):
    web = own.run("key", "add", "web", "--model", "aff*").stdout.strip()
    look = own.run("key", "add", "look", "--scope", "read").stdout.strip()
    ops = json.loads(own.run("key", "add", "ops", "--scope", "admin", "--json").stdout)["key"]
    assert web.startswith("sk-") and len({web, look, ops}) == 3
    assert own.run("key", "add", "web", check=False).returncode == 73
    server = Server(own, "--access-log", "--log", "debug", "--poll-ms", "20")
    admin = admin_of(server)
    post = lambda key, path=PREDICT: requests.post(server.url + path, data=ROW, headers=bearer(key)).status_code
    get = lambda key, path, base=None: requests.get((base or server.url) + path, headers=bearer(key)).status_code
    assert post("wrong") == 403 and post(web) == 200 and post(look) == 403 and post(ops) == 200
    assert requests.post(server.url + PREDICT, data=ROW).status_code == 401
    assert post(web, "/v1/models/pair:predict") == 403  # the path names the model
    pair = '{"model": "pair"}'
    assert get(web, "/v2/models/affine") == 200 and get(web, "/v2/models/pair") == 403
    assert get(look, "/metrics") == 200 and get(web, "/metrics") == 403 and get(look, "/v2/models/pair") == 200
    assert get(ops, "/admin/models", admin) == 200
    assert get(look, "/admin/models", admin) == 403 and get(web, "/admin/keys", admin) == 403
    assert requests.get(admin + "/admin/models").status_code == 401
    assert get(ops, "/healthz") == 200 and requests.get(server.url + "/healthz").status_code == 200
    # loading is changing
    unload = "/v2/repository/models/pair/unload"
    assert requests.post(admin + unload, headers=bearer(web)).status_code == 403
    assert requests.post(admin + unload, headers=bearer(ops)).status_code == 200
    # by REST, and followed by the running server
    made = requests.post(
        admin + "/admin/keys", headers=bearer(ops), data='{"name": "b", "rights": {"scopes": ["predict"]}}'
    ).json()
    assert until(lambda: post(made["key"]) == 200)
    assert requests.delete(admin + "/admin/keys/b", headers=bearer(ops)).status_code == 200
    assert until(lambda: post(made["key"]) == 403)
    own.run("key", "revoke", "web")
    assert until(lambda: post(web) == 403)
    listed = requests.get(admin + "/admin/keys", headers=bearer(ops)).json()
    assert {k["name"]: "revoked" in k for k in listed} == {"b": True, "look": False, "ops": False, "web": True}
    events = requests.get(admin + "/admin/log", headers=bearer(ops)).json()
    assert [(v["what"], v["alias"]) for v in events[:3]] == [("key-revoke", "web"), ("key-revoke", "b"), ("key-add", "b")]
    assert events[1]["who"] == "key:ops" and events[0]["who"].startswith("cli:")
    _, err = server.stop()
    lines = [json.loads(line) for line in err.splitlines() if line.startswith("{")]
    assert any(line.get("key") == "web" and line["status"] == 200 for line in lines)
    for secret in (web, look, ops, made["key"], "wrong"):
        assert secret not in err
        assert secret not in own.run("key", "list", "--json").stdout + own.run("log").stdout
    for path in own_files(own):
        assert web.encode() not in path.read_bytes()


def own_files(store):
    import pathlib

    return [p for p in pathlib.Path(store.folder).glob("store.db*") if p.is_file()]


def test_the_last_key_opens_nothing(own):
    key = own.run("key", "add", "only").stdout.strip()
    own.run("key", "revoke", "only")
    server = Server(own)
    assert requests.post(server.url + PREDICT, data=ROW).status_code == 401
    assert requests.post(server.url + PREDICT, data=ROW, headers=bearer(key)).status_code == 403
    server.stop()


def test_first_key_is_followed(own):
    server = Server(own, "--poll-ms", "20")
    assert requests.post(server.url + PREDICT, data=ROW).status_code == 200
    key = own.run("key", "add", "first").stdout.strip()
    assert until(lambda: requests.post(server.url + PREDICT, data=ROW).status_code == 401)
    assert requests.post(server.url + PREDICT, data=ROW, headers=bearer(key)).status_code == 200
    server.stop()


def test_quotas(own):
    slow = own.run("key", "add", "slow", "--rate", "5").stdout.strip()
    one = own.run("key", "add", "one", "--concurrency", "1").stdout.strip()
    server = Server(own)
    got = [requests.post(server.url + PREDICT, data=ROW, headers=bearer(slow)) for _ in range(12)]
    codes = [a.status_code for a in got]
    assert codes.count(200) >= 5 and 429 in codes
    refused = next(a for a in got if a.status_code == 429)
    assert "5 requests a second" in refused.json()["error"] and int(refused.headers["retry-after"]) >= 1
    body = json.dumps({"inputs": [20000]})
    ask = lambda _: requests.post(server.url + "/v1/models/slow:predict", data=body, headers=bearer(one)).status_code
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        codes = list(pool.map(ask, range(8)))
    assert set(codes) == {200, 429}
    assert ask(0) == 200  # what was in flight is over
    server.stop()


def test_admin_listener(own):
    server = Server(own)
    admin = admin_of(server)
    assert admin.startswith("http://127.0.0.1:")
    assert requests.get(admin + "/admin/models").status_code == 200
    assert requests.get(admin + "/metrics").status_code == 200
    assert requests.get(server.url + "/admin/models").status_code == 404
    # control is allowed there without a flag
    assert requests.post(server.url + "/v2/repository/models/pair/unload").status_code == 503
    assert requests.post(admin + "/v2/repository/models/pair/unload").status_code == 200
    server.stop()
    off = Server(own, "--admin", "off")
    assert off.stop()[0] == 0
    refused = own.run("serve", "--listen", "127.0.0.1:0", "--admin", "0.0.0.0:0", check=False)
    assert refused.returncode == 77 and "needs keys" in refused.stderr
    own.run("key", "add", "ops", "--scope", "admin")
    wide = Server(own, "--admin", "0.0.0.0:0")
    assert requests.get(admin_of(wide).replace("0.0.0.0", "127.0.0.1") + "/admin/models").status_code == 401
    wide.stop()


def test_cors(own):
    server = Server(own, "--cors", "https://a.example,https://b.example")
    own.run("key", "add", "web")
    ask = {"Origin": "https://b.example", "Access-Control-Request-Method": "POST"}
    answer = requests.options(
        server.url + PREDICT, headers={**ask, "Access-Control-Request-Headers": "authorization,content-type"}
    )
    assert answer.status_code == 204  # without a key: browsers send none with it
    assert answer.headers["access-control-allow-origin"] == "https://b.example"
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert answer.headers["access-control-allow-headers"] == "authorization,content-type"
    answer = requests.post(server.url + PREDICT, data=ROW, headers={"Origin": "https://a.example"})
    assert answer.headers["access-control-allow-origin"] == "https://a.example" and answer.headers["vary"] == "Origin"
    answer = requests.post(server.url + PREDICT, data=ROW, headers={"Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in answer.headers
    server.stop()


def test_trace_context(own):
    server = Server(own)
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    answer = requests.post(server.url + PREDICT, data=ROW, headers={"traceparent": parent})
    ours = answer.headers["traceparent"]
    assert ours[:36] == parent[:36] and ours[36:52] != parent[36:52] and ours.endswith("-01") and len(ours) == 55
    answer = requests.post(server.url + PREDICT, data=ROW, headers={"traceparent": "00-junk", "X-Request-Id": "q"})
    assert "traceparent" not in answer.headers and answer.headers["x-request-id"] == "q"
    server.stop()
