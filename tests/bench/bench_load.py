"""Behaviour under load, each with one line of JSON (docs/measurements/wire.md):

    overload   ten times as many requests as it can answer: how fast the rest is refused, what is still answered, memory
    thousand   1,000 registered models, 100 of them loaded: latency as with one
    rollback   from the request for it to the last question the version still got
    tensors    1 MB in and out, beside a program that only copies as much
    batching   ResNet-50, 8 clients at once, against the same engine called in a loop at batch 1

Usage: python tests/bench/bench_load.py overload|thousand|rollback|tensors|batching [--seconds 60]"""
import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import urllib.request

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tests", "models"))
sys.path.insert(0, os.path.join(ROOT, "tests", "clients"))
import conftest  # noqa: E402
import fetch  # noqa: E402
from load import open_load  # noqa: E402

SLIPWAY = os.environ.get("SLIPWAY", os.path.join(ROOT, "build", "slipway"))


class Server:
    def __init__(self, store, *flags):
        self.process = subprocess.Popen([SLIPWAY, "serve", "--store", store, "--listen", "127.0.0.1:0", "--quiet", *flags],
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.url = self.process.stdout.readline().split()[-1]
        self.admin = self.process.stdout.readline().split()[-1]

    def resident(self):
        return int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{self.process.pid}/status").read()).group(1)) * 1024

    def close(self):
        self.process.terminate()
        self.process.wait()


def add(store, path, name):
    subprocess.run([SLIPWAY, "add", str(path), name, "--store", store], check=True, stdout=subprocess.DEVNULL)


def percentile(values, p):
    return sorted(values)[min(len(values) - 1, int(len(values) * p))] if values else 0


def overload(a, tmp):
    """A model of some 20 ms a run, one core each. Peak: closed loop, 8 at a time; then ten times that, open loop."""
    path = conftest.slow(pathlib.Path(tmp) / "slow.onnx")
    store = f"{tmp}/store"
    add(store, path, "slow")
    server = Server(store, "--queue", "32", "--timeout-ms", "2000")
    url = server.url + "/v1/models/slow:predict"

    def cost(loops):
        best = 9.0
        for _ in range(5):
            began = time.monotonic()
            urllib.request.urlopen(url, data=json.dumps({"inputs": [loops]}).encode()).read()
            best = min(best, time.monotonic() - began)
        return best

    body = json.dumps({"inputs": [int(4000 * 0.02 / cost(4000))]})
    peak = wrk(url, body, 8, 8)["rate"]
    before = server.resident()
    got = open_load(url, body, 10 * peak, a.seconds, 400)
    after, peak_after = server.resident(), wrk(url, body, 8, 8)["rate"]
    server.close()
    mean = (peak + peak_after) / 2
    return {"peak_per_s": round(peak, 1), "peak_after_per_s": round(peak_after, 1), "goodput_of_peak": round(got["200"]["per_s"] / mean, 3),
            "by_status": got, "resident_before": before, "resident_after": after}


def wrk(url, body, seconds, connections):
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as f:
        f.write(f"wrk.method='POST'\nwrk.body=[==[{body}]==]\nwrk.headers['Content-Type']='application/json'\n")
        f.flush()
        return wrk_figures(subprocess.run(["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", f.name, url],
                                          capture_output=True, text=True).stdout)


def wrk_figures(out):
    times = {p: re.search(rf"{p}%\s+([\d.]+)(us|ms|s)", out) for p in ("50", "99")}
    ms = {p: float(m.group(1)) * {"us": 1e-3, "ms": 1, "s": 1e3}[m.group(2)] for p, m in times.items()}
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    return {"rate": float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1)), "p50_ms": ms["50"], "p99_ms": ms["99"], "failed": int(bad.group(1)) if bad else 0}


def thousand(a, tmp):
    """The MLP, a thousand times; a hundred are asked for before (--memory keeps the rest out)."""
    path = fetch.all_models()["mlp"]
    body = json.dumps({"instances": [[0.1] * mlp_width(path)]})
    one, many = f"{tmp}/one", f"{tmp}/many"
    add(one, path, "m")
    variants(path, many, 1000)
    out = {}
    alone = Server(one)
    first = json.load(urllib.request.urlopen(alone.admin + "/admin/models"))["versions"][0]
    room = 100 * (first["mapped_bytes"] + first["packed_bytes"]) + 1
    started = time.monotonic()
    server = Server(many, "--memory", str(room))
    out["start_s"] = round(time.monotonic() - started, 2)
    ask = lambda i: urllib.request.urlopen(server.url + f"/v1/models/m{i:04}:predict", data=body.encode()).read()
    first = []
    for i in range(900, 1000):
        began = time.monotonic()
        ask(i)
        first.append(1000 * (time.monotonic() - began))
    states = json.load(urllib.request.urlopen(server.admin + "/admin/models"))["versions"]
    out["loaded"] = sum(v["state"] == "ready" for v in states)
    out["first_answer_ms_p50"] = round(percentile(first, 0.5), 2)
    rounds = {"one": [], "thousand": []}
    for _ in range(3):
        rounds["one"].append(wrk(alone.url + "/v1/models/m:predict", body, 3, 16))
        rounds["thousand"].append(wrk(server.url + "/v1/models/m0950:predict", body, 3, 16))
    for name, got in rounds.items():
        out[name] = {k: percentile([g[k] for g in got], 0.5) for k in got[0]}
    out["resident"] = server.resident()
    alone.close()
    server.close()
    return out


