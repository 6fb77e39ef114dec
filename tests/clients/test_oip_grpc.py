# SPDX-License-Identifier: Apache-2.0
"""The real tritonclient.grpc and its aio form, unchanged, and messages that only hand-written clients send."""

import asyncio
import queue

import grpc
import numpy as np
import pytest
import tritonclient.grpc as triton
import tritonclient.grpc.aio as triton_aio
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.utils import InferenceServerException

from conftest import KINDS, until
from test_triton_client import values_of

NAMES = {k[1]: k[2] for k in KINDS.values()}


@pytest.fixture(scope="module")
def client(server):
    with triton.InferenceServerClient(server.address) as c:
        yield c


@pytest.fixture(scope="module")
def stub(server):
    with grpc.insecure_channel(server.address) as channel:
        yield service_pb2_grpc.GRPCInferenceServiceStub(channel)


def tensor(name, array, kind=None):
    t = triton.InferInput(name, list(array.shape), kind or NAMES[array.dtype.type])
    t.set_data_from_numpy(array)
    return t


X = np.array([[1, 2, 3, 4]], np.float32)
Y = np.array([[1.5, 4, 9, 17]], np.float32)


@pytest.mark.parametrize("name", list(KINDS))
def test_every_type_raw(client, name):
    x = values_of(name)
    got = client.infer("echo_" + name, [tensor("x", x)]).as_numpy("y")
    want = np.array([[s.encode() for s in row] for row in x], np.object_) if name == "text" else x
    assert np.array_equal(got, want)


FIELDS = {
    "bool": "bool_contents", "i8": "int_contents", "i16": "int_contents", "i32": "int_contents",
    "i64": "int64_contents", "u8": "uint_contents", "u16": "uint_contents", "u32": "uint_contents",
    "u64": "uint64_contents", "f32": "fp32_contents", "f64": "fp64_contents", "text": "bytes_contents",
}


@pytest.mark.parametrize("name", list(FIELDS))
def test_every_type_in_contents(stub, name):
    """Contents in, contents out: what KServe's and hand-written clients expect."""
    x = values_of(name)
    request = service_pb2.ModelInferRequest(model_name="echo_" + name, id="7")
    t = request.inputs.add(name="x", datatype=KINDS[name][2], shape=x.shape)
    flat = [s.encode() for s in x.ravel()] if name == "text" else x.ravel().tolist()
    getattr(t.contents, FIELDS[name]).extend(flat)
    answer = stub.ModelInfer(request)
    assert answer.id == "7" and not answer.raw_output_contents
    assert list(answer.outputs[0].shape) == list(x.shape)
    got = list(getattr(answer.outputs[0].contents, FIELDS[name]))
    assert got == flat or (name[0] == "f" and np.array_equal(got, flat))


def test_metadata_and_config(client):
    assert client.is_server_live() and client.is_server_ready() and client.is_model_ready("affine")
    assert client.get_server_metadata().name == "slipway"
    m = client.get_model_metadata("pair")
    assert [i.name for i in m.inputs] == ["a", "b"] and list(m.inputs[0].shape) == [-1, 2]
    assert "1" in client.get_model_metadata("affine").versions
    config = client.get_model_config("pair").config
    assert [o.name for o in config.output] == ["s", "d"] and list(config.input[0].dims) == [2]
    assert config.input[0].data_type == 11  # TYPE_FP32


def test_versions_outputs_classes(client):
    assert np.array_equal(client.infer("affine", [tensor("x", X)]).as_numpy("y"), Y)
    assert np.array_equal(client.infer("affine", [tensor("x", X)], model_version="2").as_numpy("y"), X * 10)
    ab = [tensor("a", np.ones((1, 2), np.float32)), tensor("b", np.ones((1, 2), np.float32))]
    r = client.infer("pair", ab, outputs=[triton.InferRequestedOutput("d")])
    assert r.as_numpy("s") is None and np.array_equal(r.as_numpy("d"), np.zeros((1, 2)))
    r = client.infer("affine", [tensor("x", X)], outputs=[triton.InferRequestedOutput("y", class_count=2)])
    assert [t.decode().split(":")[1] for t in r.as_numpy("y").ravel()] == ["3", "2"]


@pytest.mark.parametrize("how", ["gzip", "deflate"])
def test_compression(client, how):
    assert np.array_equal(client.infer("affine", [tensor("x", X)], compression_algorithm=how).as_numpy("y"), Y)


def test_large_and_many(client):
    x = np.arange(2_000_000, dtype=np.float32).reshape(-1, 4)
    assert np.array_equal(client.infer("affine", [tensor("x", x)]).as_numpy("y"), x * [1, 2, 3, 4] + np.float32([0.5, 0, 0, 1]))
    r = client.infer("many", [tensor("x", np.ones((30000, 3), np.float32))])
    assert all(np.array_equal(r.as_numpy(f"y{i}"), np.full((30000, 3), 1 + i)) for i in range(6))
    done = queue.Queue()
    for i in range(200):
        client.async_infer("affine", [tensor("x", X + i)], callback=lambda result, error, i=i: done.put((i, result, error)))
    for _ in range(200):
        i, r, e = done.get(timeout=20)
        assert e is None and np.allclose(r.as_numpy("y"), (X + i) * [1, 2, 3, 4] + [0.5, 0, 0, 1])


