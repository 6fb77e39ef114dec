# SPDX-License-Identifier: Apache-2.0
"""Two servers under the same load, one after the other in turns: requests of 64 + 64 tokens at random times (Poisson), streamed over
/v1/completions, timed from when each was due: time to the first token, time per token after it. Slipway, and llama.cpp's own server
(llama-server, built from llama.cpp for this machine) with as many slots and threads.

Usage: python tests/bench/bench_chat.py MODEL.gguf --llama-server PATH [--rates 4,8] [--seconds 20] [--rounds 1] [--slots 16]"""
import argparse
import http.client
import json
import os
import random
import socket
import subprocess
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SLIPWAY = os.environ.get("SLIPWAY", os.path.join(ROOT, "build", "slipway"))
PROMPT = ANSWER = 64


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    def __init__(self, name, command, port):
        self.name, self.port = name, port
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(600):
            try:
                if ask(port, [1] * PROMPT, 2) and ask(port, [2] * PROMPT, 2):
                    return
            except (OSError, http.client.HTTPException, AssertionError):
                time.sleep(0.1)
        raise RuntimeError(f"{name} does not answer")

    def close(self):
        self.process.terminate()
        self.process.wait()


def ask(port, prompt, n):
    """When each token came."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("POST", "/v1/completions", json.dumps({"model": "chat", "prompt": prompt, "max_tokens": n, "temperature": 0, "stream": True,
                                                              "ignore_eos": True, "cache_prompt": False}), {"content-type": "application/json"})
    answer = connection.getresponse()
    assert answer.status == 200, answer.read()
    times = []
    for line in answer:
        if line.startswith(b"data: {") and json.loads(line[6:])["choices"]:
            times.append(time.perf_counter())
    connection.close()
    return times


def load(port, rate, seconds, vocab):
    """[(first token after it was due, seconds a token after that)]; requests that failed count as none."""
    rng, results, threads, at = random.Random(rate), [], [], 0.0
    start = time.perf_counter() + 0.05

    def one(due, prompt):
        times = ask(port, prompt, ANSWER)
        results.append((times[0] - due, (times[-1] - times[0]) / (ANSWER - 1), times[-1]))

    while (at := at + rng.expovariate(rate)) < seconds:
        prompt = [rng.randrange(300, vocab) for _ in range(PROMPT)]
        time.sleep(max(0, start + at - time.perf_counter()))
        threads.append(threading.Thread(target=one, args=(start + at, prompt)))
        threads[-1].start()
    for thread in threads:
        thread.join()
    assert len(results) == len(threads), "requests failed"
    return results, len(results) * ANSWER / (max(r[2] for r in results) - start)


def percentiles(values):
    values = sorted(values)
    return " / ".join(f"{1000 * values[min(len(values) - 1, int(len(values) * p))]:.3g}" for p in (0.5, 0.9, 0.99))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("model")
    p.add_argument("--llama-server", required=True)
    p.add_argument("--rates", default="4,8")
    p.add_argument("--seconds", type=float, default=20)
    p.add_argument("--rounds", type=int, default=1)
    p.add_argument("--slots", type=int, default=16)
    p.add_argument("--vocab", type=int, default=49000)
    a = p.parse_args()
    with tempfile.TemporaryDirectory() as store:
        subprocess.run([SLIPWAY, "add", a.model, "chat", "--store", store], check=True, stdout=subprocess.DEVNULL)
        ports = free_port(), free_port()
        servers = [Server("llama-server", [a.llama_server, "-m", a.model, "--port", str(ports[0]), "-np", str(a.slots), "-c", str(a.slots * 256), "-t", "2",
                                           "-tb", "2", "--no-webui"], ports[0]),
                   Server("Slipway", [SLIPWAY, "serve", "--store", store, "--listen", f"127.0.0.1:{ports[1]}", "--quiet", "--threads", "2", "--sequences",
                                      str(a.slots), "--context", "256", "chat"], ports[1])]
        print("| requests/s | server | tokens/s | TTFT p50 / p90 / p99, ms | TPOT p50 / p90 / p99, ms |\n|---:|---|---:|---:|---:|")
        for _ in range(a.rounds):
            for rate in map(float, a.rates.split(",")):
                for server in servers:
                    results, speed = load(server.port, rate, a.seconds, a.vocab)
                    print(f"| {rate:g} | {server.name} | {speed:.0f} | {percentiles([r[0] for r in results])} | {percentiles([r[1] for r in results])} |",
                          flush=True)
        for server in servers:
            server.close()


if __name__ == "__main__":
    main()
