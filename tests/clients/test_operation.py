# SPDX-License-Identifier: Apache-2.0
"""Running it: health, metrics, documents, request ids, overload, draining, moving an alias under load, keys."""

import concurrent.futures
import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
import requests

from conftest import Server, Store, until


def test_health(server):
    for path in ("/healthz", "/livez", "/readyz", "/ping"):
        assert server.get(path).status_code == 200
    assert server.get("/ping").json() == {"status": "Healthy"}
    head = requests.head(server.url + "/readyz")
    assert head.status_code == 200 and head.content == b""


def test_metrics(server):
    server.post("/v1/models/affine:predict", data='{"instances": [[1, 2, 3, 4]]}')
    before = server.metric("slipway_requests_total", model="affine", version="1", protocol="tfserving", code="200")
    for _ in range(3):
        server.post("/v1/models/affine:predict", data='{"instances": [[1, 2, 3, 4]]}')
    assert (
        server.metric("slipway_requests_total", model="affine", version="1", protocol="tfserving", code="200")
        == before + 3
    )
    text = server.get("/metrics").text
    assert server.get("/monitoring/prometheus/metrics").status_code == 200
    assert server.get("/metrics").headers["content-type"].startswith("text/plain; version=0.0.4")
    for name in (
        "slipway_build_info",
        "slipway_request_duration_seconds_bucket",
        "slipway_queue_wait_seconds_sum",
        "slipway_compute_seconds_count",
        "slipway_batch_rows_bucket",
        "slipway_queue_depth",
        "slipway_model_bytes",
        "slipway_connections",
        "process_cpu_seconds_total",
        "process_resident_memory_bytes",
        "process_open_fds",
        "process_start_time_seconds",
    ):
        assert name in text, name
    check_exposition(text)


def check_exposition(text):
    """What a scraper's parser insists on."""
    families, family, kind = set(), None, None
    for line in text.splitlines():
        if line.startswith("# HELP "):
            family = line.split()[2]
            assert family not in families, family
            families.add(family)
        elif line.startswith("# TYPE "):
            assert line.split()[2] == family
            kind = line.split()[3]
        else:
            name = line.split("{")[0].split(" ")[0]
            assert (
                name == family
                or kind == "histogram"
                and name in (family + "_bucket", family + "_sum", family + "_count")
            ), line
            float(line.rsplit(" ", 1)[1])
    assert text.endswith("\n")


def test_process_start_time(server):
    assert abs(server.metric("process_start_time_seconds") - time.time()) < 3600


