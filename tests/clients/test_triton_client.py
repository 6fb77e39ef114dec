# SPDX-License-Identifier: Apache-2.0
"""The real tritonclient.http, unchanged: everything it can ask."""

import json
import threading

import numpy as np
import pytest
import requests
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

from conftest import KINDS, Server, Store, until


@pytest.fixture(scope="module")
def client(server):
    with triton.InferenceServerClient(server.address, concurrency=4) as c:
        yield c


def values_of(name):
    kind = KINDS[name][1]
    if name == "text":
        return np.array([["a", "größe", ""], ["x" * 300, "\0", "line\nfeed"]], dtype=np.object_)
    if name == "bool":
        return np.array([[True, False, True], [False, False, True]])
    if name.startswith("f"):
        return np.array([[0.5, -1.25, 3], [np.inf, 0, -0.0]], kind)
    limits = np.iinfo(kind)
    return np.array([[limits.min, limits.max, 0], [1, 2, 3]], kind)


def ask(client, model, arrays, binary=True, outputs=None, binary_out=True, **more):
    inputs = []
    for name, array in arrays.items():
        tensor = triton.InferInput(name, list(array.shape), {k[1]: k[2] for k in KINDS.values()}[array.dtype.type])
        tensor.set_data_from_numpy(array, binary_data=binary)
        inputs.append(tensor)
    wanted = [triton.InferRequestedOutput(o, binary_data=binary_out) for o in outputs] if outputs else None
    return client.infer(model, inputs, outputs=wanted, **more)


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("name", list(KINDS))
def test_every_type(client, name, binary):
    if name == "f16" and not binary:
        pytest.skip("the client cannot send FP16 as JSON")
    x = values_of(name)
    got = ask(client, "echo_" + name, {"x": x}, binary=binary, outputs=["y"], binary_out=binary).as_numpy("y")
    want = np.array([[s.encode() for s in row] for row in x], np.object_) if name == "text" else x
    if name == "text" and not binary:
        got = np.array([[s if isinstance(s, bytes) else s.encode() for s in row] for row in got], np.object_)
    assert np.array_equal(got, want)


def test_default_is_binary_both_ways(client):
    a, b = np.array([[1, 2]], np.float32), np.array([[3, 5]], np.float32)
    got = ask(client, "pair", {"a": a, "b": b}, request_id="seven")
    assert got.get_response()["id"] == "seven"
    assert got.get_response()["model_name"] == "pair" and got.get_response()["model_version"] == "1"
    assert got.get_output("s")["parameters"]["binary_data_size"] == 8
    assert np.array_equal(got.as_numpy("s"), a + b) and np.array_equal(got.as_numpy("d"), a - b)


def test_outputs_are_chosen_and_ordered(client):
    x = np.array([[1, 2, 3]], np.float32)
    got = ask(client, "many", {"x": x}, outputs=["y4", "y1"])
    assert [o["name"] for o in got.get_response()["outputs"]] == ["y4", "y1"]
    assert np.array_equal(got.as_numpy("y4"), x + 4) and got.as_numpy("y0") is None
    got = ask(client, "many", {"x": x})  # more binary outputs than a response has parts
    for i in range(6):
        assert np.array_equal(got.as_numpy(f"y{i}"), x + i)


def test_mixed_binary_and_json(client):
    a, b = np.array([[1, 2]], np.float32), np.array([[3, 5]], np.float32)
    first, second = triton.InferInput("a", [1, 2], "FP32"), triton.InferInput("b", [1, 2], "FP32")
    first.set_data_from_numpy(a, binary_data=False)
    second.set_data_from_numpy(b, binary_data=True)
    got = client.infer(
        "pair",
        [second, first],
        outputs=[
            triton.InferRequestedOutput("s", binary_data=False),
            triton.InferRequestedOutput("d", binary_data=True),
        ],
    )
    assert "data" in got.get_output("s") and "binary_data_size" in got.get_output("d")["parameters"]
    assert np.array_equal(got.as_numpy("s"), a + b) and np.array_equal(got.as_numpy("d"), a - b)


@pytest.mark.parametrize("request_with", [None, "gzip", "deflate"])
@pytest.mark.parametrize("response_with", [None, "gzip", "deflate"])
def test_compression(client, request_with, response_with):
    x = np.tile(np.arange(3, dtype=np.float32), (2000, 1))
    for binary in (True, False):
        got = ask(
            client,
            "many",
            {"x": x},
            binary=binary,
            outputs=["y0", "y5"],
            binary_out=binary,
            request_compression_algorithm=request_with,
            response_compression_algorithm=response_with,
        )
        assert np.array_equal(got.as_numpy("y5"), x + 5)


