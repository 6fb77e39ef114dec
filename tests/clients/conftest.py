# SPDX-License-Identifier: Apache-2.0
"""A real server for real clients: binary $SLIPWAY (build/slipway), a store of small models, one port a module."""

import contextlib
import http.server
import json
import os
import pathlib
import signal
import socket
import subprocess
import threading
import time

import language
import numpy as np
import onnx
import pytest
import requests
from onnx import TensorProto, helper, numpy_helper

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("SLIPWAY", str(ROOT / "build" / "slipway"))


def pytest_ignore_collect(collection_path, config):
    """KServe's and Triton's clients register the same protobuf names: one process holds one of them, so KServe's runs when asked for by name."""
    alone = "test_kserve.py"
    return True if collection_path.name == alone and not any(str(a).endswith(alone) for a in config.args) else None


# --- models, made here so that every number is known ---


def info(name, kind, shape):
    return helper.make_tensor_value_info(name, kind, shape)


def save(path, nodes, inputs, outputs, constants=(), functions=()):
    graph = helper.make_graph(nodes, path.stem, inputs, outputs, list(constants))
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return str(path)


def constant(name, value):
    return numpy_helper.from_array(np.asarray(value), name)


def affine(path, factor=(1, 2, 3, 4), offset=(0.5, 0, 0, 1)):
    """y = x * factor + offset, rows of four."""
    f32 = TensorProto.FLOAT
    return save(
        path,
        [helper.make_node("Mul", ["x", "f"], ["h"]), helper.make_node("Add", ["h", "o"], ["y"])],
        [info("x", f32, ["N", 4])],
        [info("y", f32, ["N", 4])],
        [constant("f", np.array(factor, np.float32)), constant("o", np.array(offset, np.float32))],
    )


def pair(path):
    """s = a + b, d = a - b."""
    f32 = TensorProto.FLOAT
    return save(
        path,
        [helper.make_node("Add", ["a", "b"], ["s"]), helper.make_node("Sub", ["a", "b"], ["d"])],
        [info("a", f32, ["N", 2]), info("b", f32, ["N", 2])],
        [info("s", f32, ["N", 2]), info("d", f32, ["N", 2])],
    )


def echo(path, kind):
    return save(
        path,
        [helper.make_node("Identity", ["x"], ["y"])],
        [info("x", kind, ["N", "M"])],
        [info("y", kind, ["N", "M"])],
    )


def many(path, outputs=6):
    """y0 = x, y1 = x + 1, ...: more outputs than a response has parts."""
    f32 = TensorProto.FLOAT
    return save(
        path,
        [helper.make_node("Add", ["x", f"c{i}"], [f"y{i}"]) for i in range(outputs)],
        [info("x", f32, ["N", 3])],
        [info(f"y{i}", f32, ["N", 3]) for i in range(outputs)],
        [constant(f"c{i}", np.array([i], np.float32)) for i in range(outputs)],
    )


def picture(path, height=8, width=8):
    """Gives the tensor made of an image back."""
    f32 = TensorProto.FLOAT
    return save(
        path,
        [helper.make_node("Identity", ["image"], ["pixels"])],
        [info("image", f32, ["N", 3, height, width])],
        [info("pixels", f32, ["N", 3, height, width])],
    )


def slow(path):
    """Counts to n (at most a million), over a vector of 16,384 each time: some microseconds for each."""
    i64, boolean = TensorProto.INT64, TensorProto.BOOL
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["keep"], ["go"]),
            helper.make_node("Add", ["sum", "ones"], ["wide"]),
            helper.make_node("Gather", ["wide", "first"], ["next"]),
        ],
        "body",
        [info("i", i64, []), info("keep", boolean, []), info("sum", i64, [])],
        [info("go", boolean, []), info("next", i64, [])],
        [constant("ones", np.ones(16384, np.int64)), constant("first", np.array(0, np.int64))],
    )
    return save(
        path,
        [
            helper.make_node("Squeeze", ["n"], ["trip"]),
            helper.make_node("Loop", ["trip", "yes", "zero"], ["count"], body=body),
        ],
        [info("n", i64, [1])],
        [info("count", i64, [])],
        [constant("yes", np.array(True)), constant("zero", np.array(0, np.int64))],
    )


# --- the binary ---


