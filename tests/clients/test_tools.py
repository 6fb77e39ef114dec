# SPDX-License-Identifier: Apache-2.0
"""Tools that others wrote in Go and C++: grpcurl by reflection, ghz, h2spec, Triton's perf_analyzer.

`make wire` fetches them into build/peers; what is neither there nor on PATH is skipped."""

import base64
import json
import os
import re
import shutil
import subprocess

import pytest

from conftest import ROOT
from test_tls import pki, secure  # noqa: F401 (fixtures)

PEERS = ROOT / "build" / "peers"


def tool(name, *args, check=True, **more):
    path = shutil.which(name, path=f"{PEERS}{os.pathsep}{os.environ['PATH']}")
    if not path:
        pytest.skip(f"no {name}: `make wire` fetches it")
    environment = {**os.environ, "LD_LIBRARY_PATH": str(PEERS)}
    done = subprocess.run([path, *args], capture_output=True, text=True, timeout=120, env=environment, **more)
    assert not check or done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout + done.stderr


# --- grpcurl ---

TRITON = "inference.GRPCInferenceService"
TORCH = "org.pytorch.serve.grpc.management.ManagementAPIsService"
PREDICTION = "tensorflow.serving.PredictionService"
X = {"name": "x", "datatype": "FP32", "shape": [1, 4], "contents": {"fp32_contents": [1, 2, 3, 4]}}
ASK = {"model_name": "affine", "inputs": [X]}
SPEC = {"name": "affine"}
ROW = {"dtype": "DT_FLOAT", "tensor_shape": {"dim": [{"size": 1}, {"size": 4}]}, "float_val": [1, 2, 3, 4]}
DATA = base64.b64encode(b"[[1, 2, 3, 4]]").decode()
EXAMPLES = {"example_list": {"examples": [{"features": {"feature": {"x": {"float_list": {"value": [1, 2, 3, 4]}}}}}]}}

CALLS = [  # every service, most methods: what is sent, what must be in the answer or in the refusal
    ("grpc.health.v1.Health/Check", {"service": "affine"}, '"SERVING"'),
    ("grpc.health.v1.Health/List", {}, '"tensorflow.serving.PredictionService"'),
    (f"{TRITON}/ServerLive", {}, '"live": true'),
    (f"{TRITON}/ServerReady", {}, '"ready": true'),
    (f"{TRITON}/ModelReady", {"name": "affine"}, '"ready": true'),
    (f"{TRITON}/ServerMetadata", {}, '"model_repository"'),
    (f"{TRITON}/ModelMetadata", {"name": "pair"}, '"name": "d"'),
    (f"{TRITON}/ModelConfig", {"name": "affine"}, "TYPE_FP32"),
    (f"{TRITON}/ModelInfer", ASK, r"1\.5,\s*4,\s*9,\s*17"),
    (f"{TRITON}/ModelStreamInfer", ASK, r"1\.5,\s*4,\s*9,\s*17"),
    (f"{TRITON}/ModelInfer", {"model_name": "nobody", "inputs": [X]}, "Code: NotFound"),
    (f"{TRITON}/ModelStatistics", {"name": "affine"}, '"inference_count"'),
    (f"{TRITON}/RepositoryIndex", {}, '"READY"'),
    (f"{TRITON}/RepositoryModelLoad", {"model_name": "affine"}, "{}"),
    (f"{TRITON}/TraceSetting", {"settings": {"trace_rate": {"value": ["7"]}}}, r'"trace_rate":\s*{\s*"value":\s*\[\s*"7"'),
    (f"{TRITON}/LogSettings", {}, '"log_info"'),
    (f"{TRITON}/SystemSharedMemoryStatus", {}, "{}"),
    (f"{TRITON}/CudaSharedMemoryStatus", {}, "{}"),
    (f"{TRITON}/CudaSharedMemoryRegister", {"name": "r", "byte_size": 1}, "Code: Unimplemented"),
    (f"{PREDICTION}/Predict", {"model_spec": SPEC, "inputs": {"x": ROW}}, r"1\.5,\s*4,\s*9,\s*17"),
    (f"{PREDICTION}/GetModelMetadata", {"model_spec": SPEC, "metadata_field": ["signature_def"]}, "SignatureDefMap"),
    (f"{PREDICTION}/Classify", {"model_spec": SPEC, "input": EXAMPLES}, '"score": 17'),
    (f"{PREDICTION}/Regress", {"model_spec": SPEC, "input": EXAMPLES}, "Code: "),
    ("tensorflow.serving.ModelService/GetModelStatus", {"model_spec": SPEC}, '"AVAILABLE"'),
    ("tensorflow.serving.ModelService/HandleReloadConfigRequest", {"config": {}}, "Code: |{"),
    ("org.pytorch.serve.grpc.inference.InferenceAPIsService/Ping", {}, "Healthy"),
    ("org.pytorch.serve.grpc.inference.InferenceAPIsService/Predictions", {"model_name": "affine", "input": {"data": DATA}}, "prediction"),
    (f"{TORCH}/ListModels", {}, "affine"),
    (f"{TORCH}/DescribeModel", {"model_name": "affine"}, "modelVersion"),
    (f"{TORCH}/RegisterModel", {"url": "../x"}, "Code: InvalidArgument"),
]


