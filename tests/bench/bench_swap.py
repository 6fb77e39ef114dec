"""Hot swap under load: wrk asks MODEL@prod's model without pause while its alias is moved back and forth by another process.
Usage: python tests/bench/bench_swap.py [--seconds 10] [--every 0.25]  -> requests, swaps, failed requests (0 is the point)."""
import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tests", "models"))
import fetch  # noqa: E402

SLIPWAY = os.environ.get("SLIPWAY", os.path.join(ROOT, "build", "slipway"))


def slipway(*arguments):
    subprocess.run([SLIPWAY, *arguments], check=True, stdout=subprocess.DEVNULL)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--seconds", type=int, default=10)
    p.add_argument("--every", type=float, default=0.25)
    a = p.parse_args()
    models = fetch.all_models()
    with tempfile.TemporaryDirectory() as folder:
        store = os.path.join(folder, "store")
        slipway("add", models["ocr_rec"], "ocr", "--store", store)
        slipway("add", models["ocr_cls"], "other", "--store", store)
        import onnx

        second = onnx.load(models["ocr_rec"])
        second.producer_name = "second"  # the same weights, another file: only its frame is stored again
        onnx.save(second, os.path.join(folder, "second.onnx"))
        slipway("add", os.path.join(folder, "second.onnx"), "ocr", "--store", store)
        slipway("alias", "ocr@1", "prod", "--store", store)
        np.save(os.path.join(folder, "x.npy"), np.random.default_rng(0).random((1, 3, 48, 320), np.float32))
        with open(os.path.join(folder, "ask.lua"), "w") as f:
            f.write(f"local f=io.open('{folder}/x.npy','rb') wrk.method='POST' wrk.body=f:read('*a')\n"
                    "wrk.headers['Content-Type']='application/x-npy' wrk.headers['Accept']='application/x-npy'\n")
        server = subprocess.Popen([SLIPWAY, "serve", "--store", store, "--listen", "127.0.0.1:0", "--quiet", "--poll-ms", "50"],
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        url = server.stdout.readline().split()[-1]
        wrk = subprocess.Popen(["wrk", "-t1", "-c8", f"-d{a.seconds}s", "--timeout", "10s", "--latency", "-s", os.path.join(folder, "ask.lua"), url + "/predict/ocr"],
                               stdout=subprocess.PIPE, text=True)
        swaps, until = 0, time.time() + a.seconds - 0.5
        while time.time() < until:
            time.sleep(a.every)
            swaps += 1
            slipway("alias", f"ocr@{1 + swaps % 2}", "prod", "--store", store)
        out = wrk.communicate()[0]
        server.terminate()
        server.wait()
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    errors = re.search(r"Socket errors: (.*)", out)
    print(json.dumps({"requests": int(re.search(r"(\d+) requests in", out).group(1)), "swaps": swaps, "failed": int(bad.group(1)) if bad else 0,
                      "socket_errors": errors.group(1) if errors else "none", "p99": re.search(r"99%\s+(\S+)", out).group(1)}))


main()