def test_documents(server):
    page = server.get("/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8" and "Slipway" in page.text
    assert (
        "http://" not in page.text.replace("http://www.w3.org", "") and "https://" not in page.text
    )  # nothing from elsewhere
    page = requests.get(server.url + "/", allow_redirects=False, headers={"Accept": "text/html"})
    assert page.headers["location"] == "/docs" and requests.get(server.url).json()["status"] == "alive"
    api = server.get("/openapi.json").json()
    assert api["openapi"] == "3.1.0" and "/v2/models/{model}/infer" in api["paths"]
    schema = api["paths"]["/predict/pair"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert schema["required"] == ["a", "b"] and schema["properties"]["a"]["items"]["maxItems"] == 2


def test_pages_are_compressed_answers_are_not(server):
    assert server.get("/openapi.json", headers={"Accept-Encoding": "gzip, br"}).headers["content-encoding"] == "gzip"
    body = json.dumps({"inputs": [[1, 2, 3]] * 200})
    assert (
        "content-encoding"
        not in server.post("/v1/models/many:predict", data=body, headers={"Accept-Encoding": "gzip, deflate"}).headers
    )
    assert (
        server.post("/v1/models/many:predict", data=body, headers={"Accept-Encoding": "gzip"}).headers[
            "content-encoding"
        ]
        == "gzip"
    )


def test_request_ids(server):
    assert server.get("/healthz", headers={"X-Request-Id": "abc-1"}).headers["x-request-id"] == "abc-1"
    first, second = (server.get("/healthz").headers["x-request-id"] for _ in range(2))
    assert first != second and len(first) == 16
    assert server.get("/healthz", headers={"X-Request-Id": "x" * 200}).headers["x-request-id"] != "x" * 200
    assert server.get("/nothing", headers={"X-Request-Id": "abc-2"}).headers["x-request-id"] == "abc-2"


def test_unknown_paths_and_methods(server):
    answer = server.get("/nothing")
    assert answer.status_code == 404 and "/nothing" in answer.json()["error"]
    answer = requests.request("DELETE", server.url + "/metrics")
    assert answer.status_code == 405 and answer.headers["allow"] == "GET, HEAD, OPTIONS"
    answer = requests.options(server.url + "/predict/affine")
    assert answer.status_code == 204 and answer.headers["allow"] == "GET, HEAD, POST, OPTIONS"
    answer = requests.post(server.url + "/nothing", data=b"x" * 500_000)
    assert answer.status_code == 404


def test_access_log(store):
    server = Server(store, "--access-log", "--slow-ms", "1")
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    server.post(
        "/v1/models/affine:predict",
        data='{"instances": [[1, 2, 3, 4]]}',
        headers={"X-Request-Id": "log-1", "traceparent": trace},
    )
    server.post("/v1/models/affine:predict", data="{", headers={"X-Request-Id": "log-2"})
    server.post("/v1/models/slow:predict", data='{"inputs": [2000]}', headers={"X-Request-Id": "log-3"})
    server.get("/healthz", headers={"X-Request-Id": "log-4"})
    _, err = server.stop()
    lines = [json.loads(line) for line in err.splitlines() if line.startswith("{")]
    seen = {line["id"]: line for line in lines if "bytes_in" in line}
    one = seen["log-1"]
    assert (
        one["status"] == 200 and one["model"] == "affine" and one["version"] == 1 and one["protocol"] == "tfserving"
    )
    assert (
        one["traceparent"].startswith(trace[:36])
        and one["traceparent"] != trace  # a span of our own, in the client's trace
        and one["batch"] == 1
        and one["compute_ms"] <= one["ms"]
        and one["path"] == "/v1/models/affine:predict"
    )
    assert seen["log-2"]["status"] == 400 and "line 1 column" in seen["log-2"]["error"]
    assert "log-4" not in seen  # probes are quiet
    slow = [line for line in lines if line.get("message") == "slow request"]
    assert any(line["id"] == "log-3" for line in slow)


def test_overload(store):
    server = Server(store, "--queue", "4", "--threads", "1", "--batch", "1", "--timeout-ms", "300000")
    body = json.dumps({"inputs": [10000]})

    def one(_):
        answer = requests.post(server.url + "/v1/models/slow:predict", data=body)
        return answer.status_code, answer.headers.get("retry-after"), answer.text

    with concurrent.futures.ThreadPoolExecutor(24) as pool:
        got = list(pool.map(one, range(24)))
    codes = [code for code, _, _ in got]
    assert set(codes) == {200, 429}, codes
    assert codes.count(200) >= 4
    assert all(after == "1" and "queue size" in text for code, after, text in got if code == 429)
    assert until(lambda: server.metric("slipway_requests_total", model="slow", code="429") == codes.count(429))
    assert server.get("/readyz").status_code == 200
    server.stop()


def test_timeout(store):
    server = Server(store, "--timeout-ms", "50")
    answer = server.post("/v1/models/slow:predict", data='{"inputs": [900000]}')
    assert answer.status_code == 504, answer.text
    server.stop()


def test_client_that_leaves_is_dropped(store):
    import socket

    server = Server(store, "--threads", "1", "--batch", "1")
    body = b'{"inputs": [200000]}'
    head = f"POST /v1/models/slow:predict HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    leavers = []
    for _ in range(6):
        s = socket.create_connection((server.host, server.port))
        s.sendall(head + body)
        leavers.append(s)
    assert until(lambda: server.metric("slipway_requests_in_flight") >= 6)
    for s in leavers:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")  # reset
        s.close()
    assert server.post("/v1/models/slow:predict", data='{"inputs": [10]}').status_code == 200
    failed = lambda: server.get("/v2/models/slow/stats").json()["model_stats"][0]["inference_stats"]["fail"]["count"]
    assert until(lambda: failed() >= 4), failed()
    server.stop()


def test_draining_finishes_what_is_in_flight(store):
    server = Server(store, "--timeout-ms", "200000", "--drain-ms", "100000")
    got = []

    def long():
        got.append(requests.post(server.url + "/v1/models/slow:predict", data='{"inputs": [100000]}'))

    idle = requests.Session()
    idle.get(server.url + "/healthz")
    thread = threading.Thread(target=long)
    thread.start()
    assert until(lambda: server.metric("slipway_requests_in_flight") >= 1 or got)
    server.process.send_signal(signal.SIGTERM)
    thread.join()
    assert got[0].status_code == 200 and got[0].json()["outputs"] == 100000
    code, _ = server.stop()
    assert code == 0


def test_lame_duck(store):
    server = Server(store, "--lame-ms", "2500")  # long enough for three requests on a busy machine
    server.process.send_signal(signal.SIGTERM)
    assert until(lambda: requests.get(server.url + "/readyz").status_code == 503, 2)
    assert requests.post(server.url + "/predict/affine", data="[1,2,3,4]").status_code == 200  # still taken
    assert requests.get(server.url + "/livez").status_code == 200
    code, _ = server.stop(wait=10)
    assert code == 0


def refuses(server):
    """It has heard the signal: no new connections."""
    try:
        return requests.get(server.url + "/readyz", timeout=5).status_code == 503
    except requests.RequestException:
        return True


def test_second_signal_stops_at_once(store):
    server = Server(store, "--threads", "1")
    cut = []

    def long():
        try:
            cut.append(requests.post(server.url + "/v1/models/slow:predict", data='{"inputs": [900000]}'))
        except requests.RequestException as problem:
            cut.append(problem)

    thread = threading.Thread(target=long)
    thread.start()
    assert until(lambda: server.metric("slipway_requests_in_flight") >= 1)
    server.process.send_signal(signal.SIGINT)
    assert until(lambda: refuses(server))
    assert server.process.poll() is None and not cut  # the first signal waits for what is in flight
    server.stop(signal.SIGINT)
    thread.join()
    assert isinstance(cut[0], requests.RequestException)  # it was not waited for


def test_alias_moves_under_load(tmp_path, models):
    store = Store(tmp_path / "swap")
    store.add(models["affine"], "m")
    store.add(models["affine2"], "m")
    store.run("alias", "m@1", "prod")
    server = Server(store)
    stop, counts, wrong = threading.Event(), {"1": 0, "2": 0}, []

    def hammer():
        session = requests.Session()
        while not stop.is_set():
            answer = session.post(
                server.url + "/v2/models/m/infer",
                data=json.dumps(
                    {"inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP32", "data": [1, 2, 3, 4]}]}
                ),
            )
            good = (
                answer.status_code == 200
                and answer.json()["outputs"][0]["data"]
                == {"1": [1.5, 4, 9, 17], "2": [10, 20, 30, 40]}[answer.json()["model_version"]]
            )
            if good:
                counts[answer.json()["model_version"]] += 1
            else:
                wrong.append(answer.text)

    threads = [threading.Thread(target=hammer) for _ in range(4)]
    for t in threads:
        t.start()
    for turn in range(6):
        time.sleep(0.4)
        store.run("alias", f"m@{2 - turn % 2}", "prod")
        wanted = str(2 - turn % 2)
        seen = counts[wanted]
        assert until(lambda: counts[wanted] > seen + 5), (turn, counts)
    store.add(models["affine"], "other")  # a new model appears without a restart
    assert until(lambda: server.get("/v2/models/other/ready").status_code == 200)
    stop.set()
    for t in threads:
        t.join()
    assert not wrong, wrong[:3]
    assert counts["1"] and counts["2"]
    server.stop()