def mlp_width(path):
    import onnx

    return onnx.load(path).graph.input[0].type.tensor_type.shape.dim[1].dim_value


def variants(path, store, n):
    """n models that differ in their producer's name only: weights are stored once."""
    import onnx

    model = onnx.load(path)
    for i in range(n):
        model.producer_name = f"v{i}"
        name = f"{os.path.dirname(store)}/v.onnx"
        onnx.save(model, name)
        add(store, name, f"m{i:04}")


def rollback(a, tmp):
    """One client asks without pause; another says `rollback`. How much later was the last question asked that the version
    which was taken back still answered? (Both clients are Python on the same cores.)"""
    import http.client
    import threading

    folder = pathlib.Path(tmp)
    store = f"{tmp}/store"
    for i, path in enumerate((conftest.affine(folder / "1.onnx"), conftest.affine(folder / "2.onnx", factor=(10,) * 4, offset=(0,) * 4))):
        add(store, path, "m")
        subprocess.run([SLIPWAY, "alias", f"m@{i + 1}", "prod", "--store", store], check=True, stdout=subprocess.DEVNULL)
    server = Server(store)
    address, admin = server.url.split("//")[1], server.admin.split("//")[1]
    asked, stop = [], threading.Event()

    def hammer():
        c = http.client.HTTPConnection(address)
        while not stop.is_set():
            began = time.monotonic()
            c.request("POST", "/v1/models/m:predict", '{"instances": [[1,2,3,4]]}')
            asked.append((began, b"[[10" in c.getresponse().read()))

    thread = threading.Thread(target=hammer)
    thread.start()
    c, late, took = http.client.HTTPConnection(admin), [], []
    for turn in range(40):
        time.sleep(0.05)
        before, began = len(asked), time.monotonic()
        c.request("POST", "/admin/models/m/rollback")
        c.getresponse().read()
        took.append(1000 * (time.monotonic() - began))
        time.sleep(0.05)
        old = turn % 2 == 0  # whether version 2 is being taken back
        still = [t for t, second in asked[before:] if second == old and t > began]
        late.append(1000 * (max(still) - began) if still else 0.0)
    stop.set()
    thread.join()
    server.close()
    return {"rollbacks": len(late), "questions": len(asked), "last_question_to_the_old_ms": {"p50": round(percentile(late, 0.5), 3),
            "max": round(max(late), 3)}, "answer_to_rollback_ms_p50": round(percentile(took, 0.5), 2)}


