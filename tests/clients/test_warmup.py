# SPDX-License-Identifier: Apache-2.0
"""Warm-up records as TensorFlow Serving's own stubs write them: TFRecord files of PredictionLog."""

import shutil
import struct

import numpy as np
import pytest
import tensorflow_missing  # noqa: F401
from tensorflow_serving.apis import prediction_log_pb2

from conftest import Server, Store, until
from test_config_files import layout  # noqa: F401


def table():
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        yield value


TABLE = list(table())


def masked(data):
    """tensorflow/core/lib/hash/crc32c.h"""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = TABLE[(crc ^ byte) & 255] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def records(*logs):
    out = b""
    for log in logs:
        data = log.SerializeToString()
        length = struct.pack("<Q", len(data))
        out += length + struct.pack("<I", masked(length)) + data + struct.pack("<I", masked(data))
    return out


def put_tensor(proto, array):
    proto.dtype = 1
    for size in array.shape:
        proto.tensor_shape.dim.add().size = size
    proto.float_val.extend(array.reshape(-1).tolist())


def predict(name="x", rows=2, width=4, signature=""):
    log = prediction_log_pb2.PredictionLog()
    request = log.predict_log.request
    request.model_spec.name = "whatever"
    request.model_spec.signature_name = signature
    put_tensor(request.inputs[name], np.ones((rows, width), np.float32))
    return log


def classify(kind, width=4):
    log = prediction_log_pb2.PredictionLog()
    request = getattr(log, kind).request
    example = request.input.example_list.examples.add()
    example.features.feature["x"].float_list.value.extend([1.0] * width)
    if kind == "multi_inference_log":
        request.tasks.add().method_name = "tensorflow/serving/classify"
    return log


def session_run():
    log = prediction_log_pb2.PredictionLog()
    log.session_run_log.request.model_spec.name = "m"
    return log


ALL = (predict(), predict(rows=7, signature="serving_default"), classify("classify_log"), classify("regress_log"), classify("multi_inference_log"))


def runs(server, model="iris"):
    return sum(s["execution_count"] for s in server.get(f"/v2/models/{model}/stats").json()["model_stats"])


def test_records_are_kept_with_the_version(tmp_path, models):
    store = Store(tmp_path / "store")
    file = tmp_path / "requests"
    file.write_bytes(records(*ALL))
    store.run("add", models["affine"], "iris", "--warmup", str(file))
    server = Server(store)
    assert server.post("/predict/iris", json=[1, 1, 1, 1]).json()["outputs"]["y"] == [[1.5, 2, 3, 5]]
    assert runs(server) == 1  # warming up is nobody's request
    server.stop()


@pytest.mark.parametrize(
    "content,why",
    [
        (records(predict(), session_run()), "record 2: session_run_log is not supported"),
        (records(predict(signature="other")), 'record 1: Serving signature key "other" not found'),
        (records(prediction_log_pb2.PredictionLog()), "record 1: a PredictionLog without a log"),
        (records(predict(), predict())[:-1], "record 2: the file ends within it"),
        (records(predict())[:-1] + b"x", "record 1: its sum does not fit"),
        (b"not a file of records", "record 1: the sum of its length does not fit: a TFRecord file is expected"),
        (records(predict()) * 1001, "more than 1000 records"),
        (records(classify("classify_log", width=3)), "record 1: feature 'x': 3 values an example do not fit"),
        (b"short", "record 1: the file ends within it"),
    ],
)
def test_what_is_no_record_is_said(tmp_path, models, content, why):
    store = Store(tmp_path / "store")
    file = tmp_path / "requests"
    file.write_bytes(content)
    done = store.run("add", models["affine"], "iris", "--warmup", str(file), check=False)
    assert done.returncode != 0 and f"{file}: " in done.stderr and why in done.stderr, done.stderr
    assert store.run("list").stdout.count("iris") == 0


