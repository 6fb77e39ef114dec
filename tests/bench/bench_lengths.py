#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Texts of many lengths at one time: one encoder, requests of one row with 4 to 128 tokens each, with padding and without, interleaved.

usage: bench_lengths.py ENCODER.onnx [--clients 16] [--seconds 5] [--rounds 3] [--slipway build/slipway]
The encoder takes input_ids, attention_mask and, maybe, token_type_ids."""

import argparse
import pathlib
import subprocess
import tempfile
import threading
import time

import numpy as np
import onnx
import tritonclient.http as triton

NAMES = ("input_ids", "attention_mask", "token_type_ids")


def start(binary, folder, model, pad):
    flags = ["--pad", ",".join(pad)] if pad else []
    subprocess.run([binary, "add", model, "encoder", "--store", folder, *flags], check=True, capture_output=True)
    command = [binary, "serve", "--store", folder, "--listen", "127.0.0.1:0", "--admin", "off"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return server, server.stdout.readline().split("http://")[1].strip()


def request(names, length, random):
    made = []
    for name in names:
        tensor = triton.InferInput(name, [1, length], "INT64")
        value = random.integers(1000, 20000, (1, length)) if name == "input_ids" else np.full((1, length), name == "attention_mask")
        tensor.set_data_from_numpy(value.astype(np.int64))
        made.append(tensor)
    return made


def ask(address, names, end, seed, times):
    random = np.random.default_rng(seed)
    with triton.InferenceServerClient(address) as client:
        while time.monotonic() < end:
            inputs = request(names, int(random.integers(4, 129)), random)
            began = time.monotonic()
            client.infer("encoder", inputs)
            times.append(time.monotonic() - began)


def measure(address, names, clients, seconds):
    end, times = time.monotonic() + seconds, []
    threads = [threading.Thread(target=ask, args=(address, names, end, seed, times)) for seed in range(clients)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return len(times) / seconds, 1e3 * float(np.percentile(times, 50)), 1e3 * float(np.percentile(times, 99))


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("encoder")
    p.add_argument("--clients", type=int, default=16)
    p.add_argument("--seconds", type=float, default=5)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--slipway", default=str(pathlib.Path(__file__).resolve().parents[2] / "build/slipway"))
    o = p.parse_args()
    names = [i.name for i in onnx.load(o.encoder, load_external_data=False).graph.input if i.name in NAMES]
    with tempfile.TemporaryDirectory() as folder:
        servers = {}
        for kind, pad in (("apart", None), ("padded", names)):
            servers[kind] = start(o.slipway, f"{folder}/{kind}", o.encoder, pad)
        try:
            for _, address in servers.values():
                measure(address, names, o.clients, o.seconds)  # plans are made, costs are learnt
            for _ in range(o.rounds):
                for kind, (_, address) in servers.items():
                    rate, p50, p99 = measure(address, names, o.clients, o.seconds)
                    print(f"{kind:7} {rate:8.1f} requests/s  p50 {p50:7.1f} ms  p99 {p99:7.1f} ms", flush=True)
        finally:
            for server, _ in servers.values():
                server.terminate()
                server.wait()


if __name__ == "__main__":
    main()