def test_versions(client):
    x = np.array([[1, 2, 3, 4]], np.float32)
    assert np.array_equal(ask(client, "affine", {"x": x}, model_version="1").as_numpy("y"), [[1.5, 4, 9, 17]])


def test_classification(client):
    x = np.array([[0.1, 0.7, 0.2], [5, 3, 4]], np.float32)
    tensor = triton.InferInput("x", [2, 3], "FP32")
    tensor.set_data_from_numpy(x)
    got = client.infer("many", [tensor], outputs=[triton.InferRequestedOutput("y0", class_count=2)])
    assert got.as_numpy("y0").tolist() == [[b"0.700000:1", b"0.200000:2"], [b"5.000000:0", b"4.000000:2"]]


def test_async(client):
    x = np.array([[1, 2, 3, 4]], np.float32)
    tensor = triton.InferInput("x", [1, 4], "FP32")
    tensor.set_data_from_numpy(x)
    waiting = [client.async_infer("affine", [tensor]) for _ in range(20)]
    for one in waiting:
        assert np.array_equal(one.get_result().as_numpy("y"), [[1.5, 4, 9, 17]])


def test_raw_request(server):
    x = np.array([[1, 2, 3, 4]], np.float32)
    answer = server.post(
        "/v2/models/affine/infer", data=x.tobytes(), headers={"Inference-Header-Content-Length": "0"}
    )
    head = int(answer.headers["inference-header-content-length"])
    assert np.array_equal(np.frombuffer(answer.content[head:], np.float32), [1.5, 4, 9, 17])
    answer = server.post(
        "/v2/models/echo_f32/infer", data=x.tobytes(), headers={"Inference-Header-Content-Length": "0"}
    )
    assert answer.status_code == 200 and b'"shape":[1,4]' in answer.content


def test_server_and_models(client):
    assert client.is_server_live() and client.is_server_ready() and client.is_model_ready("pair")
    assert not client.is_model_ready("nobody")
    assert client.get_server_metadata()["name"] == "slipway"
    assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
    got = client.get_model_metadata("pair")
    assert got["name"] == "pair" and got["versions"] == ["1"]
    assert got["inputs"] == [
        {"name": "a", "datatype": "FP32", "shape": [-1, 2]},
        {"name": "b", "datatype": "FP32", "shape": [-1, 2]},
    ]
    assert [o["name"] for o in got["outputs"]] == ["s", "d"]
    config = client.get_model_config("pair")
    assert config["name"] == "pair" and config["input"][0]["data_type"] == "TYPE_FP32"
    if config["max_batch_size"] > 0:
        assert config["input"][0]["dims"] == [2]
    else:
        assert config["input"][0]["dims"] == [-1, 2]


def test_statistics(client):
    x = np.ones((3, 4), np.float32)
    before = client.get_inference_statistics("affine", "1")["model_stats"][0]
    for _ in range(5):
        ask(client, "affine", {"x": x})
    after = client.get_inference_statistics("affine", "1")["model_stats"][0]
    assert after["inference_count"] - before["inference_count"] == 15
    assert after["inference_stats"]["success"]["count"] - before["inference_stats"]["success"]["count"] == 5
    assert after["inference_stats"]["compute_infer"]["ns"] > before["inference_stats"]["compute_infer"]["ns"]
    assert {m["name"] for m in client.get_inference_statistics()["model_stats"]} >= {"affine", "pair"}


