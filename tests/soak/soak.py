# SPDX-License-Identifier: Apache-2.0
"""Everything changes while a million requests go by, and none fails.

    python tests/soak/soak.py [--requests 1000000] [--swaps 100] [--canaries 10] [--loads 20] [--certificates 5] [--seconds 0]

wrk asks five addresses without pause: one model by its alias, by its name and in the plain way, one that gets new versions,
one that stays. Meanwhile names move (command line and admin API), splits and shadows change, another model is unloaded and
loaded; all of it over TLS, whose certificate is replaced (by SIGHUP, or noticed). Every answer must be a 200 with one of the
numbers that some version gives: wrk's script counts the others. --mixed: other clients ask too (beside.py).
Prints one JSON object; exits 1 when anything failed. --seconds ends it early (the smoke in CI)."""
import argparse
import json
import os
import pathlib
import re
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "clients"))
import conftest  # noqa: E402

SLIPWAY = os.environ.get("SLIPWAY", str(ROOT / "build" / "slipway"))

# Each thread of wrk counts what is not one of the right answers, and says so at the end.
SCRIPT = """
local paths = {"/v1/models/m/labels/prod:predict", "/v1/models/m:predict", "/predict/m", "/v1/models/coming:predict", "/v1/models/still:predict"}
local right = {["1.5,4,9,17"]=true, ["10,20,30,40"]=true, ["2,4,6,8"]=true}
local threads = {}
function setup(t) table.insert(threads, t) end
function init(args) bad = 0; odd = ""; n = 0; wrk.method = "POST"; wrk.headers["Content-Type"] = "application/json" end
function request()
  n = n + 1
  local path = paths[n % #paths + 1]
  local body = path:sub(1, 8) == "/predict" and "[[1,2,3,4]]" or '{"instances": [[1,2,3,4]]}'
  return wrk.format("POST", path, {["X-User"] = "u" .. n % 1000, ["Content-Type"] = "application/json"}, body)
end
function response(status, headers, body)
  local key = body:match("%[%[?([%d%.,%s%-]+)%]")
  if key then key = key:gsub("%s", ""):gsub("%.0", "") end
  if status ~= 200 or not right[key or ""] then
    bad = bad + 1
    if odd == "" then odd = status .. " " .. body:sub(1, 200) end
  end
end
function done(summary, latency, requests)
  local total = 0
  for _, t in ipairs(threads) do
    total = total + t:get("bad")
    if t:get("odd") ~= "" then io.write("ODD " .. t:get("odd") .. "\\n") end
  end
  io.write(string.format("RESULT %d %d %d\\n", summary.requests, total,
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout))
end
"""


class Soak:
    def __init__(self, folder, flags):
        self.folder = pathlib.Path(folder)
        self.store = str(self.folder / "store")
        third = conftest.affine(self.folder / "3.onnx", factor=(2, 2, 2, 2), offset=(0, 0, 0, 0))
        for path in (conftest.affine(self.folder / "1.onnx"), self.second(), third):
            self.slipway("add", path, "m")
        self.slipway("alias", "m@1", "prod")
        for model in ("coming", "still"):
            self.slipway("add", str(self.folder / "1.onnx"), model)
        self.done = {"swaps": 0, "canaries": 0, "loads": 0, "versions": 0, "certificates": 0}
        self.certificate()
        self.log = open(self.folder / "log", "w")
        self.server = subprocess.Popen(
            [SLIPWAY, "serve", "--store", self.store, "--listen", "127.0.0.1:0", "--quiet", "--poll-ms", "50",
             "--tls-cert", str(self.folder / "now.pem"), "--tls-key", str(self.folder / "now.key"), *flags],
            stdout=subprocess.PIPE, stderr=self.log, text=True)
        self.url = self.server.stdout.readline().split()[-1]
        self.admin = self.server.stdout.readline().split()[-1]
        self.done["certificates"] = 0

    def second(self):
        return conftest.affine(self.folder / "2.onnx", factor=(10, 10, 10, 10), offset=(0, 0, 0, 0))

    def slipway(self, *arguments):
        subprocess.run([SLIPWAY, *arguments, "--store", self.store], check=True, stdout=subprocess.DEVNULL)

    def call(self, method, path, body=None):
        data = json.dumps(body).encode() if body is not None else None
        return urllib.request.urlopen(urllib.request.Request(self.admin + path, data=data, method=method), timeout=60).read()

    def swap(self):
        """By the command line, by REST, and back at once."""
        turn = self.done["swaps"] = self.done["swaps"] + 1
        if turn % 3 == 0:
            self.call("POST", "/admin/models/m/rollback")
        elif turn % 3 == 1:
            self.slipway("alias", f"m@{turn % 2 + 2}", "prod")
        else:
            self.call("PUT", "/admin/models/m/aliases/prod", {"version": 1})

    def canary(self):
        turn = self.done["canaries"] = self.done["canaries"] + 1
        kinds = ({"arms": [{"version": 3, "percent": 30}], "sticky": "header:x-user"},
                 {"arms": [{"version": 2, "percent": 20}, {"version": 3, "percent": 20}], "shadow": {"version": 1, "percent": 10}},
                 {"shadow": {"version": 2}}, {"arms": []})
        self.call("PUT", "/admin/models/m/route", kinds[turn % 4])

    def reload(self):
        """A model nobody asks is loaded or unloaded, and one that is asked is loaded again."""
        turn = self.done["loads"] = self.done["loads"] + 1
        self.call("POST", "/v2/repository/models/spare/load" if turn % 2 else "/v2/repository/models/spare/unload")
        self.call("POST", "/v2/repository/models/coming/load")

    def certificate(self):
        """A new one, key first: connections go on, new ones get it."""
        turn = self.done["certificates"] = self.done["certificates"] + 1
        key, pem = self.folder / "next.key", self.folder / "next.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", pem,
             "-days", "9", "-subj", f"/CN=soak{turn}"], check=True, stderr=subprocess.DEVNULL)  # fmt: skip
        key.rename(self.folder / "now.key")
        pem.rename(self.folder / "now.pem")
        if turn > 1 and turn % 2:
            self.server.send_signal(signal.SIGHUP)

    def served(self):
        """The certificate a new connection gets."""
        host, port = self.url.split("://")[1].rsplit(":", 1)
        context = ssl._create_unverified_context()
        with socket.create_connection((host, int(port)), timeout=10) as s, context.wrap_socket(s) as t:
            return t.getpeercert(binary_form=True)

    def newest(self):
        return ssl.PEM_cert_to_DER_cert((self.folder / "now.pem").read_text())

    def version(self):
        """A newer version of the model without an alias: it takes the name once it is loaded."""
        self.done["versions"] += 1
        self.slipway("add", str(self.folder / ("2.onnx" if self.done["versions"] % 2 else "3.onnx")), "coming")

    def close(self):
        self.server.terminate()
        self.server.wait(60)
        self.log.close()
        return open(self.folder / "log").read()


