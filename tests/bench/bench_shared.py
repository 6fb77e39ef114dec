"""Answers on cores that others compute on too: tokens per second of one answer at a time beside 0, 1, 2, 3 endless loops, from `slipway serve` and
from llama.cpp (llama-cpp-python), in turns. What the kernel's scheduler would give to so many threads of equal weight is said beside it.

Usage: python tests/bench/bench_shared.py MODEL.gguf [--hogs 0,1,2,3] [--seconds 4] [--threads 2] [--prefill] [--no-llama]"""
import argparse
import http.client
import json
import os
import random
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SLIPWAY = os.environ.get("SLIPWAY", os.path.join(ROOT, "build", "slipway"))
PROMPT = 512


class Ours:
    name = "slipway"

    def __init__(self, path, threads):
        self.folder = tempfile.TemporaryDirectory()
        env = dict(os.environ, SLIPWAY_STORE=self.folder.name)
        subprocess.run([SLIPWAY, "add", path, "m"], env=env, check=True, capture_output=True)
        self.server = subprocess.Popen([SLIPWAY, "serve", "--listen", "127.0.0.1:0", "--admin", "off", "--threads", str(threads)], env=env,
                                       stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.address = self.server.stdout.readline().split("http://")[1].split()[0].rstrip("/,")
        self.decode(1)

    def completion(self, **body):
        c = http.client.HTTPConnection(self.address, timeout=60)
        c.request("POST", "/completion", json.dumps({"model": "m", "temperature": 0, "ignore_eos": True, **body}))
        return c, c.getresponse()

    def decode(self, seconds):
        c, lines = self.completion(prompt=[random.randrange(100, 9000) for _ in range(16)], n_predict=8000, stream=True)
        began, n = None, 0
        for line in lines:
            if line.startswith(b"data:"):
                began, n = began or time.perf_counter(), n + 1
                if time.perf_counter() - began > seconds:
                    break
        c.close()
        return (n - 1) / (time.perf_counter() - began)

    def prefill(self, seconds):
        began, n = time.perf_counter(), 0
        while time.perf_counter() - began < seconds:
            c, answer = self.completion(prompt=[random.randrange(100, 9000) for _ in range(PROMPT)], n_predict=1)
            assert answer.status == 200, answer.read()
            c.close()
            n += PROMPT
        return n / (time.perf_counter() - began)

    def close(self):
        self.server.terminate()
        self.server.wait()
        self.folder.cleanup()


class Llama:
    """In a process of its own, asked by lines of work and seconds."""
    name = "llama.cpp"

    def __init__(self, path, threads):
        self.process = subprocess.Popen([sys.executable, __file__, path, "--threads", str(threads), "--as-llama"], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.decode(1)

    def ask(self, work, seconds):
        print(work, seconds, file=self.process.stdin, flush=True)
        return float(self.process.stdout.readline())

    def decode(self, seconds):
        return self.ask("decode", seconds)

    def prefill(self, seconds):
        return self.ask("prefill", seconds)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def as_llama(path, threads):
    import llama_cpp as L
    L.llama_backend_init()
    model = L.llama_model_load_from_file(path.encode(), L.llama_model_default_params())
    params = L.llama_context_default_params()
    params.n_ctx, params.n_batch, params.n_ubatch, params.n_threads, params.n_threads_batch = 4096, PROMPT, PROMPT, threads, threads
    context = L.llama_init_from_model(model, params)

    def step(at, n):
        batch = L.llama_batch_init(n, 0, 1)
        batch.n_tokens = n
        for i in range(n):
            batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.seq_id[i][0], batch.logits[i] = 100 + i, at + i, 1, 0, i == n - 1
        assert L.llama_decode(context, batch) == 0
        L.llama_synchronize(context)
        L.llama_batch_free(batch)

    for line in sys.stdin:
        work, seconds = line.split()
        rows, n, at, began = PROMPT if work == "prefill" else 1, 0, 2048, time.perf_counter()
        while time.perf_counter() - began < float(seconds):
            if rows > 1 or at == 2048:  # from the beginning
                L.llama_memory_clear(L.llama_get_memory(context), True)
                at = 0
            step(at, rows)
            at, n = at + rows, n + rows
        print(n / (time.perf_counter() - began), flush=True)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("model")
    p.add_argument("--hogs", default="0,1,2,3")
    p.add_argument("--seconds", type=float, default=4)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--prefill", action="store_true")
    p.add_argument("--no-llama", action="store_true")
    p.add_argument("--as-llama", action="store_true", help=argparse.SUPPRESS)
    a = p.parse_args()
    if a.as_llama:
        return as_llama(a.model, a.threads)
    sides = [Ours(a.model, a.threads)] + ([] if a.no_llama else [Llama(a.model, a.threads)])
    cores = len(os.sched_getaffinity(0))
    for n in map(int, a.hogs.split(",")):
        hogs = [subprocess.Popen(["sh", "-c", "while :; do :; done"]) for _ in range(n)]
        try:
            time.sleep(0.3)
            got = [f"{s.name} {(s.prefill if a.prefill else s.decode)(a.seconds):.1f}" for s in sides]
        finally:
            for h in hogs:
                h.kill()
                h.wait()
        print(f"{n} loops beside it (a share of {min(1, cores / (a.threads + n)):.2f}): {', '.join(got)} tokens/s", flush=True)
    for s in sides:
        s.close()


main()