def test_settings(client):
    assert client.get_trace_settings()["trace_level"] == ["OFF"]
    assert client.get_log_settings()["log_info"] is True
    got = client.update_log_settings({"log_info": False, "log_verbose_level": 3})
    assert got["log_info"] is False and got["log_verbose_level"] == 3
    assert client.get_log_settings() == got
    got = client.update_log_settings({"log_info": True, "log_verbose_level": 0})
    assert got["log_info"] is True and got["log_verbose_level"] == 0
    for change in ({"log_file": "/tmp/x"}, {"log_format": "ISO8601"}):
        with pytest.raises(InferenceServerException, match="cannot be changed"):
            client.update_log_settings(change)
    with pytest.raises(InferenceServerException, match="unknown setting 'colour'"):
        client.update_log_settings({"log_info": False, "colour": "red"})
    assert client.get_log_settings()["log_info"] is True  # a change is checked whole
    got = client.update_trace_settings(model_name="pair", settings={"trace_level": ["TIMESTAMPS"], "trace_rate": "10", "trace_count": 3})
    assert got["trace_level"] == ["TIMESTAMPS"] and got["trace_rate"] == "10" and got["trace_count"] == "3"
    assert client.get_trace_settings("pair") == got and client.get_trace_settings()["trace_level"] == ["OFF"]
    got = client.update_trace_settings(model_name="pair", settings={"trace_level": None, "trace_rate": None, "trace_count": None})
    assert got == client.get_trace_settings()
    for change, text in [({"trace_level": ["TENSORS"]}, "do not go into the log"), ({"trace_rate": "0"}, "no number from 1"), ({"trace_file": "x"}, "cannot be")]:
        with pytest.raises(InferenceServerException, match=text):
            client.update_trace_settings(settings=change)
    assert client.get_cuda_shared_memory_status() == []
    with pytest.raises(InferenceServerException, match="there is no CUDA here"):
        client.register_cuda_shared_memory("r", b"handle", 0, 16)
    client.unregister_cuda_shared_memory()


def test_settings_change_what_is_logged(store):
    """A server of its own: its log is read."""
    s = Server(store, "--allow-control")
    with triton.InferenceServerClient(s.address) as c:
        c.update_trace_settings(settings={"trace_level": ["TIMESTAMPS"], "trace_rate": "2", "trace_count": "3"})
        for _ in range(10):
            ask(c, "affine", {"x": np.ones((1, 4), np.float32)})
        assert until(lambda: c.get_trace_settings()["trace_count"] == "0")  # one of two, three in all
        c.update_log_settings({"log_info": False})
        c.update_trace_settings(settings={"trace_rate": "1", "trace_count": "-1"})
        ask(c, "affine", {"x": np.ones((1, 4), np.float32)})
    _, log = s.stop()
    lines = [json.loads(line) for line in log.splitlines() if '"message":"trace"' in line]
    assert len(lines) == 3 and all(v["model"] == "affine" and v["compute_us"] > 0 and v["total_us"] >= v["compute_us"] for v in lines)
    assert "draining" not in log  # an "info" line


def test_settings_need_leave(store):
    s = Server(store)
    with triton.InferenceServerClient(s.address) as c:
        assert c.get_log_settings()["log_info"] is True
        with pytest.raises(InferenceServerException, match="--allow-control"):
            c.update_log_settings({"log_info": False})
        with pytest.raises(InferenceServerException, match="--allow-control"):
            c.update_trace_settings(settings={"trace_level": ["TIMESTAMPS"]})
        assert c.get_log_settings()["log_info"] is True and c.get_trace_settings()["trace_level"] == ["OFF"]
    s.stop()


def test_repository(client, server, store, models):
    index = {(m["name"], m["version"]): m["state"] for m in client.get_model_repository_index()}
    assert index[("pair", "1")] == "READY"
    client.unload_model("many")
    assert until(lambda: not client.is_model_ready("many"))
    with pytest.raises(InferenceServerException, match="not at ready state|not found"):
        ask(client, "many", {"x": np.ones((1, 3), np.float32)})
    client.load_model("many")
    assert client.is_model_ready("many")
    assert ask(client, "many", {"x": np.ones((1, 3), np.float32)}).as_numpy("y1").tolist() == [[2, 2, 2]]
    with pytest.raises(InferenceServerException, match="no such model"):
        client.load_model("nobody")
    with pytest.raises(InferenceServerException, match="the config is of model 'few', not 'many'"):
        client.load_model("many", config='{"name": "few"}')


@pytest.mark.parametrize(
    "arrays,more,text",
    [
        ({"z": np.ones((1, 4), np.float32)}, {}, "unexpected inference input 'z' for model 'affine'"),
        (
            {"x": np.ones((1, 4), np.float64)},
            {},
            "inference input 'x' data-type is 'FP64', but model 'affine' expects 'FP32'",
        ),
        ({"x": np.ones((1, 5), np.float32)}, {}, r"expected shape \[-1,4\] \(-1: any\), got \[1,5\]"),
        (
            {"x": np.ones((1, 4), np.float32)},
            {"model_version": "77"},
            "Request for unknown model: 'affine' version 77 is not found",
        ),
        ({"x": np.ones((1, 4), np.float32)}, {"outputs": ["nope"]}, "unexpected inference output 'nope'"),
    ],
)
def test_mistakes(client, arrays, more, text):
    with pytest.raises(InferenceServerException, match=text):
        ask(client, "affine", arrays, **more)