@pytest.mark.parametrize(
    "model,tensors,code,text",
    [
        ("nope", [tensor("x", X)], "NOT_FOUND", "unknown model: 'nope'"),
        ("affine", [tensor("z", X)], "INVALID_ARGUMENT", "unexpected inference input 'z'"),
        ("affine", [tensor("x", X.astype(np.int32))], "INVALID_ARGUMENT", "data-type is 'INT32'"),
        ("affine", [tensor("x", np.ones((1, 3), np.float32))], "INVALID_ARGUMENT", "shape"),
        ("affine", [], "INVALID_ARGUMENT", ""),
    ],
)
def test_errors(client, model, tensors, code, text):
    with pytest.raises(InferenceServerException) as e:
        client.infer(model, tensors)
    assert e.value.status() == "StatusCode." + code and text in e.value.message()


def test_raw_and_contents_do_not_mix(stub):
    request = service_pb2.ModelInferRequest(model_name="affine", raw_input_contents=[X.tobytes()])
    t = request.inputs.add(name="x", datatype="FP32", shape=[1, 4])
    t.contents.fp32_contents.extend([1, 2, 3, 4])
    with pytest.raises(grpc.RpcError) as e:
        stub.ModelInfer(request)
    assert e.value.code() == grpc.StatusCode.INVALID_ARGUMENT and "raw_input_contents" in e.value.details()
    request = service_pb2.ModelInferRequest(model_name="echo_f16")
    request.inputs.add(name="x", datatype="FP16", shape=[1, 1]).contents.fp32_contents.append(1)
    with pytest.raises(grpc.RpcError) as e:
        stub.ModelInfer(request)
    assert "raw_input_contents only" in e.value.details()


def test_stream(client):
    """In order; a failure is a message, and the stream goes on."""
    got = queue.Queue()
    client.start_stream(callback=lambda result, error: got.put((result, error)))
    for i in range(50):
        client.async_stream_infer("affine" if i != 20 else "nope", [tensor("x", X + i)], request_id=str(i))
    for i in range(50):
        result, error = got.get(timeout=20)
        if i == 20:
            assert "unknown model" in error.message()
            continue
        assert error is None and result.get_response().id == str(i)
        assert np.allclose(result.as_numpy("y"), (X + i) * [1, 2, 3, 4] + [0.5, 0, 0, 1])
    big = np.ones((400_000, 4), np.float32)
    client.async_stream_infer("affine", [tensor("x", big)], enable_empty_final_response=True)
    result, error = got.get(timeout=30)
    assert error is None and result.as_numpy("y").shape == big.shape
    assert result.get_response().parameters["triton_final_response"].bool_param
    client.stop_stream()


def test_stream_cancelled_while_it_runs(server, client):
    got = queue.Queue()
    client.start_stream(callback=lambda result, error: got.put((result, error)))
    client.async_stream_infer("slow", [tensor("n", np.array([1_000_000]))])
    client.stop_stream(cancel_requests=True)
    assert until(lambda: server.metric("slipway_requests_in_flight") <= 1)


def test_deadline_and_cancellation(server, client):
    with pytest.raises(InferenceServerException) as e:
        client.infer("slow", [tensor("n", np.array([1_000_000]))], client_timeout=0.2)
    assert "DEADLINE" in e.value.status()
    assert until(lambda: server.metric("slipway_requests_in_flight") <= 1)
    with pytest.raises(InferenceServerException) as e:  # the server's own word: timeout is in microseconds
        client.infer("slow", [tensor("n", np.array([1_000_000]))], timeout=100_000)
    assert e.value.status() in ("StatusCode.DEADLINE_EXCEEDED", "StatusCode.RESOURCE_EXHAUSTED")  # tried, or not even begun


def test_repository_and_statistics(client):
    names = {m.name for m in client.get_model_repository_index().models}
    assert {"affine", "pair", "slow"} <= names
    client.infer("pair", [tensor("a", np.ones((1, 2), np.float32)), tensor("b", np.ones((1, 2), np.float32))])
    stats = client.get_inference_statistics("pair").model_stats[0]
    assert stats.inference_count >= 1 and stats.inference_stats.success.ns > 0
    client.unload_model("many")
    assert not client.is_model_ready("many")
    client.load_model("many")
    assert client.is_model_ready("many")
    with pytest.raises(InferenceServerException) as e:
        client.load_model("nope")
    assert "NOT_FOUND" in e.value.status()


def test_settings_and_regions(client):
    assert list(client.get_trace_settings().settings["trace_level"].value) == ["OFF"]
    assert client.get_log_settings().settings["log_info"].bool_param
    assert not client.get_system_shared_memory_status().regions
    with pytest.raises(InferenceServerException) as e:
        client.register_system_shared_memory("r", "/key", 8)
    assert "UNIMPLEMENTED" in e.value.status()


def test_aio(server):
    async def run():
        async with triton_aio.InferenceServerClient(server.address) as c:
            assert await c.is_server_ready()
            got = await asyncio.gather(*(c.infer("affine", [tensor("x", X + i)]) for i in range(100)))
            assert all(np.allclose(g.as_numpy("y"), (X + i) * [1, 2, 3, 4] + [0.5, 0, 0, 1]) for i, g in enumerate(got))

            async def requests():
                for i in range(5):
                    yield {"model_name": "affine", "inputs": [tensor("x", X + i)], "request_id": str(i)}

            ids = [r.get_response().id async for r, e in c.stream_infer(requests())]
            assert ids == ["0", "1", "2", "3", "4"]

    asyncio.run(run())
