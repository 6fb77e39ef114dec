"""Serving, side by side with the usual Python way, interleaved in the same minutes: small predictions per second (by wrk, and by
http_load, which takes less of the cores that it shares with the server), times at half load, cold start, resident memory, binary
size; as ceilings nginx with a constant body, and a loop that only receives and sends (net_bare.c).
Usage: python tests/bench/bench_serve.py [--rounds 3] [--seconds 5]  -> a table and JSON."""
import argparse
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

from load import closed_load, open_load

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tests", "models"))
SLIPWAY = os.environ.get("SLIPWAY", os.path.join(ROOT, "build", "slipway"))
MODELS = os.environ.get("SLIPWAY_TEST_MODELS", os.path.join(ROOT, "build", "models"))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(url, seconds=20):
    until = time.time() + seconds
    while time.time() < until:
        try:
            return urllib.request.urlopen(url, timeout=1).status
        except OSError:
            time.sleep(0.02)
    raise SystemExit(f"{url} did not answer")


def wrk(url, body, seconds, connections, pause_ms=0):
    """pause_ms: each connection waits so long before it asks again: a rate below the most that is possible."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua", delete=False) as f:
        f.write(f"wrk.method='POST'\nwrk.body=[=[{body}]=]\nwrk.headers['Content-Type']='application/json'\n")
        if pause_ms:
            f.write(f"function delay() return {pause_ms} end\n")
    out = subprocess.run(["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", f.name, url], capture_output=True, text=True).stdout
    os.unlink(f.name)
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1))
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)", out)
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    errors = re.search(r"Socket errors: (.*)", out)
    if bad or errors:
        raise SystemExit(f"{url}: requests failed, no figure\n{out}")
    return {"rate": rate, "p99_ms": float(p99.group(1)) * {"us": 1e-3, "ms": 1, "s": 1e3}[p99.group(2)]}


def threads(process):
    """Of a process and of its children."""
    children = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True).stdout.split()
    return [int(thread) for pid in [str(process.pid), *children] for thread in os.listdir(f"/proc/{pid}/task")]


def place(process, cores, policy=os.SCHED_OTHER):
    for thread in threads(process):
        os.sched_setaffinity(thread, cores)
        os.sched_setscheduler(thread, policy, os.sched_param(50 if policy == os.SCHED_FIFO else 0))


def half_load(servers, rate, seconds, rounds, ahead):
    """Random arrivals, in turns: a server has one core, the generator the other, so that neither waits for the other. What others take
    from the server's core shows in its times as its own would, what they take from the generator's in left_late. ahead: both go before
    all that others do (real time): what is left is the server's own."""
    cores = sorted(os.sched_getaffinity(0))
    out = {name: [] for name in servers}
    before = ("taskset", "-c", str(cores[-1]), *(("chrt", "-f", "50") if ahead else ()))
    for server, *_ in servers.values():
        place(server.process, cores[:1], os.SCHED_FIFO if ahead else os.SCHED_OTHER)
    for _ in range(rounds):
        for name, (_, url, body) in servers.items():
            got = open_load(url, body, rate, seconds, 1024, before)
            out[name].append({k: {p: v[p] for p in ("count", "p50_ms", "p99_ms", "p999_ms")} for k, v in got.items()})
    for server, *_ in servers.values():
        place(server.process, cores)
    return out


def resident(pid):
    """(all, anonymous) resident bytes."""
    text = open(f"/proc/{pid}/status").read()
    kib = lambda key: int(re.search(rf"{key}:\s+(\d+)", text).group(1)) * 1024
    return kib("VmRSS"), kib("RssAnon")


class Nginx:
    """Debian's nginx, one worker, a constant answer of the same length as ours."""

    def __init__(self, folder, answer):
        self.folder = os.path.join(folder, "nginx")
        os.makedirs(self.folder)
        port = free_port()
        self.url = f"http://127.0.0.1:{port}/"
        with open(os.path.join(self.folder, "nginx.conf"), "w") as f:
            f.write(f"""daemon off; worker_processes 1; pid {self.folder}/pid; error_log {self.folder}/error.log;
events {{ worker_connections 1024; }}
http {{ access_log off; keepalive_requests 1000000000; client_body_temp_path {self.folder}/body; proxy_temp_path {self.folder}/proxy;
fastcgi_temp_path {self.folder}/fastcgi; uwsgi_temp_path {self.folder}/uwsgi; scgi_temp_path {self.folder}/scgi;
server {{ listen 127.0.0.1:{port}; location / {{ default_type application/json; return 200 '{answer}'; }} }} }}""")
        self.process = subprocess.Popen([shutil.which("nginx") or "/usr/sbin/nginx", "-p", self.folder, "-c", f"{self.folder}/nginx.conf"])

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Bare:
    """Receives and sends, nothing else: what the kernel takes."""

    def __init__(self, answer):
        build = os.path.join(ROOT, "build")
        subprocess.run(["ninja", "-C", build, "tests/bench/bench_net_bare"], check=True, stdout=subprocess.DEVNULL)
        port = free_port()
        self.url = f"http://127.0.0.1:{port}/"
        self.process = subprocess.Popen([os.path.join(build, "tests", "bench", "bench_net_bare"), str(port), answer])

    def stop(self):
        self.process.terminate()
        self.process.wait()