def test_unknown_model(client):
    with pytest.raises(InferenceServerException, match="Request for unknown model: 'nobody' is not found"):
        client.infer("nobody", [])


# --- system shared memory, by tritonclient's own utilities ---


@pytest.fixture
def region():
    import tritonclient.utils.shared_memory as shm

    handle = shm.create_shared_memory_region("slipway_test", "/slipway_test_region", 256)
    yield shm, handle
    shm.destroy_shared_memory_region(handle)


def test_shared_memory(client, region):
    shm, handle = region
    x = np.array([[1, 2, 3, 4], [0, 0, 0, 0]], np.float32)
    shm.set_shared_memory_region(handle, [x])
    client.register_system_shared_memory("box", "/slipway_test_region", 256)
    (status,) = client.get_system_shared_memory_status()
    assert status == {"name": "box", "key": "/slipway_test_region", "offset": 0, "byte_size": 256}
    assert client.get_system_shared_memory_status("box") == [status]
    tensor = triton.InferInput("x", x.shape, "FP32").set_shared_memory("box", x.nbytes)
    wanted = triton.InferRequestedOutput("y")
    wanted.set_shared_memory("box", 64, offset=128)
    got = client.infer("affine", [tensor], outputs=[wanted])
    assert got.get_output("y") == {"name": "y", "datatype": "FP32", "shape": [2, 4]}  # as Triton: its C++ client takes no parameters here
    y = shm.get_contents_as_numpy(handle, np.float32, [2, 4], offset=128)
    assert y.tolist() == [[1.5, 4, 9, 17], [0.5, 0, 0, 1]]
    client.unregister_system_shared_memory("box")
    assert client.get_system_shared_memory_status() == []
    with pytest.raises(InferenceServerException, match="Unable to find shared memory region: 'box'"):
        client.infer("affine", [tensor])


def test_shared_memory_of_strings(client, region):
    shm, handle = region
    text = np.array([["a", "bc"]], object)
    from tritonclient.utils import serialize_byte_tensor

    shm.set_shared_memory_region(handle, [serialize_byte_tensor(text)])
    client.register_system_shared_memory("text", "/slipway_test_region", 128, offset=0)
    tensor = triton.InferInput("x", [1, 2], "BYTES").set_shared_memory("text", 4 + 1 + 4 + 2)
    assert client.infer("echo_text", [tensor]).as_numpy("y").tolist() == [[b"a", b"bc"]]
    client.unregister_system_shared_memory()


def test_shared_memory_mistakes(client, region):
    with pytest.raises(InferenceServerException, match="Unable to open shared memory region"):
        client.register_system_shared_memory("r", "/no_such_region_here", 16)
    with pytest.raises(InferenceServerException, match="it has fewer than 0 [+] 10000 bytes"):
        client.register_system_shared_memory("r", "/slipway_test_region", 10000)
    client.register_system_shared_memory("r", "/slipway_test_region", 64, offset=32)
    with pytest.raises(InferenceServerException, match="'r' already in manager"):
        client.register_system_shared_memory("r", "/slipway_test_region", 64)
    for size, offset, text in [(128, 0, "Invalid offset"), (16, 60, "Invalid offset"), (8, 0, "got 8 bytes, expected 16")]:
        tensor = triton.InferInput("x", [1, 4], "FP32").set_shared_memory("r", size, offset)
        with pytest.raises(InferenceServerException, match=text):
            client.infer("affine", [tensor])
    x = triton.InferInput("x", [1, 4], "FP32")
    x.set_data_from_numpy(np.zeros((1, 4), np.float32))
    wanted = triton.InferRequestedOutput("y")
    wanted.set_shared_memory("r", 8)
    with pytest.raises(InferenceServerException, match="should be at least 16 bytes"):
        client.infer("affine", [x], outputs=[wanted])
    client.unregister_system_shared_memory()


def test_a_region_cut_short_ends_nothing(client, server):
    """The client truncates its object under the server: an error, not SIGBUS."""
    import os

    path = "/dev/shm/slipway_cut"
    with open(path, "wb") as f:
        f.write(bytes(4096))
    client.register_system_shared_memory("cut", "/slipway_cut", 4096)
    os.truncate(path, 0)
    tensor = triton.InferInput("x", [1, 4], "FP32").set_shared_memory("cut", 16)
    with pytest.raises(InferenceServerException, match="was cut short"):
        client.infer("affine", [tensor])
    os.unlink(path)
    client.unregister_system_shared_memory("cut")
    assert client.is_server_live()