def resident(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{pid}/status").read()).group(1)) * 1024


def plan(a):
    """(when, what), evenly over the whole: fractions of the requests."""
    events = [((i + 0.5) / a.swaps, "swap") for i in range(a.swaps)]
    events += [((i + 0.5) / a.canaries, "canary") for i in range(a.canaries)]
    events += [((i + 0.3) / a.loads, "reload") for i in range(a.loads)]
    events += [((i + 0.7) / 5, "version") for i in range(5)]
    events += [((i + 0.6) / a.certificates, "certificate") for i in range(a.certificates)]
    return sorted(events)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--requests", type=int, default=1_000_000)
    p.add_argument("--swaps", type=int, default=100)
    p.add_argument("--canaries", type=int, default=10)
    p.add_argument("--loads", type=int, default=20)
    p.add_argument("--certificates", type=int, default=5)
    p.add_argument("--seconds", type=float, default=0)
    p.add_argument("--connections", type=int, default=16)
    p.add_argument("--mixed", action="store_true")
    p.add_argument("flags", nargs="*", help="for slipway serve, after --")
    a = p.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        soak = Soak(folder, a.flags)
        soak.slipway("add", str(pathlib.Path(folder) / "1.onnx"), "spare")
        script = pathlib.Path(folder) / "ask.lua"
        script.write_text(SCRIPT)
        wrk = lambda seconds: subprocess.Popen(
            ["wrk", "-t1", f"-c{a.connections}", f"-d{seconds}s", "--timeout", "30s", "-s", str(script), soak.url],
            stdout=subprocess.PIPE, text=True)
        before = resident(soak.server.pid)
        beside = None
        if a.mixed:
            from beside import Beside
            beside = Beside(soak.url, soak.admin, folder)
        total = failed = errors = at = 0
        events, odd, began = plan(a), [], time.monotonic()
        while total < a.requests:  # wrk ends by time: slices of it until there are enough
            slice_s = min(10, max(1, int(a.seconds - (time.monotonic() - began)))) if a.seconds else 10
            process, last = wrk(slice_s), time.monotonic()
            expected = total + (total / (last - began) if total else a.requests / (a.seconds or 60)) * slice_s
            while process.poll() is None:
                part = min(1, (time.monotonic() - last) / slice_s)
                fraction = ((time.monotonic() - began) / a.seconds) if a.seconds else (total + (expected - total) * part) / a.requests
                if at < len(events) and events[at][0] <= fraction:
                    getattr(soak, events[at][1])()
                    at += 1
                else:
                    time.sleep(0.02)
            out = process.stdout.read()
            n, bad, err = map(int, re.search(r"RESULT (\d+) (\d+) (\d+)", out).groups())
            odd += re.findall(r"ODD (.*)", out)
            total, failed, errors = total + n, failed + bad, errors + err
            if a.seconds and time.monotonic() - began >= a.seconds:
                break
        for _, what in events[at:] if not a.seconds else []:
            getattr(soak, what)()
        odd += beside.close() if beside else []
        failed += len(beside.odd) if beside else 0
        seconds, after = time.monotonic() - began, resident(soak.server.pid)
        current = conftest.until(lambda: soak.served() == soak.newest())
        log = soak.close()
        reloads = log.count("certificate read again")
        # between the two renames key and certificate may be of different pairs: the one in use stays, as it should
        problems = [v for v in log.splitlines() if ("error" in v.lower() or "Sanitizer" in v) and "the certificate in use stays" not in v]
        if not current or not reloads:
            problems.append(f"certificate: {reloads} reloads, the newest one served: {current}")
        result = {"requests": total, "failed": failed, "socket_errors": errors, "seconds": round(seconds, 1), "per_s": round(total / seconds),
                  **soak.done, "beside": beside.asked if beside else {},
                  "certificates_read": reloads, "resident_before": before, "resident_after": after, "odd": odd[:3], "log": problems[:5],
                  "exit": soak.server.returncode}
        print(json.dumps(result))
        sys.exit(bool(failed or errors or problems or soak.server.returncode))


main()