@contextlib.contextmanager
def web(handler):
    """Another server, Python's own, that answers by this http.server handler; its URL."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


class Store:
    def __init__(self, folder):
        self.folder = str(folder)

    def run(self, *args, check=True):
        done = subprocess.run([BINARY, *args, "--store", self.folder], capture_output=True, text=True, timeout=120)
        if check:
            assert done.returncode == 0, done.stderr
        return done

    def json(self, *args):
        return json.loads(self.run(*args, "--json").stdout)

    def add(self, path, name, *more):
        self.run("add", str(path), name, *more)


started = []


def serve(*arguments, **more):
    """A server's process. It ends with the test, or the fixture, that started it, whatever becomes of that."""
    process = subprocess.Popen(
        [BINARY, "serve", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more
    )
    started.append(process)
    return process


def end_since(n):
    """Those started after the first n, when they still run."""
    for process in started[n:]:
        if process.poll() is None:
            process.kill()
            process.communicate()
    del started[n:]


@pytest.fixture(autouse=True)
def no_server_outlives_its_test():
    """Fixtures of modules and sessions have started theirs before this one begins."""
    n = len(started)
    yield
    end_since(n)


def pytest_sessionfinish():
    end_since(0)


class Server:
    def __init__(self, store, *flags, models=()):
        self.process = serve(*models, "--store", store.folder, "--listen", "127.0.0.1:0", *flags)
        self.store = store
        line = self.process.stdout.readline()
        assert line.startswith("listening on http"), line + self.process.stderr.read()
        self.address = line.split("://")[1].strip()
        self.host, self.port = self.address.rsplit(":", 1)
        self.port = int(self.port)
        self.url = "http://" + self.address
        self.session = requests.Session()

    def get(self, path, **more):
        return self.session.get(self.url + path, timeout=30, **more)

    def post(self, path, **more):
        return self.session.post(self.url + path, timeout=30, **more)

    def raw(self, data, wait=5.0):
        """Bytes in, all bytes out until the server closes or says nothing for a while."""
        with socket.create_connection((self.host, self.port), timeout=wait) as s:
            s.sendall(data)
            got = b""
            s.settimeout(wait)
            try:
                while True:
                    piece = s.recv(65536)
                    if not piece:
                        break
                    got += piece
            except (TimeoutError, ConnectionResetError):
                pass
            return got

    def metric(self, name, **labels):
        """The value of one series, 0 when absent."""
        wanted = [f'{k}="{v}"' for k, v in labels.items()]
        total = 0.0
        for line in self.get("/metrics").text.splitlines():
            head, _, value = line.rpartition(" ")
            if (head == name or head.startswith(name + "{")) and all(w in head for w in wanted):
                total += float(value)
        return total

    def peak(self):
        """Bytes: the most memory it held so far."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))) << 10

    def stop(self, number=signal.SIGTERM, wait=20):
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            out, err = self.process.communicate(timeout=wait)
        except subprocess.TimeoutExpired:
            self.process.kill()
            out, err = self.process.communicate()
            raise AssertionError("the server did not stop:\n" + err[-2000:])
        assert "Sanitizer" not in err, err[-4000:]
        return self.process.returncode, err


def until(true, seconds=10.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if true():
            return True
        time.sleep(0.02)
    return False


KINDS = {
    "bool": (TensorProto.BOOL, np.bool_, "BOOL"),
    "u8": (TensorProto.UINT8, np.uint8, "UINT8"),
    "u16": (TensorProto.UINT16, np.uint16, "UINT16"),
    "u32": (TensorProto.UINT32, np.uint32, "UINT32"),
    "u64": (TensorProto.UINT64, np.uint64, "UINT64"),
    "i8": (TensorProto.INT8, np.int8, "INT8"),
    "i16": (TensorProto.INT16, np.int16, "INT16"),
    "i32": (TensorProto.INT32, np.int32, "INT32"),
    "i64": (TensorProto.INT64, np.int64, "INT64"),
    "f16": (TensorProto.FLOAT16, np.float16, "FP16"),
    "f32": (TensorProto.FLOAT, np.float32, "FP32"),
    "f64": (TensorProto.DOUBLE, np.float64, "FP64"),
    "text": (TensorProto.STRING, np.object_, "BYTES"),
}


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    made = {
        "affine": affine(folder / "affine.onnx"),
        "pair": pair(folder / "pair.onnx"),
        "many": many(folder / "many.onnx"),
        "picture": picture(folder / "picture.onnx"),
        "slow": slow(folder / "slow.onnx"),
        "affine2": affine(folder / "affine2.onnx", factor=(10, 10, 10, 10), offset=(0, 0, 0, 0)),
    }
    for name, (kind, _, _) in KINDS.items():
        made["echo_" + name] = echo(folder / f"echo_{name}.onnx", kind)
    return made


@pytest.fixture(scope="module")
def store(tmp_path_factory, models):
    """affine@1 (alias prod) and affine@2, pair, many, picture, slow, echo_*."""
    s = Store(tmp_path_factory.mktemp("store"))
    s.add(models["affine"], "affine")
    s.add(models["affine2"], "affine")
    s.run("alias", "affine@1", "prod")
    for name in models:
        if not name.startswith("affine"):
            s.add(models[name], name)
    return s


@pytest.fixture(scope="module")
def server(store):
    s = Server(store, "--allow-control")
    yield s
    s.stop()


@pytest.fixture(scope="module")
def chat(tmp_path_factory):
    """A server of one language model, "chat"."""
    s = Store(tmp_path_factory.mktemp("language"))
    s.add(language.smollm2(), "chat")
    server = Server(s, "--context", "2048", "--sequences", "16", "--threads", "2", "--queue", "32")
    yield server
    server.stop()


@pytest.fixture(scope="module")
def client(chat):
    return pytest.importorskip("openai").OpenAI(base_url=chat.url + "/v1", api_key="none", max_retries=0)