# --- loads that bring something ---


def test_load_with_a_file_and_a_config(client, models):
    with open(models["affine2"], "rb") as f:
        model = f.read()
    config = '{"name": "brought", "backend": "onnxruntime", "max_batch_size": 4}'
    client.load_model("brought", config=config, files={"file:1/model.onnx": model})
    x = triton.InferInput("x", [1, 4], "FP32")
    x.set_data_from_numpy(np.ones((1, 4), np.float32))
    assert client.infer("brought", [x]).as_numpy("y").tolist() == [[10, 10, 10, 10]]
    for files, text in [({"file:1/model.onnx": b"junk"}, "load failed for model 'brought'"), ({"file:1/a": b"a", "file:1/b": b"b"}, "one file is taken")]:
        with pytest.raises(InferenceServerException, match=text):
            client.load_model("brought", config=config, files=files)
    assert client.infer("brought", [x]).as_numpy("y").tolist() == [[10, 10, 10, 10]]
    more = {"instance_group": [{"count": 2, "kind": "KIND_CPU"}, {"count": 1}], "parameters": {"a": {"string_value": "b"}}}
    more["dynamic_batching"] = {"max_queue_delay_microseconds": "100", "default_queue_policy": {"max_queue_size": 7}}
    client.load_model("brought", config=json.dumps(more))
    got = client.get_model_config("brought")
    assert got["max_batch_size"] == 4 and got["instance_group"][0]["count"] == 3
    assert got["dynamic_batching"]["max_queue_delay_microseconds"] == 100 and got["dynamic_batching"]["default_queue_policy"]["max_queue_size"] == 7
    for config, text in [
        ({"input": [{"name": "x", "dims": [4], "reshape": {"shape": [3]}}]}, r"reshape: 'x': \[4\] cannot be reshaped to \[3\]"),
        ({"input": [{"name": "x", "dims": [6], "reshape": {"shape": [2, 3]}}]}, r"reshape of 'x' to \[2,3\]: the model has \[-1,4\]"),
        ({"output": [{"name": "z", "dims": [4], "reshape": {"shape": [1, 4]}}]}, "the model has no output 'z'"),
        ({"input": [{"name": "x", "dims": [-2], "reshape": {}}]}, "a dim is -1 or more"),
        ({"input": [{"name": "x", "reshape": {"size": 1}}]}, 'a reshape has no member "size"'),
        ({"instance_group": [{"kind": "KIND_GPU"}]}, "on a GPU"),
        ({"sequence_batching": {}}, '"sequence_batching" is not supported'),
        ({"dynamic_batching": {"max_queue_delay_microseconds": "soon"}}, "max_queue_delay_microseconds is a number"),
        ({"max_batch_size": -1}, "max_batch_size may not be negative"),
        ({"instance_group": 2}, "expected an array"),
    ]:
        with pytest.raises(InferenceServerException, match=text):
            client.load_model("brought", config=json.dumps(config))
    client.unload_model("brought")


RESHAPE = {
    "max_batch_size": 8,
    "input": [{"name": "x", "data_type": "TYPE_FP32", "dims": [2, 2], "reshape": {"shape": [4]}}],
    "output": [{"name": "y", "data_type": "TYPE_FP32", "dims": [1, 4], "reshape": {"shape": ["4"]}}],
}