@pytest.mark.parametrize("method, message, wanted", CALLS, ids=[f"{m.split('/')[-1]}-{i}" for i, (m, _, _) in enumerate(CALLS)])
def test_grpcurl_calls(server, method, message, wanted):
    said = tool("grpcurl", "-plaintext", "-d", json.dumps(message), server.address, method, check=False)
    assert re.search(wanted, said), said


def test_grpcurl_describes_every_method(server):
    """Reflection knows each gRPC route of the sources, and grpcurl can print it."""
    wanted = set()
    for source in (ROOT / "src" / "serve" / "protocol").glob("*.c"):
        text = source.read_text()
        define = dict(re.findall(r'#define (\w+) "(/[^"]*\.[^"]+)"', text))
        prefix = re.search(r'#define METHOD\(.*?"(/[^"]*/)" name', text, re.S)
        wanted |= {prefix[1] + m for m in re.findall(r'METHOD\("(\w+)"', text)} if prefix else set()
        wanted |= set(re.findall(r'ROUTE_POST, "(/[\w.]+\.[\w.]+/\w+)"', text))
        wanted |= {define[d] + m for d, m in re.findall(r'ROUTE_POST, (\w+) "(\w+)"', text) if d in define}
    wanted = {w.strip("/").replace("/", ".") for w in wanted}
    got = set()
    for service in tool("grpcurl", "-plaintext", server.address, "list").split():
        got |= set(tool("grpcurl", "-plaintext", server.address, "list", service).split())
        assert "is a service" in tool("grpcurl", "-plaintext", server.address, "describe", service)
    assert got == wanted and len(got) > 40
    assert "fp32_contents" in tool("grpcurl", "-plaintext", server.address, "describe", ".inference.InferTensorContents")


# --- load ---


def test_ghz(server):
    args = ["--insecure", "--call", f"{TRITON}.ModelInfer", "-n", "2000", "-c", "8", "-d", json.dumps(ASK), "-O", "json"]
    report = json.loads(tool("ghz", *args, server.address))
    assert report["statusCodeDistribution"] == {"OK": 2000} and report["count"] == 2000


@pytest.mark.parametrize("flags", [[], ["--shared-memory", "system", "--output-shared-memory-size", "4096"]], ids=["message", "memory"])
@pytest.mark.parametrize("how", [["http"], ["grpc"], ["grpc", "--streaming", "-a"]], ids="-".join)
def test_perf_analyzer(server, how, flags):
    said = tool("perf_analyzer", "-m", "affine", "-u", server.address, "-i", *how, *flags, "-b", "2", "--concurrency-range", "4",
                "--measurement-mode", "count_windows", "--measurement-request-count", "200", "-r", "3", "-s", "999")  # fmt: skip
    assert re.search(r"Successful request count: [1-9]\d{2,}", said), said
    assert "infer/sec" in said and "Failed" not in said, said


# --- HTTP/2 ---


def test_h2spec_over_tls(secure):
    said = tool("h2spec", "-t", "-k", "-h", secure.host, "-p", str(secure.port), "-P", "/v1/models/affine")
    assert re.search(r"(\d+) tests, \1 passed, 0 skipped, 0 failed", said), said[-3000:]


def test_h2spec_in_the_clear(server):
    """All but one: what is no preface is read as HTTP/1.1, on a port that speaks both, and answered so."""
    said = tool("h2spec", "-h", server.host, "-p", str(server.port), "-P", "/v1/models/affine", check=False)
    failed = set(re.findall(r"^ +× (.*)$", said, re.M))
    assert failed == {"2: Sends invalid connection preface"}, said[-3000:]