def test_keys(tmp_path, store):
    keys = tmp_path / "keys"
    keys.write_text("# one\nsecret\n")
    server = Server(store, "--key-file", str(keys))
    for path in ("/healthz", "/v2/health/ready", "/docs"):
        assert requests.get(server.url + path).status_code == 200
    for path in ("/predict", "/metrics", "/v2/models/affine"):
        answer = requests.get(server.url + path)
        assert answer.status_code == 401 and answer.headers["www-authenticate"] == "Bearer", path
        assert requests.get(server.url + path, headers={"Authorization": "Bearer wrong"}).status_code == 403
        assert requests.get(server.url + path, headers={"Authorization": "Bearer secret"}).status_code == 200
    server.stop()


def test_control_is_off_by_default(store):
    server = Server(store)
    answer = server.post("/v2/repository/models/pair/unload")
    assert answer.status_code == 503 and "--allow-control" in answer.json()["error"]
    assert server.get("/v2/models/pair/ready").status_code == 200
    server.stop()


def test_several_loops(store):
    server = Server(store, "--loops", "3")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        got = list(
            pool.map(lambda _: requests.post(server.url + "/predict/affine", data="[1,2,3,4]").status_code, range(64))
        )
    assert got == [200] * 64
    assert server.metric("slipway_requests_total", model="affine", protocol="predict", code="200") == 64
    code, _ = server.stop()
    assert code == 0


@pytest.fixture
def noise():
    """More busy programs than cores."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() + 1)]
    yield
    for process in busy:
        process.kill()
        process.wait()


def test_beside_busy_neighbours(store, noise):
    """Predictions, brief ones and of several rows, pages and metrics are all answered: nothing waits for a core that others have."""
    server = Server(store)
    paths = ["/metrics", "/docs", "/openapi.json", "/v1/models/affine", "/v2/models/affine/stats", "/readyz"]

    def ask(k):
        with requests.Session() as client:
            if k % 3 == 0:
                return client.get(server.url + paths[k // 3 % len(paths)], timeout=10).status_code
            rows = [[1, 2, 3, 4]] * (1 if k % 3 == 1 else 500)
            answer = client.post(server.url + "/v1/models/affine:predict", json={"instances": rows}, timeout=10)
            return answer.status_code if answer.json()["predictions"] == [[1.5, 4, 9, 17]] * len(rows) else answer.text

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(150))) == [200] * 150
    assert server.stop()[0] == 0


def test_the_table_of_files_is_made_at_the_start(store):
    """A table that grows later stops the loop for as long as all processors take to notice."""
    server = Server(store, "--max-connections", "3000")
    status = dict(line.split(":", 1) for line in open(f"/proc/{server.process.pid}/status").read().splitlines())
    limit = int(open(f"/proc/{server.process.pid}/limits").read().split("Max open files")[1].split()[1])
    server.stop()
    assert int(status["FDSize"]) >= min(3000, limit)
