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


def test_settings(client):
    assert list(client.get_trace_settings().settings["trace_level"].value) == ["OFF"]
    assert client.get_log_settings().settings["log_info"].bool_param
    got = client.update_log_settings({"log_warning": False, "log_verbose_level": 2}).settings
    assert not got["log_warning"].bool_param and got["log_verbose_level"].uint32_param == 2
    assert client.get_log_settings().settings == got
    client.update_log_settings({"log_warning": True, "log_verbose_level": 0})
    got = client.update_trace_settings(model_name="affine", settings={"trace_level": ["TIMESTAMPS"], "trace_rate": "5"}).settings
    assert list(got["trace_level"].value) == ["TIMESTAMPS"] and list(got["trace_rate"].value) == ["5"]
    assert client.get_trace_settings("affine").settings == got
    assert list(client.get_trace_settings().settings["trace_level"].value) == ["OFF"]
    client.update_trace_settings(model_name="affine", settings={"trace_level": None, "trace_rate": None})
    assert client.get_trace_settings("affine").settings == client.get_trace_settings().settings
    with pytest.raises(InferenceServerException, match="unknown setting"):
        client.update_trace_settings(settings={"colour": "red"})


def test_load_with_a_file_and_a_config(client, models):
    model = open(models["affine2"], "rb").read()
    config = '{"name": "carried", "max_batch_size": 4}'
    client.load_model("carried", config=config, files={"file:1/model.onnx": model})
    assert client.infer("carried", [tensor("x", X)]).as_numpy("y").tolist() == [[10, 20, 30, 40]]
    client.load_model("carried", config='{"max_batch_size": 1}')
    for more, text in [
        ({"config": '{"name": "other"}'}, "the config is of model 'other', not 'carried'"),
        ({"config": config, "files": {"file:1/model.onnx": b"junk"}}, "load failed for model 'carried'"),
    ]:
        with pytest.raises(InferenceServerException, match=text):
            client.load_model("carried", **more)
    assert client.infer("carried", [tensor("x", X)]).as_numpy("y").tolist() == [[10, 20, 30, 40]]
    client.unload_model("carried")


@pytest.fixture
def region():
    import tritonclient.utils.shared_memory as shm

    handle = shm.create_shared_memory_region("grpc_test", "/slipway_grpc_region", 256)
    yield handle
    shm.destroy_shared_memory_region(handle)


def test_shared_memory(client, region):
    import tritonclient.utils.shared_memory as shm

    shm.set_shared_memory_region(region, [X])
    client.register_system_shared_memory("box", "/slipway_grpc_region", 256)
    status = client.get_system_shared_memory_status().regions["box"]
    assert (status.name, status.key, status.offset, status.byte_size) == ("box", "/slipway_grpc_region", 0, 256)
    x = triton.InferInput("x", [1, 4], "FP32").set_shared_memory("box", X.nbytes)
    y = triton.InferRequestedOutput("y")
    y.set_shared_memory("box", 64, offset=128)
    got = client.infer("affine", [x], outputs=[y])
    parameters = got.get_output("y").parameters
    assert parameters["shared_memory_region"].string_param == "box" and parameters["shared_memory_byte_size"].int64_param == 16
    assert np.array_equal(shm.get_contents_as_numpy(region, np.float32, [1, 4], offset=128), Y)
    assert np.array_equal(client.infer("affine", [x]).as_numpy("y"), Y)  # in from memory, out in the message
    a = triton.InferInput("a", [1, 2], "FP32").set_shared_memory("box", 8)
    got = client.infer("pair", [a, tensor("b", np.ones((1, 2), np.float32))])  # one of two in memory
    assert got.as_numpy("s").tolist() == [[2, 3]]
    s, d = triton.InferRequestedOutput("s"), triton.InferRequestedOutput("d")
    s.set_shared_memory("box", 64, offset=64)
    got = client.infer("pair", [a, tensor("b", np.ones((1, 2), np.float32))], outputs=[s, d])
    assert got.as_numpy("d").tolist() == [[0, 1]]
    client.unregister_system_shared_memory("box")
    assert not client.get_system_shared_memory_status().regions
    with pytest.raises(InferenceServerException, match="Unable to find shared memory region: 'box'"):
        client.infer("affine", [x])


def test_shared_memory_mistakes(client, region):
    with pytest.raises(InferenceServerException, match="Unable to open shared memory region"):
        client.register_system_shared_memory("r", "/no_such_region_here", 16)
    client.register_system_shared_memory("r", "/slipway_grpc_region", 64, offset=32)
    x = triton.InferInput("x", [1, 4], "FP32").set_shared_memory("r", 128)
    with pytest.raises(InferenceServerException, match="Invalid offset . byte size"):
        client.infer("affine", [x])
    y = triton.InferRequestedOutput("y")
    y.set_shared_memory("r", 8)
    with pytest.raises(InferenceServerException, match="should be at least 16 bytes"):
        client.infer("affine", [tensor("x", X)], outputs=[y])
    with pytest.raises(InferenceServerException, match="already in manager"):
        client.register_system_shared_memory("r", "/slipway_grpc_region", 64)
    with pytest.raises(InferenceServerException, match="no CUDA here"):
        client.register_cuda_shared_memory("c", b"aGFuZGxl", 0, 16)
    client.unregister_system_shared_memory()


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
            for call, status in [
                (c.infer("nobody", [tensor("x", X)]), "NOT_FOUND"),
                (c.infer("affine", [tensor("x", X[:, :2])]), "INVALID_ARGUMENT"),
                (c.infer("affine", [tensor("z", X)]), "INVALID_ARGUMENT"),
                (c.load_model("nobody"), "NOT_FOUND"),
            ]:
                with pytest.raises(InferenceServerException) as raised:
                    await call
                assert raised.value.status() == f"StatusCode.{status}", raised.value
            assert not await c.is_model_ready("nobody")

    asyncio.run(run())