class MLServer:
    """python: an interpreter that has mlserver, onnxruntime and numpy."""

    def __init__(self, folder, python, model):
        at = os.path.join(folder, "mlserver")
        os.makedirs(at)
        port = free_port()
        self.url = f"http://127.0.0.1:{port}/v2/models/mlp/infer"
        self.ready = f"http://127.0.0.1:{port}/v2/health/ready"
        with open(os.path.join(at, "settings.json"), "w") as f:
            json.dump({"http_port": port, "grpc_port": free_port(), "metrics_port": free_port(), "parallel_workers": 0, "debug": False}, f)
        with open(os.path.join(at, "model-settings.json"), "w") as f:
            json.dump({"name": "mlp", "implementation": "peer_mlserver.Onnx"}, f)
        self.process = subprocess.Popen([python, "-m", "mlserver.cli.main", "start", at], env={**os.environ, "MODEL": model, "PYTHONPATH": HERE},
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Ours:
    def __init__(self, store, *models):
        self.process = subprocess.Popen([SLIPWAY, "serve", "--store", store, "--listen", "127.0.0.1:0", "--quiet", *models],
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.url = self.process.stdout.readline().split()[-1]

    def stop(self):
        self.process.terminate()
        self.process.wait()


def ask(url, body):
    request = urllib.request.Request(url, data=body.encode(), headers={"Content-Type": "application/json"})
    return urllib.request.urlopen(request, timeout=20).read()


def same_answers(asked):
    """The generators look at status and length of an answer; that all servers compute the same is seen here, once."""
    numbers = {name: [float(x) for x in re.findall(r"-?\d+\.\d+(?:e-?\d+)?", ask(*what).decode().split("predictions")[-1].split("outputs")[-1])]
               for name, what in asked.items()}
    first = numbers["slipway"]
    for name, got in numbers.items():
        if len(got) != len(first) or any(abs(x - y) > 1e-4 for x, y in zip(got, first)):
            raise SystemExit(f"{name} answers {got}, slipway {first}")


def cold_start(store, model, url_path, body, content_type, rounds):
    """From exec to the first complete answer, page cache warm; minimum and median."""
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        ours = Ours(store, model)
        request = urllib.request.Request(ours.url + url_path, data=body, headers={"Content-Type": content_type})
        urllib.request.urlopen(request, timeout=20).read()
        times.append((time.perf_counter() - began) * 1e3)
        ours.stop()
    times.sort()
    return {"min_ms": round(times[0], 1), "median_ms": round(times[len(times) // 2], 1)}


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--seconds", type=int, default=5)
    p.add_argument("--connections", type=int, default=16)
    p.add_argument("--mlserver", metavar="PYTHON", help="measure MLServer too, with this interpreter")
    a = p.parse_args()
    import numpy as np

    subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "-r", os.path.join(HERE, "requirements.txt")], check=True)
    subprocess.run([sys.executable, os.path.join(ROOT, "tests", "models", "fetch.py")], check=True, stdout=subprocess.DEVNULL)
    mlp, rec = (next(os.path.join(at, f) for at, _, files in os.walk(MODELS) for f in files if want in f)
                for want in ("mlp.onnx", "rec_infer.onnx"))
    folder = tempfile.mkdtemp(prefix="slipway-bench-")
    store = os.path.join(folder, "store")
    for path, name in ((mlp, "mlp"), (rec, "rec")):
        subprocess.run([SLIPWAY, "add", path, name, "--store", store, "--quiet"], check=True, stdout=subprocess.DEVNULL)
    body = '{"instances": [[5.1, 3.5, 1.4, 0.2]]}'
    oip = '{"inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP32", "data": [5.1, 3.5, 1.4, 0.2]}]}'
    port = free_port()
    peer = subprocess.Popen([sys.executable, "-m", "uvicorn", "peer_fastapi:app", "--port", str(port), "--log-level", "error", "--no-access-log"],
                            cwd=HERE, env={**os.environ, "MODEL": mlp})
    ours = Ours(store, "mlp")
    ours_url, peer_url = ours.url + "/v1/models/mlp:predict", f"http://127.0.0.1:{port}/predict"
    nginx = Nginx(folder, ask(ours_url, body).decode())
    bare = Bare(ask(ours_url, body).decode())
    mlserver = MLServer(folder, a.mlserver, mlp) if a.mlserver else None
    asked = {"fastapi+onnxruntime": (peer_url, body), "slipway": (ours_url, body), "nginx constant": (nginx.url, body),
             "receive and send": (bare.url, body)}
    try:
        wait_for(f"http://127.0.0.1:{port}/docs")
        wait_for(nginx.url)
        wait_for(bare.url)
        if mlserver:
            wait_for(mlserver.ready, 60)
            asked |= {"mlserver+onnxruntime OIP": (mlserver.url, oip), "slipway OIP": (ours.url + "/v2/models/mlp/infer", oip)}
        same_answers(asked)
        rows = {name: {"wrk": [], "lean": []} for name in asked}
        for _ in range(a.rounds):  # A B C A B C
            for name, (url, what) in asked.items():
                rows[name]["wrk"].append(wrk(url, what, a.seconds, a.connections))
                rows[name]["lean"].append(closed_load(url, what, a.seconds, a.connections))
        best = {name: {by: max(r["rate"] for r in v) for by, v in two.items()} for name, two in rows.items()}
        half = max(best["slipway"].values()) / 2
        in_step = wrk(ours_url, body, a.seconds, max(1, int(half / 1000)), 1)  # one request a millisecond from each
        two = {"slipway": (ours, ours_url, body), "nginx constant": (nginx, nginx.url, body)}
        at_random = {"as others": half_load(two, half, a.seconds, a.rounds, ahead=False)}
        if os.geteuid() == 0:
            at_random["ahead of others"] = half_load(two, half, 1, 2 * a.rounds, ahead=True)  # briefly: the kernel stops who goes on
        idle = resident(ours.process.pid)
    finally:
        ours.stop()
        nginx.stop()
        bare.stop()
        if mlserver:
            mlserver.stop()
        peer.terminate()
        peer.wait()
    npy = os.path.join(folder, "x.npy")
    np.save(npy, np.random.default_rng(0).random((1, 3, 48, 320), np.float32))
    cold = cold_start(store, "rec", "/predict/rec", open(npy, "rb").read(), "application/x-npy", 7)
    one = Ours(store, "rec")
    wait_for(one.url + "/v2/health/ready")
    rec_resident = resident(one.process.pid)
    one.stop()
    stripped = os.path.join(folder, "stripped")
    subprocess.run(["strip", "-o", stripped, SLIPWAY], check=True)
    ratio = lambda ours, peer: {by: round(best[ours][by] / best[peer][by], 2) for by in ("wrk", "lean")} if peer in best else None
    result = {
        "cores": os.cpu_count(), "connections": a.connections, "rounds": rows, "best": best,
        "of_fastapi": ratio("slipway", "fastapi+onnxruntime"), "of_mlserver": ratio("slipway OIP", "mlserver+onnxruntime OIP"),
        "of_nginx": ratio("slipway", "nginx constant"), "of_bare": ratio("slipway", "receive and send"),
        "half_load_in_step": in_step, "half_load_random_arrivals": at_random,
        "rec_exec_to_first_answer": cold,
        "mlp_resident_mb": [round(x / 1e6, 1) for x in idle], "rec_resident_mb": [round(x / 1e6, 1) for x in rec_resident],
        "binary_mb": round(os.path.getsize(SLIPWAY) / 1e6, 2), "binary_stripped_mb": round(os.path.getsize(stripped) / 1e6, 2),
    }
    shutil.rmtree(folder)
    print(f"{'':26}{'wrk /s':>10}{'p99 ms':>8}{'lean /s':>10}{'p99 ms':>8}")
    for name, two in rows.items():
        top = {by: max(v, key=lambda r: r["rate"]) for by, v in two.items()}
        print(f"{name:26}" + "".join(f"{top[by]['rate']:10.0f}{top[by]['p99_ms']:8.2f}" for by in ("wrk", "lean")))
    print(f"of FastAPI {result['of_fastapi']}, of MLServer {result['of_mlserver']}, of nginx {result['of_nginx']}, of what the kernel takes {result['of_bare']}")
    print(f"half load in step, {in_step['rate']:.0f}/s: p99 {in_step['p99_ms']} ms; at random moments, {half:.0f}/s, one core each:")
    for how, servers in at_random.items():
        print(f"  {how}")
        for name, runs in servers.items():
            times = (f"p50 {r['200']['p50_ms']} p99 {r['200']['p99_ms']} p99.9 {r['200']['p999_ms']}, left late p99.9 {r['left_late']['p999_ms']}" for r in runs)
            print(f"    {name:22}" + "; ".join(times))
    print(f"rec exec to first answer {cold['min_ms']} ms min, {cold['median_ms']} ms median; "
          f"resident (all, anonymous) mlp {result['mlp_resident_mb']} MB, rec {result['rec_resident_mb']} MB; binary {result['binary_stripped_mb']} MB stripped")
    print(json.dumps(result))


main()