@pytest.mark.parametrize("log", [predict(name="z"), predict(width=5)])
def test_a_version_that_fails_one_is_not_ready(tmp_path, models, log):
    store = Store(tmp_path / "store")
    file = tmp_path / "requests"
    store.add(models["affine"], "iris")
    file.write_bytes(records(predict(), log))
    store.run("add", models["affine2"], "iris", "--warmup", str(file))
    server = Server(store)
    states = {s["version"]: s for s in server.get("/v1/models/iris").json()["model_version_status"]}
    assert states["2"]["state"] != "AVAILABLE" and "warm-up: request 2: " in states["2"]["status"]["error_message"], states
    assert server.post("/predict/iris", json=[1, 1, 1, 1]).json()["outputs"]["y"] == [[1.5, 2, 3, 5]]  # the one before it
    server.stop()


def test_beside_a_served_folder(layout, models):  # noqa: F811
    """base_path/VERSION/assets.extra, where TensorFlow Serving looks."""
    for version, log in (("1", predict()), ("2", predict(width=5))):
        folder = layout / "base" / "iris" / version / "assets.extra"
        folder.mkdir()
        (folder / "tf_serving_warmup_requests").write_bytes(records(log))
    file = layout / "models.config"
    file.write_text(f'model_config_list {{ config {{ name: "iris" base_path: "{layout}/base/iris" model_version_policy {{ specific {{ versions: [1, 2] }} }} }} }}')
    server = Server(Store(layout / "store"), "--model-config-file", str(file))
    status = lambda: {s["version"]: s for s in server.get("/v1/models/iris").json()["model_version_status"]}  # noqa: E731
    assert until(lambda: "warm-up: request 1: input 'x': expected" in status()["2"]["status"]["error_message"])
    assert status()["1"]["state"] == "AVAILABLE" and status()["2"]["state"] != "AVAILABLE"
    server.stop()


def test_records_that_come_later_are_picked_up(layout, models):  # noqa: F811
    """The folder's bytes are in the store already: what comes beside them makes its next version there, while it runs and at the next start."""
    flags = ("--model-name=iris", "--model-base-path", str(layout / "base" / "iris"), "--file-system-poll-wait-seconds", "1")
    shutil.rmtree(layout / "base" / "iris" / "007")
    folder = layout / "base" / "iris" / "2" / "assets.extra"
    store = Store(layout / "store")
    server = Server(store, *flags)
    available = lambda: [s["version"] for s in server.get("/v1/models/iris").json()["model_version_status"] if s["state"] == "AVAILABLE"]  # noqa: E731
    assert available() == ["1"]
    folder.mkdir()
    (folder / "tf_serving_warmup_requests").write_bytes(records(predict()))
    assert until(lambda: available() == ["2"])
    server.stop()
    server = Server(store, *flags)
    assert available() == ["2"] and len(store.json("list", "iris")) == 2  # nothing new: nothing is made
    server.stop()
    (folder / "tf_serving_warmup_requests").write_bytes(records(predict(width=5)))
    server = Server(store, *flags)
    status = server.get("/v1/models/iris").json()["model_version_status"]
    assert any("warm-up: request 1: input 'x': expected" in s["status"]["error_message"] for s in status), status
    server.stop()


def test_requests_that_were_kept_warm_the_next_version(tmp_path, models):
    """A tape of the policy "capture" is a warm-up file, too."""
    store = Store(tmp_path / "store")
    store.add(models["affine"], "iris")
    store.run("policy", "iris", "capture=100%")
    server = Server(store)
    server.post("/predict/iris", json=[1, 1, 1, 1])
    server.stop()
    tape = next((tmp_path / "store" / "captures" / "iris").iterdir())
    store.run("add", models["affine2"], "iris", "--warmup", str(tape))
    store.run("add", models["pair"], "pair", "--warmup", str(tape))
    server = Server(store)
    assert server.get("/v2/models/iris/versions/2/ready").status_code == 200
    status = server.get("/v1/models/pair").json()["model_version_status"][0]
    assert "warm-up: request 1: unexpected input 'x'" in status["status"]["error_message"], status
    server.stop()