@pytest.mark.parametrize("kind", ["http", "grpc"])
def test_a_load_with_reshape(kind, tmp_path, models):
    """What config.pbtxt may say, a load may say: of the file that comes with it, or of the version that is there, which becomes the next one."""
    import tritonclient.grpc as rpc

    store = Store(tmp_path / "s")
    store.add(models["affine"], "shown")
    server = Server(store, "--allow-control")
    api = triton if kind == "http" else rpc
    client = api.InferenceServerClient(server.address)
    brought = open(models["affine"], "rb").read()

    def ask(model, shape):
        x = api.InferInput("x", list(shape), "FP32")
        x.set_data_from_numpy(np.arange(np.prod(shape), dtype=np.float32).reshape(shape))
        return client.infer(model, [x]).as_numpy("y")

    def versions(model):
        rows = requests.post(server.url + "/v2/repository/index").json()
        return {r["version"]: r["state"] for r in rows if r["name"] == model}

    assert ask("shown", (3, 4)).shape == (3, 4)
    client.load_model("shown", config=json.dumps(RESHAPE))
    client.load_model("brought", config=json.dumps(RESHAPE), files={"file:1/model.onnx": brought})
    for model in ("shown", "brought"):
        y = ask(model, (3, 2, 2))
        assert y.shape == (3, 1, 4) and y[0].tolist() == [[0.5, 2, 6, 13]]
        with pytest.raises(Exception, match="expected shape"):
            ask(model, (3, 4))
        got = triton.InferenceServerClient(server.address).get_model_config(model)
        assert got["max_batch_size"] == 8 and got["input"][0]["dims"] == [2, 2] and got["input"][0]["reshape"]["shape"] == [4]
        meta = requests.get(server.url + f"/v2/models/{model}").json()
        assert meta["inputs"][0]["shape"] == [-1, 2, 2] and meta["outputs"][0]["shape"] == [-1, 1, 4]
    assert set(versions("shown")) == {"1", "2"} and versions("shown")["2"] == "READY"
    client.load_model("shown", config=json.dumps(RESHAPE))  # said again: nothing new
    assert set(versions("shown")) == {"1", "2"}
    assert store.json("show", "shown")["parent"] == 1 and not list((tmp_path / "s").glob(".arrival-*"))
    for wrong in ([3], [4, 2]):
        bad = {**RESHAPE, "input": [{**RESHAPE["input"][0], "reshape": {"shape": wrong}}]}
        with pytest.raises(Exception, match="reshape"):
            client.load_model("shown", config=json.dumps(bad))
    assert set(versions("shown")) == {"1", "2"} and ask("shown", (1, 2, 2)).shape == (1, 1, 4)  # nothing is left of what does not fit
    row = {"max_batch_size": 0, "input": [{"name": "x", "dims": [4], "reshape": {"shape": [1, 4]}}]}
    client.load_model("shown", config=json.dumps(row))
    assert ask("shown", (4,)).shape == (1, 4)
    server.stop()


def test_the_asynchronous_client(server):
    """tritonclient.http.aio."""
    import asyncio

    import tritonclient.http.aio as aio

    async def run():
        async with aio.InferenceServerClient(server.address) as client:
            assert await client.is_server_ready() and await client.is_model_ready("affine")
            assert (await client.get_model_metadata("affine"))["inputs"][0]["datatype"] == "FP32"
            x = aio.InferInput("x", [1, 4], "FP32")
            x.set_data_from_numpy(np.array([[1, 2, 3, 4]], np.float32))
            wrong = aio.InferInput("x", [1, 3], "FP32")
            wrong.set_data_from_numpy(np.zeros((1, 3), np.float32))
            for call, text in [
                (client.infer("nobody", [x]), "unknown model: 'nobody'"),
                (client.infer("affine", [wrong]), "expected shape"),
                (client.get_model_config("nobody"), "nobody"),
                (client.load_model("nobody"), "no such model"),
            ]:
                with pytest.raises(InferenceServerException, match=text):
                    await call
            assert not await client.is_model_ready("nobody")
            all = await asyncio.gather(*[client.infer("affine", [x], request_id=str(i)) for i in range(20)])
            assert [a.get_response()["id"] for a in all] == [str(i) for i in range(20)]
            return all[0].as_numpy("y").tolist()

    assert asyncio.run(run()) == [[1.5, 4, 9, 17]]


def test_priority(store):
    """Triton's parameter: 1 goes before what waits with 3."""
    server = Server(store, "--threads", "1")
    admin = "http://" + server.process.stdout.readline().split("http://")[1].strip()
    order = []

    def count(priority):
        with triton.InferenceServerClient(server.address) as c:
            assert int(ask(c, "slow", {"n": np.array([60000])}, priority=priority).as_numpy("count")) == 60000
        order.append(priority)

    def waiting():
        return requests.get(admin + "/admin/models/slow").json()["versions"][0]["waiting"]

    threads = [threading.Thread(target=count, args=(priority,)) for priority in (0, 3, 3, 3, 1)]
    for t in threads[:-1]:
        t.start()
    assert until(lambda: waiting() >= 2)
    threads[-1].start()
    for t in threads:
        t.join()
    assert sorted(order) == [0, 1, 3, 3, 3] and order.index(1) < 4 and order[-1] == 3, order
    server.stop()
