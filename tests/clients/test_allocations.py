"""A steady server allocates nothing per request: every malloc of the process is counted, libraries included."""
import http.client
import mmap
import os
import shutil
import struct
import subprocess

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
SLIPWAY = os.environ.get("SLIPWAY", os.path.join(ROOT, "build", "slipway"))
REQUESTS = 1000
LIMIT = 0.05  # allocations per request: what timers and pools that still grow may take now and then


@pytest.fixture
def counted(tmp_path):
    compiler = shutil.which("cc")
    if not compiler:
        pytest.skip("no C compiler to build the counter with")
    library, count = str(tmp_path / "count.so"), str(tmp_path / "count")
    subprocess.run([compiler, "-O2", "-std=gnu17", "-D_GNU_SOURCE", "-shared", "-fPIC", os.path.join(HERE, "alloc_count.c"), "-o", library, "-ldl"], check=True)
    with open(count, "wb") as f:
        f.write(b"\0" * 8)
    rng = np.random.default_rng(0)
    weights = [numpy_helper.from_array(rng.random(s, np.float32), n) for n, s in (("w1", (4, 16)), ("b1", (16,)), ("w2", (16, 3)), ("b2", (3,)))]
    nodes = [helper.make_node("Gemm", ["x", "w1", "b1"], ["h"]), helper.make_node("Relu", ["h"], ["r"]),
             helper.make_node("Gemm", ["r", "w2", "b2"], ["l"]), helper.make_node("Softmax", ["l"], ["y"], axis=1)]
    graph = helper.make_graph(nodes, "mlp", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 4])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 3])], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(tmp_path / "mlp.onnx"))
    store = str(tmp_path / "store")
    subprocess.run([SLIPWAY, "add", str(tmp_path / "mlp.onnx"), "mlp", "--store", store], check=True, stdout=subprocess.DEVNULL)
    server = subprocess.Popen([SLIPWAY, "serve", "--store", store, "--listen", "127.0.0.1:0", "--quiet"], stdout=subprocess.PIPE, text=True,
                              env={**os.environ, "LD_PRELOAD": library, "ALLOC_COUNT_FILE": count})
    address = server.stdout.readline().split("//")[-1].strip()
    with open(count, "r+b") as f:
        shared = mmap.mmap(f.fileno(), 8)
    yield address, lambda: struct.unpack("<Q", shared[:8])[0]
    server.terminate()
    server.wait()


@pytest.mark.parametrize("path,body", [
    ("/v1/models/mlp:predict", b'{"instances": [[5.1, 3.5, 1.4, 0.2]]}'),
    ("/v2/models/mlp/infer", b'{"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [5.1, 3.5, 1.4, 0.2]}]}'),
    ("/predict/mlp", b"[[5.1, 3.5, 1.4, 0.2]]"),
])
def test_steady_requests_do_not_allocate(counted, path, body):
    address, count = counted
    connection = http.client.HTTPConnection(address)

    def ask(n):
        for _ in range(n):
            connection.request("POST", path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            assert answer.status == 200, answer.read()
            answer.read()

    ask(300)  # plans, pools and buffers are made
    before = count()
    ask(REQUESTS)
    per_request = (count() - before) / REQUESTS
    print(f"{path}: {per_request} allocations per request")
    assert per_request <= LIMIT
