# SPDX-License-Identifier: Apache-2.0
"""What other clients ask while soak.py's wrk asks: gRPC one by one and as streams, HTTP/2 over TLS, long binary tensors, trace
settings that change, health and metrics. Every answer must be right."""
import json
import pathlib
import queue
import re
import subprocess
import threading
import urllib.request

import grpc
import numpy as np
import tritonclient.grpc as triton
from grpc_health.v1 import health_pb2, health_pb2_grpc

X = np.array([[1, 2, 3, 4]], np.float32)
RIGHT = {(1.5, 4, 9, 17), (10, 20, 30, 40), (2, 4, 6, 8)}  # some version's answer
LONG = np.arange(4 * 8192, dtype=np.float32).reshape(-1, 4)


def tensor(x):
    t = triton.InferInput("x", list(x.shape), "FP32")
    t.set_data_from_numpy(x)
    return t


def check(got, want):
    if not want:
        raise AssertionError(f"got {got}")


class Beside:
    """Each of these runs in a thread of its own until close; what goes wrong is in `odd`."""

    def __init__(self, url, admin, folder):
        self.url, self.admin, self.folder = url, admin, pathlib.Path(folder)
        self.address = admin.split("//")[1]
        self.stop, self.odd, self.asked = threading.Event(), [], {}
        kinds = [self.unary] * 4 + [self.stream, self.long_binary, self.http2, self.probe, self.health]
        self.threads = [threading.Thread(target=self.run, args=(kind,)) for kind in kinds]
        for thread in self.threads:
            thread.start()

    def run(self, kind):
        name = kind.__name__
        try:
            with triton.InferenceServerClient(self.address) as client:
                while not self.stop.is_set():
                    self.asked[name] = self.asked.get(name, 0) + kind(client)
        except Exception as e:
            self.odd.append(f"{name}: {e!r}"[:300])

    def unary(self, client):
        got = tuple(client.infer("m", [tensor(X)]).as_numpy("y")[0])
        check(got, got in RIGHT)
        return 1

    def stream(self, client):
        answers = queue.Queue()
        client.start_stream(callback=lambda result, error: answers.put((result, error)))
        for i in range(20):
            client.async_stream_infer("m" if i % 5 else "still", [tensor(X)], request_id=str(i))
        for _ in range(20):
            result, error = answers.get(timeout=60)
            check(error, error is None and tuple(result.as_numpy("y")[0]) in RIGHT)
        client.stop_stream()
        return 20

    def long_binary(self, client):
        want = LONG * np.array([1, 2, 3, 4], np.float32) + np.array([0.5, 0, 0, 1], np.float32)
        got = client.infer("still", [tensor(LONG)]).as_numpy("y")
        check("another long answer by gRPC", np.array_equal(got, want))
        head = json.dumps({"inputs": [{"name": "x", "shape": list(LONG.shape), "datatype": "FP32", "parameters": {"binary_data_size": LONG.nbytes}}],
                           "parameters": {"binary_data_output": True}}).encode()  # fmt: skip
        request = urllib.request.Request(self.admin + "/v2/models/still/infer", data=head + LONG.tobytes(), headers={"Inference-Header-Content-Length": len(head)})
        with urllib.request.urlopen(request, timeout=60) as answer:
            body = answer.read()[int(answer.headers["Inference-Header-Content-Length"]) :]
        check("another long answer by REST", body == want.tobytes())
        return 2

    def http2(self, _):
        n, body = 200, self.folder / "ask.json"
        body.write_text('{"instances": [[1,2,3,4]]}')
        said = subprocess.run(["h2load", "-n", str(n), "-c", "4", "-m", "8", "-d", body, self.url + "/v1/models/m:predict"], capture_output=True, text=True).stdout
        check(said[-600:], re.search(rf"status codes: {n} 2xx", said))
        return n

    def probe(self, client):
        client.update_trace_settings("m", {"trace_level": ["TIMESTAMPS"], "trace_rate": "3"})
        client.get_trace_settings("m")
        client.get_inference_statistics("m")
        client.update_trace_settings("m", {"trace_level": ["OFF"]})
        return 4

    def health(self, client):
        check("not ready", client.is_server_ready() and client.is_model_ready("still"))
        with grpc.insecure_channel(self.address) as channel:
            status = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=60).status
        check(status, status == health_pb2.HealthCheckResponse.SERVING)
        for path in ("/v2/health/ready", "/metrics", "/admin/models"):
            with urllib.request.urlopen(self.admin + path, timeout=60) as answer:
                check(path, answer.read())
        return 6

    def close(self):
        self.stop.set()
        for thread in self.threads:
            thread.join(90)
        return self.odd