def batching(a, tmp):
    """Loop and server take turns in short rounds; each round has a ratio of its own, so that what else the machine does weighs on both."""
    store = f"{tmp}/store"
    add(store, fetch.all_models()["resnet50"], "resnet50")
    np.save(f"{tmp}/x.npy", np.random.default_rng(0).random((1, 3, 224, 224), np.float32))
    with open(f"{tmp}/ask.lua", "w") as f:
        f.write(f"local f=io.open('{tmp}/x.npy','rb') wrk.method='POST' wrk.body=f:read('*a')\n"
                "wrk.headers['Content-Type']='application/x-npy' wrk.headers['Accept']='application/x-npy'\n")
    server = Server(store)

    def served(seconds, clients):
        out = subprocess.run(["wrk", "-t1", f"-c{clients}", f"-d{seconds}s", "--timeout", "20s", "--latency", "-s", f"{tmp}/ask.lua",
                              server.url + "/predict/resnet50"], capture_output=True, text=True).stdout
        if "Non-2xx" in out or "Socket errors" in out:
            raise SystemExit(f"requests failed, no figure\n{out}")
        return wrk_figures(out)

    def loop(seconds):
        said = subprocess.run([SLIPWAY, "bench", "resnet50", "--store", store, "--json", "--quiet", "--runs", str(60 * seconds)],
                              capture_output=True, text=True, check=True)
        return json.loads(said.stdout)

    def rows_per_run():
        text = urllib.request.urlopen(server.url + "/metrics").read().decode()
        rows, runs = (float(re.search(rf"slipway_batch_rows_{what}\{{[^}}]*\}} (\S+)", text).group(1)) for what in ("sum", "count"))
        return round(rows / runs, 2)

    served(4, 8)  # the version's curve is learned
    rounds = []
    for _ in range(max(3, a.seconds // 6)):
        alone, many = loop(3), served(3, 8)
        rounds.append({"loop_per_s": round(alone["per_second"], 1), "served_per_s": many["rate"], "ratio": round(many["rate"] / alone["per_second"], 3),
                       "p50_ms": many["p50_ms"], "p99_ms": many["p99_ms"]})
    one, alone = served(3, 1), loop(3)
    said = {"ratio_median": sorted(r["ratio"] for r in rounds)[len(rounds) // 2], "rows_per_run": rows_per_run(),
            "one_client_p50_ms": one["p50_ms"], "loop_median_ms": round(alone["median_ms"], 2), "rounds": rounds}
    server.close()
    return said


ECHO = """
import socket, sys
s = socket.create_server(("127.0.0.1", 0))
print(s.getsockname()[1], flush=True)
asks, answer = int(sys.argv[1]), b"x" * int(sys.argv[2])
c = s.accept()[0]
c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
room = memoryview(bytearray(asks))
while True:
    at = 0
    while at < asks:
        n = c.recv_into(room[at:])
        if n == 0:
            sys.exit()
        at += n
    c.sendall(answer)
"""


def round_trip(c, request, room, length=None):
    """Microseconds, and the bytes of the answer: `length`, or what its head says."""
    began, at = time.perf_counter(), 0
    c.sendall(request)
    while length is None or at < length:
        n = c.recv_into(room[at:])
        if n == 0:
            raise SystemExit("the connection ended")
        at += n
        if length is None:
            head = bytes(room[:1024]).partition(b"\r\n\r\n")[0]
            if not head.startswith(b"HTTP/1.1 200"):
                raise SystemExit(head)
            length = len(head) + 4 + int(re.search(rb"content-length: (\d+)", head, re.I).group(1))
    return 1e6 * (time.perf_counter() - began), length


def tensors(a, tmp):
    """1 MB in, 1 MB out (the Open Inference Protocol's binary tensors), beside a program that only reads as many bytes and writes as
    many, and the time the run itself takes. One client; both take turns, request by request."""
    import socket

    import onnx
    from onnx import helper as oh

    n = 1 << 18
    io = [oh.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["N", n]) for name in "xy"]
    graph = oh.make_graph([oh.make_node("Relu", ["x"], ["y"])], "relu", io[:1], io[1:])
    onnx.save(oh.make_model(graph, opset_imports=[oh.make_opsetid("", 17)], ir_version=8), f"{tmp}/relu.onnx")
    store = f"{tmp}/store"
    add(store, f"{tmp}/relu.onnx", "relu")
    server = Server(store)
    body = np.random.default_rng(0).standard_normal((1, n)).astype(np.float32).tobytes()
    head = json.dumps({"inputs": [{"name": "x", "shape": [1, n], "datatype": "FP32", "parameters": {"binary_data_size": len(body)}}],
                       "outputs": [{"name": "y", "parameters": {"binary_data": True}}]}).encode()
    request = (f"POST /v2/models/relu/infer HTTP/1.1\r\nHost: h\r\nContent-Type: application/octet-stream\r\n"
               f"Inference-Header-Content-Length: {len(head)}\r\nContent-Length: {len(head) + len(body)}\r\n\r\n").encode() + head + body
    room = memoryview(bytearray(2 << 20))

    def dial(port):
        c = socket.create_connection(("127.0.0.1", port))
        c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return c

    ours = dial(int(server.url.rsplit(":", 1)[1]))
    length = round_trip(ours, request, room)[1]
    peer = subprocess.Popen([sys.executable, "-c", ECHO, str(len(request)), str(length)], stdout=subprocess.PIPE, text=True)
    echo = dial(int(peer.stdout.readline()))
    times = {"served": [], "copied": []}
    until = time.monotonic() + a.seconds
    while time.monotonic() < until:
        times["served"].append(round_trip(ours, request, room)[0])
        times["copied"].append(round_trip(echo, request, room, length)[0])
    text = urllib.request.urlopen(server.url + "/metrics").read().decode()
    runs, seconds = (float(re.search(rf"slipway_compute_seconds_{what}\{{[^}}]*\}} (\S+)", text).group(1)) for what in ("count", "sum"))
    echo.close()
    peer.wait()
    server.close()
    p50 = {k: percentile(v, 0.5) for k, v in times.items()}
    compute = 1e6 * seconds / runs
    return {"requests": len(times["served"]), "served_us_p50": round(p50["served"]), "copied_us_p50": round(p50["copied"]), "compute_us_mean": round(compute),
            "served_us_p99": round(percentile(times["served"], 0.99)), "ratio": round(p50["served"] / (p50["copied"] + compute), 3)}


def main():
    p = argparse.ArgumentParser()
    p.add_argument("what", choices=["overload", "thousand", "rollback", "batching", "tensors"])
    p.add_argument("--seconds", type=int, default=60)
    a = p.parse_args()
    with tempfile.TemporaryDirectory() as tmp:
        print(json.dumps({a.what: globals()[a.what](a, tmp)}, indent=1))


main()
